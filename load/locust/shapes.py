"""Numbers of users over time; ``LOCUST_SECONDS`` is how long the whole run takes."""

import os
from collections.abc import Sequence
from typing import ClassVar

from locust import LoadTestShape

SPAWN_RATE = 100.0


def times(users: Sequence[int]) -> list[tuple[float, int]]:
    """Equal stages: (when the stage ends, users in it)."""
    seconds = float(os.environ.get("LOCUST_SECONDS", "60"))
    return [(seconds * (index + 1) / len(users), number) for index, number in enumerate(users)]


class Stages(LoadTestShape):
    """One stage after the other; the run ends with the last."""

    abstract = True
    stages: ClassVar[list[tuple[float, int]]] = []

    def tick(self) -> tuple[int, float] | None:
        now = self.get_run_time()
        return next(((users, SPAWN_RATE) for until, users in self.stages if now < until), None)
