"""Service level objectives of ingest and delivery, from Prometheus or from our own counters."""

import math
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import redis
from gevent.lock import BoundedSemaphore

from mutt.admin.services.prometheus import Prometheus, PrometheusError
from mutt.admin.shapes.overview import Objective, Objectives
from mutt.observability.slo import judge, within_window
from mutt.redisdb import keys
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.redisdb.tally import counted_by_hour, hour_of

CACHE_SECONDS = 10.0
"""How old a measurement may be; also how long a Prometheus that did not answer is left alone."""


class Component(NamedTuple):
    """A program that is judged: by which target, by which metric and by which tallies of our own."""

    target_key: str
    metric: str
    good: str
    total: str


COMPONENTS = {
    "ingestor": Component(
        "slo_ingest_success_target", "mutt_ingest_requests_total", keys.SLO_INGEST_GOOD, keys.SLO_INGEST_TOTAL
    ),
    "forwarder": Component(
        "slo_forward_success_target", "mutt_moog_requests_total", keys.SLO_MOOG_GOOD, keys.SLO_MOOG_TOTAL
    ),
}


class Requests(NamedTuple):
    """Requests of one component within the window."""

    good: float
    total: float


class Measurement(NamedTuple):
    """``problem`` says why the figures are not Prometheus's; None when they are."""

    measured_at: float
    window_hours: int
    requests: Mapping[str, Requests]
    problem: str | None


class ServiceLevels:
    """``clock`` gives Unix time. Window and targets are the dynamic settings slo_*."""

    def __init__(
        self,
        client: redis.Redis,
        dynamic: DynamicConfig,
        prometheus_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._dynamic = dynamic
        self._prometheus = Prometheus(prometheus_url)
        self._clock = clock
        self._last: Measurement | None = None
        self._one_measures = BoundedSemaphore(1)

    def report(self) -> Objectives:
        """How both components stand to their targets. Raises OutageError when neither source can be read."""
        window = self._dynamic.integer("slo_window_hours")
        with self._one_measures:
            if not self._is_fresh(window):
                self._last = self._measure(window)
        assert self._last is not None  # noqa: S101 - it was measured above; this tells the type checker
        components = {name: self._objective(name, self._last) for name in COMPONENTS}
        return Objectives(
            timestamp=self._last.measured_at,
            window_hours=window,
            overall_compliant=all(each.compliant for each in components.values()),
            source="counters" if self._last.problem else "prometheus",
            problem=self._last.problem,
            components=components,
        )

    def _is_fresh(self, window: int) -> bool:
        last = self._last
        return (
            last is not None and last.window_hours == window and 0 <= self._clock() - last.measured_at < CACHE_SECONDS
        )

    def _measure(self, window: int) -> Measurement:
        now = self._clock()
        try:
            return Measurement(now, window, self._from_prometheus(window), None)
        except PrometheusError as error:
            problem = f"{error}; the figures are those of MUTT's own counters"
            return Measurement(now, window, self._from_counters(window, now), problem)

    def _from_prometheus(self, window: int) -> dict[str, Requests]:
        per_second = self._prometheus.values(promql(window), "mutt_slo")
        seconds = window * 3600.0
        silent = [name for name in COMPONENTS if not math.isfinite(per_second.get(f"{name}:total", math.nan))]
        if silent:
            raise PrometheusError(
                f"Prometheus at {self._prometheus.url} has no figures of the {' and the '.join(silent)}"
            )
        return {
            name: Requests(per_second.get(f"{name}:good", 0.0) * seconds, per_second[f"{name}:total"] * seconds)
            for name in COMPONENTS
        }

    def _from_counters(self, window: int, now: float) -> dict[str, Requests]:
        hours = [hour_of(now) - ago for ago in range(window + 1)]
        passed = now % 3600 / 3600

        def count(tally: str) -> float:
            return within_window(counted_by_hour(self._client, tally, hours), passed)

        return {name: Requests(count(each.good), count(each.total)) for name, each in COMPONENTS.items()}

    def _objective(self, name: str, measured: Measurement) -> Objective:
        target = self._dynamic.number(COMPONENTS[name].target_key)
        good, total = measured.requests[name]
        judged = judge(good, total, target)
        return Objective(
            target=target,
            availability=judged.availability,
            error_budget_remaining=judged.error_budget_remaining,
            burn_rate=judged.burn_rate,
            state=judged.state.value,
            window_hours=measured.window_hours,
            compliant=judged.availability is None or judged.availability >= target,
            good=round(good, 1),
            total=round(total, 1),
            note=None if total > 0 else f"no requests within the last {measured.window_hours} hours",
        )


def promql(window: int) -> str:
    """One query for all components: requests a second over the window, the good ones and all, labelled mutt_slo."""
    parts = []
    for name, each in COMPONENTS.items():
        for what, selector in (("good", '{status="success"}'), ("total", "")):
            rate = f"sum(rate({each.metric}{selector}[{window}h]))"
            parts.append(f'label_replace({rate}, "mutt_slo", "{name}:{what}", "", "")')
    return " or ".join(parts)
