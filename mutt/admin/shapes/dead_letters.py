"""Dead letters and poison."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mutt.admin.shapes.common import ChangeReason, Page, Paging

ListName = Literal["ingest", "alerter", "moog", "poison"]
LetterId = Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="SHA-1 of the letter as it lies in Redis.")]


class LetterGroup(msgspec.Struct, kw_only=True):
    """Letters of one reason."""

    reason: str
    count: int
    oldest: datetime | None
    newest: datetime | None
    sample_error: str
    sample_id: str
    sample_host: str | None = None


class LetterList(msgspec.Struct, kw_only=True):
    """One list. ``looked_at`` is how many of the ``depth`` letters were grouped: the newest 10,000 at most."""

    name: str
    depth: int
    looked_at: int
    what: str
    groups: list[LetterGroup]


class LetterLists(msgspec.Struct, kw_only=True):
    lists: list[LetterList]
    total: int


class Letter(msgspec.Struct, kw_only=True):
    id: str
    reason: str
    error: str
    service: str
    failed_at: datetime | None
    attempts: int
    replays: int
    hostname: str | None
    message: str | None
    correlation_id: str | None
    due_at: datetime | None
    """When remediation will replay it by itself; None when it will not."""
    payload: Any | None = None
    """The message whole; in lists only when ``payload=true`` was asked for."""


class LetterFilter(Paging, kw_only=True):
    name: ListName
    reason: Annotated[str, Meta(max_length=100)] | None = None
    q: Annotated[str, Meta(max_length=200, description="Text within the letter.")] | None = None
    payload: bool = False


class LetterPage(Page, kw_only=True):
    letters: list[Letter]
    looked_at: int


class ListKey(msgspec.Struct):
    name: ListName


class LetterKey(msgspec.Struct):
    name: ListName
    letter_id: LetterId


class LetterEdit(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new payload for a letter; it stays in its list."""

    payload: Any
    reason: ChangeReason | None = None


class LetterChoice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which letters: some by ``ids``, those of one ``with_reason``, or ``all``. Exactly one of the three."""

    ids: Annotated[list[LetterId], Meta(max_length=10_000)] | None = None
    with_reason: Annotated[str, Meta(max_length=100)] | None = None
    all: bool = False
    reason: ChangeReason | None = None
    dry_run: bool = False


class LetterReplay(LetterChoice, kw_only=True, forbid_unknown_fields=True):
    """``rate_per_second`` spreads the replays over time; at once when it is not given."""

    rate_per_second: Annotated[float, Meta(gt=0, le=10_000)] | None = None


class LetterOutcome(msgspec.Struct, kw_only=True):
    """``done`` letters were moved (or, with dry_run, would be); ``skipped`` says why others were not, by sentence."""

    done: int
    skipped: dict[str, int]
    message: str
    dry_run: bool = False
    seconds: float = 0.0
    """Until the last one is replayed, when a rate was given."""


class EditedLetter(msgspec.Struct, kw_only=True):
    id: str
    message: str
