"""The SQL of this package by name: one statement a file in ``queries/``, described in its first line."""

from functools import cache
from importlib import resources


@cache
def query(name: str) -> str:
    """The statement in ``queries/<name>.sql``. Raises FileNotFoundError for a name that does not exist."""
    return resources.files("mutt.store").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
