"""Processes that outlive the command that started them, and how they are found and stopped again.

A process is known by its pid, the moment it started and the boot it belongs to, so a pid that somebody else has
meanwhile is never taken for ours. Each one leads a session of its own: what it started is found through that session
even after it has gone itself.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from load.stack.console import StackError, tail
from load.stack.layout import Account, Layout


@dataclasses.dataclass(frozen=True)
class Identity:
    """One process, told apart from any later one with the same pid. ``started`` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str


@dataclasses.dataclass(frozen=True)
class Status:
    """What the kernel says about a process at the moment."""

    pid: int
    state: str
    session: int
    started: int


def _status(pid: int) -> Status | None:
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = content.rpartition(")")[2].split()  # The name before it may contain anything, even blanks.
    return Status(pid, fields[0], int(fields[3]), int(fields[19]))


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """The process behind a pid now; None when there is none, or only its exit code is left."""
    status = _status(pid)
    if status is None or status.state in "ZX":
        return None
    return Identity(pid, status.started, _boot())


def _session(leader: Identity) -> list[int]:
    """Pids of the living processes of a session, the leader's included."""
    if leader.boot != _boot():
        return []
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        status = _status(int(entry.name))
        if status and status.session == leader.pid and status.state not in "ZX" and status.started >= leader.started:
            members.append(status.pid)
    return members


class Service:
    """One background process of a stack, with its pid file and its log."""

    def __init__(self, layout: Layout, name: str, log: str = "", stop_signal: signal.Signals = signal.SIGTERM,
                 grace_seconds: float = 20.0) -> None:  # fmt: skip
        self.name = name
        self.log = layout.logs / f"{log or name}.log"
        self._pid_file = layout.pids / name
        self._stop_signal = stop_signal
        self._grace_seconds = grace_seconds

    @property
    def recorded(self) -> Identity | None:
        """The process that was started last, alive or not."""
        try:
            pid, started, boot = self._pid_file.read_text().split()
            return Identity(int(pid), int(started), boot)
        except (OSError, ValueError):
            return None

    @property
    def running(self) -> bool:
        recorded = self.recorded
        if recorded is None:
            return False
        _take_exit_code(recorded.pid)
        return identify(recorded.pid) == recorded

    def start(self, argv: Sequence[str], environ: Mapping[str, str], account: Account | None = None,
              executable: str | None = None, cwd: Path = Path("/")) -> None:  # fmt: skip
        """Starts the process in the background with its output in ``log``."""
        switch = account.switch if account else {}
        # A Ctrl-C between the start and the pid file would leave a process that nobody knows.
        with stop_signals_held(), self.log.open("ab") as output:
            child = subprocess.Popen(
                argv, executable=executable, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environ),
                cwd=cwd, start_new_session=True, **switch,  # type: ignore[call-overload]
            )  # fmt: skip
            identity = identify(child.pid)
            if identity:
                self._pid_file.write_text(f"{identity.pid} {identity.started} {identity.boot}\n")
        if identity is None:
            raise StackError(f"{self.name} ended at once. The end of {self.log}:\n{tail(self.log)}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Returns when ``ready`` says so. Raises StackError with the end of the log when the process ends before."""
        for _ in until(seconds):
            if ready():
                return
            if not self.running:
                raise StackError(f"{self.name} ended. The end of {self.log}:\n{tail(self.log)}")
        raise StackError(f"{self.name} does not answer after {seconds:g} s. The end of {self.log}:\n{tail(self.log)}")

    def ask_to_stop(self) -> None:
        if self.running and (recorded := self.recorded):
            _signal(recorded.pid, self._stop_signal)

    def stop(self) -> bool:
        """Ends the process and everything it started; False when there was nothing to end. Returns when all is gone."""
        leader = self.recorded
        if leader is None:
            return False
        found = bool(_session(leader))
        self.ask_to_stop()
        if not self._wait_gone(leader, self._grace_seconds if self.running else 5.0):
            for pid in _session(leader):
                _signal(pid, signal.SIGKILL)
            if not self._wait_gone(leader, 10.0):
                raise StackError(f"{self.name} (pid {leader.pid}) cannot be ended")
        self._pid_file.unlink(missing_ok=True)
        return found

    def _wait_gone(self, leader: Identity, seconds: float) -> bool:
        for _ in until(seconds):
            _take_exit_code(leader.pid)
            members = _session(leader)
            if not members:
                return True
            if leader.pid not in members:  # Orphans: nobody is left to end them in order.
                for pid in members:
                    _signal(pid, signal.SIGTERM)
        return False


def _take_exit_code(pid: int) -> None:
    """Lets an ended child of ours go for good; another's child is its parent's affair."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # It has ended by itself in between, which is what was wanted.
        os.kill(pid, number)


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def stop_signals_held() -> Iterator[None]:
    """A stop signal that comes while the block runs is acted on after it.

    The signals are neither blocked nor ignored, since a child started in the block would inherit either.
    """
    held: list[tuple[int, FrameType | None]] = []
    before = {number: signal.signal(number, lambda n, frame: held.append((n, frame))) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for stop_signal, handler in before.items():
            signal.signal(stop_signal, handler)
    for number, frame in held[:1]:
        act = before[signal.Signals(number)]
        if callable(act):
            act(number, frame)


def until(seconds: float, pause_seconds: float = 0.1) -> Iterator[None]:
    """Yields now and then until the time is over; at least once."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(pause_seconds)
