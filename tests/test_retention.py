"""`gc`: what is taken out of ended tasks, what stays, and that no sum changes by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentctl import retention
from agentctl.assembly import ledger
from agentctl.books.check import check
from agentctl.books.ledger import LedgerBook
from agentctl.books.rebuild import rebuild
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.change import Change
from agentctl.core.rows import StoredOutput
from agentctl.core.state import fold
from agentctl.core.values import Limits
from agentctl.reports.retention import retention_text
from agentctl.store import retention as queries
from agentctl.store.lease import Lease
from agentctl.store.sqlite import SqliteStore
from tests.book_parts import DAY, NOW, lived, opened, sql

LATE = NOW + 100 * DAY
OLD = 90 * DAY


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with opened(tmp_path, monkeypatch) as found:
        yield found


def begin(desk: Desk, task_id: str, at_ms: int = NOW, **changes: Any) -> None:
    created = e.TaskCreated(f"goal of {task_id}", "", "sim", "m", "/", Limits(), **changes)
    assert desk.store.create(task_id, created, at_ms)


def ref_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def act(desk: Desk, task_id: str, output: str, at_ms: int = NOW, key: str = "") -> None:
    """A tool of the task has said this, at length."""
    event = e.ToolEnded(
        "c1", "look", output[:5], output_ref=ref_of(output), output_bytes=9, lookup=key
    )
    outputs = [StoredOutput(ref_of(output), output)]
    desk.store.append(task_id, None, [event], at_ms, outputs=outputs)


def end(desk: Desk, task_id: str, at_ms: int = NOW, outcome: str = "done") -> None:
    desk.store.append(task_id, None, [e.Finished(outcome, "the answer")], at_ms)


def planned(desk: Desk, older_ms: int | None = OLD, most: int | None = None) -> list[str]:
    return [task.id for task in retention.plan(desk, LATE, older_ms, most).tasks]


def collect(desk: Desk, older_ms: int | None = OLD, most: int | None = None) -> list[str]:
    found = retention.plan(desk, LATE, older_ms, most)
    return [task.id for task in retention.apply(desk, found, LATE, lambda _line: None).tasks]


def stored(desk: Desk) -> set[str]:
    return {text for (text,) in sql(desk, "SELECT text FROM outputs")}


def test_a_plan_changes_nothing(desk: Desk) -> None:
    begin(desk, "a")
    act(desk, "a", "long")
    end(desk, "a")
    before = desk.store.read("a")
    assert planned(desk) == ["a"]
    assert desk.store.read("a") == before
    assert stored(desk) == {"long"}


def test_books_lists_and_ledger_are_the_same_before_and_after(desk: Desk, tmp_path: Path) -> None:
    lived(desk)
    end(desk, "task-a", NOW + 5_000)
    path = tmp_path / "ledger.json"
    ledger(desk, path).export()
    tables = ("tasks", "usage", "sums", "spend", "spend_hours", "offers", "violations", "pruned")
    before = {name: sql(desk, f"SELECT * FROM {name}") for name in tables}
    assert collect(desk) == ["task-a"]
    assert {name: sql(desk, f"SELECT * FROM {name}") for name in tables} == before
    assert check(desk, [LedgerBook(path)]).count == 0
    assert check(desk).calls == 5
    assert rebuild(desk).count == 0
    assert fold(desk.store.read("task-a")).removed is not None


def test_what_has_not_ended_or_not_long_ago_is_kept(desk: Desk) -> None:
    for task_id in ("running", "paused", "failed", "young", "old", "gone"):
        begin(desk, task_id)
    desk.store.append("paused", None, [e.Stopped("paused", "")], NOW)
    desk.store.append("failed", None, [e.Stopped("failed", "")], NOW)
    end(desk, "young", LATE - OLD + 1)
    end(desk, "old", LATE - OLD)
    end(desk, "gone", NOW, "cancelled")
    assert collect(desk) == ["gone", "old"]
    assert collect(desk) == []


def test_for_room_the_oldest_go_first_and_none_of_the_last_day(desk: Desk) -> None:
    for number, task_id in enumerate("abc"):
        begin(desk, task_id)
        act(desk, task_id, task_id * 100_000)
        end(desk, task_id, NOW + number)
    begin(desk, "new")
    act(desk, "new", "n" * 100_000)
    end(desk, "new", LATE - 1_000)
    used_bytes, _ = queries.pages(desk.store.connection)
    assert planned(desk, None, used_bytes - 150_000) == ["a", "b"]
    assert planned(desk, None, 0) == ["a", "b", "c"]
    assert planned(desk, None, used_bytes) == []


def test_a_batch_is_kept_while_an_item_of_it_has_not_ended(desk: Desk) -> None:
    for item in (1, 2):
        begin(desk, f"i{item}", origin="batch", parent="b1", item=item)
    end(desk, "i1")
    assert planned(desk) == []
    end(desk, "i2")
    assert planned(desk) == ["i1", "i2"]


def test_what_a_task_began_stays_as_long_as_the_task(desk: Desk) -> None:
    begin(desk, "top")
    begin(desk, "child", origin="child", parent="top")
    begin(desk, "grandchild", origin="child", parent="child")
    begin(desk, "fork", origin="fork", parent="top")
    for task_id in ("child", "grandchild", "fork"):
        end(desk, task_id)
    assert planned(desk) == ["fork"]
    end(desk, "top")
    assert set(planned(desk)) == {"top", "child", "grandchild", "fork"}


def test_an_output_stays_while_anybody_refers_to_it(desk: Desk) -> None:
    for task_id in ("a", "b"):
        begin(desk, task_id)
        act(desk, task_id, "shared")
    act(desk, "a", "own")
    end(desk, "a")
    found = retention.plan(desk, LATE, OLD, None)
    assert found.tasks[0].output_bytes == len("own")
    collect(desk)
    assert stored(desk) == {"shared"}


def test_what_a_file_held_stays_as_long_as_a_task_that_changed_it(desk: Desk) -> None:
    for task_id, before, after in (("a", "one", "two"), ("b", "two", "three")):
        begin(desk, task_id)
        old, new = ref_of(before), ref_of(after)
        changes = (Change("f", old, new), Change("new", "", new))
        event = e.ToolEnded("c1", "write_file", "", changes=changes)
        outputs = [StoredOutput(ref_of(text), text) for text in (before, after)]
        desk.store.append(task_id, None, [event], NOW, outputs=outputs)
    end(desk, "a")
    collect(desk)
    assert stored(desk) == {"two", "three"}


def test_an_output_that_is_referred_to_at_the_last_moment_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process refers to what nothing had referred to when the log was read."""
    begin(desk, "live")
    for text in ("wanted", "unwanted"):
        desk.store.connection.execute("INSERT INTO outputs VALUES (?, ?)", (ref_of(text), text))
    usual = retention.writing

    def later(db: Any) -> Any:
        other = SqliteStore(desk.store.path)
        event = e.ToolEnded("c1", "look", "", output_ref=ref_of("wanted"), output_bytes=6)
        other.append("live", None, [event], LATE)
        other.close()
        return usual(db)

    monkeypatch.setattr(retention, "writing", later)
    collect(desk)
    assert stored(desk) == {"wanted"}


