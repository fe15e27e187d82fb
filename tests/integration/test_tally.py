"""Counters by the hour: nothing asked of Redis when counting, nothing lost while it is away."""

import pytest
import redis

from mutt.errors import OutageError
from mutt.redisdb.tally import KEPT_SECONDS, Tally, counted_by_hour, hour_of
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 3600


def test_what_was_counted_is_added_up_over_processes_and_hours(
    redis_server: PrivateRedis, redis_client: redis.Redis
) -> None:
    now = [NOON]
    client = redis_server.mutt_client()
    first, second = Tally(client, lambda: now[0]), Tally(client, lambda: now[0])
    first.add("x", 3)
    second.add("x")
    now[0] += 3600
    first.add("x")
    first.add("y", 5)
    assert redis_client.keys("*") == []
    first.flush()
    second.flush()
    first.flush()
    hour = hour_of(NOON)
    assert counted_by_hour(client, "x", [hour + 1, hour, hour - 1]) == [1, 4, 0]
    assert counted_by_hour(client, "y", [hour + 1]) == [5]
    assert redis_client.ttl(f"mutt:metrics:x:{hour}") == pytest.approx(KEPT_SECONDS, abs=5)


def test_it_hands_over_by_itself_and_what_is_left_at_the_end(
    redis_server: PrivateRedis, redis_client: redis.Redis
) -> None:
    client = redis_server.mutt_client()
    tally = Tally(client, lambda: NOON)
    tally.start()
    tally.add("x")
    wait_until(lambda: counted_by_hour(client, "x", [hour_of(NOON)]) == [1], "the count", seconds=5)
    tally.add("x")
    tally.stop()
    assert counted_by_hour(client, "x", [hour_of(NOON)]) == [2]


def test_what_happens_while_redis_is_away_counts_for_its_own_hour() -> None:
    server = PrivateRedis()
    server.start()
    client = server.mutt_client()
    now = [NOON]
    tally = Tally(client, lambda: now[0])
    try:
        tally.add("x")
        tally.flush()
        server.kill()
        for _ in range(2):
            tally.add("x")
            with pytest.raises(OutageError):
                tally.flush()
            now[0] += 3600
        server.start()
        tally.flush()
        hour = hour_of(NOON)
        assert counted_by_hour(client, "x", [hour, hour + 1, hour + 2]) == [2, 1, 0]
    finally:
        client.close()
        server.stop()
