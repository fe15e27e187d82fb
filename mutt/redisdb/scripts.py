"""The Lua scripts, each a file in lua/, and a way to run one that knows whether it ran.

redis-py's own retries are off: a command whose answer was lost may have happened, and only the caller knows what
that means for it.
"""

import hashlib
from importlib.resources import files
from typing import Any

import redis
from redis.exceptions import NoScriptError

from mutt.errors import OutageError, UnknownOutcomeError
from mutt.redisdb.client import translate

REPLICA_WAIT_MS = 1000
"""A replica on the same network confirms in a few milliseconds; one that does not is gone or far behind."""


class Script:
    """One Lua script of lua/, named by its file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (files("mutt.redisdb") / "lua" / f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.text).hexdigest()  # noqa: S324 - Redis names scripts by their SHA-1

    def run(self, client: redis.Redis, keys: list[str], args: list[Any], replicas: int = 0) -> Any:
        """The script's answer; with ``replicas`` only once that many replicas have what it wrote.

        Raises OutageError when the script surely did not run, UnknownOutcomeError when it was sent and no answer came.
        """
        pool = client.connection_pool
        try:
            connection = pool.get_connection()
        except redis.RedisError as error:
            raise translate(error) from error
        try:
            answer = self._run_on(connection, keys, args)
            if replicas:
                _wait_for_replicas(connection, replicas)
            return answer  # noqa: TRY300 - the answer is only good once the replicas have it
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            outage = translate(error)
            if isinstance(error, redis.exceptions.BusyLoadingError | redis.exceptions.AuthenticationError):
                raise outage from error
            raise UnknownOutcomeError(f"Redis's answer to {self.name} was lost: {outage}") from error
        except redis.RedisError as error:
            raise translate(error) from error
        finally:
            pool.release(connection)

    def _run_on(self, connection: Any, keys: list[str], args: list[Any]) -> Any:
        try:
            connection.send_command("EVALSHA", self.sha, len(keys), *keys, *args)
            return connection.read_response()
        except NoScriptError:
            # Redis was restarted or failed over: its script cache is empty. EVAL fills it again.
            connection.send_command("EVAL", self.text, len(keys), *keys, *args)
            return connection.read_response()


def _wait_for_replicas(connection: Any, replicas: int) -> None:
    """Raises UnknownOutcomeError when too few replicas confirm in time: what was written may not survive a failover."""
    connection.send_command("WAIT", replicas, REPLICA_WAIT_MS)
    confirmed = connection.read_response()
    if confirmed < replicas:
        raise UnknownOutcomeError(f"only {confirmed} of {replicas} replicas confirmed within {REPLICA_WAIT_MS} ms")


PUSH = Script("push_4")
CLAIM = Script("claim_4")
SETTLE = Script("settle")
HEARTBEAT = Script("heartbeat_1")
JANITOR = Script("janitor_5")
PROMOTE = Script("promote_2")
PERMIT = Script("permit_5")
RECORD = Script("record_5")
SHED = Script("shed_3")
EXPIRE = Script("expire_2")
TAKE_OUT = Script("take_out")
EDIT = Script("edit_1")

__all__ = [
    "CLAIM", "EDIT", "EXPIRE", "HEARTBEAT", "JANITOR", "PERMIT", "PROMOTE", "PUSH", "RECORD", "SETTLE", "SHED",
    "TAKE_OUT", "OutageError", "Script",
]  # fmt: skip
