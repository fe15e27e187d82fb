"""How soon the dashboard and the admin API answer beside a large audit log.

A part of ``make bench``; ``python -m load.bench.queries --rows 200000`` runs it alone. The rows are thirty days of 400
hosts, a third of them alerts with a delivery. Each request is made again and again, one at a time, through the real
program; the goal is the same for all: 95 of 100 answers within 100 ms.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import requests

from load.bench import traffic
from load.bench.effort import FULL, Effort
from load.bench.figures import Figure, as_text, at_most
from load.bench.rig import Rig, end_on_signals, rig
from load.samples import SAMPLES
from load.stack.console import StackError

PART = "dashboard and API"
GOAL_MS = 100.0
REPEATS = 40
RULES = 200
DAYS = 30
WEB_UI = "mutt-webui"

PARTITIONS = """
    SELECT create_monthly_partition((now() - n * interval '1 day')::date) FROM (VALUES (0), (%(days)s)) AS ends(n)
"""
EVENTS = """
    INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity,
        rule_id, team_assignment, handling, ingestion_timestamp, content_hash, created_at)
    SELECT md5('e' || n)::uuid, md5('c' || n)::uuid, at, 'core-rtr-' || n %% 400,
        (%(messages)s::text[])[1 + n %% %(kinds)s] || ' no. ' || n, 'syslog', n %% 8, 1 + n %% 200, 'NETO',
        CASE n %% 3 WHEN 0 THEN 'Page_and_ticket' ELSE 'Log_only' END, at, n, at
    FROM (
        SELECT n, now() - n * %(days)s * interval '1 day' / %(rows)s AS at FROM generate_series(1, %(rows)s) AS n
    ) AS numbered
"""
DELIVERIES = """
    INSERT INTO alert_delivery_log (event_id, correlation_id, attempt, attempted_at, outcome, status_code, latency_ms)
    SELECT event_id, correlation_id, 1, created_at, 'delivered', 200, 12.5
    FROM event_audit_log WHERE handling = 'Page_and_ticket'
