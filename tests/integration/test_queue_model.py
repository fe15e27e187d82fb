"""The Lua scripts against the model: any sequence of calls leaves Redis as it leaves the model.

MUTT_QUEUE_SEQUENCES says how many sequences are tried (300).
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from mutt.events import dead_letter
from mutt.queues.reliable import Batch, ReliableQueue, Settled
from mutt.queues.retry import promote
from mutt.redisdb import keys
from tests.support.queue_model import COUNTER, HITS, IGNORED_PATTERN, PREFIX, Plan, QueueModel
from tests.support.queues import ALERTER, ALERTS, a_queue, put

pytest_plugins = ["tests.support.queue_servers"]

SEQUENCES = int(os.environ.get("MUTT_QUEUE_SEQUENCES", "300"))
WORKERS, SLOTS = 2, 2
FATES = ("end", "alert", "bury", "give back", "retry now", "retry later")
PATTERNS = (IGNORED_PATTERN, "p1", "p2", "p3")

EVERYTHING = """
local content = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, false
  if kind == 'list' then
    value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1)
  else
    value = redis.call('GET', key)
  end
  content[#content + 1] = {key, value}
end
return content
"""

worker, slot = st.integers(0, WORKERS - 1), st.integers(0, SLOTS - 1)
any_one = st.integers(0, 20)
fates = st.lists(st.sampled_from(FATES), min_size=1, max_size=5)
OPERATIONS = st.one_of(
    st.tuples(st.just("push"), st.integers(1, 6)),
    st.tuples(st.just("claim"), worker, slot, st.integers(1, 5)),
    st.tuples(st.just("claim"), worker, slot, st.integers(1, 5)),
    st.tuples(st.just("settle"), worker, slot, fates),
    st.tuples(st.just("settle"), worker, slot, fates),
    st.tuples(st.just("work"), worker, slot, st.integers(1, 5), fates),
    st.tuples(
        st.just("count"),
        worker,
        st.lists(st.integers(1, 3), max_size=4),
        st.lists(st.sampled_from(PATTERNS), max_size=4),
    ),
    st.tuples(st.just("oversleep"), worker),
    st.tuples(st.just("release"), worker, slot),
    st.tuples(st.just("abandon"), worker, slot),
    st.tuples(st.just("beat"), worker),
    st.tuples(st.just("restart"), worker),
    st.tuples(st.just("die_over"), worker, st.integers(1, 5)),
    st.tuples(st.just("silence"), any_one),
    st.tuples(st.just("janitor"), any_one),
    st.tuples(st.just("sweep"), worker),
    st.tuples(st.just("promote")),
)


class Run:
    """One sequence: every call goes to Redis and to the model, and both must answer the same."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.model = QueueModel()
        self.everything = client.register_script(EVERYTHING)
        self.workers = [a_queue(client, f"w{number}", lease_seconds=3600) for number in range(WORKERS)]
        self.pods = [queue.pod for queue in self.workers]
        self.batches: dict[tuple[int, int], Batch] = {}
        self.open: set[tuple[int, int]] = set()
        self.pushed: list[bytes] = []
        self.ended: list[bytes] = []
        self.tick = 0

    def step(self, operation: tuple[Any, ...]) -> None:
        getattr(self, operation[0])(*operation[1:])
        assert content_of(self.everything()) == self.model.content()
        self.check_that_nothing_is_lost_or_doubled()

    def push(self, count: int) -> None:
        messages = [f"m{len(self.pushed) + number}".encode() for number in range(count)]
        self.pushed += messages
        put(self.client, messages)
        self.model.push(messages)

    def claim(self, worker: int, slot: int, most: int) -> None:
        """A new batch for a slot that is free; for one that is not, the same claim again."""
        queue, place = self.workers[worker], (worker, slot)
        batch_id = self.batches[place].id if place in self.open else queue.new_batch_id()
        batch = queue.claim(batch_id, most)
        assert batch == self.model.claim(queue.pod, batch_id, most)
        self.batches[place] = batch
        self.open.add(place)

    def settle(self, worker: int, slot: int, fates: list[str]) -> None:
        """Settles the batch of a slot, or settles it again."""
        place = (worker, slot)
        if place in self.batches:
            batch = self.batches[place]
            plan = Plan(count=len(batch.messages))
            ended = []
            for number, message in enumerate(batch.messages):
                self.decide(plan, message, fates[number % len(fates)], ended)
            queue = self.workers[worker]
            outcome = queue.settle(batch, plan.settlement())
            assert outcome is self.model.settle(queue.pod, batch.id, plan)
            self.ended += ended if outcome is Settled.SETTLED else []
            self.open.discard(place)
            event(outcome)

    def count(self, worker: int, rules: list[int], patterns: list[str]) -> None:
        """Settles a batch that comes to nothing but figures: its messages go back."""
        self.claim(worker, 0, 2)
        queue, batch = self.workers[worker], self.batches[worker, 0]
        plan = Plan(give_back=batch.messages, hits=Counter(rules), patterns=Counter(patterns))
        assert queue.settle(batch, plan.settlement()) is self.model.settle(queue.pod, batch.id, plan)
        self.open.discard((worker, 0))

    def work(self, worker: int, slot: int, most: int, fates: list[str]) -> None:
        self.claim(worker, slot, most)
        self.settle(worker, slot, fates)

    def decide(self, plan: Plan, message: bytes, fate: str, ended: list[bytes]) -> None:
        self.tick += 1
        if fate in ("end", "alert", "bury"):
            ended.append(message)
        if fate == "alert":
            plan.push.append(b"alert of " + message)
        elif fate == "bury":
            plan.bury.append(b"letter of " + message)
        elif fate == "give back":
            plan.give_back.append(message)
        elif fate.startswith("retry"):
            # Due ones in both orders: the later the earlier, or the other way round.
            rank = self.tick if fate == "retry later" else -self.tick if self.tick % 2 else self.tick - 1_000_000
            plan.delay.append((rank, message))

    def release(self, worker: int, slot: int) -> None:
        if (worker, slot) in self.batches:
            queue, batch = self.workers[worker], self.batches[worker, slot]
            outcome = queue.release(batch)
            assert outcome is self.model.settle(queue.pod, batch.id, Plan(give_back=batch.messages))
            self.open.discard((worker, slot))

    def abandon(self, worker: int, slot: int) -> None:
        if (worker, slot) in self.batches:
            queue, batch = self.workers[worker], self.batches[worker, slot]
            queue.abandon(batch)
            self.model.abandon(queue.pod, batch.id)
            self.open.discard((worker, slot))

    def beat(self, worker: int) -> None:
        self.workers[worker].beat()
        self.model.beating.add(self.workers[worker].pod)

    def restart(self, worker: int) -> None:
        """The worker dies without a word and comes back under the same POD_NAME."""
        self.workers[worker] = a_queue(self.client, f"w{worker}", lease_seconds=3600)
        self.pods.append(self.workers[worker].pod)
        for place in [(worker, slot) for slot in range(SLOTS)]:
            self.batches.pop(place, None)
            self.open.discard(place)

    def die_over(self, worker: int, most: int) -> None:
        """The worker claims, dies with all it has in hand, comes back, and finds what it left."""
        self.claim(worker, 0, most)
        self.silence(self.pods.index(self.workers[worker].pod))
        self.restart(worker)
        self.sweep(worker)

    def oversleep(self, worker: int) -> None:
        """The worker is silent for longer than its lease, and wakes up with its batches in hand."""
        pod = self.workers[worker].pod
        self.silence(self.pods.index(pod))
        for owner in sorted(self.model.batches):
            if owner[0] == pod:
                self.look_at(self.workers[worker - 1], *owner)

    def silence(self, which: int) -> None:
        """A lease runs out: of a worker that died, or of one that only sleeps."""
        pod = self.pods[which % len(self.pods)]
        self.client.delete(f"{ALERTER.heartbeat_prefix}:{pod}")
        self.model.beating.discard(pod)

    def janitor(self, which: int) -> None:
        """Looks at one batch, whoever has it."""
        owners = sorted(self.model.batches)
        if owners:
            pod, batch_id = owners[which % len(owners)]
            self.look_at(self.workers[0], pod, batch_id)

    def look_at(self, queue: ReliableQueue, pod: str, batch_id: str) -> None:
        batch_key, heartbeat_key = f"{ALERTER.processing_prefix}:{pod}:{batch_id}", f"{ALERTER.heartbeat_prefix}:{pod}"
        found = queue.give_back_if_dead(batch_key, heartbeat_key)
        assert found == self.model.give_back_if_dead((pod, batch_id))
        event("buried" if found[1] else "given back" if found[0] else "alive")

    def sweep(self, worker: int) -> None:
        """Looks at every batch of the others. (janitor.sweep does so in the order of SCAN, which the model cannot.)"""
        queue = self.workers[worker]
        for pod, batch_id in sorted(self.model.batches):
            if pod != queue.pod:
                self.look_at(queue, pod, batch_id)

    def promote(self) -> None:
        assert promote(self.client, ALERTER).moved == self.model.promote()

    def check_that_nothing_is_lost_or_doubled(self) -> None:
        killers = [each for each in self.model.dead_letters if not each.startswith(b"letter of ")]
        places = [self.model.queue, list(self.model.retries), killers, self.ended, *self.model.batches.values()]
        assert sorted(message for place in places for message in place) == sorted(self.pushed)


def pairs(flat: list[bytes], name: Callable[[bytes], Any], value: Callable[[bytes], Any]) -> dict[Any, Any]:
    return {name(flat[at]): value(flat[at + 1]) for at in range(0, len(flat), 2)}


def content_of(found: list[list[Any]]) -> dict[str, object]:
    """What Redis holds, in the shape of QueueModel.content()."""
    content: dict[str, object] = {}
    for key, value in ((name.decode(), value) for name, value in found):
        if key.startswith(("mutt:heartbeat:", "mutt:done:")):
            content[key] = None
        elif key in (keys.RULE_LAST_HIT, keys.unhandled_ignored(PREFIX)):
            continue
        elif key.startswith(keys.rule_hits("")):
            # A test that runs at midnight has two days.
            content[HITS] = Counter(content.get(HITS, {})) + Counter(pairs(value, int, int))
        elif key.startswith(keys.unhandled_details(PREFIX, "")):
            content[key] = [text for place, text in sorted(pairs(value, bytes, bytes).items()) if place.isdigit()]
        elif key == keys.unhandled_index(PREFIX):
            content[key] = {each.decode() for each in value}
        elif key.startswith(f"{PREFIX}:"):
            content[key] = int(value)
        elif key == ALERTER.attempts:
            content[key] = {value[at].decode(): int(value[at + 1]) for at in range(0, len(value), 2)}
        elif key == ALERTER.dead_letters:
            content[key] = [message_in(record) for record in reversed(value)]
        elif key in (ALERTER.queue, ALERTS):
            content[key] = value[::-1]
        else:
            content[key] = int(value) if key == COUNTER else value
    return content


def message_in(record: bytes) -> bytes:
    letter = dead_letter.exhume(record)
    return str(letter.payload).encode() if letter else record


@settings(
    max_examples=SEQUENCES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(operations=st.lists(OPERATIONS, min_size=12, max_size=50))
def test_any_sequence_of_calls_leaves_redis_as_it_leaves_the_model(
    queue_client: redis.Redis, operations: list[tuple[Any, ...]]
) -> None:
    queue_client.flushall()
    queue_client.hset(keys.unhandled_ignored(PREFIX), keys.unhandled_id(IGNORED_PATTERN), "{}")
    run = Run(queue_client)
    run.step(("push", 8))
    for operation in operations:
        run.step(operation)


def test_valkey_is_at_hand() -> None:
    if not shutil.which("valkey-server"):
        pytest.skip("valkey-server is not on PATH: the queue's tests ran on Redis only")
