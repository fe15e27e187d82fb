"""How mutt-admin answers: data on standard output, as a table for people or as JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNHEALTHY = 6
"""Exit code of a command that looked and found something amiss."""

PIPE_WIDTH = 10_000
"""A pipe has no width: a cut or folded column would be a wrong answer to whoever reads it."""

output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to write."
)


def say(sentence: str) -> None:
    """Talk: goes to standard error, where it cannot get into anybody's data."""
    click.echo(sentence, err=True)


def show_json(answer: Any) -> None:
    """Writes the answer as indented JSON; times in ISO 8601."""
    click.echo(json.dumps(answer, indent=2, default=lambda value: value.isoformat()))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Writes aligned columns; with colours on a terminal, unless NO_COLOR is set."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, no_wrap=console.width == PIPE_WIDTH)
    for row in rows:
        # A plain text may hold brackets; only a Text is taken to be marked up.
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console.print(table)
