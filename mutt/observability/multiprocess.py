"""Where the processes of one program put their figures. Imports nothing of prometheus_client, on purpose."""

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import IO

_locks: list[IO[bytes]] = []
"""Held as long as this process lives; the system gives them back."""


def prepare_dir(run_dir: Path, program: str) -> None:
    """Makes an empty directory for the figures of this start and names it to prometheus_client.

    To be called by a program's first process before prometheus_client is imported, which looks for the directory
    once. Figures of an earlier start would be added to this one's, so they go. A second start of the same program
    beside the first ends here, before it takes the first one's figures away.
    """
    folder = run_dir / f"{program}-metrics"
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = (run_dir / f"{program}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"{program} is already running with MUTT_RUN_DIR={run_dir}")
    _locks.append(lock)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
