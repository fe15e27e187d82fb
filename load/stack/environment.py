"""The files that describe a stack: its secrets, the settings of the programs, and what a person or a test needs.

``secrets.env`` is made once and kept; ``mutt.env`` and ``dev.env`` are written at every start.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from load.stack.console import StackError
from load.stack.layout import Layout
from load.stack.ports import HEALTH_PORTS, PROGRAM_PORTS, Ports
from mutt.settings import known_variables, read_env_file

SECRET_NAMES = ("INGEST_API_KEY", "WEBUI_API_KEY", "MOOG_API_KEY", "REDIS_PASS_CURRENT", "DB_PASS_CURRENT")

LOOPBACK = ("127.0.0.1", "localhost")

ASSIGNED = ("MUTT_ENV_FILE", "MUTT_BIN", "MUTT_RUN_DIR", "MUTT_SECRETS_FILE")
"""Variables whose value is the stack's to choose, whatever the caller's environment says."""


def write_private(file: Path, lines: Mapping[str, str], comment: str) -> None:
    """Writes KEY=VALUE lines into a file that only its owner can read, replacing it in one step."""
    draft = file.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"# {comment}\n")
        stream.writelines(f"{name}={value}\n" for name, value in lines.items())
    draft.replace(file)


def read_or_make_secrets(layout: Layout) -> dict[str, str]:
    """The stack's keys and passwords; those that are missing are made up and kept."""
    known, problems = read_env_file(layout.secrets_env)
    if problems:
        raise StackError("\n".join(problems))
    complete = {**{name: secrets.token_urlsafe(24) for name in SECRET_NAMES}, **known}
    if complete != known:
        write_private(
            layout.secrets_env,
            complete,
            "Keys and passwords of this laptop stack, made up when it was set up.",
        )
    return complete


def settings(layout: Layout, ports: Ports, environ: Mapping[str, str]) -> dict[str, str]:
    """The programs' settings: the stack's own, under those that the caller's environment gives."""
    for variable in ("REDIS_HOST", "DB_HOST"):
        if environ.get(variable) and environ[variable] not in LOOPBACK:
            # Carrying on would migrate, and feed, somebody else's server.
            raise StackError(
                f"{variable} is {environ[variable]}, but the stack brings its own server; unset {variable}"
            )
    values = {
        "LOG_LEVEL": "INFO",
        "DYNAMIC_CONFIG_ENABLED": "true",
        "MUTT_RUN_DIR": str(layout.run),
        "MUTT_SECRETS_BACKEND": "file",
        "MUTT_SECRETS_FILE": str(layout.secrets_env),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(ports["REDIS_PORT"]),
        "REDIS_TLS_ENABLED": "false",
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(ports["DB_PORT"]),
        "DB_NAME": "mutt_db",
        "DB_USER": "mutt_user",
        "DB_TLS_ENABLED": "false",
        "SERVER_BIND_ADDRESS": "127.0.0.1",
        "METRICS_BIND_ADDRESS": "127.0.0.1",
        "MOOG_WEBHOOK_URL": f"http://127.0.0.1:{ports['MOOG_SINK_PORT']}/events/webhook",
        **{variable: str(ports[variable]) for variable in PROGRAM_PORTS},
        **_heartbeats(environ),
    }
    return {**values, **given(environ)}


def given(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of MUTT that the caller's environment sets."""
    known = set(known_variables()) - set(ASSIGNED)
    return {variable: environ[variable] for variable in sorted(known) if environ.get(variable)}


def _heartbeats(environ: Mapping[str, str]) -> dict[str, str]:
    """An interval that goes with a janitor timeout given alone: a shorter timeout than two intervals is refused."""
    intervals = {}
    for service in ("ALERTER", "MOOG"):
        try:
            timeout = float(environ[f"{service}_JANITOR_TIMEOUT"])
        except (KeyError, ValueError):
            continue
        intervals[f"{service}_HEARTBEAT_INTERVAL"] = f"{min(10.0, timeout / 3):.2f}"
    return intervals


def for_programs(layout: Layout, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that the programs start with: the caller's, with the stack's own places and without make's."""
    inherited = {
        name: value
        for name, value in environ.items()
        if not name.startswith("MAKE") and name not in ("MFLAGS", *ASSIGNED)
    }
    return {**inherited, "MUTT_ENV_FILE": str(layout.mutt_env), "MUTT_BIN": str(layout.bin)}


def developer_values(ports: Ports, values: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """What a person, a script or a test needs to use a running stack: addresses and keys."""
    return {
        "MUTT_INGEST_URL": f"http://127.0.0.1:{ports['SERVER_PORT_INGESTOR']}",
        "MUTT_ADMIN_URL": f"http://127.0.0.1:{ports['SERVER_PORT_WEBUI']}",
        "INGEST_API_KEY": keys["INGEST_API_KEY"],
        "WEBUI_API_KEY": keys["WEBUI_API_KEY"],
        "REDIS_URL": f"redis://:{keys['REDIS_PASS_CURRENT']}@127.0.0.1:{ports['REDIS_PORT']}/0",
        "DATABASE_URL": (
            f"postgresql://{values['DB_USER']}:{keys['DB_PASS_CURRENT']}@127.0.0.1:{ports['DB_PORT']}/{values['DB_NAME']}"
        ),
        "MOOG_SINK_URL": f"http://127.0.0.1:{ports['MOOG_SINK_PORT']}",
    }


def health_urls(ports: Ports) -> dict[str, str]:
    return {program: f"http://127.0.0.1:{ports[variable]}/health" for program, variable in HEALTH_PORTS.items()}
