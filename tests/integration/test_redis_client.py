"""Connections and scripts through everything that goes wrong with a Redis: down, slow, restarted, locked, read-only."""

import time
from collections.abc import Iterator
from contextlib import closing

import gevent
import pytest
import redis

from mutt.errors import OutageError, Reason, UnknownOutcomeError
from mutt.queues.intake import Intake
from mutt.redisdb import scripts
from mutt.redisdb.client import connect
from mutt.redisdb.subscriber import Subscriber
from mutt.settings import RedisSettings
from tests.support.proxy import TcpProxy
from tests.support.queues import ALERTER, a_queue, numbered, put
from tests.support.redis_server import PASSWORD, FixedCredentials, PrivateRedis, free_port
from tests.support.waiting import wait_until


@pytest.fixture
def proxy(redis_server: PrivateRedis, redis_client: redis.Redis) -> Iterator[TcpProxy]:
    """A way to the (empty) Redis that can be disturbed."""
    with TcpProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def own_server() -> Iterator[PrivateRedis]:
    """A Redis that tests may kill and whose password they may change."""
    server = PrivateRedis()
    server.start()
    yield server
    server.stop()


def a_client(port: int, **secrets: str) -> redis.Redis:
    settings = RedisSettings(host="127.0.0.1", port=port, tls_enabled=False, max_connections=2)
    return connect(settings, FixedCredentials(**(secrets or {"REDIS_PASS_CURRENT": PASSWORD})), "tests")


def beat(client: redis.Redis) -> None:
    scripts.HEARTBEAT.run(client, ["mutt:heartbeat:alerter:tests"], [60_000])


def reason_of(client: redis.Redis) -> Reason:
    """Why a script surely did not run."""
    with pytest.raises(OutageError) as caught:
        beat(client)
    assert not isinstance(caught.value, UnknownOutcomeError), caught.value
    return caught.value.reason


# --- down, slow, back ------------------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    with closing(a_client(free_port())) as client:
        assert reason_of(client) is Reason.REDIS_UNREACHABLE


def test_a_connection_that_died_in_the_pool_is_replaced_unseen(proxy: TcpProxy) -> None:
    with closing(a_client(proxy.port)) as client:
        for _ in range(3):
            beat(client)
            proxy.cut()


def test_down_is_an_outage_and_back_is_back(proxy: TcpProxy) -> None:
    with closing(a_client(proxy.port)) as client:
        beat(client)
        proxy.refuse()
        proxy.cut()
        for _ in range(5):  # More often than the pool has connections: none may get lost.
            assert reason_of(client) is Reason.REDIS_UNREACHABLE
        proxy.accept()
        beat(client)


def test_an_answer_that_does_not_come_is_an_unknown_outcome(proxy: TcpProxy, redis_client: redis.Redis) -> None:
    with closing(a_client(proxy.port)) as client:
        beat(client)
        for _ in range(3):
            redis_client.delete("mutt:heartbeat:alerter:tests")
            proxy.drop_next_reply(b"EVALSHA")
            with pytest.raises(UnknownOutcomeError) as caught:
                beat(client)
            assert caught.value.reason is Reason.UNKNOWN_OUTCOME
            assert "heartbeat_1" in str(caught.value)
            assert redis_client.exists("mutt:heartbeat:alerter:tests"), "it did run"
        beat(client)


def test_a_request_that_does_not_arrive_looks_the_same(proxy: TcpProxy, redis_client: redis.Redis) -> None:
    with closing(a_client(proxy.port)) as client:
        proxy.drop_next_request(b"EVALSHA")
        with pytest.raises(UnknownOutcomeError):
            beat(client)
        assert not redis_client.exists("mutt:heartbeat:alerter:tests")


def test_a_redis_that_hangs_ends_at_the_timeout_and_leaves_no_stale_answer(proxy: TcpProxy) -> None:
    with closing(a_client(proxy.port)) as client:
        client.connection_pool.connection_kwargs["socket_timeout"] = 0.3
        assert client.get("a") is None
        client.set("a", "1")
        proxy.stall()
        started = time.monotonic()
        with pytest.raises(UnknownOutcomeError):
            beat(client)
        assert time.monotonic() - started < 3
        proxy.resume()
        assert client.get("a") == b"1"


def test_the_timeout_exceeds_the_time_a_command_may_block() -> None:
    settings = RedisSettings(host="127.0.0.1", port=1, tls_enabled=False)
    for blocking, timeout in ((0.0, 5.0), (1.0, 5.0), (60.0, 62.0)):
        client = connect(settings, FixedCredentials(), "tests", blocking)
        assert client.connection_pool.connection_kwargs["socket_timeout"] == timeout


