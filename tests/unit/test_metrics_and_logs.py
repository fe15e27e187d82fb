"""Names and labels of the metrics, and the two shapes of a log line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mutt.errors import Reason
from mutt.observability import metrics
from mutt.observability.multiprocess import prepare_dir

ROOT = Path(__file__).parents[2]

# Operators have dashboards on these: name, type and labels of the quick reference, by program.
DOCUMENTED: dict[type, list[tuple[str, str, tuple[str, ...]]]] = {
    metrics.IngestorMetrics: [
        ("mutt_ingest_requests_total", "counter", ("reason", "status")),
        ("mutt_ingest_queue_depth", "gauge", ()),
        ("mutt_ingest_latency_seconds", "histogram", ()),
    ],
    metrics.AlerterMetrics: [
        ("mutt_alerter_events_processed_total", "counter", ("status",)),
        ("mutt_alerter_processing_latency_seconds", "histogram", ()),
        ("mutt_alerter_queue_depth", "gauge", ()),
        ("mutt_alerter_shed_events_total", "counter", ("mode",)),
        ("mutt_alerter_cache_rules_count", "gauge", ()),
        ("mutt_alerter_cache_dev_hosts_count", "gauge", ()),
        ("mutt_alerter_cache_teams_count", "gauge", ()),
        ("mutt_alerter_dlq_depth", "gauge", ()),
        ("mutt_alerter_processing_list_depth", "gauge", ()),
        ("mutt_alerter_cache_reload_failures_total", "counter", ()),
        ("mutt_db_write_latency_ms", "histogram", ()),
    ],
    metrics.ForwarderMetrics: [
        ("mutt_moog_requests_total", "counter", ("reason", "status")),
        ("mutt_moog_request_latency_seconds", "histogram", ()),
        ("mutt_moog_dlq_depth", "gauge", ()),
        ("mutt_moog_processing_list_depth", "gauge", ()),
        ("mutt_moog_rate_limit_hits_total", "counter", ()),
        ("mutt_moog_alerts_processed_total", "counter", ("status",)),
        ("mutt_moog_circuit_state", "gauge", ()),
    ],
    metrics.RemediationMetrics: [
        ("mutt_remediation_replayed_total", "counter", ("source", "status")),
        ("mutt_remediation_dlq_scan_duration_seconds", "histogram", ()),
    ],
    metrics.WebUIMetrics: [
        ("mutt_webui_api_requests_total", "counter", ("endpoint", "status")),
        ("mutt_webui_api_latency_seconds", "histogram", ("endpoint",)),
        ("mutt_webui_redis_scan_latency_seconds", "histogram", ()),
        ("mutt_webui_db_query_latency_ms", "histogram", ("operation",)),
    ],
}

SHARED = {"mutt_db_pool_connections_in_use", "mutt_db_pool_connections_max", "mutt_queue_retries_total"}
"""What those programs have in common that have a pool of connections, and those that try again."""


def exposed(program: Any) -> dict[str, Any]:
    """The metric families of a program that has just started, by the name they are documented under."""
    registry = CollectorRegistry()
    program(registry)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {f.name + ("_total" if f.type == "counter" else ""): f for f in families if not f.name.endswith("_created")}


def labels_at_start(program: Any, name: str, *labels: str) -> set[tuple[str, ...]]:
    samples = [sample for sample in exposed(program)[name].samples if sample.name == name]
    return {tuple(sample.labels[label] for label in labels) for sample in samples}


def declared(program: Any) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and label names of every metric of a program, also of those that no label was made for."""
    registry = CollectorRegistry()
    return {
        each._name + ("_total" if each._type == "counter" else ""): (each._type, tuple(sorted(each._labelnames)))
        for each in vars(program(registry)).values()
    }


@pytest.mark.parametrize(
    ("program", "name", "kind", "labels"),
    [(program, *each) for program, documented in DOCUMENTED.items() for each in documented],
)
def test_documented_metrics_have_their_documented_type_and_labels(
    program: Any, name: str, kind: str, labels: tuple[str, ...]
) -> None:
    assert declared(program)[name] == (kind, labels)


@pytest.mark.parametrize("program", DOCUMENTED)
def test_further_metrics_are_named_after_mutt_and_say_what_they_mean(program: Any) -> None:
    for name, family in exposed(program).items():
        assert name.startswith("mutt_")
        assert family.documentation.endswith(".")
    assert not [labels for _, labels in declared(program).values() if {"hostname", "message"} & set(labels)]


