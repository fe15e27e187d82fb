"""How fast a backtest is: ``python -m load.bench.backtest --rows 1000000``.

It starts a PostgreSQL of its own, fills the audit log with sample syslog, tries a draft among 100 rules through the
service that the API uses, and compares that with the plain way: every rule in turn, twice an event, with Python's re.
Ends with 1 when the goal is missed.
"""

import argparse
import random
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from load.samples import SAMPLES, render
from load.stack import servers
from load.stack.layout import ROOT, Layout, create_data_folder, server_account
from mutt.admin.services.backtests import Backtests
from mutt.admin.services.rule_values import judged, values_of
from mutt.admin.shapes.rules import BacktestProgress, BacktestRequest, RuleDraft
from mutt.events.event import Event
from mutt.rules.decision import decide
from mutt.rules.rule import Handling, MatchType, Snapshot, build_snapshot
from mutt.settings import DatabaseSettings
from mutt.store import audit, backtest, migrations, rules
from mutt.store.audit import AuditRow
from mutt.store.pool import Database
from mutt.store.rules import RuleValues

GOAL_ROWS, GOAL_SECONDS = 1_000_000, 60.0
RULES = 100
PLAIN_ROWS = 50_000
HOSTS = 400
SPAN = timedelta(days=7)
LONGEST_SECONDS = 600.0
"""A backtest that takes longer is given up."""

DRAFT = RuleDraft(
    match_type=MatchType.REGEX, match_string=r"flapping between port \S+ and port", syslog_severity=4, priority=650,
    prod_handling="Page_and_ticket", dev_handling="Log_only", team_assignment="NETO",
)  # fmt: skip


class Password:
    """Hands the database's password to the pool."""

    def __init__(self) -> None:
        self.value = secrets.token_urlsafe(16)

    def candidates(self, _name: str) -> tuple[str, ...]:
        return (self.value,)


@contextmanager
def private_database() -> Iterator[Database]:
    """A database with MUTT's schema on a server that is gone afterwards."""
    layout = Layout(ROOT, Path(tempfile.mkdtemp(prefix="mutt-bench-")))
    layout.create()
    account, password = server_account(), Password()
    data = create_data_folder(layout, account)
    values = {"DB_PORT": str(_free_port()), "DB_USER": "mutt_user", "DB_NAME": "mutt_db"}
    settings = DatabaseSettings(port=int(values["DB_PORT"]), host="127.0.0.1", tls_enabled=False)
    try:
        servers.start_postgres(layout, data, account, values, password.value)
        unmigrated = Database(settings, password, "bench", schema_check=False)
        unmigrated.run(lambda connection: migrations.migrate(connection, lambda _sentence: None))
        unmigrated.close()
        database = Database(settings, password, "bench")
        yield database
        database.close()
    finally:
        servers.postgres_service(layout).stop()
        for folder in (data, layout.var):
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample_rules() -> list[RuleValues]:
    """A hundred rules: texts, patterns and severities, some for the samples and most for what seldom comes."""
    chance = random.Random(1)
    handlings = (Handling.PAGE_AND_TICKET, Handling.TICKET_ONLY, Handling.EMAIL_ONLY, Handling.LOG_ONLY)
    things = ("PSU", "fan", "memory", "BGP", "OSPF", "VLAN", "optics", "license", "raid", "certificate", "LDP", "NTP")
    told = sorted({sample.tag.strip(":") for sample in SAMPLES if sample.tag.startswith("%")})[:6]
    texts = [*told, "CRITICAL", *(f"%{thing.upper()}-2-FAULT{n}" for n in range(4) for thing in things)]
    patterns = ["Interface.*down", "disk.*full", r"Nbr \S+ on .* from FULL to DOWN", r"invalid user \w+ from"]
    patterns += [f"{thing}.*(failed|failure|lost).*unit {n}" for n in range(4) for thing in things]
    kinds = [(MatchType.CONTAINS, text) for text in texts] + [(MatchType.REGEX, pattern) for pattern in patterns]
    return [
        RuleValues(
            text, None, chance.choice((None, None, 4)), str(kind), chance.randint(1, 1000), chance.choice(handlings),
            Handling.LOG_ONLY, chance.choice(("NETO", "UNIX", "SECURITY")), True,
        )
        for kind, text in chance.sample(kinds, RULES)
    ]  # fmt: skip


def fill(database: Database, rows: int) -> None:
    """Writes the events of a week up to now, oldest first, as the alerter writes them."""
    chance, began = random.Random(2), datetime.now(UTC) - SPAN
    for first in range(0, rows, 10_000):
        numbers = range(first, min(first + 10_000, rows))
        audit.write(database, [_row(chance, began + SPAN * number / rows, number) for number in numbers])
    database.run(lambda connection: connection.cursor().execute("ANALYZE event_audit_log"))


