"""The counters of unmatched events, and the one meta-alert that each raises, as parts of SETTLE."""

from collections.abc import Sequence
from datetime import UTC, datetime

import gevent
import redis

from mutt.events import alert
from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.queues.reliable import Settled, Settlement, UnhandledCounts
from mutt.redisdb import keys
from mutt.settings import AlerterSettings
from mutt.workers.meta_alerts import MetaAlerts
from tests.support.queues import ALERTS, a_queue, numbered, oldest_first, put
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]

PREFIX = "mutt:unhandled"
OTHER, INDEX = keys.unhandled_other(PREFIX), keys.unhandled_index(PREFIX)


def counts(
    amounts: Sequence[tuple[str, int]], threshold: int = 10, expiry_seconds: int = 600, most_patterns: int = 100
) -> UnhandledCounts:
    """Counts by pattern; the meta-alert of a pattern is ``pattern=count``."""
    return UnhandledCounts(
        other=OTHER,
        index=INDEX,
        alert_queue=ALERTS,
        threshold=threshold,
        expiry_seconds=expiry_seconds,
        most_patterns=most_patterns,
        other_alert=(b"other=", b";"),
        patterns=[
            (keys.unhandled(PREFIX, pattern), amount, (f"{pattern}=".encode(), b";")) for pattern, amount in amounts
        ],
    )


def settle(client: redis.Redis, what: UnhandledCounts) -> Settled:
    """Settles a batch of one message from which nothing follows but the counts."""
    queue = a_queue(client)
    put(client, [queue.pod.encode()])
    follows = Settlement()
    follows.unhandled(what)
    return queue.settle(queue.claim("1", 1), follows)


def count_of(client: redis.Redis, pattern: str) -> int:
    return int(client.get(keys.unhandled(PREFIX, pattern)) or 0)


