"""``mutt-admin``: what an operator does with MUTT, at a terminal or through Ansible.

Data goes to standard output, talk to standard error. The exit codes are those of mutt.cli.exits, and 78 when the
settings of this host are wrong.
"""

import importlib
import logging
import sys
from typing import Any

import click
import structlog

from mutt import __version__
from mutt.cli.connection import Choices
from mutt.cli.options import Session
from mutt.errors import EX_CONFIG, ConfigurationError, MuttError

COMMANDS = {
    "audit": "mutt.cli.audit", "completion": "mutt.cli.completion", "config": "mutt.cli.config", "db": "mutt.cli.db",
    "dlq": "mutt.cli.dlq", "doctor": "mutt.cli.doctor", "events": "mutt.cli.events", "hosts": "mutt.cli.inventory",
    "rsyslog-snippet": "mutt.cli.rsyslog_snippet", "rules": "mutt.cli.rules", "send-test": "mutt.cli.send_test",
    "setup": "mutt.cli.setup",
    "slo": "mutt.cli.slo", "snmptrapd-snippet": "mutt.cli.snmptrapd_snippet",
    "support-bundle": "mutt.cli.support_bundle", "teams": "mutt.cli.inventory",
    "top": "mutt.cli.top", "unhandled": "mutt.cli.unhandled", "upkeep": "mutt.cli.upkeep",
    "version": "mutt.cli.version",
}  # fmt: skip
"""Modules by command. Only the one that is asked for is imported: the libraries of all take a second."""


class AdminGroup(click.Group):
    """Turns MUTT's errors into a sentence and an exit code; anything else is a bug and shows its traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            for problem in error.problems:
                click.echo(f"configuration error: {problem}", err=True)
            ctx.exit(EX_CONFIG)
        except MuttError as error:
            raise click.ClickException(str(error)) from error
        except click.NoSuchOption as error:
            if any(error.option_name in parameter.opts for parameter in self.params):
                hint = f"It goes before the command: mutt-admin {error.option_name} ... COMMAND."
                raise click.UsageError(f"{error.format_message()} {hint}", error.ctx) from error
            raise


@click.group(cls=AdminGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mutt-admin")
@click.option("--context", metavar="NAME", help="Appliance of ~/.config/mutt/admin.toml to work with.")
@click.option("--url", help="Web UI to work with, for example https://mutt.example.net:8090.")
@click.option("--api-key-file", metavar="FILE", help="File with the API key; - reads it from standard input.")
@click.option(
    "--ca-file", metavar="FILE", help="CA that signed the certificate of the web UI; the system's if not given."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Longest a call may take. [default: 30]"
)
@click.pass_context
def main(
    ctx: click.Context, context: str | None, url: str | None, api_key_file: str | None, ca_file: str | None,
    timeout: float | None,
) -> None:  # fmt: skip
    """Manage MUTT, the Multi-Use Telemetry Tool.

    Which appliance, and with which key: options, then the environment (MUTT_ADMIN_URL, MUTT_ADMIN_API_KEY or
    WEBUI_API_KEY), then ~/.config/mutt/admin.toml, then the settings of this host in /etc/mutt.

    There is no option that takes a key: the process list and the shell's history would show it.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    ctx.obj = Session(Choices(context, url, api_key_file, ca_file, timeout))
