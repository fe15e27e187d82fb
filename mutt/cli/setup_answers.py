"""Where `mutt-admin setup` has its values from: a file of answers, servers found on this host, and questions."""

import difflib
import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from mutt.cli.exits import USAGE, CliError
from mutt.cli.output import say
from mutt.cli.setup_files import is_exposed
from mutt.settings import known_variables

LOCAL = "127.0.0.1"
LOOK_SECONDS = 1.0
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""What a PostgreSQL client asks first: whether the server speaks TLS; it answers S or N."""

Values = dict[str, str]
Condition = Callable[[Mapping[str, str]], bool]


class Answers(msgspec.Struct, forbid_unknown_fields=True):
    """The file of --answers; ``settings`` and ``secrets`` are those of the Ansible role."""

    settings: dict[str, str | int | float | bool | list[str] | None] = {}
    secrets: dict[str, str] = {}
    vault_secret_id: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A setting that only the operator knows. Without ``default`` it needs an answer; it counts under ``condition``."""

    variable: str
    prompt: str
    default: str | None = None
    condition: Condition = lambda _values: True


def _uses_vault(values: Mapping[str, str]) -> bool:
    return values.get("MUTT_SECRETS_BACKEND") == "vault"


def _one_redis(values: Mapping[str, str]) -> bool:
    return not values.get("REDIS_SENTINEL_HOSTS")


SETTINGS = (
    Question("MUTT_SECRETS_BACKEND", "Where the secrets are kept (file or vault)", "file"),
    Question("VAULT_ADDR", "URL of Vault", None, _uses_vault),
    Question("VAULT_ROLE_ID", "AppRole role id for Vault", None, _uses_vault),
    Question("REDIS_HOST", "Host of Redis or Valkey", None, _one_redis),
    Question("REDIS_PORT", "Port of Redis", "6379", _one_redis),
    Question("REDIS_TLS_ENABLED", "TLS to Redis (true or false)", "true"),
    Question("DB_HOST", "Host of PostgreSQL"),
    Question("DB_PORT", "Port of PostgreSQL", "5432"),
    Question("DB_NAME", "Database", "mutt_db"),
    Question("DB_USER", "Role in PostgreSQL", "mutt_user"),
    Question("DB_TLS_ENABLED", "TLS to PostgreSQL (true or false)", "true"),
    Question("MOOG_WEBHOOK_URL", "URL of the Moogsoft webhook"),
)

SECRETS = (
    Question("REDIS_PASS_CURRENT", "Password of Redis"),
    Question("DB_PASS_CURRENT", "Password of the role in PostgreSQL"),
    Question("MOOG_API_KEY", "API key of the webhook"),
)
"""An empty answer is one: there is none."""


def read_answers(file: Path | None) -> Answers:
    """The answers in a TOML or YAML file. Raises CliError with what is wrong with it."""
    if file is None:
        return Answers()
    decode = msgspec.toml.decode if file.suffix == ".toml" else msgspec.yaml.decode
    try:
        answers = decode(file.read_bytes(), type=Answers)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{file} is no file of answers: {str(error).replace('`', chr(39))}", USAGE) from error
    if (answers.secrets or answers.vault_secret_id) and is_exposed(file):
        raise CliError(f"{file} holds secrets and is open to every user of this host; run: chmod 0600 {file}", USAGE)
    _check_names(file, answers)
    return answers


def _check_names(file: Path, answers: Answers) -> None:
    known = known_variables()
    for variable in answers.settings:
        if variable not in known:
            close = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise CliError(f"{file}: {variable} is not a setting of MUTT{hint}", USAGE)
    for name in answers.secrets:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise CliError(f"{file}: {name!r} is not the name of a secret, like DB_PASS_CURRENT", USAGE)


def as_text(value: str | float | bool | list[str] | None) -> str:
    """The value as mutt.env has it; null is a setting that is not made."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def complete_settings(values: Values) -> Values:
    """What is missing among the settings, from servers found here, from a person or from the defaults.

    Raises CliError when one is needed and nobody can be asked.
    """
    found = _find_servers(values)
    added: Values = {}
    missing = []
    for question in SETTINGS:
        known = {**values, **added}
        if known.get(question.variable) or not question.condition(known):
            continue
        default = found.get(question.variable, question.default)
        if can_ask():
            added[question.variable] = click.prompt(question.prompt, default=default, err=True)
        elif default is None:
            missing.append(question)
        elif question.variable in found or question.variable == "MUTT_SECRETS_BACKEND":
            # A default of MUTT's need not stand in mutt.env.
            added[question.variable] = default
    if missing:
        names = ", ".join(f"{each.variable} ({each.prompt})" for each in missing)
        raise CliError(
            f"not known, and nobody can be asked here: {names}. Put them under settings in a file and name it with "
            "--answers, or run this at a terminal",
            USAGE,
        )
    return added


def ask_secrets(known: Mapping[str, str]) -> Values:
    """The passwords that a person gives; none where nobody can be asked."""
    added: Values = {}
    for question in SECRETS:
        if can_ask() and not known.get(question.variable):
            answer = click.prompt(
                f"{question.prompt} (empty: none)", default="", hide_input=True, show_default=False, err=True
            )
            if answer:
                added[question.variable] = answer
    return added


def can_ask() -> bool:
    return sys.stdin.isatty()


def _find_servers(values: Mapping[str, str]) -> Values:
    """Settings of the servers that answer on this host, for those that no setting names yet."""
    found: Values = {}
    if not values.get("REDIS_HOST") and _one_redis(values):
        port = _port(values.get("REDIS_PORT"), 6379)
        if _answer(port, b"PING\r\n", 1) in (b"+", b"-"):
            say(f"found Redis at {LOCAL}:{port}, without TLS")
            found |= {"REDIS_HOST": LOCAL, "REDIS_TLS_ENABLED": "false"}
    if not values.get("DB_HOST"):
        port = _port(values.get("DB_PORT"), 5432)
        speaks_tls = _answer(port, SSL_REQUEST, 1)
        if speaks_tls in (b"S", b"N"):
            # Its certificate hardly ever names the loopback, which TLS with a check of it would demand.
            say(f"found PostgreSQL at {LOCAL}:{port}")
            found |= {"DB_HOST": LOCAL, "DB_TLS_ENABLED": "false"}
    return found


def _port(value: str | None, usual: int) -> int:
    """The port to look at; a value that is none is refused later, with all other mistakes."""
    return int(value) if value and re.fullmatch(r"[0-9]{1,5}", value) and int(value) < 65536 else usual


def _answer(port: int, question: bytes, length: int) -> bytes:
    """The first bytes that a server of this host answers; none when nobody does."""
    try:
        with socket.create_connection((LOCAL, port), timeout=LOOK_SECONDS) as connection:
            connection.sendall(question)
            return connection.recv(length)
    except OSError:
        return b""
