"""An operation of the REST API, declared once: routes, checks and the OpenAPI document come from the declaration."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mutt.admin.access import Actor, Author, Scope


class NoParameters(msgspec.Struct):
    """For operations without parameters."""


class Message(msgspec.Struct):
    """What was done, in a sentence."""

    message: str


@dataclass(slots=True)
class Call:
    """One request to an operation, checked: ``parameters`` and ``body`` are of the types that the operation declares.

    A handler sets ``etag`` to have it sent, ``location`` to name what it has created, and ``content_type`` when its
    answer is of another type than the operation declares.
    """

    actor: Actor
    correlation_id: str
    parameters: Any
    body: Any
    if_match: str | None = None
    etag: str | None = None
    location: str | None = None
    filename: str | None = None
    content_type: str | None = None

    def author(self, reason: str | None = None) -> Author:
        """Whoever makes the change, for the audit."""
        return Author(self.actor.name, reason, self.correlation_id)


@dataclass(frozen=True, slots=True)
class Operation:
    """``path`` is relative to /api/v2 and may name parameters in braces.

    ``parameters`` is a Struct whose fields are the path's and the query's. ``answer`` is what the handler returns: a
    Struct, or bytes for another ``content_type``. With ``streams`` the handler returns an iterator of ``answer``;
    a caller that accepts application/x-ndjson gets each as a line, any other caller the last one. ``problems`` are
    the statuses that the operation itself can refuse with, besides those that any operation can.
    """

    method: str
    path: str
    scope: Scope
    handler: Callable[[Call], Any]
    answer: Any
    parameters: type[msgspec.Struct] = NoParameters
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    status: int = 200
    problems: tuple[int, ...] = ()
    content_type: str = "application/json"
    other_content_types: tuple[str, ...] = ()
    """Those that a handler may set on the call instead."""
    streams: bool = False
    tag: str = ""
    most_body_bytes: int = field(default=1024 * 1024)

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    @property
    def name(self) -> str:
        """A name that no other operation has, for the OpenAPI document."""
        return f"{self.handler.__qualname__}".replace(".", "_")
