"""Figures, service level objectives, and the diagnosis."""

from typing import Any, Literal

import msgspec


class Figures(msgspec.Struct, kw_only=True):
    """/api/v2/metrics: the members of both documents, and those of the overview page."""

    timestamp: float
    summary: dict[str, float]
    """current_rate_1m, avg_rate_15m, avg_rate_1h, avg_rate_24h in events per second, and eps_<window> alike."""
    chart_24h: dict[str, list[Any]]
    """``labels``: 24 hours "HH:00", oldest first; ``data``: events per second in each."""
    counters: dict[str, int]
    queues: dict[str, int]
    circuit_breaker: dict[str, Any]
    age_seconds: dict[str, float | None]
    """Age of the oldest message by queue, None for an empty one."""


class Objective(msgspec.Struct, kw_only=True):
    """One service level objective. ``availability`` is None while there was nothing to judge."""

    target: float
    availability: float | None
    error_budget_remaining: float
    burn_rate: float
    state: Literal["ok", "warning", "critical"]
    window_hours: int
    compliant: bool
    good: float
    total: float
    note: str | None = None
    """Says so when there was nothing to judge."""


class Objectives(msgspec.Struct, kw_only=True):
    """``source``: prometheus, or counters (our own, since Prometheus could not be asked; ``problem`` says why)."""

    timestamp: float
    window_hours: int
    overall_compliant: bool
    source: Literal["prometheus", "counters"]
    problem: str | None
    components: dict[str, Objective]


class Finding(msgspec.Struct, kw_only=True):
    """One check of the diagnosis. ``fix`` is what to do, a command where one does it."""

    check: str
    state: Literal["ok", "warning", "failed"]
    sentence: str
    fix: str | None = None


class Diagnosis(msgspec.Struct, kw_only=True):
    healthy: bool
    findings: list[Finding]
