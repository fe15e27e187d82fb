"""JANITOR: what dead processes had in hand goes back in its order, and what kills every worker is buried."""

from datetime import UTC, datetime

import pytest
import redis

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.queues import janitor
from mutt.queues.janitor import Swept
from mutt.queues.reliable import Settled, Settlement
from tests.support.queues import ALERTER, a_queue, die, in_hand, numbered, oldest_first, put, settlement

pytest_plugins = ["tests.support.queue_servers"]


def letters(client: redis.Redis) -> list[DeadLetter]:
    """The dead letters, oldest first, every one of them readable."""
    read = [dead_letter.exhume(record) for record in oldest_first(client, ALERTER.dead_letters)]
    assert None not in read, client.lrange(ALERTER.dead_letters, 0, -1)
    return [letter for letter in read if letter]


def kill_workers(client: redis.Redis, times: int, most: int = 10) -> list[list[bytes]]:
    """Has ``times`` workers claim and die, one after another; returns what each had claimed."""
    claimed = []
    for _ in range(times):
        dead = a_queue(client, "dead")
        claimed.append(dead.claim("1", most).messages)
        die(dead)
        janitor.sweep(a_queue(client, "janitor"))
    return claimed


def test_the_living_keep_what_they_have(queue_client: redis.Redis) -> None:
    living, other = a_queue(queue_client, "living"), a_queue(queue_client, "other")
    put(queue_client, numbered(4))
    batch = living.claim("1", 2)
    assert janitor.sweep(other) == Swept(0, 0)
    assert oldest_first(queue_client) == [b"m2", b"m3"]
    assert living.settle(batch, Settlement()) is Settled.SETTLED


def test_a_process_leaves_its_own_batches_alone(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(2))
    queue.claim("1", 2)
    die(queue)
    assert janitor.sweep(queue) == Swept(0, 0)
    assert in_hand(queue_client, queue, "1") == numbered(2)


def test_all_batches_of_the_dead_go_back_to_the_old_end_in_their_order(queue_client: redis.Redis) -> None:
    dead, living, other = (a_queue(queue_client, pod) for pod in ("dead", "living", "other"))
    put(queue_client, numbered(9))
    dead.claim("1", 3)
    living.claim("1", 2)
    dead.claim("2", 2)
    die(dead)
    assert janitor.sweep(other) == Swept(5, 0)
    back = oldest_first(queue_client)
    # Which batch comes first is the janitor's choice; inside a batch, and against newer messages, order holds.
    assert back in (
        [b"m0", b"m1", b"m2", b"m5", b"m6", b"m7", b"m8"],
        [b"m5", b"m6", b"m0", b"m1", b"m2", b"m7", b"m8"],
    )
    assert janitor.sweep(other) == Swept(0, 0)


def test_a_batch_larger_than_what_unpack_takes(queue_client: redis.Redis) -> None:
    dead = a_queue(queue_client, "dead")
    put(queue_client, numbered(20_000))
    dead.claim("1", 20_000)
    die(dead)
    assert janitor.sweep(a_queue(queue_client)) == Swept(20_000, 0)
    assert oldest_first(queue_client) == numbered(20_000)
    assert queue_client.hlen(ALERTER.attempts) == 20_000


def test_other_services_are_not_swept(queue_client: redis.Redis) -> None:
    queue_client.rpush("mutt:processing:moog:host-9:1", b"alert")
    assert janitor.sweep(a_queue(queue_client)) == Swept(0, 0)


@pytest.mark.parametrize("key", ["mutt:processing:alerter:pod-crashed", "mutt:processing:alerter:host-1-77-ab12cd34:5"])
def test_a_list_that_was_just_left_behind(queue_client: redis.Redis, key: str) -> None:
    """The first is how older releases named it: without a batch."""
    queue_client.rpush(key, b"m0", b"m1")
    put(queue_client, [b"m2"])
    assert janitor.sweep(a_queue(queue_client)) == Swept(2, 0)
    assert oldest_first(queue_client) == numbered(3)


def test_a_list_without_a_batch_stays_while_its_process_lives(queue_client: redis.Redis) -> None:
    queue_client.rpush("mutt:processing:alerter:pod-alive", b"m0")
    queue_client.set("mutt:heartbeat:alerter:pod-alive", "1", px=30_000)
    assert janitor.sweep(a_queue(queue_client)) == Swept(0, 0)


