"""The janitor: gives back what dead processes had claimed."""

from typing import NamedTuple

from mutt.queues.reliable import ReliableQueue
from mutt.redisdb import keys
from mutt.redisdb.client import outages


class Swept(NamedTuple):
    """What one sweep found."""

    returned: int
    buried: int


def sweep(queue: ReliableQueue) -> Swept:
    """Gives every batch without a heartbeat back to the queue. Many janitors may sweep at once. Raises OutageError."""
    returned = buried = 0
    for batch_key, pod in _claimed(queue):
        if pod != queue.pod:
            given_back, dead = queue.give_back_if_dead(batch_key, keys.heartbeat(queue.names.heartbeat_prefix, pod))
        elif queue.has_in_hand(batch_key):
            continue
        else:
            given_back, dead = queue.give_back_forgotten(batch_key)
        returned, buried = returned + given_back, buried + dead
    return Swept(returned, buried)


def _claimed(queue: ReliableQueue) -> list[tuple[str, str]]:
    """(key of a batch, pod that claimed it) of every claimed batch."""
    prefix = queue.names.processing_prefix + ":"
    with outages():
        found = [key.decode() for key in queue.client.scan_iter(match=prefix + "*", count=1000)]
    claimed = []
    for key in found:
        rest = key.removeprefix(prefix)
        # A list without a batch suffix is one that an older release left behind.
        pod = rest.rpartition(":")[0] or rest
        claimed.append((key, pod))
    return claimed
