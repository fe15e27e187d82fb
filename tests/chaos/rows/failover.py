"""The primary dies, and later hangs; the Sentinel promotes the replica; what was acknowledged is on both."""

import os
import signal
import time

import gevent

from tests.chaos.faults import FORWARDERS
from tests.chaos.field import LANES, Field
from tests.chaos.load import Load
from tests.chaos.rows.probing import probe
from tests.chaos.sentinel import MASTER, RedisGroup
from tests.chaos.trial import Trial
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

HANG_SECONDS = 6.0
BATCH = 100
"""Alerts in one request to the webhook, the default."""


def failover(trial: Trial) -> None:
    """With INGEST_WAIT_REPLICAS=1 a 202 means that both servers have the event: no failover may lose it."""
    group = RedisGroup()
    group.start()
    sentinels = {"REDIS_SENTINEL_HOSTS": f"127.0.0.1:{group.sentinel_port}", "REDIS_SENTINEL_MASTER": MASTER}
    with trial.stage.special(group, **sentinels, INGEST_WAIT_REPLICAS="1") as field:
        load = trial.load(field, events=10_000_000, rate=trial.size.rate / 2)
        gevent.sleep(2.0)
        seconds = {"killed while the replica lagged": _kill_while_lagging(field, group, load)}
        if trial.size.failovers > 1:
            seconds |= {"killed": _kill(group, load), "hung": _hang(group, load)}
        gevent.sleep(2.0)
        load.stop()
        trial.note_answers(load)
        trial.outcome.kills = len(seconds)
        trial.outcome.notes["seconds until events are taken again"] = seconds
        field.wait_healthy(60)
        probe(trial, field)
        # What a forwarder did in the last moments before a failover the new primary may not know.
        trial.balance(field, len(seconds) * len(FORWARDERS) * LANES * BATCH)


def _kill(group: RedisGroup, load: Load) -> float:
    old = group.primary()
    old.kill()
    started = time.monotonic()
    _wait_for_another(group, old)
    old.start()  # It believes that it is still the primary; the Sentinel tells it otherwise.
    return _wait_until_taken(group, load, started)


def _hang(group: RedisGroup, load: Load) -> float:
    """The primary stops to breathe and comes back with clients that still take it for the primary."""
    old = group.primary()
    pid = int(old.client().info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    try:
        gevent.sleep(HANG_SECONDS)
        _wait_for_another(group, old)
    finally:
        os.kill(pid, signal.SIGCONT)
    return _wait_until_taken(group, load, started)


def _kill_while_lagging(field: Field, group: RedisGroup, load: Load) -> float:
    """The alerters settle batches that the replica still holds as claimed; then the replica is all that is left."""
    old = group.primary()
    replica = next(server for server in group.servers if server is not old)
    pid = int(replica.client().info("server")["process_id"])
    with field.locked_audit_log():
        wait_until(lambda: all(map(field.in_hand, field.workers_of("mutt-alerter"))), "every alerter to hold a batch")
        held = _batches(field)
        wait_until(lambda: replica.client().exists(*held) == len(held), "the replica to hold them as well")
        os.kill(pid, signal.SIGSTOP)
        # Otherwise what follows would wait for it in the buffers of the connection.
        old.client().execute_command("CLIENT", "KILL", "TYPE", "replica")
    try:
        wait_until(lambda: not held & _batches(field), "the batches to be settled", seconds=20)
    finally:
        old.kill()
        os.kill(pid, signal.SIGCONT)
    started = time.monotonic()
    _wait_for_another(group, old)
    old.start()
    # As its operator would; left alone it would call itself the primary until the Sentinel has noticed.
    old.client().execute_command("REPLICAOF", "127.0.0.1", group.port)
    return _wait_until_taken(group, load, started)


def _batches(field: Field) -> set[str]:
    """Batches that the alerters have in hand."""
    return {key for pid in field.workers_of("mutt-alerter") for key in field.in_hand(pid)}


def _wait_for_another(group: RedisGroup, old: PrivateRedis) -> None:
    wait_until(lambda: group.primary() is not old, "the Sentinel to promote the replica", seconds=60, every=0.1)


def _wait_until_taken(group: RedisGroup, load: Load, started: float) -> float:
    wait_until(lambda: group.replicas_in_sync(group.primary()) == 1, "a replica in sync", seconds=90, every=0.2)
    taken = load.answers["202"]
    wait_until(lambda: load.answers["202"] > taken + 20, "events to be taken", seconds=60)
    return round(time.monotonic() - started, 1)
