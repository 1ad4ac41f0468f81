"""The written promise of the ledger's file: its example and its page agree with what is written.

`.cost_history.example.json` comes from real runs of the command line: a script with a cache and
faults, then a server that speaks OpenAI's protocol, with one model of which no price is known and
one that does not report its usage. To write it anew: `python -m tests.test_example_ledger`.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from functools import reduce
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agentctl.listeners.ledger import LedgerFile, LedgerRecord, Totals
from tests.cli.parts import EXAMPLES, ROOT, Place
from tests.contracts.wire import Reply, Server, Turn, chat
from tests.test_ledger import Rows, ledger, row

EXAMPLE = ROOT / ".cost_history.example.json"
LEDGER_PAGE = ROOT / "docs" / "ledger.md"
COMMAND = "python -m tests.test_example_ledger"
TASKS = ("0m2k8d4a", "0m2k8e7c", "0m2k8fbn")
FIRST_RESERVE_MICROS = 20_000
COUNTS = {"input": 2_100, "read": 0, "write": 0, "output": 22, "thought": 0}
LIST = Turn(
    ["I look around."], [("call-1", "list_dir", ['{"path": "notes"}'])], stop="tools", counts=COUNTS
)
UNPRICED_END = Turn(["There are four notes."], counts={**COUNTS, "input": 2_190, "output": 8})
UNCOUNTED_END = Turn(["Four notes of a garden club."], counts=None)
PRICED = """
[prices."openai/local-coder"]
input = 0.5
output = 1.5
"""


def made(tmp: Path) -> bytes:
    """The file after three tasks, with fixed values for what differs from run to run."""
    place = Place(tmp)
    work = tmp / "examples"
    shutil.copytree(EXAMPLES, work)
    script = str(work / "scripted" / "ledger.yaml")
    ran = place.cli("run", "Which points are open?", "--script", script, cwd=work)
    assert ran.code == 0, ran.err
    place.user_file.write_text(PRICED, encoding="utf-8")
    _ask(place, work, "my-own-model", [LIST, UNPRICED_END], "--allow-unpriced")
    _ask(place, work, "local-coder", [LIST, UNCOUNTED_END])
    written = (place.home / ".cost_history.json").read_bytes()
    fixed = _fixed(msgspec.json.decode(written, type=LedgerFile))
    return msgspec.json.format(msgspec.json.encode(fixed), indent=1) + b"\n"


def _ask(place: Place, work: Path, model: str, turns: list[Turn], *flags: str) -> None:
    """A task on a local server whose answers are these."""
    replies = []
    for number, turn in enumerate(turns, 1):
        wire = b"".join(chat(turn)).replace(b"resp-1", b"chatcmpl-%d" % number)
        replies.append(Reply([wire.replace(b"answering-model", model.encode())]))
    with Server(*replies) as server:
        env = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "none"}
        words = ("What is in notes?", "--provider", "openai", "--model", model, *flags)
        ran = place.cli("run", *words, cwd=work, **env)
    assert ran.code == 0, ran.err


def _fixed(file: LedgerFile) -> LedgerFile:
    """The same file with fixed ids and times, and all of it within one hour."""
    names = dict(zip(dict.fromkeys(r.task_id for r in file.records), TASKS, strict=True))
    records = [_fixed_record(r, n, names[r.task_id]) for n, r in enumerate(file.records)]
    sums = reduce(Totals.plus, file.days.values())
    assert reduce(Totals.plus, file.hours.values()) == sums
    return LedgerFile(
        generated_at="2026-11-01T11:30:00.000Z",
        records=records,
        hours={"2026-11-01T11:00Z": sums},
        days={"2026-11-01": sums},
    )


def _fixed_record(record: LedgerRecord, number: int, task_id: str) -> LedgerRecord:
    reserve_micros = record.reserve_micros
    if record.call == 1 and reserve_micros is not None:
        # That of a first call is estimated from our own prompt, whose wording may change.
        reserve_micros = FIRST_RESERVE_MICROS
    return replace(
        record,
        task_id=task_id,
        at=f"2026-11-01T11:{number:02}:00.000Z",
        reserve_micros=reserve_micros,
    )


@pytest.fixture(scope="module")
def example() -> LedgerFile:
    return msgspec.json.decode(EXAMPLE.read_bytes(), type=LedgerFile)


def test_the_example_is_what_the_program_writes(tmp_path: Path) -> None:
    if EXAMPLE.read_bytes() != made(tmp_path):
        pytest.fail(f"{EXAMPLE.name} is stale. Write it anew with: {COMMAND}")


def test_it_shows_every_state_that_a_call_can_end_in(example: LedgerFile) -> None:
    states = {record.state for record in example.records}
    assert states == {"settled", "estimated", "unsettled", "free"}


def test_it_shows_a_cache_written_and_read(example: LedgerFile) -> None:
    settled = [record for record in example.records if record.state == "settled"]
    assert any(record.cache_write and not record.cache_read for record in settled)
    assert any(record.cache_read for record in settled)


def test_it_shows_calls_without_a_price_and_counts_them(example: LedgerFile) -> None:
    unpriced = [record for record in example.records if record.cost_micros is None]
    assert unpriced
    assert [day.unpriced for day in example.days.values()] == [len(unpriced)]


def test_its_sums_follow_from_its_records(example: LedgerFile) -> None:
    total = Totals()
    for record in example.records:
        may_be_more = record.state in ("open", "unsettled")
        cost_micros = record.cost_micros or 0
        total = total.plus(
            Totals(
                calls=1,
                unpriced=record.cost_micros is None,
                cost_micros=0 if may_be_more else cost_micros,
                open_micros=cost_micros if may_be_more else 0,
                tokens_processed=record.input - record.cache_read + record.output,
                tokens_total=record.input + record.output,
            )
        )
    assert list(example.hours.values()) == list(example.days.values()) == [total]


# --- the written promise ------------------------------------------------------------------------

FIRST_VERSION = """{"schema": 1, "generated_at": "2026-11-01T12:00:00.000Z", "records": [{"id": 1,
"task_id": "t1", "call": 1, "at": "2026-11-01T10:00:00.000Z", "provider": "anthropic", "model":
"claude-sonnet-5-5", "purpose": "step", "state": "settled", "input": 1200, "cache_read": 1000,
"cache_write": 100, "output": 80, "reasoning": 0, "cost_micros": 1350, "reserve_micros": null,
"prices": "{}", "response_id": "msg_01"}], "hours": {"2026-11-01T10:00Z": {"calls": 1, "unpriced":
0, "cost_micros": 1350, "open_micros": 0, "tokens_processed": 280, "tokens_total": 1280}}, "days":
{}}"""
"""A file as the first agentctl with schema 1 wrote it. Never change it: users' scripts read it."""


