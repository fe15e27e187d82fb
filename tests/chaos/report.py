"""The table of a run, for the terminal and for the documentation."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.chaos.outcome import Outcome
from tests.chaos.rows import ROWS

COLUMNS = (
    "row", "seed", "events", "kills", "fenced", "lost", "audit_duplicates", "webhook_duplicates", "control_lost",
    "control_duplicates", "seconds",
)  # fmt: skip

COMMON = (
    "answers other than 202 and 503", "acknowledged and lost", "alerts not delivered", "refused and stored",
    "audited twice", "received unasked", "audited, never sent", "parked and left", "duplicates at the webhook",
)  # fmt: skip
"""The conditions of the accounting, the same for every row."""

INTRODUCTION = """\
# The fault suite

`make chaos` runs the whole appliance (five programs, a second forwarder, two alerter and two ingest processes, Redis
with its append-only file, PostgreSQL, a stand-in webhook) under load and breaks something in each row. Leases are
three seconds, heartbeats one second. `make chaos-short` runs the same rows in small. This page is written by the run.

## The accounting

The sources keep a ledger: an event is *acknowledged* (202), *refused* (503, or no connection) or *unknown* (503 with
the reason `unknown`, or the connection was lost after it was sent). Some give up, some send again, a few send what was
acknowledged a second time. Every row is compared at rest, when nothing is queued, in hand or waits for a retry:

- acknowledged, and neither audited nor a dead letter: none. To be forwarded, and neither received with a 2xx nor a
  dead letter: none. Both are the column *lost*.
- refused everywhere, and audited or dead-lettered all the same: none.
- audited twice: none (*audit duplicates*). Audited though nobody sent it: none.
- received though no rule forwards it: none. Meta-alerts are no events and are left out.
- received twice (*webhook duplicates*): at most the alerts that forwarders had in hand when they were killed or
  paused, plus those whose answer the webhook withheld. Both are counted one by one, not estimated.
- parked under pressure (reason `shed`) and not back: none. Answers other than 202 and 503: none.

*Control* is a naive queue put through the same kills or pauses on the same machine: BRPOPLPUSH, work, LREM with a
janitor, and a plain BRPOP. It loses or doubles events; a run in which it does not fails, for it would prove nothing.
*Fenced* counts batches that a paused worker came back with after the janitor had given them to another.
"""


def table(outcomes: Sequence[Outcome]) -> str:
    """All rows, aligned, as a Markdown table."""
    lines = [[*(name.replace("_", " ") for name in COLUMNS), "passed"]]
    lines += [[*(_shown(getattr(each, name)) for name in COLUMNS), _passed(each)] for each in outcomes]
    return _aligned(lines)


def document(outcomes: Sequence[Outcome], seconds: float) -> str:
    """The page of the documentation."""
    parts = [
        INTRODUCTION,
        f"## The last run\n\n{_surroundings(outcomes, seconds)}\n",
        table(outcomes) + "\n",
        "## What the rows do, and what they found beside the accounting\n",
        *_details(outcomes),
    ]
    return "\n".join(parts)


def _details(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for name, row in ROWS.items():
        own = [each for each in outcomes if each.row == name]
        if not own:
            continue
        yield f"### {name}\n\n{(row.__doc__ or '').strip()}\n"
        if own[0].passed is None:
            yield f"Not run: {own[0].notes['skipped']}.\n"
            continue
        lines = [["seed", "condition", "found", "allowed", "met"]]
        for each in own:
            lines += [[str(each.seed), *line] for line in _conditions(each.checks)]
        yield _aligned(lines) + "\n"


def _conditions(checks: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """The conditions of one row, without those of the accounting that were met."""
    for name, each in checks.items():
        if name == "duplicates at the webhook" or name not in COMMON or not each["passed"]:
            found = str(each["found"]).replace("|", "\\|").replace("\n", " ")
            yield [name, found[:120], str(each["limit"]), "yes" if each["passed"] else "NO"]


def _surroundings(outcomes: Sequence[Outcome], seconds: float) -> str:
    seeds = ", ".join(str(seed) for seed in sorted({each.seed for each in outcomes}))
    return (
        f"{sum(each.events for each in outcomes):,} events, {sum(each.kills for each in outcomes):,} kills, pauses and "
        f"restarts, seeds {seeds}, {seconds / 60:.0f} minutes on {os.cpu_count()} processors; "
        f"Python {platform.python_version()}, {_version('redis-server', 'redis-check-rdb')}, {_version('postgres')}."
    )


def _version(*programs: str) -> str:
    """What the first of the programs that is here says of its version."""
    found = next((path for each in programs if (path := shutil.which(each))), None)
    if not found:
        return programs[0]
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return said.replace("redis-check-rdb", "Redis").replace("postgres (PostgreSQL)", "PostgreSQL")


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rows.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(rows)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _passed(outcome: Outcome) -> str:
    return {True: "yes", False: "NO", None: "not run"}[outcome.passed]
