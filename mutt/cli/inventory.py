"""``mutt-admin hosts`` and ``mutt-admin teams``: development hosts, and the teams of devices."""

import click

from mutt.admin.shapes.common import Created
from mutt.admin.shapes.inventory import DevHost, DevHostPage, DeviceTeam, DeviceTeamPage
from mutt.cli.api import Api, Message, path_of
from mutt.cli.failures import ApiError
from mutt.cli.options import confirm, limit_option, pass_api, reason_option, say_how_many, yes_option
from mutt.cli.output import Column, Listing, output_option, say, show

search_option = click.option("-q", "--search", metavar="TEXT", help="Text in the host name or the team.")

HOSTS: Listing[DevHost] = Listing(
    (
        Column("HOST", lambda host: host.hostname),
        Column("DESCRIPTION", lambda host: host.description, long=True),
        Column("ADDED", lambda host: host.added_at),
    ),
    lambda host: host.hostname,
)

TEAMS: Listing[DeviceTeam] = Listing(
    (
        Column("HOST", lambda device: device.hostname),
        Column("TEAM", lambda device: device.team_assignment),
        Column("UPDATED", lambda device: device.updated_at),
    ),
    lambda device: device.hostname,
)


@click.group()
def hosts() -> None:
    """Development hosts: their events get the dev_handling of a rule."""


@hosts.command("list")
@search_option
@limit_option
@output_option
@pass_api
def list_hosts(api: Api, search: str | None, limit: int, output: str) -> None:
    """List development hosts."""
    entries, total, _ = api.listed("/dev-hosts", DevHostPage, "hosts", limit, q=search)
    show(output, entries, HOSTS, {"hosts": entries, "total": total})
    say_how_many(len(entries), total)


@hosts.command("add")
@click.argument("hostname")
@click.option("--description", help="What it is.")
@reason_option
@pass_api
def add_host(api: Api, hostname: str, description: str | None, reason: str | None) -> None:
    """Make HOSTNAME a development host."""
    body = {"hostname": hostname, "description": description, "reason": reason}
    say(api.post("/dev-hosts", body, Created).message)


@hosts.command("remove")
@click.argument("hostname")
@reason_option
@yes_option
@pass_api
def remove_host(api: Api, hostname: str, reason: str | None, yes: bool) -> None:
    """Make HOSTNAME a production host again: its events get the prod_handling."""
    confirm(f"Make {hostname} a production host?", yes)
    say(api.delete(path_of("dev-hosts", hostname), Message, reason=reason).message)


@click.group()
def teams() -> None:
    """Teams of devices: they win over the team that a rule names."""


@teams.command("list")
@search_option
@limit_option
@output_option
@pass_api
def list_teams(api: Api, search: str | None, limit: int, output: str) -> None:
    """List the devices that have a team of their own."""
    entries, total, _ = api.listed("/teams", DeviceTeamPage, "teams", limit, q=search)
    show(output, entries, TEAMS, {"teams": entries, "total": total})
    say_how_many(len(entries), total)


@teams.command("set")
@click.argument("hostname")
@click.argument("team")
@reason_option
@pass_api
def set_team(api: Api, hostname: str, team: str, reason: str | None) -> None:
    """Have events of HOSTNAME go to TEAM, whether or not it has a team already."""
    body = {"team_assignment": team, "reason": reason}
    try:
        device = api.put(path_of("teams", hostname), body, DeviceTeam)
        say(f"events of {device.hostname} go to {device.team_assignment} now")
    except ApiError as error:
        if error.status != 404:
            raise
        say(api.post("/teams", {"hostname": hostname, **body}, Created).message)


@teams.command("remove")
@click.argument("hostname")
@reason_option
@yes_option
@pass_api
def remove_team(api: Api, hostname: str, reason: str | None, yes: bool) -> None:
    """Have events of HOSTNAME go to the team of the rule again."""
    confirm(f"Remove the team of {hostname}?", yes)
    say(api.delete(path_of("teams", hostname), Message, reason=reason).message)
