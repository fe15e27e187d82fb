"""Traces through the real programs: one event's way from its source to the webhook, and a collector that is away."""

import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import syslog
from tests.support.appliance import Appliance
from tests.support.collector import Collector, Received
from tests.support.postgres import PrivatePostgres
from tests.support.raw_server import RawServer
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def webhook() -> Iterator[RawServer]:
    with RawServer([OK], keeps=True) as webhook:
        yield webhook


@pytest.fixture(scope="module")
def traced(postgres_server: PrivatePostgres, collector: Collector, webhook: RawServer) -> Iterator[Appliance]:
    """Ingestor, alerter and forwarder with traces on, their collector and the webhook that they reach."""
    redis_server = PrivateRedis()
    redis_server.start()
    appliance = Appliance(
        redis_server, postgres_server, OTEL_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        MOOG_WEBHOOK_URL=webhook.url, POD_NAME="mutt-1", MUTT_SHUTDOWN_TIMEOUT="5", LOG_JSON_ENABLED="true",
    )  # fmt: skip
    try:
        appliance.start(("mutt-ingestor", "mutt-alerter", "mutt-forwarder"))
        yield appliance
    finally:
        appliance.stop()
        redis_server.stop()


@pytest.fixture(autouse=True)
def _well(collector: Collector, webhook: RawServer) -> None:
    """Also lets go of whatever the test before held up."""
    collector.status = "200 OK"
    collector.answering.set()
    collector.spans.clear()
    webhook.requests.clear()


def source_span(flags: str = "01") -> str:
    return f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-{flags}"


def ids(traceparent: str) -> tuple[str, str]:
    return traceparent[3:35], traceparent[36:52]


def sent_traceparents(webhook: RawServer) -> list[str]:
    found = [re.search(rb"(?im)^traceparent: (\S+)\r$", each) for each in webhook.requests]
    return [each[1].decode() for each in found if each]


def of(event: dict[str, Any]) -> Callable[[Received], bool]:
    return lambda span: span.attributes.get("mutt.correlation_id") == event["correlation_id"]


@pytest.mark.parametrize("where", ["header", "field"])
def test_one_event_is_followed_from_its_source_to_the_webhook(
    traced: Appliance, collector: Collector, webhook: RawServer, where: str
) -> None:
    source = source_span()
    event = syslog.event("CRITICAL: fan failed")
    if where == "header":
        traced.post(event, headers={"traceparent": source})
    else:
        traced.post({**event, "traceparent": source})

    ingest = collector.wait_for("ingest", of(event))
    decided = collector.wait_for("alerter event", of(event))
    request = collector.wait_for("webhook request", of(event))
    batch = collector.wait_for("alerter batch", of(event))

    assert [ingest.service, decided.service, request.service] == ["mutt-ingestor", "mutt-alerter", "mutt-forwarder"]
    assert {ingest.trace_id, decided.trace_id, request.trace_id} == {ids(source)[0]}
    assert (ingest.parent_id, ingest.kind) == (ids(source)[1], "server")
    assert (decided.parent_id, decided.kind) == (ingest.span_id, "consumer")
    assert (request.parent_id, request.kind) == (decided.span_id, "client")
    assert sent_traceparents(webhook) == [request.traceparent]

    assert (batch.parent_id, batch.links) == ("", [(ingest.trace_id, ingest.span_id)])
    assert batch.trace_id != ingest.trace_id
    assert decided.links == [(batch.trace_id, batch.span_id)]
    assert (decided.attributes["mutt.rule_id"], decided.attributes["mutt.handling"]) == (1, "Page_and_ticket")
    assert ingest.attributes["http.response.status_code"] == 202
    assert request.attributes["http.response.status_code"] == 200
    assert ingest.resource["service.version"] == "2.5.0"
    assert ingest.resource["service.instance.id"] == "mutt-1"


