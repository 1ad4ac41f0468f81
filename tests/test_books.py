"""The books: whatever differs from the log is named, and a rebuild puts it right."""

import json
import os

import pytest

from agentctl.assembly import ledger
from agentctl.books.check import check
from agentctl.books.ledger import LedgerBook
from agentctl.books.rebuild import rebuild
from agentctl.core import events as e
from agentctl.errors import StoreError, TaskBusy
from agentctl.reports.books import check_json, check_text
from agentctl.store.lease import Lease
from tests.book_parts import (
    DAY,
    NOW,
    answer,
    ask,
    begin,
    lived,
    opened,
    said,
    sql,
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    with opened(tmp_path, monkeypatch) as desk:
        yield desk


# --- the tables ----------------------------------------------------------------------------------


def test_books_that_were_kept_properly_agree(desk):
    lived(desk)
    found = check(desk)
    assert (said(found), found.pending, found.notes) == ([], [], [])
    assert (found.calls, found.tasks) == (5, 2)


def test_a_state_home_without_calls_agrees(desk):
    assert check(desk).count == 0


DAMAGES = {
    "UPDATE usage SET output = 81 WHERE call = 1 AND task = 1":
        ["usage: call 1 of task task-a, output: the log says 80, the table 81"],
    "UPDATE usage SET cost_micros = 1351 WHERE response_id = 'msg_1'":
        ["usage: call 1 of task task-a, cost: the log says $0.001350, the table $0.001351"],
    "UPDATE usage SET cost_micros = 0 WHERE task = 2":
        ["usage: call 1 of task task-b, cost: the log says unpriced, the table $0.000000"],
    "UPDATE usage SET state = 'free' WHERE call = 3":
        ["usage: call 3 of task task-a, state: the log says unsettled, the table free"],
    "UPDATE usage SET cost_micros = 1.5 WHERE call = 1 AND task = 1":
        ["usage: call 1 of task task-a, cost: the log says $0.001350, the table 1.5"],
    "UPDATE usage SET output = x'ff' WHERE call = 1 AND task = 1":
        ["usage: call 1 of task task-a, output: the log says 80, the table b'\\xff'"],
    "UPDATE spend_hours SET micros = 7 WHERE hour = 1793534400000 / 3600000":
        ["spend: hour 2026-11-01 12:00Z, spent: the log says $0.052349, the table $0.000007"],
    "DELETE FROM usage WHERE call = 2":
        ["usage: call 2 of task task-a (in the log, not in the table)"],
    "INSERT INTO usage SELECT NULL, task, 9, at_ms, offer, purpose, state, input, cache_read,"
    " cache_write, output, reasoning, reserve_micros, cost_micros, response_id FROM usage LIMIT 1":
        ["usage: call 9 of task task-a (in the table, not in the log)"],
    "INSERT INTO usage SELECT NULL, task, call, at_ms, offer, purpose, state, input, cache_read,"
    " cache_write, output, reasoning, reserve_micros, cost_micros, response_id FROM usage LIMIT 1":
        ["usage: call 1 of task task-a (twice in the table)"],
    "INSERT INTO usage SELECT NULL, 77, call, at_ms, offer, purpose, state, input, cache_read,"
    " cache_write, output, reasoning, reserve_micros, cost_micros, response_id FROM usage LIMIT 1":
        ["usage: call 1 of task number 77 (in the table, not in the log)"],
    "UPDATE tasks SET account = 'other' WHERE no = 1":
        ["tasks: task task-a, account: the log says default, the table other"],
    "INSERT INTO pruned VALUES (1, 1994720, 1, 1, 999999)":
        ["pruned: task task-a, saved: the log says $0.000000, the table $0.999999"],
    "UPDATE tasks SET cost_micros = 1 WHERE no = 1":
        ["tasks: task task-a, cost: the log says $0.052349, the table $0.000001"],
    "UPDATE tasks SET steps = 7, unpriced = 0 WHERE no = 2":
        ["tasks: task task-b, steps: the log says 1, the table 7",
         "tasks: task task-b, unpriced: the log says 1, the table 0"],
    "UPDATE sums SET input = input + 1 WHERE task = 2":
        ["sums: 2026-11-02 12:00Z, task number 2, openai/own-model, input: the log says 20, "
         "the table 21"],
    "DELETE FROM sums WHERE task = 2":
        ["sums: 2026-11-02 12:00Z, task number 2, openai/own-model (in the log, not in the table)"],
    "INSERT INTO sums SELECT quarter + 1, task, offer, 1, 0, 0, 0, 0, 0, 0, 0, 0 FROM sums"
    " WHERE task = 2":
        ["sums: 2026-11-02 12:15Z, task number 2, openai/own-model (in the table, not in the log)"],
    "UPDATE spend SET micros = 7":
        ["spend: minute 2026-11-01 12:00Z, spent: the log says $0.052349, the table $0.000007"],
    "INSERT INTO spend VALUES (9, 5)":
        ["spend: minute 1970-01-01 00:09Z, spent: the log says $0.000000, the table $0.000005"],
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named_and_put_right(desk, damage):
    lived(desk)
    before = [sql(desk, f"SELECT * FROM {t}") for t in ("usage", "sums", "spend", "tasks")]
    sql(desk, damage)
    assert said(check(desk)) == DAMAGES[damage]
    assert said(rebuild(desk, dry_run=True)) == DAMAGES[damage]
    assert said(check(desk)) == DAMAGES[damage], "a dry run writes nothing"
    assert said(rebuild(desk)) == DAMAGES[damage]
    after = [sql(desk, f"SELECT * FROM {t}") for t in ("usage", "sums", "spend", "tasks")]
    assert after == before, "ids too"


def test_everything_can_be_lost_but_the_log(desk):
    lived(desk)
    before = [sql(desk, f"SELECT * FROM {t}") for t in ("sums", "spend", "tasks")]
    calls = sql(desk, "SELECT id, task, call, cost_micros FROM usage")
    for table in ("usage", "sums", "spend", "offers"):
        sql(desk, f"DELETE FROM {table}")
    rebuild(desk)
    assert sql(desk, "SELECT id, task, call, cost_micros FROM usage") == calls
    assert [len(sql(desk, f"SELECT * FROM {t}")) for t in ("sums", "spend", "tasks")] == [
        len(rows) for rows in before
    ]
    assert check(desk).count == 0


def test_calls_that_find_no_room_between_others_are_numbered_anew(desk):
    """Their order is what the newest calls are found by."""
    lived(desk)
    sql(desk, "DELETE FROM usage WHERE call = 2")
    sql(desk, "UPDATE usage SET id = 2 WHERE call = 3")
    rebuild(desk)
    order = sql(desk, "SELECT task, call FROM usage ORDER BY id")
    assert order == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]


def test_books_agree_after_a_provider_was_switched(desk):
    """Prices of the provider before are not those of the one after."""
    begin(desk, "task-a")
    ask(desk, "task-a", 1)
    answer(desk, "task-a")
    desk.store.append("task-a", None, [e.Switched("openai", "gpt", "circuit")], NOW + 600)
    ask(desk, "task-a", 2, NOW + 700, provider="openai", model="gpt")
    answer(desk, "task-a", NOW + 800, prices="")
    assert check(desk).count == 0
    assert sql(desk, "SELECT prices FROM usage JOIN offers ON offers.id = offer")[1] == ("",)


def test_an_event_that_cannot_be_read_is_named_and_stops_a_rebuild(desk):
    lived(desk)
    sql(desk, "UPDATE events SET body = '{\"oops\": 1}' WHERE pos = (1 << 32) + 2")
    found = said(check(desk))
    assert found[0].startswith("log: task number 1 (event 2 cannot be read: ")
    before = sql(desk, "SELECT * FROM usage")
    with pytest.raises(StoreError, match="event 2 cannot be read"):
        rebuild(desk)
    assert sql(desk, "SELECT * FROM usage") == before


def test_a_log_that_lacks_an_event_is_named_and_stops_a_rebuild(desk):
    lived(desk)
    sql(desk, "DELETE FROM events WHERE kind = 'ModelAnswered' AND pos = (1 << 32 | 2)")
    assert said(check(desk))[0] == "log: task number 1 (it lacks events)"
    before = sql(desk, "SELECT * FROM usage")
    with pytest.raises(StoreError, match="cannot be followed"):
        rebuild(desk)
    assert sql(desk, "SELECT * FROM usage") == before


def test_an_answer_without_a_call_is_named(desk):
    lived(desk)
    sql(desk, "DELETE FROM events WHERE pos = (1 << 32) + 1")
    found = said(check(desk))
    assert "log: task number 1 (ModelAnswered without a call that waits for it)" in found


def test_many_differences_are_counted_when_they_are_too_many_to_list(desk, monkeypatch):
    monkeypatch.setattr("agentctl.books.check.LISTED_MAX", 2)
    lived(desk)
    sql(desk, "DELETE FROM usage")
    found = check(desk)
    assert (len(found.differences), found.more, found.count) == (2, 3, 5)
    assert "and 3 more" in check_text(found, 80)


# --- open calls ----------------------------------------------------------------------------------


def test_an_open_call_of_a_live_process_is_no_difference(desk):
    lived(desk)
    begin(desk, "task-c")
    held = Lease(desk.locks, "task-c")
    ask(desk, "task-c", 1)
    found = check(desk)
    held.release()
    assert found.count == 0
    assert "open: call 1 of task task-c (anthropic/" in check_text(found, 200)
    assert "at most $0.05" in check_text(found, 200)
    assert [each["call"] for each in check_json(found)["open"]] == [1]


def test_an_open_call_of_a_dead_process_is_unsettled(desk):
    begin(desk, "task-c")
    ask(desk, "task-c", 1)
    found = check(desk)
    assert found.count == 0
    assert check_text(found, 200).startswith("unsettled: call 1 of task task-c")
    assert [each["at_most_micros"] for each in check_json(found)["unsettled"]] == [50_000]
    assert check_json(found)["open"] == []


def test_a_rebuild_waits_for_tasks_that_are_driven_only_if_something_differs(desk):
    lived(desk)
    begin(desk, "task-c")
    held = Lease(desk.locks, "task-c")
    assert rebuild(desk).count == 0
    sql(desk, "UPDATE usage SET output = 81 WHERE call = 1")
    with pytest.raises(TaskBusy, match="task-c is being driven"):
        rebuild(desk)
    assert rebuild(desk, dry_run=True).count
    held.release()
    rebuild(desk)
    assert check(desk).count == 0


# --- the ledger file -----------------------------------------------------------------------------


@pytest.fixture
def path(desk):
    return desk.home / ".cost_history.json"


def with_file(desk, path):
    return check(desk, [LedgerBook(path)])


def change(path, make):
    file = json.loads(path.read_bytes())
    make(file)
    path.write_text(json.dumps(file), encoding="utf-8")


def test_a_fresh_ledger_file_agrees(desk, path):
    lived(desk)
    ledger(desk, path).export()
    found = with_file(desk, path)
    assert (said(found), found.notes) == ([], [])


def set_cost(file):
    file["records"][0]["cost_micros"] = 1


def drop_record(file):
    del file["records"][1]


def add_record(file):
    file["records"].append({**file["records"][0], "task_id": "task-z"})


def double_record(file):
    file["records"].append(file["records"][0])


def set_last_cost(file):
    file["records"][-1]["output"] = 6
    file["generated_at"] = "2020-01-01T00:00:00.000Z"


def set_day(file):
    file["days"]["2026-11-02"]["calls"] = 9


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (set_cost, "ledger: call 1 of task task-a, cost: ours $0.001350, the file $0.000001"),
        (drop_record, "ledger: call 2 of task task-a (in the log, not in the file)"),
        (add_record, "ledger: call 1 of task task-z (in the file, not in the log)"),
        (double_record, "ledger: call 1 of task task-a (twice in the file)"),
        (set_last_cost, "ledger: call 1 of task task-b, output: ours 5, the file 6"),
        (set_day, "ledger: day 2026-11-02, calls: ours 1, the file 9"),
    ],
)
def test_what_the_ledger_file_says_wrongly_is_named(desk, path, make, expected):
    lived(desk)
    ledger(desk, path).export()
    change(path, make)
    assert said(with_file(desk, path)) == [expected]


