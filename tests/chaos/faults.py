"""Processes that die and processes that stop to breathe, chosen by a seed."""

import random
import signal
import time
from dataclasses import dataclass

import gevent

from tests.chaos.field import LEASE_SECONDS, SECOND_FORWARDER, Field
from tests.chaos.processes import is_running, send
from tests.support.waiting import wait_until

FORWARDERS = ("mutt-forwarder", SECOND_FORWARDER)
VICTIMS = ("mutt-ingestor", "mutt-alerter", *FORWARDERS)

PAUSE_SECONDS = LEASE_SECONDS + LEASE_SECONDS / 4 + 1.0
"""Three heartbeats are missed, and everybody's janitor has had a look."""


@dataclass(frozen=True)
class Blow:
    """One process that was killed or paused, and the messages it had in hand."""

    program: str
    in_hand: int


class Tormentor:
    """Kills or pauses workers of the appliance from a greenlet until it is told to stop."""

    def __init__(self, field: Field, seed: str) -> None:
        self.field = field
        self.rng = random.Random(seed)
        self.blows: list[Blow] = []
        self.stopping = False
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Returns when the last victim is dead or runs again."""
        self.stopping = True
        if self._greenlet:
            self._greenlet.join()
            self._greenlet.get()

    @property
    def duplicates_allowed(self) -> int:
        """An alert in the hand of a dead or paused forwarder may have left already; nothing else may come twice."""
        return sum(blow.in_hand for blow in self.blows if blow.program in FORWARDERS)

    def _run(self) -> None:
        while not self.stopping:
            self.strike()

    def strike(self) -> None:
        raise NotImplementedError

    def _note(self, program: str, pid: int) -> None:
        # What the process sent to Redis before the signal is carried out by now.
        gevent.sleep(0.05)
        self.blows.append(Blow(program, sum(self.field.in_hand(pid).values())))


class Killer(Tormentor):
    """SIGKILL to one worker process every ``every`` seconds."""

    def __init__(self, field: Field, seed: str, every: float = 0.5) -> None:
        super().__init__(field, seed)
        self._every = every

    def strike(self) -> None:
        due = time.monotonic() + self._every
        program = self.rng.choice(VICTIMS)
        workers = self.field.workers_of(program)
        if workers and send(pid := self.rng.choice(workers), signal.SIGKILL):
            wait_until(lambda: not is_running(pid), "the victim to die")
            self._note(program, pid)
        gevent.sleep(max(0.0, due - time.monotonic()))


class Pauser(Tormentor):
    """SIGSTOP to an alerter, a forwarder and at times an ingest worker; SIGCONT when their leases are over."""

    def strike(self) -> None:
        programs = [self.rng.choice(FORWARDERS), "mutt-alerter"]
        if self.rng.random() < 0.25:
            programs.append("mutt-ingestor")
        stopped = [(program, pid) for program in programs if (pid := self._stop_one(program))]
        for program, pid in stopped:
            self._note(program, pid)
        try:
            gevent.sleep(PAUSE_SECONDS)
        finally:
            for _, pid in stopped:
                send(pid, signal.SIGCONT)
        gevent.sleep(self.rng.uniform(0.2, 1.0))

    def _stop_one(self, program: str) -> int | None:
        """Pauses a worker, if it can be with something in hand: a pause while idle shows nothing."""
        for _ in range(20):
            workers = self.field.workers_of(program)
            if not workers:
                return None
            pid = self.rng.choice(workers)
            send(pid, signal.SIGSTOP)
            if program == "mutt-ingestor" or self.field.in_hand(pid):
                return pid
            send(pid, signal.SIGCONT)
            gevent.sleep(0.02)
        return None
