"""The negative control: naive workers through the same kills or pauses, and the same accounting.

A suite that these pass would prove nothing, so a run in which they pass fails.
"""

import itertools
import json
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import dataclass

import gevent
import psycopg2
import requests

from tests.chaos.naive import LEASE_SECONDS
from tests.chaos.processes import send
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PASSWORD, PrivateRedis, free_port
from tests.support.waiting import wait_until

LOOPS = ("guide", "pop")
ROLES = ("alerter", "forwarder")
BACKLOG = 100
"""Events that wait in each queue while the kills go on, so that every kill meets a worker at work."""

PAUSE_SECONDS = LEASE_SECONDS * 2


@dataclass(frozen=True)
class Losses:
    """What one naive loop did with its events."""

    events: int
    lost: int
    duplicates: int

    @property
    def failed(self) -> bool:
        return self.lost + self.duplicates > 0


class Control:
    """Runs naive workers of each loop and role and torments them; ``run`` returns what each loop lost and doubled."""

    def __init__(self, postgres: PrivatePostgres, seed: str) -> None:
        self._rng = random.Random(seed)
        self._postgres = postgres
        self._redis = PrivateRedis()
        self._database = postgres.create_database()
        self._sink_port = free_port()
        self._pods = itertools.count(1)
        self._workers: dict[tuple[str, str, int], subprocess.Popen[bytes]] = {}
        self._pod_of: dict[tuple[str, str, int], str] = {}
        self._feeding = True
        self._pushed: dict[str, list[tuple[str, bool]]] = {loop: [] for loop in LOOPS}
        self.blows = 0

    def run(self, kind: str, blows: int) -> dict[str, Losses]:
        """``kind`` is kill or pause; the workers of each loop get ``blows`` of them."""
        try:
            self._set_up((1,) if kind == "kill" else (1, 2))
            feeder = gevent.spawn(self._feed)
            strike = self._kill_some if kind == "kill" else self._pause_some
            while self.blows < blows:
                strike()
            self._feeding = False
            feeder.join()
            return self._at_rest()
        finally:
            self._tear_down()

    def _set_up(self, workers: tuple[int, ...]) -> None:
        self._redis.start()
        self._query("CREATE TABLE naive_audit (loop text, id text)")
        command = [sys.executable, "-m", "tests.chaos.receiver", "--port", str(self._sink_port)]
        # It complains about requests whose sender was killed.
        self._receiver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{self._sink_port}/health"
        wait_until(lambda: _answers(url), "the receiver to answer", seconds=30)
        for slot in itertools.product(LOOPS, ROLES, workers):
            self._start(slot)

    def _start(self, slot: tuple[str, str, int]) -> None:
        loop, role, _ = slot
        dsn, sink = self._postgres.dsn(self._database), f"127.0.0.1:{self._sink_port}"
        self._pod_of[slot] = f"pod{next(self._pods)}"
        arguments = [loop, role, self._pod_of[slot], str(self._redis.port), PASSWORD, dsn, sink]
        # What they say when they are killed or a server refuses them is of no interest.
        self._workers[slot] = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.naive", *arguments], stderr=subprocess.DEVNULL
        )

    def _feed(self) -> None:
        """Keeps work waiting for everybody."""
        client = self._redis.client()
        while self._feeding:
            for loop in LOOPS:
                missing = BACKLOG - client.llen(f"naive:{loop}:ingest_queue")
                if missing > BACKLOG / 2:
                    self._push(loop, missing)
            gevent.sleep(0.02)

    def _push(self, loop: str, number: int) -> None:
        messages = []
        for _ in range(number):
            forward, event_id = self._rng.random() < 0.5, str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
            self._pushed[loop].append((event_id, forward))
            messages.append(json.dumps({"external_id": event_id, "source": "naive", "forward": forward}))
        self._redis.client().lpush(f"naive:{loop}:ingest_queue", *messages)

    def _kill_some(self) -> None:
        """Every worker once it is at work, each at a moment of its own."""
        for slot in self._rng.sample(sorted(self._workers), len(self._workers)):
            wait_until(lambda slot=slot: self._is_at_work(slot), f"{slot} to work", seconds=30)
            gevent.sleep(self._rng.uniform(0.0, 0.1))
            self._workers[slot].kill()
            self._workers[slot].wait()
            self._start(slot)
        self.blows += len(ROLES)

    def _is_at_work(self, slot: tuple[str, str, int]) -> bool:
        """Whether it has started: a kill during the imports shows nothing."""
        loop, role, _ = slot
        return bool(self._redis.client().exists(f"naive:{loop}:heartbeat:{role}:{self._pod_of[slot]}"))

    def _pause_some(self) -> None:
        slots = [(loop, role, self._rng.choice((1, 2))) for loop in LOOPS for role in ROLES]
        pids = [self._workers[slot].pid for slot in slots]
        for pid in pids:
            send(pid, signal.SIGSTOP)
        gevent.sleep(PAUSE_SECONDS)
        for pid in pids:
            send(pid, signal.SIGCONT)
        self.blows += len(ROLES)
        gevent.sleep(self._rng.uniform(0.2, 0.5))

    def _at_rest(self) -> dict[str, Losses]:
        wait_until(self._is_idle, "the naive queues to drain", seconds=60, every=0.2)
        gevent.sleep(1.0)  # What a worker has popped is in no list; it is done within milliseconds.
        rows = self._query("SELECT loop, id FROM naive_audit")
        requests_noted = requests.get(f"http://127.0.0.1:{self._sink_port}/ledger", timeout=60).json()
        received = Counter(each for _, _, ids, _ in requests_noted for each in ids)
        return {loop: self._losses(loop, Counter(i for name, i in rows if name == loop), received) for loop in LOOPS}

    def _is_idle(self) -> bool:
        client = self._redis.client()
        return not any(client.llen(key) for key in client.scan_iter("naive:*") if b"heartbeat" not in key)

    def _losses(self, loop: str, audited: Counter[str], received: Counter[str]) -> Losses:
        pushed = {event_id for event_id, _ in self._pushed[loop]}
        forward = {event_id for event_id, to_forward in self._pushed[loop] if to_forward}
        arrived = Counter({each: number for each, number in received.items() if each in pushed})
        lost = len(pushed - set(audited)) + len(forward & set(audited) - set(arrived))
        doubled = sum(audited.values()) - len(audited) + sum(arrived.values()) - len(arrived)
        return Losses(len(pushed), lost, doubled)

    def _query(self, statement: str) -> list[tuple[str, ...]]:
        with psycopg2.connect(self._postgres.dsn(self._database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def _tear_down(self) -> None:
        for process in (*self._workers.values(), self._receiver):
            process.kill()
            process.wait()
        self._redis.stop()
        self._postgres.execute(f'DROP DATABASE IF EXISTS "{self._database}" WITH (FORCE)')


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
