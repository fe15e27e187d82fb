"""Traces of ingest, alerter and forwarder; off unless OTEL_ENABLED is true, and then not even imported.

A source's W3C traceparent goes on with its event through Redis to the alerter, the forwarder and the webhook. The
programs call the functions below whether traces are on or not; while they are off, what they get does nothing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    # Logging imports this module, and gunicorn's master logs: it must load nothing that the workers patch.
    from types import TracebackType

    from mutt.events.alert import Alert
    from mutt.events.event import Event
    from mutt.observability.spans import Spans
    from mutt.rules.decision import Decision
    from mutt.settings import TracingSettings


class Trace:
    """A piece of work while it goes on. This one notes nothing; with traces on, its subclasses do."""

    headers: Mapping[str, str] = {}
    """What a request that belongs to this work says about its trace."""

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The work is over."""

    def carry(self, events: Sequence[Event]) -> None:
        """Ingest: these events came in the request. Gives those that have no trace this one."""

    def decided(self, decided: Iterable[tuple[Event, Decision]]) -> None:
        """Alerter: this was decided about the events. What follows from an event comes after this in its trace."""

    def answered(self, status: int | None, reason: str) -> None:
        """How the request ended; ``reason`` is empty when it went well, ``status`` None when no answer came."""


_UNTRACED = Trace()
_spans: Spans | None = None
"""One for the whole process, like logging."""


class Ids(NamedTuple):
    """Which span is under way."""

    trace_id: str
    span_id: str


def import_redis_alone() -> None:
    """Imports redis-py without OpenTelemetry, before anybody else imports it.

    Left to itself it loads OpenTelemetry's metrics wherever they are installed: three megabytes and a tenth of a
    second a process, for figures that nobody asked for.
    """
    modules: dict[str, Any] = sys.modules
    modules["opentelemetry"] = None  # To Python this means: there is no such module.
    try:
        importlib.import_module("redis")
    finally:
        del modules["opentelemetry"]


def start(settings: TracingSettings, service: str, pod: str, dropped: Callable[[int], None]) -> None:
    """Begins to record spans when OTEL_ENABLED is true. Call it after the fork, in a process that gevent patched.

    ``dropped`` is told how many spans could not be handed to the collector.
    """
    global _spans
    if not settings.enabled:
        return
    from mutt.observability.spans import Spans

    _spans = Spans(settings, service, pod, dropped)


def stop() -> None:
    """Hands what was recorded to the collector, for two seconds at most."""
    global _spans
    if _spans is not None:
        _spans.stop()
        _spans = None


def ingest_request(path: str, traceparent: str | None) -> Trace:
    """The span of a request to ingest; ``traceparent`` is its header."""
    return _UNTRACED if _spans is None else _spans.ingest_request(path, traceparent)


def batch(events: Sequence[Event]) -> Trace:
    """The span of a batch of the alerter's, linked to the traces of its events, and one a sampled event."""
    return _UNTRACED if _spans is None else _spans.batch(events)


def webhook_request(alerts: Sequence[Alert]) -> Trace:
    """The span of one request to the webhook; it belongs to the trace of its alerts when they have only one."""
    return _UNTRACED if _spans is None else _spans.webhook_request(alerts)


def current() -> Ids | None:
    """The span under way in this greenlet; None when there is none."""
    return None if _spans is None else _spans.current()
