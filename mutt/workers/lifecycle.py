"""What all workers share: start, heartbeat, janitor, retries, reload, drain and stop."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import gevent
import structlog
from gevent.event import Event as Flag

from mutt.credentials import Credentials
from mutt.errors import OutageError, Reason
from mutt.observability import tracing
from mutt.observability.metrics import WorkerMetrics
from mutt.queues import janitor, retry
from mutt.queues.reliable import ReliableQueue
from mutt.settings import GeneralSettings

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
REPORT_SECONDS = 1.0

T = TypeVar("T")


class StoppingError(Exception):
    """We were told to stop while waiting for something that is away."""


class Pace:
    """Patience: repeats what an outage prevents until it works or we are told to stop."""

    def __init__(self, stopping: Flag, metrics: WorkerMetrics) -> None:
        self.stopping = stopping
        self._in_hand: dict[object, float] = {}
        self.last_outage = 0.0
        self.paused_by: OutageError | None = None
        self._metrics = metrics

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[None]:
        """While in here we have messages that are to be finished."""
        token = object()
        self._in_hand[token] = time.monotonic()
        try:
            yield
        finally:
            del self._in_hand[token]

    def longest_in_hand_seconds(self) -> float:
        """How long the oldest work in hand has taken so far; 0 when there is none."""
        return time.monotonic() - min(self._in_hand.values()) if self._in_hand else 0.0

    def until_possible(self, work: Callable[[], T], stop_grace_seconds: float = 0.0) -> T:
        """What ``work`` returns, once no OutageError prevents it. Raises StoppingError when told to stop meanwhile.

        ``stop_grace_seconds`` lets it try on for so long after we were told to stop.
        """
        pause, give_up_at = FIRST_PAUSE_SECONDS, None
        while True:
            try:
                result = work()
            except OutageError as outage:
                self._note(outage)
                if self.stopping.is_set():
                    give_up_at = give_up_at or time.monotonic() + stop_grace_seconds
                    if time.monotonic() >= give_up_at:
                        raise StoppingError from outage
                    gevent.sleep(pause)
                else:
                    self.stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                if self.paused_by:
                    log.info("working again", after=self.paused_by.reason)
                    self.paused_by = None
                return result

    def _note(self, outage: OutageError) -> None:
        self.last_outage = time.monotonic()
        self._metrics.outages.labels(outage.reason).inc()
        if self.paused_by is None or self.paused_by.reason != outage.reason:
            log.warning("paused", reason=outage.reason, detail=str(outage))
        self.paused_by = outage


class Worker(Protocol):
    """What the lifecycle runs. ``loops`` run until ``stopping``; ``waiting`` are those that may be cut short."""

    queues: Sequence[ReliableQueue]
    waiting: set[gevent.Greenlet]

    def prepare(self) -> None: ...
    def loops(self) -> Sequence[Callable[[], None]]: ...
    def reload(self) -> None: ...


class Lease(NamedTuple):
    """How often a worker process renews the lease of its batches, and how long the lease lasts."""

    heartbeat_seconds: float
    seconds: float


class Lifecycle:
    """Runs one worker process from start to stop.

    SIGTERM and SIGINT: stop claiming, finish or give back what is in hand, exit. SIGHUP: reload. The process also
    stops when its parent is gone (the status pipe breaks), so that no worker outlives its program.
    """

    def __init__(
        self,
        pace: Pace,
        metrics: WorkerMetrics,
        lease: Lease,
        general: GeneralSettings,
        status_fd: int | None,
    ) -> None:
        self.pace = pace
        self._stopping = pace.stopping
        self._metrics = metrics
        self._heartbeat_seconds = lease.heartbeat_seconds
        self._lease_seconds = lease.seconds
        self._drain_seconds = general.shutdown_timeout_seconds
        self._stall_seconds = general.stall_seconds
        self._status_fd = status_fd

    def run(self, worker: Worker, credentials: Credentials) -> None:
        """Returns when the worker has stopped and given back what it had."""

        def reload() -> None:
            credentials.refresh()
            worker.reload()

        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stopping.set)
        gevent.signal_handler(signal.SIGHUP, gevent.spawn, reload)
        background = [gevent.spawn(self._report)]
        background += [gevent.spawn(self._every, self._heartbeat_seconds, queue.beat) for queue in worker.queues]
        try:
            with contextlib.suppress(StoppingError):
                worker.prepare()
                background += [gevent.spawn(self._keep_house, queue) for queue in worker.queues]
                self._work(worker)
        finally:
            gevent.killall(background)
            self._leave(worker)

    def _work(self, worker: Worker) -> None:
        loops = [gevent.spawn(loop) for loop in worker.loops()]
        log.info("started", loops=len(loops), queues=[queue.names.queue for queue in worker.queues])
        self._stopping.wait()
        log.info("stopping")
        gevent.killall([greenlet for greenlet in loops if greenlet in worker.waiting])
        gevent.joinall(loops, timeout=self._drain_seconds)
        unfinished = [greenlet for greenlet in loops if not greenlet.dead]
        if unfinished:
            log.warning("not finished in time; the janitor of another process gives it back", loops=len(unfinished))

    def _leave(self, worker: Worker) -> None:
        for queue in worker.queues:
            with contextlib.suppress(OutageError):
                queue.forget_heartbeat()
        tracing.stop()
        log.info("stopped")

    def _keep_house(self, queue: ReliableQueue) -> None:
        gevent.spawn(self._every, self._lease_seconds / 4, lambda: self._sweep(queue))
        self._every(FIRST_PAUSE_SECONDS, lambda: self._promote(queue))

    def _sweep(self, queue: ReliableQueue) -> None:
        # After an outage everybody's heartbeat may have run out; the living get one lease to renew theirs.
        if self.pace.last_outage and time.monotonic() - self.pace.last_outage < self._lease_seconds:
            return
        swept = janitor.sweep(queue)
        if swept.returned or swept.buried:
            self._metrics.returned.inc(swept.returned)
            self._metrics.dead_letters.labels(Reason.KILLED_ITS_WORKER).inc(swept.buried)
            log.warning("gave back what dead processes had claimed", queue=queue.names.queue, **swept._asdict())

    def _promote(self, queue: ReliableQueue) -> None:
        promoted = retry.promote(queue.client, queue.names)
        if promoted.moved == 0:
            self._stopping.wait(min(promoted.next_seconds or 0.5, 0.5))

    def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            with contextlib.suppress(StoppingError):
                self.pace.until_possible(work)
            gevent.sleep(seconds)

    def _state(self) -> str:
        """What the parent shows in /health: "working", the reason of a pause, or how long the work in hand takes."""
        taken = self.pace.longest_in_hand_seconds()
        self._metrics.stalled.set(taken > self._stall_seconds)
        if self.pace.paused_by:
            return str(self.pace.paused_by.reason)
        return f"the work in hand has taken {taken:.0f} s" if taken > self._stall_seconds else "working"

    def _report(self) -> None:
        """Tells the parent once a second that our hub turns and what we wait for."""
        if self._status_fd is None:
            return
        while True:
            state = self._state()
            try:
                os.write(self._status_fd, f"{state}\n".encode())
            except BlockingIOError:
                pass  # The parent is busy; it will see the next line.
            except OSError:
                self._stopping.set()
                return
            gevent.sleep(REPORT_SECONDS)
