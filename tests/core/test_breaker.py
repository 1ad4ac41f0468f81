"""The circuit breaker as a table: what each end of a call does to it."""

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.values import Breaker, Circuit
from tests.core.parts import START_MS, answered, ended, failed

RULE = Breaker(failures=3, window_ms=60_000, reset_ms=30_000)
BAD = failed("server")


def after(*ends: tuple[int, e.Event]) -> Circuit:
    circuit = Circuit()
    for at_ms, event in ends:
        circuit = breaker.after(circuit, event, RULE, START_MS + at_ms)
    return circuit


def test_the_last_allowed_failure_opens_it_for_the_reset_time() -> None:
    assert after((0, BAD), (1, BAD)).opens_ms == 0
    assert after((0, BAD), (1, BAD), (2, BAD)).opens_ms == START_MS + 2 + 30_000


def test_a_success_in_between_makes_it_healthy() -> None:
    assert after((0, BAD), (1, BAD), (2, answered("hi"))) == Circuit()


def test_failures_far_apart_do_not_add_up() -> None:
    assert after((0, BAD), (1, BAD), (60_002, BAD)) == Circuit(1, START_MS + 60_002)


def test_a_refusal_shows_that_the_provider_is_well() -> None:
    for reason in ("rate", "auth", "request", "quota", "not_found", "context"):
        assert after((0, BAD), (1, BAD), (2, failed(reason))) == Circuit(), reason


def test_what_we_cut_ourselves_says_nothing() -> None:
    assert after((0, BAD), (1, BAD), (2, failed("interrupted"))) == Circuit(2, START_MS)
    cut = e.ToolEnded("c", "t", "", "cut")
    assert after((0, BAD), (1, cut)) == Circuit(1, START_MS)


def test_a_tool_counts_when_it_breaks_or_takes_too_long() -> None:
    for status in ("broken", "timeout"):
        assert after((0, e.ToolEnded("c", "t", "", status))).failures == 1
    assert after((0, BAD), (1, ended())) == Circuit()
    assert after((0, BAD), (1, e.ToolEnded("c", "t", "no such file", "error"))) == Circuit()


def test_a_call_that_never_ran_leaves_the_circuit_as_it_is() -> None:
    """Above all the answer that says that the tool is not available."""
    probing = breaker.asked(opened(), START_MS + 30_002)
    for status in ("unavailable", "denied", "invalid"):
        end = e.ToolEnded("c", "t", "", status)
        assert after((0, BAD), (1, end)) == Circuit(1, START_MS), status
        assert breaker.after(opened(), end, RULE, START_MS + 10) == opened(), status
        assert breaker.after(probing, end, RULE, START_MS + 30_003) == probing, status


def opened() -> Circuit:
    return after((0, BAD), (1, BAD), (2, BAD))


def test_open_then_one_probe_then_closed() -> None:
    circuit, due_ms = opened(), START_MS + 30_002
    assert breaker.closed_until(circuit, due_ms - 1) == due_ms
    assert breaker.closed_until(circuit, due_ms) == 0
    probing = breaker.asked(circuit, due_ms)
    assert breaker.closed_until(probing, due_ms) == due_ms + breaker.PROBE_LOOK_MS
    assert breaker.closed_until(probing, due_ms + breaker.PROBE_MS - 1) == due_ms + breaker.PROBE_MS
    assert breaker.closed_until(probing, due_ms + breaker.PROBE_MS) == 0
    assert breaker.after(probing, answered("hi"), RULE, due_ms + 5) == Circuit()


def test_a_failed_probe_opens_it_again() -> None:
    probing = breaker.asked(opened(), START_MS + 30_002)
    again = breaker.after(probing, BAD, RULE, START_MS + 30_100)
    assert again.opens_ms == START_MS + 30_100 + 30_000
    assert again.probe_until_ms == 0


def test_a_probe_that_was_cut_lets_another_try() -> None:
    probing = breaker.asked(opened(), START_MS + 30_002)
    freed = breaker.after(probing, failed("interrupted"), RULE, START_MS + 30_100)
    assert breaker.closed_until(freed, START_MS + 30_100) == 0


def test_a_call_sent_before_it_opened_does_not_keep_it_open_longer() -> None:
    circuit = breaker.after(opened(), BAD, RULE, START_MS + 20_000)
    assert circuit.opens_ms == opened().opens_ms


def test_a_healthy_circuit_keeps_no_probe() -> None:
    assert breaker.asked(Circuit(), START_MS) == Circuit()


def test_a_clock_that_was_set_back_keeps_no_circuit_open() -> None:
    early_ms = START_MS - 86_400_000
    assert breaker.closed_until(opened(), early_ms) == 0
    again = breaker.failed(breaker.asked(opened(), early_ms), RULE, early_ms)
    assert again == Circuit(1, early_ms)
