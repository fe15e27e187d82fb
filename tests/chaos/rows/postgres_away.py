"""PostgreSQL killed and restarted, and away for minutes: events wait, nothing is dead-lettered."""

import time
from collections.abc import Callable

import gevent

from tests.chaos.field import Field
from tests.chaos.load import Load
from tests.chaos.rows.probing import probe
from tests.chaos.trial import Trial

RECOVERY_SECONDS = 10.0
AWAY_RATE = 300.0
"""Events a second while PostgreSQL is away for minutes: they all wait in Redis."""


def postgres_restart(trial: Trial) -> None:
    """Kills PostgreSQL, or restarts it as an operator does, in turn."""
    with trial.stage.standard() as field:
        server = field.postgres
        load = trial.load(field, events=10_000_000)
        recoveries = []
        for number in range(trial.size.restarts):
            gevent.sleep(trial.rng.uniform(1.0, 2.0))
            (server.kill if number % 2 else server.stop)()
            gevent.sleep(trial.rng.uniform(0.1, 1.0))
            recoveries.append(_recovery(trial, field, server.start))
            trial.outcome.kills += 1
        _close(trial, field, load, recoveries)


def postgres_away(trial: Trial) -> None:
    """Stops PostgreSQL for minutes: events are still taken and health says what is missing."""
    with trial.stage.standard() as field:
        load = trial.load(field, events=10_000_000, rate=AWAY_RATE)
        field.postgres.stop()
        try:
            gevent.sleep(trial.size.outage_seconds)
            answers, troubles = set(load.answers), field.unhealthy()
            waiting = field.redis().llen("mutt:ingest_queue")
        finally:
            recovery = _recovery(trial, field, field.postgres.start)
        trial.outcome.notes["events that waited"] = waiting
        trial.outcome.check("answers meanwhile", answers == {"202"}, sorted(answers), "202 only")
        named = "cannot connect" in str(troubles.get("mutt-alerter"))
        trial.outcome.check("health names PostgreSQL", named, sorted(troubles), "mutt-alerter: 503")
        _close(trial, field, load, [recovery])


def _recovery(trial: Trial, field: Field, start: Callable[[], None]) -> float:
    """Starts the server; seconds from then until rows are written again."""
    start()
    started, before = time.monotonic(), field.audited()
    while field.audited() <= before:
        assert time.monotonic() < started + 60, "no audit row within 60 s of PostgreSQL's return"
        gevent.sleep(0.05)
    return round(time.monotonic() - started, 2)


def _close(trial: Trial, field: Field, load: Load, recoveries: list[float]) -> None:
    while load.acknowledged < trial.size.events // 2:
        gevent.sleep(0.1)
    load.stop()
    trial.note_answers(load)
    probe(trial, field, seconds=120)
    trial.outcome.notes["recovery seconds"] = recoveries
    trial.outcome.in_time("seconds to recover", max(recoveries), RECOVERY_SECONDS)
    stock, _ = trial.balance(field)
    trial.outcome.none_of("dead letters", len(stock.event_letters) + len(stock.alert_letters) + len(stock.poison))
