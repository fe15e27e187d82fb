"""A real snmptrapd of the tests' own, and net-snmp's tools that send to it."""

import os
import signal
import subprocess
from pathlib import Path

from mutt.cli.snmptrapd_snippet import daemon_part
from tests.support.redis_server import free_port
from tests.support.waiting import wait_until

ENGINE = "0x8000000001020304"
USERS = f"""\
authCommunity log public
createUser -e {ENGINE} noc SHA authphrase AES privphrase
createUser informer SHA authphrase AES privphrase
authUser log noc authPriv
authUser log informer authPriv
"""
V1 = ("-v1", "-c", "public")
V2 = ("-v2c", "-c", "public")
V3 = ("-v3", "-l", "authPriv", "-a", "SHA", "-A", "authphrase", "-x", "AES", "-X", "privphrase")
"""An inform finds the receiver's engine out by itself; a trap names its sender's with -e."""


class Snmptrapd:
    """snmptrapd with the printed configuration, run as the printed unit does it, on a port of the loopback."""

    def __init__(self, folder: Path) -> None:
        self.trap_file = folder / "traps.log"
        self._folder = folder
        self._port = free_port()
        self._environ = {"PATH": os.environ["PATH"] + ":/usr/sbin", "SNMP_PERSISTENT_DIR": str(folder / "persistent")}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "snmptrapd.conf").write_text(daemon_part("snmptrapd.conf") + USERS)

    def start(self) -> None:
        banners = self._banners()
        # The unit's options, with our own configuration and port.
        (start,) = [line for line in daemon_part("service").splitlines() if line.startswith("ExecStart=/")]
        options = start.replace("''", "").split()[1:-1]
        options.insert(options.index("-m") + 1, "")
        self._process = subprocess.Popen(
            ["snmptrapd", "-n", "-C", "-c", str(self._folder / "snmptrapd.conf"), *options, str(self.trap_file),
             f"udp:127.0.0.1:{self._port}"],
            env=self._environ,
        )  # fmt: skip
        wait_until(lambda: self._banners() > banners, "snmptrapd to start")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def rotate(self) -> None:
        """What logrotate does with the printed file: another name, a new file, SIGHUP."""
        assert self._process
        self.trap_file.rename(self.trap_file.with_suffix(".log.1"))
        self.trap_file.touch(mode=0o600)
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.trap_file.stat().st_size > 0, "snmptrapd to write into the new file")

    def send(self, program: str, *options: str, to: tuple[str, ...] = ()) -> None:
        """One trap or inform: ``options`` before the address, ``to`` after it."""
        command = [program, *options, f"udp:127.0.0.1:{self._port}", *to]
        subprocess.run(command, check=True, capture_output=True, env=self._environ, timeout=20)

    def _banners(self) -> int:
        return self.trap_file.read_text().count("NET-SNMP version") if self.trap_file.exists() else 0
