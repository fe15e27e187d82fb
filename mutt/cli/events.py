"""``mutt-admin events``: the audit of all events, and the journey of one."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from mutt.admin.shapes.events import AuditedEvent, EventPage, Journeys
from mutt.cli.api import Api, path_of
from mutt.cli.journey import show_journeys
from mutt.cli.options import as_parameter, limit_option, pass_api, say_how_many, since_option, until_option
from mutt.cli.output import Column, Listing, output_option, say, show, show_one

EVENTS: Listing[AuditedEvent] = Listing(
    (
        Column("TIME", lambda event: event.event_timestamp),
        Column("HOST", lambda event: event.hostname),
        Column("HANDLING", lambda event: event.handling),
        Column("RULE", lambda event: event.rule_id),
        Column("TEAM", lambda event: event.team_assignment, wide=True),
        Column("SEVERITY", lambda event: event.syslog_severity, wide=True),
        Column("SOURCE", lambda event: event.source, wide=True),
        Column("TRAP OID", lambda event: event.trap_oid, wide=True),
        Column("CORRELATION ID", lambda event: event.correlation_id, wide=True),
        Column("MESSAGE", lambda event: event.message, long=True),
    ),
    lambda event: event.correlation_id,
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        until_option(),
        since_option(),
        click.option("--source", help="Only from this source."),
        click.option("--team", help="Only for this team."),
        click.option("--handling", help="Only with this handling."),
        click.option("--rule", "rule_id", metavar="ID", help="Only those this rule decided; none for no rule."),
        click.option("--host", "hostname", help="Only from this host."),
        click.argument("text", required=False),
    ):
        command = option(command)
    return command


def parameters(text: str | None, since: datetime | None, until: datetime | None, filters: Any) -> dict[str, Any]:
    return {**filters, "q": text, "start_date": as_parameter(since), "end_date": as_parameter(until)}


@click.group()
def events() -> None:
    """Events: every accepted one is audited, with what was decided about it."""


@events.command()
@filter_options
@limit_option
@output_option
@pass_api
def search(
    api: Api, text: str | None, since: datetime | None, until: datetime | None, limit: int, output: str, **filters: Any
) -> None:
    """List events, newest first; TEXT is looked for in the message.

    \b
    mutt-admin events search "BGP" --host core1 --since 24h
    """
    query = parameters(text, since, until, filters)
    entries, total, page = api.listed("/audit-logs", EventPage, "logs", limit, **query)
    answer = {"logs": entries, "total": total, "total_is_estimate": page.total_is_estimate}
    show(output, entries, EVENTS, answer)
    say_how_many(len(entries), total)


@events.command("show")
@click.argument("correlation_id")
@output_option
@pass_api
def show_event(api: Api, correlation_id: str, output: str) -> None:
    """Show the whole way of an event: received, decided, queued, every attempt, delivered, each with its time.

    `mutt-admin events search -o wide` shows correlation ids.
    """
    found = api.get(path_of("events", correlation_id), Journeys)
    if output in ("table", "wide"):
        show_journeys(found, wide=output == "wide")
    else:
        show_one(output, found.correlation_id, {}, found)


@events.command()
@filter_options
@click.option("-f", "--file", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@pass_api
def export(
    api: Api, text: str | None, since: datetime | None, until: datetime | None, file: Path | None, **filters: Any
) -> None:
    """Write events as CSV, as many as there are."""
    pieces = api.download("/audit-logs/export", **parameters(text, since, until, filters))
    with click.open_file(str(file or "-"), "wb") as stream:
        for piece in pieces:
            stream.write(piece)
    if file:
        say(f"written to {file}")
