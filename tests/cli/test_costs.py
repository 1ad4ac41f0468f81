"""costs report and costs show, as they are typed."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from agentctl.reports.costs import KINDS
from tests.cli.parts import Place

PRICES = {"input": 2, "output": 10, "cache_read": 0.2, "cache_write": 2.5}
USED = {"input": 10_000, "cache_read": 5_000, "cache_write": 1_000, "output": 500}


@pytest.fixture
def used(place: Place) -> Place:
    """A place in which one task has made two calls."""
    look = {"name": "list_files", "arguments": {}}
    place.turns({"text": "a", "calls": [look], "usage": USED}, {"text": "b", "usage": USED},
                rates=PRICES)  # fmt: skip
    ran = place.run("the goal", "--name", "=first")
    assert ran.code == 0, ran.err
    return place


@pytest.mark.parametrize("by", KINDS)
def test_every_kind_of_report_has_the_same_total(used: Place, by: str) -> None:
    total = used.cli("costs", "report", "--by", by, "--json").json["total"]
    assert (total["calls"], total["cost_micros"]) == (2, 2 * 16_500)
    shown = used.cli("costs", "report", "--by", by)
    assert shown.code == 0
    assert "$0.03" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "\x1b" not in shown.out


def test_forms_are_told_apart_and_exclude_each_other(used: Place) -> None:
    assert used.cli("costs", "report", "--csv").out.startswith("day,calls,")
    assert used.cli("costs", "report", "--by", "task", "--csv").out.count("'=first") == 1
    assert used.cli("costs", "report", "--markdown").out.startswith("| day | calls |")
    assert len(used.cli("costs", "report", "--compact").out.splitlines()) == 5
    ran = used.cli("costs", "report", "--csv", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "--json and --csv exclude each other" in ran.err
    assert used.cli("costs", "report", "--by", "tool", "--csv").code == 2


def test_a_breakdown_has_the_models_of_each_line(used: Place) -> None:
    (line,) = used.cli("costs", "report", "--breakdown", "--json").json["lines"]
    assert [part["key"] for part in line["parts"]] == ["scripted/script"]
    assert "  scripted/script" in used.cli("costs", "report", "--breakdown").out


def test_a_period_and_a_zone_are_named_in_the_report(used: Place) -> None:
    shown = used.cli("costs", "report", "--since", "2d", "--timezone", "Pacific/Kiritimati").out
    assert "Pacific/Kiritimati" in shown
    assert "since 20" in shown
    none = used.cli("costs", "report", "--until", "2001-02-03")
    assert none.out == "No model call was made in this period: until 2001-02-03.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by", "moon"), "--by: 'moon' is none of day, week"),
        (("--since", "soon"), "--since: 'soon' is no day"),
        (("--until", "2026-02-30"), "--until: '2026-02-30' is no day"),
        (("--since", "today", "--until", "yesterday"), "is after --until"),
        (("--timezone", "Mars/Olympus"), "no time zone 'Mars/Olympus'"),
        (("--timezone", "../../etc/passwd"), "no time zone"),
        (("--timezone", "Europe"), "no time zone"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    place: Place, words: tuple[str, ...], said: str
) -> None:
    ran = place.cli("costs", "report", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())


def test_a_stream_of_ascii_gets_ascii(used: Place) -> None:
    shown = used.cli("costs", "report", PYTHONIOENCODING="ascii")
    assert shown.code == 0
    assert shown.out.isascii()


def test_a_narrow_terminal_gets_a_narrow_report(used: Place) -> None:
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            used.command("costs", "report"), env={**used.env, "COLUMNS": "30"}, cwd=used.work,
            stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, timeout=30, check=False,
        )  # fmt: skip
        shown = os.read(master, 65_536).decode()
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 0, done.stderr
    assert max(map(len, shown.split("\r\n"))) <= 30
    assert "$0.03" in shown


def test_a_task_is_shown_call_by_call(used: Place) -> None:
    shown = used.cli("costs", "show", "@last").out
    assert [line.split()[0] for line in shown.splitlines()[4:6]] == ["1", "2"]
    assert "$0.03" in shown
    data = used.cli("costs", "show", "@last", "--json").json
    assert [call["cost_micros"] for call in data["calls"]] == [16_500, 16_500]
    assert data["total"]["cost_micros"] == 33_000
    assert json.loads(data["calls"][0]["prices"])["input"] == 2_000_000
    assert used.cli("costs", "show", "nothing").code == 2
