"""Secrets in HashiCorp Vault: AppRole login, a KV version 2 secret, and a token that is kept alive.

Every check goes the same way: make sure that a token lives, read the secrets, renew or replace the token.
A check that fails is tried again after 1, 2, 4 ... seconds and never later than LONGEST_WAIT_SECONDS.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gevent
import hvac
import msgspec
import requests
import structlog

from mutt.credentials.base import Credentials, open_to_strangers
from mutt.errors import ConfigurationError, CredentialsError
from mutt.settings import CredentialSettings

LONGEST_WAIT_SECONDS = 45.0
"""With the deadline of a request this keeps the next login within 60 s of Vault's return."""

REQUEST_DEADLINE_SECONDS = 10.0
"""For one request from the name lookup to the last byte of the answer."""

REFUSALS = (hvac.exceptions.InvalidRequest, hvac.exceptions.Unauthorized, hvac.exceptions.Forbidden)
"""Vault is well and says no: 400, 401, 403."""

log = structlog.get_logger(__name__)


class _Token(msgspec.Struct):
    client_token: str
    lease_duration: int


class _Login(msgspec.Struct):
    auth: _Token


class _Lease(msgspec.Struct):
    lease_duration: int


class _Renewal(msgspec.Struct):
    auth: _Lease


class _Ttl(msgspec.Struct):
    ttl: int


class _Lookup(msgspec.Struct):
    data: _Ttl


class _Version(msgspec.Struct):
    data: dict[str, Any]


class _Secret(msgspec.Struct):
    data: _Version


Answer = TypeVar("Answer", _Login, _Renewal, _Lookup, _Secret)


class _RefusedError(CredentialsError):
    """The token is gone, or what Vault was asked is not allowed."""


