"""Processes as /proc shows them: who runs, who started whom, how much memory they use."""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Ids of the processes that ``pid`` started and that run, the oldest first."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(stat)
        if fields and int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def is_running(pid: int) -> bool:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] != "Z"


def send(pid: int, number: signal.Signals) -> bool:
    """Whether the process was still there to get the signal."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def memory_mb(pids: Iterable[int]) -> float:
    """Memory that the processes hold now, in MB (resident set)."""
    return sum(_status_kb(pid, "VmRSS") for pid in pids) / 1024


def _status_kb(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), 0)


def _stat(file: Path) -> list[str]:
    """The fields after the name: state, parent, ...; none when the process has ended."""
    try:
        return file.read_text().rpartition(")")[2].split()
    except OSError:
        return []
