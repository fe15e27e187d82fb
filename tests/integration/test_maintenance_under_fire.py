"""Upkeep killed at any moment loses nothing and doubles nothing; and whoever writes meanwhile is never refused."""

import os
import random
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest
import redis

from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.maintenance.run import month_of, shifted
from mutt.redisdb import keys
from mutt.store import audit
from mutt.store.audit import INSERTED, AuditRow
from mutt.store.pool import Database
from tests.support.postgres import PrivatePostgres, open_database
from tests.support.redis_server import PrivateRedis
from tests.support.upkeep import ROOT, Site
from tests.support.waiting import wait_until

KILLS = 20
MONTH = month_of(datetime.now(UTC))
TABLES = ("event_audit_log", "alert_delivery_log")
LISTS = ("mutt:dlq:moog", keys.POISON)

LAUNCHER = """
import os, sys
import mutt.cli.upkeep
from mutt.cli.main import main
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        os.dup2(2, 1)
        try:
            main(["upkeep", "run"])
        except SystemExit as exit:
            os._exit(exit.code or 0)
        finally:
            os._exit(70)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Starts an upkeep for each line it is given, without importing everything anew; says its pid and how it ended."""


@pytest.fixture
def site(
    postgres_server: PrivatePostgres, redis_server: PrivateRedis, redis_client: redis.Redis, tmp_path: Path
) -> Site:
    return Site(postgres_server, redis_server, tmp_path)


class Launcher:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout

    def start(self) -> int:
        print(file=self._stdin, flush=True)
        return int(self._stdout.readline())

    def ended(self) -> int:
        """Waits for the end, and returns how it was."""
        return int(self._stdout.readline())


