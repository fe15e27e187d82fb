"""A host that really boots: systemd in a container, on a copy-on-write view of this machine's own root folder.

Nothing that happens in it reaches this machine: files go to memory, and it has a network of its own.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.waiting import wait_until

CGROUPS = Path("/sys/fs/cgroup")
QUIET_TARGET = "systemd.unit=basic.target"  # None of the services that this machine would start.


def missing() -> str:
    """Why no host can be booted here; empty when one can."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    if not shutil.which("systemd-nspawn"):
        return "systemd-nspawn is missing (apt-get install systemd-container)"
    if not Path("/usr/lib/systemd/systemd").exists():
        return "systemd is missing (apt-get install systemd)"
    return ""


class BootedHost:
    """``folder`` gets the mounts; ``name`` is the container's."""

    def __init__(self, folder: Path, name: str) -> None:
        self._memory = folder / "memory"
        self.root = self._memory / "root"
        self._name = name
        self._log = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None

    def mount(self) -> None:
        """Makes ``root``, which looks like this machine's and takes changes."""
        self._memory.mkdir()
        _check("mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(self._memory))
        for name in ("root", "upper", "work"):
            (self._memory / name).mkdir()
        layers = f"lowerdir=/,upperdir={self._memory}/upper,workdir={self._memory}/work"
        _check("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))

    def boot(self) -> None:
        """Returns when systemd answers."""
        command = [
            "systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", "--register=no", "--keep-unit",
            "--private-network", "--console=pipe", f"--machine={self._name}", QUIET_TARGET,
        ]  # fmt: skip
        for hierarchy in self._cgroups():
            hierarchy.mkdir(exist_ok=True)
        # nspawn takes the control group it is started in for the container's.
        enter = " && ".join(f"echo $$ >{hierarchy}/cgroup.procs" for hierarchy in self._cgroups()) or "true"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", f'{enter}; exec "$@"', "sh", *command],
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, "the container to boot", seconds=60)

    def _cgroups(self) -> list[Path]:
        if (CGROUPS / "cgroup.procs").exists():  # Control groups of version 2 alone.
            return [CGROUPS / self._name]
        return [CGROUPS / each / self._name for each in ("systemd", "unified") if (CGROUPS / each).is_dir()]

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.console()
        return self._leader() is not None and self.run("systemctl", "is-active", "basic.target").stdout == "active\n"

    def _leader(self) -> str | None:
        """The pid of the container's systemd."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return children[0] if children else None

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the container; its output, errors too, is in stdout."""
        enter = ["nsenter", "-t", str(self._leader()), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        return subprocess.run(
            [*enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    def console(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for mounted in (self.root, self._memory):
            subprocess.run(["umount", "--lazy", str(mounted)], capture_output=True, check=False)


def _check(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