def test_the_message_that_kills_its_worker_three_times_is_buried_alone(queue_client: redis.Redis) -> None:
    put(queue_client, [b'{"n":0}', b'{"n":1}', b'{"n":2}'])
    claimed = kill_workers(queue_client, 3)
    assert [len(messages) for messages in claimed] == [3, 3, 1]
    [letter] = letters(queue_client)
    assert letter.payload == {"n": 0}
    assert (letter.reason, letter.service, letter.attempts) == (Reason.KILLED_ITS_WORKER, "alerter", 3)
    assert "its worker died" in letter.error
    assert abs((datetime.now(UTC) - letter.failed_at).total_seconds()) < 60
    assert oldest_first(queue_client) == [b'{"n":1}', b'{"n":2}']
    # The others are suspects still, and pass alone; nothing is remembered of any of them afterwards.
    queue = a_queue(queue_client)
    for number in (1, 2):
        batch = queue.claim(str(number), 10)
        assert batch.messages == [b'{"n":%d}' % number]
        queue.settle(batch, Settlement())
    assert queue_client.exists(ALERTER.attempts) == 0


def test_abandoning_counts_like_dying(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, [b'{"n":0}', b'{"n":1}'])
    for number, handed_out in enumerate((2, 2, 1)):
        batch = queue.claim(str(number), 10)
        assert len(batch.messages) == handed_out
        queue.abandon(batch)
        assert queue.settle(batch, settlement(push=[b"x"])) is Settled.FENCED
    assert [letter.payload for letter in letters(queue_client)] == [{"n": 0}]
    assert oldest_first(queue_client) == [b'{"n":1}']


READABLE = {
    "object": b'{"message":"a \\u00fc \xc3\xbc", "n": 1.5e3, "list":[null,true]}',
    "spaces": b' {"a" : 1}\n',
    "big number": b'{"n":12345678901234567890123}',
    "array": b"[1,2]",
    "string": b'"text"',
    "text": b"not JSON at all",
    "empty": b"",
    "cut": b'{"message":"cut he',
    "quotes": b'say "hello" \\ / \t\r\n\x00\x1f\x7f',
    "utf-8": "größer 好".encode(),
    "marks of our own": b'"@"',
    "two documents": b"{}{}",
    "deep": b"[" * 5000 + b"]" * 5000,
    "lone surrogate": b'"\\ud800"',
}
NOT_JSON_YET_LUA_TAKES_IT = {
    "not a number": b'{"n":NaN}',
    "infinite": b"[-Infinity]",
    "hexadecimal": b'{"n":0x10}',
    "out of range": b'{"n":1e999}',
    "latin-1 text": b"gr\xf6\xdfer",
    "latin-1 in JSON": b'{"message":"gr\xf6\xdfer"}',
    "as deep as Lua goes": b"[" * 999 + b"]" * 999,
}


@pytest.mark.parametrize("name", READABLE)
def test_a_buried_message_can_be_read_whatever_it_is(queue_client: redis.Redis, name: str) -> None:
    message = READABLE[name]
    put(queue_client, [message])
    kill_workers(queue_client, 3)
    [letter] = letters(queue_client)
    assert letter.payload == as_python_buries_it(message)


def as_python_buries_it(message: bytes) -> object:
    record = dead_letter.bury(message, Reason.KILLED_ITS_WORKER, "", "alerter", datetime.now(UTC))
    letter = dead_letter.exhume(record)
    assert letter
    return letter.payload


@pytest.mark.parametrize("name", NOT_JSON_YET_LUA_TAKES_IT)
def test_a_buried_message_that_is_almost_json_can_be_read(queue_client: redis.Redis, name: str) -> None:
    put(queue_client, [NOT_JSON_YET_LUA_TAKES_IT[name]])
    kill_workers(queue_client, 3)
    [letter] = letters(queue_client)
    assert letter.reason == Reason.KILLED_ITS_WORKER


def test_counts_of_returns_do_not_stay_for_ever(queue_client: redis.Redis) -> None:
    put(queue_client, numbered(1))
    kill_workers(queue_client, 1)
    assert 86_000 < queue_client.ttl(ALERTER.attempts) <= 86_400


def test_equal_messages_share_no_fate(queue_client: redis.Redis) -> None:
    """Events differ by their event_id; whatever else lies in the queue must not be buried at its first return."""
    put(queue_client, [b"same"] * 4)
    kill_workers(queue_client, 1)
    assert oldest_first(queue_client) == [b"same"] * 4
    assert oldest_first(queue_client, ALERTER.dead_letters) == []
