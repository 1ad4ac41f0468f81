"""How long a retry waits."""

import pytest

from agentctl.core.backoff import WAIT_MS_MAX, wait_ms


@pytest.mark.parametrize(
    ("failures", "ms"), [(1, 1_000), (2, 2_000), (3, 4_000), (6, 32_000), (7, 60_000), (99, 60_000)]
)
def test_the_wait_doubles_from_a_second_to_a_minute(failures: int, ms: int) -> None:
    assert wait_ms(failures, 0.0, None) == ms


@pytest.mark.parametrize("failures", [1, 2, 5, 40])
def test_jitter_takes_away_up_to_half(failures: int) -> None:
    full = wait_ms(failures, 0.0, None)
    assert wait_ms(failures, 0.5, None) == full - full // 4
    assert wait_ms(failures, 1.0, None) == full // 2


@pytest.mark.parametrize("demand_ms", [0, 1, 1_500, WAIT_MS_MAX + 1, 86_400_000])
def test_the_providers_own_demand_is_obeyed_exactly(demand_ms: int) -> None:
    assert wait_ms(3, 1.0, demand_ms) == demand_ms


def test_a_wait_is_a_whole_number() -> None:
    assert isinstance(wait_ms(3, 0.3333, None), int)
