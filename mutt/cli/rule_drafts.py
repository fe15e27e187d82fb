"""The conditions and the handling of a rule, given as options or in a file: for create, update, test, backtest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import yaml

from mutt.admin.shapes.rules import DevHandling, ProdHandling
from mutt.cli.exits import USAGE, CliError
from mutt.rules.rule import MatchType

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = {
    "match_type": ("--match-type", click.Choice([str(each) for each in MatchType]), "How match_string is compared."),
    "match_string": ("--match-string", str, "Text to find (contains) or RE2 expression (regex)."),
    "trap_oid": ("--trap-oid", str, "OID of the trap, whole arcs from the start."),
    "syslog_severity": ("--severity", click.IntRange(0, 7), "At least this severe; 0 is the most severe."),
    "priority": ("--priority", click.IntRange(1, 1000), "The highest that matches decides."),
    "prod_handling": ("--prod", click.Choice(get_args(ProdHandling)), "Handling for production hosts."),
    "dev_handling": ("--dev", click.Choice(get_args(DevHandling)), "Handling for development hosts."),
    "team_assignment": ("--team", str, "Team it goes to."),
}
CREATION = {"match_type": None, "priority": 100, "prod_handling": "Log_only", "dev_handling": "Log_only"}


def draft_options(command: Command) -> Command:
    """Adds an option for each field of a rule, and --file for all of them."""
    for field, (name, kind, text) in reversed(OPTIONS.items()):
        command = click.option(name, field, type=kind, help=text)(command)
    return click.option(
        "-f", "--file", "file", type=click.Path(allow_dash=True, dir_okay=False, exists=True, path_type=Path),
        help="YAML or JSON document of the rule; options win over it.",
    )(command)  # fmt: skip


def draft(file: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given, those of the file below those of the options. Raises CliError."""
    document = read_document(file) if file else {}
    if not isinstance(document, dict):
        raise CliError(f"{file} must hold one rule: a mapping of its fields", USAGE)
    return document | {name: value for name, value in options.items() if value is not None and name in OPTIONS}


def whole_draft(fields: dict[str, Any]) -> dict[str, Any]:
    """The draft of a new rule: match_type follows from the condition when it was not given.

    Handlings that were not given are Log_only: a rule that pages says so.
    """
    kind = fields.get("match_type") or ("oid_prefix" if fields.get("trap_oid") and not fields.get("match_string")
                                        else "contains")  # fmt: skip
    return {**CREATION, **fields, "match_type": kind}


def read_document(file: Path) -> Any:
    """What the YAML or JSON file holds, ``-`` for standard input. Raises CliError with the line that is wrong."""
    try:
        with click.open_file(str(file), encoding="utf-8") as stream:
            return yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CliError(f"{file} is not YAML: {' '.join(str(error).split())}", USAGE) from error