def test_counts_add_up_and_the_threshold_raises_one_alert(queue_client: redis.Redis) -> None:
    for _ in range(2):
        settle(queue_client, counts([("a", 4), ("b", 1)]))
    assert oldest_first(queue_client, ALERTS) == []
    settle(queue_client, counts([("a", 4)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=12;"]
    settle(queue_client, counts([("a", 40), ("b", 7)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=12;"]
    settle(queue_client, counts([("b", 1)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=12;", b"b=10;"]
    assert (count_of(queue_client, "a"), count_of(queue_client, "b")) == (52, 10)


def test_one_batch_alone_may_cross_the_threshold(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("a", 1000)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=1000;"]


def test_a_threshold_of_one(queue_client: redis.Redis) -> None:
    for _ in range(3):
        settle(queue_client, counts([("a", 1)], threshold=1))
    assert oldest_first(queue_client, ALERTS) == [b"a=1;"]


def test_a_repeated_settlement_counts_once(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    batch, follows = queue.claim("1", 1), Settlement()
    follows.unhandled(counts([("a", 10)]))
    assert queue.settle(batch, follows) is Settled.SETTLED
    assert queue.settle(batch, follows) is Settled.ALREADY
    assert count_of(queue_client, "a") == 10
    assert oldest_first(queue_client, ALERTS) == [b"a=10;"]


def test_the_steps_after_the_counters_are_done_too(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    follows = Settlement()
    follows.push(ALERTS, [b"before"])
    follows.unhandled(counts([("a", 1), ("b", 2)]))
    follows.unhandled(counts([]))
    follows.add("counter", 5)
    assert queue.settle(queue.claim("1", 1), follows) is Settled.SETTLED
    assert (count_of(queue_client, "a"), count_of(queue_client, "b")) == (1, 2)
    assert queue_client.get("counter") == b"5"


def test_many_settlers_at_once_cross_each_threshold_exactly_once(
    queue_server: PrivateRedis, queue_client: redis.Redis
) -> None:
    def settle_often() -> None:
        with queue_server.mutt_client() as client:
            for _ in range(40):
                settle(client, counts([("a", 1), ("b", 2), ("c", 3)], threshold=100))

    put(queue_client, [b"x"] * 8 * 40)  # More than enough to claim, whoever takes which.
    gevent.joinall([gevent.spawn(settle_often) for _ in range(8)], raise_error=True)
    assert [count_of(queue_client, pattern) for pattern in "abc"] == [320, 640, 960]
    raised = sorted(each.partition(b"=")[0] for each in oldest_first(queue_client, ALERTS))
    assert raised == [b"a", b"b", b"c"]


def test_a_counter_starts_anew_when_its_window_is_over(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("a", 10)], expiry_seconds=600))
    settle(queue_client, counts([("a", 10)], expiry_seconds=600))
    assert oldest_first(queue_client, ALERTS) == [b"a=10;"]
    assert 590_000 < queue_client.pttl(keys.unhandled(PREFIX, "a")) <= 600_000
    queue_client.pexpire(keys.unhandled(PREFIX, "a"), 10)
    wait_until(lambda: count_of(queue_client, "a") == 0, "the window to end", seconds=5)
    settle(queue_client, counts([("a", 9)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=10;"]
    settle(queue_client, counts([("a", 1)]))
    assert oldest_first(queue_client, ALERTS) == [b"a=10;", b"a=10;"]


def test_counting_does_not_prolong_the_window(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("a", 1)], expiry_seconds=600))
    queue_client.pexpire(keys.unhandled(PREFIX, "a"), 5000)
    settle(queue_client, counts([("a", 1)], expiry_seconds=600))
    assert queue_client.pttl(keys.unhandled(PREFIX, "a")) <= 5000


def test_patterns_beyond_the_limit_count_under_other(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([(f"p{n}", 1) for n in range(5)], most_patterns=3))
    assert [count_of(queue_client, f"p{n}") for n in range(5)] == [1, 1, 1, 0, 0]
    assert queue_client.get(OTHER) == b"2"
    # Known patterns go on counting for themselves; the others share one threshold and one alert.
    settle(queue_client, counts([("p0", 1), ("p7", 5), ("p8", 5)], most_patterns=3))
    assert count_of(queue_client, "p0") == 2
    assert queue_client.get(OTHER) == b"12"
    assert oldest_first(queue_client, ALERTS) == [b"other=12;"]
    assert queue_client.zcard(INDEX) == 3


def test_an_expired_pattern_makes_room_for_another(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("old", 1)], expiry_seconds=2, most_patterns=1))
    settle(queue_client, counts([("new", 1)], most_patterns=1))
    assert count_of(queue_client, "new") == 0
    wait_until(lambda: count_of(queue_client, "old") == 0, "the window to end", seconds=5)
    settle(queue_client, counts([("new", 1)], most_patterns=1))
    assert count_of(queue_client, "new") == 1
    assert queue_client.zrange(INDEX, 0, -1) == [keys.unhandled(PREFIX, "new").encode()]


def test_the_limit_of_ten_thousand_patterns_in_batches_of_thousands(queue_client: redis.Redis) -> None:
    for start in range(0, 12_000, 3000):
        amounts = [(f"p{n}", 1) for n in range(start, start + 3000)]
        settle(queue_client, counts(amounts, threshold=2000, most_patterns=10_000))
    assert queue_client.zcard(INDEX) == 10_000
    assert queue_client.get(OTHER) == b"2000"
    assert oldest_first(queue_client, ALERTS) == [b"other=2000;"]


def test_long_patterns_with_one_beginning_are_told_apart(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("x" * 200 + "a", 1), ("x" * 200 + "b", 2)]))
    assert sorted(int(queue_client.get(key)) for key in queue_client.scan_iter(PREFIX + ":*")) == [1, 2]


def test_the_meta_alert_is_a_readable_alert_that_names_the_count(queue_client: redis.Redis) -> None:
    hostile = 'cannot "count":0 \\"count\\":0 \u2028 }'
    meta = MetaAlerts(AlerterSettings(unhandled_threshold=7), ALERTS)
    for _ in range(2):
        settle(queue_client, meta.counts([(f"syslog {hostile}", an_event(f"{hostile} {n}")) for n in range(4)]))
    [record] = oldest_first(queue_client, ALERTS)
    raised = alert.decode(record)
    assert raised.unhandled == {"pattern": f"syslog {hostile}", "sample": f"{hostile} 3", "count": 8}
    assert (raised.hostname, raised.team_assignment, raised.handling) == ("mutt", "NETO", "Ticket_only")


def an_event(message: str) -> Event:
    own_id, now = IdSource().take(), datetime.now(UTC)
    return Event(own_id, own_id, now, now, "router-1", message, source="syslog")
