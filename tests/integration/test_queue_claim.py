"""CLAIM, HEARTBEAT and wait(): what a worker takes from the queue, and that it takes nothing by looking."""

import time

import gevent
import redis

from mutt.queues import janitor
from mutt.queues.reliable import Settlement
from tests.support.queues import ALERTER, a_queue, die, in_hand, numbered, oldest_first, put
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]


def test_the_oldest_messages_are_claimed_in_their_order(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(5))
    assert queue.claim("1", 3).messages == [b"m0", b"m1", b"m2"]
    assert oldest_first(queue_client) == [b"m3", b"m4"]
    assert queue.claim("2", 3).messages == [b"m3", b"m4"]
    assert queue.claim("3", 3).messages == []
    assert queue.depth() == 0


def test_the_same_batch_id_gets_the_same_batch_whatever_came_since(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(4))
    first = queue.claim("1", 2)
    put(queue_client, [b"later"])
    assert queue.claim("1", 100) == first
    assert queue.claim("1", 1) == first
    assert oldest_first(queue_client) == [b"m2", b"m3", b"later"]


def test_a_batch_larger_than_what_unpack_takes(queue_client: redis.Redis) -> None:
    messages = numbered(20_001)
    queue = a_queue(queue_client)
    put(queue_client, messages)
    assert queue.claim("1", 20_000).messages == messages[:20_000]
    assert in_hand(queue_client, queue, "1") == messages[:20_000]
    assert oldest_first(queue_client) == messages[20_000:]


def test_messages_of_any_bytes_survive(queue_client: redis.Redis) -> None:
    messages = [b"", b"\x00", b"\xff\xfe", b"a\r\nb", "ü".encode() * 40_000]
    queue = a_queue(queue_client)
    put(queue_client, messages)
    assert queue.claim("1", 10).messages == messages


def test_claiming_and_beating_renew_the_lease(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client, lease_seconds=30)
    put(queue_client, numbered(2))
    assert queue_client.exists(queue.heartbeat_key) == 0
    for renew in (lambda: queue.claim("1", 1), lambda: queue.claim("2", 1), queue.beat):
        renew()
        assert 29_000 < queue_client.pttl(queue.heartbeat_key) <= 30_000
        queue_client.pexpire(queue.heartbeat_key, 5000)


def test_an_empty_queue_gives_nothing_and_leaves_nothing(queue_client: redis.Redis) -> None:
    assert a_queue(queue_client).claim("1", 10).messages == []
    assert queue_client.keys() == []


def test_every_start_of_a_process_has_a_name_of_its_own(queue_client: redis.Redis) -> None:
    first, second = a_queue(queue_client, "host:1"), a_queue(queue_client, "host:1")
    assert first.pod != second.pod
    assert ":" not in first.pod


def return_oldest_twice(client: redis.Redis) -> None:
    """Has the oldest message of the queue come back from two dead workers."""
    for _ in range(2):
        dead = a_queue(client, "dead")
        dead.claim("1", 1)
        die(dead)
        assert janitor.sweep(a_queue(client)).returned == 1


def test_a_message_that_came_back_twice_is_handed_out_alone(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(4))
    return_oldest_twice(queue_client)
    assert queue.claim("1", 10).messages == [b"m0"]
    assert queue.claim("2", 10).messages == [b"m1", b"m2", b"m3"]


def test_the_messages_before_a_suspect_are_handed_out_without_it(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, [b"suspect", b"m1"])
    return_oldest_twice(queue_client)
    queue_client.rpush(ALERTER.queue, b"older-2", b"older-1")
    assert queue.claim("1", 10).messages == [b"older-1", b"older-2"]
    assert queue.claim("2", 10).messages == [b"suspect"]
    assert queue.claim("3", 10).messages == [b"m1"]


def test_a_message_that_came_back_once_is_no_suspect(queue_client: redis.Redis) -> None:
    dead, queue = a_queue(queue_client, "dead"), a_queue(queue_client)
    put(queue_client, numbered(3))
    dead.claim("1", 2)
    die(dead)
    janitor.sweep(queue)
    assert queue.claim("1", 10).messages == numbered(3)


def test_a_settled_suspect_is_forgotten(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, [b"suspect"])
    return_oldest_twice(queue_client)
    assert queue_client.hlen(ALERTER.attempts) == 1
    queue.settle(queue.claim("1", 10), Settlement())
    assert queue_client.exists(ALERTER.attempts) == 0


# --- wait() ----------------------------------------------------------------------------------------------------------


def test_wait_sees_messages_at_once_and_changes_nothing(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(5))
    assert all(queue.wait(1) for _ in range(7))
    assert oldest_first(queue_client) == numbered(5)
    assert queue_client.keys() == [ALERTER.queue.encode()]


def test_wait_blocks_until_its_time_is_up(queue_client: redis.Redis) -> None:
    started = time.monotonic()
    assert a_queue(queue_client).wait(0.3) is False
    assert 0.3 <= time.monotonic() - started < 2
    assert queue_client.keys() == []


def test_all_who_wait_see_the_message_as_soon_as_it_comes(
    queue_server: PrivateRedis, queue_client: redis.Redis
) -> None:
    clients = [queue_server.mutt_client() for _ in range(3)]
    started = time.monotonic()
    waiting = [gevent.spawn(a_queue(client).wait, 5) for client in clients]
    wait_until(lambda: queue_client.info("clients")["blocked_clients"] == 3, "three clients to block")
    put(queue_client, numbered(2))
    assert [greenlet.get(timeout=3) for greenlet in waiting] == [True, True, True]
    assert time.monotonic() - started < 3
    assert oldest_first(queue_client) == numbered(2)
    for client in clients:
        client.close()
