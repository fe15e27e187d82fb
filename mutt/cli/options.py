"""Options and questions that several commands share."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property, update_wrapper
from typing import Any, TypeVar

import click

from mutt.cli.api import Api
from mutt.cli.connection import Choices, Connection, connect
from mutt.cli.exits import USAGE, CliError
from mutt.cli.output import say

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_MOST = 50


class Session:
    """What the options before the command lead to; commands that need no appliance never ask."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    @cached_property
    def connection(self) -> Connection:
        return connect(self.choices)

    @cached_property
    def api(self) -> Api:
        return Api(self.connection)


def pass_api(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives the command the API as its first argument."""

    @click.pass_context
    def wrapped(ctx: click.Context, /, *arguments: Any, **options: Any) -> Any:
        return ctx.invoke(command, ctx.find_object(Session).api, *arguments, **options)  # type: ignore[union-attr]

    return update_wrapper(wrapped, command)


reason_option = click.option("--reason", help="Why, for the audit of the configuration.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
if_match_option = click.option(
    "--if-match", metavar="ETAG", help="Only if the version is still this one (shown as etag); else exit code 5."
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=0), default=DEFAULT_MOST, show_default=True,
    help="Most entries to list; 0 lists all.",
)  # fmt: skip


def say_how_many(shown: int, total: int) -> None:
    """Says so when there is more than was listed."""
    if shown < total:
        say(f"{shown} of {total} shown; --limit 0 shows all")


def confirm(question: str, yes: bool) -> None:
    """Goes on when a person agrees or --yes was given. Raises CliError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError(f"{question} Nobody can be asked here: repeat the command with --yes", USAGE)
    click.confirm(question, abort=True, err=True)


_AGO = re.compile(r"([0-9]+)\s*(s|m|min|h|d|w)(?:\s+ago)?")
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (without an offset UTC), ``now``, or how long ago: 30m, 24h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = value.strip().lower()
        if text == "now":
            return datetime.now(UTC)
        try:
            if ago := _AGO.fullmatch(text):
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            moment = datetime.fromisoformat(value.strip())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a time like 2026-03-01T14:00 nor an age like 30m, 24h or 7d", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def since_option(default: str | None = None) -> Callable[[Command], Command]:
    return click.option(
        "--since", type=Moment(), default=default, show_default=default is not None,
        help="From this time on: ISO 8601 (UTC) or an age like 24h.",
    )  # fmt: skip


def until_option(default: str | None = None) -> Callable[[Command], Command]:
    return click.option(
        "--until", type=Moment(), default=default, show_default=default is not None,
        help="Up to this time: ISO 8601 (UTC) or an age like 1h.",
    )  # fmt: skip


def as_parameter(moment: datetime | None) -> str | None:
    """A time as the API reads it."""
    return moment.astimezone(UTC).isoformat() if moment else None
