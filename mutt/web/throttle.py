"""Slows down those who guess keys, and nobody else."""

import time
from collections import OrderedDict
from collections.abc import Callable

ALLOWED = 100
"""Wrong keys an address may send in a minute: a relay with an old key, not somebody guessing."""

WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 10_000
"""Addresses that are remembered; the one that was quiet the longest is forgotten first."""


class WrongKeys:
    """Counts wrong keys by address. A valid key is never refused, whatever else came from its address: behind one
    address there may be a whole site."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        """Counts one more wrong key; True once the address has sent more than ALLOWED within a minute."""
        now = self._clock()
        since, count = self._seen.pop(address, (now, 0))
        if now - since > WINDOW_SECONDS:
            since, count = now, 0
        self._seen[address] = (since, count + 1)
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        return count + 1 > ALLOWED
