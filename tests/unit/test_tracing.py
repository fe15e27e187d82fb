"""W3C traceparents, what is done with them, and a collector in trouble."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest

from mutt.events.alert import Alert
from mutt.events.event import Event
from mutt.observability import tracing
from mutt.observability.spans import MOST_LINKS, Spans, read, written
from mutt.rules.decision import Decision
from mutt.rules.rule import Handling
from mutt.settings import TracingSettings
from tests.support.collector import Collector
from tests.support.redis_server import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Running(NamedTuple):
    """Spans that are recorded, and how many of them did not reach the collector."""

    collector: Collector
    spans: Spans
    lost: list[int]


@pytest.fixture
def running() -> Iterator[Running]:
    with Collector() as collector:
        lost: list[int] = []
        yield Running(collector, Spans(TracingSettings(True, collector.url), "mutt-test", "pod-1", lost.append), lost)


def event(traceparent: str | None = None, n: int = 1) -> Event:
    return Event(f"e{n}", f"c{n}", NOW, NOW, "host", "message", traceparent=traceparent)


def alert(traceparent: str | None = None, n: int = 1) -> Alert:
    return Alert(
        f"e{n}", f"c{n}", NOW, NOW, "host", "message", "signature", "Page_and_ticket", "NETO", "production",
        traceparent=traceparent,
    )  # fmt: skip


def other(n: int, flags: str = "01") -> str:
    return f"00-{n:032x}-{n:016x}-{flags}"


def names(collector: Collector) -> list[str]:
    return [each.name for each in collector.spans]


# --- traceparent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SAMPLED, UNSAMPLED])
def test_a_traceparent_is_read_and_written(text: str) -> None:
    found = read(text)
    assert found is not None
    assert (f"{found.trace_id:032x}", f"{found.span_id:016x}", found.is_remote) == (TRACE, SPAN, True)
    assert written(found) == text


def test_what_a_later_version_adds_is_left_out() -> None:
    found = read(f" cc-{TRACE}-{SPAN}-03-more\t")
    assert found is not None
    assert written(found) == SAMPLED


@pytest.mark.parametrize(
    "text",
    [
        None, "", "x", SAMPLED.upper(), SAMPLED[:-1], SAMPLED + "-more", f"ff-{TRACE}-{SPAN}-01", SAMPLED + "\n",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}-0\u0661", "0" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_none(text: str | None) -> None:
    assert read(text) is None


# --- off --------------------------------------------------------------------------------------------------------------


def test_no_module_of_a_program_loads_opentelemetry_while_traces_are_off() -> None:
    script = """
import sys
from mutt import gevent_patch
from mutt.observability import tracing
tracing.import_redis_alone()
import mutt.ingest.app, mutt.admin.app, mutt.workers.wiring, mutt.workers.parents, mutt.web.server, mutt.web.worker
from mutt.settings import TracingSettings
tracing.start(TracingSettings(), "mutt-test", "pod", lambda spans: None)
with tracing.ingest_request("/ingest", None) as trace:
    trace.carry([]); trace.answered(202, "")
with tracing.batch([]) as trace:
    trace.decided([])
with tracing.webhook_request([]) as trace:
    assert trace.headers == {}
assert tracing.current() is None
tracing.stop()
print([name for name in sys.modules if "opentelemetry" in name or "protobuf" in name])
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_while_traces_are_off_a_batch_costs_microseconds() -> None:
    events = [event(SAMPLED, n) for n in range(1000)]
    decided: Any = [(each, None) for each in events]

    def batch() -> float:
        started = time.perf_counter()
        with tracing.batch(events) as trace:
            trace.decided(decided)
        return time.perf_counter() - started

    assert min(batch() for _ in range(100)) < 20e-6
    assert {each.traceparent for each in events} == {SAMPLED}


# --- on ---------------------------------------------------------------------------------------------------------------


def test_a_batch_takes_its_request_for_the_trace_of_events_without_one(running: Running) -> None:
    events: Sequence[Event] = [event(None, 1), event(other(5), 2), event("garbage", 3), event(SAMPLED, 4)]
    with running.spans.ingest_request("/ingest", SAMPLED) as trace:
        trace.carry(events)
        trace.answered(202, "")
    running.spans.stop()
    (span,) = running.collector.spans
    assert (span.trace_id, span.parent_id, span.links) == (TRACE, SPAN, [(f"{5:032x}", f"{5:016x}")])
    assert [each.traceparent for each in events] == [span.traceparent, other(5), span.traceparent, span.traceparent]


def test_a_share_of_the_traces_is_recorded_and_only_their_name_travels() -> None:
    with Collector() as collector:
        spans = Spans(TracingSettings(True, collector.url, sampled_share=0.0), "mutt-test", "pod", lambda _: None)
        alone, continued = event(), event(SAMPLED)
        for each in (alone, continued):
            with spans.ingest_request("/ingest", None) as trace:
                trace.carry([each])
        with spans.batch([alone, continued]) as trace:
            trace.decided([])
        spans.stop()
        assert [each.trace_id for each in collector.spans] == [TRACE]
        assert alone.traceparent is None
        assert continued.traceparent == collector.spans[0].traceparent


