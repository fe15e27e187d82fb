"""The arithmetic of service level objectives."""

import pytest

from mutt.observability.slo import MOST_BURN, State, judge, within_window


@pytest.mark.parametrize(
    ("good", "total", "target", "availability", "burn_rate", "remaining", "state"),
    [
        (1000, 1000, 0.995, 1.0, 0.0, 1.0, State.OK),
        (999, 1000, 0.995, 0.999, 0.2, 0.8, State.OK),  # The README's example.
        (995, 1000, 0.995, 0.995, 1.0, 0.0, State.OK),
        (994, 1000, 0.995, 0.994, 1.2, 0.0, State.WARNING),
        (990, 1000, 0.995, 0.990, 2.0, 0.0, State.WARNING),
        (989, 1000, 0.995, 0.989, 2.2, 0.0, State.CRITICAL),
        (0, 1000, 0.99, 0.0, 100.0, 0.0, State.CRITICAL),
        (0, 10, 0.0, 0.0, 1.0, 0.0, State.OK),
    ],
)
def test_a_judgement(
    good: float, total: float, target: float, availability: float, burn_rate: float, remaining: float, state: State
) -> None:
    judged = judge(good, total, target)
    assert judged.availability == pytest.approx(availability)
    assert judged.burn_rate == pytest.approx(burn_rate)
    assert judged.error_budget_remaining == pytest.approx(remaining)
    assert judged.state is state


def test_no_traffic_is_ok_and_has_no_availability() -> None:
    assert judge(0, 0, 0.995) == (None, 0.0, 1.0, State.OK)


def test_a_target_of_all_requests_has_no_budget() -> None:
    assert judge(10, 10, 1.0) == (1.0, 0.0, 1.0, State.OK)
    assert judge(9, 10, 1.0) == (0.9, MOST_BURN, 0.0, State.CRITICAL)


def test_counters_that_do_not_quite_fit_together_give_no_impossible_figure() -> None:
    assert judge(11, 10, 0.99).availability == 1.0
    assert judge(-1, 10, 0.99).availability == 0.0


def test_the_oldest_hour_counts_by_its_share_in_the_window() -> None:
    assert within_window([5, 100], passed=0.0) == 105
    assert within_window([5, 100], passed=0.25) == 80
    assert within_window([5, 10, 100], passed=1.0) == 15
