"""Numbers that no honest server sends do not end a run."""

from __future__ import annotations

import pytest

from agentctl.providers._answer import usage_of
from agentctl.providers._faults import WAIT_MS_MAX, retry_after_ms


@pytest.mark.parametrize("said", ["1e13", "1e25"])
def test_a_wait_beyond_every_date_is_a_year(said: str) -> None:
    assert retry_after_ms({"retry-after": said}) == WAIT_MS_MAX


def test_a_wait_of_hours_is_obeyed_exactly() -> None:
    assert retry_after_ms({"retry-after": "7200"}) == 7_200_000


def test_more_tokens_than_can_be_are_not_a_report() -> None:
    assert usage_of(total_input=10**23, output=1) is None
    assert usage_of(total_input=10**6, output=1) is not None
