"""How long statements take, by the name of the file they stand in."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from psycopg2 import extensions

from mutt.store.named import names_by_statement

Observer = Callable[[str, float], None]
"""Told the name of a statement and the seconds it took. Called by a greenlet, never in a native thread."""

UNNAMED = "other"
"""Stands for statements that are in no file: those of a transaction, and those made of parts."""


def operations() -> list[str]:
    """Every name that an observer may be told."""
    return [*names_by_statement().values(), UNNAMED]


class Timings:
    """Collects in the native threads, where statements run, and tells the observer in the greenlet that asked."""

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        # Appending to and popping from a deque is atomic; a lock would be gevent's, and bound to one thread.
        self._collected: deque[tuple[str, float]] = deque()
        self.cursor = _cursor_class(self._collected)

    def tell(self) -> None:
        """Hands on what was collected."""
        while self._collected:
            self._observe(*self._collected.popleft())


def _cursor_class(collected: deque[tuple[str, float]]) -> type[extensions.cursor]:
    names = names_by_statement()

    class TimedCursor(extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's own name
            started = time.perf_counter()
            try:
                super().execute(query, vars)
            finally:
                name = names.get(query, UNNAMED) if isinstance(query, str) else UNNAMED
                collected.append((name, time.perf_counter() - started))

    return TimedCursor
