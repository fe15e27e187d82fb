"""The loop of the two workers that live on a queue: claim a batch, process it, settle it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
import structlog
from gevent.lock import BoundedSemaphore

from mutt.errors import Reason
from mutt.observability.metrics import AlerterMetrics, ForwarderMetrics
from mutt.queues.reliable import Batch, ReliableQueue, Settled, Settlement
from mutt.workers.lifecycle import Pace, StoppingError

log = structlog.get_logger(__name__)

SETTLE_GRACE_SECONDS = 5.0
"""How long a worker that was told to stop still tries to settle; later it is the janitor's."""


class BatchWorker(ABC):
    """Lanes that claim, process and settle batches of one queue; one lane claims while others process."""

    def __init__(
        self,
        queue: ReliableQueue,
        pace: Pace,
        metrics: AlerterMetrics | ForwarderMetrics,
        lanes: int,
        wait_seconds: float,
    ) -> None:
        self.queue = queue
        self.queues: Sequence[ReliableQueue] = (queue,)
        self.pace = pace
        self.metrics = metrics
        self.waiting: set[gevent.Greenlet] = set()
        self._lanes = lanes
        self._wait_seconds = wait_seconds
        self._one_claims = BoundedSemaphore(1)

    @abstractmethod
    def process(self, batch: Batch) -> Settlement:
        """What follows from the batch. Raises StoppingError when told to stop before that is known."""

    @abstractmethod
    def claim_batch(self) -> Batch | None:
        """The next batch, from a queue that is known to hold messages; None when there is none after all."""

    def prepare(self) -> None:
        """Whatever must be there before the first batch is claimed."""

    def reload(self) -> None:
        """Whatever SIGHUP asks for."""

    def loops(self) -> Sequence[Callable[[], None]]:
        return [self.run] * self._lanes

    def run(self) -> None:
        """One lane."""
        while not self.pace.stopping.is_set():
            if batch := self.claim():
                with self.pace.in_hand(), self._counted_in_hand(len(batch.messages)):
                    self.work_on(batch)

    def claim(self) -> Batch | None:
        """The next batch, or None when there was nothing to claim for a while."""
        try:
            with self._turn_to_claim():
                batch = self.claim_batch() if self._queue_has_messages() else None
        except StoppingError:
            return None
        return batch if batch and batch.messages else None

    def work_on(self, batch: Batch) -> None:
        """Processes and settles the batch; whatever happens, its messages stay somewhere."""
        try:
            self.settle(batch, self.process(batch))
        except StoppingError:
            self._give_back(lambda: self.queue.release(batch))
        except Exception:
            # The only broad except: whatever is wrong with these messages must not stop the others. They go back and
            # their returns are counted, so that the guilty one ends as a dead letter.
            log.exception("failed; the batch goes back to the queue", messages=len(batch.messages))
            self._give_back(lambda: self._abandon(batch))
            gevent.sleep(0.1)

    def settle(self, batch: Batch, settlement: Settlement) -> None:
        outcome = self.pace.until_possible(lambda: self.queue.settle(batch, settlement), SETTLE_GRACE_SECONDS)
        if outcome is Settled.FENCED:
            self.metrics.fenced.inc()
            log.warning("fenced: the batch was given back while it was in hand", messages=len(batch.messages))
        else:
            self.settled(settlement)

    def settled(self, settlement: Settlement) -> None:
        """Told of every batch that was settled by us."""

    def claim_messages(self, most: int) -> Batch:
        """Up to ``most`` messages, through outages: asked again after a lost reply it is the same batch."""
        batch_id = self.queue.new_batch_id()
        return self.pace.until_possible(lambda: self.queue.claim(batch_id, most))

    @contextmanager
    def _turn_to_claim(self) -> Iterator[None]:
        """One lane at a time asks for messages; the others wait behind it."""
        with self._may_be_cut_short():
            self._one_claims.acquire()
        try:
            yield
        finally:
            self._one_claims.release()

    def _queue_has_messages(self) -> bool:
        with self._may_be_cut_short():
            found = self.pace.until_possible(lambda: self.queue.wait(self._wait_seconds))
        return found and not self.pace.stopping.is_set()

    @contextmanager
    def _may_be_cut_short(self) -> Iterator[None]:
        """While in here nothing is in hand: when we are told to stop, this greenlet may simply be ended."""
        greenlet = gevent.getcurrent()
        self.waiting.add(greenlet)
        try:
            yield
        finally:
            self.waiting.discard(greenlet)

    @contextmanager
    def _counted_in_hand(self, messages: int) -> Iterator[None]:
        self.metrics.processing_depth.inc(messages)
        try:
            yield
        finally:
            self.metrics.processing_depth.dec(messages)

    def _abandon(self, batch: Batch) -> None:
        self.metrics.dead_letters.labels(Reason.KILLED_ITS_WORKER).inc(self.queue.abandon(batch))

    def _give_back(self, work: Callable[[], object]) -> None:
        """Tries until it works: while we live nobody else may touch the batch. Once we stop the janitor does it."""
        try:
            self.pace.until_possible(work)
        except StoppingError:
            log.warning("could not give the batch back before stopping; another process's janitor will")
