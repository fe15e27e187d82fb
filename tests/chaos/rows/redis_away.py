"""Redis killed and restarted under load."""

import time

import gevent

from tests.chaos.rows.probing import probe
from tests.chaos.trial import Trial

RECOVERY_SECONDS = 10.0


def redis_restart(trial: Trial) -> None:
    """Kills Redis again and again; every time an event must get through soon after it is back."""
    recoveries = []
    with trial.stage.standard() as field:
        load = trial.load(field, events=10_000_000, rate=trial.size.rate)
        for _ in range(trial.size.restarts):
            gevent.sleep(trial.rng.uniform(1.0, 2.0))
            field.redis_server.kill()
            gevent.sleep(trial.rng.uniform(0.2, 1.5))
            field.redis_server.start()
            started = time.monotonic()
            probe(trial, field)
            recoveries.append(round(time.monotonic() - started, 2))
            trial.outcome.kills += 1
        while load.acknowledged < trial.size.events:
            gevent.sleep(0.1)
        load.stop()
        trial.note_answers(load)
        field.wait_healthy(30)
        trial.outcome.notes["recovery seconds"] = recoveries
        trial.outcome.in_time("seconds to recover", max(recoveries), RECOVERY_SECONDS)
        stock, _ = trial.balance(field)
        letters = len(stock.event_letters) + len(stock.alert_letters) + len(stock.poison)
        trial.outcome.none_of("dead letters", letters)
