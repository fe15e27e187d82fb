"""The Redis side of dead letters: reads a list in pieces and moves letters out of it, a few hundred at a time.

Remediation and other operators work on the same lists. A letter is moved by whoever removes it from its list, so a
move never loses one and never doubles one; a letter that is gone is reported as gone.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import redis

from mutt.redisdb import scripts
from mutt.redisdb.client import outages

CHUNK = 200
"""Letters read or moved by one command: a few milliseconds of Redis's time."""


class Moved(IntEnum):
    """What became of one letter that was to be moved."""

    WAITS_ALREADY = -1
    GONE = 0
    DONE = 1


class Replay(NamedTuple):
    """The message that a letter becomes, with the queue and the retry set that lead to it.

    ``due_ms`` is when it is due by Redis's clock; 0 puts it into the queue at once.
    """

    message: bytes
    queue: str
    retry_set: str
    due_ms: int = 0


class Discard(NamedTuple):
    """Nothing comes of the letter."""


Fate = Replay | Discard


def letter_id(record: bytes) -> str:
    """What the letter is called: the SHA-1 of its record."""
    return hashlib.sha1(record).hexdigest()  # noqa: S324 - a name, not a protection


class LetterBox:
    """One dead-letter list. The newest letter is at its left end."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self.key = key

    def depth(self) -> int:
        with outages():
            return int(self._client.llen(self.key))

    def newest(self, start: int, most: int) -> list[bytes]:
        """Up to ``most`` letters from the ``start``-th newest on."""
        with outages():
            found: Any = self._client.lrange(self.key, start, start + most - 1)
        return list(found)

    def newest_first(self, most: int) -> Iterator[bytes]:
        """The ``most`` newest letters, read in pieces. One that comes in meanwhile may show another one twice."""
        for start in range(0, most, CHUNK):
            chunk = self.newest(start, min(CHUNK, most - start))
            yield from chunk
            if len(chunk) < CHUNK:
                return

    def oldest(self, start: int) -> list[bytes]:
        """A chunk of letters from the ``start``-th oldest on, the oldest first; empty beyond the newest."""
        with outages():
            found: Any = self._client.lrange(self.key, -start - CHUNK, -start - 1)
        return list(reversed(found))

    def oldest_first(self) -> Iterator[bytes]:
        """All letters. Newly come ones change nothing about those before them."""
        start = 0
        while chunk := self.oldest(start):
            yield from chunk
            start += len(chunk)

    def find(self, wanted: str) -> bytes | None:
        """The letter with this id."""
        return next((record for record in self.oldest_first() if letter_id(record) == wanted), None)

    def take_out(self, wanted: "Counter[str]", decide: Callable[[bytes], Fate | None]) -> "Counter[Moved]":
        """Moves those letters whose ids are ``wanted`` (and how many of each), from the oldest on.

        ``decide`` says what becomes of a letter, None when it stays. Letters that are not met, because somebody else
        has taken them, count as gone. Raises OutageError; what was moved until then is moved.
        """
        left, outcomes = Counter(wanted), Counter[Moved]()
        while left.total() > 0:
            found = self._walk(left, decide)
            outcomes += found
            if not found[Moved.DONE]:
                break
            # Others who take letters out shift the rest past us, and remediation puts back what it had in hand.
        outcomes[Moved.GONE] = left.total()
        return outcomes

    def _walk(self, left: "Counter[str]", decide: Callable[[bytes], Fate | None]) -> "Counter[Moved]":
        """One walk through the list; what it settles is taken from ``left``."""
        outcomes, start = Counter[Moved](), 0
        while left.total() > 0 and (chunk := self.oldest(start)):
            letters: list[tuple[int, bytes, Fate]] = []
            for place, record in enumerate(chunk, start + 1):
                name = letter_id(record)
                if left[name] > 0:
                    left[name] -= 1
                    fate = decide(record)
                    letters += [] if fate is None else [(place, record, fate)]
            moved = self._move(letters) if letters else []
            left.update(letter_id(record) for (_, record, _), each in zip(letters, moved, strict=True) if not each)
            outcomes.update(each for each in moved if each)
            # What was taken out, by us or by others, is no longer in front of the rest.
            start += len(chunk) - sum(each >= 0 for each in moved)
        return outcomes

    def _move(self, letters: Sequence[tuple[int, bytes, Fate]]) -> list[Moved]:
        pairs: dict[tuple[str, str], int] = {}
        arguments: list[Any] = []
        for place, record, fate in letters:
            if isinstance(fate, Replay):
                pair = pairs.setdefault((fate.queue, fate.retry_set), len(pairs) + 1)
                arguments += [place, record, pair, fate.due_ms, fate.message]
            else:
                arguments += [place, record, 0, 0, b""]
        names = [name for pair in pairs for name in pair]
        return [Moved(each) for each in scripts.TAKE_OUT.run(self._client, [self.key, *names], arguments)]

    def edit(self, record: bytes, edited: bytes) -> bool:
        """Puts ``edited`` in the letter's place; False when it is no longer in the list. Raises OutageError."""
        return bool(scripts.EDIT.run(self._client, [self.key], [record, edited]))

    def now_ms(self) -> int:
        """The time by Redis's clock, as retry sets count it."""
        with outages():
            time: Any = self._client.time()
        return int(time[0]) * 1000 + int(time[1]) // 1000
