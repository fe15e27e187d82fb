"""The specification's own design: Flask with four workers, and an alerter that takes one event at a time."""

import json
import os
import time
from pathlib import Path

from load.bench import ingest, traffic
from load.bench.comparisons.pairs import absent, compare, environment
from load.bench.effort import Effort
from load.bench.figures import Figure
from load.bench.generator import Job
from load.bench.limits import answers
from load.bench.rig import Rig, free_port
from load.bench.settings import INGEST_QUEUE
from load.bench.workers import work_off
from load.stack.console import StackError
from mutt.events.event import decode

PART = "the specification's design"
PACKAGES = ("flask", "gunicorn", "redis", "hiredis", "psycopg2-binary")
DESIGNS = Path(__file__).parents[1] / "designs"
WORKERS = 4
RULES = 200
EVENTS = 4_000
TABLE = """
CREATE TABLE IF NOT EXISTS spec_audit_log (
    id BIGSERIAL PRIMARY KEY, correlation_id UUID, event_timestamp TIMESTAMPTZ, hostname TEXT, message TEXT,
    rule_id INTEGER, handling TEXT, raw JSONB
);
CREATE INDEX IF NOT EXISTS spec_audit_log_correlation ON spec_audit_log (correlation_id);
CREATE INDEX IF NOT EXISTS spec_audit_log_hostname ON spec_audit_log (hostname);
CREATE INDEX IF NOT EXISTS spec_audit_log_timestamp ON spec_audit_log (event_timestamp);
TRUNCATE spec_audit_log;
"""


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    try:
        programs = environment("specification", PACKAGES)
    except StackError as error:
        return absent(PART, str(error).splitlines()[0])
    seconds = min(effort.seconds, 8.0)
    ingesting = compare(
        f"{PART}, ingest", lambda: _our_ingest(rig, seconds), lambda: _their_ingest(rig, programs, seconds),
        effort.repeats, "req/s", 5.0,
    )  # fmt: skip
    alerting = compare(
        f"{PART}, alerter, {RULES} rules", lambda: our_alerter(rig, effort.queued_events // 2),
        lambda: _their_alerter(rig, programs), effort.repeats, "events/s", 5.0,
    )  # fmt: skip
    return ingesting + alerting


def _our_ingest(rig: Rig, seconds: float) -> tuple[float, float]:
    with rig.running("mutt-ingestor"):
        outcome, costs, _ = ingest.load(rig, seconds, 1, 64)
    return outcome.requests_per_second, costs.per_event(outcome.events, "mutt-ingestor", "redis")


def _their_ingest(rig: Rig, programs: Path, seconds: float) -> tuple[float, float]:
    port = free_port()
    rig.empty([])
    command = [str(programs / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    rig.start("spec-ingest", [*command, "--threads", "1", "spec_ingest:app"], _environ(rig), cwd=DESIGNS)
    try:
        rig.wait("spec-ingest", lambda: answers(port))
        spent = rig.spent()
        headers = {"X-API-KEY": rig.key}
        # Its workers are gunicorn's plain ones, which close the connection after each answer.
        outcome = rig.fire(Job(port, "/api/v2/ingest", traffic.bodies(1), seconds, 64, headers))
        costs = spent.stop()
    finally:
        rig.stop_service("spec-ingest")
    return outcome.requests_per_second, costs.per_event(outcome.events, "spec-ingest", "redis")


def our_alerter(rig: Rig, events: int, rules: int = RULES) -> tuple[float, float]:
    """MUTT's alerter on a full queue: (events/s, CPU us/event with Redis and PostgreSQL)."""
    rig.empty(traffic.rules(rules))
    rig.redis().set("mutt:config:alerter_queue_shed_threshold", 1_000_000_000)
    with rig.running("mutt-alerter"):
        costs = work_off(rig, INGEST_QUEUE, traffic.queued_events(events)[0])
    return events / costs.seconds, costs.per_event(events, "mutt-alerter", "redis", "postgres")


def _their_alerter(rig: Rig, programs: Path) -> tuple[float, float]:
    rig.empty(traffic.rules(RULES))
    rig.query(TABLE)
    client, events = rig.redis(), [_plain(record) for record in traffic.queued_events(EVENTS)[0]]
    rig.start("spec-alerter", [str(programs / "python"), "spec_alerter.py"], _environ(rig), cwd=DESIGNS)
    try:
        time.sleep(1.0)  # It says nothing when it is ready, and its start is not to be measured.
        spent = rig.spent()
        client.lpush(INGEST_QUEUE, *events)
        rig.wait("spec-alerter", lambda: not client.exists(INGEST_QUEUE, "mutt:processing:alerter:spec"), 120)
        costs = spent.stop()
    finally:
        rig.stop_service("spec-alerter")
    return EVENTS / costs.seconds, costs.per_event(EVENTS, "spec-alerter", "redis", "postgres")


def _plain(record: bytes) -> str:
    """The event as the specification's ingest queues it."""
    event = decode(record)
    return json.dumps({
        "correlation_id": event.correlation_id, "timestamp": event.timestamp.isoformat(), "hostname": event.hostname,
        "message": event.message, "source": event.source, "syslog_severity": event.syslog_severity,
        "ingestion_timestamp": event.ingestion_timestamp.isoformat(),
    })  # fmt: skip


def _environ(rig: Rig) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath), "REDIS_PORT": str(rig.redis_port), "REDIS_PASSWORD": rig.password,
        "INGEST_API_KEY": rig.key, "DATABASE_URL": rig.dsn,
    }  # fmt: skip
