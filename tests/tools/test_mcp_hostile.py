"""A server that means no good can neither hang nor mislead a run; each case ends with a word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentctl.errors import ToolError
from tests.tools.mcp_parts import alive, hostile, opened, soon

BOUND_S = 40.0


def bounded(story: object) -> None:
    """Run a story; what hangs fails here and not at the end of the suite."""
    asyncio.run(asyncio.wait_for(story, BOUND_S))


def names_of(how: str, tmp_path: Path) -> tuple[list[str], str]:
    async def story() -> None:
        async with opened(hostile(how), tmp_path) as it:
            found.extend(it.tools)
            said.append(it.text)

    found: list[str] = []
    said: list[str] = []
    bounded(story())
    return found, said[0]


def test_a_huge_schema_leaves_out_that_tool_only(tmp_path: Path) -> None:
    names, said = names_of("huge", tmp_path)
    assert names == ["evil_good"]
    assert "its tool big is left out: its schema has 7" in said.replace(",", "")


def test_a_deep_schema_leaves_out_that_tool_only(tmp_path: Path) -> None:
    names, said = names_of("deep", tmp_path)
    assert names == ["evil_good"] and "more than 32 deep" in said


def test_broken_entries_are_left_out_and_told_one_by_one(tmp_path: Path) -> None:
    names, said = names_of("broken", tmp_path)
    assert names == ["evil_good"]
    assert said.count("is left out") == 6
    assert "refers to another document" in said and "broken at properties/x/type" in said


def test_only_the_first_128_of_500_tools_are_used(tmp_path: Path) -> None:
    names, said = names_of("many", tmp_path)
    assert len(names) == 128 and names[-1] == "evil_t127"
    assert "only the first 128" in said


def test_of_two_names_that_become_one_the_later_is_left_out_and_none_is_a_built_in(
    tmp_path: Path,
) -> None:
    names, said = names_of("twins", tmp_path)
    assert names == ["evil_a_b", "evil_read_file"]
    assert "evil_a_b is there twice" in said


def test_control_and_hidden_characters_are_shown_and_texts_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("texts"), tmp_path) as it:
            specs = [tool.spec for tool in it.tools.values()]
            assert [len(spec.name) <= 64 for spec in specs] == [True, True]
            text = specs[0].description
            assert text.replace("\n", "").isprintable() and len(text) == 2_000
            assert text.startswith(r"Safe.\x1b]0;owned\x07\u202e hidden\u200b \x1b[31mred")
            assert it.text.isprintable() or it.text.replace("\n", "").isprintable()

    bounded(story())


def test_a_tool_that_changes_after_it_was_called_is_left_out_for_the_rest_of_the_run(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with opened(hostile("mover"), tmp_path) as it:
            was = it.tools["evil_good"]
            assert (await it.call("evil_good")).text == "call 1"
            await soon(lambda: it.changes)
            it.take(await it.source.tools())
            assert not it.tools
            assert "changed by its server after it was called" in it.text
            it.tools = {"evil_good": was}
            with pytest.raises(ToolError, match="not offered any more"):
                await it.call("evil_good")

    bounded(story())


def test_a_tool_that_says_both_read_only_and_destructive_counts_as_unsafe(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("liar"), tmp_path) as it:
            spec = it.tools["evil_good"].spec
            assert (spec.repeat, spec.changes, spec.attempts) == ("unsafe", True, 1)

    bounded(story())


def test_a_server_that_never_answers_the_handshake_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentctl.tools import mcp_link

    monkeypatch.setattr(mcp_link, "OPEN_S", 0.5)

    async def story() -> None:
        with pytest.raises(ToolError, match=r"could not be used: it did not answer within 0.5 s"):
            async with opened(hostile("mute"), tmp_path):
                pass

    bounded(story())


def test_a_server_that_ends_at_once_says_why_by_its_own_words(tmp_path: Path) -> None:
    said = []

    async def story() -> None:
        from agentctl.tools.mcp import McpSource

        source = McpSource(hostile("gone"), str(tmp_path))
        with pytest.raises(ToolError, match="could not be used: it ended with exit code 3") as told:
            await source.open(lambda: None, said.append)
        assert str(told.value).endswith(r"It said last: I have no \x1b[31mkey")

    bounded(story())
    assert "".join(said) == "I have no \\x1b[31mkey\n"


def test_a_call_without_an_answer_can_be_cut_and_the_server_closed(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("silent"), tmp_path) as it:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await it.call("evil_good")

    bounded(story())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("endless", "more than 12,000,000 bytes in one message"),
        ("flood", "floods its output with what are no messages"),
        ("chatter", "floods its output with messages"),
        ("clever", "floods its output with messages"),
        ("dies", "ended with exit code 9"),
    ],
)
def test_what_floods_or_dies_is_lost_once_started_again_and_then_gone(
    how: str, why: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with opened(hostile(how), tmp_path) as it:
            for _ in range(2):
                with pytest.raises(ConnectionError, match=why):
                    await it.call("evil_good")
            assert it.text.count("started once more") == 1
            with pytest.raises(ToolError, match=f"The MCP server evil is gone: .*{why}"):
                await it.call("evil_good")
            assert why in await it.source.health()
            assert list(await it.source.tools()) == list(it.tools.values())

    asyncio.run(asyncio.wait_for(story(), 40))


def test_a_safe_call_that_was_lost_may_be_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("faints", str(tmp_path / "note")), tmp_path) as it:
            with pytest.raises(ToolError, match="was lost: it ended with exit code 9") as told:
                await it.call("evil_good")
            assert told.value.retriable
            assert (await it.call("evil_good")).text == "call 1"

    bounded(story())


def test_a_large_result_is_cut_and_the_cut_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("large"), tmp_path) as it:
            text = (await it.call("evil_good")).text
            assert text.endswith("z\n[1,000,000 more characters were not kept]")

    bounded(story())


def test_content_against_the_protocol_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("odd"), tmp_path) as it:
            text = (await it.call("evil_good")).text
            assert "[image, of unknown type, about 0 bytes: not shown]" in text
            assert "[content of type new is not shown]" in text and '{"a": [1]}' in text

    bounded(story())


def test_an_error_of_a_server_is_one_printable_line(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("error"), tmp_path) as it:
            with pytest.raises(ToolError) as told:
                await it.call("evil_good")
            assert str(told.value) == r"evil: no\x1b[2J way"

    bounded(story())


def test_what_a_server_asks_of_us_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(hostile("asks"), tmp_path) as it:
            assert (await it.call("evil_good")).text == "3 refused"

    bounded(story())


def test_a_child_that_ignores_signals_and_left_the_group_ends_with_its_server(
    tmp_path: Path,
) -> None:
    note = tmp_path / "pids"

    async def story() -> None:
        async with opened(hostile("family", str(note)), tmp_path) as it:
            pids.extend(map(int, note.read_text().split()))
            assert all(map(alive, pids)) and it.tools

    pids: list[int] = []
    bounded(story())
    assert len(pids) == 2 and not any(map(alive, pids))
