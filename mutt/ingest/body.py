"""Reading a request body within its limits: size as sent, size unpacked, and time."""

import zlib
from collections.abc import Iterator
from typing import Any

import gevent

from mutt.errors import Reason, RequestError

BODY_DEADLINE_SECONDS = 10.0
"""For the whole body. A relay on the network needs milliseconds; who needs longer holds a connection hostage."""

PIECE_BYTES = 4096

TRUSTED_RATIO = 8
"""Syslog as JSON unpacks to some eight times its size; a body of more is unpacked twice, first without keeping it."""

KEPT_BYTES = 64 * 1024
"""As much of a refused body as a dead letter keeps."""


def read_body(environ: dict[str, Any], max_bytes: int, max_unpacked: int) -> bytes:
    """The body of a request, unpacked when it was compressed.

    Raises RequestError 413 for a body that is too large before or after unpacking, 415 for an encoding other than
    gzip, 400 for one that cannot be unpacked and 408 for one that does not arrive in time.
    """
    declared = environ.get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > max_bytes:
        _close_connection(environ)
        raise _too_large(max_bytes, _read(environ, KEPT_BYTES))
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() or "identity"
    if encoding not in ("identity", "gzip"):
        raise RequestError(
            Reason.BAD_ENCODING,
            415,
            f"Content-Encoding {encoding[:40]!r} is not known; send gzip or none",
            _read(environ, KEPT_BYTES),
        )
    body = _read(environ, max_bytes + 1)
    if len(body) > max_bytes:
        _close_connection(environ)
        raise _too_large(max_bytes, body)
    return _unpack(body, max_unpacked) if encoding == "gzip" else body


def _read(environ: dict[str, Any], most: int) -> bytes:
    """Up to ``most`` bytes of the body, within its deadline."""
    deadline = gevent.Timeout(BODY_DEADLINE_SECONDS)
    try:
        with deadline:
            return bytes(environ["wsgi.input"].read(most))
    except gevent.Timeout as timeout:
        if timeout is not deadline:
            raise
        _close_connection(environ)
        sentence = f"the body did not arrive within {BODY_DEADLINE_SECONDS:g} seconds"
        raise RequestError(Reason.BODY_TIMEOUT, 408, sentence) from None


def _too_large(max_bytes: int, start: bytes) -> RequestError:
    sentence = f"the body is larger than {max_bytes} bytes; send smaller batches"
    return RequestError(Reason.BODY_TOO_LARGE, 413, sentence, start[:KEPT_BYTES])


def _close_connection(environ: dict[str, Any]) -> None:
    """The rest of the body is not read, so nothing that follows on this connection could be."""
    close = getattr(environ.get("gunicorn.socket"), "close_after_answer", None)
    if close:
        close()


def _unpack(body: bytes, max_unpacked: int) -> bytes:
    """The content of a gzip file of one or more members.

    What unpacks to much more than itself is measured before it is kept: several bombs at once must not fill the
    memory, each up to its limit.
    """
    trusted = min(max_unpacked, TRUSTED_RATIO * len(body) + KEPT_BYTES)
    content = bytearray()
    size = 0
    for piece in _pieces(body):
        size += len(piece)
        if size <= trusted or len(content) < KEPT_BYTES:
            content += piece
        if size > max_unpacked:
            sentence = f"the body unpacks to more than {max_unpacked} bytes; send smaller batches"
            raise RequestError(Reason.UNPACKED_TOO_LARGE, 413, sentence, bytes(content[:KEPT_BYTES]))
    return bytes(content) if len(content) == size else b"".join(_pieces(body))


def _pieces(body: bytes) -> Iterator[bytes]:
    """The content piece by piece. Raises RequestError 400 for what is not gzip, with as much as could be unpacked."""
    start = b""
    at = 0
    try:
        while at < len(body):
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            while not member.eof and at < len(body):
                # In pieces: zlib copies what follows a member, which would be all the rest for every tiny member.
                packed = body[at : at + PIECE_BYTES]
                piece = member.decompress(packed, KEPT_BYTES)
                # At the end of a member what is left is both.
                at += len(packed) - len(member.unused_data if member.eof else member.unconsumed_tail)
                start = start or piece[:KEPT_BYTES]
                yield piece
            if not member.eof:
                raise RequestError(Reason.BAD_ENCODING, 400, "the gzip body is cut short", start)
    except zlib.error as error:
        raise RequestError(Reason.BAD_ENCODING, 400, f"the body is not gzip: {error}", body[:KEPT_BYTES]) from error
