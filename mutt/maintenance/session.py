"""A run of upkeep: the only one at its database, in short transactions that never hold writers up for long."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg2
from gevent.monkey import get_original
from psycopg2.errors import DeadlockDetected, LockNotAvailable

from mutt.errors import MuttError
from mutt.settings import DatabaseSettings
from mutt.store import migrations
from mutt.store.connections import Connection, PasswordSource, connection_parameters, open_connection
from mutt.store.faults import sentence, translated

ADVISORY_LOCK = 0x4D55545455504B50
"""Key of the lock that a run of upkeep holds ("MUTTUPKP" in ASCII)."""

LOCK_ATTEMPTS = 20
LONGEST_PAUSE_SECONDS = 10.0

T = TypeVar("T")

# The cooperative sleep would start an event loop in whatever thread upkeep runs in.
_sleep: Callable[[float], Any] = get_original("time", "sleep")


class UpkeepError(MuttError):
    """A step of upkeep could not be done; what it had begun can be begun again."""


class BusyError(UpkeepError):
    """Another run of upkeep is at work on this database."""


class Session:
    """Two connections: one that works, and one that holds the advisory lock in a transaction of its own.

    A lock of the transaction, unlike one of the session, also holds through PgBouncer in transaction mode.
    """

    def __init__(self, connection: Connection, guard: Connection, lock_timeout_seconds: float) -> None:
        self.connection = connection
        self._guard = guard
        self._lock_timeout_ms = round(lock_timeout_seconds * 1000)

    def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, once its transaction is committed. It waits for locks as long as it takes."""
        self._ask_the_guard()
        with self.connection:
            return work(self.connection)

    def run_shortly_locked(self, what: str, work: Callable[[Connection], T]) -> T:
        """As ``run``, for work that locks a table others write to.

        Whoever comes after us queues behind us while we wait for a lock. So we wait briefly, let them pass and try
        again. Raises UpkeepError when there is never a gap.
        """
        for attempt in range(LOCK_ATTEMPTS):
            if attempt:
                pause = min(LONGEST_PAUSE_SECONDS, 0.25 * 2**attempt)
                _sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - only spreads the attempts
            try:
                return self.run(lambda connection: self._bounded(connection, work))
            except (LockNotAvailable, DeadlockDetected):
                continue
        raise UpkeepError(f"{what}: the table was in use at each of {LOCK_ATTEMPTS} attempts; the next run tries again")

    def run_outside_transaction(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, each of its statements committed by itself, as VACUUM wants it."""
        self._ask_the_guard()
        self.connection.autocommit = True
        try:
            return work(self.connection)
        finally:
            self.connection.autocommit = False

    def _bounded(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{self._lock_timeout_ms}ms",))
        return work(connection)

    def _ask_the_guard(self) -> None:
        """Fails when the connection that holds the advisory lock is gone, and the lock with it."""
        with self._guard.cursor() as cursor:
            cursor.execute("SELECT 1")


@contextmanager
def open_session(
    settings: DatabaseSettings, credentials: PasswordSource, lock_timeout_seconds: float
) -> Iterator[Session]:
    """A session, alone at its database. Raises BusyError, OutageError, or UpkeepError for what PostgreSQL refuses."""
    parameters = connection_parameters(settings, "mutt-upkeep", statement_timeout_seconds=0)
    connections: list[Connection] = []
    try:
        with _translating():
            for _ in range(2):
                connections.append(open_connection(parameters, credentials.candidates("DB_PASS")))
            connection, guard = connections
            migrations.verify(connection)
            connection.rollback()
            _take_the_lock(guard)
            yield Session(connection, guard, lock_timeout_seconds)
    finally:
        for each in connections:
            each.close()


def _take_the_lock(guard: Connection) -> None:
    with guard.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        if cursor.fetchone() != (True,):
            raise BusyError("another upkeep is at work on this database")


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise as_upkeep_error(error) from error


def as_upkeep_error(error: psycopg2.Error) -> MuttError:
    """What a caller should see instead: an OutageError or DataError, or an UpkeepError with PostgreSQL's sentence."""
    return translated(error) or UpkeepError(f"PostgreSQL refuses: {sentence(error)}")
