"""Entity tags: what a change was made from, so that nobody overwrites what they have not seen (RFC 9110)."""

import hashlib
from typing import Any

import msgspec

from mutt.errors import Reason, RequestError


def etag_of(content: Any) -> str:
    """A strong entity tag, without its quotes: the same content has the same, other content another."""
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:32]


def demand_match(if_match: str | None, etag: str, what: str) -> None:
    """Raises RequestError (412) when the header If-Match is given and names neither ``etag`` nor ``*``.

    ``what`` names the thing in the sentence: "rule 7".
    """
    if if_match is None:
        return
    # A weak tag (W/"...") never fits: RFC 9110 asks for the strong comparison here.
    named = [each.strip() for each in if_match.split(",")]
    if "*" not in named and f'"{etag}"' not in named:
        raise RequestError(
            Reason.STALE, 412, f"{what} has been changed since; read it again and repeat the change", field="If-Match"
        )
