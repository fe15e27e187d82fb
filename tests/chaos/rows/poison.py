"""One per cent of the events cannot be stored, and somebody pushes rubbish: exactly these end as dead letters."""

import random
from collections import Counter
from typing import Any

from mutt.errors import Reason
from tests.chaos.trial import Trial

POISON_TEXT = "chaos-poison"
SHARE = 0.01

RUBBISH = (
    b"not JSON at all",
    b'{"message": "cut sh',
    b'{"hostname": "chaos"}',
    b'["an", "array"]',
    b"\xff\xfe\x00 invalid UTF-8 \x80",
    b"17",
    b"null",
    b'{"timestamp": "yesterday", "hostname": "chaos", "message": "no time"}',
    b'"' + b"x" * 100_000,
    b"[" * 100_000,
)


def poison(trial: Trial) -> None:
    """PostgreSQL refuses some events for what they say; bytes that are no events lie in the queue among them."""

    def decorate(event: dict[str, Any], rng: random.Random) -> str:
        if rng.random() > SHARE:
            return ""
        event["message"] += f" {POISON_TEXT}"
        return Reason.CANNOT_BE_STORED

    with trial.stage.standard() as field:
        field.query(
            "ALTER TABLE event_audit_log ADD CONSTRAINT chaos_poison CHECK (message NOT LIKE %s) NOT VALID",
            f"%{POISON_TEXT}%",
        )
        try:
            load = trial.load(field, decorate=decorate)
            for each in RUBBISH:
                field.redis().lpush("mutt:ingest_queue", each)
            trial.finish(load)
            stock, _ = trial.balance(field, with_letters=False)
        finally:
            field.query("ALTER TABLE event_audit_log DROP CONSTRAINT chaos_poison")
        expected = {each: str(reason) for each, reason in trial.ledger.poison.items()}
        trial.outcome.at_least("poisoned events", len(expected), 1)
        found = {**stock.event_letters, **stock.poison}
        trial.outcome.check("dead letters", found == expected, len(found), f"{len(expected)}, each cannot_be_stored")
        rubbish = dict(Counter(reason for _, reason in stock.unreadable))
        wanted = {str(Reason.UNREADABLE_MESSAGE): len(RUBBISH)}
        trial.outcome.check("rubbish", rubbish == wanted, rubbish, str(wanted))
        trial.outcome.none_of("dead alerts", len(stock.alert_letters))
