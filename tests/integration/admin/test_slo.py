"""Service level objectives: from Prometheus when it knows, else from our own counters, and it is said which."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, make_wsgi_app

from mutt.admin.services.slo import ServiceLevels
from mutt.admin.shapes.overview import Objectives
from mutt.observability.metrics import ForwarderMetrics, IngestorMetrics
from mutt.redisdb import keys
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.redisdb.tally import Tally, hour_of
from tests.support.prometheus import PROGRAM, PrivatePrometheus
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until
from tests.support.web_ui import VIEWER, WebUIUnderTest

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def client(redis_server: PrivateRedis, redis_client: redis.Redis) -> redis.Redis:
    return redis_server.mutt_client()


def levels(client: redis.Redis, url: str = NOBODY, clock: Callable[[], float] = time.time) -> ServiceLevels:
    dynamic = DynamicConfig(client, enabled=True)
    dynamic.refresh()
    return ServiceLevels(client, dynamic, url, clock)


def count(client: redis.Redis, good: int, total: int, at: float, which: str = "ingest") -> None:
    tally = Tally(client, lambda: at)
    tally.add(f"slo:{which}:good", good)
    tally.add(f"slo:{which}:total", total)
    tally.flush()


def test_the_report_over_the_api_has_the_documented_shape(web_ui: WebUIUnderTest) -> None:
    answer = web_ui.call("GET", "/api/v1/slo", key=VIEWER)
    assert answer.status_code == 200
    report = answer.json
    assert (report["window_hours"], report["overall_compliant"], report["source"]) == (24, True, "counters")
    assert "cannot be asked" in report["problem"]
    assert report["timestamp"] == pytest.approx(time.time(), abs=30)
    assert set(report["components"]) == {"ingestor", "forwarder"}
    ingestor = report["components"]["ingestor"]
    expected = {"target": 0.995, "availability": None, "error_budget_remaining": 1.0, "burn_rate": 0.0, "state": "ok"}
    assert {name: ingestor[name] for name in expected} == expected
    assert ingestor["window_hours"] == 24
    assert ingestor["note"] == "no requests within the last 24 hours"
    assert report["components"]["forwarder"]["target"] == 0.99


def test_our_own_counters_over_the_window(client: redis.Redis) -> None:
    now = time.time()
    half_past = now - now % 3600 + 1800
    count(client, good=990, total=1000, at=half_past)
    count(client, good=0, total=1000, at=half_past - 24 * 3600)  # Half of that hour lies within the window.
    count(client, good=0, total=5000, at=half_past - 25 * 3600)
    count(client, good=995, total=1000, at=half_past, which="moog")
    report = levels(client, clock=lambda: half_past).report()
    ingestor, forwarder = report.components["ingestor"], report.components["forwarder"]
    assert (ingestor.good, ingestor.total) == (990, 1500)
    assert (ingestor.availability, ingestor.state, ingestor.compliant) == (0.66, "critical", False)
    assert ingestor.error_budget_remaining == 0
    assert (forwarder.availability, forwarder.state) == (0.995, "ok")
    assert (forwarder.burn_rate, forwarder.error_budget_remaining) == (0.5, 0.5)
    assert (report.overall_compliant, report.source) == (False, "counters")


def test_window_and_targets_are_dynamic_settings(client: redis.Redis) -> None:
    count(client, good=90, total=100, at=time.time() - 2 * 3600)
    client.set(keys.config("slo_window_hours"), "1")
    report = levels(client).report()
    assert (report.window_hours, report.components["ingestor"].availability) == (1, None)
    client.set(keys.config("slo_window_hours"), "6")
    client.set(keys.config("slo_ingest_success_target"), "0.8")
    ingestor = levels(client).report().components["ingestor"]
    assert (ingestor.target, ingestor.burn_rate, ingestor.state) == (0.8, 0.5, "ok")


def test_a_measurement_is_kept_for_ten_seconds(client: redis.Redis) -> None:
    now = [time.time() // 3600 * 3600 + 60]
    service = levels(client, clock=lambda: now[0])
    assert service.report().components["ingestor"].total == 0
    count(client, good=1, total=1, at=now[0])
    now[0] += 9
    assert service.report().components["ingestor"].total == 0
    now[0] += 2
    assert service.report().components["ingestor"].total == 1


# --- a Prometheus that is none ----------------------------------------------------------------------------------------


@contextmanager
def serving(application: Any) -> Iterator[str]:
    server = WSGIServer(("127.0.0.1", 0), application, log=None, error_log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=1)


def answering(status: str, body: bytes, *headers: tuple[str, str]) -> Any:
    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Type", "application/json"), *headers])
        return [body]

    return application


@pytest.mark.parametrize(
    ("application", "words"),
    [
        (answering("200 OK", b"<html>"), "does not answer as Prometheus does"),
        (answering("200 OK", b'{"status":"success","data":{"result":[]}}'), "no figures of the ingestor and the forw"),
        (answering("200 OK", b'{"status":"success"}' + b" " * 300_000), "answered more than 262144 bytes"),
        (answering("302 Found", b"", ("Location", "http://127.0.0.1:9/")), "answered 302"),
        (answering("503 Service Unavailable", b""), "answered 503"),
        (answering("400 Bad Request", b'{"status":"error","error":"parse error"}'), "refuses the query: parse error"),
    ],
)
def test_what_is_no_prometheus_is_said_and_our_counters_serve(
    client: redis.Redis, application: Any, words: str
) -> None:
    count(client, good=1, total=2, at=time.time())
    with serving(application) as url:
        report = levels(client, url).report()
    assert words in (report.problem or "")
    assert (report.source, report.components["ingestor"].availability) == ("counters", 0.5)


def test_a_prometheus_that_hangs_costs_two_seconds_and_then_nothing(client: redis.Redis) -> None:
    with socket.socket() as hung:
        hung.bind(("127.0.0.1", 0))
        hung.listen()
        service = levels(client, f"http://127.0.0.1:{hung.getsockname()[1]}")
        began = time.monotonic()
        assert "did not answer within 2 s" in (service.report().problem or "")
        first = time.monotonic() - began
        service.report()
        assert first < 3
        assert time.monotonic() - began - first < 0.5


# --- a real one -------------------------------------------------------------------------------------------------------


def reported(client: redis.Redis, url: str) -> Objectives | None:
    report = levels(client, url).report()
    return report if report.source == "prometheus" and report.components["ingestor"].total else None


@pytest.mark.skipif(PROGRAM is None and not os.environ.get("CI"), reason="prometheus is not installed")
def test_figures_of_a_real_prometheus(client: redis.Redis) -> None:
    registry, another = CollectorRegistry(), CollectorRegistry()
    ingestor, forwarder = IngestorMetrics(registry), ForwarderMetrics(another)
    registry.register(forwarder.requests)
    count(client, good=0, total=1000, at=time.time())  # Our own counters say something else.
    with serving(make_wsgi_app(registry)) as target:
        prometheus = PrivatePrometheus(target.removeprefix("http://"))
        prometheus.start()
        try:
            service_is_there = "the first figures"
            wait_until(lambda: levels(client, prometheus.url).report().source == "prometheus", service_is_there, 20)
            assert levels(client, prometheus.url).report().components["ingestor"].availability is None
            ingestor.requests.labels("success", "").inc(998)
            ingestor.requests.labels("fail", "queue_full").inc(2)
            forwarder.requests.labels("fail", "timeout").inc(10)
            forwarder.requests.labels("success", "").inc(90)
            report = wait_until(lambda: reported(client, prometheus.url), "the new figures", seconds=20)
        finally:
            prometheus.stop()
    assert report.problem is None
    assert report.components["ingestor"].availability == pytest.approx(0.998, abs=0.0005)
    assert report.components["ingestor"].state == "ok"
    assert report.components["forwarder"].availability == pytest.approx(0.9, abs=0.005)
    assert report.components["forwarder"].state == "critical"
    assert report.overall_compliant is False


# --- who counts -------------------------------------------------------------------------------------------------------


def test_the_ingestor_counts_its_requests_good_and_bad(web_ui: WebUIUnderTest) -> None:
    import falcon.testing

    from mutt import settings
    from mutt.ingest.app import create_app

    web_ui.write_secrets(INGEST_API_KEY="ingest-key")
    app = create_app(settings.load(settings.Ingestor, web_ui.environ), CollectorRegistry())
    ingest = falcon.testing.TestClient(app)
    event = {"timestamp": "2026-01-01T00:00:00Z", "hostname": "r1", "message": "hello"}
    for key, path in (("ingest-key", "/ingest"), ("wrong", "/ingest"), ("wrong", "/api/v2/ingest/rsyslog")):
        ingest.simulate_post(path, json=event, headers={"X-API-KEY": key})
    hour = hour_of(time.time())

    def counted() -> list[int]:
        names = (keys.SLO_INGEST_GOOD, keys.SLO_INGEST_TOTAL, keys.WRONG_RELAY_KEYS)
        return [int(web_ui.redis().get(keys.tally(name, hour)) or 0) for name in names]

    wait_until(lambda: counted() == [1, 3, 1], "the counts to be handed over", seconds=5)
    web_ui.write_secrets()
