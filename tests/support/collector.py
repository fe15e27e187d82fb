"""An OpenTelemetry collector of the tests' own: takes OTLP over HTTP and keeps the spans it was sent."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gevent.event import Event
from gevent.pywsgi import WSGIServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.waiting import wait_until

KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}


@dataclass(frozen=True)
class Received:
    """One span as it came; ids are in hexadecimal, ``links`` are (trace id, span id)."""

    service: str
    resource: dict[str, Any]
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    error: str
    seconds: float

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


class Collector:
    """Listens on a port of its own; it answers ``status``, and only while ``answering`` is set."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Received] = []
        self.requests = 0
        self.status = "200 OK"
        self.answering = Event()
        self.answering.set()
        self._server = WSGIServer(("127.0.0.1", port), self._serve, log=None, error_log=None)

    def __enter__(self) -> "Collector":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answering.set()
        self._server.stop(timeout=0.1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, name: str, wanted: Callable[[Received], bool] = lambda _span: True) -> Received:
        """The first span of this name that is wanted, as soon as it is here."""
        found = lambda: next((each for each in self.spans if each.name == name and wanted(each)), None)  # noqa: E731
        return wait_until(found, f"the span {name!r}", seconds=15) or self.spans[0]

    def _serve(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.requests += 1
        body = environ["wsgi.input"].read()
        self.answering.wait()
        if self.status.startswith("200") and environ["PATH_INFO"] == "/v1/traces":
            if environ.get("HTTP_CONTENT_ENCODING") == "gzip":
                body = gzip.decompress(body)
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        start_response(self.status, [("Content-Type", "application/x-protobuf")])
        return [b""]


def _spans(request: ExportTraceServiceRequest) -> list[Received]:
    return [
        Received(
            service=_values(group.resource.attributes)["service.name"],
            resource=_values(group.resource.attributes),
            name=span.name,
            kind=KINDS[span.kind],
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            attributes=_values(span.attributes),
            error=span.status.message if span.status.code == 2 else "",
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
