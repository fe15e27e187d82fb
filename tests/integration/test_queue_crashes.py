"""Workers that are killed and paused at any moment: afterwards every message is accounted for exactly once."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import redis
from gevent.event import Event

from mutt.events import dead_letter
from mutt.queues import janitor
from mutt.queues.reliable import Settled
from tests.support.queue_worker import FENCED, RETURNED
from tests.support.queues import ALERTER, ALERTS, a_queue, numbered, put, settlement
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

pytest_plugins = ["tests.support.queue_servers"]

LEASE_SECONDS = 0.8


def accounted_for(client: redis.Redis) -> list[bytes]:
    """Every message that came to an end, as often as it did."""
    buried = [dead_letter.exhume(record) for record in client.lrange(ALERTER.dead_letters, 0, -1)]
    return sorted([*client.lrange(ALERTS, 0, -1), *(str(letter.payload).encode() for letter in buried if letter)])


def is_at_rest(client: redis.Redis) -> bool:
    waiting = client.llen(ALERTER.queue) + client.zcard(ALERTER.retry)
    return waiting == 0 and not list(client.scan_iter("mutt:processing:*", count=1000))


# --- greenlets: many crashes in little time --------------------------------------------------------------------------


def test_greenlets_that_end_anywhere(queue_server: PrivateRedis, queue_client: redis.Redis) -> None:
    """Each life ends in the middle of whatever it is doing then; its lease ends with it."""
    messages, chance = numbered(3000), random.Random(7)
    put(queue_client, messages)

    def live() -> None:
        with queue_server.mutt_client() as client:
            queue = a_queue(client, "life")
            while queue.wait(0.05):
                batch = queue.claim(queue.new_batch_id(), chance.randint(1, 30))
                gevent.sleep(0)
                queue.settle(batch, settlement(push=batch.messages))

    def die_young() -> None:
        while queue_client.llen(ALERTER.queue):
            life = gevent.spawn(live)
            gevent.sleep(chance.random() / 20)
            life.kill()

    gevent.joinall([gevent.spawn(die_young) for _ in range(4)], timeout=30, raise_error=True)
    for key in queue_client.scan_iter("mutt:heartbeat:*"):
        queue_client.delete(key)
    last = a_queue(queue_client, "last")
    janitor.sweep(last)
    while (batch := last.claim(last.new_batch_id(), 100)).messages:
        assert last.settle(batch, settlement(push=batch.messages)) is Settled.SETTLED
    assert is_at_rest(queue_client)
    assert accounted_for(queue_client) == sorted(messages)


# --- processes -------------------------------------------------------------------------------------------------------


class Workers:
    """Worker processes that are killed, paused and replaced."""

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._seed = seed
        self._started = 0
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._started += 1
        seed = self._seed * 1000 + self._started * 10
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.queue_worker", str(self._port), str(LEASE_SECONDS), str(seed)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        )

    def kill(self, number: int) -> None:
        process = self.processes.pop(number)
        process.kill()
        process.wait()

    @contextmanager
    def paused(self, number: int) -> Iterator[None]:
        self.processes[number].send_signal(signal.SIGSTOP)
        yield
        self.processes[number].send_signal(signal.SIGCONT)


@contextmanager
def workers(port: int, count: int, seed: int) -> Iterator[Workers]:
    fleet = Workers(port, seed)
    try:
        for _ in range(count):
            fleet.start()
        yield fleet
    finally:
        while fleet.processes:
            fleet.kill(0)


def test_processes_that_are_killed_and_paused(redis_server: PrivateRedis, redis_client: redis.Redis) -> None:
    chance, put_in = random.Random(3), []
    with workers(redis_server.port, 3, seed=3) as fleet, feeding(redis_client, put_in):
        wait_until(lambda: redis_client.llen(ALERTS) > 200, "the workers to work", seconds=30)
        for _ in range(4):
            gevent.sleep(chance.random() / 4)  # Any moment will do.
            fleet.kill(chance.randrange(3))
            fleet.start()
        while not redis_client.get(FENCED):  # A pause between two batches fences nothing.
            with fleet.paused(0):
                gevent.sleep(LEASE_SECONDS)
                wait_until(lambda: all_hands_are_alive(redis_client), "the sleeper's batches to be taken", seconds=20)
            gevent.sleep(LEASE_SECONDS / 4)
    with workers(redis_server.port, 1, seed=4):
        wait_until(lambda: is_at_rest(redis_client), "the queue to drain", seconds=60, every=0.2)
    assert accounted_for(redis_client) == sorted(put_in)
    assert int(redis_client.get(RETURNED)) > 0


@contextmanager
def feeding(client: redis.Redis, put_in: list[bytes]) -> Iterator[None]:
    """Keeps the queue from running empty."""

    def feed() -> None:
        while not stop.wait(0.02):
            if client.llen(ALERTER.queue) < 500:
                messages = numbered(1000, f"m{len(put_in)}-")
                put_in.extend(messages)
                put(client, messages)

    stop = Event()
    feeder = gevent.spawn(feed)
    try:
        yield
    finally:
        stop.set()
        feeder.get()


def all_hands_are_alive(client: redis.Redis) -> bool:
    """Whether every batch is in the hands of somebody with a heartbeat."""
    claimed = {key.split(b":")[3] for key in client.scan_iter("mutt:processing:alerter:*", count=1000)}
    return all(client.exists(b"mutt:heartbeat:alerter:" + pod) for pod in claimed)
