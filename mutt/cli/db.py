"""mutt-admin db: the schema of the database."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from mutt.cli.output import OUTPUTS, complain, show
from mutt.credentials import open_credentials
from mutt.settings import Admin, load
from mutt.store import migrations
from mutt.store.connections import Connection, connection_parameters, open_connection

EXIT_PENDING = 6
MIGRATION_TIMEOUT_SECONDS = 3600
"""Building an index over a large audit log takes its time."""


@click.group("db")
def group() -> None:
    """The schema of the database."""


@group.command()
def migrate() -> None:
    """Bring the schema to the version this release knows.

    Safe to run again and from several hosts at once: an advisory lock lets one of them do each step.
    """
    with _connection() as connection:
        done = migrations.migrate(connection, complain)
    complain(f"{len(done)} migrations applied" if done else "nothing to do: the schema is up to date")


@group.command()
@click.option("-o", "--output", type=OUTPUTS, default="table", help="How the list is shown.")
def status(output: str) -> None:
    """List the migrations; exit code 6 when the schema is not what this release needs."""
    with _connection() as connection:
        entries = migrations.status(connection)
    show(
        [
            {"version": each.version, "name": each.name, "state": str(each.state), "applied_at": each.applied_at}
            for each in entries
        ],
        output,
    )
    for each in entries:
        if problem := migrations.problem_with(each):
            complain(problem)
    if any(each.state is not migrations.State.APPLIED for each in entries):
        sys.exit(EXIT_PENDING)


@contextmanager
def _connection() -> Iterator[Connection]:
    """A connection by the settings of this host."""
    settings = load(Admin)
    credentials = open_credentials(settings.credentials)
    credentials.refresh()
    parameters = connection_parameters(settings.database, "mutt-admin", MIGRATION_TIMEOUT_SECONDS)
    with closing(open_connection(parameters, credentials.candidates("DB_PASS"))) as connection:
        yield connection
