"""A worker process for tests to kill: it claims, thinks for a moment, settles, until it is ended.

``python -m tests.support.queue_worker PORT LEASE_SECONDS SEED``. Every message ends as one alert, or goes back or
into the retry set first. FENCED counts the settlements that came too late, RETURNED the messages given back.
"""

from mutt import gevent_patch  # noqa: F401, I001 - must come first

import random
import sys
from collections.abc import Callable

import gevent

from mutt.queues import janitor
from mutt.queues.reliable import Batch, ReliableQueue, Settled, Settlement
from mutt.queues.retry import promote
from mutt.redisdb.client import connect
from mutt.settings import RedisSettings
from tests.support.queues import ALERTER, ALERTS, a_queue
from tests.support.redis_server import PASSWORD, FixedCredentials

FENCED = "tests:fenced"
RETURNED = "tests:returned"


def main() -> None:
    port, lease_seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    settings = RedisSettings(host="127.0.0.1", port=port, tls_enabled=False)
    credentials = FixedCredentials(REDIS_PASS_CURRENT=PASSWORD)
    queue = a_queue(connect(settings, credentials, "tests", blocking_seconds=1), "worker", lease_seconds)
    gevent.spawn(repeat, queue.beat, lease_seconds / 4)
    gevent.spawn(repeat, lambda: queue.client.incr(RETURNED, janitor.sweep(queue).returned), lease_seconds / 4)
    gevent.spawn(repeat, lambda: promote(queue.client, ALERTER), 0.02)
    lanes = [gevent.spawn(run, queue, random.Random(seed + lane)) for lane in range(2)]
    gevent.joinall(lanes)


def repeat(work: Callable[[], object], seconds: float) -> None:
    while True:
        work()
        gevent.sleep(seconds)


def run(queue: ReliableQueue, chance: random.Random) -> None:
    while True:
        if queue.wait(1):
            batch = queue.claim(queue.new_batch_id(), chance.randint(1, 40))
            gevent.sleep(chance.choice([0, 0, 0.005, 0.02]))
            outcome = queue.settle(batch, decide(batch, chance))
            if batch.messages and outcome is Settled.FENCED:
                queue.client.incr(FENCED)


def decide(batch: Batch, chance: random.Random) -> Settlement:
    """Nine in ten messages end now, the others come again."""
    ended, again, later = [], [], []
    for message in batch.messages:
        chance.choices([ended, again, later], [18, 1, 1])[0].append(message)
    settlement = Settlement()
    settlement.push(ALERTS, ended)
    settlement.give_back(ALERTER.queue, again)
    settlement.delay(ALERTER.retry, [(chance.random() / 10, message) for message in later])
    return settlement


if __name__ == "__main__":
    main()
