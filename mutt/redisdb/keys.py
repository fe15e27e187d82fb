"""Every name MUTT uses in Redis. Nothing else in the code spells a key.

Names of the queues and prefixes come from the settings; the rest is fixed, because operators have dashboards and
runbooks on them.
"""

import hashlib

DLQ_INGEST = "mutt:dlq:ingest"
"""List of events that ingest refused, each with its reason; capped."""

POISON = "mutt:poison:permanent"
"""List of dead letters whose replays are used up."""

UPKEEP_PREFIX = "mutt:upkeep:"
"""Before the name of a list of dead letters: the old ones that are just being archived."""

CONFIG_PREFIX = "mutt:config:"
CONFIG_UPDATES = "mutt:config:updates"
"""Pub/sub channel: the message is the name of the dynamic key that changed."""

RULES_UPDATES = "mutt:rules:updates"
"""Pub/sub channel: any message makes the alerters reload rules, development hosts and teams."""

CIRCUIT_STATE = "mutt:circuit:moog:state"
CIRCUIT_FAILURES = "mutt:circuit:moog:failures"
CIRCUIT_OPENED_AT = "mutt:circuit:moog:opened_at"
CIRCUIT_PROBE = "mutt:circuit:moog:probe"
"""Lease of the one request that may test an open circuit; expires with the request's deadline."""
CIRCUIT_HOLD = "mutt:circuit:moog:hold"
"""Exists while the receiver's Retry-After asks everybody to wait."""

METRICS_INGEST_TOTAL = "mutt:metrics:ingest:total"
METRICS_ALERTER_TOTAL = "mutt:metrics:alerter:total"
METRICS_MOOG_TOTAL = "mutt:metrics:moog:total"
METRICS_CACHED = "mutt:metrics:cached"

RULE_LAST_HIT = "mutt:metrics:rule_last_hit"
"""Hash: rule id -> when it last decided an event, Unix time in ms."""


def metrics_ingest_minute(minute: int) -> str:
    """Counter of events accepted in one minute; ``minute`` is the Unix time divided by 60."""
    return f"mutt:metrics:ingest:minute:{minute}"


def rule_hits(day: str) -> str:
    """Hash: rule id -> events it decided on that day; ``day`` is YYYYMMDD in UTC. Kept for 35 days."""
    return f"mutt:metrics:rule_hits:{day}"


SLO_INGEST_GOOD, SLO_INGEST_TOTAL = "slo:ingest:good", "slo:ingest:total"
SLO_MOOG_GOOD, SLO_MOOG_TOTAL = "slo:moog:good", "slo:moog:total"
"""Names of tallies: requests to ingest and to the webhook, those that succeeded and all of them."""

WRONG_RELAY_KEYS = "wrong_keys:relay"
"""Name of a tally: requests of relays with a wrong key, which were told to wait."""

DOCTOR_PROBE = "mutt:doctor:probe"
"""Written by the diagnosis to see whether Redis takes writes; expires at once."""


def tally(name: str, hour: int) -> str:
    """Counter of one hour; ``hour`` is the Unix time divided by 3600."""
    return f"mutt:metrics:{name}:{hour}"


def config(name: str) -> str:
    return CONFIG_PREFIX + name


def processing(prefix: str, pod: str, batch: str) -> str:
    """List of the messages of one claimed batch."""
    return f"{prefix}:{pod}:{batch}"


def heartbeat(prefix: str, pod: str) -> str:
    """Lease of all batches of one worker process."""
    return f"{prefix}:{pod}"


def done(prefix: str, pod: str, batch: str) -> str:
    """Marker left by a settled batch, so that settling it again changes nothing."""
    return f"{prefix.replace('mutt:processing:', 'mutt:done:', 1)}:{pod}:{batch}"


def attempts(prefix: str) -> str:
    """Hash: how often a message came back from a worker that died, by the SHA-1 of the message."""
    return prefix.replace("mutt:processing:", "mutt:attempts:", 1)


def retry(service: str) -> str:
    """Sorted set of messages that wait for their next try; the score is the time in ms when it is due."""
    return f"mutt:retry:{service}"


def unhandled(prefix: str, pattern: str) -> str:
    """Counter of unmatched events of one pattern: readable up to 200 characters, told apart by a digest of it all."""
    return f"{prefix}:{pattern[:200]}:{unhandled_id(pattern)}"


def unhandled_id(pattern: str) -> str:
    """The digest that names a pattern: 16 hex digits."""
    return hashlib.sha256(pattern.encode()).hexdigest()[:16]


def unhandled_details(prefix: str, pattern_id: str) -> str:
    """Hash beside a counter: the whole pattern, its source, when it was seen and sample events."""
    return f"{prefix}_details:{pattern_id}"


def unhandled_ignored(prefix: str) -> str:
    """Hash: id of a pattern -> who ignores it since when and why, as JSON."""
    return f"{prefix}_ignored"


def unhandled_other(prefix: str) -> str:
    """Counter of all unmatched events beyond the 10,000 patterns that are told apart."""
    return f"{prefix}:other"


def unhandled_index(prefix: str) -> str:
    """Sorted set of the counters that exist; the score is the time in ms when the counter expires."""
    return f"{prefix}_index"


def idempotency(actor: str, key: str) -> str:
    """The answer to a POST that carried an Idempotency-Key, by who sent it."""
    return f"mutt:idempotency:{actor}:{hashlib.sha256(key.encode()).hexdigest()}"
