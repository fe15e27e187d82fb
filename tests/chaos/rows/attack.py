"""Clients that mean harm: huge, packed and endless bodies, huge headers, and hundreds that are slow on purpose."""

import gzip
import itertools
import math
import resource
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gevent

from tests.chaos.field import Field
from tests.chaos.hostile import Answer, send_bytes, send_slowly, stream
from tests.chaos.load import Load
from tests.chaos.processes import memory_mb
from tests.chaos.trial import Trial
from tests.support.appliance import INGEST_KEY

CLOSE_SECONDS = 15.0
P99_SECONDS = 1.0
MEMORY_MB = 50.0
GOOD_RATE = 200.0
GOOD_REQUESTS = 100
PATH = "/api/v2/ingest"
MB = 1024 * 1024
LAST = "Connection: close"


class Attack(NamedTuple):
    """One kind of attack: what it does, what it may be answered (0: closed without a word)."""

    name: str
    strike: Callable[[], Answer]
    statuses: tuple[int, ...]
    at_once: int = 1


def attack(trial: Trial) -> None:
    """Each attack in turn, while good clients post and the ingestor's memory is watched."""
    _allow_many_connections()
    with trial.stage.standard() as field:
        trial.finish(trial.load(field, events=500))
        for each in _attacks(field, trial.size.body_mb, trial.size.slow_clients):
            _one_attack(trial, field, each)
        trial.balance(field)


def _attacks(field: Field, body_mb: int, slow: int) -> Iterator[Attack]:
    port = field.ports["SERVER_PORT_INGESTOR"]
    key = f"X-API-KEY: {INGEST_KEY}"
    length, chunked = f"Content-Length: {body_mb * MB}", "Transfer-Encoding: chunked"
    yield Attack("body with its length", lambda: stream(port, _head(key, length), body_mb, chunked=False), (413,))
    yield Attack("body in chunks", lambda: stream(port, _head(key, chunked), body_mb, chunked=True), (413,))
    yield Attack("body without a key", lambda: stream(port, _head(chunked), body_mb, chunked=True), (401, 429))
    bomb = _bomb(body_mb)
    packed = _head(key, LAST, f"Content-Length: {len(bomb)}", "Content-Encoding: gzip")
    yield Attack("gzip bomb", lambda: send_bytes(port, packed + bomb), (413,), at_once=4)
    strange = _head(key, LAST, "Content-Length: 2", "Content-Encoding: br")
    yield Attack("unknown encoding", lambda: send_bytes(port, strange + b"{}"), (415,))
    many = [f"X-Filler-{number}: {'x' * 1000}" for number in range(1000)]
    yield Attack("1 MB of headers", lambda: send_bytes(port, _head(key, *many)), (431,), at_once=4)
    one = f"X-Filler: {'x' * MB}"
    yield Attack("one header of 1 MB", lambda: send_bytes(port, _head(key, one)), (431,), at_once=4)
    kinds = itertools.cycle([(_head(key), 10), (body := _head(key, "Content-Length: 1000"), len(body)), (b"", 0)])
    # A third each is slow with its head, slow with its body, and silent.
    yield Attack("slow clients", lambda: send_slowly(port, *next(kinds)), (0, 408), at_once=slow)


def _one_attack(trial: Trial, field: Field, each: Attack) -> None:
    before = field.memory_mb("mutt-ingestor")
    good = trial.load(field, events=10_000_000, rate=GOOD_RATE, batches=(1,), forward_share=0.0, replay_share=0.0)
    pids = [field.process("mutt-ingestor").pid, *field.workers_of("mutt-ingestor")]
    watch = Watch(pids)
    answers = [greenlet.get() for greenlet in [gevent.spawn(each.strike) for _ in range(each.at_once)]]
    # A short attack is over before the good clients had a chance to feel it.
    while len(good.seconds) < GOOD_REQUESTS:
        gevent.sleep(0.05)
    good.stop()
    trial.note_answers(good)
    outcome = trial.outcome
    wrong = sorted({answer.status for answer in answers} - set(each.statuses))
    outcome.check(f"{each.name}: answer", not wrong, sorted({answer.status for answer in answers}), f"{each.statuses}")
    outcome.in_time(f"{each.name}: seconds to close", max(answer.seconds for answer in answers), CLOSE_SECONDS)
    outcome.in_time(f"{each.name}: good clients' p99 seconds", _p99(good), P99_SECONDS)
    outcome.at_most(f"{each.name}: memory grown by MB", watch.most() - before, MEMORY_MB)


def _head(*lines: str) -> bytes:
    first = (f"POST {PATH} HTTP/1.1", "Host: mutt", "Content-Type: application/json")
    return "\r\n".join((*first, *lines, "", "")).encode()


def _bomb(unpacked_mb: int) -> bytes:
    """A gzip file of a thousandth of its content."""
    member = gzip.compress(b"0" * MB, 9)
    return member * unpacked_mb


def _p99(load: Load) -> float:
    times = sorted(load.seconds)
    return times[math.ceil(len(times) * 0.99) - 1]


class Watch:
    """The most memory that some processes hold together, from now on."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._most = 0.0
        self._greenlet = gevent.spawn(self._run)

    def most(self) -> float:
        """Ends the watch."""
        self._greenlet.kill()
        return max(self._most, memory_mb(self._pids))

    def _run(self) -> None:
        while True:
            self._most = max(self._most, memory_mb(self._pids))
            gevent.sleep(0.1)


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
