"""Development hosts and teams of devices."""

from typing import Any

import redis

from mutt.admin.access import Author
from mutt.admin.services.changes import publish_reload
from mutt.admin.shapes.inventory import (
    DevHost,
    DevHostDraft,
    DevHostPage,
    DeviceTeam,
    DeviceTeamChanges,
    DeviceTeamDraft,
    DeviceTeamPage,
    InventoryFilter,
)
from mutt.errors import Reason, RequestError
from mutt.events.admit import storable
from mutt.store import inventory
from mutt.store.connections import Connection
from mutt.store.inventory import Inventory
from mutt.store.pool import Database
from mutt.store.reading import Row


class _Hosts:
    """What both lists have in common: entries that are named by a host."""

    table: Inventory
    none_there: str

    def __init__(self, client: redis.Redis, database: Database) -> None:
        self._client = client
        self._database = database

    def _page(self, wanted: InventoryFilter, limit: int) -> tuple[list[Row], int]:
        q = storable(wanted.q) if wanted.q else None
        return inventory.page(self._database, self.table, q, limit, (wanted.page - 1) * limit)

    def _add(self, values: dict[str, Any], author: Author) -> Row | None:
        def work(connection: Connection) -> Row | None:
            with connection.cursor() as cursor:
                added = inventory.add(cursor, author, self.table, values)
            return added[0] if added else None

        row = self._database.run(work)
        if row is not None:
            publish_reload(self._client)
        return row

    def _remove(self, hostname: str, author: Author) -> Row:
        def work(connection: Connection) -> Row | None:
            with connection.cursor() as cursor:
                removed = inventory.remove(cursor, author, self.table, storable(hostname))
            return removed[0] if removed else None

        return self._changed(self._database.run(work), hostname)

    def _changed(self, row: Row | None, hostname: str) -> Row:
        if row is None:
            raise RequestError(Reason.NOT_FOUND, 404, self.none_there.format(hostname=hostname), field="hostname")
        publish_reload(self._client)
        return row


class DevHosts(_Hosts):
    """The hosts whose events get the dev_handling of the rule that decides."""

    table: Inventory = "development_hosts"
    none_there = "{hostname} is not among the development hosts"

    def list(self, wanted: InventoryFilter, default_limit: int) -> DevHostPage:
        """Hosts by name. Raises OutageError."""
        limit = wanted.limit or default_limit
        rows, total = self._page(wanted, limit)
        return DevHostPage(hosts=[DevHost(**row) for row in rows], total=total, page=wanted.page, limit=limit)

    def add(self, draft: DevHostDraft, author: Author) -> DevHost:
        """The new host. Raises RequestError (409 when it is one already) and OutageError."""
        description = storable(draft.description) if draft.description else None
        row = self._add({"hostname": storable(draft.hostname), "description": description}, author)
        if row is None:
            raise _conflict(f"{draft.hostname} is a development host already (upper and lower case are the same)")
        return DevHost(**row)

    def remove(self, hostname: str, author: Author) -> DevHost:
        """The host as it was. Raises RequestError (404) and OutageError."""
        return DevHost(**self._remove(hostname, author))


class DeviceTeams(_Hosts):
    """The devices whose events go to a team of their own, whatever team the rule names."""

    table: Inventory = "device_teams"
    none_there = "{hostname} has no team of its own"

    def list(self, wanted: InventoryFilter, default_limit: int) -> DeviceTeamPage:
        """Devices by name. Raises OutageError."""
        limit = wanted.limit or default_limit
        rows, total = self._page(wanted, limit)
        return DeviceTeamPage(teams=[DeviceTeam(**row) for row in rows], total=total, page=wanted.page, limit=limit)

    def add(self, draft: DeviceTeamDraft, author: Author) -> DeviceTeam:
        """The new entry. Raises RequestError (409 when the device has a team already) and OutageError."""
        team = storable(draft.team_assignment)
        row = self._add({"hostname": storable(draft.hostname), "team_assignment": team}, author)
        if row is None:
            raise _conflict(f"{draft.hostname} has a team of its own already; change that one")
        return DeviceTeam(**row)

    def update(self, hostname: str, changes: DeviceTeamChanges, author: Author) -> DeviceTeam:
        """The entry with its new team. Raises RequestError (404) and OutageError."""
        team = storable(changes.team_assignment)

        def work(connection: Connection) -> Row | None:
            with connection.cursor() as cursor:
                changed = inventory.change_team(cursor, author, storable(hostname), team)
            return changed[0] if changed else None

        return DeviceTeam(**self._changed(self._database.run(work), hostname))

    def remove(self, hostname: str, author: Author) -> DeviceTeam:
        """The entry as it was. Raises RequestError (404) and OutageError."""
        return DeviceTeam(**self._remove(hostname, author))


def _conflict(sentence: str) -> RequestError:
    return RequestError(Reason.CONFLICT, 409, sentence, field="hostname")