def test_an_output_stays_that_is_named_anywhere_in_a_log_or_in_a_way_unknown_here(
    desk: Desk,
) -> None:
    begin(desk, "a")
    for ref in (ref_of("named"), ref_of("lost"), "odd-name"):
        desk.store.connection.execute("INSERT INTO outputs VALUES (?, ?)", (ref, ref))
    note = e.ToolNote("a", f'{{"x": ["{ref_of("named")}"]}}')
    desk.store.append("a", None, [note], NOW)
    collect(desk)
    assert stored(desk) == {ref_of("named"), "odd-name"}


def test_what_it_printed_beside_the_database_goes_too(desk: Desk) -> None:
    for folder in ("logs", "live"):
        (desk.home / folder).mkdir()
        for task_id in ("a", "ab"):
            (desk.home / folder / f"{task_id}.log").write_text("words")
    begin(desk, "a")
    end(desk, "a")
    assert retention.plan(desk, LATE, OLD, None).tasks[0].file_bytes == 10
    collect(desk)
    assert sorted(path.name for path in desk.home.glob("l*/a*")) == ["ab.log", "ab.log"]


def test_what_it_looked_up_is_not_given_again(desk: Desk) -> None:
    begin(desk, "a")
    act(desk, "a", "page", key="hash")
    end(desk, "a")
    assert desk.store.looked_up("hash") is not None
    collect(desk)
    assert desk.store.looked_up("hash") is None


def test_a_task_that_somebody_holds_is_left_alone(desk: Desk) -> None:
    begin(desk, "a")
    end(desk, "a")
    held = Lease(desk.locks, "a")
    assert collect(desk) == []
    held.release()
    assert collect(desk) == ["a"]


def test_a_failure_in_the_middle_leaves_a_task_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(desk, "a")
    act(desk, "a", "long", key="hash")
    end(desk, "a")
    before = desk.store.read("a")
    usual = queries.rewrite

    def half(db: Any, number: int, kept: Any) -> None:
        usual(db, number, kept[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(queries, "rewrite", half)
    with pytest.raises(Exception, match="No space left"):
        collect(desk)
    assert desk.store.read("a") == before
    assert desk.store.looked_up("hash") is not None


def test_the_file_is_made_smaller_where_nobody_else_has_it_open(desk: Desk) -> None:
    begin(desk, "a")
    act(desk, "a", "x" * 1_000_000)
    end(desk, "a")
    found = retention.plan(desk, LATE, OLD, None)
    done = retention.apply(desk, found, LATE, lambda _line: None)
    assert done.after_bytes < found.used_bytes + found.free_bytes - 900_000


@pytest.mark.parametrize("width", [80, 50])
def test_its_lines_fit_the_width(desk: Desk, width: int) -> None:
    begin(desk, "a")
    end(desk, "a")
    text = retention_text(retention.plan(desk, LATE, OLD, None), ["2026-11-01"], width)
    assert max(map(len, text.splitlines())) <= width
    assert "Nothing was changed" in " ".join(text.split())
