"""``make bench-curves``: what grows when something grows. ``python -m load.bench.curves [--quick] [--only batches]``.

Writes a picture for each into docs/pictures/ and prints the points.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from load.bench import traffic
from load.bench.generator import Body
from load.bench.rig import Rig, end_on_signals, rig
from load.bench.settings import INGEST_QUEUE
from load.bench.svg import Curve, draw
from load.bench.workers import work_off
from load.stack.console import say
from load.stack.layout import ROOT

PICTURES = ROOT / "docs" / "pictures"
SECONDS = 5.0
ALERTER_EVENTS = 40_000
CPU = "CPU us an event"
FILL_ROWS = 500_000
FILL = """
INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, source, syslog_severity,
    handling, ingestion_timestamp, content_hash)
SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, now(), 'core-rtr-' || n % 400,
    'Line protocol on Interface Ethernet' || n || ', changed state to up', 'syslog', 5, 'Log_only', now(), n
FROM generate_series({first}, {last}) AS n
"""


def batches(made: Rig, quick: bool) -> Curve:
    """Ingest by the size of the batch."""
    clock, cost = [], []
    with made.running("mutt-ingestor"):
        for batch in (1, 10, 100, 1000) if quick else (1, 2, 5, 10, 50, 100, 500, 1000, 5000):
            rate, micros = _ingest(made, traffic.bodies(batch), 32 if batch < 10 else 4)
            clock.append((batch, rate / 1000))
            cost.append((batch, micros))
    return Curve("batches", "Ingest by batch size, one worker", "events in a request", "see legend",
                 {"1,000 events/s": clock, CPU: cost})  # fmt: skip


def messages(made: Rig, quick: bool) -> Curve:
    """Ingest by the size of the message, in batches of 100."""
    cost = []
    with made.running("mutt-ingestor"):
        for size in (100, 1000, 10_000) if quick else (100, 300, 1000, 3000, 10_000, 30_000, 60_000):
            bodies = traffic.bodies(100, 4)
            cost.append((size, _ingest(made, [_lengthened(body, size) for body in bodies], 4)[1]))
    return Curve("messages", "Ingest by message size, batches of 100", "bytes of a message", CPU, {CPU: cost})


def connections(made: Rig, quick: bool) -> Curve:
    """Single POSTs by the number of connections."""
    rates, waits = [], []
    with made.running("mutt-ingestor"):
        for count in (1, 32, 500) if quick else (1, 4, 16, 64, 250, 1000, 2000):
            made.empty([])
            outcome = made.fire(made.ingest_job(bodies=traffic.bodies(1), seconds=SECONDS, connections=count))
            rates.append((count, outcome.requests_per_second))
            waits.append((count, outcome.p99))
    return Curve("connections", "Single POSTs by connections, one worker", "connections", "see legend",
                 {"requests/s": rates, "p99, ms": waits})  # fmt: skip


def queue(made: Rig, quick: bool) -> Curve:
    """Ingest and alerter by the events that wait already."""
    ingest_cost, alerter_cost = [], []
    events = traffic.queued_events(10_000)[0]
    with made.running("mutt-ingestor"):
        for depth in (0, 100_000) if quick else (0, 10_000, 100_000, 1_000_000):
            made.empty([])
            _lay_out(made, events, depth)
            ingest_cost.append((max(depth, 1), _ingest(made, traffic.bodies(100), 8, emptied=False)[1]))
    for depth in (20_000, 100_000) if quick else (20_000, 100_000, 1_000_000):
        made.empty(traffic.rules(100))
        _lay_out(made, events, depth)
        alerter_cost.append((depth, _alerter_on_full_queue(made, depth)))
    return Curve("queue", "By depth of the ingest queue", "events that wait already", CPU,
                 {"ingest, batches of 100": ingest_cost, "alerter": alerter_cost})  # fmt: skip


def rules(made: Rig, quick: bool) -> Curve:
    """The alerter by the number of rules."""
    events = traffic.queued_events(ALERTER_EVENTS)[0]
    cost = []
    for count in (10, 1000) if quick else (10, 100, 1000, 10_000, 30_000, 100_000):
        made.empty(traffic.rules(count))
        cost.append((count, _alerter(made, events)))
    return Curve("rules", "The alerter by rules", "rules", CPU, {"alerter": cost})


def audit(made: Rig, quick: bool) -> Curve:
    """The alerter and PostgreSQL by the rows of the audit log."""
    alerter_cost, postgres_cost, rows = [], [], 0
    for wanted in (0, FILL_ROWS) if quick else (0, 1_000_000, 5_000_000, 10_000_000, 20_000_000):
        if wanted == 0:
            made.empty(traffic.rules(100))
        while rows < wanted:
            made.query(FILL.format(first=rows + 1, last=rows + FILL_ROWS))
            rows += FILL_ROWS
        made.redis().set("mutt:config:alerter_queue_shed_threshold", 1_000_000_000)
        with made.running("mutt-alerter"):
            costs = work_off(made, INGEST_QUEUE, traffic.queued_events(ALERTER_EVENTS)[0])
        alerter_cost.append((max(rows, 1), costs.per_event(ALERTER_EVENTS, "mutt-alerter")))
        postgres_cost.append((max(rows, 1), costs.per_event(ALERTER_EVENTS, "postgres")))
    return Curve("audit", "By rows of the audit log", "rows", CPU,
                 {"alerter": alerter_cost, "PostgreSQL": postgres_cost})  # fmt: skip


def _ingest(made: Rig, bodies: list[Body], connections: int, emptied: bool = True) -> tuple[float, float]:
    """(events/s, CPU us/event of the worker and Redis)"""
    if emptied:
        made.empty([])
    spent = made.spent()
    outcome = made.fire(made.ingest_job(bodies=bodies, seconds=SECONDS, connections=connections))
    return outcome.events_per_second, spent.stop().per_event(outcome.events, "mutt-ingestor", "redis")


def _alerter(made: Rig, events: list[bytes]) -> float:
    made.redis().set("mutt:config:alerter_queue_shed_threshold", 1_000_000_000)
    with made.running("mutt-alerter"):
        return work_off(made, INGEST_QUEUE, events).per_event(len(events), "mutt-alerter", "redis")


def _alerter_on_full_queue(made: Rig, depth: int) -> float:
    """CPU us an event while the first events of a deep queue are worked off."""
    client = made.redis()
    client.set("mutt:config:alerter_queue_shed_threshold", 1_000_000_000)
    aside = "bench:aside"
    client.rename(INGEST_QUEUE, aside)
    with made.running("mutt-alerter"):
        spent = made.spent()
        client.rename(aside, INGEST_QUEUE)
        made.wait("mutt-alerter", lambda: depth - client.llen(INGEST_QUEUE) >= min(ALERTER_EVENTS, depth))
        costs = spent.stop()
        done = depth - int(client.llen(INGEST_QUEUE))
        client.delete(INGEST_QUEUE)
    return costs.per_event(done, "mutt-alerter", "redis")


def _lay_out(made: Rig, events: list[bytes], depth: int) -> None:
    client = made.redis()
    for first in range(0, depth, len(events)):
        client.lpush(INGEST_QUEUE, *events[: depth - first])


def _lengthened(body: Body, size: int) -> Body:
    content = json.loads(body.text)
    for event in content:
        event["message"] = (event["message"] + " " + "x" * size)[:size]
    return Body(json.dumps(content), body.events, body.forwardable)


CURVES: dict[str, Callable[[Rig, bool], Curve]] = {
    each.__name__: each for each in (batches, messages, connections, queue, rules, audit)
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.curves", description="Growth curves as pictures.")
    parser.add_argument("--quick", action="store_true", help="few points, to see that everything works")
    parser.add_argument("--only", nargs="+", choices=list(CURVES), default=list(CURVES))
    parser.add_argument("--into", type=Path, default=PICTURES)
    options = parser.parse_args(arguments)
    end_on_signals()
    options.into.mkdir(parents=True, exist_ok=True)
    with rig() as made:
        for name in options.only:
            curve = CURVES[name](made, options.quick)
            (options.into / f"growth-{name}.svg").write_text(draw(curve))
            for label, points in curve.series.items():
                say(f"{name}, {label}: " + "; ".join(f"{x:,.0f} -> {y:,.4g}" for x, y in points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