def test_no_program_exports_the_figures_of_another() -> None:
    common = {*declared(metrics.WorkerMetrics), *SHARED}
    own = {program: set(declared(program)) - common for program in DOCUMENTED}
    for program, names in own.items():
        for other in set(own) - {program}:
            assert not names & own[other]


@pytest.mark.parametrize(
    ("program", "name", "expected"),
    [
        (metrics.AlerterMetrics, "mutt_alerter_events_processed_total", {"handled", "unhandled", "poison", "error"}),
        (metrics.AlerterMetrics, "mutt_alerter_shed_events_total", {"dlq", "defer"}),
        (metrics.ForwarderMetrics, "mutt_moog_alerts_processed_total", {"success", "dlq", "error", "retry"}),
    ],
)
def test_every_outcome_is_there_at_start(program: Any, name: str, expected: set[str]) -> None:
    assert labels_at_start(program, name, "mode" if "shed" in name else "status") == {(each,) for each in expected}


def test_statements_have_their_labels_at_start() -> None:
    registry = CollectorRegistry()
    program = metrics.WebUIMetrics(registry, ["latest_events"])
    with metrics.timed_scan(program):
        program.observe_query("latest_events", 0.020)
    value = registry.get_sample_value
    assert value("mutt_webui_db_query_latency_ms_bucket", {"operation": "latest_events", "le": "25.0"}) == 1
    assert value("mutt_webui_db_query_latency_ms_bucket", {"operation": "latest_events", "le": "10.0"}) == 0
    assert value("mutt_webui_redis_scan_latency_seconds_count") == 1


def test_every_outcome_of_two_labels_is_there_at_start() -> None:
    requests = labels_at_start(metrics.IngestorMetrics, "mutt_ingest_requests_total", "status", "reason")
    assert requests == {("success", ""), *(("fail", str(reason)) for reason in metrics.INGEST_REFUSALS)}
    assert {str(reason) for reason in Reason} > {reason for _, reason in requests if reason}
    requests = labels_at_start(metrics.ForwarderMetrics, "mutt_moog_requests_total", "status", "reason")
    assert requests == set(metrics.WEBHOOK_OUTCOMES)
    replays = labels_at_start(metrics.RemediationMetrics, "mutt_remediation_replayed_total", "source", "status")
    assert replays >= {(source, status) for source in ("alerter", "moog") for status in ("success", "fail")}


@pytest.mark.parametrize("program", DOCUMENTED)
def test_every_figure_begins_at_zero(program: Any) -> None:
    for name, family in exposed(program).items():
        assert name == "mutt_build_info" or all(
            sample.value == 0 for sample in family.samples if not sample.name.endswith("_created")
        )


def test_the_directory_of_the_figures_is_emptied_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/somewhere/else")
    (tmp_path / "alerter-metrics").mkdir()
    (tmp_path / "alerter-metrics" / "counter_1.db").write_bytes(b"figures of an earlier start")
    prepare_dir(tmp_path, "alerter")
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "alerter-metrics")
    assert list((tmp_path / "alerter-metrics").iterdir()) == []


