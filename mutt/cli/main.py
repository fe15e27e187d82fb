"""``mutt-admin``: what an operator does with MUTT, at a terminal or through Ansible.

Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 6 looked and found
something amiss, 78 the settings are wrong.
"""

import logging
import sys
from typing import Any

import click
import structlog

from mutt import __version__
from mutt.cli.config import config
from mutt.cli.db import db
from mutt.errors import EX_CONFIG, ConfigurationError, MuttError


class AdminGroup(click.Group):
    """Turns MUTT's errors into a sentence and an exit code; anything else is a bug and shows its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            for problem in error.problems:
                click.echo(f"configuration error: {problem}", err=True)
            ctx.exit(EX_CONFIG)
        except MuttError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=AdminGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mutt-admin")
def main() -> None:
    """Manage MUTT, the Multi-Use Telemetry Tool.

    Settings are read from /etc/mutt/mutt.env, or the file that MUTT_ENV_FILE names, and from the environment.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


main.add_command(config)
main.add_command(db)
