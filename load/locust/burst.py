"""Burst and recovery: 2,000 events a second, then 40,000 for a sixth of the time, then 2,000 again."""

from load.locust.shapes import Stages, times
from load.locust.users import BatchSource


class Burst(Stages):
    """Two sources, then forty, then two."""

    stages = times([2, 2, 40, 2, 2, 2])


__all__ = ["Burst", "BatchSource"]
