"""The counters of unmatched events, and the one meta-alert that each raises, as parts of SETTLE."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import gevent
import redis

from mutt.events import alert, sample
from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.events.sample import Sample
from mutt.queues.reliable import Settled, Settlement, UnhandledCounts, UnmatchedPattern
from mutt.redisdb import keys
from mutt.settings import AlerterSettings
from mutt.workers.meta_alerts import MetaAlerts
from tests.support.queues import ALERTS, a_queue, numbered, oldest_first, put
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]

PREFIX = "mutt:unhandled"
OTHER, INDEX, IGNORED = keys.unhandled_other(PREFIX), keys.unhandled_index(PREFIX), keys.unhandled_ignored(PREFIX)


def counts(
    amounts: Sequence[tuple[str, int]],
    threshold: int = 10,
    expiry_seconds: int = 600,
    most_patterns: int = 100,
    samples: Sequence[bytes] = (),
) -> UnhandledCounts:
    """Counts by pattern; the meta-alert of a pattern is ``pattern=count``."""
    return UnhandledCounts(
        other=OTHER,
        index=INDEX,
        alert_queue=ALERTS,
        ignored=IGNORED,
        threshold=threshold,
        expiry_seconds=expiry_seconds,
        most_patterns=most_patterns,
        other_alert=(b"other=", b";"),
        patterns=[unmatched(pattern, amount, samples) for pattern, amount in amounts],
    )


def unmatched(pattern: str, events: int, samples: Sequence[bytes] = ()) -> UnmatchedPattern:
    alert_halves = (f"{pattern}=".encode(), b";")
    return UnmatchedPattern(
        keys.unhandled(PREFIX, pattern), details_key(pattern), events, alert_halves, pattern, "syslog", samples
    )


def details_key(pattern: str) -> str:
    return keys.unhandled_details(PREFIX, keys.unhandled_id(pattern))


def details(client: redis.Redis, pattern: str) -> dict[str, bytes]:
    return {name.decode(): value for name, value in client.hgetall(details_key(pattern)).items()}


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


# --- details -------------------------------------------------------------------------------------------------------


def test_details_say_what_was_seen_and_when(queue_client: redis.Redis) -> None:
    before = server_ms(queue_client)
    settle(queue_client, counts([("a", 1)], samples=[b"one"]))
    first = details(queue_client, "a")
    assert (first["pattern"], first["source"], first["1"]) == (b"a", b"syslog", b"one")
    assert before <= int(first["first"]) == int(first["last"]) <= server_ms(queue_client)
    wait_until(lambda: server_ms(queue_client) > int(first["last"]), "a millisecond to pass")
    settle(queue_client, counts([("a", 1)], samples=[b"one", b"two"]))
    settle(queue_client, counts([("a", 1)], samples=[b"two", b"three", b"four"]))
    later = details(queue_client, "a")
    assert [later[place] for place in "123"] == [b"one", b"two", b"three"]
    assert later["first"] == first["first"]
    assert int(later["last"]) > int(first["last"])
    assert later.keys() == {"pattern", "source", "first", "last", "1", "2", "3"}


def server_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def test_details_end_with_their_counter_and_start_anew(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("a", 1)], expiry_seconds=600, samples=[b"old"]))
    difference = queue_client.pttl(keys.unhandled(PREFIX, "a")) - queue_client.pttl(details_key("a"))
    assert abs(difference) < 1000
    queue_client.delete(keys.unhandled(PREFIX, "a"))
    settle(queue_client, counts([("a", 1)], expiry_seconds=30, samples=[b"new"]))
    assert details(queue_client, "a")["1"] == b"new"
    assert 0 < queue_client.pttl(details_key("a")) <= 30_000


def test_a_counter_without_details_gets_them_for_the_rest_of_its_window(queue_client: redis.Redis) -> None:
    queue_client.set(keys.unhandled(PREFIX, "a"), 5, px=5000)
    settle(queue_client, counts([("a", 1)], expiry_seconds=600, samples=[b"s"]))
    assert details(queue_client, "a")["1"] == b"s"
    assert 0 < queue_client.pttl(details_key("a")) <= 5000


def test_there_are_no_more_details_than_counters(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([(f"p{n}", 1) for n in range(5)], most_patterns=3, samples=[b"s"]))
    assert len(queue_client.keys(keys.unhandled_details(PREFIX, "*"))) == 3
    assert queue_client.get(OTHER) == b"2"


def test_details_tell_when_the_alert_was_raised(queue_client: redis.Redis) -> None:
    settle(queue_client, counts([("a", 10), ("b", 9)]))
    assert "alerted" in details(queue_client, "a")
    assert "alerted" not in details(queue_client, "b")


def test_an_ignored_pattern_is_counted_and_raises_no_alert(queue_client: redis.Redis) -> None:
    queue_client.hset(IGNORED, keys.unhandled_id("a"), "{}")
    settle(queue_client, counts([("a", 50), ("b", 50)], samples=[b"s"]))
    assert oldest_first(queue_client, ALERTS) == [b"b=50;"]
    assert count_of(queue_client, "a") == 50
    assert details(queue_client, "a")["1"] == b"s"
    assert "alerted" not in details(queue_client, "a")


def test_a_full_redis_takes_counts_details_and_hits(queue_client: redis.Redis) -> None:
    queue = a_queue(queue_client)
    put(queue_client, numbered(1))
    batch, follows = queue.claim("1", 1), Settlement()
    follows.unhandled(counts([("a", 10)], samples=[b"s"]))
    follows.hits({7: 3}, datetime.now(UTC))
    queue_client.config_set("maxmemory", 1)
    assert queue.settle(batch, follows) is Settled.SETTLED
    assert details(queue_client, "a")["1"] == b"s"
    assert oldest_first(queue_client, ALERTS) == [b"a=10;"]
    assert queue_client.hget(keys.RULE_LAST_HIT, 7) is not None


def test_samples_are_of_different_hosts_and_cut(queue_client: redis.Redis) -> None:
    events = [an_event("x" * 600), an_event("y"), an_event("y", "router-2"), an_event("z", "router-3", "1.3.6.1")]
    picked = [sample.decode(each) for each in sample.pick(events)]
    assert picked == [Sample("y", "router-1"), Sample("y", "router-2"), Sample("z", "router-3", "1.3.6.1")]
    picked = [sample.decode(each) for each in sample.pick(events[:2] * 100)]
    assert picked == [Sample("y", "router-1"), Sample("x" * 500, "router-1")]
    settle(queue_client, MetaAlerts(AlerterSettings(), ALERTS).counts([("syslog:p", each) for each in events]))
    assert sample.decode(details(queue_client, "syslog:p")["3"]).hostname == "router-3"


# --- rule hits -----------------------------------------------------------------------------------------------------


def settle_hits(client: redis.Redis, by_rule: dict[int, int], now: datetime) -> None:
    queue, follows = a_queue(client), Settlement()
    put(client, [queue.pod.encode()])
    follows.hits(by_rule, now)
    assert queue.settle(queue.claim("1", 1), follows) is Settled.SETTLED


def test_hits_count_for_the_day_of_redis_whatever_our_clock_says(queue_client: redis.Redis) -> None:
    now = datetime.fromtimestamp(server_ms(queue_client) / 1000, UTC)
    for days in (-1, 0, 1):
        settle_hits(queue_client, {1: 5, 42: 1}, now + timedelta(days=days))
    today = keys.rule_hits(f"{now:%Y%m%d}")
    assert [key.decode() for key in queue_client.keys(keys.rule_hits("*"))] == [today]
    assert queue_client.hgetall(today) == {b"1": b"15", b"42": b"3"}
    assert 34 * 86400 < queue_client.ttl(today) <= 35 * 86400
    last = {rule: int(ms) for rule, ms in queue_client.hgetall(keys.RULE_LAST_HIT).items()}
    assert last.keys() == {b"1", b"42"}
    assert all(abs(ms - server_ms(queue_client)) < 5000 for ms in last.values())


def test_no_hits_leave_no_trace(queue_client: redis.Redis) -> None:
    settle_hits(queue_client, {}, datetime.now(UTC))
    assert queue_client.keys("mutt:metrics:*") == []


def an_event(message: str, hostname: str = "router-1", trap_oid: str | None = None) -> Event:
    own_id, now = IdSource().take(), datetime.now(UTC)
    return Event(own_id, own_id, now, now, hostname, message, source="syslog", trap_oid=trap_oid)
