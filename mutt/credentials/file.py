"""Secrets in a KEY=VALUE file that only its owner and its group may read.

Somebody who edits the file need not signal anybody: the keeper looks at it every second.
"""

import time
from collections.abc import Callable

import gevent

from mutt.credentials.base import Credentials, open_to_strangers
from mutt.errors import CredentialsError
from mutt.settings import CredentialSettings, read_env_file

LOOK_SECONDS = 1.0
"""How often the file is looked at."""

Signature = tuple[int, ...]


class FileCredentials(Credentials):
    """The secrets in the file that MUTT_SECRETS_FILE names."""

    def __init__(
        self,
        settings: CredentialSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = gevent.sleep,
    ) -> None:
        super().__init__(clock, sleep)
        self._file = settings.file
        self._seen: Signature | None = None

    def _read(self) -> None:
        # The signature is taken before the content: a write in between is a change that the next look sees.
        self._seen = self._signature()
        self._check_access()
        secrets, problems = read_env_file(self._file)
        if problems:
            # A file cut short in the middle of a line is refused whole, so that no half of it is put to use.
            raise CredentialsError("; ".join(problems))
        if not any(secrets.values()):
            raise CredentialsError(f"{self._file} holds no secret; write one NAME=VALUE a line")
        self._take(secrets)

    def _pause_seconds(self) -> float:
        return LOOK_SECONDS

    def _due(self) -> bool:
        if self._failures or self._signature() != self._seen:
            return True
        self._confirm()
        return False

    def _signature(self) -> Signature | None:
        """What changes when the file is replaced, written or given a new mode; None when out of sight."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def _check_access(self) -> None:
        """Raises CredentialsError, which says what to do, when the file is missing or open to strangers."""
        try:
            exposed = open_to_strangers(self._file)
        except FileNotFoundError as error:
            raise CredentialsError(
                f"{self._file} does not exist; write the secrets there, mode 0600, or set MUTT_SECRETS_FILE"
            ) from error
        except OSError as error:
            raise CredentialsError(f"{self._file} cannot be reached: {error.strerror}") from error
        if exposed:
            raise CredentialsError(
                f"{self._file} is open to every user of this host; run: chmod 0640 {self._file} (or 0600)"
            )