def test_wait_through_a_lost_connection_is_an_outage(proxy: TcpProxy) -> None:
    with closing(a_client(proxy.port)) as client:
        waiting = gevent.spawn(a_queue(client).wait, 3)
        wait_until(lambda: client.info("clients")["blocked_clients"] == 1, "the wait to begin")
        proxy.cut()
        with pytest.raises(OutageError) as caught:
            waiting.get(timeout=3)
        assert caught.value.reason is Reason.REDIS_UNREACHABLE


def test_a_busy_pool_is_an_outage_and_not_an_unknown_outcome(proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mutt.redisdb.client.POOL_WAIT_SECONDS", 0.1)
    with closing(a_client(proxy.port)) as client:
        held = [client.connection_pool.get_connection() for _ in range(2)]
        assert reason_of(client) is Reason.REDIS_UNREACHABLE
        for connection in held:
            client.connection_pool.release(connection)
        beat(client)


def test_a_greenlet_that_is_ended_in_the_middle_leaves_no_stale_answer(proxy: TcpProxy) -> None:
    with closing(a_client(proxy.port)) as client:
        client.set("a", "1")
        proxy.stall()
        victims = [gevent.spawn(beat, client) for _ in range(2)]
        gevent.sleep(0.05)  # Long enough to send; when it is not, the test passes all the same.
        gevent.killall(victims)
        proxy.resume()
        assert [client.get("a") for _ in range(4)] == [b"1"] * 4


def test_a_subscriber_calls_for_every_message_and_after_every_connection(
    proxy: TcpProxy, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mutt.redisdb.subscriber.RECONNECT_SECONDS", 0.05)
    heard: list[tuple[str, str]] = []
    with closing(a_client(proxy.port)) as client:
        listeners = {name: lambda message, name=name: heard.append((name, message)) for name in ("a", "b")}
        subscriber = Subscriber(client, listeners)
        subscriber.start()
        wait_until(lambda: heard == [("a", ""), ("b", "")], "the subscription")
        redis_client.publish("a", "1")
        redis_client.publish("b", b"\xff")
        wait_until(lambda: heard[2:] == [("a", "1"), ("b", "\ufffd")], "the messages")
        proxy.cut()
        wait_until(lambda: heard[4:] == [("a", ""), ("b", "")], "the next subscription")
        redis_client.publish("a", "2")
        wait_until(lambda: heard[6:] == [("a", "2")], "the message")
        subscriber.stop()
        wait_until(lambda: redis_client.pubsub_numsub("a")[0][1] == 0, "the subscription to end")
        redis_client.publish("a", "3")
        assert len(heard) == 7


# --- the script cache ------------------------------------------------------------------------------------------------


def test_scripts_that_redis_forgot_are_sent_again(redis_server: PrivateRedis, redis_client: redis.Redis) -> None:
    with closing(redis_server.mutt_client()) as client:
        queue = a_queue(client)
        for number in range(3):
            redis_client.script_flush()
            put(client, numbered(1))
            redis_client.script_flush()
            assert queue.claim(str(number), 1).messages == numbered(1)


def test_an_answer_lost_to_the_script_that_is_sent_again_is_unknown_too(
    proxy: TcpProxy, redis_client: redis.Redis
) -> None:
    redis_client.script_flush()
    with closing(a_client(proxy.port)) as client:
        proxy.drop_next_reply(b"\r\nEVAL\r\n")
        with pytest.raises(UnknownOutcomeError):
            beat(client)
        assert redis_client.exists("mutt:heartbeat:alerter:tests")


def test_scripts_work_after_a_restart_and_accepted_events_are_still_there(own_server: PrivateRedis) -> None:
    with closing(own_server.mutt_client()) as client:
        client.flushall()
        intake = Intake(client, ALERTER.queue, lambda: 1000, 10)
        intake.push(numbered(3))
        own_server.kill()
        assert reason_of(client) is Reason.REDIS_UNREACHABLE
        own_server.start()
        assert intake.push([b"m3"]) == 4
        assert a_queue(client).claim("1", 10).messages == numbered(4)


# --- up, but not ready -----------------------------------------------------------------------------------------------


def test_loading() -> None:
    # It answers while it loads once every kilobyte, and takes a millisecond for each key.
    server = PrivateRedis(
        **{"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024", "appendonly": "no"}
    )
    server.start()
    with closing(server.client()) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.set(f"key:{number}", "x")
        pipeline.execute()
        client.save()
    server.kill()
    starting = gevent.spawn(server.start)
    try:
        with closing(a_client(server.port)) as client:
            wait_until(lambda: outage_word(client) == Reason.REDIS_LOADING, "Redis to be loading", seconds=10)
            with pytest.raises(OutageError) as caught:
                a_queue(client).depth()
            assert caught.value.reason is Reason.REDIS_LOADING
            server.client().config_set("key-load-delay", 0)
            starting.get(timeout=30)
            beat(client)
    finally:
        starting.kill()
        server.stop()


def outage_word(client: redis.Redis) -> str:
    try:
        beat(client)
    except UnknownOutcomeError:
        return "unknown"
    except OutageError as outage:
        return outage.reason
    return ""


def test_a_replica_takes_no_writes(redis_server: PrivateRedis, own_server: PrivateRedis) -> None:
    with closing(own_server.mutt_client()) as client:
        redis_server.client().config_set("repl-diskless-sync-delay", 0)
        client.config_set("masterauth", PASSWORD)
        client.replicaof("127.0.0.1", redis_server.port)
        try:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "replication")
            put(redis_server.client(), numbered(1))
            wait_until(lambda: client.llen(ALERTER.queue) == 1, "the message to be replicated")
            assert reason_of(client) is Reason.REDIS_READONLY
            with pytest.raises(OutageError) as caught:
                a_queue(client).claim("1", 1)
            assert caught.value.reason is Reason.REDIS_READONLY
            with pytest.raises(OutageError) as caught:
                Intake(client, ALERTER.queue, lambda: 10, 10).push([b"x"])
            assert caught.value.reason is Reason.REDIS_READONLY
            with pytest.raises(OutageError) as caught:
                a_queue(client).wait(0.1)
            assert caught.value.reason is Reason.REDIS_READONLY
        finally:
            client.replicaof("NO", "ONE")


def test_a_primary_without_its_replicas_takes_no_writes(own_server: PrivateRedis) -> None:
    with closing(own_server.mutt_client()) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            assert reason_of(client) is Reason.REDIS_READONLY
        finally:
            client.config_set("min-replicas-to-write", 0)


# --- passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secrets",
    [
        {"REDIS_PASS_CURRENT": PASSWORD},
        {"REDIS_PASS_CURRENT": PASSWORD, "REDIS_PASS_NEXT": "wrong"},
        {"REDIS_PASS_CURRENT": "wrong", "REDIS_PASS_NEXT": PASSWORD},
        {"REDIS_PASS_NEXT": PASSWORD},
    ],
    ids=["current", "current before next", "next after current", "next alone"],
)
def test_a_password_that_is_right(redis_server: PrivateRedis, secrets: dict[str, str]) -> None:
    with closing(a_client(redis_server.port, **secrets)) as client:
        beat(client)
        assert client.ping()


