"""Where the appliance is and which key opens it: options, environment, admin.toml, /etc/mutt, in this order.

A stored key goes only to the server it was stored for: naming another URL on the command line or in the environment
does not send it there.
"""

import difflib
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mutt.cli.exits import USAGE, CliError
from mutt.settings import DEFAULT_ENV_FILE, known_variables, read_env_file

DEFAULT_TIMEOUT_SECONDS = 30.0
HOST_SOURCE = "the settings of this host"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Context(msgspec.Struct, forbid_unknown_fields=True):
    """One appliance in admin.toml."""

    url: str | None = None
    api_key: str | None = None
    api_key_file: str | None = None
    ca_file: str | None = None
    timeout_seconds: float | None = None
    ingest_url: str | None = None
    ingest_api_key_file: str | None = None


class AdminFile(Context, forbid_unknown_fields=True):
    """admin.toml: one context without a name, and further ones under [contexts.NAME]."""

    current_context: str | None = None
    contexts: dict[str, Context] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choices:
    """The options given before the command."""

    context: str | None = None
    url: str | None = None
    api_key_file: str | None = None
    ca_file: str | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """``key_source`` says in words where the key came from; ``no_key`` why there is none."""

    url: str
    url_source: str
    api_key: str | None
    key_source: str
    ca_file: str | None
    timeout_seconds: float
    ingest_url: str
    ingest_key: str | None
    no_key: str = ""


def connect(choices: Choices, environ: Mapping[str, str] = os.environ) -> Connection:
    """The connection that options, environment and files make together. Raises CliError."""
    file = admin_file(environ)
    name, context = _context(file, choices, environ)
    host = host_variables(environ)
    label = f"context {name!r} of {file}" if name else str(file)
    candidates = (
        (choices.url, "the option --url"),
        (environ.get("MUTT_ADMIN_URL"), "MUTT_ADMIN_URL"),
        (context.url, label),
        (_host_url(host), HOST_SOURCE),
    )
    if choices.context:  # Whoever names a context means it, whatever the environment holds.
        candidates = (candidates[0], candidates[2], candidates[1], candidates[3])
    url, source = next((value, source) for value, source in candidates if value)
    url = url.rstrip("/")
    _check_url(url, source)
    key, key_source, no_key = _key(choices, environ, (context, label), host, (url, source))
    return Connection(
        url=url, url_source=source, api_key=key, key_source=key_source, no_key=no_key,
        ca_file=choices.ca_file or environ.get("MUTT_ADMIN_CA_FILE") or context.ca_file,
        timeout_seconds=choices.timeout_seconds or context.timeout_seconds or DEFAULT_TIMEOUT_SECONDS,
        ingest_url=(environ.get("MUTT_INGEST_URL") or context.ingest_url or _ingest_url(url, host)).rstrip("/"),
        ingest_key=_ingest_key(environ, context, host, url),
    )  # fmt: skip


def admin_file(environ: Mapping[str, str]) -> Path:
    """Where admin.toml is looked for."""
    folder = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(folder) / "mutt" / "admin.toml"


def env_file(environ: Mapping[str, str]) -> Path:
    """Where the settings of this host's programs are."""
    return Path(environ.get("MUTT_ENV_FILE") or DEFAULT_ENV_FILE)


