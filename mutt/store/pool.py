"""The one way to PostgreSQL: a pool of connections that greenlets share without stopping one another.

psycopg2 waits in C, which would stop every greenlet of the process. Its wait callback mends that but is global and
forbids COPY. So each piece of work runs in a native thread of gevent's, with a connection of its own, while the
greenlet that asked for it waits.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from select import POLLIN
from typing import Any, NoReturn, TypeVar

import psycopg2
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from mutt.errors import OutageError, Reason, UnknownOutcomeError
from mutt.settings import DatabaseSettings
from mutt.store import migrations
from mutt.store.connections import Connection, PasswordSource, connection_parameters, open_connection
from mutt.store.faults import sentence, translated
from mutt.store.timing import Observer, Timings

ASK_AFTER_SECONDS = 30.0
"""A connection idle for longer is asked whether it still lives: firewalls forget quiet connections."""

SPARE_SECONDS = 300.0
"""A connection beyond DB_POOL_MIN_CONN that was idle for longer is closed."""

T = TypeVar("T")

# The cooperative poll that gevent puts in its place would start an event loop in every native thread.
_native_poll = get_original("select", "poll")


class Database:
    """PostgreSQL for one process. Make it after the fork, in the thread that runs the greenlets.

    Nothing is opened before it is needed, so it can be made while PostgreSQL is away. ``observe`` is told how long
    each statement took.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        credentials: PasswordSource,
        application_name: str,
        statement_timeout_seconds: float = 30,
        schema_check: bool = True,
        observe: Observer | None = None,
    ) -> None:
        self._parameters = connection_parameters(settings, application_name, statement_timeout_seconds)
        self._timings = Timings(observe) if observe else None
        if self._timings:
            self._parameters["cursor_factory"] = self._timings.cursor
        self._credentials = credentials
        self._keep = settings.pool_min_connections
        self._schema_is_known = not schema_check
        self._closed = False
        self.connections_max = settings.pool_max_connections
        # The number of threads is the number of connections: a greenlet that is killed while it waits leaves its
        # thread and its connection at work, and the next one must not add to them.
        self._threads = ThreadPool(settings.pool_max_connections)
        self._permits = BoundedSemaphore(settings.pool_max_connections)
        # Native threads share it. Appending to and popping from a deque is atomic; a lock would be gevent's.
        self._idle: deque[tuple[float, Connection]] = deque()

    def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, once its transaction is committed; an error of ``work`` rolls it back.

        ``work`` gets a connection with a transaction about to begin and runs in a native thread: it must not touch
        gevent, log, or call ``run``. It is run a second time, on another connection, when the first one broke before
        COMMIT; so what it does beside its SQL must bear that. Raises OutageError (nothing was done; try again),
        UnknownOutcomeError (an OutageError: the answer to COMMIT was lost, so it may have been done) or DataError
        (trying again is no use).
        """
        with self._permits:
            if self._closed:
                raise RuntimeError("the database was closed")
            result, error = self._threads.apply(self._outcome, (work,))
        if self._timings:
            self._timings.tell()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return] # apply() is not generic

    @property
    def connections_in_use(self) -> int:
        return self.connections_max - int(self._permits.counter)

    def ping(self) -> None:
        """Returns when PostgreSQL answers and has the schema this program knows. Raises OutageError."""
        self.run(lambda connection: connection.cursor().execute("SELECT 1"))

    def close(self) -> None:
        """Waits for the work under way and closes all connections. Nothing can be run afterwards."""
        if self._closed:
            return
        self._closed = True
        self._threads.kill()
        while self._idle:
            self._idle.pop()[1].close()

    # --- from here on everything runs in a native thread ------------------------------------------------------

    def _outcome(self, work: Callable[[Connection], T]) -> tuple[T | None, BaseException | None]:
        """The result or the error, for ``run`` to return or raise: gevent prints an exception that leaves a thread."""
        try:
            return self._work(work), None
        except BaseException as error:  # noqa: BLE001 - raised again in the greenlet that asked
            return None, error

    def _work(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._transaction(work)
        except _LostConnectionError:
            # A server that was restarted, or a session that an operator has cut: a new connection will do. If the
            # server is away, connecting says so.
            return self._transaction(work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._borrowed() as connection:
            try:
                if not self._schema_is_known:
                    migrations.verify(connection)
                    connection.rollback()
                    self._schema_is_known = True
                result = work(connection)
            except psycopg2.Error as error:
                if connection.closed:
                    raise _LostConnectionError(error) from error
                _raise_translated(error)
            _commit(connection)
            return result

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        connection = self._live_connection()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _live_connection(self) -> Connection:
        while self._idle:
            try:
                idle_since, connection = self._idle.pop()
            except IndexError:  # Another thread was quicker.
                break
            if _is_alive(connection, time.monotonic() - idle_since):
                return connection
            connection.close()
        return open_connection(self._parameters, self._credentials.candidates("DB_PASS"))

    def _give_back(self, connection: Connection) -> None:
        if not _is_clean(connection):
            connection.close()
            return
        self._idle.append((time.monotonic(), connection))
        self._close_spare()

    def _close_spare(self) -> None:
        try:
            while len(self._idle) > self._keep and time.monotonic() - self._idle[0][0] > SPARE_SECONDS:
                self._idle.popleft()[1].close()
        except IndexError:  # Other threads took them all.
            return


class _LostConnectionError(OutageError):
    """The connection broke before COMMIT was sent, so nothing was done."""

    def __init__(self, error: psycopg2.Error) -> None:
        super().__init__(Reason.POSTGRES_UNREACHABLE, f"PostgreSQL went away: {sentence(error)}")


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except psycopg2.Error as error:
        if connection.closed:
            raise UnknownOutcomeError(f"PostgreSQL went away during COMMIT: {sentence(error)}") from error
        _raise_translated(error)


def _raise_translated(error: psycopg2.Error) -> NoReturn:
    fault = translated(error)
    if fault is None:
        raise error
    raise fault from error


def _is_clean(connection: Connection) -> bool:
    """Whether the connection can serve somebody else; what is left of a transaction is rolled back."""
    try:
        if connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            connection.rollback()
    except psycopg2.Error:
        return False
    return not connection.closed and connection.get_transaction_status() == TRANSACTION_STATUS_IDLE


def _is_alive(connection: Connection, idle_seconds: float) -> bool:
    """Whether an idle connection still works. It is only asked when there is a reason to doubt it.

    A server that ends a connection says so at once, so then there is something to read where silence is due.
    """
    poll: Any = _native_poll()
    poll.register(connection.fileno(), POLLIN)
    if idle_seconds < ASK_AFTER_SECONDS and not poll.poll(0):
        return True
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        return False
    return True
