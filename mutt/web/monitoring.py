"""The /health and /metrics resources that every program serves."""

from collections.abc import Callable
from typing import Any

import falcon
import msgspec
from prometheus_client import CONTENT_TYPE_LATEST

from mutt.observability import metrics


class HealthResource:
    """GET /health; ``look`` returns (HTTP status, body)."""

    def __init__(self, look: Callable[[], tuple[int, dict[str, Any]]]) -> None:
        self._look = look

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        status, body = self._look()
        resp.status = falcon.code_to_http_status(status)
        resp.set_header("Cache-Control", "no-store")
        resp.data = msgspec.json.encode(body)


class MetricsResource:
    """GET /metrics; ``before`` refreshes gauges that are read rather than counted."""

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self._before = before

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        if self._before:
            self._before()
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = metrics.exposition()


class DocumentResource:
    """GET of a JSON document that never changes while the program runs."""

    def __init__(self, document: Any) -> None:
        self._encoded = msgspec.json.encode(document)

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        resp.data = self._encoded
