"""Prepares a fresh machine: system packages, the virtual environment, MUTT itself. Then hands over to the stack.

``python3 -m load.stack.bootstrap run|up|down|clean`` prepares what that command needs and becomes it;
``... tools`` prepares the environment for tests and checks; ``... packages`` only installs system packages, for when
root has to do that for somebody. Stamps in .venv make a second call take no time.
Only the standard library, and readable by Python 3.9, so that an older python3 can say what is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from load.stack import packages
from load.stack.console import StackError, run_logged, say, step
from load.stack.layout import Layout

OLDEST_PYTHON = (3, 11)
COMMANDS = ("run", "up", "down", "clean", "tools", "packages")


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        say(f"usage: python3 -m load.stack.bootstrap {'|'.join(COMMANDS)}")
        return 2
    # A stop while packages are being installed has to put the machine's own settings back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command, layout = sys.argv[1], Layout.of()
    try:
        return _prepare_and_become(command, layout)
    except StackError as error:
        sys.stderr.write(f"\nmake {command}: {error}\n")
        return 1
    except PermissionError as error:
        sys.stderr.write(f"\nmake {command}: {error}. Was the stack set up by another user, perhaps by root?\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _prepare_and_become(command: str, layout: Layout) -> int:
    if command == "packages":
        # Root leaves nothing of its own in somebody else's checkout.
        log = Path(tempfile.mkdtemp(prefix="mutt-setup-")) / "setup.log"
        packages.install_missing(find_python(log), log)
        return 0
    if command in ("down", "clean"):
        if not (layout.bin / "python").exists():
            say("Nothing is running: there is no virtual environment yet.")
            return 0
    else:
        prepare(layout, development=command == "tools")
    if command == "tools":
        return 0
    python = str(layout.bin / "python")
    os.chdir(layout.root)
    os.execv(python, [python, "-m", "load.stack", command])  # noqa: S606 - the same process goes on, so signals reach it
    raise AssertionError("execv does not return")


def prepare(layout: Layout, development: bool) -> None:
    """Everything that has to be installed is installed when this returns."""
    layout.create()
    python = find_python(layout.setup_log)
    packages.install_missing(python, layout.setup_log)
    create_venv(layout, python)
    install_runtime(layout)
    if development:
        packages.install_for_tests(layout.setup_log)
        install_tools(layout)


def find_python(log: Path) -> str:
    """A Python that MUTT runs on: the one that runs us, or a newer one beside it; on RHEL it can be installed."""
    for attempt in ("look", "install"):
        names = ["python3.11", "python3.12", "python3.13", "python3.14"]
        for candidate in [sys.executable, *filter(None, map(shutil.which, names))]:
            if _python_version(candidate) >= OLDEST_PYTHON:
                return candidate
        if attempt == "look" and shutil.which("dnf"):
            packages.install_with_dnf(["venv"], log)
    raise StackError(
        f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; to name another: make run PYTHON=..."
    )


def _python_version(python: str) -> tuple[int, int]:
    script = "import sys; print(sys.version_info[0], sys.version_info[1])"
    outcome = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    words = outcome.stdout.split()
    return (int(words[0]), int(words[1])) if len(words) == 2 else (0, 0)


def create_venv(layout: Layout, python: str) -> None:
    """A working .venv; one whose Python has gone or is too old is made anew."""
    inside = layout.bin / "python"
    if inside.exists() and _python_version(str(inside)) >= OLDEST_PYTHON and (layout.bin / "pip").exists():
        return
    with step(f"Creating .venv with Python {'.'.join(map(str, _python_version(python)))}"):
        run_logged([python, "-m", "venv", "--clear", str(layout.venv)], layout.setup_log)


def install_runtime(layout: Layout) -> None:
    lock = layout.root / "requirements.lock"
    tools_lock = layout.root / "requirements-dev.lock"
    _once(layout, "runtime", [lock], "Installing MUTT's dependencies", lambda: _install_locked(layout, lock))
    sources = [layout.root / "setup.cfg", layout.root / "pyproject.toml"]
    _once(layout, "project", sources, "Installing MUTT into .venv", lambda: _install_project(layout, tools_lock))


def install_tools(layout: Layout) -> None:
    lock = layout.root / "requirements-dev.lock"
    _once(
        layout,
        "tools",
        [lock],
        "Installing the tools for tests and checks",
        lambda: _install_locked(layout, lock),
    )


def _once(layout: Layout, name: str, inputs: list[Path], label: str, action) -> None:  # type: ignore[no-untyped-def]
    """Does ``action`` unless it was done with the same inputs in the same place; a moved checkout does it again."""
    digest = hashlib.sha256(os.fsencode(layout.root))
    for file in inputs:
        digest.update(file.read_bytes())
    stamp = layout.venv / f".{name}-stamp"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    with step(label):
        action()
    stamp.write_text(digest.hexdigest())


def _pip(layout: Layout, *arguments: str) -> None:
    common = ["--disable-pip-version-check", "--no-input"]
    run_logged(
        [str(layout.bin / "python"), "-m", "pip", "install", *common, *arguments],
        layout.setup_log,
        cwd=layout.root,
    )


def _install_locked(layout: Layout, lock: Path) -> None:
    # Wheels only: a fresh machine has no compiler, and an sdist would run its author's code here.
    _pip(layout, "--require-hashes", "--only-binary", ":all:", "-r", str(lock))


def _install_project(layout: Layout, tools_lock: Path) -> None:
    """MUTT in editable form. Its build backend comes, pinned with hashes, from the lock file of the tools."""
    backend = layout.var / "build-requirements.txt"
    backend.write_text(locked_entry(tools_lock.read_text(), "setuptools") + "\n")
    _pip(layout, "--require-hashes", "--only-binary", ":all:", "-r", str(backend))
    _pip(layout, "--no-deps", "--no-build-isolation", "--editable", str(layout.root))


def locked_entry(lock: str, name: str) -> str:
    """The lines of one package in a lock file: its pin and its hashes."""
    entry = re.search(rf"^{re.escape(name)}==[^\n]*(?:\n    --hash=[^\n]*)*", lock, re.MULTILINE)
    if entry is None:
        raise StackError(f"requirements-dev.lock has no {name}; make it anew with: make lock")
    return entry.group()


if __name__ == "__main__":
    sys.exit(main())
