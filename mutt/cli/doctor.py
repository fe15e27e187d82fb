"""``mutt-admin doctor``: checks everything that can be checked; each failure names its fix."""

import os
from urllib.parse import urlsplit

import click

from mutt import settings
from mutt.admin.shapes.overview import Diagnosis, Finding
from mutt.cli.connection import HOST_SOURCE, LOOPBACK, env_file
from mutt.cli.exits import UNHEALTHY
from mutt.cli.options import Session
from mutt.cli.output import Column, Listing, output_option, say, show

FINDINGS: Listing[Finding] = Listing(
    (
        Column("STATE", lambda finding: finding.state),
        Column("CHECK", lambda finding: finding.check),
        Column("WHAT", lambda finding: finding.sentence, long=True),
        Column("FIX", lambda finding: finding.fix, wide=True),
    ),
    lambda finding: finding.check,
    fold=True,
)


@click.command()
@click.option("--remote", is_flag=True, help="Have the appliance examine itself, even when this is its host.")
@output_option
@click.pass_context
def doctor(ctx: click.Context, remote: bool, output: str) -> None:
    """Check settings, secrets, Redis, PostgreSQL, schema, programs and webhook; each failure names its fix.

    Ends with exit code 6 when something failed.
    """
    found = diagnose(ctx.find_object(Session), remote)  # type: ignore[arg-type]
    show(output, found.findings, FINDINGS, found)
    if output == "table":
        for finding in found.findings:
            if finding.fix and finding.state != "ok":
                say(f"{finding.check}: {finding.fix}")
    if not found.healthy or any(finding.state == "failed" for finding in found.findings):
        ctx.exit(UNHEALTHY)


def diagnose(session: Session, remote: bool = False) -> Diagnosis:
    """The findings: of this host when it is an appliance and not ``remote``, else of the one behind the API."""
    file = env_file(os.environ)
    if remote or not (_is_here(session) and os.access(file, os.R_OK)):
        return session.api.get("/doctor", Diagnosis)
    # Imported here because it brings the libraries of every program along.
    from mutt.admin.services.diagnosis import Doctor

    say(f"examined from this host, with {file}")
    examiner = Doctor(settings.survey())
    try:
        return examiner.look()
    finally:
        examiner.close()


def _is_here(session: Session) -> bool:
    """Whether the appliance that was asked for is on this host."""
    connection = session.connection
    return connection.url_source == HOST_SOURCE or urlsplit(connection.url).hostname in LOOPBACK
