"""The rate limit and the circuit breaker, as many forwarders share them."""

from collections.abc import Callable

import gevent
import pytest
import redis

from mutt.moogsoft.client import Answer, Verdict
from mutt.moogsoft.permit import FAILURES_THAT_OPEN, OPEN_SECONDS, SLACK_SECONDS, Gate, Gatekeeper, Permit
from mutt.redisdb import keys
from mutt.settings import WebhookSettings
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]

DELIVERED = Answer(Verdict.DELIVERED, "", "", 200, 0.1)
REFUSED = Answer(Verdict.REFUSED, "client_error", "", 400, 0.1)
FAILED = Answer(Verdict.RETRY, "server_error", "", 500, 0.1)
GO = Permit(Gate.GO, 0.0)


def a_gatekeeper(
    client: redis.Redis, limit: int | Callable[[], int] = 1000, period: float = 1.0, max_retries: int = 5
) -> Gatekeeper:
    settings = WebhookSettings(rate_period_seconds=period, timeout_seconds=10, max_retries=max_retries)
    return Gatekeeper(client, settings, limit if callable(limit) else lambda: limit)


@pytest.fixture
def gatekeeper(queue_client: redis.Redis) -> Gatekeeper:
    return a_gatekeeper(queue_client)


def fail(gatekeeper: Gatekeeper, times: int = FAILURES_THAT_OPEN) -> list[bool]:
    return [gatekeeper.record(GO, FAILED) for _ in range(times)]


def let_the_open_time_pass(client: redis.Redis) -> None:
    opened_at = float(client.get(keys.CIRCUIT_OPENED_AT) or 0)
    client.set(keys.CIRCUIT_OPENED_AT, f"{opened_at - OPEN_SECONDS:.6f}")


# --- the rate limit --------------------------------------------------------------------------------------------------


def test_the_limit_and_how_long_to_wait(queue_client: redis.Redis) -> None:
    gatekeeper = a_gatekeeper(queue_client, limit=3, period=60)
    assert [gatekeeper.ask().gate for _ in range(5)] == [Gate.GO] * 3 + [Gate.RATE] * 2
    assert gatekeeper.ask().wait_seconds == pytest.approx(60 + SLACK_SECONDS, abs=2)


def test_the_wait_that_is_named_is_enough(queue_client: redis.Redis) -> None:
    gatekeeper = a_gatekeeper(queue_client, limit=1, period=0.2)
    assert gatekeeper.ask().gate is Gate.GO
    for _ in range(3):
        gevent.sleep(gatekeeper.ask().wait_seconds)
        assert gatekeeper.ask().gate is Gate.GO


def test_a_changed_limit_counts_at_once(queue_client: redis.Redis) -> None:
    limits = [1]
    gatekeeper = a_gatekeeper(queue_client, lambda: limits[0], period=60)
    assert [gatekeeper.ask().gate for _ in range(2)] == [Gate.GO, Gate.RATE]
    limits[0] = 2
    assert [gatekeeper.ask().gate for _ in range(2)] == [Gate.GO, Gate.RATE]
    limits[0] = 1
    assert gatekeeper.ask().gate is Gate.RATE