def host_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What mutt.env and the environment say, as the programs of this host read it; without a file we may not read."""
    values, _ = read_env_file(env_file(environ))
    from_environ = {name: environ[name] for name in known_variables() if environ.get(name)}
    return {**values, **from_environ}


def host_secrets(host: Mapping[str, str]) -> dict[str, str]:
    """The secrets of this host when they are in a file that may be read; otherwise none."""
    if host.get("MUTT_SECRETS_BACKEND") != "file":
        return {}
    values, _ = read_env_file(Path(host.get("MUTT_SECRETS_FILE") or "/etc/mutt/secrets/secrets.env"))
    return values


def read_key(file: str, source: str) -> str:
    """The key in a file, ``-`` for standard input. Raises CliError with what to do."""
    if file == "-":
        return sys.stdin.readline().strip()
    path = Path(file).expanduser()
    try:
        if _open_to_strangers(path):
            raise CliError(f"{path} is open to every user of this host; run: chmod 0600 {path}", USAGE)
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path}, named by {source}, cannot be read: {error}", USAGE) from error
    if not key:
        raise CliError(f"{path}, named by {source}, is empty; write the API key into it", USAGE)
    return key


def _open_to_strangers(file: Path) -> bool:
    # Imported here because it brings Vault's client along, which would slow down every command.
    from mutt.credentials.base import open_to_strangers

    return open_to_strangers(file)


def _context(file: Path, choices: Choices, environ: Mapping[str, str]) -> tuple[str | None, Context]:
    read = _read(file)
    name = choices.context or environ.get("MUTT_ADMIN_CONTEXT") or read.current_context
    if not name:
        return None, read
    if name not in read.contexts:
        close = difflib.get_close_matches(name, read.contexts, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(read.contexts) or 'none'}"
        raise CliError(f"{file} has no context {name!r}; {hint}", USAGE)
    return name, read.contexts[name]


def _read(file: Path) -> AdminFile:
    try:
        read = msgspec.toml.decode(file.read_bytes(), type=AdminFile)
        holds_key = read.api_key or any(each.api_key for each in read.contexts.values())
        if holds_key and _open_to_strangers(file):
            raise CliError(f"{file} holds a key and is open to every user of this host; run: chmod 0600 {file}", USAGE)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return AdminFile()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{file}: {str(error).replace('`', chr(39))}", USAGE) from error
    return read


def _key(
    choices: Choices, environ: Mapping[str, str], stored: tuple[Context, str], host: Mapping[str, str],
    where: tuple[str, str],
) -> tuple[str | None, str, str]:  # fmt: skip
    """The key, where it came from, and why there is none."""
    (context, label), (url, source) = stored, where
    if choices.api_key_file:
        return read_key(choices.api_key_file, "--api-key-file"), "the option --api-key-file", ""
    if choices.context is None:
        for variable in ("MUTT_ADMIN_API_KEY", "WEBUI_API_KEY"):
            if environ.get(variable):
                return environ[variable], variable, ""
    withheld = ""
    if context.api_key or context.api_key_file:
        if source == label or context.url in (None, url):
            key = context.api_key or read_key(context.api_key_file or "", label)
            return key, label, ""
        withheld = f"; the key of {label} is for {context.url} and is not sent to {url}"
    local = source == HOST_SOURCE or urlsplit(url).hostname in LOOPBACK
    if local and (found := host_secrets(host).get("WEBUI_API_KEY")):
        return found, "the secrets file of this host", ""
    return None, "nowhere", f"no API key was found{withheld}"


def _ingest_key(environ: Mapping[str, str], context: Context, host: Mapping[str, str], url: str) -> str | None:
    if environ.get("INGEST_API_KEY"):
        return environ["INGEST_API_KEY"]
    if context.ingest_api_key_file and context.url in (None, url):
        return read_key(context.ingest_api_key_file, "ingest_api_key_file")
    local = url == _host_url(host) or urlsplit(url).hostname in LOOPBACK
    return host_secrets(host).get("INGEST_API_KEY") if local else None


def _host_url(host: Mapping[str, str]) -> str:
    """The web UI of this host. Its certificate has the host's name, so with TLS the name is used."""
    port = host.get("SERVER_PORT_WEBUI") or "8090"
    if host.get("SERVER_TLS_CERT_PATH"):
        return f"https://{socket.getfqdn()}:{port}"
    bound = host.get("SERVER_BIND_ADDRESS") or ""
    address = "127.0.0.1" if bound in ("", "0.0.0.0", "::") else bound  # noqa: S104 - compared, not bound
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def _ingest_url(url: str, host: Mapping[str, str]) -> str:
    """The ingestor stands beside the web UI."""
    parts = urlsplit(url)
    name = parts.hostname or "127.0.0.1"
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{host.get('SERVER_PORT_INGESTOR') or '8080'}"


def _check_url(url: str, source: str) -> None:
    parts: Any = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CliError(f"{source}: {url!r} is not an http:// or https:// URL", USAGE)
    if parts.username or parts.password:
        raise CliError(f"{source}: the URL must not hold a user name or a password", USAGE)