"""
BYTES = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{}'::regclass"


def measure(made: Rig, effort: Effort) -> list[Figure]:
    """A line for each query and page, and what a row takes in PostgreSQL."""
    return _measure(made, effort.backtest_rows)


def _measure(made: Rig, rows: int) -> list[Figure]:
    made.empty(traffic.rules(RULES))
    try:
        _fill(made, rows)
        with made.running(WEB_UI), _client(made) as client:
            lines = [_line(made, client, rows, name, path) for name, path in _paths(made)]
        return [*lines, *_sizes(made, rows)]
    finally:
        made.empty([])


def _fill(made: Rig, rows: int) -> None:
    values = {"rows": rows, "days": DAYS, "messages": [sample.text for sample in SAMPLES], "kinds": len(SAMPLES)}
    with made.database() as connection, connection.cursor() as cursor:
        cursor.execute(PARTITIONS, values)
        cursor.execute(EVENTS, values)
        cursor.execute(DELIVERIES)
        # What autovacuum does on an appliance in the course of the day.
        cursor.execute("VACUUM ANALYZE event_audit_log, alert_delivery_log, alert_rules")


def _paths(made: Rig) -> list[tuple[str, str]]:
    """Names of what people ask for, and its paths. What is not below /api is a page."""
    ((event,),) = made.query("SELECT correlation_id FROM event_audit_log ORDER BY event_timestamp LIMIT 1")
    ((rule,),) = made.query("SELECT min(id) FROM alert_rules")
    today = datetime.now(UTC)
    span = f"start_date={today - timedelta(days=7):%Y-%m-%d}&end_date={today:%Y-%m-%d}"
    return [
        ("API, newest events", "/api/v2/audit-logs"),
        ("API, page 50 of the events", "/api/v2/audit-logs?page=50"),
        ("API, events of a host", "/api/v2/audit-logs?hostname=core-rtr-17"),
        ("API, events of hosts that begin alike", "/api/v2/audit-logs?hostname=core-rtr-1*"),
        ("API, events of a week", f"/api/v2/audit-logs?{span}"),
        ("API, events of a rule in a week", f"/api/v2/audit-logs?rule_id=17&{span}"),
        ("API, events with a text of a host", "/api/v2/audit-logs?hostname=core-rtr-17&q=down"),
        ("API, events with a text", "/api/v2/audit-logs?q=down"),
        ("API, events with a text that no event has", "/api/v2/audit-logs?q=nobody-ever-said-this"),
        ("API, journey of the oldest event", f"/api/v2/events/{event}"),
        ("API, figures", "/api/v2/metrics"),
        ("API, objectives", "/api/v2/slo"),
        ("API, rules", "/api/v2/rules"),
        ("API, one rule", f"/api/v2/rules/{rule}"),
        ("API, hygiene of the rules", "/api/v2/rules/hygiene"),
        ("API, changes of the configuration", "/api/v2/config-audit"),
        ("API, dead letters", "/api/v2/dlq"),
        ("API, unhandled events", "/api/v2/unhandled"),
        ("API, development hosts", "/api/v2/dev-hosts"),
        ("API, teams", "/api/v2/teams"),
        ("API, settings", "/api/v2/config"),
        ("page, overview", "/"),
        ("page, events", "/events"),
        ("page, events of a host", "/events?hostname=core-rtr-17"),
        ("page, journey of the oldest event", f"/events/{event}"),
        ("page, rules", "/rules"),
        ("page, one rule", f"/rules/{rule}"),
        ("page, unhandled events", "/unhandled"),
        ("page, dead letters", "/dead-letters"),
        ("page, hosts", "/hosts"),
        ("page, settings", "/config"),
        ("page, changes", "/audit"),
    ]


@contextmanager
def _client(made: Rig) -> Iterator[requests.Session]:
    """With the admin key for the API and a session of the dashboard for its pages."""
    with requests.Session() as client:
        client.trust_env = False
        address = f"{_address(made)}/login"
        answer = client.post(address, data={"api_key": made.key}, allow_redirects=False, timeout=30)
        if answer.status_code != 303:
            raise StackError(f"the dashboard's login answered {answer.status_code}")
        client.headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        client.headers["X-API-KEY"] = made.key
        yield client


def _address(made: Rig) -> str:
    return f"http://127.0.0.1:{made.ports['SERVER_PORT_WEBUI']}"


def _line(made: Rig, client: requests.Session, rows: int, name: str, path: str) -> Figure:
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        answer = client.get(_address(made) + path, allow_redirects=False, timeout=60)
        taken.append(1000 * (time.perf_counter() - began))
        if answer.status_code != 200:
            return at_most(PART, f"{name}: p95", None, "ms", GOAL_MS, f"{path} answered {answer.status_code}")
    taken.sort()
    note = f"{rows:,} audit rows; p50 {taken[len(taken) // 2]:.1f}, longest {taken[-1]:.1f} ms"
    return at_most(PART, f"{name}: p95", taken[math.ceil(0.95 * len(taken)) - 1], "ms", GOAL_MS, note)


def _sizes(made: Rig, rows: int) -> list[Figure]:
    """Table and indexes by row; the messages are those of the samples."""
    figures = []
    for table, number in (("event_audit_log", rows), ("alert_delivery_log", rows // 3)):
        ((size,),) = made.query(BYTES.format(table))
        figures.append(Figure(PART, f"{table}, a row with its indexes", float(size) / number, "bytes"))
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.queries", description="Times the dashboard and API.")
    parser.add_argument("--rows", type=int, default=FULL.backtest_rows, help="rows of the audit log")
    options = parser.parse_args(arguments)
    end_on_signals()
    with rig() as made:
        figures = _measure(made, options.rows)
    print(as_text(figures))
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
