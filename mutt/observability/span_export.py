"""The way of spans to the OpenTelemetry collector. Imported only where OTEL_ENABLED is true.

Nothing here may disturb the pipeline: spans wait in a queue of bounded length, and a collector that is away or slow
costs spans, which are counted, and one log line.
"""

import time
from collections.abc import Callable, Sequence

import gevent
import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

log = structlog.get_logger(__name__)

MOST_WAITING = 4096
"""Spans that wait for the collector; some 14 MB. More are dropped and counted."""

EXPORT_SECONDS = 5.0
"""For one request to the collector with its retries; while it lasts the queue takes what comes."""

LOG_AGAIN_SECONDS = 300.0


class CalmExporter(SpanExporter):
    """Sends spans to the collector and says so once when that fails, and once when it works again."""

    def __init__(self, endpoint: str, dropped: Callable[[int], None]) -> None:
        session = requests.Session()
        session.trust_env = False
        target = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
        self._exporter = OTLPSpanExporter(endpoint=target, timeout=EXPORT_SECONDS, session=session)
        self._dropped = dropped
        self._failed_spans = 0
        self._logged_at: float | None = None
        self.waiting = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            # The exporter's own timeout is per read: an answer that drips outlives it.
            with gevent.Timeout(EXPORT_SECONDS + 1, False):
                result = self._exporter.export(spans)
        finally:
            self.waiting -= len(spans)
        if result is SpanExportResult.SUCCESS:
            self._succeeded()
        else:
            self._failed(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def _succeeded(self) -> None:
        if self._logged_at is not None:
            log.info("spans reach the collector again", lost=self._failed_spans)
        self._failed_spans, self._logged_at = 0, None

    def _failed(self, spans: int) -> None:
        self._dropped(spans)
        self._failed_spans += spans
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= LOG_AGAIN_SECONDS:
            log.warning("spans do not reach the collector", lost=self._failed_spans)
            self._logged_at = now


class SpanQueue(BatchSpanProcessor):
    """The library's queue with a bound of ours before it: it would log every span that it drops."""

    def __init__(self, exporter: CalmExporter, dropped: Callable[[int], None]) -> None:
        super().__init__(exporter, max_queue_size=MOST_WAITING, schedule_delay_millis=1000.0, max_export_batch_size=512)
        self._calm = exporter
        self._dropped = dropped

    def on_end(self, span: ReadableSpan) -> None:
        if self._calm.waiting >= MOST_WAITING:
            self._dropped(1)
            return
        # The SDK hands over what is recorded, and the sampler records what is sampled and nothing else.
        self._calm.waiting += 1
        super().on_end(span)
