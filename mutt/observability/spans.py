"""The spans of ingest, alerter and forwarder. Imported only where OTEL_ENABLED is true."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import Token
from functools import lru_cache
from typing import Any

import gevent
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from mutt import __version__
from mutt.events.alert import Alert
from mutt.events.event import Event
from mutt.observability.span_export import CalmExporter, SpanQueue
from mutt.observability.tracing import Ids, Trace
from mutt.rules.decision import Decision
from mutt.settings import TracingSettings

MOST_LINKS = 64
"""Traces that the span of a batch names; a batch of a thousand events of a thousand sources has more."""

FLUSH_SECONDS = 2.0
"""For what still waits for the collector when a program stops."""

LONGEST_TRACEPARENT = 256

_TRACEPARENT = re.compile(r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?[ \t]*", re.ASCII)


def read(traceparent: str | None) -> SpanContext | None:
    """The span that a W3C traceparent names, or None when there is no valid one."""
    return _parsed(traceparent) if traceparent and len(traceparent) <= LONGEST_TRACEPARENT else None


@lru_cache(maxsize=2048)
def _parsed(traceparent: str) -> SpanContext | None:
    # Remembered, because all events of a request may have the same one.
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    flags = TraceFlags(int(found[4], 16) & TraceFlags.SAMPLED)
    named = SpanContext(int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=flags)
    return named if named.is_valid else None


def written(span: SpanContext) -> str:
    """The span as a W3C traceparent."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & TraceFlags.SAMPLED:02x}"