def _row(chance: random.Random, at: datetime, number: int) -> AuditRow:
    event = render(chance.choice(SAMPLES), chance)
    name = str(uuid.UUID(int=chance.getrandbits(128)))
    hostname, severity = f"{event['hostname']}-{chance.randint(1, HOSTS // 20)}", int(event["syslog_severity"])
    return AuditRow(
        name, name, at, hostname, event["message"], "syslog", severity, None, None, None, "Log_only", None, at, number
    )


def run(database: Database, most_events: int, start: datetime, end: datetime) -> BacktestProgress:
    """The result of the service."""
    request = BacktestRequest(start=start, end=end, rule=DRAFT, most_events=most_events)
    for progress in Backtests(database).run(request):
        print(f"\r  {progress.events:,} of {progress.of:,} after {progress.seconds:.1f} s", end="", flush=True)
        if progress.done or progress.seconds > LONGEST_SECONDS:
            break
    print()
    return progress


class Plain(NamedTuple):
    """What came of judging the newest PLAIN_ROWS events by every rule in turn."""

    rows: int
    seconds: float
    pages: tuple[int, int]

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def run_plainly(database: Database, start: datetime, end: datetime, with_re: bool) -> Plain:
    """``with_re``: the patterns are those of Python's re, else those of the alerter."""
    now, then = _snapshots(database)
    if with_re:
        now, then = _with_re(now), _with_re(then)
    began, rows, pages_now, pages_then = time.monotonic(), 0, 0, 0
    for batch in backtest.batches(database, start, end, PLAIN_ROWS, 10_000):
        for at, _id, correlation_id, hostname, message, severity, trap_oid in batch:
            event = Event("", correlation_id, at, at, hostname, message, None, severity, trap_oid)
            pages_now += decide(event, now).handling is Handling.PAGE_AND_TICKET
            pages_then += decide(event, then).handling is Handling.PAGE_AND_TICKET
            rows += 1
    return Plain(rows, time.monotonic() - began, (pages_now, pages_then))


def _snapshots(database: Database) -> tuple[Snapshot, Snapshot]:
    stored, hosts, teams = rules.load_stored(database)
    now = [judged(row.id, row.values) for row in stored]
    then = [*now, judged(2**31, values_of(DRAFT))]
    return build_snapshot(now, hosts, teams), build_snapshot(then, hosts, teams)


def _with_re(snapshot: Snapshot) -> Snapshot:
    compiled = (
        rule if rule.pattern is None else replace(rule, pattern=re.compile(rule.pattern.pattern))
        for rule in snapshot.rules
    )
    return replace(snapshot, rules=tuple(compiled))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.backtest", description="How fast a backtest is.")
    parser.add_argument("--rows", type=int, default=GOAL_ROWS, help="audit rows to fill and to judge (%(default)s)")
    rows = parser.parse_args(arguments).rows
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What was started is ended with its block.
    with private_database() as database:
        began = time.monotonic()
        database.run(lambda connection: rules.insert(connection.cursor(), sample_rules()))
        fill(database, rows)
        print(f"{rows:,} rows and {RULES} rules in {time.monotonic() - began:.0f} s")
        end = datetime.now(UTC) + timedelta(minutes=1)
        start = end - SPAN - timedelta(days=1)
        done = run(database, rows, start, end)
        few = run(database, min(PLAIN_ROWS, rows), start, end)
        plain = run_plainly(database, start, end, with_re=True)
        worker = run_plainly(database, start, end, with_re=False)
    return report(done, few, plain, worker)


def report(done: BacktestProgress, few: BacktestProgress, plain: Plain, worker: Plain) -> int:
    """Prints the figures; the exit code."""
    rate = done.events / done.seconds
    print(f"backtest: {done.events:,} rows in {done.seconds:.1f} s, {rate:,.0f} rows/s")
    print(f"  pages: {done.pages_now:,} now, {done.pages_then:,} then; {done.newly_page.count:,} newly page")
    print(f"two decisions, every rule in turn, on {plain.rows:,} rows:")
    print(f"  with Python's re:        {plain.rate:,.0f} rows/s; the backtest is {rate / plain.rate:.1f} x as fast")
    print(f"  with the alerter's RE2:  {worker.rate:,.0f} rows/s; the backtest is {rate / worker.rate:.1f} x as fast")
    agree = plain.pages == worker.pages == (few.pages_now, few.pages_then)
    print(f"  pages on these rows: {plain.pages}, {'as' if agree else 'not as'} in the backtest of the same rows")
    seconds = GOAL_ROWS / rate
    met = agree and done.done and seconds < GOAL_SECONDS
    measured = "" if done.events >= GOAL_ROWS else f" at the rate of {done.events:,} rows"
    print(f"{'MET' if met else 'MISSED'} {GOAL_ROWS:,} rows in under {GOAL_SECONDS:.0f} s: {seconds:.1f} s{measured}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
