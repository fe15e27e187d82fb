"""How mutt-admin answers: data on standard output, for people or for programs; talk on standard error."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import click
import msgspec
import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 10_000
"""A pipe has no width: a cut or folded column would be a wrong answer to whoever reads it."""

GAP = 2
"""Blanks between columns."""

LEAST_LONG = 20
"""A long column is never cut to less."""

FORMATS = ("table", "wide", "json", "yaml", "name")

Entry = TypeVar("Entry")

STYLES = {
    "ok": "green", "applied": "green", "delivered": "green", "settled": "green", "closed": "green",
    "warning": "yellow", "pending": "yellow", "retry": "yellow", "half_open": "yellow", "waiting": "yellow",
    "failed": "red", "critical": "red", "open": "red", "dead_letter": "red", "Page_and_ticket": "bold",
}  # fmt: skip
"""Colours of the words that mean the same wherever they stand."""


@dataclasses.dataclass(frozen=True, slots=True)
class Column(Generic[Entry]):
    """A column: its heading and what it shows of an entry. ``wide`` ones are left out of the narrow table; the
    ``long`` ones give way when the terminal is narrow."""

    heading: str
    cell: Callable[[Entry], Any]
    wide: bool = False
    long: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Listing(Generic[Entry]):
    """How entries of one type are listed: their columns, and the name by which other commands know one.

    With ``fold`` long columns go on in the next line where they would be cut.
    """

    columns: Sequence[Column[Entry]]
    name: Callable[[Entry], Any]
    fold: bool = False


output_option = click.option(
    "-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True,
    help="What to write: a table, one with more columns, JSON, YAML, or names only.",
)  # fmt: skip


def say(sentence: str) -> None:
    """Talk: goes to standard error, where it cannot get into anybody's data."""
    click.echo(sentence, err=True)


def show(output: str, entries: Sequence[Entry], listing: Listing[Entry], answer: Any) -> None:
    """Writes the entries as the caller asked for; ``answer`` is the whole of it, for JSON and YAML."""
    if output == "name":
        for entry in entries:
            click.echo(str(listing.name(entry)))
    elif output in ("json", "yaml"):
        show_document(output, answer)
    else:
        columns = [each for each in listing.columns if output == "wide" or not each.wide]
        rows = [[each.cell(entry) for each in columns] for entry in entries]
        long = [each.heading for each in columns if each.long and output != "wide"]
        show_table([each.heading for each in columns], rows, long, listing.fold)


def show_one(output: str, name: Any, members: Mapping[str, Any], answer: Any) -> None:
    """Writes one thing: its members line by line, or the whole ``answer`` as JSON or YAML."""
    if output == "name":
        click.echo(str(name))
    elif output in ("json", "yaml"):
        show_document(output, answer)
    else:
        show_members(members)


def show_document(output: str, answer: Any) -> None:
    """Writes JSON or YAML; times are ISO 8601."""
    plain = msgspec.to_builtins(answer)
    if output == "yaml":
        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def show_members(members: Mapping[str, Any]) -> None:
    """Writes a name and a value a line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    console = data_console()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold", no_wrap=console.width == PIPE_WIDTH)
    for name, value in members.items():
        table.add_row(name, cell_text(value))
    print_table(console, table)


def show_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], long: Sequence[str] = (), fold: bool = False
) -> None:
    """Writes aligned columns. On a terminal the ``long`` columns are cut, or folded, to what the others leave them."""
    console = data_console()
    table, width = make_table(headings, rows, long, fold, console.width)
    console.width = max(console.width, width)
    print_table(console, table)


def make_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], long: Sequence[str], fold: bool, width: int
) -> tuple[Table, int]:
    """The table and the width it needs, which is more than ``width`` only where no column can give way."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    cells = [[cell_text(cell) for cell in row] for row in rows]
    needed = {
        heading: max([len(heading), *(cell_len(row[place].plain) for row in cells)])
        for place, heading in enumerate(headings)
    }
    rigid = sum(needed[heading] for heading in headings if heading not in long) + GAP * (len(headings) - 1)
    share = max(LEAST_LONG, (width - rigid) // max(1, len(long)))
    for place, heading in enumerate(headings):
        size = min(needed[heading], share) if heading in long else needed[heading]
        folds = fold and heading in long
        numeric = bool(cells) and all(_is_number(row[place].plain) for row in cells)
        table.add_column(
            heading, width=size, no_wrap=not folds, overflow="fold" if folds else "ellipsis",
            justify="right" if numeric else "left",
        )  # fmt: skip
        needed[heading] = size
    for row in cells:
        table.add_row(*row)
    return table, sum(needed.values()) + GAP * (len(headings) - 1)


def print_table(console: Console, table: Table) -> None:
    """Writes the table without the blanks that fill its last column."""
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=True)


def data_console() -> Console:
    """Standard output: with colours on a terminal, unless NO_COLOR is set, and endlessly wide into a pipe."""
    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(highlight=False, color_system=None if plain else "auto")
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def talk_console() -> Console:
    """Standard error, for what moves: progress bars and the like."""
    return Console(stderr=True, highlight=False)


def cell_text(value: Any) -> Text:
    """A value as a table shows it. A plain text may hold brackets: it is never taken for markup."""
    if isinstance(value, Text):
        return value
    plain = _plain(value)
    return Text(plain, STYLES.get(plain, STYLES.get(plain.lower(), "")))


def shown_time(moment: datetime | None) -> str:
    """A time in UTC, to the second; a dash for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"


def shown_duration(seconds: float | None) -> str:
    """How long, in the largest unit that says it: 850ms, 12.3s, 4m10s, 3h05m, 2d04h; a dash for none."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return shown_time(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value) or "-"
    # Control characters of a message would move the cursor of whoever looks at it.
    return "".join(character if character.isprintable() else " " for character in str(value))


def _is_number(plain: str) -> bool:
    return plain == "-" or plain.replace(".", "", 1).replace("-", "", 1).isdigit()
