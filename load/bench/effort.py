"""How long the measurements take: in full, or quickly to see that everything works."""

from typing import NamedTuple


class Effort(NamedTuple):
    """``seconds`` of each load, numbers of messages laid out beforehand, and repetitions of each comparison."""

    seconds: float
    queued_events: int
    queued_alerts: int
    repeats: int
    rule_counts: tuple[int, ...]
    backtest_rows: int
    slow_comparisons: bool


FULL = Effort(15.0, 200_000, 50_000, 3, (10, 100, 1000, 10_000), 1_000_000, True)
QUICK = Effort(4.0, 50_000, 10_000, 1, (10, 1000, 10_000), 50_000, True)