@contextmanager
def launcher(site: Site, log: Path) -> Iterator[Launcher]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **site.environ}
    command = [sys.executable, "-c", LAUNCHER, str(log)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Launcher(process)
        assert process.stdin
        process.stdin.close()


def letter(number: int) -> bytes:
    failed_at = datetime.now(UTC) - timedelta(days=100)
    return dead_letter.encode(DeadLetter("shed", "too many", "moog", failed_at, {"n": number}))


def dead_letters_anywhere(site: Site, client: redis.Redis) -> Counter[str]:
    found = site.rows_in_archives("dead_letters")
    for name in LISTS:
        for each in (name, keys.UPKEEP_PREFIX + name):
            records: list[bytes] = client.lrange(each, 0, -1)  # type: ignore[assignment]
            found.update(record.decode() for record in records)
    return found


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(
    site: Site, redis_client: redis.Redis, tmp_path: Path
) -> None:
    seed = int(os.environ.get("UPKEEP_SEED") or secrets.randbelow(10**6))
    print(f"UPKEEP_SEED={seed}")
    dice = random.Random(seed)
    site.environ |= {"RETENTION_BATCH_ROWS": "25", "RETENTION_PRECREATE_MONTHS": "0"}
    expected: dict[str, Counter[str]] = {table: Counter() for table in TABLES}
    letters: Counter[str] = Counter()
    kills = 0

    def fill(number: int) -> None:
        for months in (4, 5, 9):
            # A while ahead of one another, so that a later round finds months that were begun or archived before.
            first = shifted(MONTH, -months) + timedelta(hours=number * 7 % 600)
            expected["event_audit_log"].update(site.fill(first, 60, step="1 hour"))
            expected["alert_delivery_log"].update(site.fill(first, 20, step="3 hours", table="deliveries"))
        for place, name in enumerate(LISTS):
            records = [letter(1000 * number + 100 * place + each) for each in range(8)]
            redis_client.lpush(name, *records)
            letters.update(record.decode() for record in records)

    def check(exactly: bool) -> None:
        wait_until(lambda: not site.at_work(), "PostgreSQL to notice that upkeep is gone")
        for table in TABLES:
            found = site.rows_in_database(table) + site.rows_in_archives(table)
            assert not expected[table] - found, f"{table}: rows lost (UPKEEP_SEED={seed})"
            assert not found.keys() - expected[table].keys(), f"{table}: rows changed (UPKEEP_SEED={seed})"
            assert not exactly or found == expected[table], f"{table}: rows twice (UPKEEP_SEED={seed})"
        found = dead_letters_anywhere(site, redis_client)
        assert not letters - found, f"dead letters lost (UPKEEP_SEED={seed})"
        assert not exactly or found == letters, f"dead letters twice (UPKEEP_SEED={seed})"

    log = tmp_path / "log"
    with launcher(site, log) as upkeep:
        fill(0)
        upkeep.start()
        wait_until(site.holds_the_lock, "upkeep to begin")
        began = time.monotonic()
        assert upkeep.ended() == 0, log.read_text()
        takes = time.monotonic() - began
        check(exactly=True)
        for number in range(1, KILLS + 1):
            fill(number)
            process = upkeep.start()
            wait_until(site.holds_the_lock, "upkeep to begin", every=0.005)
            gevent.sleep(dice.uniform(0, takes))
            with suppress(ProcessLookupError):  # It was quicker.
                os.kill(process, signal.SIGKILL)
            kills += upkeep.ended() == signal.SIGKILL
            check(exactly=False)
        for _ in range(2):
            upkeep.start()
            assert upkeep.ended() == 0, log.read_text()

    check(exactly=True)
    assert kills >= 0.8 * KILLS, f"only {kills} of {KILLS} kills came before the end"
    assert "Traceback" not in log.read_text()
    assert site.rows_in_database("event_audit_log") == Counter()
    assert [site.count(f"{table}_default") for table in TABLES] == [0, 0]
    assert [*site.archives.glob("*/.*")] == []
    assert redis_client.keys("mutt:*") == []


class Writer:
    """Writes events of some months as the alerter does, one batch after another, until told to stop."""

    def __init__(self, database: Database, months: list[datetime]) -> None:
        self.written = 0
        self.slowest = 0.0
        self.stopped = False
        self._database = database
        self._months = months

    def run(self) -> None:
        while not self.stopped:
            rows = [self._row(month, number) for month in self._months for number in range(20)]
            began = time.monotonic()
            assert audit.write(self._database, rows) == [INSERTED] * len(rows)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.written += len(rows)
            gevent.sleep(0.1)  # Three of them without a pause would leave the test's machine no time for upkeep.

    def _row(self, month: datetime, number: int) -> AuditRow:
        time_of_event = month + timedelta(seconds=random.randrange(27 * 86400))
        return AuditRow(
            str(uuid.uuid4()), str(uuid.uuid4()), time_of_event, "rtr-1", "link down", None, 3, None, None, None,
            "Log_only", None, datetime.now(UTC), number,
        )  # fmt: skip


def test_who_writes_meanwhile_is_never_refused(site: Site, postgres_server: PrivatePostgres) -> None:
    site.environ["RETENTION_BATCH_ROWS"] = "1000"
    # A month that has its partition, two that get one, and one that is archived and dropped again and again.
    months = [MONTH, shifted(MONTH, 5), shifted(MONTH, 7), shifted(MONTH, -5)]
    with open_database(postgres_server, site.database, statement_timeout_seconds=10) as database:
        writers = [Writer(database, months) for _ in range(3)]
        greenlets = [gevent.spawn(writer.run) for writer in writers]
        try:
            for ahead in ("3", "4", "6"):
                site.environ["RETENTION_PRECREATE_MONTHS"] = ahead
                process = site.start("run", "-o", "json")
                output, talk = process.communicate(timeout=60)
                assert process.returncode == 0, (output, talk)
        finally:
            for writer in writers:
                writer.stopped = True
            gevent.joinall(greenlets, timeout=30)

        assert [greenlet.exception for greenlet in greenlets] == [None] * 3
    print(f"{sum(writer.written for writer in writers)} rows; the slowest batch took "
          f"{max(writer.slowest for writer in writers):.2f} s")  # fmt: skip
    made = {f"event_audit_log_{shifted(MONTH, ahead):%Y%m}" for ahead in (5, 7)}
    assert made <= {*site.partitions("event_audit_log")}
    found = site.rows_in_database("event_audit_log") + site.rows_in_archives("event_audit_log")
    assert sum(site.rows_in_archives("event_audit_log").values()) > 0
    assert sum(found.values()) == len(found) == sum(writer.written for writer in writers)
