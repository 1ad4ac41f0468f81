"""Choosing the tasks of a list."""

from __future__ import annotations

from typing import Any

import pytest

from agentctl.core.events import Event, Finished, PauseRequested, TaskCreated
from agentctl.core.values import Limits
from agentctl.core.wanted import Wanted
from agentctl.store.sqlite import SqliteStore
from agentctl.store.task_queries import wanted
from tests.cli.parts import Place, Terminal

DAY_MS = 86_400_000


def created(goal: str, cwd: str = "/w", **more: Any) -> TaskCreated:
    return TaskCreated(goal, "", "p", "m", cwd, Limits(), **more)


def fill(place: Place, **tasks: tuple[TaskCreated, Event | None]) -> None:
    """Tasks by their ids, a millisecond apart; with what ended them, if anything did."""
    place.home.mkdir(exist_ok=True)
    store = SqliteStore(place.home / "agentctl.db")
    for at_ms, (task_id, (event, end)) in enumerate(tasks.items()):
        store.create(task_id, event, at_ms)
        if end is not None:
            store.append(task_id, None, [end], at_ms)
    store.close()


def ids(place: Place, *words: str) -> list[str]:
    ran = place.cli("list", "--json", *words)
    assert ran.code == 0, ran.err
    return [row["id"] for row in ran.json]


def test_the_status_that_is_asked_for_is_the_one_that_is_shown(place: Place) -> None:
    """What runs in no process is interrupted or paused, whatever stands in the database."""
    done, pause = Finished("done", ""), PauseRequested()
    fill(place, a=(created("x"), None), b=(created("x"), done), c=(created("x"), pause))
    assert ids(place, "--state", "interrupted") == ["a"]
    assert ids(place, "--state", "running") == []
    assert ids(place, "--state", "paused") == ["c"]
    assert ids(place, "--state", "done,paused", "--state", "interrupted") == ["c", "b", "a"]


def test_a_limit_counts_what_is_left_by_the_other_filters(place: Place) -> None:
    done = Finished("done", "")
    fill(place, a=(created("x"), None), b=(created("x"), done), c=(created("x"), done))
    assert ids(place, "--state", "interrupted", "--limit", "1") == ["a"]
    assert ids(place, "--limit", "2") == ["c", "b"]


def test_a_folder_has_the_tasks_that_work_there_and_below(place: Place) -> None:
    fill(
        place,
        a=(created("x", "/w/x"), None),
        b=(created("x", "/w/x/deep"), None),
        c=(created("x", "/w/xy"), None),
        d=(created("x", "/w/x-y"), None),
        e=(created("x", str(place.work)), None),
    )
    assert ids(place, "--dir", "/w/x") == ["b", "a"]
    assert ids(place, "--dir", ".") == ["e"]
    assert ids(place, "--dir", "/") == ["e", "d", "c", "b", "a"]
    assert ids(place, "--dir", "/w/xy", "--dir", ".") == ["e", "c"]


def test_words_are_taken_as_they_are_and_whatever_their_case(place: Place) -> None:
    fill(
        place,
        a=(created("Straße 100%"), None),
        b=(created("a_b"), None),
        c=(created("acb", name="Mend"), None),
    )
    assert ids(place, "--text", "STRASSE 100%") == ["a"]
    assert ids(place, "--text", "a_b") == ["b"]
    assert ids(place, "--text", "%") == ["a"]
    assert ids(place, "--text", "mend") == ["c"]
    assert ids(place, "--text", "' OR 1=1 --") == []


def test_words_are_found_in_the_whole_goal(place: Place) -> None:
    fill(place, a=(created("x" * 5000 + " needle"), None), b=(created("x" * 5000), None))
    assert ids(place, "--text", "NEEDLE") == ["a"]


def test_since_means_that_something_happened_to_it_then(place: Place) -> None:
    store = SqliteStore(place.home / "agentctl.db")
    store.create("a", created("x"), 0)
    store.create("b", created("x"), 0)
    store.append("b", None, [Finished("done", "")], 10 * DAY_MS)
    assert [row.id for row in wanted(store.connection, Wanted(since_ms=DAY_MS))] == ["b"]
    store.close()
    assert ids(place, "--since", "24h") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--state", "asleep"), "there is no status 'asleep'"),
        (("--since", "soon"), "'soon' is no day"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_what_makes_no_sense_is_refused(place: Place, words: tuple[str, ...], said: str) -> None:
    ran = place.cli("list", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_tasks_that_work_for_another_stand_below_it_in_their_own_order(place: Place) -> None:
    fill(
        place,
        a=(created("top"), None),
        b=(created("first", origin="child", parent="a"), None),
        c=(created("second", origin="child", parent="a"), None),
        d=(created("deep", origin="child", parent="b"), None),
        e=(created("again", origin="fork", parent="a"), None),
        f=(created("line", origin="batch", parent="B1", item=3), None),
    )
    lines = place.cli("list").out.splitlines()[2:]
    shown = [line.partition("interrupted")[0].rstrip() for line in lines]
    assert shown == ["f", "e", "a", "└ b", "  └ d", "└ c"]
    assert lines[0].endswith("[B1 #3] line")
    assert lines[1].endswith("[fork of a] again")


def test_a_child_whose_parent_is_not_in_the_list_says_whose_it_is(place: Place) -> None:
    done = Finished("done", "")
    fill(
        place,
        a=(created("top"), done),
        b=(created("work", origin="child", parent="a"), None),
    )
    assert "[child of a] work" in place.cli("list", "--state", "interrupted").out


def test_tasks_that_name_each_other_as_parents_are_shown_once(place: Place) -> None:
    """Such a log can only be imported; nothing here writes one."""
    fill(
        place,
        a=(created("x", origin="child", parent="b"), None),
        b=(created("y", origin="child", parent="a"), None),
    )
    assert place.cli("list").out.count("interrupted") == 2


def test_the_list_says_that_there_are_older_ones(place: Place) -> None:
    fill(place, a=(created("x"), None), b=(created("x"), None))
    ran = place.cli("list", "--limit", "1")
    assert "agentctl list --all" in ran.err
    assert place.cli("list", "--limit", "2").err == ""


def test_a_narrow_terminal_keeps_whole_numbers_and_the_goal(place: Place) -> None:
    fill(place, a=(created("a goal that says what it is about"), None))
    with Terminal(place, "list", columns=50) as terminal:
        assert terminal.end() == 0
    lines = [line for line in terminal.text.replace("\r", "").splitlines() if "goal" in line]
    assert "a goal that says" in lines[0]
    assert all(len(line) <= 60 for line in lines), "with its colours"


def test_what_is_no_text_finds_nothing(place: Place) -> None:
    """A shell passes any bytes on; Python has them as lone surrogates."""
    fill(place, a=(created("x"), None))
    for words in (("list", "--text", "\udcff"), ("list", "--dir", "\udcff")):
        ran = place.cli(*words, "--json")
        assert (ran.code, ran.out) == (0, "[]\n")
    assert place.cli("show", "\udcff").code == 2
