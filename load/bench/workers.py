"""The alerter and the forwarder alone: everything they are to do lies in their queue before the clock runs."""

from load.bench import traffic
from load.bench.costs import Costs
from load.bench.effort import Effort
from load.bench.figures import Figure, at_most, exact
from load.bench.rig import Rig
from load.bench.settings import ALERT_QUEUE, INGEST_QUEUE

PRELOADED = "bench:preloaded"
LONGEST_SECONDS = 240.0
WEBHOOK_MS = 100.0
LIMIT = 200
"""Requests a second, for the proof that a limit holds."""


def alerter(rig: Rig, effort: Effort) -> list[Figure]:
    part, figures, by_rules = "alerter alone", [], {}
    events, forwardable = traffic.queued_events(effort.queued_events)
    for count in effort.rule_counts:
        rig.empty(traffic.rules(count))
        # A deep alert queue holds the alerter back for the forwarder's sake, and here there is none.
        rig.redis().set("mutt:config:alerter_queue_shed_threshold", 1_000_000_000)
        with rig.running("mutt-alerter"):
            costs = work_off(rig, INGEST_QUEUE, events)
            own = by_rules[count] = costs.per_event(len(events), "mutt-alerter")
            rate, lost = len(events) / costs.seconds, abs(len(events) - rig.audited())
            lost += abs(forwardable - int(rig.redis().llen(ALERT_QUEUE)))
            memory = rig.memory_mb("mutt-alerter")
        note = f"CPU us/event: {costs.table(len(events))}; others took {costs.others / costs.seconds:.2f} cores"
        figures.append(Figure(part, f"{count:,} rules", rate, "events/s", note=note))
        goal = 8.0 if count == 1000 else None
        figures.append(Figure(part, f"{count:,} rules, CPU", own, "us/event", goal, "at most"))
        figures.append(exact(part, f"{count:,} rules: lost or doubled", lost))
    fewest, most = min(by_rules), max(by_rules)
    growth = by_rules[most] / by_rules[fewest]
    figures.append(at_most(part, f"growth of the CPU from {fewest} to {most:,} rules", growth, "x", 1.25))
    figures.append(at_most(part, f"memory with {most:,} rules", memory, "MB", 200))
    return figures


def forwarder(rig: Rig, effort: Effort) -> list[Figure]:
    part, alerts = "forwarder alone", traffic.queued_alerts(effort.queued_alerts)
    rig.empty([])
    with rig.running("mutt-forwarder"):
        costs = work_off(rig, ALERT_QUEUE, alerts)
        figures = [
            Figure(part, "no limit, 500 alerts a request", len(alerts) / costs.seconds, "alerts/s",
                   note=f"CPU us/alert: {costs.table(len(alerts))}"),
            exact(part, "lost or doubled", _wrong(rig, len(alerts))),
        ]  # fmt: skip
    rig.empty([])
    rig.redis().set("mutt:config:moog_batch_size", 1)
    with rig.running("mutt-forwarder", sink_latency_ms=WEBHOOK_MS, MOOG_LANES="1000"):
        few = alerts[: len(alerts) // 2]
        costs = work_off(rig, ALERT_QUEUE, few)
        note = f"one alert a request, 1,000 at once; CPU us: {costs.table(len(few))}"
        rate = len(few) / costs.seconds
        figures.append(Figure(part, "requests to a webhook of 100 ms", rate, "req/s", 5_000, note=note))
        figures.append(exact(part, "webhook of 100 ms: lost or doubled", _wrong(rig, len(few))))
    rig.empty([])
    rig.redis().set("mutt:config:moog_batch_size", 1)
    rig.redis().set("mutt:config:moog_rate_limit", LIMIT)
    with rig.running("mutt-forwarder", MOOG_LANES="100"):
        work_off(rig, ALERT_QUEUE, alerts[: LIMIT * 4])
        busiest = rig.received().busiest_second
        figures.append(at_most(part, f"most requests in any second, limit {LIMIT}", busiest, "req", LIMIT))
    return figures


def work_off(rig: Rig, queue: str, messages: list[bytes]) -> Costs:
    """Lays the messages out, hands them over in one step, and waits until nothing waits."""
    client = rig.redis()
    client.delete(PRELOADED)
    for first in range(0, len(messages), 1000):
        client.lpush(PRELOADED, *messages[first : first + 1000])
    rig.sink_stats(forget=True)
    spent = rig.spent()
    client.rename(PRELOADED, queue)
    rig.drain(LONGEST_SECONDS, queue)
    return spent.stop()


def _wrong(rig: Rig, sent: int) -> int:
    received = rig.received()
    return abs(sent - received.alerts) + abs(received.alerts - received.distinct)
