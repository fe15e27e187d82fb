"""A real Prometheus scrapes the running appliance with the configuration and the rules that are shipped."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mutt.observability import reference
from tests.support import syslog
from tests.support.appliance import Appliance
from tests.support.prometheus import PROGRAM, PrivatePrometheus
from tests.support.waiting import wait_until
from tests.system.test_lifecycle import children, wait_healthy

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed; it is a package of Debian's")

FOLDER = Path(__file__).parents[2] / "monitoring" / "prometheus"

PORTS = {
    "mutt-ingestor": "SERVER_PORT_INGESTOR",
    "mutt-alerter": "METRICS_PORT_ALERTER",
    "mutt-forwarder": "METRICS_PORT_MOOG",
    "mutt-remediation": "METRICS_PORT_REMEDIATION",
    "mutt-webui": "SERVER_PORT_WEBUI",
}

NOT_ON_THIS_APPLIANCE = {"mutt_certificate_expiry_timestamp_seconds"}
"""Its settings name no certificate."""


def configuration(appliance: Appliance) -> str:
    """The shipped configuration with this appliance's ports, and faster."""
    shipped = yaml.safe_load((FOLDER / "scrape-mutt.example.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"}
    shipped["rule_files"] = [str(FOLDER / "mutt.rules.yml")]
    for job in shipped["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{appliance.ports[PORTS[job['job_name']]]}"]}]
    return str(yaml.safe_dump(shipped))


@pytest.fixture(scope="module")
def prometheus(running_appliance: Appliance) -> Iterator[PrivatePrometheus]:
    server = PrivatePrometheus(configuration=configuration(running_appliance))
    server.start()
    yield server
    server.stop()


def value(prometheus: PrivatePrometheus, expression: str) -> float | None:
    found = prometheus.api("query", query=expression)["result"]
    return float(found[0]["value"][1]) if found else None


def test_every_program_is_up_and_every_documented_metric_there(
    appliance: Appliance, prometheus: PrivatePrometheus
) -> None:
    wait_until(lambda: value(prometheus, "count(up == 1)") == 5, "five targets to be up", seconds=20)
    for program, metrics in reference.catalogue().items():
        wanted = {metric.name for metric in metrics} - NOT_ON_THIS_APPLIANCE
        wait_until(lambda p=program, w=wanted: not w - names(prometheus, p), f"all metrics of {program}", seconds=20)
    # No other process's label: one series a metric, however many processes there are.
    assert prometheus.api("series", **{"match[]": '{pid!="",job=~"mutt-.+"}'}) == []


def names(prometheus: PrivatePrometheus, program: str) -> set[str]:
    series = prometheus.api("series", **{"match[]": f'{{job="{program}"}}'})
    return {re.sub(r"_(bucket|sum|count)$", "", each["__name__"]) for each in series} | {
        each["__name__"] for each in series
    }


def test_the_rules_are_evaluated_and_follow_events(appliance: Appliance, prometheus: PrivatePrometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        groups = prometheus.api("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    assert appliance.post([syslog.event(f"fan {number} failed") for number in range(20)]).status_code == 202
    appliance.wait_until_idle()
    wait_until(lambda: all(rule["health"] == "ok" for rule in evaluated()), "every rule to be evaluated", seconds=20)
    assert {rule["type"] for rule in evaluated()} == {"recording", "alerting"}

    wait_until(
        lambda: (value(prometheus, "mutt:ingest_events:rate5m") or 0) > 0, "accepted events in a recorded rate",
        seconds=20,
    )  # fmt: skip
    count = "sum(mutt_alerter_end_to_end_latency_seconds_count)"
    wait_until(lambda: (value(prometheus, count) or 0) >= 20, "every event's time from end to end", seconds=20)
    wait_until(
        lambda: value(prometheus, "mutt:ingest_errors:ratio_rate5m") == 0, "the share of failed requests", seconds=20
    )
    assert (value(prometheus, "max(mutt_ingest_queue_capacity)") or 0) > 0
    assert (value(prometheus, "max(mutt_ingest_events_per_second)") or 0) > 0
    firing = prometheus.api("alerts")["alerts"]
    assert [alert["labels"]["alertname"] for alert in firing if alert["state"] == "firing"] == []


def test_counters_go_on_and_gauges_end_when_a_process_is_killed(
    appliance: Appliance, prometheus: PrivatePrometheus
) -> None:
    appliance.post([syslog.event(f"fan {number} failed") for number in range(5)])
    appliance.wait_until_idle()
    port, lines = "METRICS_PORT_ALERTER", ("mutt_db_pool_connections_max", "mutt_alerter_processing_list_depth")
    wait_until(lambda: appliance.metric(port, lines[0]) > 0, "the pool to be noted")
    before = appliance.metric(port, "mutt_alerter_end_to_end_latency_seconds_count")
    pool = appliance.metric(port, lines[0])
    with appliance.locked_audit_log():
        appliance.post([syslog.event(f"fan {number} failed") for number in range(3)])
        wait_until(lambda: appliance.metric(port, lines[1]) == 3, "three events in hand")
        (child,) = children(appliance.process("mutt-alerter").pid)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: children(appliance.process("mutt-alerter").pid) not in ([], [child]), "another process")
        wait_until(lambda: appliance.metric(port, lines[1]) != 6, "the dead process's events not to count twice")
    wait_healthy(appliance, "mutt-alerter")
    appliance.wait_until_idle()
    wait_until(lambda: appliance.metric(port, lines[1]) == 0, "nothing in hand")
    wait_until(lambda: appliance.metric(port, lines[0]) == pool, "the pool of one process")
    after = appliance.metric(port, "mutt_alerter_end_to_end_latency_seconds_count")
    assert after == before + 3
