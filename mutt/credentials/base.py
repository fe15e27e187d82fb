"""What both backends share: the last secrets that were read, and the greenlet that keeps them fresh.

Secrets outlive their source: when Vault or the file goes away the last ones stay in use, so a program that
runs does not care. No value ever reaches a log line or an exception, only names do.
"""

import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import gevent
import structlog
from gevent.lock import BoundedSemaphore

from mutt.errors import CredentialsError

ROTATED = ("REDIS_PASS", "DB_PASS")
"""Passwords stored as NAME_CURRENT and NAME_NEXT; other secrets are stored as NAME and, rarely, NAME_NEXT."""

LOG_AGAIN_SECONDS = 300.0
"""A failure that goes on is logged again this often; a new one at once."""

log = structlog.get_logger(__name__)


class Credentials(ABC):
    """The secrets of one process. Call ``start`` after the fork, in a process that gevent has patched.

    ``clock`` gives seconds that only grow; ``sleep`` waits so many seconds. Tests bring their own.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = gevent.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._secrets: Mapping[str, str] | None = None
        self._confirmed_at: float | None = None
        self._attempted_at = clock()
        self._failures = 0
        self._problem = "nobody has asked for them yet"
        self._logged_at: float | None = None
        self._reading = BoundedSemaphore(1)
        self._keeper: gevent.Greenlet | None = None

    def get(self, name: str) -> str | None:
        """The current value of a secret, or None when there is no such secret or it is empty.

        ``REDIS_PASS`` and ``DB_PASS`` mean their CURRENT. Raises CredentialsError until something was read.
        """
        return self._known().get(_stored_names(name)[0]) or None

    def candidates(self, name: str) -> tuple[str, ...]:
        """The values to try, in this order: the current one and, while a rotation is under way, the next one.

        Empty when there is no such secret. Raises CredentialsError until something was read.
        """
        known = self._known()
        values = (known.get(stored, "") for stored in _stored_names(name))
        return tuple(dict.fromkeys(value for value in values if value))

    def names(self) -> tuple[str, ...]:
        """The names of all secrets as they are stored. Raises CredentialsError until something was read."""
        return tuple(self._known())

    def start(self) -> None:
        """Reads the secrets and keeps them fresh from now on. Failures are logged and retried, not raised."""
        self.refresh()
        if self._keeper is None:
            self._keeper = gevent.spawn(self._keep_fresh)

    def stop(self) -> None:
        """Ends the renewal; the secrets stay readable."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper = None

    def refresh(self) -> None:
        """Reads the secrets now. A failure is logged, not raised: the last ones stay and a retry is due soon.

        It may wait for the network, so a signal must reach it through gevent.signal_handler, in a greenlet.
        """
        with self._reading:
            self._attempted_at = self._clock()
            try:
                self._read()
            except CredentialsError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a keeper dead of a surprise lets the token expire
                # Its text is not ours and might quote a secret; the type is what can be told.
                self._failed(f"reading them failed unexpectedly with {type(error).__name__}")
            else:
                self._succeeded()

    def age_seconds(self) -> float | None:
        """How long ago the secrets were read, or seen to be unchanged; None when they never were."""
        return None if self._confirmed_at is None else self._clock() - self._confirmed_at

    def next_check_seconds(self) -> float:
        """How long until the keeper reads the secrets the next time, if nobody asks for it sooner."""
        return self._pause_seconds()

    @abstractmethod
    def _read(self) -> None:
        """Hands what it reads to ``_take``. Raises CredentialsError, before or after it, to be retried."""

    @abstractmethod
    def _pause_seconds(self) -> float:
        """How long the keeper sleeps before it asks ``_due`` again."""

    @abstractmethod
    def _due(self) -> bool:
        """Whether it is time for the keeper to read."""

    def _keep_fresh(self) -> None:
        while True:
            self._sleep(self._pause_seconds())
            if self._due():
                self.refresh()

    def _known(self) -> Mapping[str, str]:
        if self._secrets is None:
            raise CredentialsError(f"The secrets could not be read so far: {self._problem}")
        return self._secrets

    def _take(self, secrets: Mapping[str, str]) -> None:
        """Puts freshly read secrets to use, all at once, and logs the names of those that changed."""
        before = self._secrets or {}
        changed = sorted(name for name in {*before, *secrets} if before.get(name) != secrets.get(name))
        self._secrets = dict(secrets)
        self._confirm()
        if changed:
            log.info("secrets changed", names=changed)

    def _confirm(self) -> None:
        self._confirmed_at = self._clock()

    def _succeeded(self) -> None:
        if self._failures:
            log.info("credentials check succeeds again", failures=self._failures)
        self._failures, self._logged_at = 0, None

    def _failed(self, problem: str) -> None:
        now = self._clock()
        self._failures += 1
        if problem != self._problem or self._logged_at is None or now - self._logged_at >= LOG_AGAIN_SECONDS:
            log.warning("credentials check failed", problem=problem, age_seconds=self.age_seconds())
            self._logged_at = now
        self._problem = problem


def open_to_strangers(file: Path) -> bool:
    """Whether users who neither own the file nor are in its group may read or write it. Raises OSError."""
    return bool(file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))


def _stored_names(name: str) -> tuple[str, str]:
    return (f"{name}_CURRENT" if name in ROTATED else name, f"{name}_NEXT")