@pytest.mark.parametrize(
    "secrets",
    [{"REDIS_PASS_CURRENT": "wrong"}, {"REDIS_PASS_CURRENT": "wrong", "REDIS_PASS_NEXT": "wrong too"}, {"OTHER": "x"}],
    ids=["current", "both", "none"],
)
def test_passwords_that_are_wrong(redis_server: PrivateRedis, secrets: dict[str, str]) -> None:
    with closing(a_client(redis_server.port, **secrets)) as client:
        for _ in range(3):
            with pytest.raises(OutageError, match="refuses the password") as caught:
                beat(client)
            assert caught.value.reason is Reason.REDIS_UNREACHABLE
            assert "wrong" not in str(caught.value)


def test_a_rotation_costs_no_request(own_server: PrivateRedis) -> None:
    credentials = FixedCredentials(REDIS_PASS_CURRENT=PASSWORD, REDIS_PASS_NEXT="new-password")
    settings = RedisSettings(host="127.0.0.1", port=own_server.port, tls_enabled=False)
    with closing(connect(settings, credentials, "tests")) as client, closing(own_server.client()) as administrator:
        beat(client)
        administrator.config_set("requirepass", "new-password")
        try:
            beat(client)
            administrator.client_kill_filter(_type="normal", skipme=True)
            beat(client)
            credentials.secrets = {"REDIS_PASS_CURRENT": "new-password"}
            administrator.client_kill_filter(_type="normal", skipme=True)
            beat(client)
        finally:
            administrator.config_set("requirepass", PASSWORD)


def test_the_name_of_the_client_is_shown_to_the_operator(redis_server: PrivateRedis) -> None:
    with closing(a_client(redis_server.port)) as client:
        beat(client)
        assert "tests" in [each["name"] for each in client.client_list()]
