"""Waiting for a condition, which tests do instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 10.0, every: float = 0.02) -> T:
    """What ``condition`` returns as soon as it is true. Raises AssertionError naming ``what`` after ``seconds``."""
    give_up_at = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > give_up_at:
            raise AssertionError(f"waited {seconds:g} s for {what}; the last look gave {result!r}")
        time.sleep(every)
