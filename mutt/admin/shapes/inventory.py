"""Development hosts and teams of devices."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from mutt.admin.shapes.common import ChangeReason, Page, Paging
from mutt.admin.shapes.rules import Team

Hostname = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        # No slash and not dots alone: such a name could not stand in a path. $ alone would let a last newline pass.
        pattern=r"^(?!\.+$)[^\s/\x00-\x1f\x7f]+$(?!\n)",
        description="Upper and lower case are the same.",
    ),
]


class DevHost(msgspec.Struct, kw_only=True):
    id: int
    hostname: str
    description: str | None
    added_at: datetime


class DevHostDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    hostname: Hostname
    description: Annotated[str, Meta(max_length=1000)] | None = None
    reason: ChangeReason | None = None


class InventoryFilter(Paging, kw_only=True):
    q: Annotated[str, Meta(max_length=255, description="Text within the host name or the team.")] | None = None


class DevHostPage(Page, kw_only=True):
    hosts: list[DevHost]


class HostKey(msgspec.Struct, kw_only=True):
    hostname: Hostname
    reason: ChangeReason | None = None


class DeviceTeam(msgspec.Struct, kw_only=True):
    id: int
    hostname: str
    team_assignment: str
    updated_at: datetime


class DeviceTeamDraft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    hostname: Hostname
    team_assignment: Team
    reason: ChangeReason | None = None


class DeviceTeamChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    team_assignment: Team
    reason: ChangeReason | None = None


class DeviceTeamPage(Page, kw_only=True):
    teams: list[DeviceTeam]