def test_events_of_a_batch_keep_their_own_traces_and_the_others_take_the_request(
    traced: Appliance, collector: Collector, webhook: RawServer
) -> None:
    first, second = source_span(), source_span()
    events = [
        syslog.event("CRITICAL: 1", traceparent=first),
        syslog.event("CRITICAL: 2", traceparent=second),
        syslog.event("CRITICAL: 3"),
        syslog.event("CRITICAL: 4", traceparent="no traceparent at all"),
    ]
    traced.post(events)

    ingest = collector.wait_for("ingest")
    decided = [collector.wait_for("alerter event", of(each)) for each in events]
    assert (ingest.parent_id, ingest.attributes["mutt.messages"]) == ("", 4)
    assert sorted(ingest.links) == sorted([ids(first), ids(second)])
    assert [(each.trace_id, each.parent_id) for each in decided[:2]] == [ids(first), ids(second)]
    assert {(each.trace_id, each.parent_id) for each in decided[2:]} == {(ingest.trace_id, ingest.span_id)}

    request = collector.wait_for("webhook request")
    if request.attributes["mutt.messages"] == 4:
        assert request.trace_id not in {each.trace_id for each in decided}
        assert sorted(request.links) == sorted((each.trace_id, each.span_id) for each in decided)
    assert request.traceparent in sent_traceparents(webhook)


def test_what_the_source_does_not_sample_is_not_recorded_and_still_told_to_the_webhook(
    traced: Appliance, collector: Collector, webhook: RawServer
) -> None:
    source = source_span("00")
    traced.post(syslog.event("CRITICAL: quiet"), headers={"traceparent": source})
    wait_until(lambda: webhook.requests, "the webhook request")
    collector.wait_for("alerter batch")
    (sent,) = sent_traceparents(webhook)
    assert (ids(sent)[0], sent[-2:]) == (ids(source)[0], "00")
    assert not [each for each in collector.spans if each.trace_id == ids(source)[0]]


def test_refused_requests_are_spans_with_their_reason(traced: Appliance, collector: Collector) -> None:
    traced.post({"message": "no host"}, headers={"traceparent": source_span()})
    refused = collector.wait_for("ingest")
    assert (refused.error, refused.attributes["http.response.status_code"]) == ("missing_field", 400)


@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
def test_a_collector_in_trouble_costs_spans_and_one_line(
    traced: Appliance, collector: Collector, webhook: RawServer, trouble: str
) -> None:
    if trouble == "refuses":
        collector.status = "400 Bad Request"
    else:
        collector.answering.clear()
    before = traced.log("mutt-alerter").count("spans do not reach the collector")
    asked = collector.requests

    for number in range(20):
        started = time.monotonic()
        assert traced.post(syslog.event(f"CRITICAL: {number}")).status_code == 202
        assert time.monotonic() - started < 1.0
    wait_until(lambda: b"".join(webhook.requests).count(b"CRITICAL: ") == 20, "all alerts to arrive")
    traced.wait_until_idle()
    wait_until(lambda: collector.requests > asked, "the collector to be asked")
    if trouble == "refuses":
        dropped = "mutt_tracing_dropped_spans_total"
        wait_until(lambda: traced.metric("METRICS_PORT_ALERTER", dropped) > 0, "the lost spans to be counted")
        assert traced.log("mutt-alerter").count("spans do not reach the collector") == before + 1
    assert "Traceback" not in traced.log("mutt-alerter") + traced.log("mutt-ingestor") + traced.log("mutt-forwarder")


def test_stopping_hands_over_what_waits_within_two_seconds(traced: Appliance, collector: Collector) -> None:
    """The last test of this module: the programs are stopped after it."""
    event = syslog.event("CRITICAL: last words")
    traced.post(event)
    traced.wait_until_idle()
    started = time.monotonic()
    for program in ("mutt-ingestor", "mutt-alerter", "mutt-forwarder"):
        traced.process(program).terminate()
    for program in ("mutt-ingestor", "mutt-alerter", "mutt-forwarder"):
        assert traced.process(program).wait(timeout=10) == 0, traced.log(program)[-2000:]
    assert time.monotonic() - started < 5
    found = {each.name for each in collector.spans if of(event)(each)}
    assert found == {"ingest", "alerter batch", "alerter event", "webhook request"}
