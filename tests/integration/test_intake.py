"""PUSH: a batch of events is in the queue as a whole, or not at all."""

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
import redis

from mutt.errors import OutageError, Reason, UnknownOutcomeError
from mutt.queues.intake import Intake
from mutt.redisdb import keys
from tests.support.queues import ALERTER, numbered, oldest_first
from tests.support.redis_server import PASSWORD, PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]


def an_intake(client: redis.Redis, most: int | Callable[[], int] = 1000, dead_letters: int = 100) -> Intake:
    return Intake(client, ALERTER.queue, most if callable(most) else lambda: most, dead_letters)


def minute_counts(client: redis.Redis) -> int:
    """Events counted in all minutes: a test may run across the end of one."""
    return sum(int(client.get(key) or 0) for key in client.scan_iter("mutt:metrics:ingest:minute:*"))


def test_a_batch_is_queued_behind_what_waits_and_counted(queue_client: redis.Redis) -> None:
    intake = an_intake(queue_client)
    assert intake.push([b"a", b"b"]) == 2
    assert intake.push([b"c"], [b"letter"]) == 3
    assert oldest_first(queue_client) == [b"a", b"b", b"c"]
    assert oldest_first(queue_client, keys.DLQ_INGEST) == [b"letter"]
    assert queue_client.get(keys.METRICS_INGEST_TOTAL) == b"3"
    assert minute_counts(queue_client) == 3


def test_the_counter_of_a_minute_is_named_for_it_and_expires_after_a_day(queue_client: redis.Redis) -> None:
    before = int(time.time()) // 60
    an_intake(queue_client).push([b"a"])
    an_intake(queue_client).push([b"b"])
    counted = list(queue_client.scan_iter("mutt:metrics:ingest:minute:*"))
    assert set(counted) <= {keys.metrics_ingest_minute(minute).encode() for minute in (before, before + 1)}
    assert all(86_400 < queue_client.ttl(key) <= 90_000 for key in counted)


def test_a_batch_that_just_fits_and_one_that_does_not(queue_client: redis.Redis) -> None:
    intake = an_intake(queue_client, most=5)
    intake.push(numbered(3))
    with pytest.raises(OutageError) as caught:
        intake.push([b"x", b"y", b"z"], [b"letter"])
    assert caught.value.reason is Reason.QUEUE_FULL
    assert "3 events" in str(caught.value)
    assert oldest_first(queue_client) == numbered(3)
    assert queue_client.exists(keys.DLQ_INGEST) == 0
    assert queue_client.get(keys.METRICS_INGEST_TOTAL) == b"3"
    assert intake.push([b"x", b"y"]) == 5


def test_the_cap_is_asked_for_at_every_push(queue_client: redis.Redis) -> None:
    caps = [1]
    intake = an_intake(queue_client, lambda: caps[0])
    intake.push([b"a"])
    with pytest.raises(OutageError):
        intake.push([b"b"])
    caps[0] = 2
    assert intake.push([b"b"]) == 2


def test_dead_letters_alone_are_taken_even_when_the_queue_is_full(queue_client: redis.Redis) -> None:
    intake = an_intake(queue_client, most=1)
    intake.push([b"a"])
    assert intake.push([], [b"letter"]) == 1
    assert queue_client.llen(keys.DLQ_INGEST) == 1
    assert minute_counts(queue_client) == 1


def test_nothing_at_all(queue_client: redis.Redis) -> None:
    assert an_intake(queue_client).push([]) == 0
    assert queue_client.keys() == []


def test_full_dead_letters_are_dropped_where_the_source_is_told(queue_client: redis.Redis) -> None:
    intake = an_intake(queue_client, dead_letters=3)
    intake.push([b"a"], [b"l0", b"l1"])
    assert intake.push([b"b"], [b"l2", b"l3"]) == 2
    assert oldest_first(queue_client, keys.DLQ_INGEST) == [b"l0", b"l1", b"l2"]
    assert intake.push([b"c"], [b"l4"]) == 3
    assert queue_client.llen(keys.DLQ_INGEST) == 3


def test_full_dead_letters_refuse_the_batch_where_the_source_is_not_told(queue_client: redis.Redis) -> None:
    intake = an_intake(queue_client, dead_letters=3)
    intake.push([], [b"l0", b"l1"], strict=True)
    with pytest.raises(OutageError) as caught:
        intake.push([b"a"], [b"l2", b"l3"], strict=True)
    assert caught.value.reason is Reason.DEAD_LETTERS_FULL
    assert queue_client.llen(ALERTER.queue) == 0
    assert queue_client.llen(keys.DLQ_INGEST) == 2
    assert intake.push([b"a"], [b"l2"], strict=True) == 1
    assert intake.push([b"b"], strict=True) == 2


def test_a_lowered_limit_of_dead_letters_drops_none_that_are_kept(queue_client: redis.Redis) -> None:
    an_intake(queue_client).push([], [b"l0", b"l1", b"l2"])
    assert an_intake(queue_client, dead_letters=1).push([b"a"], [b"l3"]) == 1
    assert queue_client.llen(keys.DLQ_INGEST) == 3


def test_more_than_unpack_takes(queue_client: redis.Redis) -> None:
    events, letters = numbered(20_001), numbered(9001, "l")
    assert an_intake(queue_client, 100_000, 100_000).push(events, letters) == 20_001
    assert oldest_first(queue_client) == events
    assert oldest_first(queue_client, keys.DLQ_INGEST) == letters


def test_the_cap_holds_with_many_ingest_processes(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    def push_often(name: str) -> int:
        accepted = 0
        with queue_server.mutt_client() as client:
            for number in range(30):
                try:
                    an_intake(client, most=500).push([f"{name}-{number}-{each}".encode() for each in range(7)])
                except OutageError:
                    continue
                accepted += 7
        return accepted

    pushing = [gevent.spawn(push_often, name) for name in "abcdef"]
    gevent.joinall(pushing, timeout=30, raise_error=True)
    accepted = sum(each.value for each in pushing)
    assert accepted == 497  # 71 whole batches of 7; one more would be 504.
    assert len(set(oldest_first(queue_client))) == accepted
    assert int(queue_client.get(keys.METRICS_INGEST_TOTAL)) == accepted == minute_counts(queue_client)


# --- waiting for replicas --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def replica() -> Iterator[PrivateRedis]:
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


def test_a_batch_is_accepted_once_the_replica_has_it(
    redis_server: PrivateRedis, redis_client: redis.Redis, replica: PrivateRedis
) -> None:
    redis_client.config_set("repl-diskless-sync-delay", 0)
    with replica.client() as follower:
        follower.config_set("masterauth", PASSWORD)
        follower.replicaof("127.0.0.1", redis_server.port)
        wait_until(lambda: follower.info("replication").get("master_link_status") == "up", "replication")
        try:
            intake = Intake(redis_client, ALERTER.queue, lambda: 100, 100, wait_replicas=1)
            for number in range(1, 4):
                assert intake.push([b"x"]) == number
                assert follower.llen(ALERTER.queue) == number
        finally:
            follower.replicaof("NO", "ONE")


def test_without_enough_replicas_the_outcome_is_unknown_and_the_events_are_there(redis_client: redis.Redis) -> None:
    with pytest.raises(UnknownOutcomeError, match="0 of 1 replicas"):
        Intake(redis_client, ALERTER.queue, lambda: 100, 100, wait_replicas=1).push([b"x"])
    assert oldest_first(redis_client) == [b"x"]
