"""POST /api/v2/ingest: authenticate, decode, admit, push, answer. Section 3 of the contract."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import falcon
import msgspec

from mutt.credentials import Credentials
from mutt.errors import EventError, MuttError, OutageError, Reason, RequestError
from mutt.events import dead_letter, event
from mutt.events.admit import Limits, admit
from mutt.events.decode import Unreadable, decode_body
from mutt.events.ids import IdSource
from mutt.ingest.body import KEPT_BYTES, read_body
from mutt.observability import logs, tracing
from mutt.observability.metrics import IngestorMetrics
from mutt.observability.tracing import Trace
from mutt.queues.intake import Intake
from mutt.redisdb import keys
from mutt.redisdb.tally import Tally
from mutt.settings import IngestSettings
from mutt.web import problems
from mutt.web.auth import header_key, key_is_valid
from mutt.web.throttle import WrongKeys

_TOLD_TO_WAIT = 503


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item of a batch that was not taken."""

    index: int
    item: Any
    error: EventError


@dataclass(frozen=True, slots=True)
class Harvest:
    """What became of the items of one request, before it is pushed."""

    events: list[event.Event]
    rejected: list[Rejected]
    single: bool


class IngestResource:
    """The ingest endpoint and its older aliases. A bad event never costs the good ones of its batch."""

    def __init__(
        self,
        settings: IngestSettings,
        credentials: Credentials,
        intake: Intake,
        metrics: IngestorMetrics,
        tally: Tally,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._intake = intake
        self._metrics = metrics
        self._tally = tally
        self._now = now
        self._wrong_keys = WrongKeys()
        self._ids = IdSource()
        self._limits = Limits(
            settings.max_message_bytes,
            timedelta(days=settings.max_event_age_days),
            timedelta(seconds=settings.max_clock_ahead_seconds),
            settings.required_fields,
        )

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        request = tracing.ingest_request(req.path, req.get_header("traceparent"))
        with logs.correlation(req.get_header("X-Correlation-ID")), request as trace:
            self._answer(resp, trace, lambda: self._ingest(req, resp, trace))

    def _ingest(self, req: falcon.Request, resp: falcon.Response, trace: Trace) -> None:
        self._authenticate(req)
        harvest = self._harvest(self._body(req))
        if harvest.single and harvest.rejected:
            # A lone bad event is not queued anywhere: its sender is told at once.
            error = harvest.rejected[0].error
            raise RequestError(error.reason, 400, str(error))
        self._push(harvest, trace, strict=False)
        self._accept(resp, harvest)

    def _answer(self, resp: falcon.Response, trace: Trace, ingest: Callable[[], None]) -> None:
        """Runs ``ingest`` and turns every refusal into its answer and its metric."""
        started = time.perf_counter()
        try:
            ingest()
        except RequestError as refusal:
            self._refuse(resp, trace, refusal)
        except OutageError as outage:
            self._refuse(resp, trace, RequestError(outage.reason, _TOLD_TO_WAIT, str(outage)))
        else:
            trace.answered(202, "")
            self._metrics.requests.labels("success", "").inc()
            self._tally.add(keys.SLO_INGEST_GOOD)
        self._tally.add(keys.SLO_INGEST_TOTAL)
        self._metrics.latency.observe(time.perf_counter() - started)

    def _refuse(self, resp: falcon.Response, trace: Trace, refusal: RequestError) -> None:
        trace.answered(refusal.status, refusal.reason)
        self._metrics.requests.labels("fail", refusal.reason).inc()
        problems.write(resp, refusal)

    def _authenticate(self, req: falcon.Request) -> None:
        if not key_is_valid(header_key(req), "INGEST_API_KEY", self._credentials):
            if self._wrong_keys.too_many(req.remote_addr):
                raise RequestError(
                    Reason.TOO_MANY_WRONG_KEYS, 429, "too many wrong keys from this address; wait a minute"
                )
            raise RequestError(Reason.UNAUTHORIZED, 401, "the X-API-KEY header is missing or is not a valid ingest key")

    def _body(self, req: falcon.Request) -> bytes:
        return read_body(req.env, self._settings.max_body_bytes, self._settings.max_unpacked_bytes)

    def _harvest(self, body: bytes) -> Harvest:
        """The events of a body. Raises RequestError when the body as a whole cannot be read."""
        try:
            items = decode_body(body)
        except EventError as error:
            raise RequestError(error.reason, 400, str(error), body) from error
        if len(items.values) > self._settings.max_batch_events:
            sentence = f"the body holds {len(items.values)} events; at most {self._settings.max_batch_events} are taken"
            raise RequestError(Reason.TOO_MANY_EVENTS, 413, sentence, body)
        now, events, rejected = self._now(), [], []
        for index, item in enumerate(items.values):
            try:
                events.append(admit(item, now, self._ids, self._limits))
            except EventError as error:
                rejected.append(Rejected(index, item, error))
        return Harvest(events, rejected, items.single)

    def _push(self, harvest: Harvest, trace: Trace, strict: bool) -> None:
        trace.carry(harvest.events)
        if not harvest.events and not harvest.rejected:
            return
        if harvest.single and harvest.events:
            logs.correlate(harvest.events[0].correlation_id)
        letters = [self._letter(each) for each in harvest.rejected]
        depth = self._intake.push([event.encode(each) for each in harvest.events], letters, strict)
        self._metrics.queue_depth.set(depth)
        self._metrics.events.labels("accepted", "").inc(len(harvest.events))
        for each in harvest.rejected:
            self._metrics.events.labels("rejected", each.error.reason).inc()

    def _letter(self, rejected: Rejected) -> bytes:
        content = item_text(rejected.item)[:KEPT_BYTES]
        return dead_letter.bury(content, rejected.error.reason, str(rejected.error), "ingestor", self._now())

    def _accept(self, resp: falcon.Response, harvest: Harvest) -> None:
        resp.status = falcon.HTTP_202
        if harvest.single and harvest.events:
            resp.data = msgspec.json.encode({"status": "accepted", "correlation_id": harvest.events[0].correlation_id})
            return
        resp.data = msgspec.json.encode(
            {
                "status": "accepted",
                "accepted": len(harvest.events),
                "rejected": [{"index": each.index, "error": str(each.error)} for each in harvest.rejected],
            }
        )


class RelayResource(IngestResource):
    """POST /api/v2/ingest/rsyslog: the same with only two answers, 202 and 503.

    The omhttp module of rsyslog 8.21-8.23 stops for good or loses the batch on anything else. So what cannot be read
    is kept as a dead letter and answered 202, and a wrong key is answered 503: the relay keeps its messages until
    somebody mends the key.
    """

    def _ingest(self, req: falcon.Request, resp: falcon.Response, trace: Trace) -> None:
        self._authenticate(req)
        try:
            harvest = self._harvest(self._body(req))
        except RequestError as refusal:
            if refusal.reason is Reason.BODY_TIMEOUT:
                raise  # Half a body is not worth keeping: the relay still has the whole.
            unreadable = Unreadable(refusal.content.decode("utf-8", "replace"), str(refusal))
            harvest = Harvest([], [Rejected(0, unreadable, EventError(refusal.reason, str(refusal)))], single=False)
        self._push(harvest, trace, strict=True)
        self._accept(resp, harvest)

    def _refuse(self, resp: falcon.Response, trace: Trace, refusal: RequestError) -> None:
        if refusal.reason in (Reason.UNAUTHORIZED, Reason.TOO_MANY_WRONG_KEYS):
            self._tally.add(keys.WRONG_RELAY_KEYS)
        if refusal.status != _TOLD_TO_WAIT:
            sentence = f"{refusal} (answered 503 so that the relay keeps its messages)"
            refusal = RequestError(refusal.reason, _TOLD_TO_WAIT, sentence)
        super()._refuse(resp, trace, refusal)


def item_text(item: Any) -> bytes:
    """A refused item as bytes to be kept: the text it came as, or JSON that says the same."""
    if isinstance(item, Unreadable):
        return item.text.encode("utf-8", "replace")
    try:
        return msgspec.json.encode(item)
    except (MuttError, msgspec.MsgspecError, UnicodeEncodeError, OverflowError, RecursionError):
        pass
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return b"(nested too deeply to be kept)"
