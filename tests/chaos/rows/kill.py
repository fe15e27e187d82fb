"""Workers that are killed, and workers that stop for longer than their lease."""

import time

from tests.chaos.faults import Killer, Pauser, Tormentor
from tests.chaos.field import LEASE_SECONDS, Field
from tests.chaos.load import Load
from tests.chaos.trial import Trial

WEBHOOK_MS = 40
PARKED = 'mutt_alerter_shed_events_total{mode="dlq"}'


def kill(trial: Trial) -> None:
    """SIGKILL every half second to a worker of the alerter, a forwarder or the ingestor, under load."""
    with trial.stage.standard() as field:
        killer = Killer(field, trial.name)
        _torment(trial, field, killer, trial.size.kills)
        killed_at = time.monotonic()
        field.wait_healthy(60)
        healthy_after = time.monotonic() - killed_at
        drained_after = healthy_after + field.wait_until_at_rest(120, with_letters=False)
        trial.outcome.notes["seconds after the last kill"] = {
            "healthy": round(healthy_after, 1),
            "drained": round(drained_after, 1),
        }
        trial.outcome.in_time("seconds from healthy to drained", drained_after - healthy_after, 2 * LEASE_SECONDS)
        _close_the_books(trial, field, killer)
    trial.run_control("kill", trial.size.control_kills)


def pause(trial: Trial) -> None:
    """SIGSTOP for longer than the lease, then SIGCONT: who comes back must find that it is fenced off."""
    with trial.stage.standard() as field:
        fenced_before = field.fenced()
        pauser = Pauser(field, trial.name)
        _torment(trial, field, pauser, trial.size.pauses)
        field.wait_until_at_rest(120)
        trial.outcome.fenced = field.fenced() - fenced_before
        trial.outcome.at_least("batches fenced off", trial.outcome.fenced, 1)
        _close_the_books(trial, field, pauser)
    trial.run_control("pause", trial.size.control_pauses)


def _torment(trial: Trial, field: Field, tormentor: Tormentor, blows: int) -> Load:
    """The load and the faults together, until the load is done and there were faults enough."""
    # As slow as a webhook on another network is: so that faults meet requests under way.
    field.behave(latency_ms=WEBHOOK_MS)
    parked_before = field.figure(PARKED)
    load = trial.load(field)
    tormentor.start()
    load.join()
    while len(tormentor.blows) < blows:
        # The load is over too soon: more of it, so that the faults meet processes at work.
        trial.note_answers(load)
        load = trial.load(field, events=round(trial.size.rate))
        load.join()
    tormentor.stop()
    trial.note_answers(load)
    trial.outcome.notes["events parked meanwhile"] = int(field.figure(PARKED) - parked_before)
    trial.outcome.kills = len(tormentor.blows)
    trial.outcome.at_least("kills or pauses", len(tormentor.blows), blows)
    return load


def _close_the_books(trial: Trial, field: Field, tormentor: Tormentor) -> None:
    victims = [blow.program for blow in tormentor.blows]
    trial.outcome.notes["victims"] = {name: victims.count(name) for name in sorted(set(victims))}
    trial.outcome.notes["victims with work in hand"] = sum(blow.in_hand > 0 for blow in tormentor.blows)
    trial.outcome.notes["memory_mb"] = round(field.memory_mb("mutt-alerter", "mutt-forwarder", "mutt-ingestor"))
    stock, _ = trial.balance(field, tormentor.duplicates_allowed)
    trial.outcome.at_most("meta-alerts raised", len(stock.meta_alerts), 1)
