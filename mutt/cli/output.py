"""How mutt-admin shows things: tables for people, JSON for programs."""

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

OUTPUTS = click.Choice(["table", "json"])


def complain(sentence: str) -> None:
    """Says something to the person; data is never mixed with it."""
    print(sentence, file=sys.stderr)


def show(rows: Sequence[dict[str, Any]], output: str) -> None:
    """The rows as a table (with the keys of the first as headings) or as a JSON array."""
    if output == "json":
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in rows[0] if rows else ():
        table.add_column(heading.replace("_", " "))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
