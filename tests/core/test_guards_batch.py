"""The limit of money that the tasks of a batch share."""

from __future__ import annotations

from agentctl.core.guards import Deny, cost
from agentctl.core.values import Limits, Quote, Shared
from tests.core.parts import PAID, view
from tests.core.test_guards import state


def test_a_batch_waits_for_its_own_calls_and_then_is_at_its_limit() -> None:
    def at(spent: int, busy: int) -> int | Deny:
        shared = Shared(
            batch_spent_micros=spent, batch_under_way_micros=busy, batch_cap_micros=100_000
        )
        return cost.check(state(Limits()), view(quote=PAID, shared=shared), 4_000)

    wait, refused = at(95_000, 90_000), at(95_000, 0)
    assert isinstance(wait, Deny)
    assert isinstance(refused, Deny)
    assert (wait.patient, refused.patient, refused.wake_ms) == (True, False, 0)
    assert refused.limit == "batch_cost_micros"
    assert at(100_000 - 3_000 - 900 * 15, 0) == 900


def test_an_unpriced_model_cannot_keep_the_limit_of_a_batch() -> None:
    limits = Limits(task_cost_micros=None, hour_cost_micros=None)
    unpriced = Quote(1_000, None, 0, 4_000)
    alone = cost.check(state(limits), view(quote=unpriced), 4_000)
    shared = Shared(batch_cap_micros=1)
    refused = cost.check(state(limits), view(quote=unpriced, shared=shared), 4_000)
    assert (alone, isinstance(refused, Deny)) == (4_000, True)
