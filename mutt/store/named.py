"""The SQL of this package by name: one statement a file in ``queries/``, described in its first line."""

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


@cache
def query(name: str) -> str:
    """The statement in ``queries/<name>.sql``. Raises FileNotFoundError for a name that does not exist."""
    return _folder().joinpath(f"{name}.sql").read_text(encoding="utf-8")


@cache
def names_by_statement() -> dict[str, str]:
    """The name of every statement there is, by its text."""
    return {query(name): name for name in _names()}


def _names() -> list[str]:
    return sorted(file.name.removesuffix(".sql") for file in _folder().iterdir() if file.name.endswith(".sql"))


def _folder() -> Traversable:
    return resources.files("mutt.store").joinpath("queries")
