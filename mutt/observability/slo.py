"""The arithmetic of service level objectives: availability, error budget and how fast it burns. No I/O."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

WARNING_ABOVE = 1.0
"""At a burn rate of 1 the error budget lasts exactly as long as the window."""

CRITICAL_ABOVE = 2.0

MOST_BURN = 1_000_000.0
"""Stands for "infinitely fast", which JSON cannot say: a failure against a target of 100 %."""


class State(StrEnum):
    """How the error budget does."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class Judgement(NamedTuple):
    """``availability`` is None when there was nothing to judge; that is ok."""

    availability: float | None
    burn_rate: float
    error_budget_remaining: float
    state: State


def judge(good: float, total: float, target: float) -> Judgement:
    """How ``good`` of ``total`` requests stand to the share of them that shall succeed.

    The burn rate is the share that failed by the share that may fail; what remains of the budget is 1 less the burn
    rate, and 0 when more was spent than there was.
    """
    if total <= 0:
        return Judgement(None, 0.0, 1.0, State.OK)
    availability = min(max(good / total, 0.0), 1.0)
    burn_rate = _burn_rate(1.0 - availability, 1.0 - target)
    state = State.CRITICAL if burn_rate > CRITICAL_ABOVE else State.WARNING if burn_rate > WARNING_ABOVE else State.OK
    return Judgement(availability, burn_rate, round(max(0.0, 1.0 - burn_rate), 6), state)


def _burn_rate(failing: float, allowed: float) -> float:
    if failing <= 0:
        return 0.0
    # Rounded, because 1 - 0.995 is a little more than 0.005 and a budget spent to the last request is still ok.
    return round(min(failing / allowed, MOST_BURN), 6) if allowed > 0 else MOST_BURN


def within_window(hours: Sequence[int], passed: float) -> float:
    """The sum over the window that ends now, of counters of clock hours with the current hour first.

    One hour more than the window has is needed: the current one is not over, ``passed`` (0 to 1) of it is, so the
    oldest counts by the share of it that lies within the window.
    """
    *whole, oldest = hours
    return sum(whole) + oldest * (1.0 - passed)
