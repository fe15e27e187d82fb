"""Replies that get lost between Redis and a worker: asking again strands nothing and does nothing twice."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import gevent
import pytest
import redis

from mutt.errors import OutageError, UnknownOutcomeError
from mutt.moogsoft.permit import Gatekeeper
from mutt.queues import janitor
from mutt.queues.intake import Intake
from mutt.queues.reliable import ReliableQueue, Settled
from mutt.queues.retry import promote
from mutt.redisdb import scripts
from mutt.redisdb.client import connect
from mutt.settings import RedisSettings, WebhookSettings
from tests.support.proxy import TcpProxy
from tests.support.queues import ALERTER, ALERTS, a_queue, die, in_hand, numbered, oldest_first, put, settlement
from tests.support.redis_server import PASSWORD, FixedCredentials, PrivateRedis
from tests.support.waiting import wait_until

T = TypeVar("T")


@pytest.fixture
def proxy(redis_server: PrivateRedis, redis_client: redis.Redis) -> Iterator[TcpProxy]:
    """A way to the (empty) Redis that can be disturbed."""
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def queue(proxy: TcpProxy, redis_client: redis.Redis) -> Iterator[ReliableQueue]:
    """A queue on the other side of the proxy, at a Redis that knows the scripts: EVALSHA is the call that matters."""
    for script in (scripts.PUSH, scripts.CLAIM, scripts.SETTLE, scripts.JANITOR, scripts.PROMOTE, scripts.PERMIT):
        redis_client.script_load(script.text)
    settings = RedisSettings(host="127.0.0.1", port=proxy.port, tls_enabled=False)
    client = connect(settings, FixedCredentials(REDIS_PASS_CURRENT=PASSWORD), "tests")
    yield a_queue(client)
    client.close()


def until_answered(work: Callable[[], T]) -> T:
    """As the workers do it: the same again after an outage."""
    while True:
        try:
            return work()
        except OutageError:
            gevent.sleep(0.01)


def test_a_claim_that_is_repeated_gets_what_was_claimed(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    put(redis_client, numbered(5))
    proxy.drop_next_reply(b"EVALSHA", count=3)
    for _ in range(3):
        with pytest.raises(UnknownOutcomeError):
            queue.claim("1", 2)
    assert in_hand(redis_client, queue, "1") == numbered(2)
    assert queue.claim("1", 2).messages == numbered(2)
    assert oldest_first(redis_client) == numbered(5)[2:]


def test_a_settlement_that_is_repeated_is_done_once(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    put(redis_client, numbered(2))
    batch = queue.claim("1", 2)
    follows = settlement(push=[b"alert"], give_back=[b"m1"])
    proxy.drop_next_reply(b"EVALSHA", count=2)
    for _ in range(2):
        with pytest.raises(UnknownOutcomeError):
            queue.settle(batch, follows)
    assert queue.settle(batch, follows) is Settled.ALREADY
    assert oldest_first(redis_client, ALERTS) == [b"alert"]
    assert oldest_first(redis_client) == [b"m1"]


def test_a_settlement_that_did_not_arrive_is_done_when_it_is_repeated(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    put(redis_client, numbered(3000))
    batch = queue.claim("1", 3000)
    follows = settlement(push=batch.messages)
    proxy.drop_next_request(b"EVALSHA")
    with pytest.raises(UnknownOutcomeError):
        queue.settle(batch, follows)
    assert redis_client.llen(ALERTS) == 0
    assert queue.settle(batch, follows) is Settled.SETTLED
    assert oldest_first(redis_client, ALERTS) == numbered(3000)


def test_the_replies_to_the_janitor_and_to_promote_may_be_lost(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    put(redis_client, numbered(4))
    dead = a_queue(redis_client, "dead")
    dead.claim("1", 3)
    die(dead)
    redis_client.zadd(ALERTER.retry, {b"retry": 1})
    proxy.drop_next_reply(b"EVALSHA")
    with pytest.raises(UnknownOutcomeError):
        janitor.sweep(queue)
    assert janitor.sweep(queue) == (0, 0)
    proxy.drop_next_reply(b"EVALSHA")
    with pytest.raises(UnknownOutcomeError):
        promote(queue.client, ALERTER)
    assert promote(queue.client, ALERTER).moved == 0
    assert oldest_first(redis_client) == [b"retry", *numbered(4)]


def test_a_push_whose_reply_is_lost_says_that_it_does_not_know(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    intake = Intake(queue.client, ALERTER.queue, lambda: 100, 100)
    proxy.drop_next_reply(b"EVALSHA")
    with pytest.raises(UnknownOutcomeError):
        intake.push(numbered(2))
    assert oldest_first(redis_client) == numbered(2)


def test_a_lost_permit_is_only_a_permit_less(proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis) -> None:
    gatekeeper = Gatekeeper(queue.client, WebhookSettings(rate_period_seconds=60), lambda: 3)
    proxy.drop_next_reply(b"EVALSHA")
    with pytest.raises(UnknownOutcomeError):
        gatekeeper.ask()
    assert [gatekeeper.ask().granted for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("lost", ["reply", "request"])
@pytest.mark.parametrize("number", range(8))
def test_whichever_is_lost_every_message_ends_once(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis, lost: str, number: int
) -> None:
    """Loses the n-th request or reply of a worker's life, connecting included, and two later ones."""
    put(redis_client, numbered(20))
    redis_client.script_flush()
    drop = proxy.drop_next_reply if lost == "reply" else proxy.drop_next_request
    seen = 0

    def counted(work: Callable[[], T]) -> T:
        nonlocal seen
        if seen in (number, number + 3, number + 5):
            drop()
        seen += 1
        return until_answered(work)

    ended = 0
    while ended < 20:
        counted(lambda: queue.wait(0.1))
        batch_id = queue.new_batch_id()
        batch = counted(lambda batch_id=batch_id: queue.claim(batch_id, 5))
        counted(queue.beat)
        outcome = counted(lambda batch=batch: queue.settle(batch, settlement(push=batch.messages)))
        assert outcome is not Settled.FENCED
        ended += len(batch.messages)
    assert proxy.replies_lost + proxy.requests_lost == 3
    assert oldest_first(redis_client, ALERTS) == numbered(20)
    assert oldest_first(redis_client) == []
    assert not list(redis_client.scan_iter("mutt:processing:*"))


def test_a_worker_that_redis_could_not_hear_for_longer_than_its_lease_is_fenced(
    proxy: TcpProxy, queue: ReliableQueue, redis_client: redis.Redis
) -> None:
    queue.lease_ms = 200
    put(redis_client, numbered(2))
    batch = queue.claim("1", 2)
    proxy.stall()
    settling = gevent.spawn(until_answered, lambda: queue.settle(batch, settlement(push=[b"alert"])))
    other = a_queue(redis_client, "other")
    wait_until(lambda: janitor.sweep(other).returned == 2, "the lease to end", seconds=5)
    proxy.resume()
    assert settling.get(timeout=10) is Settled.FENCED
    assert oldest_first(redis_client) == numbered(2)
    assert oldest_first(redis_client, ALERTS) == []
