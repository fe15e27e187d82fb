"""The alerter's copy of the rules, development hosts and teams."""

from collections.abc import Callable

import structlog
from gevent.event import Event as Flag

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
        self._database = database
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._interval_changed = Flag()

    def load(self) -> None:
        """Reads everything now. Raises OutageError and leaves the snapshot as it is when PostgreSQL is away."""
        rows, development_hosts, teams = rules.load(self._database)
        snapshot = build_snapshot(map(rules.as_rule, rows), development_hosts, teams)
        for rule_id, problem in snapshot.unusable.items():
            log.error("rule skipped: it cannot be used", rule_id=rule_id, problem=problem)
        self.snapshot = snapshot
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
