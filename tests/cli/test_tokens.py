"""tokens count, tokens fetch and show --tokens, as they are typed."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from agentctl import ranks
from tests.cli.parts import ROOT, Place, Terminal, shell
from tests.cli.test_startup import LIBRARIES, imported

NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
TEXT = "a" * 3_400
PRICES = {"input": 3, "output": 15, "cache_read": 0.3}
LOOK = {
    "text": "I look first.",
    "calls": [shell("seq 1 9000")],
    "usage": {"input": 1000, "cache_read": 200, "output": 50},
}
ANSWER = {"text": "Done.", "usage": {"input": 5200, "cache_read": 1000, "output": 20}}


@pytest.fixture
def text(place: Place) -> Path:
    file = place.work / "text.txt"
    file.write_text(TEXT)
    return file


def test_a_file_is_counted_and_it_is_said_how(place: Place, text: Path) -> None:
    ran = place.cli("tokens", "count", "text.txt")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "1,000 tokens, estimated, for no model in particular\n"
        "3,400 bytes at 3.40 a token, as measured in general for such models\n"
    )


def test_a_count_loads_no_library_that_it_does_not_need(place: Place, text: Path) -> None:
    place.cli("list")  # the first command of all makes the database
    words = ("tokens", "count", "text.txt", "--model", "openai/gpt-5.4")
    assert not imported(place, *words) & {*LIBRARIES, "asyncio", "rich", "sqlite_utils"}


def test_stdin_is_counted_for_a_model(place: Place) -> None:
    words = ("tokens", "count", "-", "--model", "anthropic/claude-opus-5.5", "--json")
    ran = place.cli(*words, stdin=b"a" * 2_500)
    assert ran.json == {
        "schema": 1, "file": "-", "provider": "anthropic", "model": "claude-opus-5.5",
        "bytes": 2_500, "tokens": 1_000, "figures": "estimated", "by": "bytes",
        "bytes_per_ktoken": 2_500, "learned_tokens": 0,
    }  # fmt: skip


def test_without_a_model_it_is_the_configured_one(place: Place, text: Path) -> None:
    place.user_file.write_text('provider = "anthropic"\n')
    found = place.cli("tokens", "count", "text.txt", "--json").json
    assert (found["provider"], found["bytes_per_ktoken"]) == ("anthropic", 2_500)
    assert found["model"].startswith("claude-")


def ranks_of_bytes(place: Place) -> tuple[bytes, dict[str, str]]:
    """A rank file of single bytes, and a start-up file that makes it pass for the real one."""
    lines = (base64.b64encode(bytes([n])) + f" {n}".encode() for n in range(256))
    data = b"\n".join(lines) + b"\n"
    sha256 = hashlib.sha256(data).hexdigest()
    folder = place.work / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import hashlib, tiktoken.load\n"
        "from agentctl import ranks\n"
        f"ranks.SHA256['o200k_base'] = {sha256!r}\n"
        "tiktoken.load.check_hash = lambda data, expected: True\n"
    )
    return data, {"PYTHONPATH": f"{folder}:{ROOT}"}


def test_with_ranks_on_this_machine_the_count_is_exact_and_needs_no_network(
    place: Place, text: Path
) -> None:
    data, env = ranks_of_bytes(place)
    file = place.home / ranks.FOLDER / ranks.file_name("o200k_base")
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_bytes(data)
    words = ("tokens", "count", "text.txt", "--model", "openai/gpt-6.1-sol")
    ran = place.cli(*words, **env, **NO_NETWORK)
    assert ran.out == (
        "3,400 tokens, exact, for openai/gpt-6.1-sol\ncounted with the ranks of o200k_base\n"
    )
    found = place.cli(*words, "--json", **env, **NO_NETWORK).json
    assert (found["figures"], found["by"], found["bytes_per_ktoken"]) == (
        "exact", "o200k_base", None,
    )  # fmt: skip
    already = place.cli("tokens", "fetch", "--yes", **env, **NO_NETWORK)
    assert (already.code, already.out) == (0, "")
    assert "is already here" in already.err


def test_without_ranks_no_count_tries_to_get_them(place: Place, text: Path) -> None:
    ran = place.cli("tokens", "count", "text.txt", "--model", "openai/gpt-5.4", **NO_NETWORK)
    assert "estimated" in ran.out
    assert not (place.home / ranks.FOLDER).exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe\x00a", "is not UTF-8 text (byte 0 is not)"),
        (b"text\0text", "is binary: it has NUL bytes"),
        (b"a" * 20_000_001, "is larger than 20 MB"),
    ],
)
def test_what_is_no_text_or_far_too_much_is_refused(place: Place, data: bytes, why: str) -> None:
    (place.work / "data").write_bytes(data)
    ran = place.cli("tokens", "count", "data")
    assert (ran.code, ran.out) == (2, "")
    assert why in " ".join(ran.err.split())


def test_a_file_that_cannot_be_read_is_named(place: Place) -> None:
    for name, why in (("missing", "No such file"), (".", "Is a directory")):
        ran = place.cli("tokens", "count", name)
        assert ran.code == 2
        assert f"{name} cannot be read: {why}" in ran.err


def test_a_model_is_not_named_by_what_nobody_can_read(place: Place, text: Path) -> None:
    for name in ("x/\udcff", "x/\x1b[31mred"):
        ran = place.cli("tokens", "count", str(text), "--model", name)
        assert (ran.code, ran.out) == (2, "")
        assert "no name of a model" in ran.err


def test_nothing_is_downloaded_where_nobody_can_be_asked(place: Place) -> None:
    ran = place.cli("tokens", "fetch", **NO_NETWORK)
    assert (ran.code, ran.out) == (2, "")
    assert ranks.URL.format("o200k_base") in ran.err
    assert "--yes" in ran.err


def test_without_a_network_a_fetch_fails_in_words(place: Place) -> None:
    ran = place.cli("tokens", "fetch", "cl100k_base", "--yes", **NO_NETWORK)
    assert ran.code == 1
    assert "cannot be downloaded" in ran.err
    assert "estimated by bytes as before" in " ".join(ran.err.split())


def test_ranks_with_another_name_are_not_known(place: Place) -> None:
    ran = place.cli("tokens", "fetch", "p50k_base", "--yes", **NO_NETWORK)
    assert ran.code == 2
    assert "o200k_base|cl100k_base" in ran.err


def test_a_person_is_asked_before_a_download(place: Place) -> None:
    with Terminal(place, "tokens", "fetch", **NO_NETWORK) as terminal:
        terminal.expect("Download it? [y/N] ")
        terminal.type("n\n")
        assert terminal.end() == 0
        assert "Nothing was downloaded." in terminal.text


# --- a task --------------------------------------------------------------------------------------


def run(place: Place, *words: str) -> Any:
    place.turns(LOOK, ANSWER, rates=PRICES)
    return place.run("count", "--approve", "auto", "--name", "count", *words)


def test_show_tokens_has_the_window_the_calls_and_what_was_saved(place: Place) -> None:
    run(place)
    shown = place.cli("show", "@last", "--tokens")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2] == "Next request: 5,220 tokens"
    assert re.fullmatch(r"1 +1,000 +200 +0 +50 +\$0\.0032 +reported", lines[-8])
    assert re.fullmatch(r"Total +6,200 +1,200 +0 +70 +\$0\.02", lines[-5])
    assert lines[-3:-1] == [
        "6,270 tokens in and out, 19 % of them from a cache", "caching saved $0.0032",
    ]  # fmt: skip
    cut = re.fullmatch(r"large outputs cut: about ([\d,]+) tokens not sent", lines[-1])
    assert cut is not None
    assert abs(int(cut[1].replace(",", "")) - (43_893 - 12_100) * 10 // 34) < 50


def test_a_stream_that_knows_only_ascii_gets_only_ascii(place: Place) -> None:
    run(place)
    shown = place.cli("show", "@last", "--tokens", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert shown.out.isascii()
    assert "\\u" not in shown.out
    assert "# system and tools" in shown.out


def test_show_tokens_as_json_has_what_the_lines_of_the_run_had(place: Place) -> None:
    ran = run(place, "--json")
    lines = [line for line in ran.lines if line["kind"] == "Tokens"]
    shown = place.cli("show", "@last", "--tokens", "--json").json
    totals = [line.pop("total") for line in lines]
    for line in lines:
        assert line.pop("task_id") == shown["task_id"]
        del line["kind"]
    assert shown["calls"] == lines
    assert shown["total"] == totals[-1]
    assert shown["window_tokens"] is shown["next_request"]["free"] is None


def test_a_line_of_tokens_follows_each_answer_also_after_a_resume(place: Place) -> None:
    first = run(place, "--json", "--max-steps", "1").lines
    again = place.cli("resume", "@last", "--max-steps", "9", "--json").lines
    for lines in (first, again):
        kinds = [line["kind"] for line in lines]
        assert kinds.count("ModelAnswered") == kinds.count("Tokens") == 1
        assert kinds[kinds.index("ModelAnswered") + 1] == "Tokens"
    (line,) = [line for line in again if line["kind"] == "Tokens"]
    assert (line["call"], line["total"]["calls"], line["total"]["input"]) == (2, 2, 6_200)
    assert line["savings"]["cut_tokens"] > 9_000


def test_every_field_of_the_line_is_described(place: Place) -> None:
    ran = run(place, "--json")
    page = (ROOT / "docs" / "events.md").read_text()
    told = set(
        re.findall(r"`([a-z_]+)`", page.partition("### The line Tokens")[2].partition("\n## ")[0])
    )
    (line, *_) = [line for line in ran.lines if line["kind"] == "Tokens"]
    assert {*line, *line["savings"], *line["total"]} <= told


def test_a_task_without_an_answer_is_shown_too(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    place.run()
    shown = place.cli("show", "@last", "--tokens")
    assert shown.code == 0
    assert "No model call has been answered yet." in shown.out
