"""What tools' outputs cost as input: split by what was sent, exact to the micro-dollar."""

import random

import pytest

from agentctl.control import Desk
from agentctl.core import context
from agentctl.core import events as e
from agentctl.core.state import fold
from agentctl.core.tool_costs import Tally, _Context, split
from agentctl.core.values import ContextPolicy, Limits, Message, Rates, ToolCall, Usage
from agentctl.cost_lines import cost_report, tool_report
from agentctl.pricing import cost_of, note_of
from agentctl.reports.tool_costs import ToolReport, as_json, text

RATES = Rates(input=2_000_000, cache_read=200_000, cache_write=2_500_000, output=10_000_000)
FREE_OUTPUT = Rates(input=1_000_000, cache_read=1_000_000, cache_write=1_000_000)


class Log:
    """A task's log, event by event; a minute passes with each call of the model."""

    def __init__(self, goal="g" * 100, system="", policy=ContextPolicy()):  # noqa: B008 - frozen
        self.records = []
        self.calls = self.at_ms = 0
        self.say(
            e.TaskCreated(goal, system, "p", "m", "/", Limits(), context=policy, approve="auto")
        )

    def say(self, *events):
        for event in events:
            self.records.append(e.Recorded(len(self.records), self.at_ms, event))

    def ask(self):
        self.calls += 1
        self.at_ms += 60_000
        self.say(e.ModelAsked(self.calls, "p", "m", 5_000, 100, 50))

    def answer(self, usage, *tools, rates=FREE_OUTPUT, said=""):
        """A call of the model that asks for these tools."""
        self.ask()
        calls = tuple(ToolCall(f"c{n}", name) for n, name in enumerate(tools))
        cost = cost_of(rates, usage) if rates else None
        note = note_of(rates) if rates else '{"source":"unpriced"}'
        message = Message("assistant", said, calls)
        self.say(e.ModelAnswered(message, usage, "tools" if tools else "end", cost, 1, note))

    def ended(self, number, tool, size):
        self.say(e.ToolEnded(f"c{number}", tool, "x" * size))

    def costs(self, *period):
        tally = Tally(*period)
        tally.add(self.records)
        return {cost.key: cost.cost_micros for cost in tally.costs()}


def test_an_output_costs_from_the_call_after_it_and_in_every_later_one():
    log = Log(goal="g" * 96)
    log.answer(Usage(100), "read")  # "read" and "{}" are 6 bytes of the conversation
    log.ended(0, "read", 306)
    log.answer(Usage(408), "grep")
    log.ended(0, "grep", 408 - 6)
    log.answer(Usage(816))
    assert log.costs() == {
        "read": 306 + 306,
        "grep": 402,
        "conversation": 100 + 102 + 108,
        "answers": 0,
    }


def test_the_output_of_the_model_is_apart_and_the_sum_is_the_bill():
    log = Log()
    log.answer(Usage(1_001, 300, 77, 333), "read", rates=RATES)
    log.ended(0, "read", 1_234)
    log.answer(Usage(2_003, 900, 7, 41), rates=RATES)
    costs = log.costs()
    bill = sum(cost_of(RATES, u) for u in (Usage(1_001, 300, 77, 333), Usage(2_003, 900, 7, 41)))
    assert sum(costs.values()) == bill
    assert costs["answers"] == 3_330 + 410


def test_a_masked_output_weighs_its_stub_and_a_dropped_one_nothing():
    log = Log(goal="", policy=ContextPolicy(keep_assistant=1))
    log.answer(Usage(10), "read")
    log.ended(0, "read", 10_000)
    stub = context.size_bytes(context.stub(Message("tool", "x" * 10_000, call_id="c0")))
    log.say(e.ContextPruned(3, 0, ""))
    log.answer(Usage(6 + stub))
    assert log.costs()["read"] == stub
    log.say(e.ContextPruned(3, 3, ""))
    before = log.costs()["read"]
    log.answer(Usage(100_000))
    assert log.costs()["read"] == before


def test_what_is_weighed_is_what_is_sent_through_any_number_of_prunes():
    dice = random.Random(3)
    policy = ContextPolicy(max_tokens=2_000, keep_user=1, keep_assistant=2)
    log = Log(system="s" * 77, policy=policy)
    for turn in range(120):
        tools = [dice.choice(("read", "grep", "shell")) for _ in range(dice.randrange(3))]
        log.answer(Usage(10), *tools, said="" if dice.random() < 0.2 else "said")
        for number, tool in enumerate(tools):
            log.ended(number, tool, dice.randrange(600))
        if turn % 12 == 11:
            state = fold(log.records)
            old = list(context.turns(state.messages, 0, len(state.messages) - 6))
            mask, drop, args = sorted(dice.choice(old)[0] for _ in range(3))
            kept = [index for span in dice.sample(old, 3) for index in range(*span)]
            log.say(e.ContextPruned(mask, drop, "", args, tuple(sorted(kept)), "a note" * turn))
    assert sum(isinstance(record.event, e.ContextPruned) for record in log.records) > 5
    task = None
    for record in log.records:
        task = _Context(record.event) if task is None else task
        task.follow(record)
        held = task.conversation_bytes + sum(task.tool_bytes.values())
        assert held == task.state.sent_bytes + 77


