"""A well-behaved MCP server, by a process of ours and by HTTP: all that it has can be used."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError, UsageError
from agentctl.tools.sandbox import probe
from tests.tools.mcp_parts import FRIENDLY, Opened, Server, friendly, opened, soon

BOUND_S = 40.0
Story = Callable[[Opened], Awaitable[None]]


def with_friendly(tmp_path: Path, story: Story, **more: object) -> None:
    async def whole() -> None:
        async with opened(friendly(**more), tmp_path) as it:
            await story(it)

    asyncio.run(asyncio.wait_for(whole(), BOUND_S))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [sys.executable, "-W", "ignore", str(FRIENDLY), str(port)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(1_000):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert server.poll() is None, "the server did not start"
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.kill()


def test_tools_have_the_servers_name_and_its_hints_say_whether_repeating_is_safe(
    tmp_path: Path,
) -> None:
    async def story(it: Opened) -> None:
        specs = {name: tool.spec for name, tool in it.tools.items()}
        assert (specs["kind_add"].repeat, specs["kind_add"].changes) == ("safe", False)
        assert (specs["kind_put"].repeat, specs["kind_put"].changes) == ("idempotent", True)
        assert (specs["kind_die"].repeat, specs["kind_die"].changes) == ("unsafe", True)
        assert specs["kind_add"].origin == "mcp:kind" and specs["kind_add"].category == "mcp"
        assert specs["kind_add"].description == "Add two numbers."
        assert [specs[name].attempts for name in ("kind_add", "kind_die")] == [2, 1]

    with_friendly(tmp_path, story)


def test_results_are_text_and_a_failure_is_one(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        assert (await it.call("kind_add", '{"a": 1, "b": 2}')).text == "3"
        picture = await it.call("kind_picture")
        assert picture.text == "look:\n[image, image/png, about 300 bytes: not shown]"
        failed = await it.call("kind_fail")
        assert not failed.ok and "fail" in failed.text

    with_friendly(tmp_path, story)


def test_arguments_are_checked_before_a_call(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        check = it.tools["kind_add"].check
        assert check('{"a": 1}') == "Object missing required field `b`"
        assert check('{"a": 1, "b": "x"}') == "Expected `integer`, got `string` - at `$.b`"
        assert "JSON" in check("{") or "truncated" in check("{")
        assert check("[]") == "Expected `object`"
        assert check('{"a": 1, "b": 2.0}') == ""

    with_friendly(tmp_path, story)


def test_resources_and_prompts_are_tools_that_only_read(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        listed = (await it.call("kind_list_resources")).text
        assert "note://today" in listed and "note://{name}" in listed
        assert (await it.call("kind_read_resource", '{"uri": "note://x"}')).text == "about x"
        assert '"review"' in (await it.call("kind_list_prompts")).text
        asked = '{"name": "review", "arguments": {"code": "x = 1"}}'
        assert (await it.call("kind_get_prompt", asked)).text.endswith("Review this: x = 1")
        assert not it.tools["kind_read_resource"].spec.changes
        with pytest.raises(ToolError, match="kind: "):
            await it.call("kind_read_resource", '{"uri": "nothing://x"}')

    with_friendly(tmp_path, story)


def test_progress_is_heard_in_the_call_and_the_log_as_lines_of_the_server(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        assert (await it.call("kind_slow", '{"steps": 2}')).text == "done"
        await soon(lambda: "info: at 1\n" in it.said)
        assert it.progress == ["0/2 step 0", "1/2 step 1"]

    with_friendly(tmp_path, story)


def test_a_new_tool_is_found_after_the_server_has_told_of_it(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        await it.call("kind_grow")
        await soon(lambda: it.changes)
        it.take(await it.source.tools())
        assert (await it.call("kind_grown")).text == "grown"

    with_friendly(tmp_path, story)


def test_a_cut_call_is_cancelled_at_the_server_and_the_session_lives_on(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def story(it: Opened) -> None:
        call = asyncio.create_task(it.call("kind_hang", f'{{"mark": "{mark}"}}'))
        await soon(lambda: mark.exists() and mark.read_text() == "begun")
        call.cancel()
        await asyncio.wait({call})
        await soon(lambda: mark.read_text() == "cancelled")
        assert (await it.call("kind_add", '{"a": 2, "b": 2}')).text == "4"

    with_friendly(tmp_path, story)


def test_a_server_that_asks_the_user_is_refused(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        with pytest.raises(ToolError):
            await it.call("kind_ask")

    with_friendly(tmp_path, story)


def test_a_process_gets_the_usual_variables_and_its_own_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("SOMETHING", "else")

    async def story(it: Opened) -> None:
        folder, *names = (await it.call("kind_environment")).text.split()
        assert folder == str(tmp_path)
        assert "OWN_TOKEN" in names and "PATH" in names
        assert "OPENAI_API_KEY" not in names and "SOMETHING" not in names

    with_friendly(tmp_path, story, env={"OWN_TOKEN": "x"})


def test_a_server_that_dies_is_started_once_more_and_the_call_is_not_repeated(
    tmp_path: Path,
) -> None:
    async def story(it: Opened) -> None:
        with pytest.raises(ConnectionError, match="was lost: it ended with exit code 3"):
            await it.call("kind_die", '{"code": 3}')
        assert it.changes == 1
        assert await it.source.health() == "it ended with exit code 3"
        assert (await it.call("kind_add", '{"a": 2, "b": 2}')).text == "4"
        assert await it.source.health() == ""
        with pytest.raises(ConnectionError):
            await it.call("kind_die", '{"code": 4}')
        with pytest.raises(ToolError, match=r"The MCP server kind is gone: .*exit code 4"):
            await it.call("kind_add", '{"a": 2, "b": 2}')

    with_friendly(tmp_path, story)


def test_closing_twice_is_safe_and_nothing_can_be_called_afterwards(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        await it.source.close()
        await it.source.close()
        with pytest.raises(ToolError, match="gone"):
            await it.call("kind_add", '{"a": 1, "b": 2}')

    with_friendly(tmp_path, story)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        with pytest.raises(
            ToolError, match="could not be used: There is no program 'no-such-program'"
        ):
            async with opened(Server("a", "no-such-program"), tmp_path):
                pass

    asyncio.run(story())


def test_without_the_sdk_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'agentctl\[mcp\]'"):
        opened_now = opened(friendly(), tmp_path)
        asyncio.run(opened_now.__aenter__())


def test_by_http_all_of_it_works_alike(address: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(Server("web", url=address), tmp_path) as it:
            assert (await it.call("web_add", '{"a": 1, "b": 2}')).text == "3"
            assert (await it.call("web_read_resource", '{"uri": "note://x"}')).text == "about x"
            assert (await it.call("web_slow", '{"steps": 2}')).text == "done"
            assert it.progress == ["0/2 step 0", "1/2 step 1"]
            await it.call("web_grow")
            await soon(lambda: it.changes)

    asyncio.run(asyncio.wait_for(story(), BOUND_S))


def test_by_http_a_cut_call_leaves_the_session_alive(address: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def story() -> None:
        async with opened(Server("web", url=address), tmp_path) as it:
            call = asyncio.create_task(it.call("web_hang", f'{{"mark": "{mark}"}}'))
            await soon(mark.exists)
            call.cancel()
            await asyncio.wait({call})
            await soon(lambda: mark.read_text() == "cancelled")
            assert (await it.call("web_add", '{"a": 1, "b": 2}')).text == "3"

    asyncio.run(asyncio.wait_for(story(), BOUND_S))


def test_an_address_where_nobody_answers_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def story() -> None:
        with pytest.raises(ToolError) as told:
            async with opened(Server("web", url=f"http://127.0.0.1:{port}/mcp"), tmp_path):
                pass
        assert str(told.value).startswith("the MCP server could not be used: ConnectError")
        assert "\n" not in str(told.value)

    asyncio.run(asyncio.wait_for(story(), BOUND_S))


def test_a_confined_server_answers_and_cannot_write_outside(tmp_path: Path) -> None:
    mode = Sandbox("workspace", readable=(str(FRIENDLY.parent),))  # wherever it was cloned to
    work = tmp_path / "work"
    work.mkdir()
    if probe(mode, str(work)).engine == "none":
        pytest.skip("no sandbox works here: apt-get install bubblewrap")
    outside = Path.home() / f".agentctl-test-{tmp_path.name}"

    async def whole() -> None:
        async with opened(friendly(), work, policy=mode) as it:
            assert (await it.call("kind_add", '{"a": 1, "b": 2}')).text == "3"
            inside = asyncio.create_task(it.call("kind_hang", f'{{"mark": "{work / "mark"}"}}'))
            await soon((work / "mark").exists)
            inside.cancel()
            await asyncio.wait({inside})
            await asyncio.wait(
                {asyncio.create_task(it.call("kind_hang", f'{{"mark": "{outside}"}}'))}, timeout=5
            )

    asyncio.run(asyncio.wait_for(whole(), BOUND_S))
    assert not outside.exists()
