"""Passwords and keys are changed under load, while every connection is cut and made anew."""

import gevent
import redis

from mutt.settings import read_env_file
from tests.chaos.field import Field
from tests.chaos.load import Load
from tests.chaos.trial import Trial
from tests.support.appliance import INGEST_KEY
from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import ROLE
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD

NOTICED_SECONDS = 1.5
"""The programs look at the file every second."""

NEW = "rotated-by-the-fault-suite"


def rotation(trial: Trial) -> None:
    """Redis, PostgreSQL and the ingest key, there and back again; not one request may fail."""
    with trial.stage.standard() as field:
        keeper = Keeper(field)
        load = trial.load(field, events=10_000_000, rate=trial.size.rate / 2, patience=(1,))
        try:
            keeper.rotate(load, Secrets(REDIS_PASSWORD, DB_PASSWORD, INGEST_KEY), Secrets(NEW, NEW, NEW))
            keeper.rotate(load, Secrets(NEW, NEW, NEW), Secrets(REDIS_PASSWORD, DB_PASSWORD, INGEST_KEY))
        finally:
            keeper.leave()
        load.stop()
        trial.note_answers(load)
        failed = {answer: number for answer, number in load.answers.items() if answer != "202"}
        trial.outcome.check("requests that failed", not failed, failed or 0, "0")
        trial.outcome.at_least("connections cut", keeper.cut, 50)
        trial.outcome.notes["connections cut"] = keeper.cut
        field.wait_healthy(20)
        trial.balance(field)


class Secrets(tuple[str, str, str]):
    """Passwords of Redis and PostgreSQL, and the ingest key."""

    def __new__(cls, redis_password: str, database_password: str, ingest_key: str) -> "Secrets":
        return super().__new__(cls, (redis_password, database_password, ingest_key))


class Keeper:
    """Who holds the keys: changes them where they are checked and in the programs' secrets file."""

    def __init__(self, field: Field) -> None:
        self.cut = 0
        self._field = field
        self._file = field.folder / "secrets.env"
        field.redis().acl_setuser("chaos", enabled=True, passwords=["+chaos"], categories=["+@all"], keys=["*"])
        self._redis = redis.Redis(port=field.redis_server.port, username="chaos", password="chaos", protocol=2)

    def leave(self) -> None:
        self._redis.acl_deluser("chaos")

    def rotate(self, load: Load, old: Secrets, new: Secrets) -> None:
        """The steps of the how-to: announce the next, let both be valid, switch, end the old."""
        (old_redis, *_), (new_redis, new_database, new_key) = old, new
        self._write(REDIS_PASS_NEXT=new_redis, DB_PASS_NEXT=new_database, INGEST_API_KEY_NEXT=new_key)
        self._redis.execute_command("ACL", "SETUSER", "default", f">{new_redis}")
        self._field.postgres.execute(f"ALTER ROLE {ROLE} PASSWORD '{new_database}'")
        self._cut_all(load)
        load.key = new_key
        self._write(
            REDIS_PASS_CURRENT=new_redis, DB_PASS_CURRENT=new_database, INGEST_API_KEY=new_key,
            REDIS_PASS_NEXT="", DB_PASS_NEXT="", INGEST_API_KEY_NEXT="",
        )  # fmt: skip
        self._redis.execute_command("ACL", "SETUSER", "default", f"<{old_redis}")
        self._cut_all(load)

    def _write(self, **changes: str) -> None:
        secrets, problems = read_env_file(self._file)
        assert not problems, problems
        changed = {name: value for name, value in {**secrets, **changes}.items() if value}
        replacement = self._file.with_suffix(".new")
        replacement.touch(mode=0o600)
        replacement.write_text("".join(f"{name}={value}\n" for name, value in changed.items()))
        replacement.replace(self._file)
        gevent.sleep(NOTICED_SECONDS)

    def _cut_all(self, load: Load) -> None:
        """Every connection to Redis and PostgreSQL, a few times: whoever needs one must log in again.

        A connection that is cut while it carries an event has an unknown outcome, which is another row's subject: so
        no request is under way at the very moment. The workers are in the middle of whatever they do.
        """
        for _ in range(3):
            with load.held():
                self.cut += int(self._redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
                self.cut += int(self._redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))
            self.cut += self._field.cut_database_sessions()
            gevent.sleep(0.5)
