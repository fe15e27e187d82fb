"""``make soak``: ten minutes at 80 % of what is sustained. ``python -m load.bench.soak [--minutes 10]``.

Prints, and judges, the slope of every program's memory over the second half, the latency of the second half beside
the first's, and the accounting. Ends with 1 when something is missed.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from load.bench import cpu, traffic
from load.bench.end_to_end import DRAIN_SECONDS, passage, prepare
from load.bench.figures import Figure, as_text, at_most, exact
from load.bench.generator import Outcome
from load.bench.rig import Rig, end_on_signals, rig
from load.bench.settings import PIPELINE
from load.stack.console import say

PART = "soak"
SHARE, BATCH, CONNECTIONS = 0.8, 500, 8
PROBE_SECONDS = 15.0
SAMPLE_SECONDS = 2.0
GROWTH_MB_A_MINUTE = 1.0
SLOWER = 2.0
"""The second half's p99 may be so many times the first's; a few milliseconds are noise."""


class Sample(NamedTuple):
    """Memory in MB by program at a time, in seconds."""

    at: float
    memory: dict[str, float]


class Sampler(threading.Thread):
    """Looks at the programs' memory every other second until it is stopped."""

    def __init__(self, made: Rig) -> None:
        super().__init__(daemon=True)
        self._trees = {name: made.pid(name) for name in (*PIPELINE, "redis")}
        self._ended = threading.Event()
        self.samples: list[Sample] = []

    def run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(SAMPLE_SECONDS):
            memory = {name: sum(map(cpu.memory_mb, cpu.tree_of(pid))) for name, pid in self._trees.items()}
            self.samples.append(Sample(time.monotonic() - began, memory))

    def stop(self) -> list[Sample]:
        self._ended.set()
        self.join()
        return self.samples


def slope(samples: Sequence[Sample], program: str) -> float:
    """MB a minute, by least squares."""
    times = [each.at / 60 for each in samples]
    values = [each.memory[program] for each in samples]
    mean_time, mean_value = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - mean_time) ** 2 for at in times)
    return sum((at - mean_time) * (value - mean_value) for at, value in zip(times, values, strict=True)) / spread


def soak(made: Rig, minutes: float) -> list[Figure]:
    """The figures of one soak on a running appliance."""
    sustained = passage(made, PROBE_SECONDS, BATCH, CONNECTIONS).sustained
    rate = SHARE * sustained
    say(f"sustained {sustained:,.0f} events/s; soaking at {rate:,.0f} for {minutes:g} minutes")
    prepare(made)
    bodies = traffic.bodies(BATCH, stamped=True)
    sampler = Sampler(made)
    sampler.start()
    began = time.monotonic()
    halves = [
        made.fire(made.ingest_job(bodies=bodies, seconds=30 * minutes, connections=CONNECTIONS, rate=rate / BATCH))
        for _ in range(2)
    ]
    samples = sampler.stop()
    seconds = time.monotonic() - began
    drained = made.drain(DRAIN_SECONDS)
    return [*_flow(halves, rate, seconds, drained), *_memory(samples), *_accounting(made, halves)]


def _flow(halves: Sequence[Outcome], rate: float, seconds: float, drained: float) -> list[Figure]:
    first, second = halves
    accepted = sum(half.events for half in halves)
    goal = max(SLOWER * first.p99, 20.0)
    note = f"the first half's was {first.p99:.1f} ms"
    return [
        Figure(PART, "accepted", accepted / seconds, "events/s", 0.97 * rate, note=f"{accepted:,} events"),
        exact(PART, "requests not accepted", sum(half.failures for half in halves)),
        at_most(PART, "p99 of the 202, second half", second.p99, "ms", goal, note),
        at_most(PART, "queues empty after", drained, "s", 5.0),
    ]


def _memory(samples: Sequence[Sample]) -> list[Figure]:
    """Redis is shown and not judged: what waits in it comes and goes."""
    half = samples[len(samples) // 2 :]
    figures = []
    for name in half[0].memory:
        note = f"{half[0].memory[name]:.0f} to {half[-1].memory[name]:.0f} MB"
        goal = GROWTH_MB_A_MINUTE if name in PIPELINE else None
        figures.append(Figure(PART, f"{name}: growth over the second half", slope(half, name), "MB/min", goal,
                              "at most", note))  # fmt: skip
    return figures


def _accounting(made: Rig, halves: Sequence[Outcome]) -> list[Figure]:
    accepted, forwardable = sum(half.events for half in halves), sum(half.forwardable for half in halves)
    audited, received = made.audited(), made.received()
    wrong = abs(accepted - audited) + abs(forwardable - received.alerts) + abs(received.alerts - received.distinct)
    note = f"{accepted:,} accepted, {audited:,} audited; {forwardable:,} forwardable, {received.distinct:,} received"
    latency = f"p50 {received.p50:.0f} ms"
    return [
        exact(PART, "lost or doubled", wrong, note),
        at_most(PART, "p99 from source to webhook", received.p99, "ms", 2000, latency),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.soak", description="A long run at 80 %.")
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args(arguments).minutes
    end_on_signals()
    with rig() as made, made.running(*PIPELINE):
        figures = soak(made, minutes)
    say(as_text(figures))
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
