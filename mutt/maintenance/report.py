"""What a run of upkeep tells: as it goes, and in the end."""

from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

import msgspec


class Outcome(StrEnum):
    """How something stands after upkeep has looked at it."""

    DONE = "done"
    WOULD_DO = "would do"
    KEPT = "kept"
    FAILED = "failed"


class Action(msgspec.Struct, frozen=True):
    """One line of the summary: what a step did, to what, and how many rows or records it concerned."""

    step: str
    subject: str
    what: str
    outcome: Outcome
    rows: int = 0


class Advance(Protocol):
    """Tells how many more rows are done."""

    def __call__(self, rows: int, /) -> None: ...


class Talk(Protocol):
    """Whoever listens while upkeep works."""

    def say(self, sentence: str, /) -> None: ...

    def progress(self, what: str, rows: int, /) -> AbstractContextManager[Advance]:
        """A bar for about so many rows, as long as the block lasts."""


class Silence:
    """Nobody listens."""

    def say(self, sentence: str, /) -> None:
        return

    def progress(self, what: str, rows: int, /) -> AbstractContextManager[Advance]:
        return nullcontext(_ignore)


def _ignore(rows: int, /) -> None:
    return
