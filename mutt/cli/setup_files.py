"""What `mutt-admin setup` writes: KEY=VALUE files that are changed where they differ and replaced at once."""

import grp
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mutt.cli.exits import USAGE, CliError

PLAIN = re.compile(r"[A-Za-z0-9_./:@,+=%-]*")
"""Values that mean the same to everybody without quotes."""

GROUP = "mutt"
FILE_MODE, PRIVATE_MODE = 0o640, 0o600
STRANGERS = 0o007


def with_values(content: str, values: Mapping[str, str]) -> str:
    """The content with every value in it: at its assignment, else where the template shows it, else at the end."""
    for variable, value in values.items():
        content = _with_value(content, variable, f"{variable}={quoted(variable, value)}")
    return content


def _with_value(content: str, variable: str, assignment: str) -> str:
    # A value may go on in the next line after a backslash, and of several assignments the last one counts.
    assigned = list(re.finditer(rf"(?m)^[ \t]*{variable}[ \t]*=(?:\\\n|.)*$", content))
    shown = assigned[-1:] or list(re.finditer(rf"(?m)^#{variable}=.*$", content))[:1]
    if shown:
        return content[: shown[0].start()] + assignment + content[shown[0].end() :]
    gap = "" if not content or content.endswith("\n") else "\n"
    return f"{content}{gap}{assignment}\n"


def quoted(variable: str, value: str) -> str:
    """The value as it stands in the file. Raises CliError for what no such file can hold."""
    if "\n" in value or "\r" in value or "\0" in value:
        raise CliError(f"the value of {variable} has a line break in it, which a KEY=VALUE file cannot hold", USAGE)
    if PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def content_of(file: Path) -> str | None:
    """What is in the file, None when there is none. Raises CliError when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {_words(error)}; run this as root: sudo mutt-admin setup") from error


def is_exposed(file: Path) -> bool:
    """Whether the file is there and open to every user of the host."""
    return file.exists() and bool(file.stat().st_mode & STRANGERS)


def replace_file(file: Path, content: str) -> None:
    """Puts the content in the place of the file, whole or not at all, and closed to strangers.

    An existing file keeps its owner and what its group may do. A new one belongs to root and the group mutt, as the
    package has it, or where there is no such group to the caller alone. Raises CliError.
    """
    target = file.resolve()
    try:
        _make_folder(target.parent)
        mode, owner, group = _access(target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as draft:
                draft.write(content)
                os.fchmod(draft.fileno(), mode)
                if os.geteuid() == 0:
                    os.fchown(draft.fileno(), owner, group)
                draft.flush()
                os.fsync(draft.fileno())
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
        _sync(target.parent)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {_words(error)}; run this as root: sudo mutt-admin setup") from error


def _access(file: Path) -> tuple[int, int, int]:
    """Mode, owner and group that the file is to have."""
    if file.exists():
        status = file.stat()
        return status.st_mode & 0o777 & ~STRANGERS, status.st_uid, status.st_gid
    group = _group()
    return (PRIVATE_MODE, os.geteuid(), os.getegid()) if group is None else (FILE_MODE, os.geteuid(), group)


def _group() -> int | None:
    """The group that the programs run in; None where there is none, or where only root could give it a file."""
    if os.geteuid() != 0:
        return None
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def _make_folder(folder: Path) -> None:
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o750)
    group = _group()
    if group is not None:
        os.chown(folder, 0, group)


def _sync(folder: Path) -> None:
    """Makes the new name outlast a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
