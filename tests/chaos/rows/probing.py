"""One event sent all the way, to see whether the appliance works again."""

import json
import uuid
from datetime import UTC, datetime

import gevent

from tests.chaos.field import Field
from tests.chaos.ledger import State
from tests.chaos.load import ROUTES, Source
from tests.chaos.trial import Trial
from tests.support.appliance import INGEST_KEY
from tests.support.waiting import wait_until


def probe(trial: Trial, field: Field, seconds: float = 60.0) -> None:
    """Sends an event until it is taken and returns when it was received. Raises AssertionError after ``seconds``."""
    correlation_id = str(uuid.UUID(int=trial.rng.getrandbits(128), version=4))
    trial.ledger.offer(correlation_id, forward=True)
    event = {
        "timestamp": datetime.now(UTC).isoformat(),
        "hostname": "chaos-probe",
        "message": "CRITICAL: chaos probe",
        "correlation_id": correlation_id,
    }
    wait_until(lambda: _sent(trial, field, event), "an event to be taken", seconds=seconds, every=0.1)
    wait_until(lambda: _received(field, correlation_id), "the event to be received", seconds=seconds, every=0.1)


def _sent(trial: Trial, field: Field, event: dict[str, str]) -> bool:
    source = Source(field.ingest_url.removeprefix("http://"))
    state, _, _ = source.post(ROUTES[0], json.dumps(event).encode(), INGEST_KEY)
    source.close()
    trial.ledger.record([event["correlation_id"]], state)
    return state is State.ACKNOWLEDGED


def _received(field: Field, correlation_id: str) -> bool:
    gevent.sleep(0)
    return any(correlation_id in ids for _, _, ids, _ in field.webhook_requests())
