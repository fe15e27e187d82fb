"""Listening to Redis's pub/sub channels, through outages."""

from collections.abc import Callable, Mapping

import gevent
import redis
import structlog

from mutt.errors import OutageError
from mutt.redisdb.client import outages

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0

Listener = Callable[[str], None]


class Subscriber:
    """Calls a listener with each message of its channel, and once after every (re)connection with an empty message.

    Messages published while we were not connected are lost to us; the empty message tells the listener to look anew.
    """

    def __init__(self, client: redis.Redis, listeners: Mapping[str, Listener]) -> None:
        self._client = client
        self._listeners = listeners
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        if self._greenlet:
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            try:
                self._listen()
            except OutageError as error:
                log.debug("subscription lost", reason=error.reason)
            gevent.sleep(RECONNECT_SECONDS)

    def _listen(self) -> None:
        with outages(), self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(*self._listeners)
            for listener in self._listeners.values():
                listener("")
            while True:
                message = pubsub.get_message(timeout=1.0)
                if message:
                    self._listeners[message["channel"].decode()](message["data"].decode("utf-8", "replace"))
