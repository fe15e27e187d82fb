"""Brings the schema from any earlier version to the one this program knows, and tells whether it is there.

A migration is a file ``sql/NNNN_name.sql`` of plain SQL. It runs in one transaction together with its row in
``schema_migrations``. A file that was applied once is never changed; the next change is the next number.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import psycopg2
from psycopg2.errors import UndefinedTable

from mutt.errors import ConfigurationError, MuttError, OutageError, Reason
from mutt.store.connections import Connection
from mutt.store.faults import sentence, translated
from mutt.store.named import query

INSTALLED_SQL_DIR = Path("/usr/share/mutt/sql")

ADVISORY_LOCK = 0x4D555454
"""Key of the lock that a migrating session holds ("MUTT" in ASCII)."""

LOCK_TIMEOUT_SECONDS = 60
"""How long a migration waits for another one, or for the tables it changes."""


class MigrationError(MuttError):
    """The schema cannot be migrated until a person has looked at it."""


class Migration(NamedTuple):
    """One file of the migrations folder."""

    version: int
    name: str
    sql: str
    checksum: str


class State(StrEnum):
    """How a migration of the program and the database stand to each other."""

    APPLIED = "applied"
    PENDING = "pending"
    EDITED = "edited"
    UNKNOWN = "unknown"


class Status(NamedTuple):
    """One migration that the program or the database knows."""

    version: int
    name: str
    state: State
    applied_at: datetime | None


class _Applied(NamedTuple):
    version: int
    name: str
    checksum: str
    applied_at: datetime


def sql_dir() -> Path:
    """The folder of the migrations: the one beside the package in a checkout, else the installed one."""
    beside = Path(__file__).resolve().parents[2] / "sql"
    return beside if any(beside.glob("0001_*.sql")) else INSTALLED_SQL_DIR


def known(folder: Path | None = None) -> list[Migration]:
    """The migrations this program brings, oldest first. Raises ConfigurationError when their folder is no good."""
    folder = folder or sql_dir()
    found = [_read(file) for file in sorted(folder.glob("*.sql"))]
    if not found:
        raise ConfigurationError([f"{folder} holds no migrations (NNNN_name.sql); MUTT is not installed completely"])
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError([f"the migrations in {folder} are not numbered 0001, 0002 ... without a gap"])
    return found


def _read(file: Path) -> Migration:
    match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", file.stem)
    if not match:
        raise ConfigurationError([f"{file} is not named as a migration must be (NNNN_name.sql)"])
    content = file.read_bytes()
    return Migration(int(match[1]), match[2], content.decode(), hashlib.sha256(content).hexdigest())


def status(connection: Connection, folder: Path | None = None) -> list[Status]:
    """Every migration that the program or the database knows, in order of version. Changes nothing."""
    brought = {migration.version: migration for migration in known(folder)}
    applied = {row.version: row for row in _applied(connection)}
    return [_status(brought.get(version), applied.get(version)) for version in sorted({*brought, *applied})]


def _status(brought: Migration | None, applied: _Applied | None) -> Status:
    if applied is None:
        assert brought is not None  # noqa: S101 - one of the two is always there; this tells the type checker
        return Status(brought.version, brought.name, State.PENDING, None)
    if brought is None:
        return Status(applied.version, applied.name, State.UNKNOWN, applied.applied_at)
    state = State.APPLIED if brought.checksum == applied.checksum else State.EDITED
    return Status(applied.version, applied.name, state, applied.applied_at)


def migrate(connection: Connection, report: Callable[[str], None], folder: Path | None = None) -> list[Migration]:
    """Applies what is pending, each migration in a transaction of its own, and returns what was applied.

    ``report`` gets a sentence for each. Several may call this at once: an advisory lock lets one of them do each
    step. Raises MigrationError when a migration fails or does not fit the database; an outage is left to the driver's
    own errors, which ``Database.run`` knows.
    """
    done = []
    while migration := _apply_next(connection, report, folder):
        done.append(migration)
    return done


def _apply_next(connection: Connection, report: Callable[[str], None], folder: Path | None) -> Migration | None:
    with _transaction(connection), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_SECONDS}s",))
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        _execute(connection, query("create_schema_migrations"), "the table schema_migrations")
        pending = _pending(connection, folder)
        if not pending:
            return None
        migration, started = pending[0], time.monotonic()
        _execute(connection, migration.sql, f"migration {label(migration)}")
        cursor.execute(query("insert_schema_migration"), (migration.version, migration.name, migration.checksum))
    report(f"applied {label(migration)} in {1000 * (time.monotonic() - started):.0f} ms")
    return migration


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """As ``with connection``, which puts an error of its own over the one that tells how the connection was lost."""
    try:
        yield
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
    connection.commit()


def _pending(connection: Connection, folder: Path | None) -> list[Migration]:
    """The migrations still to apply. Raises MigrationError when those applied are not the first of those known."""
    standing = status(connection, folder)
    for entry in standing:
        if problem := problem_with(entry):
            raise MigrationError(problem)
    pending = {entry.version for entry in standing if entry.state is State.PENDING}
    return [migration for migration in known(folder) if migration.version in pending]


def problem_with(entry: Status) -> str | None:
    """The sentence that says why no program can work with this migration, or None when there is no such problem."""
    if entry.state is State.EDITED:
        return (
            f"migration {label(entry)} was applied and its file has been changed since; "
            "restore the file and put the change into a new migration"
        )
    if entry.state is State.UNKNOWN:
        return f"the database has migration {label(entry)}, which this program does not know; install the newer MUTT"
    return None


def label(entry: Migration | Status) -> str:
    """Number and name as the file has them: ``0001_rules_and_inventory``."""
    return f"{entry.version:04d}_{entry.name}"


def _execute(connection: Connection, sql: str, what: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
    except psycopg2.Error as error:
        # A table that a migration expects and does not find is a fault of the migration, not an outage.
        is_outage = isinstance(translated(error), OutageError) and not isinstance(error, UndefinedTable)
        if connection.closed or is_outage:
            raise
        raise MigrationError(f"{what} failed and was rolled back: {sentence(error)}") from error


def _applied(connection: Connection) -> list[_Applied]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return []
        cursor.execute(query("applied_migrations"))
        return [_Applied(*row) for row in cursor]


def verify(connection: Connection) -> None:
    """Returns when the schema is exactly the one this program was written for. Raises OutageError saying what to do."""
    wanted = known()[-1].version
    applied = _applied(connection)
    version = applied[-1].version if applied else 0
    if version == wanted:
        return
    if version > wanted:
        advice = f"the schema is newer than this program (version {version}, the program knows {wanted}): update MUTT"
    else:
        found = f"is at version {version}" if version else "does not exist yet"
        advice = f"the schema {found}, this program needs version {wanted}: run `mutt-admin db migrate`"
    raise OutageError(Reason.POSTGRES_UNREACHABLE, advice)