class VaultCredentials(Credentials):
    """The secrets under VAULT_SECRETS_PATH. Raises ConfigurationError when that is not ``mount/path``."""

    def __init__(
        self,
        settings: CredentialSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = gevent.sleep,
        request_deadline_seconds: float = REQUEST_DEADLINE_SECONDS,
    ) -> None:
        super().__init__(clock, sleep)
        self._settings = settings
        self._mount, _, self._path = settings.vault_secrets_path.strip("/").partition("/")
        if not self._path:
            raise ConfigurationError(
                [f"VAULT_SECRETS_PATH={settings.vault_secrets_path!r}: must be mount/path, like secret/mutt"]
            )
        # Only where it is goes into logs: a URL may carry a user name and a password.
        self._where = f"Vault at {urlsplit(settings.vault_addr).netloc.rpartition('@')[2]}"
        self._client = _client(settings, request_deadline_seconds)

    def next_check_seconds(self) -> float:
        return max(self._next_try_at() - self._clock(), 0.0)

    def _read(self) -> None:
        try:
            seconds_left = self._seconds_left()
            if seconds_left is None:
                self._log_in()
            self._read_secrets()
            if seconds_left is not None and seconds_left < self._settings.vault_token_renew_threshold_seconds:
                self._lengthen(seconds_left)
        finally:
            # The next check is minutes away: by then a kept connection is a dead one.
            self._client.adapter.close()

    def _pause_seconds(self) -> float:
        # In slices, because a refresh() that fails in the meantime brings the next try forward.
        return min(max(self._next_try_at() - self._clock(), 0.0), LONGEST_WAIT_SECONDS)

    def _due(self) -> bool:
        return self._clock() >= self._next_try_at()

    def _next_try_at(self) -> float:
        if not self._failures:
            return self._attempted_at + self._settings.vault_renew_check_interval_seconds
        return self._attempted_at + min(2.0 ** min(self._failures - 1, 10), LONGEST_WAIT_SECONDS)

    def _seconds_left(self) -> int | None:
        """How long the token will live; None when there is none or Vault does not know it any more."""
        if not self._client.token:
            return None
        try:
            return self._ask("token lookup", _Lookup, self._client.auth.token.lookup_self).data.ttl
        except _RefusedError:
            self._client.token = ""
            return None

    def _log_in(self) -> None:
        secret_id = self._secret_id()
        auth = self._ask(
            "AppRole login (VAULT_ROLE_ID and VAULT_SECRET_ID_FILE)",
            _Login,
            lambda: self._client.auth.approle.login(self._settings.vault_role_id, secret_id, use_token=False),
        ).auth
        self._client.token = auth.client_token
        log.info("logged in to vault", ttl_seconds=auth.lease_duration)

    def _secret_id(self) -> str:
        """The secret id as the file has it now: it may have been rotated since the last login."""
        file = self._settings.vault_secret_id_file
        try:
            secret_id = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise CredentialsError(f"VAULT_SECRET_ID_FILE {file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CredentialsError(f"VAULT_SECRET_ID_FILE {file} is not text") from error
        if not secret_id:
            raise CredentialsError(f"VAULT_SECRET_ID_FILE {file} is empty")
        if open_to_strangers(file):
            log.warning("vault secret id is open to every user of this host", fix=f"chmod 0400 {file}")
        return secret_id

    def _read_secrets(self) -> None:
        try:
            answer = self._ask(
                f"read of {self._mount}/{self._path} (VAULT_SECRETS_PATH)",
                _Secret,
                lambda: self._client.secrets.kv.v2.read_secret_version(
                    self._path, mount_point=self._mount, raise_on_deleted_version=True
                ),
            )
        except _RefusedError:
            # A token keeps the policies it was made with: the next try logs in, and may be allowed to read.
            self._client.token = ""
            raise
        stored = answer.data.data
        secrets = {name: value for name, value in stored.items() if isinstance(value, str)}
        if len(secrets) < len(stored):
            log.warning("secrets ignored that are not text", names=sorted(stored.keys() - secrets.keys()))
        if not any(secrets.values()):
            raise CredentialsError(f"{self._where} holds no secret at {self._mount}/{self._path}")
        self._take(secrets)

    def _lengthen(self, seconds_left: int) -> None:
        """Renews the token, or logs in again when that cannot lengthen it: it has come to its max TTL."""
        try:
            renewal = self._ask("token renewal", _Renewal, self._client.auth.token.renew_self)
        except _RefusedError:
            self._log_in()
            return
        renewed = renewal.auth.lease_duration
        if renewed < self._settings.vault_token_renew_threshold_seconds and renewed <= seconds_left:
            self._log_in()
            return
        log.info("vault token renewed", ttl_seconds=renewed)

    def _ask(self, what: str, kind: type[Answer], request: Callable[[], Any]) -> Answer:
        """Vault's answer. Raises _RefusedError or CredentialsError; neither text quotes an answer."""
        with self._translated(what):
            answer = request()
            if isinstance(answer, requests.Response):
                # hvac hands over what is neither JSON nor an error: a redirect, a login page, an empty 204.
                raise CredentialsError(
                    f"{self._where} answered the {what} with HTTP {answer.status_code} and no JSON; "
                    "redirects are not followed, so VAULT_ADDR must lead to the active node"
                )
            return msgspec.convert(answer, kind)

    @contextlib.contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except REFUSALS as error:
            raise _RefusedError(f"{self._where} refused the {what}: {type(error).__name__}") from error
        except hvac.exceptions.InvalidPath as error:
            raise CredentialsError(f"{self._where} has nothing (HTTP 404) for the {what}") from error
        except hvac.exceptions.VaultDown as error:
            raise CredentialsError(f"{self._where} is sealed or in maintenance (HTTP 503)") from error
        except hvac.exceptions.VaultError as error:
            raise CredentialsError(f"{self._where} failed the {what}: {type(error).__name__}") from error
        except msgspec.ValidationError as error:
            raise CredentialsError(f"{self._where} answered the {what} with JSON of another kind") from error
        except OSError as error:  # The errors of requests are OSErrors; a missing CA file is a plain one.
            raise CredentialsError(f"{self._where} cannot be reached: {_reason(error)}") from error


class _Session(requests.Session):
    """A session that trusts nothing from the environment and ends every request at one total deadline."""

    def __init__(self, deadline_seconds: float) -> None:
        super().__init__()
        self.trust_env = False
        self._deadline_seconds = deadline_seconds

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # The timeout of requests starts anew with every read; a server that drips would hold us for ever.
        deadline = gevent.Timeout.start_new(self._deadline_seconds)
        try:
            return super().send(request, **kwargs)
        except gevent.Timeout as expired:
            if expired is not deadline:
                raise
            raise requests.Timeout(f"no complete answer within {self._deadline_seconds:g} s") from expired
        finally:
            deadline.close()


def _client(settings: CredentialSettings, deadline_seconds: float) -> Any:
    """An hvac client that takes nothing from the environment or the home directory, where hvac looks too."""
    session = _Session(deadline_seconds)
    session.verify = str(settings.vault_ca_cert_path) if settings.vault_ca_cert_path else True
    return hvac.Client(
        url=settings.vault_addr,
        token="",  # None would make hvac read VAULT_TOKEN and ~/.vault-token,
        cert=(),  # and here VAULT_CLIENT_CERT.
        verify=session.verify,
        timeout=deadline_seconds,
        allow_redirects=False,
        session=session,
    )


def _reason(error: OSError) -> str:
    """What the operating system or the TLS library said, without the layers that pass it on."""
    passed_on = error.args[0] if error.args else error
    return str(getattr(passed_on, "reason", error))