class Spans:
    """One process's spans; see mutt.observability.tracing for what is traced."""

    def __init__(self, settings: TracingSettings, service: str, pod: str, dropped: Callable[[int], None]) -> None:
        # Its failures are told by our own exporter, once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        resource = Resource.create(
            {
                "service.name": service,
                "service.version": __version__,
                "service.instance.id": pod,
                "process.pid": os.getpid(),
            }
        )
        sampler = ParentBased(TraceIdRatioBased(settings.sampled_share))
        provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._queue = SpanQueue(CalmExporter(settings.endpoint, dropped), dropped)
        provider.add_span_processor(self._queue)
        self._tracer = provider.get_tracer("mutt", __version__)

    def stop(self) -> None:
        with gevent.Timeout(FLUSH_SECONDS, False):
            self._queue.shutdown()  # type: ignore[no-untyped-call]

    def ingest_request(self, path: str, traceparent: str | None) -> Trace:
        return IngestRequest(self._tracer, path, read(traceparent))

    def batch(self, events: Sequence[Event]) -> Trace:
        return AlerterBatch(self._tracer, events)

    def webhook_request(self, alerts: Sequence[Alert]) -> Trace:
        return WebhookRequest(self._tracer, alerts)

    def current(self) -> Ids | None:
        span = trace.get_current_span().get_span_context()
        return Ids(f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None


class _Work(Trace):
    """A span that is the current one of its greenlet from ``begin`` to the end of the work."""

    name = ""
    kind = SpanKind.INTERNAL

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._started_ns = time.time_ns()
        self._span: trace.Span | None = None
        self._token: Token[Context] | None = None

    def begin(self, parent: SpanContext | None, others: Sequence[SpanContext], attributes: Any) -> SpanContext:
        """Starts the span, now that its parent is known; it has lasted since this object was made."""
        links = [Link(other) for other in others[:MOST_LINKS]]
        self._span = self._tracer.start_span(
            self.name, _under(parent), self.kind, attributes, links, start_time=self._started_ns
        )
        self._token = context.attach(trace.set_span_in_context(self._span, Context()))
        return self._span.get_span_context()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._span is None:
            return
        if kind is not None:
            # Only the type: the text of an error may quote what it choked on.
            self._span.set_status(Status(StatusCode.ERROR, kind.__name__))
        if self._token is not None:
            context.detach(self._token)
        self._span.end()

    def answered(self, status: int | None, reason: str) -> None:
        if self._span is None:
            return
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if reason:
            self._span.set_attribute("error.type", reason)
            self._span.set_status(Status(StatusCode.ERROR, reason))


class IngestRequest(_Work):
    """A request to ingest. Its parent is the header's span, or the one that its only event names."""

    name = "ingest"
    kind = SpanKind.SERVER

    def __init__(self, tracer: Tracer, path: str, header: SpanContext | None) -> None:
        super().__init__(tracer)
        self._header = header
        self._attributes = {"http.request.method": "POST", "url.path": path}

    def carry(self, events: Sequence[Event]) -> None:
        named = [read(each.traceparent) for each in events]
        parent = self._header or (named[0] if len(named) == 1 else None)
        own = self.begin(parent, _distinct(named, parent), {**self._attributes, **_about(events)})
        if not own.trace_flags.sampled and parent is None:
            return  # Nobody records this trace; its name would only take room in every event.
        traceparent = written(own)
        for event, context_named in zip(events, named, strict=True):
            if context_named is None or (parent and context_named.span_id == parent.span_id):
                event.traceparent = traceparent

    def answered(self, status: int | None, reason: str) -> None:
        if self._span is None:
            self.begin(self._header, (), self._attributes)
        super().answered(status, reason)


class AlerterBatch(_Work):
    """A batch of the alerter's. Its events' spans are no children of it: each is a part of its own trace."""

    name = "alerter batch"
    kind = SpanKind.CONSUMER

    def __init__(self, tracer: Tracer, events: Sequence[Event]) -> None:
        super().__init__(tracer)
        self._events = events

    def __enter__(self) -> Trace:
        named = (read(each.traceparent) for each in self._events)
        sampled = _distinct(each for each in named if each is not None and each.trace_flags.sampled)
        self._own = self.begin(None, sampled, _about(self._events))
        return self

    def decided(self, decided: Iterable[tuple[Event, Decision]]) -> None:
        links = [Link(self._own)]
        for event, decision in decided:
            parent = read(event.traceparent)
            if parent is not None and parent.trace_flags.sampled:
                attributes: dict[str, Any] = {
                    "mutt.correlation_id": event.correlation_id,
                    "mutt.hostname": event.hostname,
                    "mutt.handling": str(decision.handling),
                }
                if decision.rule_id is not None:
                    attributes["mutt.rule_id"] = decision.rule_id
                span = self._tracer.start_span(
                    "alerter event", _under(parent), SpanKind.CONSUMER, attributes, links, start_time=self._started_ns
                )
                span.end()
                event.traceparent = written(span.get_span_context())


class WebhookRequest(_Work):
    """A request to the webhook. When all its alerts are of one trace it is a part of it, else of a new one."""

    name = "webhook request"
    kind = SpanKind.CLIENT

    def __init__(self, tracer: Tracer, alerts: Sequence[Alert]) -> None:
        super().__init__(tracer)
        self._alerts = alerts

    def __enter__(self) -> Trace:
        named = _distinct(read(each.traceparent) for each in self._alerts)
        parent = named[0] if len({each.trace_id for each in named}) == 1 else None
        attributes = {"http.request.method": "POST", **_about(self._alerts)}
        own = self.begin(parent, _distinct(named, parent), attributes)
        self.headers = {"traceparent": written(own)}
        return self


def _about(items: Sequence[Event] | Sequence[Alert]) -> dict[str, Any]:
    """How many events or alerts the work is about, and which one when it is only one."""
    about: dict[str, Any] = {"mutt.messages": len(items)}
    if len(items) == 1:
        about["mutt.correlation_id"] = items[0].correlation_id
    return about


def _distinct(named: Iterable[SpanContext | None], known: SpanContext | None = None) -> list[SpanContext]:
    """Each span that is named, once, without the one that is known already."""
    spans = {each.span_id: each for each in named if each is not None}
    if known is not None:
        spans.pop(known.span_id, None)
    return list(spans.values())


def _under(parent: SpanContext | None) -> Context:
    """The context of a span with this parent, or of the first span of a new trace."""
    return Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
