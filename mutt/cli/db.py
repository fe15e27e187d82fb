"""``mutt-admin db``: the schema of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import psycopg2
from rich.text import Text

from mutt import settings
from mutt.cli.exits import UNHEALTHY
from mutt.cli.output import Column, Listing, output_option, say, show
from mutt.credentials import open_credentials
from mutt.store import migrations
from mutt.store.faults import sentence
from mutt.store.migrations import State, Status
from mutt.store.pool import Database

STYLES = {State.APPLIED: "green", State.PENDING: "yellow", State.EDITED: "red", State.UNKNOWN: "red"}

MIGRATIONS: Listing[Status] = Listing(
    (
        Column("VERSION", lambda entry: f"{entry.version:04d}"),
        Column("NAME", lambda entry: entry.name),
        Column("STATE", lambda entry: Text(entry.state, STYLES[entry.state])),
        Column("APPLIED AT", lambda entry: entry.applied_at),
    ),
    lambda entry: f"{entry.version:04d}",
)


@click.group()
def db() -> None:
    """Look after the schema of the database."""


@db.command()
def migrate() -> None:
    """Bring the database to the schema of this version of MUTT.

    Each migration is one transaction, and an advisory lock lets only one run of this command work at a time, so it
    can be repeated at will.
    """
    with _database() as database:
        applied = database.run(lambda connection: migrations.migrate(connection, say))
    if not applied:
        say("nothing to apply: the schema is the one this version of MUTT needs")


@db.command()
@output_option
@click.pass_context
def status(ctx: click.Context, output: str) -> None:
    """Show which migrations the database has had; ends with exit code 6 when some are pending."""
    with _database() as database:
        standing = database.run(migrations.status)
    answer = {"migrations": [_as_json(entry) for entry in standing], "pending": len(_pending(standing))}
    show(output, standing, MIGRATIONS, answer)
    problems = [problem for entry in standing if (problem := migrations.problem_with(entry))]
    if problems:
        raise click.ClickException("; ".join(problems))
    if pending := _pending(standing):
        say(f"pending: {', '.join(map(migrations.label, pending))}; run `mutt-admin db migrate`")
        ctx.exit(UNHEALTHY)


@contextmanager
def _database() -> Iterator[Database]:
    """The database of the settings, whatever its schema. A migration may take as long as it needs."""
    wanted = settings.load(settings.Admin)
    credentials = open_credentials(wanted.credentials)
    credentials.refresh()
    database = Database(wanted.database, credentials, "mutt-admin", statement_timeout_seconds=0, schema_check=False)
    try:
        yield database
    except psycopg2.Error as error:
        # Left untranslated as a mistake in our SQL; here it is rather a right that the role was not given.
        raise click.ClickException(f"PostgreSQL refuses: {sentence(error)}") from error
    finally:
        database.close()


def _pending(standing: list[Status]) -> list[Status]:
    return [entry for entry in standing if entry.state is State.PENDING]


def _as_json(entry: Status) -> dict[str, Any]:
    return {"version": entry.version, "name": entry.name, "state": entry.state, "applied_at": entry.applied_at}
