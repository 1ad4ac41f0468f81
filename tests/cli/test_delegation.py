"""Delegation, as users see it: real processes, a provider that plays files."""

import json
import signal
import subprocess
import time

import pytest

from tests.cli.parts import PATIENCE_S, Place, Terminal

RATES = {"input": 1, "output": 1}
USED = {"input": 1000, "output": 100}
"""$0.0011 a turn."""
HELPER = """\
---
name: helper
description: Works slowly
provider: scripted
model: {}
---
You help.
"""


class Family(Place):
    """A parent that delegates, and a child that waits for a file before it goes on."""

    def __init__(self, tmp):
        super().__init__(tmp)
        self.child_script = self.work / "child.json"
        self.agents = self.user_file.parent / "agents"
        self.agents.mkdir()
        (self.agents / "helper.md").write_text(HELPER.format(self.child_script))
        self.go = self.work / "go"
        self.begun = self.work / "begun"
        self.parent_plays(self.asks("one"))
        wait = f"echo x >> {self.begun}; while [ ! -e {self.go} ]; do sleep 0.05; done"
        self.child_plays({"calls": [self.shell(wait)], "usage": USED}, self.says("It is done."))

    @staticmethod
    def shell(command):
        return {"name": "run_shell", "arguments": {"command": command, "timeout_s": 60}}

    @staticmethod
    def says(text):
        return {"text": text, "usage": USED}

    @staticmethod
    def asks(*goals, **more):
        calls = [
            {"name": "delegate", "arguments": {"goal": goal, "agent": "helper", **more}}
            for goal in goals
        ]
        return {"calls": calls, "usage": USED}

    def parent_plays(self, *turns):
        self.turns(*turns, self.says("All is done."), rates=RATES)

    def child_plays(self, *turns):
        self.child_script.write_text(json.dumps({"turns": turns, "rates": RATES}))

    def delegating(self, *words):
        return self.run("the goal", "--delegate", "--approve", "auto", "--sandbox", "off", *words)

    def begin(self, *words):
        """Begin a run in the background, and wait until its child does something."""
        words = ("run", "the goal", "--script", str(self.script), "--delegate", "--approve", "auto",
                 "--sandbox", "off", *words)  # fmt: skip
        process = subprocess.Popen(
            self.command(*words), cwd=self.work, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.wait_for(self.begun.exists)
        return process

    @staticmethod
    def wait_for(condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)

    def tasks(self):
        """Parent and children, as the list has them."""
        rows = self.cli("list", "--json").json
        parents = [row for row in rows if row["origin"] != "child"]
        return parents[0], [row for row in rows if row["origin"] == "child"]


@pytest.fixture
def family(tmp_path):
    made = Family(tmp_path)
    made.go.touch()
    return made


@pytest.fixture
def slow(tmp_path):
    return Family(tmp_path)


def test_the_answer_of_a_child_is_the_result_and_its_cost_is_counted_once(family):
    ran = family.delegating("--json")
    result = ran.lines[-1]
    assert (ran.code, result["answer"]) == (0, "All is done.")
    assert (result["cost_micros"], result["children_cost_micros"]) == (2_200, 2_200)
    parent, (child,) = family.tasks()
    assert (parent["cost_micros"], child["cost_micros"]) == (2_200, 2_200)
    assert (child["parent"], child["status"], child["goal"]) == (parent["id"], "done", "one")
    (ended,) = family.events("ToolEnded")
    assert "It is done." in ended["text"]
    assert (ended["child"], ended["child_cost_micros"]) == (child["id"], 2_200)
    report = family.cli("costs", "report", "--json").json
    assert report["total"]["cost_micros"] == 4_400
    shown = family.cli("show", "@last")
    assert "$0.0022 + $0.0022 by others for it of $0.50" in shown.out
    assert f"{child['id']} (done, $0.0022)" in shown.out
    assert family.cli("show", "@last", "--json").json["children"] == [child["id"]]


def test_a_goal_of_a_batch_has_others_work_for_it_too(family):
    family.go.touch()
    (family.work / "goals.txt").write_text("the goal\n")
    words = ("--script", str(family.script), "--delegate", "--approve", "auto", "--sandbox", "off")
    ran = family.cli("batch", "goals.txt", *words)
    assert ran.code == 0, ran.err
    child, parent = family.cli("list", "--json").json
    assert (child["origin"], child["parent"], child["status"]) == ("child", parent["id"], "done")
    assert ran.lines[0]["children_cost_micros"] == child["cost_micros"] > 0


def test_a_child_makes_no_call_that_costs_credits_so_a_family_keeps_within_its_limit(family):
    family.user_file.write_text("[credits]\nrun_shell = 10\n")
    did = family.work / "did"
    family.child_plays({"calls": [family.shell(f"touch {did}")], "usage": USED}, family.says("Ok."))
    family.parent_plays(family.asks("one", "two"))
    assert family.delegating("--max-credits", "100").code == 0
    texts = [ended["text"] for ended in family.events("ToolEnded")]
    assert len(texts) == 2
    assert all("the next call costs 10 credits, and 0 are left" in text for text in texts), texts
    assert not did.exists()


def test_a_child_gets_its_agent_half_of_what_is_left_and_never_more_rights(family):
    family.parent_plays(family.asks("one", max_cost=0.01, max_steps=5))
    family.delegating("--max-cost", "0.1", "--deny", "read_file: .env")
    (start,) = family.events("ToolStarted")
    assert start["carved_micros"] == (100_000 - 1_100) // 2
    _, (child,) = family.tasks()
    (created,) = family.events("TaskCreated", child["id"])
    assert created["limits"]["task_cost_micros"] == 10_000
    assert created["limits"]["steps"] == 5
    assert created["agent"] == "helper"
    assert "You work as the agent helper:\nYou help." in created["system"]
    assert created["rules"][0]["pattern"] == ".env"
    assert created["sandbox"]["mode"] == "off"
    assert created["depth"] == 1
    assert "delegates" not in created


def test_a_family_is_replayed_without_its_children_at_work(family):
    family.parent_plays(family.asks("one", "two"), family.asks("three", max_cost=0.001))
    assert family.delegating().code == 0
    parent, children = family.tasks()
    for task in (parent, *children):
        ran = family.cli("replay", task["id"])
        assert ran.code == 0, ran.out
        assert "byte-identical" in ran.out
    assert len(family.tasks()[1]) == 3


def test_several_work_side_by_side(slow):
    slow.parent_plays(slow.asks("one", "two", "three"))
    process = slow.begin()
    slow.wait_for(lambda: slow.begun.read_text().count("x") == 3)
    slow.go.touch()
    assert process.wait(PATIENCE_S) == 0
    parent, children = slow.tasks()
    assert sorted(child["goal"] for child in children) == ["one", "three", "two"]
    assert parent["status"] == "done"
    assert sum(start["carved_micros"] for start in slow.events("ToolStarted")) <= 250_000


def test_a_child_that_reaches_its_limit_is_told_with_its_id_and_the_parent_goes_on(family):
    family.parent_plays(family.asks("one", max_cost=0.002))
    ran = family.delegating()
    assert ran.code == 0
    (ended,) = family.events("ToolEnded")
    _, (child,) = family.tasks()
    assert ended["status"] == "error"
    assert "It did not reach the goal: limit." in ended["text"]
    assert child["id"] in ended["text"]
    assert child["limit_micros"] == child["cost_micros"], "what it did not use is the parent's"


def test_an_agent_that_is_not_there_is_told_and_nothing_is_begun(family):
    family.parent_plays(
        {"calls": [{"name": "delegate", "arguments": {"goal": "x", "agent": "nobody"}}]}
    )
    assert family.delegating().code == 0
    (ended,) = family.events("ToolEnded")
    assert "There is no agent 'nobody'. There are: helper." in ended["text"]
    assert family.tasks()[1] == []


def test_an_agent_of_a_stranger_cannot_be_named_by_a_model(family):
    folder = family.work / ".agents"
    folder.mkdir()
    (folder / "theirs.md").write_text("---\nname: theirs\ndescription: x\n---\nObey me.")
    family.parent_plays(
        {"calls": [{"name": "delegate", "arguments": {"goal": "x", "agent": "theirs"}}]}
    )
    family.delegating()
    assert "There are: helper." in family.events("ToolEnded")[0]["text"]
    (created,) = family.events("TaskCreated")
    assert "- helper: Works slowly" in created["system"]
    assert "theirs" not in created["system"]


def test_without_delegate_the_tool_is_not_there(family):
    ran = family.run("x", "--approve", "auto")
    assert ran.code == 0
    assert family.events("ToolEnded")[0]["status"] == "invalid"


def test_delegation_goes_no_deeper_than_two(family):
    (family.agents / "helper.md").write_text(
        HELPER.format(family.script).replace("model:", "tools: delegate, run_shell\nmodel:")
    )
    assert family.delegating().code == 0
    _, children = family.tasks()
    assert len(children) == 2
    deepest = next(each for each in children if each["parent"] != family.tasks()[0]["id"])
    assert family.events("ToolEnded", deepest["id"])[0]["status"] == "invalid"


def test_after_a_kill_the_same_child_goes_on(slow):
    process = slow.begin()
    process.kill()
    process.wait()
    parent, (child,) = slow.tasks()
    assert (parent["status"], child["status"]) == ("interrupted", "interrupted")
    slow.go.touch()
    assert slow.cli("resume", "--all", "-q", "--on-unknown", "rerun").code == 0
    parent, (again,) = slow.tasks()
    assert (again["id"], again["status"], parent["status"]) == (child["id"], "done", "done")
    assert again["cost_micros"] == 2_200, "its answered call was not made again"


def test_a_child_that_ended_before_a_kill_just_gives_its_result(slow):
    """Its result is on disk in its own log before the parent has it in its."""
    process = slow.begin()
    process.kill()
    process.wait()
    _, (child,) = slow.tasks()
    slow.go.touch()
    assert slow.cli("resume", child["id"], "-q", "--on-unknown", "rerun").out == "It is done.\n"
    assert slow.cli("resume", "@last", "-q").code == 0
    _, (again,) = slow.tasks()
    assert again["steps"] == 2
    assert "It is done." in slow.events("ToolEnded")[0]["text"]


@pytest.mark.parametrize("now", [(), ("--now",)])
def test_a_pause_stops_the_child_first_and_a_resume_goes_on_with_it(slow, now):
    process = slow.begin()
    assert slow.cli("pause", "@last", *now).code == 0
    if not now:
        slow.go.touch()  # what runs is finished
    assert process.wait(PATIENCE_S) == 4
    parent, (child,) = slow.tasks()
    assert (parent["status"], child["status"]) == ("paused", "paused")
    slow.go.touch()
    assert slow.cli("resume", "@last", "-q").code == 0
    _, (again,) = slow.tasks()
    assert (again["id"], again["status"]) == (child["id"], "done")


def test_a_signal_pauses_both(slow):
    process = slow.begin()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 143
    parent, (child,) = slow.tasks()
    assert (parent["status"], child["status"]) == ("paused", "paused")


def test_to_cancel_a_task_cancels_what_works_for_it(slow):
    process = slow.begin()
    slow.cli("cancel", "@last")
    assert process.wait(PATIENCE_S) == 5
    parent, (child,) = slow.tasks()
    assert (parent["status"], child["status"]) == ("cancelled", "cancelled")


def test_to_cancel_a_paused_task_cancels_what_worked_for_it(slow):
    process = slow.begin()
    slow.cli("pause", "@last", "--now")
    process.wait(PATIENCE_S)
    slow.cli("cancel", "@last")
    parent, (child,) = slow.tasks()
    assert (parent["status"], child["status"]) == ("cancelled", "cancelled")


def test_to_pause_a_child_pauses_the_task_that_waits_for_it(slow):
    process = slow.begin()
    _, (child,) = slow.tasks()
    slow.cli("pause", child["id"], "--now")
    assert process.wait(PATIENCE_S) == 4
    shown = " ".join(slow.cli("show", "@last").out.split())
    assert f"by task {child['id']}, which works for it, was paused" in shown


def test_a_child_asks_by_its_parents_terminal_with_its_id(family):
    words = ("run", "goal", "--script", str(family.script), "--delegate", "--sandbox", "off")
    with Terminal(family, *words) as terminal:
        terminal.expect("The agent wants to call run_shell")
        _, (child,) = family.tasks()
        assert f"{child['id']} asks:" in terminal.text
        terminal.type("y\n")
        assert terminal.end() == 0
    assert family.tasks()[1][0]["status"] == "done"


def test_the_screen_shows_briefly_what_a_child_does(family):
    err = family.delegating().err
    _, (child,) = family.tasks()
    assert f"  {child['id']} begins as helper: one" in err
    assert f"  {child['id']} run_shell" in err
    assert f"  {child['id']} done: 2 steps, $0.0022" in err
