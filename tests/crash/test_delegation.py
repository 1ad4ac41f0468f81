"""A task and those that work for it, killed and stopped at random moments."""

import random
import signal
import subprocess

import pytest

from tests.cli.test_delegation import Family

LIMIT_MICROS = 200_000
KILLS = 6


@pytest.mark.parametrize("seed", range(3))
def test_however_often_it_is_killed_a_family_stays_within_its_limit(tmp_path, seed):
    rng = random.Random(seed)
    family = Family(tmp_path)
    step = {"usage": {"input": 1000, "output": 100}, "delay_ms": 60}
    act = {"calls": [family.shell("sleep 0.03")], **step}
    family.child_plays(act, act, {"text": "done", **step})
    family.parent_plays(family.asks("one", "two"), family.asks("three"))
    words = ("run", "the goal", "--script", str(family.script), "--delegate", "--approve", "auto",
             "--sandbox", "off", "--max-cost", str(LIMIT_MICROS / 1_000_000))  # fmt: skip
    for _ in range(KILLS):
        _cut(family, words, rng)
        if family.cli("list", "--json").json:
            assert _spent(family) <= LIMIT_MICROS
            words = ("resume", "@last", "--on-unknown", "rerun")
    family.cli(*words)  # nothing stops it any more, unless it is done already
    parent, children = family.tasks()
    assert parent["status"] == "done"
    assert [child["status"] for child in children] == ["done"] * 3, "one for each call"
    assert _spent(family) <= LIMIT_MICROS
    known = sum(event.get("child_cost_micros", 0) for event in family.events("ToolEnded"))
    assert known == sum(child["cost_micros"] for child in children)
    assert family.cli("costs", "check").code == 0


def _cut(family, words, rng):
    """Begin, and stop it in one of the ways in which it can be stopped."""
    process = subprocess.Popen(
        family.command(*words), cwd=family.work, env=family.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(rng.uniform(0.3, 1.2))
    except subprocess.TimeoutExpired:
        way = rng.random()
        if way < 0.15:
            family.cli("pause", "@last")
        else:
            process.send_signal(signal.SIGKILL if way < 0.8 else signal.SIGTERM)
    process.wait(30)


def _spent(family):
    return sum(row["cost_micros"] for row in family.cli("list", "--json").json)
