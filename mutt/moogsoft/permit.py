"""Whether a request may leave now: the rate limit and the circuit breaker, shared by all forwarders through Redis."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import redis

from mutt.moogsoft.client import Answer, Verdict
from mutt.redisdb import keys, scripts
from mutt.redisdb.client import outages
from mutt.settings import WebhookSettings

FAILURES_THAT_OPEN = 5
OPEN_SECONDS = 60.0

SLACK_SECONDS = 0.05
"""How long after its permit a request may still leave. The window is longer by as much, so that the receiver never
sees more requests in a period than the limit, whenever within the slack each of them left."""


class Gate(StrEnum):
    """Redis's answer to the question for a permit."""

    GO = "GO"
    PROBE = "PROBE"
    RATE = "RATE"
    OPEN = "OPEN"
    HELD = "HELD"


@dataclass(frozen=True, slots=True)
class Permit:
    """A yes (``granted``), or a no with the time after which to ask again."""

    gate: Gate
    wait_seconds: float

    @property
    def granted(self) -> bool:
        return self.gate in (Gate.GO, Gate.PROBE)

    @property
    def is_probe(self) -> bool:
        return self.gate is Gate.PROBE


class Gatekeeper:
    """Asks for permits and reports how requests ended. ``rate_limit`` is asked for each permit: it may change."""

    def __init__(self, client: redis.Redis, settings: WebhookSettings, rate_limit: Callable[[], int]) -> None:
        self._client = client
        self._settings = settings
        self._rate_limit = rate_limit
        # The circuit must open before an outage can use up the attempts of a lone alert.
        self._failures_that_open = min(FAILURES_THAT_OPEN, settings.max_retries)

    def ask(self) -> Permit:
        """A permit for one request, or how long to wait for one. Raises OutageError."""
        gate, wait_ms = scripts.PERMIT.run(
            self._client,
            [
                self._settings.rate_limit_key,
                keys.CIRCUIT_STATE,
                keys.CIRCUIT_OPENED_AT,
                keys.CIRCUIT_PROBE,
                keys.CIRCUIT_HOLD,
            ],
            [
                self._rate_limit(),
                round((self._settings.rate_period_seconds + SLACK_SECONDS) * 1e6),
                round(OPEN_SECONDS * 1000),
                # The probe's request ends within its deadline; a forwarder that dies leaves the next one a chance.
                round((self._settings.timeout_seconds + 5) * 1000),
                secrets.token_hex(8),
            ],
        )
        return Permit(Gate(gate.decode()), wait_ms / 1000)

    def record(self, permit: Permit, answer: Answer) -> bool:
        """Tells the circuit how the request ended; True when a failure counts against its alerts. Raises OutageError.

        A refusal is a healthy answer: the receiver works and does not want this one.
        """
        failed = answer.verdict is Verdict.RETRY
        _, counts = scripts.RECORD.run(
            self._client,
            [
                keys.CIRCUIT_STATE,
                keys.CIRCUIT_FAILURES,
                keys.CIRCUIT_OPENED_AT,
                keys.CIRCUIT_PROBE,
                keys.CIRCUIT_HOLD,
            ],
            [int(not failed), int(permit.is_probe), self._failures_that_open, round(answer.hold_seconds * 1000)],
        )
        return bool(counts)

    def return_probe(self) -> None:
        """Gives a probe back unused, for the next who asks. Raises OutageError."""
        with outages():
            self._client.delete(keys.CIRCUIT_PROBE)

    def state(self) -> str:
        """CLOSED, OPEN or HALF_OPEN. Raises OutageError."""
        with outages():
            state = self._client.get(keys.CIRCUIT_STATE)
        return state.decode() if isinstance(state, bytes) else "CLOSED"
