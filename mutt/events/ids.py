"""Time-ordered UUIDs (version 7, RFC 9562) from bulk randomness.

PostgreSQL's unique index is what limits the audit log: with ordered keys it takes three times the rows a second of
random ones. Randomness is fetched 4 KiB at a time, because one system call an id costs more than the id itself.
"""

import os
import re
import time
from uuid import UUID

_POOL_BYTES = 4096
_BYTES_PER_ID = 10
_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


_UUID = re.compile(
    r"(?:urn:uuid:)?\{?(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE | re.ASCII
)


class IdSource:
    """Makes ids that sort by the millisecond they were made in. Not for use across a fork: make one per process."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def take(self, unix_ms: int | None = None) -> str:
        """A new id as text, e.g. ``0197b8a2-5c3e-7f04-9d2b-6e1f0a3c5d77``."""
        if self._at + _BYTES_PER_ID > len(self._pool):
            self._pool, self._at = os.urandom(_POOL_BYTES), 0
        random_bits = int.from_bytes(self._pool[self._at : self._at + _BYTES_PER_ID], "big")
        self._at += _BYTES_PER_ID
        milliseconds = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
        # 48 bits of time, 4 of version, 12 random, 2 of variant, 62 random.
        high_random, low_random = (random_bits >> 62) & 0xFFF, random_bits & ((1 << 62) - 1)
        value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | _VERSION_7 | high_random << 64 | _VARIANT | low_random
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def canonical_uuid(text: str) -> str | None:
    """The UUID in lower case with hyphens, or None when the text is not a UUID."""
    return str(UUID(text)) if _UUID.fullmatch(text) else None
