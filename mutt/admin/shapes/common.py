"""Shapes that all parts of the API share."""

from typing import Annotated

import msgspec

PageNumber = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="Page, counted from 1.")]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="Entries on a page.")]
ChangeReason = Annotated[str, msgspec.Meta(max_length=1000, description="Why the change is made, for the audit.")]

DEFAULT_LIMIT = 50


class Paging(msgspec.Struct, kw_only=True):
    """Query parameters of every list."""

    page: PageNumber = 1
    limit: Limit | None = None
    """AUDIT_LOG_PAGE_SIZE when not given."""


class Page(msgspec.Struct, kw_only=True):
    """Members of every list; the entries stand beside them under a name of their own."""

    total: int
    page: int
    limit: int


class Removal(msgspec.Struct, forbid_unknown_fields=True):
    """The optional body of a DELETE."""

    reason: ChangeReason | None = None


class Created(msgspec.Struct):
    """The answer of a POST that created something."""

    id: int
    message: str
