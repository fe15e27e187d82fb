"""The alerter's reload interval may change while it waits."""

from typing import Any, cast

import gevent
from prometheus_client import CollectorRegistry

from mutt.observability.metrics import AlerterMetrics
from mutt.workers.rule_cache import RuleCache
from tests.support.waiting import wait_until


class CountedReloads(RuleCache):
    """Counts its reloads instead of asking a database."""

    reloads = 0

    def reload(self) -> None:
        self.reloads += 1


def test_a_shorter_interval_does_not_wait_for_the_longer_one_to_end() -> None:
    interval = [3600.0]
    cache = CountedReloads(cast(Any, None), AlerterMetrics(CollectorRegistry()), lambda: interval[0])
    waiting = gevent.spawn(cache.keep_fresh)
    gevent.sleep(0)
    interval[0] = 0.05
    cache.interval_changed()
    wait_until(lambda: cache.reloads >= 2, "two reloads", seconds=2)
    waiting.kill()