def test_no_window_ever_sees_more_than_the_limit(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    """The times are those that Redis gave the permits at, by its own clock."""
    limit, period, windows = 7, 0.3, 6
    granted: dict[bytes, float] = {}
    rate_limit_key = WebhookSettings().rate_limit_key

    def ask_often() -> None:
        with queue_server.mutt_client() as client:
            gatekeeper = a_gatekeeper(client, limit, period)
            while len(granted) < limit * windows:
                if gatekeeper.ask().granted:
                    granted.update(client.zrange(rate_limit_key, 0, -1, withscores=True))

    gevent.joinall([gevent.spawn(ask_often) for _ in range(6)], timeout=20, raise_error=True)
    times = sorted(granted.values())
    assert len(times) >= limit * windows
    for earlier, later in zip(times, times[limit:], strict=False):
        assert later - earlier >= (period + SLACK_SECONDS) * 1e6
    # And nobody waits for much more than that: greedy askers get most of what there is to get.
    spans = (times[-1] - times[0]) / 1e6 / (period + SLACK_SECONDS)
    assert len(times) >= limit * int(spans) / 2


def test_the_rate_limit_leaves_nothing_behind(queue_client: redis.Redis) -> None:
    a_gatekeeper(queue_client, limit=5, period=0.1).ask()
    assert 0 < queue_client.pttl(WebhookSettings().rate_limit_key) <= 1200


# --- the circuit breaker ---------------------------------------------------------------------------------------------


def test_five_consecutive_failures_open_the_circuit(gatekeeper: Gatekeeper) -> None:
    assert fail(gatekeeper, 4) == [True] * 4
    assert gatekeeper.state() == "CLOSED"
    assert gatekeeper.ask().gate is Gate.GO
    assert fail(gatekeeper, 1) == [False]
    assert gatekeeper.state() == "OPEN"
    permit = gatekeeper.ask()
    assert permit.gate is Gate.OPEN
    assert permit.wait_seconds == pytest.approx(OPEN_SECONDS, abs=2)


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_the_circuit_opens_before_a_lone_alert_has_used_up_its_attempts(
    queue_client: redis.Redis, max_retries: int
) -> None:
    gatekeeper = a_gatekeeper(queue_client, max_retries=max_retries)
    counted = fail(gatekeeper, max(max_retries, 1))
    assert sum(counted) < max(max_retries, 1)
    assert gatekeeper.state() == "OPEN"


@pytest.mark.parametrize("healthy", [DELIVERED, REFUSED], ids=["delivered", "refused"])
def test_a_healthy_answer_between_failures_starts_the_count_anew(gatekeeper: Gatekeeper, healthy: Answer) -> None:
    fail(gatekeeper, 4)
    assert gatekeeper.record(GO, healthy) is False
    assert fail(gatekeeper, 4) == [True] * 4
    assert gatekeeper.state() == "CLOSED"


def test_failures_that_open_or_come_in_while_open_do_not_count_against_their_alerts(gatekeeper: Gatekeeper) -> None:
    assert fail(gatekeeper, 12) == [True] * 4 + [False] * 8


def test_of_failures_reported_at_once_exactly_four_count(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    def report() -> bool:
        with queue_server.mutt_client() as client:
            return a_gatekeeper(client).record(GO, FAILED)

    reports = [gevent.spawn(report) for _ in range(12)]
    gevent.joinall(reports, timeout=20, raise_error=True)
    assert sum(each.value for each in reports) == FAILURES_THAT_OPEN - 1
    assert a_gatekeeper(queue_client).state() == "OPEN"


def test_a_late_success_does_not_close_an_open_circuit(gatekeeper: Gatekeeper) -> None:
    fail(gatekeeper)
    assert gatekeeper.record(GO, DELIVERED) is False
    assert gatekeeper.state() == "OPEN"


def test_exactly_one_of_the_whole_fleet_may_probe(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    fail(a_gatekeeper(queue_client))
    let_the_open_time_pass(queue_client)

    def ask() -> Permit:
        with queue_server.mutt_client() as client:
            return a_gatekeeper(client).ask()

    asked = [gevent.spawn(ask) for _ in range(16)]
    gevent.joinall(asked, timeout=20, raise_error=True)
    gates = sorted(each.value.gate for each in asked)
    assert gates == [Gate.OPEN] * 15 + [Gate.PROBE]
    assert a_gatekeeper(queue_client).state() == "HALF_OPEN"


def a_probe(gatekeeper: Gatekeeper, client: redis.Redis) -> Permit:
    fail(gatekeeper)
    let_the_open_time_pass(client)
    permit = gatekeeper.ask()
    assert permit.is_probe
    assert permit.granted
    return permit


@pytest.mark.parametrize("healthy", [DELIVERED, REFUSED], ids=["delivered", "refused"])
def test_a_probe_that_succeeds_closes_the_circuit(
    gatekeeper: Gatekeeper, queue_client: redis.Redis, healthy: Answer
) -> None:
    probe = a_probe(gatekeeper, queue_client)
    assert gatekeeper.record(probe, healthy) is False
    assert gatekeeper.state() == "CLOSED"
    assert gatekeeper.ask().gate is Gate.GO
    assert fail(gatekeeper, 4) == [True] * 4
    assert gatekeeper.state() == "CLOSED"


def test_a_probe_that_fails_opens_it_again_for_the_full_time(gatekeeper: Gatekeeper, queue_client: redis.Redis) -> None:
    probe = a_probe(gatekeeper, queue_client)
    assert gatekeeper.record(probe, FAILED) is False
    assert gatekeeper.state() == "OPEN"
    permit = gatekeeper.ask()
    assert permit.gate is Gate.OPEN
    assert permit.wait_seconds == pytest.approx(OPEN_SECONDS, abs=2)
    let_the_open_time_pass(queue_client)
    assert gatekeeper.ask().gate is Gate.PROBE


def test_answers_to_older_requests_do_not_decide_for_the_probe(
    gatekeeper: Gatekeeper, queue_client: redis.Redis
) -> None:
    a_probe(gatekeeper, queue_client)
    assert gatekeeper.record(GO, DELIVERED) is False
    assert fail(gatekeeper, 6) == [False] * 6
    assert gatekeeper.state() == "HALF_OPEN"
    assert gatekeeper.ask().gate is Gate.OPEN


def test_the_lease_of_a_lost_probe_ends_and_another_may_probe(
    gatekeeper: Gatekeeper, queue_client: redis.Redis
) -> None:
    a_probe(gatekeeper, queue_client)
    # A request may take 10 s here; 5 more are for reporting it.
    assert 14_000 < queue_client.pttl(keys.CIRCUIT_PROBE) <= 15_000
    assert gatekeeper.ask().wait_seconds == pytest.approx(15, abs=1)
    queue_client.pexpire(keys.CIRCUIT_PROBE, 50)
    wait_until(lambda: gatekeeper.ask().gate is Gate.PROBE, "the lease to end", seconds=5)
    assert gatekeeper.ask().gate is Gate.OPEN


def test_a_probe_that_is_given_back_goes_to_the_next(gatekeeper: Gatekeeper, queue_client: redis.Redis) -> None:
    a_probe(gatekeeper, queue_client)
    gatekeeper.return_probe()
    assert gatekeeper.ask().gate is Gate.PROBE
    assert gatekeeper.ask().gate is Gate.OPEN


def test_a_probe_obeys_the_rate_limit(queue_client: redis.Redis) -> None:
    gatekeeper = a_gatekeeper(queue_client, limit=1, period=60)
    assert gatekeeper.ask().gate is Gate.GO
    fail(gatekeeper)
    let_the_open_time_pass(queue_client)
    assert gatekeeper.ask().gate is Gate.RATE
    assert gatekeeper.state() == "OPEN"


def test_an_empty_redis_has_a_closed_circuit(gatekeeper: Gatekeeper) -> None:
    assert gatekeeper.state() == "CLOSED"


# --- Retry-After -----------------------------------------------------------------------------------------------------


def test_retry_after_holds_everybody_back(gatekeeper: Gatekeeper, queue_client: redis.Redis) -> None:
    busy = Answer(Verdict.RETRY, "too_many_requests", "", 429, 0.1, hold_seconds=30)
    assert gatekeeper.record(GO, busy) is True
    permit = a_gatekeeper(queue_client).ask()
    assert permit.gate is Gate.HELD
    assert not permit.granted
    assert permit.wait_seconds == pytest.approx(30, abs=2)
    assert gatekeeper.state() == "CLOSED"


def test_the_hold_ends(gatekeeper: Gatekeeper) -> None:
    gatekeeper.record(GO, Answer(Verdict.RETRY, "too_many_requests", "", 429, 0.1, hold_seconds=0.2))
    wait_until(lambda: gatekeeper.ask().gate is Gate.GO, "the hold to end", seconds=5)


def test_a_hold_puts_off_the_probe(gatekeeper: Gatekeeper, queue_client: redis.Redis) -> None:
    fail(gatekeeper)
    gatekeeper.record(GO, Answer(Verdict.RETRY, "too_many_requests", "", 429, 0.1, hold_seconds=30))
    let_the_open_time_pass(queue_client)
    assert gatekeeper.ask().gate is Gate.HELD


def test_a_shorter_hold_does_not_cut_a_longer_one_short(gatekeeper: Gatekeeper) -> None:
    for seconds in (30, 1):
        gatekeeper.record(GO, Answer(Verdict.RETRY, "too_many_requests", "", 429, 0.1, hold_seconds=seconds))
    assert gatekeeper.ask().wait_seconds > 20
