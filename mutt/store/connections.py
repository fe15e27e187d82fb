"""Opens connections to PostgreSQL: as the settings say, to a server that takes writes, with the password that works."""

import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg2
from psycopg2 import extensions

from mutt.errors import OutageError, Reason
from mutt.settings import DatabaseSettings
from mutt.store.faults import sentence

Connection: TypeAlias = extensions.connection

CONNECT_TIMEOUT_SECONDS = 5

SYSTEM_CA_FILES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")
"""Where RHEL, Debian and others keep the CAs they trust. The OpenSSL inside psycopg2's wheel knows none of them."""

NOT_THE_PASSWORD = (
    "Connection refused", "No route to host", "Network is unreachable", "timeout expired",
    "could not translate host name",
)  # fmt: skip
"""Words of libpq when no server has answered; it says them in English always."""


class PasswordSource(Protocol):
    """Where passwords come from: ``mutt.credentials.Credentials`` is one."""

    def candidates(self, name: str) -> tuple[str, ...]:
        """The values to try, in this order. It must not wait: it is asked from a native thread."""


def connection_parameters(
    settings: DatabaseSettings, application_name: str, statement_timeout_seconds: float
) -> dict[str, Any]:
    """The keywords of ``psycopg2.connect``, all but the password. A statement timeout of 0 means none."""
    timeout_ms = round(statement_timeout_seconds * 1000)
    server_settings = {
        "TimeZone": "UTC",
        "statement_timeout": timeout_ms,
        # A worker paused between COPY and COMMIT must not hold up for ever the one that took over its batch.
        "idle_in_transaction_session_timeout": timeout_ms,
    }
    return {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.name,
        "user": settings.user,
        "application_name": application_name,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        # After a failover the old primary may come back as a standby: better no connection than one that cannot write.
        "target_session_attrs": "read-write",
        # A network that swallows everything is noticed after a minute when idle, after 15 s when something was sent.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 15000,
        "client_encoding": "UTF8",
        "options": " ".join(f"-c {name}={value}" for name, value in server_settings.items()),
        "gssencmode": "disable",
        **_tls_parameters(settings),
    }


def _tls_parameters(settings: DatabaseSettings) -> dict[str, str]:
    if not settings.tls_enabled:
        return {"sslmode": "disable"}
    parameters = {"sslmode": "verify-full", "sslrootcert": str(settings.tls_ca_cert_path or system_ca_file())}
    if settings.tls_client_cert_path and settings.tls_client_key_path:
        parameters["sslcert"] = str(settings.tls_client_cert_path)
        parameters["sslkey"] = str(settings.tls_client_key_path)
    return parameters


def system_ca_file() -> str:
    """The file with the CAs that this host trusts; ``system`` (libpq's own idea) when none is where we look."""
    files = [os.environ.get("SSL_CERT_FILE", ""), *SYSTEM_CA_FILES]
    return next((file for file in files if file and Path(file).is_file()), "system")


def open_connection(parameters: dict[str, Any], passwords: tuple[str, ...]) -> Connection:
    """A new connection, with the first of the passwords that the server takes; without one when there are none.

    Waits in C without telling gevent, so it belongs into a native thread. Raises OutageError.
    """
    failures: list[psycopg2.Error] = []
    for password in passwords or (None,):
        try:
            connection: Connection = psycopg2.connect(**parameters, password=password)
        except psycopg2.Error as error:
            failures.append(error)
            if not _may_be_the_password(error):
                break
        else:
            return connection
    what_failed = "; ".join(dict.fromkeys(sentence(failure) for failure in failures))
    raise OutageError(
        Reason.POSTGRES_UNREACHABLE,
        f"cannot connect to database {parameters['dbname']} as {parameters['user']}: {what_failed}",
    ) from failures[-1]


def _may_be_the_password(error: psycopg2.Error) -> bool:
    """Whether another password is worth a try.

    libpq gives no SQLSTATE for a failed connection, and the server's sentence may be in the server's language, so
    this asks the other way round: everything but a server that did not answer.
    """
    return not any(words in str(error) for words in NOT_THE_PASSWORD)