@pytest.mark.parametrize("added", ["", '"added later": [1],'])
def test_a_file_of_an_older_or_later_agentctl_of_the_same_schema_is_not_damaged(
    tmp_path: Path, added: str
) -> None:
    path = tmp_path / "costs.json"
    path.write_text(FIRST_VERSION.replace('"id": 1,', f'"id": 1,{added}'))
    ledger(path).close()
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_bytes())["records"][0]["account"] == "default"


def test_every_field_of_the_first_version_is_still_there_with_its_type() -> None:
    first, now = json.loads(FIRST_VERSION), json.loads(EXAMPLE.read_bytes())
    for old, new in (
        (first, now),
        (first["records"][0], now["records"][0]),
        (first["hours"].popitem()[1], now["hours"].popitem()[1]),
    ):
        kinds = {name: type(value) for name, value in old.items() if value is not None}
        assert {name: type(new[name]) for name in kinds} == kinds


def test_the_account_of_a_call_is_told(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    ledger(path, Rows([row(1, account="team")])).export()
    assert json.loads(path.read_bytes())["records"][0]["account"] == "team"


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("## The file", LedgerFile),
        ("## A record: one call to a model", LedgerRecord),
        ("## Sums of an hour or a day", Totals),
    ],
)
def test_the_docs_describe_every_field_and_no_other(
    heading: str, struct: type[msgspec.Struct]
) -> None:
    text = LEDGER_PAGE.read_text(encoding="utf-8")
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    named = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(named)) == list(struct.__struct_fields__)


def test_the_docs_name_every_state_of_a_call() -> None:
    text = LEDGER_PAGE.read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if line.startswith("| `state` |"))
    told = re.findall(r"\b([a-z]+):", line)
    assert told == ["open", "settled", "estimated", "unsettled", "free"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        EXAMPLE.write_bytes(made(Path(folder)))
