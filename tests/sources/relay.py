"""A real rsyslogd of the tests' own: own configuration, own ports, own work directory, never the system's."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.support.redis_server import free_port
from tests.support.waiting import wait_until

MODULES = ("/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib64/rsyslog")

HEAD = """\
global(workDirectory="{work}" maxMessageSize="128k")
module(load="imtcp")
input(type="imtcp" port="{tcp}" address="127.0.0.1")
module(load="imudp")
input(type="imudp" port="{udp}" address="127.0.0.1" rcvbufSize="4m")
{extra}
"""


class Rsyslogd:
    """One rsyslogd with the given files of /etc/rsyslog.d, listening for syslog on two ports of the loopback."""

    def __init__(self, folder: Path, omhttp: Path, *files: str, extra: str = "") -> None:
        self.folder = folder
        self.tcp_port, self.udp_port = free_port(), free_port()
        self.work = folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self._modules = ":".join([*(each for each in MODULES if Path(each).is_dir()), str(omhttp)])
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self.write(*files)

    def write(self, *files: str) -> None:
        """Gives it other files; they count from its next start."""
        head = HEAD.format(work=self.work, tcp=self.tcp_port, udp=self.udp_port, extra=self._extra)
        (self.folder / "rsyslog.conf").write_text("\n".join([head, *files]))

    def check(self) -> "subprocess.CompletedProcess[str]":
        """What ``rsyslogd -N1`` says about the files."""
        return subprocess.run([*self._command(), "-N1"], capture_output=True, text=True, check=False)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*self._command(), "-n"], stdout=log, stderr=log, env=self._environ())
        wait_until(self._listens, "rsyslogd to listen", seconds=15)

    def stop(self) -> None:
        """As systemctl does: it writes what waits in its queues to the disk."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as after a crash."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def send(self, messages: Iterable[bytes]) -> None:
        """Sends over one TCP connection; returns when rsyslogd has read all of it and closed its end."""
        with socket.create_connection(("127.0.0.1", self.tcp_port)) as connection:
            connection.sendall(b"".join(message + b"\n" for message in messages))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(120)
            while connection.recv(4096):
                pass

    def send_by_udp(self, messages: Iterable[bytes]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, message in enumerate(messages):
                sender.sendto(message, ("127.0.0.1", self.udp_port))
                if number % 50 == 49:
                    time.sleep(0.005)  # UDP has no backpressure: what does not fit the buffer is gone.

    def _command(self) -> list[str]:
        return [
            "rsyslogd",
            "-f",
            str(self.folder / "rsyslog.conf"),
            "-i",
            str(self.folder / "pid"),
            "-M",
            self._modules,
        ]

    def _environ(self) -> dict[str, str]:
        # libcurl would go through a proxy that the environment names.
        return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

    def _listens(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"rsyslogd ended: {self.log()[-2000:]}"
        try:
            socket.create_connection(("127.0.0.1", self.tcp_port), timeout=1).close()
        except OSError:
            return False
        return True


def lines(run: str, number: int, text: str = "%SYS-5-CONFIG_I: configured from console") -> list[bytes]:
    """RFC 3164 messages, each with ``run`` and a number of its own."""
    now = datetime.now(UTC).strftime("%b %e %H:%M:%S")
    return [f"<189>{now} edge{n % 7} : {text} {run}-{n:06d}".encode() for n in range(number)]
