"""Ramp to saturation: 5,000 events a second more every few seconds, up to 60,000."""

from load.locust.shapes import Stages, times
from load.locust.users import BatchSource


class Ramp(Stages):
    """Five more sources every twelfth of the time."""

    stages = times([5 * step for step in range(1, 13)])


__all__ = ["BatchSource", "Ramp"]
