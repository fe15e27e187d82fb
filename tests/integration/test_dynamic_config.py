"""Dynamic settings: seen soon, never guessed, kept while Redis is away."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from structlog.testing import capture_logs

from mutt.errors import OutageError
from mutt.redisdb import dynamic_config, keys, subscriber
from mutt.redisdb.client import connect
from mutt.redisdb.dynamic_config import DynamicConfig, start_dynamic_config
from mutt.settings import GeneralSettings, RedisSettings
from tests.support.proxy import TcpProxy
from tests.support.redis_server import PASSWORD, FixedCredentials, PrivateRedis
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber, "RECONNECT_SECONDS", 0.1)


def listeners(client: redis.Redis) -> int:
    """How many listen to the channel; programs of other tests may be among them."""
    return int(client.pubsub_numsub(keys.CONFIG_UPDATES)[0][1])


@contextmanager
def following(client: redis.Redis, enabled: bool = True) -> Iterator[DynamicConfig]:
    """A started configuration that has listened to its channel at least once."""
    before = listeners(client)
    config = DynamicConfig(client, enabled)
    config.start()
    if enabled:
        wait_until(lambda: listeners(client) > before, "the subscription")
    try:
        yield config
    finally:
        config.stop()


@pytest.fixture
def client(redis_server: PrivateRedis, redis_client: redis.Redis) -> Iterator[redis.Redis]:
    """A client to an empty Redis, made the way the programs make theirs."""
    client = redis_server.mutt_client()
    yield client
    client.close()


def client_through(proxy: TcpProxy) -> redis.Redis:
    settings = RedisSettings(host="127.0.0.1", port=proxy.port, tls_enabled=False)
    return connect(settings, FixedCredentials(REDIS_PASS_CURRENT=PASSWORD), "tests")


def change(client: redis.Redis, name: str, value: object) -> None:
    """As the API does it."""
    client.set(keys.config(name), str(value))
    client.publish(keys.CONFIG_UPDATES, name)


def limit_of(config: DynamicConfig) -> int:
    return config.integer("moog_rate_limit", 50)


def wait_for(condition: Callable[[], bool], seconds: float = 3) -> None:
    wait_until(condition, "the setting to be seen", seconds=seconds)


def test_nothing_is_set(client: redis.Redis) -> None:
    with following(client) as config:
        assert limit_of(config) == 50
        assert config.text("alerter_shed_mode", "dlq") == "dlq"


def test_what_was_set_before_the_start_holds(client: redis.Redis) -> None:
    client.set(keys.config("moog_rate_limit"), "7")
    client.set(keys.config("alerter_shed_mode"), "defer")
    with following(client) as config:
        wait_for(lambda: limit_of(config) == 7)
        assert config.text("alerter_shed_mode", "dlq") == "defer"


def test_a_published_change_is_seen_at_once(client: redis.Redis) -> None:
    with following(client) as config:
        for value in (7, 8, 9):
            change(client, "moog_rate_limit", value)
            wait_for(lambda value=value: limit_of(config) == value, seconds=1)
        client.delete(keys.config("moog_rate_limit"))
        client.publish(keys.CONFIG_UPDATES, "moog_rate_limit")
        wait_for(lambda: limit_of(config) == 50, seconds=1)


def test_a_change_that_nobody_published_is_seen_at_the_next_refresh(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dynamic_config.REFRESH_SECONDS == 5
    monkeypatch.setattr(dynamic_config, "REFRESH_SECONDS", 0.2)
    with following(client) as config:
        client.set(keys.config("moog_rate_limit"), "7")
        wait_for(lambda: limit_of(config) == 7)


def test_disabled_means_every_key_is_unset(client: redis.Redis) -> None:
    client.set(keys.config("moog_rate_limit"), "7")
    before = listeners(client)
    with following(client, enabled=False) as config:
        change(client, "moog_rate_limit", 8)
        assert listeners(client) == before
        assert limit_of(config) == 50


@pytest.mark.parametrize("value", ["", "many", "0", "-1", "1e3", "7.5", "1000001", "٣", "9" * 5000, b"\xff\xfe"])
def test_a_bad_value_is_warned_about_and_the_default_holds(client: redis.Redis, value: str | bytes) -> None:
    config = DynamicConfig(client, enabled=True)
    client.set(keys.config("moog_rate_limit"), value)
    client.set(keys.config("moog_batch_size"), "20")
    with capture_logs() as logs:
        config.refresh()
    assert limit_of(config) == 50
    assert config.integer("moog_batch_size", 100) == 20
    assert [(each["log_level"], each["key"]) for each in logs if "ignored" in each["event"]] == [
        ("warning", "moog_rate_limit")
    ]


def test_a_bad_value_is_warned_about_once_and_another_one_again(client: redis.Redis) -> None:
    config = DynamicConfig(client, enabled=True)

    def warnings(value: str) -> list[str]:
        client.set(keys.config("moog_rate_limit"), value)
        with capture_logs() as logs:
            for _ in range(3):
                config.refresh()
        return [each["problem"] for each in logs if "ignored" in each["event"]]

    assert len(warnings("many")) == 1
    assert warnings("many") == []
    assert len(warnings("lots")) == 1
    assert warnings("7") == []
    assert len(warnings("lots")) == 1


def test_the_log_level_follows_while_the_program_runs() -> None:
    # A server of its own: programs that other tests started in this process would set the level too.
    server, root = PrivateRedis(), logging.getLogger()
    server.start()
    client, before = server.mutt_client(), root.level
    config = start_dynamic_config(client, GeneralSettings(dynamic_config_enabled=True, log_level="WARNING"))
    try:
        wait_until(lambda: listeners(client) > 0, "the subscription")
        change(client, "log_level", "DEBUG")
        wait_for(lambda: root.level == logging.DEBUG, seconds=2)
        client.delete(keys.config("log_level"))
        client.publish(keys.CONFIG_UPDATES, "log_level")
        wait_for(lambda: root.level == logging.WARNING, seconds=2)
    finally:
        config.stop()
        root.setLevel(before)
        server.stop()


def test_an_unset_key_has_a_default_of_its_own(client: redis.Redis) -> None:
    config = DynamicConfig(client, enabled=True)
    assert (config.integer("moog_batch_size"), config.number("slo_ingest_success_target")) == (100, 0.995)
    assert config.text("alerter_shed_mode") == "dlq"
    client.set(keys.config("slo_ingest_success_target"), "1")
    config.refresh()
    assert config.number("slo_ingest_success_target") == 1.0


def test_a_key_of_another_type_counts_as_unset(client: redis.Redis) -> None:
    client.rpush(keys.config("moog_rate_limit"), "7")
    config = DynamicConfig(client, enabled=True)
    config.refresh()
    assert limit_of(config) == 50


def test_a_bad_value_in_place_of_a_good_one_goes_back_to_the_default(client: redis.Redis) -> None:
    with following(client) as config:
        change(client, "moog_rate_limit", 7)
        wait_for(lambda: limit_of(config) == 7)
        change(client, "moog_rate_limit", "seven")
        wait_for(lambda: limit_of(config) == 50)


def test_callbacks_are_called_for_their_key_when_it_changed(client: redis.Redis) -> None:
    called: list[str] = []
    config = DynamicConfig(client, enabled=True)
    for name in ("moog_rate_limit", "cache_reload_interval"):
        config.on_change(name, lambda name=name: called.append(name))
    config.refresh()
    client.set(keys.config("moog_rate_limit"), "7")
    client.set(keys.config("moog_batch_size"), "7")
    config.refresh()
    config.refresh()
    assert called == ["moog_rate_limit"]
    client.set(keys.config("moog_rate_limit"), "+7")  # Another spelling of the same value.
    config.refresh()
    client.delete(keys.config("moog_rate_limit"))
    config.refresh()
    assert called == ["moog_rate_limit"] * 2


def test_a_callback_sees_the_new_value(client: redis.Redis) -> None:
    seen: list[int] = []
    config = DynamicConfig(client, enabled=True)
    config.on_change("moog_rate_limit", lambda: seen.append(limit_of(config)))
    client.set(keys.config("moog_rate_limit"), "7")
    config.refresh()
    assert seen == [7]


def test_the_last_values_hold_while_redis_is_away_and_new_ones_are_seen_when_it_is_back() -> None:
    server = PrivateRedis()
    server.start()
    client = server.mutt_client()
    try:
        change(client, "moog_rate_limit", 7)
        with following(client) as config:
            wait_for(lambda: limit_of(config) == 7)
            server.kill()
            with pytest.raises(OutageError):
                config.refresh()
            assert limit_of(config) == 7
            server.start()
            wait_until(lambda: client.pubsub_numsub(keys.CONFIG_UPDATES)[0][1] > 0, "the subscription")
            assert limit_of(config) == 7
            change(client, "moog_rate_limit", 8)
            wait_for(lambda: limit_of(config) == 8, seconds=1)
    finally:
        client.close()
        server.stop()


def test_a_change_missed_during_an_outage_is_seen_at_the_reconnection(
    redis_server: PrivateRedis, redis_client: redis.Redis
) -> None:
    with TcpProxy(redis_server.port) as proxy:
        client = client_through(proxy)
        with following(client) as config:
            proxy.refuse()
            proxy.cut()
            change(redis_client, "moog_rate_limit", 7)
            proxy.accept()
            wait_for(lambda: limit_of(config) == 7)
        client.close()


def test_redis_away_at_the_start(redis_server: PrivateRedis, redis_client: redis.Redis) -> None:
    redis_client.set(keys.config("moog_rate_limit"), "7")
    proxy = TcpProxy(redis_server.port)
    client = client_through(proxy)
    config = DynamicConfig(client, enabled=True)
    config.start()
    assert limit_of(config) == 50
    with proxy:
        wait_for(lambda: limit_of(config) == 7)
        config.stop()
        client.close()
