"""``mutt-admin version``."""

import click

from mutt import __version__
from mutt.admin.shapes.overview import Figures
from mutt.cli.exits import CliError
from mutt.cli.options import Session
from mutt.cli.output import output_option, show_one


@click.command()
@click.option("--client", is_flag=True, help="Only the version of mutt-admin; asks nobody.")
@output_option
@click.pass_obj
def version(session: Session, client: bool, output: str) -> None:
    """Show the versions of mutt-admin and of the appliance."""
    versions: dict[str, str | None] = {"mutt-admin": __version__}
    problem: CliError | None = None
    if not client:
        try:
            session.api.get("/metrics", Figures)
            versions["appliance"] = session.api.server_version
        except CliError as error:
            problem = error
            versions["appliance"] = None
    show_one(output, __version__, versions, versions)
    if problem:
        raise problem
