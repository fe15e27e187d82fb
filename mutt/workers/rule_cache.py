"""The alerter's copy of the rules, development hosts and teams."""

import time
from collections.abc import Callable, Iterable, Mapping

import gevent
import structlog
from gevent.event import Event as Flag
from gevent.lock import BoundedSemaphore

from mutt.errors import MuttError
from mutt.observability.metrics import AlerterMetrics
from mutt.rules.rule import Snapshot, build_snapshot
from mutt.store import rules
from mutt.store.pool import Database

log = structlog.get_logger(__name__)


class RuleCache:
    """``snapshot`` is what decisions are made with. A failed reload keeps the old one and is counted."""

    def __init__(self, database: Database, metrics: AlerterMetrics, interval_seconds: Callable[[], float]) -> None:
        self.snapshot = Snapshot()
        self._loaded: rules.Snapshot | None = None
        self._database = database
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._interval_changed = Flag()
        self._loading = BoundedSemaphore()
        self._loaded_at = time.monotonic()

    def load(self) -> None:
        """Reads everything now. Raises OutageError and leaves the snapshot as it is when PostgreSQL is away."""
        # One at a time: an older reading that took longer must not replace a newer one.
        with self._loading, self._metrics.load_seconds.time():
            self._load()
        self._loaded_at = time.monotonic()

    def age_seconds(self) -> float:
        """How long ago everything was read, or seen to be unchanged; at first, how long we have tried."""
        return time.monotonic() - self._loaded_at

    def _load(self) -> None:
        loaded = rules.load(self._database)
        if loaded == self._loaded:
            return  # Most reloads find what there was; an index is not made anew for them.
        # Thousands of rules take a while to compile; in a native thread that does not stop the batches in hand.
        snapshot = gevent.get_hub().threadpool.apply(_compiled, loaded)
        for rule_id, problem in snapshot.unusable.items():
            log.error("rule skipped: it cannot be used", rule_id=rule_id, problem=problem)
        self.snapshot, self._loaded = snapshot, loaded
        self._metrics.rules.set(len(snapshot.rules))
        self._metrics.unusable_rules.set(len(snapshot.unusable))
        self._metrics.dev_hosts.set(len(snapshot.development_hosts))
        self._metrics.teams.set(len(snapshot.teams))

    def reload(self) -> None:
        """As ``load``, but never raises."""
        try:
            self.load()
        except MuttError as error:
            self._metrics.reload_failures.inc()
            log.warning("rules not reloaded; the old ones stay in use", problem=str(error))
        else:
            log.info("rules reloaded", rules=len(self.snapshot.rules), unusable=len(self.snapshot.unusable))

    def keep_fresh(self) -> None:
        """Reloads for ever, every interval."""
        while True:
            self._interval_changed.clear()
            if not self._interval_changed.wait(self._interval_seconds()):
                self.reload()

    def interval_changed(self) -> None:
        """The interval under way gives way to one of the new length."""
        self._interval_changed.set()


def _compiled(rows: Iterable[rules.RuleRow], development_hosts: Iterable[str], teams: Mapping[str, str]) -> Snapshot:
    return build_snapshot(map(rules.as_rule, rows), development_hosts, teams).indexed()
