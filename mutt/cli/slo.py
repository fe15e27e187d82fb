"""``mutt-admin slo``."""

import click

from mutt.admin.shapes.overview import Objective, Objectives
from mutt.cli.api import Api
from mutt.cli.exits import UNHEALTHY
from mutt.cli.options import pass_api
from mutt.cli.output import Column, Listing, output_option, say, show


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.3f}%"


OBJECTIVES: Listing[tuple[str, Objective]] = Listing(
    (
        Column("OBJECTIVE", lambda pair: pair[0]),
        Column("STATE", lambda pair: pair[1].state),
        Column("TARGET", lambda pair: _percent(pair[1].target)),
        Column("ACHIEVED", lambda pair: _percent(pair[1].availability)),
        Column("BUDGET LEFT", lambda pair: _percent(pair[1].error_budget_remaining)),
        Column("BURN RATE", lambda pair: f"{pair[1].burn_rate:.2f}"),
        Column("GOOD", lambda pair: f"{pair[1].good:.0f}", wide=True),
        Column("TOTAL", lambda pair: f"{pair[1].total:.0f}", wide=True),
        Column("WINDOW", lambda pair: f"{pair[1].window_hours}h", wide=True),
    ),
    lambda pair: pair[0],
)


@click.command()
@output_option
@click.pass_context
@pass_api
def slo(api: Api, ctx: click.Context, output: str) -> None:
    """Show the service level objectives; ends with exit code 6 when one is missed."""
    found = api.get("/slo", Objectives)
    show(output, list(found.components.items()), OBJECTIVES, found)
    if found.problem:
        say(f"judged by MUTT's own counters: {found.problem}")
    if not found.overall_compliant:
        ctx.exit(UNHEALTHY)
