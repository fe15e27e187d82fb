"""Events that no rule matched, by pattern."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from mutt.admin.shapes.common import ChangeReason, Page, Paging
from mutt.admin.shapes.rules import RuleDraft

PatternId = Annotated[str, Meta(pattern="^([0-9a-f]{16}|other)$")]


class UnhandledPattern(msgspec.Struct, kw_only=True):
    """``id`` names the pattern in the API. ``suggestion`` is a draft of a rule for it, to be looked at first."""

    id: str
    pattern: str
    source: str
    count: int
    first_seen: datetime | None
    last_seen: datetime | None
    expires_at: datetime | None
    ignored: bool
    alerted: bool
    samples: list[str]
    hosts: list[str]
    suggestion: RuleDraft | None


class UnhandledFilter(Paging, kw_only=True):
    q: Annotated[str, Meta(max_length=200)] | None = None
    ignored: bool = False
    """Also those that are ignored."""


class UnhandledPage(Page, kw_only=True):
    patterns: list[UnhandledPattern]
    other: int
    """Events beyond the 10,000 patterns that are told apart."""
    threshold: int | None = None


class PatternKey(msgspec.Struct):
    pattern_id: PatternId


class Ignore(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Ignored patterns are counted, raise no meta-alert and are left out of the list."""

    ignored: bool = True
    reason: ChangeReason | None = None


class IgnoredPattern(msgspec.Struct, kw_only=True):
    message: str
    pattern: UnhandledPattern
