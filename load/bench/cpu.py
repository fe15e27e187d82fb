"""What processes cost, as /proc tells it: CPU time and memory of a process and all it has started."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of the process table. ``cpu`` is in seconds and includes children that have ended."""

    parent: int
    cpu: float


def table() -> dict[int, Process]:
    """Every process of the machine by its pid."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            fields = _fields(f"/proc/{entry.name}/stat")
            if fields:
                found[int(entry.name)] = Process(int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def trees(leaders: Iterable[int], processes: dict[int, Process]) -> dict[int, float]:
    """CPU seconds of each process together with all that it started.

    By parent, not by session: PostgreSQL's backends lead sessions of their own.
    """
    children = defaultdict(list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    return {
        leader: sum(processes[pid].cpu for pid in _below(leader, children) if pid in processes) for leader in leaders
    }


def _below(leader: int, children: dict[int, list[int]]) -> list[int]:
    found = [leader]
    for pid in found:
        found += children.get(pid, ())
    return found


def tree_of(leader: int) -> list[int]:
    """The process and all that it started and that still run."""
    processes = table()
    children = defaultdict(list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    return [pid for pid in _below(leader, children) if pid in processes]


def memory_mb(pid: int) -> float:
    """Resident memory of one process in MB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def machine_busy_seconds() -> float:
    """CPU seconds that the whole machine has worked since it started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, words)
    return (user + nice + system + irq + softirq) / TICKS


def _fields(file: str) -> list[str]:
    try:
        with open(file) as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []
