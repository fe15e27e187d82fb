"""What one ingest worker takes: keys checked, limits and metrics on, and Redis asked before every answer."""

from load.bench import traffic
from load.bench.costs import Costs
from load.bench.effort import Effort
from load.bench.figures import Figure, at_most, exact
from load.bench.generator import Outcome
from load.bench.rig import Rig
from load.bench.settings import INGEST_QUEUE

PART = "ingest, one worker"
LOADS = ((1, 64), (100, 8), (500, 4))
"""Events in a request, and connections."""


def measure(rig: Rig, effort: Effort) -> list[Figure]:
    figures = []
    with rig.running("mutt-ingestor"):
        figures.append(at_most(PART, "memory at rest", rig.memory_mb("mutt-ingestor"), "MB", 80))
        for batch, connections in LOADS:
            outcome, costs, kept = load(rig, effort.seconds, batch, connections)
            figures += _single(outcome, costs) if batch == 1 else _batched(outcome, costs, batch)
            figures.append(
                exact(PART, f"{_of(batch)}: accepted but not in the queue, or the reverse", abs(outcome.events - kept))
            )
    return figures


def load(rig: Rig, seconds: float, batch: int, connections: int) -> tuple[Outcome, Costs, int]:
    """(what the sources saw, what it cost, events in the queue), on an empty queue that nobody reads."""
    rig.empty([])
    bodies = traffic.bodies(batch)
    rig.fire(rig.ingest_job(bodies=bodies, seconds=0.5, connections=connections))
    rig.redis().delete(INGEST_QUEUE)
    spent = rig.spent()
    outcome = rig.fire(rig.ingest_job(bodies=bodies, seconds=seconds, connections=connections))
    costs = spent.stop(outcome.cpu_seconds)
    return outcome, costs, int(rig.redis().llen(INGEST_QUEUE))


def _single(outcome: Outcome, costs: Costs) -> list[Figure]:
    note = f"CPU us/event: {costs.table(outcome.events)}; {_noise(costs)}"
    return [
        Figure(PART, "single POSTs", outcome.requests_per_second, "req/s", 10_000, note=note),
        *_latencies(outcome, 1),
    ]


def _batched(outcome: Outcome, costs: Costs, batch: int) -> list[Figure]:
    goal = {100: 120_000, 500: 220_000}[batch]
    own = costs.per_event(outcome.events, "mutt-ingestor")
    note = f"{outcome.events_per_second:,.0f} events/s by the clock; CPU us/event: {costs.table(outcome.events)}"
    return [
        Figure(PART, f"{_of(batch)}, a core", 1e6 / own if own else None, "events/s", goal, note=note),
        *_latencies(outcome, batch),
    ]


def _latencies(outcome: Outcome, batch: int) -> list[Figure]:
    note = f"p50 {outcome.p50:.1f}, p95 {outcome.p95:.1f}, longest {outcome.longest:.0f} ms; {_answers(outcome)}"
    return [Figure(PART, f"{_of(batch)}: p99 at saturation", outcome.p99, "ms", note=note)]


def _of(batch: int) -> str:
    return "single POSTs" if batch == 1 else f"batches of {batch}"


def _answers(outcome: Outcome) -> str:
    return ", ".join(f"{number:,} x {status}" for status, number in outcome.statuses.items())


def _noise(costs: Costs) -> str:
    return f"others took {costs.others / costs.seconds:.2f} cores"
