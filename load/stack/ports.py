"""The stack's ports: which variable moves which, and who holds one that is taken."""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from load.stack.console import StackError

PROGRAM_PORTS = {
    "SERVER_PORT_INGESTOR": 8080,
    "METRICS_PORT_ALERTER": 8081,
    "HEALTH_PORT_ALERTER": 8082,
    "METRICS_PORT_MOOG": 8083,
    "HEALTH_PORT_MOOG": 8084,
    "METRICS_PORT_REMEDIATION": 8086,
    "HEALTH_PORT_REMEDIATION": 8087,
    "SERVER_PORT_WEBUI": 8090,
}
"""Ports of the five programs: MUTT's own defaults."""

SERVER_PORTS = {"REDIS_PORT": 6390, "DB_PORT": 5440, "MOOG_SINK_PORT": 8099}
"""Ports of what the stack adds; not the usual ones, where the machine may have servers of its own."""

HEALTH_PORTS = {
    "mutt-ingestor": "SERVER_PORT_INGESTOR",
    "mutt-alerter": "HEALTH_PORT_ALERTER",
    "mutt-forwarder": "HEALTH_PORT_MOOG",
    "mutt-remediation": "HEALTH_PORT_REMEDIATION",
    "mutt-webui": "SERVER_PORT_WEBUI",
}

Ports = dict[str, int]


def from_environment(environ: Mapping[str, str]) -> Ports:
    """Every port by its variable. Raises StackError for one that is no port number and for one given twice."""
    ports: Ports = {}
    for variable, default in {**PROGRAM_PORTS, **SERVER_PORTS}.items():
        value = environ.get(variable) or str(default)
        if not re.fullmatch(r"[0-9]{1,5}", value) or not 1 <= int(value) <= 65535:
            raise StackError(f"{variable}={value!r}: must be a whole number from 1 to 65535")
        twin = next((other for other, port in ports.items() if port == int(value)), None)
        if twin:
            raise StackError(f"{twin} and {variable} are both {value}; every port can be used once")
        ports[variable] = int(value)
    return ports


def require_free(ports: Ports, variables: Iterable[str]) -> None:
    """Returns when all of these ports can be bound. Raises StackError with who holds which, and what moves it."""
    problems = []
    for variable in variables:
        if not _is_free(ports[variable]):
            holder = _holder(ports[variable])
            by = f" by {holder}" if holder else ""
            problems.append(f"port {ports[variable]} is taken{by}; set {variable} to a free one")
    if problems:
        raise StackError("\n".join(problems))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # With this option a port whose last connections are still fading counts as free, a listening one does not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """The program that listens on a port, as ``name (pid 12)``; empty when it cannot be told."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(handle) in inodes for handle in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # Somebody else's process, or one that has just ended.
            continue
    return ""


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            words = row.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:  # 0A is LISTEN
                inodes.append(words[9])
    return inodes
