"""How often rules decided an event, from the counters that the alerters keep in Redis."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import redis

from mutt.errors import OutageError
from mutt.redisdb import keys
from mutt.redisdb.client import outages

DAY_SECONDS = 86400


class Hits(NamedTuple):
    """Events that a rule decided; all None while Redis is away."""

    day: int | None = None
    week: int | None = None
    last: datetime | None = None


def read_hits(client: redis.Redis, rule_ids: Sequence[int]) -> dict[int, Hits]:
    """The hits of each rule.

    The counters are those of whole days in UTC, so the oldest day of a window counts by the share of it that lies
    within the window.
    """
    if not rule_ids:
        return {}
    now = time.time()
    fields = [str(rule_id) for rule_id in rule_ids]
    try:
        with outages():
            pipe = client.pipeline(transaction=False)
            for age in range(8):
                pipe.hmget(
                    keys.rule_hits(datetime.fromtimestamp(now - age * DAY_SECONDS, UTC).strftime("%Y%m%d")), fields
                )
            pipe.hmget(keys.RULE_LAST_HIT, fields)
            *days, last = pipe.execute()
    except OutageError:
        return dict.fromkeys(rule_ids, Hits())
    share = 1 - now % DAY_SECONDS / DAY_SECONDS
    hits = {}
    for at, rule_id in enumerate(rule_ids):
        counts = [int(day[at] or 0) for day in days]
        hits[rule_id] = Hits(_within(counts[:2], share), _within(counts, share), _moment(last[at]))
    return hits


def _within(counts: Sequence[int], share: float) -> int:
    return sum(counts[:-1]) + round(counts[-1] * share)


def _moment(unix_ms: bytes | None) -> datetime | None:
    return None if unix_ms is None else datetime.fromtimestamp(int(unix_ms) / 1000, UTC)
