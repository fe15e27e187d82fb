"""Runs rows, prints a JSON line for each and a table at the end."""

import argparse
import time
from pathlib import Path

from tests.chaos import report
from tests.chaos.outcome import FULL, SHORT, Outcome, Size
from tests.chaos.rows import ROWS
from tests.chaos.trial import Stage, run_row
from tests.support.postgres import shared_server

LONG_ROWS = ("kill", "pause")
LONG_EVENTS = 100_000
LONG_RATE = 2000.0
"""The two rows that rest on chance: more events, and each of the seeds."""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    names = options.rows.split(",") if options.rows else list(ROWS)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    stage = Stage(shared_server())
    started = time.monotonic()
    outcomes: list[Outcome] = []
    try:
        for name in names:
            for seed in seeds if name in LONG_ROWS else seeds[:1]:
                outcome = run_row(name, ROWS[name], seed, _size(options, name), stage)
                print(outcome.line(), flush=True)
                outcomes.append(outcome)
    finally:
        stage.close()
    print(report.table(outcomes))
    if options.report:
        options.report.write_text(report.document(outcomes, time.monotonic() - started))
    return 1 if any(outcome.passed is False for outcome in outcomes) else 0


def _size(options: argparse.Namespace, name: str) -> Size:
    size = SHORT if options.short else FULL
    if name in LONG_ROWS and not options.short:
        size = size._replace(events=LONG_EVENTS, rate=LONG_RATE)
    if options.events:
        size = size._replace(events=options.events)
    if options.away_seconds:
        size = size._replace(outage_seconds=options.away_seconds)
    return size


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="The fault suite of MUTT.")
    parser.add_argument("--rows", help=f"of {','.join(ROWS)}; all when not given")
    parser.add_argument("--events", type=int, help="events a row instead of those of its size")
    parser.add_argument("--seeds", default="1,2,3", help="kill and pause run with each, the other rows with the first")
    parser.add_argument("--short", action="store_true", help="small numbers, three minutes in all")
    parser.add_argument("--away-seconds", type=float, help="how long PostgreSQL stays away")
    parser.add_argument("--report", type=Path, help="also write the table and how to read it to this file")
    options = parser.parse_args(arguments)
    unknown = set((options.rows or next(iter(ROWS))).split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options
