"""``mutt-admin support-bundle``: what somebody far away needs to know, without the secrets."""

import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import msgspec

from mutt import __version__
from mutt.admin.shapes.config import Settings
from mutt.admin.shapes.dead_letters import LetterLists
from mutt.admin.shapes.events import ConfigChangePage
from mutt.admin.shapes.overview import Figures, Objectives
from mutt.admin.shapes.rules import Hygiene
from mutt.cli.connection import host_secrets, host_variables
from mutt.cli.doctor import diagnose
from mutt.cli.exits import CliError
from mutt.cli.explain import redacted, value_and_source
from mutt.cli.options import Session
from mutt.cli.output import say
from mutt.cli.redaction import Redactor, secret_values
from mutt.errors import MuttError
from mutt.settings import known_variables

MOST_LOG_BYTES = 512 * 1024
DEFAULT_LOGS = (Path("/var/log/mutt"),)

README = """\
A support bundle of MUTT, made by mutt-admin support-bundle.

manifest.json says what is in here and what could not be had, with the reason. Passwords, keys and tokens were taken
out, by their values as far as they were known and by what looks like one. Host names, addresses and messages of
events are in here: look at the bundle before it leaves your organisation.
"""


@click.command("support-bundle")
@click.option("-f", "--file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@click.option("--log", "logs", multiple=True, type=click.Path(path_type=Path),
              help="Log file or folder to take the last lines of; else those of /var/log/mutt.")  # fmt: skip
@click.pass_obj
def support_bundle(session: Session, file: Path | None, logs: tuple[Path, ...]) -> None:
    """Write diagnosis, settings, figures, versions and last log lines into a tar.gz, secrets taken out."""
    file = file or Path(f"mutt-support-{platform.node()}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    host = host_variables(os.environ)
    secrets = [*secret_values(host, host_secrets(host), os.environ), *host_secrets(host).values()]
    secrets += [key for key in _own_keys(session) if key]
    members, manifest = _gather(session, logs or DEFAULT_LOGS)
    members["manifest.json"] = _as_json(manifest)
    _write(file, {"README": README, **members}, Redactor(secrets))
    say(f"{len(members) + 1} files, secrets taken out")
    for name, problem in manifest["missing"].items():
        say(f"not in it: {name}: {problem}")
    click.echo(str(file))


def _own_keys(session: Session) -> tuple[str | None, ...]:
    try:
        return session.connection.api_key, session.connection.ingest_key
    except CliError:
        return ()


def _gather(session: Session, logs: tuple[Path, ...]) -> tuple[dict[str, str], dict[str, Any]]:
    """The files by name, and the manifest. What cannot be had is named in it and stops nothing."""

    def api(path: str, kind: Any, **parameters: Any) -> Callable[[], str]:
        return lambda: _as_json(session.api.get(path, kind, **parameters))

    sources: dict[str, Callable[[], str]] = {
        "versions.json": lambda: _as_json(versions()),
        "settings.json": lambda: _as_json(settings_of_host(os.environ)),
        "doctor.json": lambda: _as_json(diagnose(session)),
        "metrics.json": api("/metrics", Figures),
        "config.json": api("/config", Settings),
        "slo.json": api("/slo", Objectives),
        "dead-letters.json": api("/dlq", LetterLists),
        "rule-hygiene.json": api("/rules/hygiene", Hygiene),
        "config-audit.json": api("/config-audit", ConfigChangePage, limit=100),
    }
    for path in _log_files(logs):
        sources[f"logs/{path.name}"] = lambda path=path: tail(path)  # type: ignore[misc]
    members: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, source in sources.items():
        try:
            members[name] = source()
        except (click.ClickException, MuttError) as error:
            missing[name] = str(error)
        except OSError as error:
            missing[name] = error.strerror or str(error)
    manifest = {
        "made_at": datetime.now(UTC),
        "by": f"mutt-admin {__version__}",
        "files": [*members],
        "missing": missing,
    }
    return members, manifest


def versions() -> dict[str, Any]:
    """Of MUTT, Python, the system, and every library that MUTT was installed with."""
    installed = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    system = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "mutt": __version__, "python": platform.python_version(), "system": system.get("PRETTY_NAME"),
        "kernel": platform.release(), "machine": platform.machine(), "libraries": dict(sorted(installed.items())),
    }  # fmt: skip


def settings_of_host(environ: Mapping[str, str]) -> dict[str, Any]:
    """Every variable that is set, with its source; secrets left out. A default is no news."""
    found = {}
    for name in known_variables():
        value, source = value_and_source(name, environ)
        if value is not None:
            found[name] = {"value": redacted(name, value), "from": source}
    return found


def tail(file: Path) -> str:
    """The last lines of a file. Raises OSError."""
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - MOST_LOG_BYTES))
        content = stream.read(MOST_LOG_BYTES).decode(errors="replace")
    return content if size <= MOST_LOG_BYTES else content.partition("\n")[2]


def _log_files(places: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        try:
            found += sorted(each for each in place.iterdir() if each.suffix == ".log") if place.is_dir() else [place]
        except OSError:
            found.append(place)  # Reading it will say why it cannot be read.
    return [each for each in found if each not in DEFAULT_LOGS or each.exists()]


def _as_json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, members: Mapping[str, str], redactor: Redactor) -> None:
    """Writes the archive for its owner alone. Everything goes through the redactor here, so nothing can miss it."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, text in members.items():
                content = redactor.text(text).encode()
                entry = tarfile.TarInfo(f"{file.name.removesuffix('.tar.gz')}/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, time.time()
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
