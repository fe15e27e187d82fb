"""/dev-hosts and /teams."""

from urllib.parse import quote

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Message, Operation
from mutt.admin.services.inventory import DevHosts, DeviceTeams
from mutt.admin.shapes.common import Created, Removal
from mutt.admin.shapes.inventory import (
    DevHostDraft,
    DevHostPage,
    DeviceTeam,
    DeviceTeamChanges,
    DeviceTeamDraft,
    DeviceTeamPage,
    HostKey,
    InventoryFilter,
)


class DevHostsResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, hosts: DevHosts, default_limit: int) -> None:
        self._hosts = hosts
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/dev-hosts/{hostname}"
        return [
            Operation("GET", "/dev-hosts", Scope.VIEWER, self.list, DevHostPage, InventoryFilter),
            Operation("POST", "/dev-hosts", Scope.OPERATOR, self.add, Created, body=DevHostDraft, status=201),
            Operation(
                "DELETE", one, Scope.OPERATOR, self.remove, Message, HostKey, Removal, body_optional=True,
                problems=(404,),
            ),
        ]  # fmt: skip

    def list(self, call: Call) -> DevHostPage:
        """Development hosts by name."""
        return self._hosts.list(call.parameters, self._default_limit)

    def add(self, call: Call) -> Created:
        """Makes a host a development host: its events get the dev_handling of their rule."""
        host = self._hosts.add(call.body, call.author(call.body.reason))
        call.location = f"/api/v2/dev-hosts/{quote(host.hostname, safe='')}"
        return Created(host.id, f"{host.hostname} is a development host now")

    def remove(self, call: Call) -> Message:
        """Makes a host a production host again."""
        host = self._hosts.remove(call.parameters.hostname, call.author(call.body.reason or call.parameters.reason))
        return Message(f"{host.hostname} is no development host any more")


class DeviceTeamsResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, teams: DeviceTeams, default_limit: int) -> None:
        self._teams = teams
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/teams/{hostname}"
        return [
            Operation("GET", "/teams", Scope.VIEWER, self.list, DeviceTeamPage, InventoryFilter),
            Operation("POST", "/teams", Scope.OPERATOR, self.add, Created, body=DeviceTeamDraft, status=201),
            Operation(
                "PUT", one, Scope.OPERATOR, self.update, DeviceTeam, HostKey, DeviceTeamChanges, problems=(404,)
            ),
            Operation(
                "DELETE", one, Scope.OPERATOR, self.remove, Message, HostKey, Removal, body_optional=True,
                problems=(404,),
            ),
        ]  # fmt: skip

    def list(self, call: Call) -> DeviceTeamPage:
        """Devices that have a team of their own, by host name."""
        return self._teams.list(call.parameters, self._default_limit)

    def add(self, call: Call) -> Created:
        """Gives a device a team of its own: its events go there, whatever team the rule names."""
        team = self._teams.add(call.body, call.author(call.body.reason))
        call.location = f"/api/v2/teams/{quote(team.hostname, safe='')}"
        return Created(team.id, f"events of {team.hostname} go to {team.team_assignment} now")

    def update(self, call: Call) -> DeviceTeam:
        """Gives a device another team."""
        author = call.author(call.body.reason or call.parameters.reason)
        return self._teams.update(call.parameters.hostname, call.body, author)

    def remove(self, call: Call) -> Message:
        """Takes its own team from a device: its events go to the team of their rule again."""
        team = self._teams.remove(call.parameters.hostname, call.author(call.body.reason or call.parameters.reason))
        return Message(f"events of {team.hostname} go to the team of their rule again")
