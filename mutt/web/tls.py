"""TLS handshakes: ten seconds for each, and one line in the log for one that fails.

gevent's server makes the handshake before gunicorn sees the connection; left to itself it waits for ever and writes a
traceback for every client that comes with the wrong certificate or speaks plain HTTP.
"""

import contextlib
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import structlog

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10.0


def tls_context(_config: Any, make_default: Callable[[], Any]) -> Any:
    """gunicorn's TLS context (see its setting ssl_context), with handshakes as described above."""
    context = make_default()
    context.wrap_socket = partial(_secured, context.wrap_socket)
    return context


def _secured(wrap: Callable[..., Any], sock: Any, **options: Any) -> Any:
    """The client's socket with TLS on it. Ends the greenlet of the connection when the handshake fails."""
    client = "unknown"
    with contextlib.suppress(OSError):
        client = sock.getpeername()[0]
    try:
        return _shake_hands(wrap(sock, do_handshake_on_connect=False, **options))
    except OSError as error:
        _tell(client, error)
        raise gevent.GreenletExit from None


def _shake_hands(secured: Any) -> Any:
    """The same socket once the handshake is done. Raises OSError; the socket is closed then."""
    deadline = gevent.Timeout(HANDSHAKE_SECONDS)
    done = False
    try:
        with deadline:
            secured.do_handshake()
        done = True
    except gevent.Timeout as timeout:
        if timeout is not deadline:
            raise
        raise TimeoutError(f"not done within {HANDSHAKE_SECONDS:g} s") from None
    finally:
        if not done:
            secured.close()
    return secured


def _tell(client: str, error: OSError) -> None:
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        # It went without a word, as whoever only looks whether the port is open does every few seconds.
        log.debug("TLS handshake broken off", client=client, problem=str(error))
    else:
        reason = error.reason if isinstance(error, ssl.SSLError) else None
        log.info("TLS handshake failed", client=client, problem=reason or str(error))
