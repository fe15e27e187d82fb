"""At maxmemory: nothing new comes in, and everything that is in can be worked off."""

import time
from collections.abc import Iterator

import pytest
import redis

from mutt.errors import OutageError, Reason
from mutt.moogsoft.client import Answer, Verdict
from mutt.moogsoft.permit import Gate, Gatekeeper
from mutt.queues import janitor
from mutt.queues.intake import Intake
from mutt.queues.reliable import ReliableQueue, Settled
from mutt.queues.retry import promote
from mutt.redisdb import keys
from mutt.settings import WebhookSettings
from tests.support.queues import ALERTER, ALERTS, a_queue, die, numbered, oldest_first, put, settlement
from tests.support.redis_server import PrivateRedis

pytest_plugins = ["tests.support.queue_servers"]

FAILURE = Answer(Verdict.RETRY, "timeout", "no answer", None, 1.0)


@pytest.fixture
def queue(queue_client: redis.Redis) -> ReliableQueue:
    return a_queue(queue_client)


def fill(client: redis.Redis) -> None:
    """Has Redis be over its maxmemory from here on: one byte is less than it uses when it is empty."""
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("anything", "at all")


def intake(client: redis.Redis) -> Intake:
    return Intake(client, ALERTER.queue, lambda: 1_000_000, 100)


def test_ingest_is_refused_and_says_why(queue_client: redis.Redis) -> None:
    fill(queue_client)
    for events, letters in (([b"event"], []), ([], [b"letter"]), (numbered(3000), [b"letter"])):
        with pytest.raises(OutageError) as caught:
            intake(queue_client).push(events, letters)
        assert caught.value.reason is Reason.REDIS_FULL
    assert queue_client.keys() == []


def test_a_worker_claims_beats_and_settles(queue: ReliableQueue) -> None:
    put(queue.client, numbered(3000))
    fill(queue.client)
    batch = queue.claim("1", 2000)
    assert batch.messages == numbered(2000)
    assert queue.claim("1", 2000) == batch
    assert queue.client.pttl(queue.heartbeat_key) > 0
    die(queue)
    queue.beat()
    assert queue.client.pttl(queue.heartbeat_key) > 0
    follows = settlement(push=numbered(1500, "alert"), bury=[b"letter"], give_back=[b"m7"])
    follows.delay(ALERTER.retry, [(60, b"m8")])
    follows.add("counter", 1)
    assert queue.settle(batch, follows) is Settled.SETTLED
    assert queue.settle(batch, follows) is Settled.ALREADY
    assert queue.client.llen(ALERTS) == 1500
    assert oldest_first(queue.client) == [b"m7", *numbered(3000)[2000:]]
    assert queue.client.zcard(ALERTER.retry) == 1


def test_the_janitor_gives_back_and_buries(queue: ReliableQueue) -> None:
    put(queue.client, numbered(1500))
    dead = a_queue(queue.client, "dead")
    dead.claim("1", 1500)
    die(dead)
    fill(queue.client)
    assert janitor.sweep(queue).returned == 1500
    assert oldest_first(queue.client) == numbered(1500)
    for _ in range(2):
        dead.claim("2", 1)
        die(dead)
        swept = janitor.sweep(queue)
    assert swept.buried == 1
    assert queue.client.llen(ALERTER.dead_letters) == 1


def test_retries_come_back(queue: ReliableQueue) -> None:
    queue.client.zadd(ALERTER.retry, {b"m0": 1, b"m1": 2})
    fill(queue.client)
    assert promote(queue.client, ALERTER).moved == 2
    assert sorted(oldest_first(queue.client)) == numbered(2)


def test_permits_are_given_and_the_circuit_works(queue_client: redis.Redis) -> None:
    fill(queue_client)
    gatekeeper = Gatekeeper(queue_client, WebhookSettings(rate_limit=100), lambda: 100)
    for _ in range(5):
        permit = gatekeeper.ask()
        assert permit.gate is Gate.GO
        gatekeeper.record(permit, FAILURE)
    assert gatekeeper.ask().gate is Gate.OPEN
    opened_at = float(queue_client.get(keys.CIRCUIT_OPENED_AT))
    queue_client.config_set("maxmemory", 0)
    queue_client.set(keys.CIRCUIT_OPENED_AT, opened_at - 61)
    fill(queue_client)
    probe = gatekeeper.ask()
    assert probe.gate is Gate.PROBE
    assert gatekeeper.ask().gate is Gate.OPEN
    gatekeeper.record(probe, Answer(Verdict.DELIVERED, "", "", 200, 0.1))
    assert gatekeeper.ask().gate is Gate.GO
    held = Answer(Verdict.RETRY, "too_many_requests", "", 429, 0.1, hold_seconds=30)
    gatekeeper.record(gatekeeper.ask(), held)
    assert gatekeeper.ask().gate is Gate.HELD


def test_wait_sees_the_messages_and_leaves_them_alone(queue: ReliableQueue) -> None:
    put(queue.client, numbered(3))
    fill(queue.client)
    assert queue.wait(1) is True
    assert oldest_first(queue.client) == numbered(3)


def test_wait_on_an_empty_queue_does_not_return_at_once(queue: ReliableQueue) -> None:
    """A worker asks again as soon as wait() says no: answered at once, it would do nothing but ask."""
    fill(queue.client)
    started = time.monotonic()
    assert queue.wait(0.4) is False
    assert time.monotonic() - started >= 0.1


# --- with memory that really runs out --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_server() -> Iterator[PrivateRedis]:
    server = PrivateRedis(maxmemory="8mb", appendonly="no", **{"maxmemory-policy": "noeviction"})
    server.start()
    yield server
    server.stop()


def push(client: redis.Redis, events: list[bytes]) -> OutageError | None:
    """Why the events were not taken."""
    try:
        intake(client).push(events)
    except OutageError as outage:
        return outage
    return None


def test_a_full_redis_drains_by_itself_and_takes_events_again(small_server: PrivateRedis) -> None:
    client = small_server.mutt_client()
    queue, accepted = a_queue(client), []
    while (outage := push(client, events := [b"%d" % len(accepted) + b"x" * 500 for _ in range(100)])) is None:
        accepted += events
    assert outage.reason is Reason.REDIS_FULL
    assert 1000 < len(accepted) < 100_000
    assert oldest_first(client) == accepted
    alerts = []
    while queue.wait(0.1):
        batch = queue.claim(queue.new_batch_id(), 1000)
        alerts += batch.messages
        assert queue.settle(batch, settlement(push=[b"alert of " + each[:10] for each in batch.messages])) == "SETTLED"
    assert alerts == accepted
    assert client.llen(ALERTS) == len(accepted)
    intake(client).push([b"welcome again"])
    client.close()