def test_only_calls_asked_and_outputs_ended_in_the_period_count():
    log = Log()
    log.answer(Usage(1_000), "read")
    log.ended(0, "read", 900)
    log.answer(Usage(1_000))
    whole, late = log.costs(), log.costs(120_000)
    assert late["read"] == whole["read"] > 0
    assert late["conversation"] == whole["conversation"] - 1_000
    assert log.costs(0, 120_000) == {"read": 0, "conversation": 1_000, "answers": 0}
    tally = Tally(120_000)
    tally.add(log.records)
    assert (tally.costs()[0].results, tally.costs()[0].bytes) == (0, 0)


def test_what_has_no_price_or_no_answer_is_counted_and_not_split():
    log = Log()
    log.answer(Usage(1_000), rates=None)
    log.ask()
    log.say(e.ModelFailed("cut", "", retriable=True, charged_micros=5_000, charged_tokens=1))
    log.ask()
    tally = Tally()
    tally.add(log.records)
    assert (tally.calls, tally.unpriced, tally.open_micros) == (3, 1, 10_000)
    assert {cost.cost_micros for cost in tally.costs()} == {0}


def test_a_call_without_an_answer_and_without_a_price_is_unpriced_not_free():
    log = Log()
    log.ask()
    log.say(e.ModelFailed("cut", "", retriable=True, charged_micros=None, charged_tokens=9))
    log.calls += 1
    log.say(e.ModelAsked(log.calls, "p", "m", None, 100, 50))
    tally = Tally()
    tally.add(log.records)
    assert (tally.calls, tally.unpriced, tally.open_micros) == (2, 2, 0)
    shown = text(ToolReport(tuple(tally.costs()), 2, 2, 0), "", 80)
    assert "? 2 of 2 calls unpriced: not in the cost" in shown


def test_a_tool_may_have_any_name():
    log = Log()
    log.answer(Usage(1_000), "answers", "conversation")
    log.ended(0, "answers", 500)
    log.ended(1, "conversation", 500)
    log.answer(Usage(1_000))
    tally = Tally()
    tally.add(log.records)
    assert [(cost.key, cost.kind) for cost in tally.costs()] == [
        ("answers", "tool"),
        ("conversation", "tool"),
        ("conversation", "conversation"),
        ("answers", "answers"),
    ]
    assert all(cost.cost_micros for cost in tally.costs()[:2])


def test_parts_add_up_exactly_and_none_is_off_by_more_than_one():
    dice = random.Random(5)
    for _ in range(2_000):
        weights = {str(n): dice.choice((0, 1, 3, dice.randrange(10**6))) for n in range(5)}
        amount = dice.randrange(10 ** dice.randrange(1, 9))
        parts = split(amount, weights)
        assert sum(parts.values()) == amount
        whole = sum(weights.values())
        for key, part in parts.items() if whole else ():
            assert abs(part - amount * weights[key] / whole) < 1
            assert part == 0 or weights[key]


def test_without_any_weight_the_first_part_has_all():
    assert split(7, {None: 0, "a": 0}) == {None: 7}


def test_a_log_without_its_beginning_is_refused():
    with pytest.raises(ValueError, match="TaskCreated"):
        Tally().add([e.Recorded(0, 0, e.Finished("done"))])


def test_the_report_reads_the_stores_logs_and_agrees_with_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path))
    with Desk() as desk:
        for task in ("a", "b"):
            log = Log()
            log.answer(Usage(1_001, 300, 77, 333), "read", "\x1b[2Jodd", rates=RATES)
            log.ended(0, "read", 1_234)
            log.ended(1, "\x1b[2Jodd", 17)
            log.answer(Usage(2_003, 900, 7, 41), rates=RATES)
            log.answer(Usage(2_003), rates=None)
            log.ask()
            for record in log.records:
                if record.seq:
                    desk.store.append(task, None, [record.event], record.at_ms)
                else:
                    desk.store.create(task, record.event, 0)
        found, sums = tool_report(desk, None, None), cost_report(desk, "task").total
        assert tool_report(desk, 900_000, None).calls == 0
    assert found.total_micros == sums.cost_micros
    assert (found.unpriced, found.open_micros) == (sums.unpriced, sums.open_micros)
    assert found.calls == sums.calls
    shown = text(found, "", 80)
    assert "\x1b" not in shown
    lines = shown.splitlines()
    assert lines[2].split()[:3] == ["read", "2", "2,468"]
    assert any(line.startswith("Total") and "+ ?" in line for line in lines)
    assert "? 2 of 8 calls unpriced: not in the cost" in lines
    data = as_json(found)
    assert sum(line["cost_micros"] for line in data["lines"]) == data["total"]["cost_micros"]
    for width in (20, 40, 60):
        assert max(map(len, text(found, "", width).splitlines())) <= width
