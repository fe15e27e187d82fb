"""``mutt-admin audit``: who changed what, and taking a change back."""

from datetime import datetime
from typing import Any

import click

from mutt.admin.shapes.events import ConfigChange, ConfigChangePage
from mutt.cli.api import Api, Message, path_of
from mutt.cli.options import (
    as_parameter,
    confirm,
    limit_option,
    pass_api,
    reason_option,
    say_how_many,
    since_option,
    until_option,
    yes_option,
)
from mutt.cli.output import Column, Listing, output_option, say, show


def what_changed(change: ConfigChange) -> str:
    """The fields that differ, old to new, without those that always do."""
    old = change.old_values if isinstance(change.old_values, dict) else {}
    new = change.new_values if isinstance(change.new_values, dict) else {}
    names = [name for name in {**old, **new} if name not in ("id", "updated_at", "created_at")]
    if change.operation == "UPDATE":
        return ", ".join(f"{n}: {old.get(n)} -> {new.get(n)}" for n in names if old.get(n) != new.get(n))
    return ", ".join(f"{name}: {value}" for name in names if (value := {**old, **new}[name]) is not None)


CHANGES: Listing[ConfigChange] = Listing(
    (
        Column("ID", lambda change: change.id),
        Column("TIME", lambda change: change.changed_at),
        Column("BY", lambda change: change.changed_by),
        Column("DID", lambda change: change.operation.lower()),
        Column("WHAT", lambda change: f"{change.table_name} {change.record_id or ''}".strip()),
        Column("STATUS", lambda change: change.status, wide=True),
        Column("CHANGE", what_changed, long=True),
        Column("REASON", lambda change: change.reason, wide=True),
        Column("UNDO", lambda change: change.can_be_undone, wide=True),
        Column("CORRELATION ID", lambda change: change.correlation_id, wide=True),
    ),
    lambda change: change.id,
)


@click.group()
def audit() -> None:
    """The audit of the configuration: every change of rules, hosts, teams, settings and dead letters."""


@audit.command("list")
@click.option("--table", "table_name", help="Only changes of this table: alert_rules, development_hosts, ...")
@click.option(
    "--operation", type=click.Choice(["CREATE", "UPDATE", "DELETE"], case_sensitive=False), help="Only these."
)
@click.option("--by", "changed_by", metavar="NAME", help="Only those made with the key of this name.")
@click.option("--record", "record_id", metavar="ID", help="Only changes of this record.")
@click.option("--correlation-id", help="Only those of one request.")
@since_option()
@until_option()
@limit_option
@output_option
@pass_api
def list_changes(
    api: Api, since: datetime | None, until: datetime | None, limit: int, output: str, **filters: Any
) -> None:
    """List changes, newest first."""
    query = {**filters, "start_date": as_parameter(since), "end_date": as_parameter(until)}
    entries, total, _ = api.listed("/config-audit", ConfigChangePage, "logs", limit, **query)
    show(output, entries, CHANGES, {"logs": entries, "total": total})
    say_how_many(len(entries), total)


@audit.command()
@click.argument("change_id", type=int)
@reason_option
@yes_option
@pass_api
def undo(api: Api, change_id: int, reason: str | None, yes: bool) -> None:
    """Take a change back, which is a change of its own; refused with exit code 5 when others came after it."""
    confirm(f"Take change {change_id} back?", yes)
    say(api.post(path_of("config-audit", change_id, "undo"), {"reason": reason}, Message).message)