def test_sums_are_compared_up_to_the_last_call_where_the_file_lacks_none(desk, path, monkeypatch):
    lived(desk)
    monkeypatch.setattr("agentctl.assembly.now_ms", lambda: NOW + DAY + 20)
    ledger(desk, path).export()
    change(path, set_day)
    assert said(with_file(desk, path)) == ["ledger: day 2026-11-02, calls: ours 1, the file 9"]


def test_a_ledger_file_older_than_the_last_call_is_behind_not_wrong(desk, path, monkeypatch):
    lived(desk)
    begin(desk, "task-c", NOW + 2 * DAY)
    ask(desk, "task-c", 1, NOW + 2 * DAY)
    monkeypatch.setattr("agentctl.assembly.now_ms", lambda: NOW + 2 * DAY)
    ledger(desk, path).export()
    answer(desk, "task-c", NOW + 2 * DAY + 400)
    ask(desk, "task-c", 2, NOW + 2 * DAY + 500)
    found = with_file(desk, path)
    assert said(found) == []
    (note,) = found.notes
    assert "is older than the log: 1 call changed and 1 call made since" in note


def test_an_old_record_is_wrong_whatever_came_later(desk, path):
    lived(desk)
    ledger(desk, path).export()
    change(path, set_cost)
    ask(desk, "task-b", 2, NOW + 400 * DAY)
    found = with_file(desk, path)
    assert [each.what for each in found.differences] == ["call 1 of task task-a"]


def test_a_pipe_or_device_in_its_place_is_neither_read_nor_replaced(desk, path):
    os.mkfifo(path)
    with pytest.raises(StoreError, match="not a file"):
        ledger(desk, path).export()
    with pytest.raises(StoreError, match="not a file"):
        LedgerBook(path)
    assert path.is_fifo()


def test_a_ledger_file_that_is_not_there_is_no_difference(desk, path):
    lived(desk)
    found = with_file(desk, path)
    assert found.count == 0
    assert found.notes == [
        "there is no .cost_history.json: the next run, or costs rebuild, writes it"
    ]


@pytest.mark.parametrize("text", ["", "{", '{"schema": 2}', '{"schema":1}', "[" * 100_000])
def test_a_damaged_ledger_file_is_named(desk, path, text):
    lived(desk)
    path.write_text(text, encoding="utf-8")
    (found,) = with_file(desk, path).differences
    assert (found.book, found.what) == ("ledger", ".cost_history.json")


def test_no_line_is_wider_than_the_terminal(desk):
    lived(desk)
    sql(desk, "DELETE FROM usage")
    lines = check_text(check(desk), 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert check_text(check(desk), 40, plain=True).isascii()