def test_only_sampled_events_have_spans_of_their_own(running: Running) -> None:
    events = [event(SAMPLED, 1), event(UNSAMPLED, 2), event(None, 3)]
    decision = Decision(7, Handling.PAGE_AND_TICKET, "NETO", "production", forward=True)
    with running.spans.batch(events) as trace:
        trace.decided([(each, decision) for each in events])
    running.spans.stop()
    assert sorted(names(running.collector)) == ["alerter batch", "alerter event"]
    span = running.collector.wait_for("alerter event")
    assert (span.trace_id, span.parent_id) == (TRACE, SPAN)
    assert [each.traceparent for each in events] == [span.traceparent, UNSAMPLED, None]


def test_a_batch_of_very_many_traces_names_some_of_them(running: Running) -> None:
    with running.spans.batch([event(other(n), n) for n in range(1, 1000)]):
        pass
    running.spans.stop()
    assert len(running.collector.wait_for("alerter batch").links) == MOST_LINKS


@pytest.mark.parametrize(
    ("traceparents", "trace_id", "links"),
    [
        ([SAMPLED, None], TRACE, 0),
        ([SAMPLED, SAMPLED], TRACE, 0),
        ([SAMPLED, f"00-{TRACE}-{5:016x}-01"], TRACE, 1),
        ([SAMPLED, other(5)], None, 2),
        ([None, None], None, 0),
    ],
)
def test_a_webhook_request_is_part_of_the_only_trace_of_its_alerts(
    running: Running, traceparents: list[str | None], trace_id: str | None, links: int
) -> None:
    with running.spans.webhook_request([alert(each, n) for n, each in enumerate(traceparents)]) as trace:
        sent = trace.headers["traceparent"]
        trace.answered(503, "server_error")
    running.spans.stop()
    (span,) = running.collector.spans
    assert (span.traceparent, len(span.links)) == (sent, links)
    assert (span.error, span.attributes["http.response.status_code"]) == ("server_error", 503)
    assert span.trace_id == trace_id or (trace_id is None and span.trace_id != TRACE)


def test_an_error_is_named_by_its_type_and_its_text_stays_here(running: Running) -> None:
    with pytest.raises(ValueError, match="canary"), running.spans.webhook_request([alert()]):
        raise ValueError("canary")
    running.spans.stop()
    (span,) = running.collector.spans
    assert span.error == "ValueError"
    assert "canary" not in repr(span)


def test_the_span_under_way_is_that_of_the_greenlet(running: Running) -> None:
    def request(n: int) -> tuple[str, str, Any]:
        with running.spans.ingest_request("/ingest", other(n)) as trace:
            trace.carry([])
            before = running.spans.current()
            gevent.sleep(0.01)
            after = running.spans.current()
            assert before
            assert after
            return before.trace_id, after.trace_id, None
        raise AssertionError

    greenlets = [gevent.spawn(request, n) for n in range(1, 20)]
    gevent.joinall(greenlets, raise_error=True)
    assert [each.value[:2] for each in greenlets] == [(f"{n:032x}",) * 2 for n in range(1, 20)]
    assert running.spans.current() is None
    running.spans.stop()


# --- a collector in trouble -------------------------------------------------------------------------------------------


def record(spans: Spans, number: int) -> None:
    for n in range(number):
        with spans.webhook_request([alert(n=n)]):
            pass


def test_the_default_collector_is_on_this_host() -> None:
    from mutt.observability.span_export import CalmExporter

    assert CalmExporter("", print)._exporter._endpoint == "http://localhost:4318/v1/traces"
    assert CalmExporter("https://c:1/otlp/", print)._exporter._endpoint == "https://c:1/otlp/v1/traces"


def test_a_collector_that_hangs_does_not_hold_up_work_or_stopping(running: Running) -> None:
    running.collector.answering.clear()
    record(running.spans, 600)
    wait_until(lambda: running.collector.requests, "the collector to be asked")
    started = time.monotonic()
    record(running.spans, 10)
    assert time.monotonic() - started < 0.5
    running.spans.stop()
    assert time.monotonic() - started < 3


def test_stopping_hands_over_what_waits(running: Running) -> None:
    record(running.spans, 1000)
    started = time.monotonic()
    running.spans.stop()
    assert time.monotonic() - started < 2
    assert len(running.collector.spans) == 1000
    assert running.lost == []


def test_spans_beyond_the_queue_are_dropped_and_counted(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mutt.observability.span_export.MOST_WAITING", 100)
    record(running.spans, 150)
    assert sum(running.lost) == 50
    running.spans.stop()
    assert len(running.collector.spans) == 100


def test_a_collector_that_comes_back_gets_what_is_recorded_then(running: Running) -> None:
    port = free_port()
    spans = Spans(TracingSettings(True, f"http://127.0.0.1:{port}"), "mutt-test", "pod", running.lost.append)
    record(spans, 3)
    wait_until(lambda: sum(running.lost) == 3, "the loss to be counted", seconds=15)
    with Collector(port) as late:
        record(spans, 2)
        spans.stop()
        assert len(late.spans) == 2
    assert sum(running.lost) == 3
