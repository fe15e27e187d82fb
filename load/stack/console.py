"""What the stack says while it works: one line a step with its time, and the end of a log when something fails.

Only the standard library, and readable by Python 3.9: ``bootstrap`` needs it before there is an environment.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25


class StackError(Exception):
    """Something the person at the keyboard has to know; the text is the whole message."""


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def step(label: str) -> Iterator[None]:
    """Shows ``label ...`` while the block runs and the seconds it took once it has ended."""
    sys.stdout.write(f"  {label} ... ")
    sys.stdout.flush()
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"failed after {time.monotonic() - started:.1f} s")
        raise
    say(f"{time.monotonic() - started:.1f} s")


def tail(file: Path, lines: int = TAIL_LINES, containing: str = "") -> str:
    """The last lines of a log, indented; only those that contain a word, when one is given and any does."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 256 * 1024))
            text = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return f"    ({file} is not there)"
    chosen = [line for line in text if containing in line] or text
    return "\n".join("    " + line for line in chosen[-lines:]) or f"    ({file} is empty)"


def run_logged(
    argv: Sequence[str], log: Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Runs a command with its output in ``log``. Raises StackError with the end of that output when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"\n$ {' '.join(argv)}\n".encode())
        stream.flush()
        outcome = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environ, cwd=cwd)
    if outcome.returncode != 0:
        raise StackError(
            f"this command failed with exit code {outcome.returncode}:\n    {' '.join(argv)}\n"
            f"The end of {log}:\n{tail(log)}"
        )
