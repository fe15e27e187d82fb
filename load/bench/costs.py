"""What a measurement costs: CPU by program, and what others took of the machine meanwhile."""

import os
import time
from collections.abc import Mapping

import msgspec

from load.bench import cpu


class Spent:
    """CPU seconds by service since this was made, and of everything else on the machine."""

    def __init__(self, services: Mapping[str, int]) -> None:
        self._services = services
        self._began, self._before, self._busy = time.monotonic(), self._now(), cpu.machine_busy_seconds()

    def _now(self) -> dict[int, float]:
        return cpu.trees([*self._services.values(), os.getpid()], cpu.table())

    def stop(self, generator_seconds: float = 0.0) -> "Costs":
        after, busy = self._now(), cpu.machine_busy_seconds() - self._busy
        by_service = {name: max(0.0, after[pid] - self._before[pid]) for name, pid in self._services.items()}
        # Our own tree holds the services; what it spent besides them is the generator and we ourselves.
        ours = max(after[os.getpid()] - self._before[os.getpid()], sum(by_service.values()) + generator_seconds)
        return Costs(time.monotonic() - self._began, by_service, max(0.0, busy - ours))


class Costs(msgspec.Struct):
    """What a measurement cost: seconds, CPU seconds by service, and CPU seconds that others took meanwhile."""

    seconds: float
    by_service: dict[str, float]
    others: float

    def per_event(self, events: int, *names: str) -> float:
        """CPU microseconds an event, of these services or of all."""
        chosen = names or tuple(self.by_service)
        return 1e6 * sum(self.by_service.get(name, 0.0) for name in chosen) / max(events, 1)

    def table(self, events: int) -> str:
        each = {name: self.per_event(events, name) for name in self.by_service}
        return ", ".join(
            f"{name.removeprefix('mutt-')} {micros:.1f}" for name, micros in each.items() if micros >= 0.05
        )
