"""mutt-admin: what operators and Ansible do to MUTT from a shell.

Data goes to standard output, talk to standard error. Exit codes: 0 ok, 1 failed, 2 wrong usage, 6 something needs
doing, 78 configuration error.
"""

import sys

import click

from mutt import __version__
from mutt.cli import config, db
from mutt.cli.output import complain
from mutt.errors import EX_CONFIG, ConfigurationError, MuttError

EXIT_FAILED = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mutt-admin")
def cli() -> None:
    """Operates MUTT, the Multi-Use Telemetry Tool."""


cli.add_command(db.group)
cli.add_command(config.group)


def main() -> None:
    """Runs a command line; errors of MUTT are said in a sentence, not as a traceback."""
    try:
        cli()
    except ConfigurationError as error:
        for problem in error.problems:
            complain(f"configuration error: {problem}")
        sys.exit(EX_CONFIG)
    except MuttError as error:
        complain(str(error))
        sys.exit(EXIT_FAILED)
