"""Reading a request body within its limits: size as sent, size unpacked, and time."""

import zlib
from typing import Any

import gevent

from mutt.errors import Reason, RequestError

BODY_DEADLINE_SECONDS = 10.0
"""For the whole body. A relay on the network needs milliseconds; who needs longer holds a connection hostage."""

PIECE_BYTES = 4096

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
    """The content of a gzip file of one or more members."""
    unpacked = bytearray()
    at = 0
    try:
        while at < len(body):
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            while not member.eof and at < len(body) and len(unpacked) <= max_unpacked:
                # In pieces: zlib copies what follows a member, which would be all the rest for every tiny member.
                piece = body[at : at + PIECE_BYTES]
                unpacked += member.decompress(piece, max_unpacked + 1 - len(unpacked))
                at += len(piece) - len(member.unused_data)
            if len(unpacked) > max_unpacked:
                sentence = f"the body unpacks to more than {max_unpacked} bytes; send smaller batches"
                raise RequestError(Reason.UNPACKED_TOO_LARGE, 413, sentence, bytes(unpacked[:KEPT_BYTES]))
            if not member.eof:
                raise RequestError(Reason.BAD_ENCODING, 400, "the gzip body is cut short", bytes(unpacked[:KEPT_BYTES]))
    except zlib.error as error:
        raise RequestError(Reason.BAD_ENCODING, 400, f"the body is not gzip: {error}", body[:KEPT_BYTES]) from error
    return bytes(unpacked)
