"""Dynamic settings."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from mutt.admin.shapes.common import ChangeReason, Page, Paging

Value = int | float | str


class Setting(msgspec.Struct, kw_only=True):
    """A dynamic setting. ``value`` is what programs use: the stored one, or the default.

    ``source``: redis, environment (the value of mutt.env), default.
    """

    key: str
    value: Value
    default: Value
    source: str
    type: str
    accepts: str
    doc: str
    programs: list[str]
    needs_restart: bool = False
    problem: str | None = None
    """Why the stored value is ignored, when it is."""


class Settings(msgspec.Struct, kw_only=True):
    """``enabled`` is DYNAMIC_CONFIG_ENABLED: while it is false, stored values are ignored."""

    enabled: bool
    config: list[Setting]
    total: int
    page: int
    limit: int


class SettingKey(msgspec.Struct, kw_only=True):
    key: Annotated[str, Meta(min_length=1, max_length=100)]
    reason: ChangeReason | None = None


class SettingHistoryFilter(Paging, kw_only=True):
    key: Annotated[str, Meta(min_length=1, max_length=100)]


class SettingChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    value: Value
    reason: ChangeReason | None = None


class PastSetting(msgspec.Struct, kw_only=True):
    """One earlier change; None means the default."""

    id: int
    changed_at: datetime
    changed_by: str
    old_value: Value | None
    new_value: Value | None
    reason: str | None
    status: str


class SettingHistory(Page, kw_only=True):
    history: list[PastSetting]
