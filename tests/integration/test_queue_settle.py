"""SETTLE: all that follows from a batch happens once, or not at all."""

import redis

from mutt.queues import janitor
from mutt.queues.reliable import DONE_MARKER_MS, Batch, Settled, Settlement
from mutt.redisdb import keys
from tests.support.queues import ALERTER, ALERTS, a_queue, die, in_hand, numbered, oldest_first, put, settlement

pytest_plugins = ["tests.support.queue_servers"]


def test_every_step_happens_together_with_ending_the_batch(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, [*numbered(6), b"not-claimed"])
    put(queue_client, [b"older-alert"], ALERTS)
    batch = queue.claim("1", 6)
    follows = Settlement()
    follows.push(ALERTS, [b"alert-0", b"alert-1"])
    follows.push(ALERTER.dead_letters, [b"letter"])
    follows.give_back(ALERTER.queue, [b"m3", b"m4"])
    follows.delay(ALERTER.retry, [(2.5, b"m5")])
    follows.add("mutt:metrics:alerter:total", 6)
    now_ms = server_ms(queue_client)
    assert queue.settle(batch, follows) is Settled.SETTLED
    assert oldest_first(queue_client, ALERTS) == [b"older-alert", b"alert-0", b"alert-1"]
    assert oldest_first(queue_client, ALERTER.dead_letters) == [b"letter"]
    assert oldest_first(queue_client) == [b"m3", b"m4", b"not-claimed"]
    [(message, due_ms)] = queue_client.zrange(ALERTER.retry, 0, -1, withscores=True)
    assert message == b"m5"
    assert now_ms + 2500 <= due_ms <= server_ms(queue_client) + 2500
    assert queue_client.get("mutt:metrics:alerter:total") == b"6"
    assert in_hand(queue_client, queue, "1") == []


def server_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def test_a_settlement_without_steps_just_ends_the_batch(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(2))
    assert queue.settle(queue.claim("1", 1), Settlement()) is Settled.SETTLED
    assert oldest_first(queue_client) == [b"m1"]


def test_empty_steps_leave_no_trace(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    follows = settlement(push=[], bury=[], give_back=[])
    follows.delay(ALERTER.retry, [])
    follows.add("counter", 0)
    assert queue.settle(queue.claim("1", 1), follows) is Settled.SETTLED
    left = set(queue_client.keys()) - set(queue_client.keys("mutt:done:*"))
    assert left == {queue.heartbeat_key.encode()}


def test_settling_again_says_already_and_does_nothing(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(3))
    batch = queue.claim("1", 2)
    follows = settlement(push=[b"alert"], give_back=[b"m1"])
    follows.add("counter", 2)
    follows.delay(ALERTER.retry, [(0, b"m0")])
    assert queue.settle(batch, follows) is Settled.SETTLED
    for _ in range(3):
        assert queue.settle(batch, follows) is Settled.ALREADY
    assert oldest_first(queue_client, ALERTS) == [b"alert"]
    assert oldest_first(queue_client) == [b"m1", b"m2"]
    assert queue_client.get("counter") == b"2"
    assert queue_client.zcard(ALERTER.retry) == 1


def test_the_done_marker_outlasts_the_repetition_and_then_goes(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    queue.settle(queue.claim("1", 1), Settlement())
    [marker] = queue_client.keys("mutt:done:alerter:*")
    assert marker.decode() == f"mutt:done:alerter:{queue.pod}:1"
    assert DONE_MARKER_MS - 5000 < queue_client.pttl(marker) <= DONE_MARKER_MS


def test_who_lost_the_batch_to_the_janitor_is_fenced_and_does_nothing(queue_client: redis.Redis) -> None:
    late, other = a_queue(queue_client, "late"), a_queue(queue_client, "other")
    put(queue_client, numbered(2))
    batch = late.claim("1", 2)
    die(late)
    assert janitor.sweep(other).returned == 2
    assert late.settle(batch, settlement(push=[b"alert"], give_back=[b"m0"])) is Settled.FENCED
    late.beat()
    assert late.settle(batch, settlement(push=[b"alert"], give_back=[b"m0"])) is Settled.FENCED
    assert oldest_first(queue_client, ALERTS) == []
    assert other.claim("1", 10).messages == numbered(2)


def test_the_fenced_stays_fenced_after_another_has_settled_the_messages(queue_client: redis.Redis) -> None:
    late, other = a_queue(queue_client, "late"), a_queue(queue_client, "other")
    put(queue_client, numbered(1))
    batch = late.claim("1", 1)
    die(late)
    janitor.sweep(other)
    assert other.settle(other.claim("1", 1), settlement(push=[b"alert"])) is Settled.SETTLED
    assert late.settle(batch, settlement(push=[b"alert"])) is Settled.FENCED
    assert oldest_first(queue_client, ALERTS) == [b"alert"]


def test_a_batch_that_never_was_is_fenced(queue_client: redis.Redis) -> None:
    assert a_queue(queue_client).settle(Batch("7", [b"x"]), settlement(push=[b"x"])) is Settled.FENCED
    assert queue_client.keys() == []


def test_many_thousands_of_items_in_every_step(queue_client: redis.Redis) -> None:
    many = numbered(20_000)
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    follows = settlement(push=many, bury=many, give_back=many)
    follows.delay(ALERTER.retry, [(60, message) for message in many])
    for number in range(3000):
        follows.add(f"counter:{number}", number + 1)
    assert queue.settle(queue.claim("1", 1), follows) is Settled.SETTLED
    assert oldest_first(queue_client, ALERTS) == many
    assert oldest_first(queue_client, ALERTER.dead_letters) == many
    assert oldest_first(queue_client) == many
    assert queue_client.zcard(ALERTER.retry) == 20_000
    assert queue_client.get("counter:2999") == b"3000"


def test_settling_forgets_the_returns_of_its_messages_only(queue_client: redis.Redis) -> None:
    dead, queue = a_queue(queue_client, "dead"), a_queue(queue_client)
    put(queue_client, numbered(3))
    dead.claim("1", 3)
    die(dead)
    janitor.sweep(queue)
    assert queue_client.hlen(ALERTER.attempts) == 3
    assert queue.settle(queue.claim("1", 2), Settlement()) is Settled.SETTLED
    assert queue_client.hlen(ALERTER.attempts) == 1


def test_a_released_batch_lies_as_it_lay_before(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(2500))
    assert queue.release(queue.claim("1", 2000)) is Settled.SETTLED
    assert oldest_first(queue_client) == numbered(2500)
    assert queue_client.exists(ALERTER.attempts) == 0


def test_the_names_of_the_keys(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client, "host-1")
    put(queue_client, numbered(1))
    queue.claim("4", 1)
    assert queue.pod.startswith("host-1-")
    assert set(queue_client.keys()) == {
        f"mutt:processing:alerter:{queue.pod}:4".encode(),
        f"mutt:heartbeat:alerter:{queue.pod}".encode(),
    }
    assert keys.attempts(ALERTER.processing_prefix) == "mutt:attempts:alerter"
