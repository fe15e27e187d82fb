"""What an error of PostgreSQL or its driver means for the caller: bad data, not now, or a mistake of ours."""

import psycopg2
from psycopg2.errors import CheckViolation

from mutt.errors import DataError, MuttError, OutageError, Reason

DATA_CLASSES = ("21", "22", "23", "54")
"""SQLSTATE classes that the same data would meet again: cardinality, data exception, integrity constraint, and
program limit (an index row or a JSON string that is too large)."""

OUTAGE_CLASSES = ("08", "28", "40", "53", "55", "57", "58", "F0", "XX")
"""Connection, authorization, rollback, resources, object in use, operator intervention, system, configuration file,
internal."""

OUTAGE_STATES = (
    "25006",  # read-only transaction: we are connected to a standby, or to a primary that was demoted under us
    "25P03",  # the server ended a transaction that sat idle, because this process was paused
    "42P01",  # undefined table: the schema is not there yet
)

DRIVER_FAULTS = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError)
"""What psycopg2 raises without a SQLSTATE when it is the connection that failed."""

DATA_FAULTS = (psycopg2.DataError, psycopg2.IntegrityError)
"""What psycopg2 raises for data, be it refused by PostgreSQL or by the driver itself."""


def translated(error: psycopg2.Error) -> MuttError | None:
    """The error callers should see instead: DataError, OutageError, or None when it is a mistake in our own SQL.

    A connection that broke is an outage whatever the error says; the caller looks at that first.
    """
    if _is_outage(error):
        return OutageError(Reason.POSTGRES_UNREACHABLE, f"PostgreSQL cannot be used now: {sentence(error)}")
    if isinstance(error, DATA_FAULTS) or (error.pgcode or "").startswith(DATA_CLASSES):
        return DataError(sentence(error))
    return None


def _is_outage(error: psycopg2.Error) -> bool:
    if isinstance(error, CheckViolation) and not error.diag.constraint_name:
        # The row was on its way to the default partition when a partition for its month was made: only the constraint
        # of a partition has no name. The next try takes the row to the new one.
        return True
    if error.pgcode is None:
        # A plain DatabaseError without a state is what is left when the connection went away in the middle of a COPY.
        return isinstance(error, DRIVER_FAULTS) or type(error) is psycopg2.DatabaseError
    return error.pgcode.startswith(OUTAGE_CLASSES) or error.pgcode in OUTAGE_STATES


def sentence(error: psycopg2.Error) -> str:
    """PostgreSQL's own words in one line, without the statement and the position in it."""
    if error.diag.message_primary:
        return " ".join(error.diag.message_primary.split())
    # libpq's own: a line for each address that was tried, and guesses at the cause, which it indents.
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    return "; ".join(lines) or type(error).__name__
