"""PROMOTE: retries come back when they are due, and not before."""

import pytest
import redis

from mutt.queues.reliable import ReliableQueue, Settlement
from mutt.queues.retry import MOST_AT_ONCE, Promoted, promote
from tests.support.queues import ALERTER, a_queue, numbered, oldest_first, put
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]


@pytest.fixture
def queue(queue_client: redis.Redis) -> ReliableQueue:
    return a_queue(queue_client)


def delay(queue: ReliableQueue, *waits: tuple[float, bytes]) -> None:
    """Settles a batch whose messages shall wait that many seconds."""
    put(queue.client, [b"batch"])
    batch, follows = queue.claim(queue.new_batch_id(), 1), Settlement()
    follows.delay(ALERTER.retry, waits)
    queue.settle(batch, follows)


def test_nothing_waits(queue: ReliableQueue) -> None:
    assert promote(queue.client, ALERTER) == Promoted(0, None)
    assert queue.client.keys() == []


def test_only_what_is_due_comes_back_and_the_next_is_announced(queue: ReliableQueue) -> None:
    delay(queue, (0, b"due"), (60, b"later"), (600, b"much later"))
    promoted = promote(queue.client, ALERTER)
    assert promoted.moved == 1
    assert promoted.next_seconds == pytest.approx(60, abs=5)
    assert oldest_first(queue.client) == [b"due"]
    assert queue.client.zrange(ALERTER.retry, 0, -1) == [b"later", b"much later"]
    assert promote(queue.client, ALERTER).moved == 0


def test_the_due_come_before_what_was_queued_meanwhile(queue: ReliableQueue) -> None:
    delay(queue, (0, b"retry"))
    put(queue.client, [b"new"])
    promote(queue.client, ALERTER)
    assert oldest_first(queue.client) == [b"retry", b"new"]


def test_a_message_comes_back_when_its_time_is_up(queue: ReliableQueue) -> None:
    delay(queue, (0.3, b"soon"))
    first = promote(queue.client, ALERTER)
    assert first.moved == 0
    assert first.next_seconds is not None
    assert 0 <= first.next_seconds <= 0.3
    wait_until(lambda: promote(queue.client, ALERTER).moved == 1, "the retry to be due", seconds=3)
    assert oldest_first(queue.client) == [b"soon"]


def test_many_come_back_in_portions(queue: ReliableQueue) -> None:
    delay(queue, *((0, message) for message in numbered(MOST_AT_ONCE + 1)))
    assert promote(queue.client, ALERTER) == Promoted(MOST_AT_ONCE, 0.0)
    assert promote(queue.client, ALERTER) == Promoted(1, None)
    assert sorted(oldest_first(queue.client)) == sorted(numbered(MOST_AT_ONCE + 1))


def test_fractions_of_a_second_are_kept(queue: ReliableQueue) -> None:
    delay(queue, (100.25, b"a"), (100.75, b"b"))
    [(_, first), (_, second)] = queue.client.zrange(ALERTER.retry, 0, -1, withscores=True)
    assert second - first == 500
