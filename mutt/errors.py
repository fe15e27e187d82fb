"""The errors MUTT raises, each with a reason from a closed set.

A reason is one word with one meaning everywhere: it is the label of a metric, the ``reason`` member of a dead
letter and the last part of a problem type, so an operator who saw it in one place finds it in the others.
"""

from enum import StrEnum

EX_CONFIG = 78
"""Exit code for a configuration error (sysexits.h); supervisor does not restart a program that ends with it."""


class Reason(StrEnum):
    """Why something was refused, retried or dead-lettered."""

    # An event that ingest will not take.
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    EVENT_TOO_LARGE = "event_too_large"
    # A request that ingest will not take.
    UNAUTHORIZED = "unauthorized"
    TOO_MANY_WRONG_KEYS = "too_many_wrong_keys"
    BODY_TOO_LARGE = "body_too_large"
    UNPACKED_TOO_LARGE = "unpacked_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    BAD_ENCODING = "bad_encoding"
    BODY_TIMEOUT = "body_timeout"
    # A request that the admin API will not take.
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STALE = "stale"
    SWITCHED_OFF = "switched_off"
    INVALID_RULE = "invalid_rule"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    NOT_ACCEPTABLE = "not_acceptable"
    # Backpressure and outages: answered 503, never counted against a message.
    QUEUE_FULL = "queue_full"
    DEAD_LETTERS_FULL = "dead_letters_full"
    REDIS_UNREACHABLE = "redis_unreachable"
    REDIS_FULL = "redis_full"
    REDIS_READONLY = "redis_readonly"
    REDIS_LOADING = "redis_loading"
    POSTGRES_UNREACHABLE = "postgres_unreachable"
    NO_CREDENTIALS = "no_credentials"
    UNKNOWN_OUTCOME = "unknown"
    # A message's own fault, found by a worker.
    UNREADABLE_MESSAGE = "unreadable_message"
    CANNOT_BE_STORED = "cannot_be_stored"
    KILLED_ITS_WORKER = "killed_its_worker"
    REFUSED_BY_RECEIVER = "refused_by_receiver"
    RETRIES_EXHAUSTED = "retries_exhausted"
    CANNOT_BE_REPLAYED = "cannot_be_replayed"
    # Nobody's fault: an event put aside while the forwarder could not keep up.
    SHED = "shed"


class MuttError(Exception):
    """Base of all errors raised by MUTT; its text is a sentence meant for a person."""


class ConfigurationError(MuttError):
    """The settings cannot be used. ``problems`` holds one sentence for every mistake found."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class EventError(MuttError):
    """An event cannot be taken; ``reason`` says why in one word, the text says it to a person."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class RequestError(MuttError):
    """A whole request cannot be taken.

    ``status`` is the HTTP status that says so, ``content`` what was read of the body, for a dead letter. ``field``
    names the field of the request that is to blame, as a path: ``priority``, ``rules[3].match_type``.
    """

    def __init__(
        self, reason: Reason, status: int, sentence: str, content: bytes = b"", field: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.status = status
        self.content = content
        self.field = field


class OutageError(MuttError):
    """Something we depend on cannot do its work now. The work itself is fine and can be tried again."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class UnknownOutcomeError(OutageError):
    """A write was sent and its answer was lost: it may or may not have happened."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Reason.UNKNOWN_OUTCOME, sentence)


class DataError(MuttError):
    """PostgreSQL refuses the data itself; trying the same data again cannot succeed."""


class CredentialsError(OutageError):
    """The secrets cannot be read now."""

    def __init__(self, sentence: str) -> None:
        super().__init__(Reason.NO_CREDENTIALS, sentence)
