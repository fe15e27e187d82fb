"""What a row found: one JSON line, and the sizes a row can be run at."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Size(NamedTuple):
    """How much a row does; ``kills`` and ``pauses`` are the least numbers of them."""

    events: int
    rate: float
    """Events a second that the load client offers."""
    kills: int
    pauses: int
    restarts: int
    """How often a server is killed and restarted."""
    outage_seconds: float
    """How long PostgreSQL stays away."""
    body_mb: int
    """Size of the oversized body of the attack."""
    slow_clients: int
    failovers: int
    control_kills: int
    """Kills of the naive control: so many that it cannot come through by luck."""
    control_pauses: int
    patience: float
    """Times what a row's limits in seconds allow: the short version runs on machines that are busy with other work."""


SHORT = Size(
    events=3000,
    rate=1000.0,
    kills=8,
    pauses=3,
    restarts=2,
    outage_seconds=5.0,
    body_mb=128,
    slow_clients=200,
    failovers=1,
    control_kills=15,
    control_pauses=12,
    patience=3.0,
)
FULL = Size(
    events=20_000,
    rate=1000.0,
    kills=40,
    pauses=40,
    restarts=10,
    outage_seconds=300.0,
    body_mb=1024,
    slow_clients=500,
    failovers=3,
    control_kills=40,
    control_pauses=40,
    patience=1.0,
)


@dataclass
class Outcome:
    """One line of the table. ``lost`` counts events and alerts; None means that the row does not measure it."""

    row: str
    seed: int
    events: int = 0
    kills: int = 0
    fenced: int = 0
    lost: int | None = None
    audit_duplicates: int | None = None
    webhook_duplicates: int | None = None
    control_lost: int | None = None
    control_duplicates: int | None = None
    seconds: float = 0.0
    passed: bool | None = False
    """None: the row could not run on this machine."""
    notes: dict[str, Any] = field(default_factory=dict)
    patience: float = 1.0
    """As in Size."""

    def check(self, name: str, passed: bool, found: Any, limit: str) -> None:
        """Records one condition of the row: what was found and what is allowed."""
        self.notes.setdefault("checks", {})[name] = {"passed": bool(passed), "found": found, "limit": limit}

    def at_most(self, name: str, found: float, limit: float) -> None:
        self.check(name, found <= limit, round(found, 2), f"<= {limit:g}")

    def in_time(self, name: str, seconds: float, limit: float) -> None:
        self.at_most(name, seconds, limit * self.patience)

    def at_least(self, name: str, found: float, limit: float) -> None:
        self.check(name, found >= limit, round(found, 2), f">= {limit:g}")

    def none_of(self, name: str, found: int) -> None:
        self.check(name, found == 0, found, "0")

    @property
    def checks(self) -> dict[str, dict[str, Any]]:
        return dict(self.notes.get("checks", {}))

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """The conditions that were not met."""
        return {name: each for name, each in self.checks.items() if not each["passed"]}

    def close(self, seconds: float) -> None:
        """The row is over: it passed when it checked something and every condition was met."""
        self.seconds = round(seconds, 1)
        self.passed = bool(self.checks) and not self.failures

    def skip(self, reason: str) -> None:
        self.passed = None
        self.notes["skipped"] = reason

    def line(self) -> str:
        return json.dumps(vars(self), default=str)
