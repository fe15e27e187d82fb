"""The exit codes of mutt-admin, and the error that carries one."""

import click

FAILED = 1
USAGE = 2
CHANGES = 3
"""A plan has changes."""
AUTH = 4
CONFLICT = 5
"""Somebody else was faster (412), or the state of things forbids it (409)."""
UNHEALTHY = 6
"""Looked, and found something amiss."""

MEANINGS = {
    0: "done",
    FAILED: "failed",
    USAGE: "wrong usage",
    CHANGES: "the plan has changes",
    AUTH: "no key, a wrong key, or one whose scope does not reach",
    CONFLICT: "somebody else was faster, or the state of things forbids it",
    UNHEALTHY: "looked, and found something amiss",
    78: "the settings of this host are wrong",
}


class CliError(click.ClickException):
    """A sentence for standard error, and the exit code."""

    def __init__(self, sentence: str, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code  # type: ignore[misc]  # of an instance, as click reads it
