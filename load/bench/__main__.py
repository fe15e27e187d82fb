"""``make bench``: runs every measurement and prints one table; each line with a goal begins MET or MISSED.

``python -m load.bench [--quick] [--only ingest ...] [--report docs/performance.md]``. Ends with 1 when a goal is
missed. A part that fails is a line of the table, and the others go on.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg2
import redis

from load.bench import backtests, end_to_end, ingest, limits, machine, queries, report, workers
from load.bench.comparisons import alerta, alertmanager, rsyslog, specification
from load.bench.effort import FULL, QUICK, Effort
from load.bench.figures import Figure, as_text
from load.bench.rig import Rig, end_on_signals, rig
from load.locust import runner
from load.stack.console import StackError, say

Part = Callable[[Rig, Effort], list[Figure]]

PARTS: dict[str, Part] = {
    "ingest": ingest.measure,
    "end-to-end": end_to_end.measure,
    "alerter": workers.alerter,
    "forwarder": workers.forwarder,
    "limits": limits.measure,
    "specification": specification.measure,
    "alertmanager": alertmanager.measure,
    "alerta": alerta.measure,
    "rsyslog": rsyslog.measure,
    "backtest": backtests.measure,
    "queries": queries.measure,
    "locust": runner.measure,
}

FAILURES = (StackError, OSError, ValueError, subprocess.SubprocessError, redis.RedisError, psycopg2.Error)
"""What a part may fail with; the others go on, and the table says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench", description="Measures MUTT against its goals.")
    parser.add_argument("--quick", action="store_true", help="some five minutes, to see that everything works")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to run")
    parser.add_argument("--report", type=Path, help="write the page there")
    options = parser.parse_args(arguments)
    end_on_signals()
    began, effort = time.monotonic(), QUICK if options.quick else FULL
    figures = []
    with rig() as made:
        for name in options.only:
            figures += run_part(name, made, effort)
    minutes = (time.monotonic() - began) / 60
    say(f"\n{as_text(figures)}\n{minutes:.1f} minutes")
    if options.report:
        command = " ".join(["python -m load.bench", *(arguments or sys.argv[1:])])
        report.write(options.report, figures, machine.describe(), command, minutes)
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


def run_part(name: str, made: Rig, effort: Effort) -> list[Figure]:
    """The part's figures; when it fails, one line that says so."""
    began = time.monotonic()
    try:
        figures = PARTS[name](made, effort)
    except FAILURES as error:
        figures = [Figure(name, "failed", None, "", 1.0, note=(str(error) or repr(error)).splitlines()[0])]
        say(str(error))
    say(f"\n{name}, {time.monotonic() - began:.0f} s\n{as_text(figures)}")
    return figures


if __name__ == "__main__":
    sys.exit(main())
