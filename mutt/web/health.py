"""/health: what works and what does not, within two seconds whatever is stalled."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import gevent

from mutt import API_VERSION
from mutt.errors import MuttError

DEADLINE_SECONDS = 1.5
"""For all checks together; a client that waits two seconds for the answer gets it."""

Check = Callable[[], Any]
"""Returns whatever it likes when the dependency works and raises MuttError when it does not."""


def report(
    service: str, checks: Mapping[str, Check], details: Mapping[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """(HTTP status, body): 200 when every check passed, else 503 with the reason of each that did not.

    A check named ``queue_depth`` reports the number it returns instead of "connected".
    """
    greenlets = {name: gevent.spawn(_run, check) for name, check in checks.items()}
    gevent.joinall(list(greenlets.values()), timeout=DEADLINE_SECONDS)
    healthy = True
    body: dict[str, Any] = {"status": "healthy"}
    for name, greenlet in greenlets.items():
        passed, finding = (
            greenlet.value
            if greenlet.successful()
            else (False, "the check itself failed: " + type(greenlet.exception).__name__)
            if greenlet.ready()
            else (False, f"no answer within {DEADLINE_SECONDS:g} s")
        )
        greenlet.kill(block=False)
        healthy &= passed
        body[name] = finding
    body["status"] = "healthy" if healthy else "unhealthy"
    body |= {"timestamp": datetime.now(UTC).isoformat(), "version": API_VERSION, "service": service, **(details or {})}
    return (200 if healthy else 503), body


def _run(check: Check) -> tuple[bool, Any]:
    try:
        finding = check()
    except MuttError as error:
        return False, str(error)
    return True, "connected" if finding is None else finding