def test_figures_of_all_processes_are_added_up(tmp_path: Path) -> None:
    count = "from mutt.observability.metrics import AlerterMetrics as M; M().events.labels('handled').inc(2)"
    for _ in range(2):
        run(count, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    show = "from mutt.observability.metrics import exposition; print(exposition().decode())"
    shown = run(show, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert 'mutt_alerter_events_processed_total{status="handled"} 4.0' in shown


# --- log lines --------------------------------------------------------------------------------------------------------


def run(script: str, **environ: str) -> str:
    """What a process of its own writes to standard output; logging is configured for a whole process."""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "POD_NAME": "mutt-1", **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


START = r"""
import logging, structlog
from mutt import settings
from mutt.observability import logs

general = settings.load(settings.Ingestor, {"MUTT_SECRETS_BACKEND": "file", **__import__("os").environ}).general
logs.configure(general, "mutt-alerter")
log = structlog.get_logger("mutt.workers.alerter")
"""

SCRIPT = (
    START
    + r"""
def work():
    log.info("batch settled", events=3, correlation_id="c-1", hostname="x\ny \x1b[31m")
    with structlog.contextvars.bound_contextvars(correlation_id="c-2"):
        log.warning("ünïcode \U0001f525", raw=b"\xff", thing=object)
    log.debug("not shown at INFO")
    logging.getLogger("gunicorn.error").warning("listening at %s", "0.0.0.0:8080")
    logging.getLogger("urllib3").info("a connection")
    try:
        raise ValueError("oops\nsecond line")
    except ValueError:
        log.exception("it failed")
        logging.getLogger("elsewhere").exception("there too")

work()
"""
)


@pytest.fixture(scope="module")
def json_lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(SCRIPT, LOG_JSON_ENABLED="true").splitlines()]


@pytest.fixture(scope="module")
def plain() -> str:
    return run(SCRIPT)


def test_a_json_line_has_the_fields_of_the_guide(json_lines: list[dict[str, Any]]) -> None:
    first = json_lines[0]
    assert first["timestamp"].startswith("20")
    assert first["timestamp"].endswith("Z")
    assert isinstance(first["line"], int)
    expected = {
        "level": "INFO",
        "message": "batch settled",
        "logger": "mutt.workers.alerter",
        "function": "work",
        "service": "mutt-alerter",
        "version": "2.5",
        "pod_name": "mutt-1",
        "correlation_id": "c-1",
        "events": 3,
    }
    assert {name: first[name] for name in expected} == expected
    assert "module" in first
    assert "event" not in first


def test_a_json_line_names_the_thread(json_lines: list[dict[str, Any]]) -> None:
    assert all(line["thread"] for line in json_lines)


def test_every_json_line_has_the_same_fields_whoever_wrote_it(json_lines: list[dict[str, Any]]) -> None:
    assert [line["message"] for line in json_lines] == [
        "batch settled",
        "ünïcode \U0001f525",
        "listening at 0.0.0.0:8080",
        "it failed",
        "there too",
    ]
    always = {"timestamp", "level", "message", "logger", "module", "function", "line", "service", "version", "pod_name"}
    for line in json_lines:
        assert always <= set(line)
        assert (line["service"], line["version"], line["pod_name"]) == ("mutt-alerter", "2.5", "mutt-1")
    assert [line["level"] for line in json_lines] == ["INFO", "WARNING", "WARNING", "ERROR", "ERROR"]
    assert json_lines[2]["logger"] == "gunicorn.error"
    assert {line["function"] for line in json_lines} == {"work"}


def test_the_correlation_id_comes_from_the_context(json_lines: list[dict[str, Any]]) -> None:
    assert json_lines[1]["correlation_id"] == "c-2"
    assert "correlation_id" not in json_lines[2]


def test_an_exception_is_one_json_line(json_lines: list[dict[str, Any]]) -> None:
    for line in json_lines[3:]:
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert line["exception"].endswith("ValueError: oops\nsecond line")


def test_values_from_devices_stay_values_in_json(json_lines: list[dict[str, Any]]) -> None:
    assert json_lines[0]["hostname"] == "x\ny \x1b[31m"


def test_a_plain_line_has_what_a_person_reads(plain: str) -> None:
    first = plain.splitlines()[0]
    for words in ("[INFO", "batch settled", "mutt.workers.alerter", "events=3", "correlation_id=c-1"):
        assert words in first
    assert first.startswith("20")
    assert not first.startswith("{")
    for words in ("pod_name", "module", "func_name", "version"):
        assert words not in first


def test_a_plain_line_is_one_line_whatever_devices_send(plain: str) -> None:
    lines = plain.splitlines()
    assert "batch settled" in lines[0]
    assert "ünïcode \U0001f525" in lines[1]
    assert "listening at 0.0.0.0:8080" in lines[2]
    assert "x\\ny \\x1b[31m" in lines[0]
    assert "ValueError: oops" in plain


@pytest.mark.parametrize("shape", ["true", "false"])
@pytest.mark.parametrize("value", ["chr(0xD800)", "'\\x1b[2J'"])
def test_no_text_loses_a_line_or_reaches_the_terminal(shape: str, value: str) -> None:
    written = run(f"{START}log.info('first', value={value}); log.info({value})", LOG_JSON_ENABLED=shape)
    assert len(written.splitlines()) == 2
    assert "\x1b" not in written


def test_the_level_may_change_while_the_program_runs() -> None:
    script = (
        f"{START}log.debug('one'); logs.set_level('DEBUG'); log.debug('two'); logs.set_level('ERROR'); log.info('x')"
    )
    assert [line.split("] ")[1].split()[0] for line in run(script).splitlines()] == ["two"]


@pytest.mark.parametrize("shape", ["true", "false"])
@pytest.mark.parametrize(("level", "count"), [("DEBUG", 6), ("INFO", 5), ("WARNING", 4), ("ERROR", 2), ("CRITICAL", 0)])
def test_less_severe_lines_than_the_level_are_left_out(shape: str, level: str, count: int) -> None:
    written = run(SCRIPT, LOG_LEVEL=level, LOG_JSON_ENABLED=shape).splitlines()
    assert len([line for line in written if line.startswith(("{", "20"))]) == count
