"""A histogram that takes a whole batch at once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prometheus_client import Histogram

AGE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class AgeHistogram(Histogram):
    """How long ago things began, counted for a batch of them at the cost of a few single observations."""

    def observe_since(self, moments: Sequence[datetime], now: float) -> None:
        """Observes how long before ``now`` (Unix time) each of the moments was; one that lies ahead counts as now.

        All that lies between the oldest and the newest of a batch is mostly one bucket; then nothing is looked up for
        the others, and the sum takes them for their middle. The library can only observe one value at a time, at
        several microseconds each, which is why its parts are used here.
        """
        if not moments:
            return
        oldest, newest = _extremes(moments)
        private: Any = self
        bounds = private._upper_bounds
        bucket = bisect_left(bounds, now - newest)
        if bucket == bisect_left(bounds, now - oldest):
            private._buckets[bucket].inc(len(moments))
            private._sum.inc(max(0.0, now - (oldest + newest) / 2) * len(moments))
            return
        ages = [max(0.0, now - moment.timestamp()) for moment in moments]
        for bucket, number in Counter(bisect_left(bounds, age) for age in ages).items():
            private._buckets[bucket].inc(number)
        private._sum.inc(sum(ages))


def _extremes(moments: Sequence[datetime]) -> tuple[float, float]:
    """Unix time of the oldest and the newest."""
    try:
        return min(moments).timestamp(), max(moments).timestamp()
    except TypeError:
        # Some have no offset, which only somebody who writes to the queue by hand can bring: no reason to fail.
        times = [moment.timestamp() for moment in moments]
        return min(times), max(times)
