"""Idempotency-Key: a POST that is sent again, because its answer was lost, is not done again."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import redis

from mutt.errors import Reason, RequestError, UnknownOutcomeError
from mutt.redisdb import keys
from mutt.redisdb.client import outages

KEPT_SECONDS = 24 * 3600
UNDER_WAY_SECONDS = 120
"""How long a request that never finished keeps its key."""

UNKNOWN = -1
"""Instead of a status: the request may or may not have been done."""

MOST_KEY_CHARACTERS = 255
MOST_ANSWER_BYTES = 256 * 1024


class Answer(msgspec.Struct):
    """An answer as it was sent."""

    digest: str
    status: int = 0
    content: bytes = b""
    content_type: str = ""


class Earlier:
    """What is known about the key: the ``answer`` of the first request, or None when this is the first."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.kept: tuple[int, bytes, str] | None = None

    def keep(self, status: int, content: bytes, content_type: str) -> None:
        """Has the answer kept for whoever sends the same request again."""
        self.kept = (status, content, content_type)


class IdempotentAnswers:
    """The answers of the last day, in Redis, by key and name of the caller."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @contextmanager
    def once(self, actor: str, key: str, path: str, body: bytes) -> Iterator[Earlier]:
        """Does the request, or answers as before.

        A request that fails with an exception may be sent again. Raises RequestError: 400 for a key that is too
        long, 409 while the first request is under way, 422 when the key was used for another request; OutageError
        when Redis is away.
        """
        if not 0 < len(key) <= MOST_KEY_CHARACTERS:
            raise RequestError(
                Reason.INVALID_FIELD, 400, f"Idempotency-Key must have 1 to {MOST_KEY_CHARACTERS} characters",
                field="Idempotency-Key",
            )  # fmt: skip
        name = keys.idempotency(actor, key)
        digest = hashlib.sha256(path.encode() + b"\0" + body).hexdigest()
        first = Answer(digest)
        with outages():
            is_first = self._client.set(name, msgspec.msgpack.encode(first), nx=True, ex=UNDER_WAY_SECONDS)
            stored = None if is_first else self._client.get(name)
        if not is_first:
            yield Earlier(_checked(stored, digest))
            return
        earlier = Earlier(None)
        try:
            yield earlier
        except UnknownOutcomeError:
            # Whoever sends it again must not have it done twice: a person has to look.
            earlier.keep(UNKNOWN, b"", "")
            raise
        finally:
            self._finish(name, digest, earlier)

    def _finish(self, name: str, digest: str, earlier: Earlier) -> None:
        with outages():
            if earlier.kept is None or len(earlier.kept[1]) > MOST_ANSWER_BYTES:
                self._client.delete(name)
            else:
                self._client.set(name, msgspec.msgpack.encode(Answer(digest, *earlier.kept)), ex=KEPT_SECONDS)


def _checked(stored: bytes | str | None, digest: str) -> Answer:
    if not isinstance(stored, bytes):
        raise RequestError(Reason.CONFLICT, 409, "the request with this Idempotency-Key has just failed; send it again")
    answer = msgspec.msgpack.decode(stored, type=Answer)
    if answer.digest != digest:
        raise RequestError(
            Reason.IDEMPOTENCY_KEY_REUSED, 422, "this Idempotency-Key was used for another request",
            field="Idempotency-Key",
        )  # fmt: skip
    if answer.status == UNKNOWN:
        raise RequestError(
            Reason.CONFLICT,
            409,
            "whether the request with this Idempotency-Key was done is not known: its answer from PostgreSQL was lost; "
            "look, and send it under a new key if it was not",
        )
    if not answer.status:
        raise RequestError(Reason.CONFLICT, 409, "the request with this Idempotency-Key is still under way")
    return answer
