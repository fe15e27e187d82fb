"""SHED: while the alert queue is too deep, events wait among the dead letters instead of being worked on."""

import gevent
import pytest
import redis

from mutt.errors import Reason
from mutt.events import dead_letter
from mutt.queues.backpressure import MOST_AT_ONCE, Backpressure, Mode
from mutt.redisdb import keys
from mutt.redisdb.dynamic_config import DynamicConfig
from tests.support.queues import ALERTER, ALERTS, a_queue, numbered, oldest_first, put
from tests.support.redis_server import PrivateRedis

pytest_plugins = ["tests.support.queue_servers"]


def backpressure(client: redis.Redis, **dynamic: object) -> Backpressure:
    for name, value in {"alerter_queue_warn_threshold": 3, "alerter_queue_shed_threshold": 5, **dynamic}.items():
        client.set(keys.config(name), str(value))
    config = DynamicConfig(client, enabled=True)
    config.refresh()
    return Backpressure(a_queue(client), ALERTS, config)


@pytest.mark.parametrize(("depth", "warn", "shed"), [(0, False, False), (2, False, False), (3, True, False)])
def test_below_the_threshold_nothing_is_moved(queue_client: redis.Redis, depth: int, warn: bool, shed: bool) -> None:
    put(queue_client, numbered(depth), ALERTS)
    put(queue_client, numbered(4))
    pressure = backpressure(queue_client).look()
    assert (pressure.depth, pressure.warn, pressure.shed, pressure.parked) == (depth, warn, shed, 0)
    assert oldest_first(queue_client) == numbered(4)


def test_at_the_threshold_the_oldest_events_are_parked_in_their_order(queue_client: redis.Redis) -> None:
    put(queue_client, numbered(5), ALERTS)
    events = [b'{"n":%d}' % number for number in range(MOST_AT_ONCE + 2)]
    put(queue_client, events)
    pressure = backpressure(queue_client).look()
    assert (pressure.depth, pressure.warn, pressure.shed, pressure.parked) == (5, True, True, MOST_AT_ONCE)
    assert oldest_first(queue_client) == events[MOST_AT_ONCE:]
    letters = [dead_letter.exhume(record) for record in oldest_first(queue_client, ALERTER.dead_letters)]
    assert [letter.payload["n"] for letter in letters if letter] == list(range(MOST_AT_ONCE))
    assert {(letter.reason, letter.attempts) for letter in letters if letter} == {(Reason.SHED, 0)}


def test_an_empty_ingest_queue_has_nothing_to_park(queue_client: redis.Redis) -> None:
    put(queue_client, numbered(5), ALERTS)
    pressure = backpressure(queue_client).look()
    assert (pressure.shed, pressure.parked) == (True, 0)
    assert not queue_client.exists(ALERTER.dead_letters)


def test_in_mode_defer_events_stay_where_they_are(queue_client: redis.Redis) -> None:
    put(queue_client, numbered(5), ALERTS)
    put(queue_client, numbered(4))
    pressure = backpressure(queue_client, alerter_shed_mode="defer", alerter_defer_sleep_ms=70).look()
    assert (pressure.mode, pressure.shed, pressure.parked, pressure.pause_seconds) == (Mode.DEFER, True, 0, 0.07)
    assert oldest_first(queue_client) == numbered(4)


@pytest.mark.parametrize("event", [b"", b"text", b'{"cut":', b'{"n":NaN}', b"gr\xf6\xdfer", b'{"m":"gr\xf6\xdfer"}'])
def test_whatever_is_parked_can_be_read(queue_client: redis.Redis, event: bytes) -> None:
    put(queue_client, numbered(5), ALERTS)
    put(queue_client, [event])
    assert backpressure(queue_client).look().parked == 1
    [record] = oldest_first(queue_client, ALERTER.dead_letters)
    letter = dead_letter.exhume(record)
    assert letter is not None, record
    assert letter.reason == Reason.SHED


def test_it_works_at_maxmemory(queue_client: redis.Redis) -> None:
    put(queue_client, numbered(5), ALERTS)
    put(queue_client, numbered(4))
    pressure = backpressure(queue_client)
    queue_client.config_set("maxmemory", 1)
    assert pressure.look().parked == 4
    assert queue_client.llen(ALERTER.dead_letters) == 4


def test_many_who_look_at_once_park_every_event_once(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    put(queue_client, numbered(5), ALERTS)
    put(queue_client, numbered(3 * MOST_AT_ONCE))

    def look() -> int:
        parked = 0
        with queue_server.mutt_client() as client:
            # One look may find that another was quicker with the events it had seen; it looks again.
            while client.llen(ALERTER.queue):
                parked += backpressure(client).look().parked
        return parked

    looks = [gevent.spawn(look) for _ in range(5)]
    gevent.joinall(looks, timeout=20, raise_error=True)
    assert sum(each.value for each in looks) == 3 * MOST_AT_ONCE
    letters = [dead_letter.exhume(record) for record in oldest_first(queue_client, ALERTER.dead_letters)]
    assert [str(letter.payload).encode() for letter in letters if letter] == numbered(3 * MOST_AT_ONCE)
