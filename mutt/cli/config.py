"""``mutt-admin config``: the settings of the programs."""

import os
from pathlib import Path

import click

from mutt.cli.output import say
from mutt.errors import ConfigurationError
from mutt.settings import load
from mutt.settings_template import PROGRAMS


@click.group()
def config() -> None:
    """Look after the settings."""


@config.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check the settings of every program and show all mistakes at once; ends with exit code 78 when there are any.

    With FILE that file alone is judged, so the answer is the same whoever asks; without it, what a program started
    here and now would see.
    """
    problems = find_problems(file)
    if problems:
        raise ConfigurationError(problems)
    say(f"{file or 'the configuration'} is valid")


def find_problems(file: Path | None) -> list[str]:
    """One sentence for each mistake, whichever program would meet it first."""
    environ = {} if file else os.environ
    problems: list[str] = []
    for program in PROGRAMS:
        try:
            load(program, environ, file)
        except ConfigurationError as error:
            problems += error.problems
    return list(dict.fromkeys(problems))
