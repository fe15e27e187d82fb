"""From the source to the audit log and the webhook, all five programs and the generator on this machine."""

from typing import NamedTuple

from load.bench import traffic
from load.bench.costs import Costs
from load.bench.effort import Effort
from load.bench.figures import Figure, at_most, exact
from load.bench.generator import Outcome, Waiting
from load.bench.rig import Rig
from load.bench.settings import ALERT_QUEUE, INGEST_QUEUE, PIPELINE
from load.bench.sink import Stats

PART = "end to end"
RULES = 100
MOST_WAITING = 20_000
"""Sources pause while more wait: what counts is what goes through, not what piles up."""

DRAIN_SECONDS = 120.0


class Passage(NamedTuple):
    """A load that went through, and what the accounting found."""

    outcome: Outcome
    costs: Costs
    drain_seconds: float
    audited: int
    received: Stats

    @property
    def sustained(self) -> float:
        """Events a second from the first request to the last row and the last delivery."""
        return self.outcome.events / self.costs.seconds

    @property
    def wrong(self) -> int:
        """Events without their one row, and forwardable ones without their one delivery."""
        missing = abs(self.outcome.events - self.audited) + abs(self.outcome.forwardable - self.received.alerts)
        return missing + abs(self.received.alerts - self.received.distinct)


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    figures = []
    with rig.running(*PIPELINE):
        for name in PIPELINE[1:]:
            figures.append(at_most(PART, f"memory at rest, {name}", rig.memory_mb(name), "MB", 80))
        batched = passage(rig, effort.seconds, 500, 4)
        figures += _throughput(batched, "batches of 500", 45_000)
        figures += _throughput(passage(rig, effort.seconds, 1, 64), "single POSTs", 9_000)
        figures += _latency(passage(rig, effort.seconds, 100, 8, rate=batched.sustained / 2 / 100))
    return figures


def passage(rig: Rig, seconds: float, batch: int, connections: int, rate: float = 0.0) -> Passage:
    """One load on empty queues, as fast as it goes or at so many requests a second; returns when all is through."""
    prepare(rig)
    waiting = Waiting(rig.redis_port, rig.password, [INGEST_QUEUE, ALERT_QUEUE], MOST_WAITING)
    bodies = traffic.bodies(batch, stamped=True)
    spent = rig.spent()
    job = rig.ingest_job(
        bodies=bodies, seconds=seconds, connections=connections, rate=rate, waiting=None if rate else waiting
    )
    outcome = rig.fire(job)
    drain_seconds = rig.drain(DRAIN_SECONDS)
    costs = spent.stop(outcome.cpu_seconds)
    return Passage(outcome, costs, drain_seconds, rig.audited(), rig.received())


def prepare(rig: Rig, rules: int = RULES) -> None:
    """Nothing in the queues and the tables but the rules, and the alerters know these."""
    rig.drain(DRAIN_SECONDS)
    rig.empty(traffic.rules(rules))
    rig.use_rules()
    rig.sink_stats(forget=True)


def _throughput(passed: Passage, name: str, goal: float) -> list[Figure]:
    events, costs = passed.outcome.events, passed.costs
    note = f"CPU us/event {costs.per_event(events):.1f}: {costs.table(events)}"
    noise = f"others took {costs.others / costs.seconds:.2f} cores"
    accounting = f"{events:,} accepted, {passed.audited:,} audited; "
    accounting += f"{passed.outcome.forwardable:,} forwardable, {passed.received.distinct:,} received"
    return [
        Figure(PART, name, passed.sustained, "events/s", goal, note=f"{note}; {noise}"),
        Figure(PART, f"{name}: drain at the end", passed.drain_seconds, "s"),
        exact(PART, f"{name}: lost or doubled", passed.wrong, accounting),
    ]


def _latency(passed: Passage) -> list[Figure]:
    load = f"at {passed.outcome.events_per_second:,.0f} events/s, half of what is sustained, in batches of 100"
    outcome, received = passed.outcome, passed.received
    return [
        at_most(PART, "p99 of the 202 at half load", outcome.p99, "ms", 20, f"p50 {outcome.p50:.1f} ms, {load}"),
        at_most(PART, "p99 from source to webhook at half load", received.p99, "ms", 500, f"p50 {received.p50:.0f} ms"),
        exact(PART, "at half load: lost or doubled", passed.wrong),
    ]
