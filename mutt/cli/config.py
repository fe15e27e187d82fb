"""mutt-admin config: the settings of this host."""

import os
from pathlib import Path
from typing import Any

import click

from mutt.cli.output import complain
from mutt.errors import ConfigurationError
from mutt.settings import Alerter, Forwarder, Ingestor, Remediation, WebUI, load

PROGRAMS: tuple[type[Any], ...] = (Ingestor, WebUI, Alerter, Forwarder, Remediation)


@click.group("config")
def group() -> None:
    """The settings of this host."""


@group.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check mutt.env (or FILE) for every program; all mistakes are shown, exit code 78.

    With FILE only the file counts; without, the environment wins over /etc/mutt/mutt.env as it does for the programs.
    """
    environ = {} if file else dict(os.environ)
    problems: dict[str, None] = {}
    for program in PROGRAMS:
        try:
            load(program, environ, file)
        except ConfigurationError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise ConfigurationError(list(problems))
    complain("the settings are good for all programs")
