"""The servers that `mutt-admin setup` is about to rely on, looked at with settings that are not written yet."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import redis

from mutt.admin.services.checks.host import check_secrets
from mutt.admin.services.checks.postgres import check_postgres
from mutt.admin.services.checks.redis import check_redis
from mutt.admin.shapes.overview import Finding
from mutt.cli.exits import FAILED, UNHEALTHY, CliError
from mutt.cli.output import say
from mutt.credentials import Credentials, open_credentials
from mutt.redisdb.client import connect
from mutt.settings import CredentialSettings, Host
from mutt.store import migrations
from mutt.store.faults import sentence
from mutt.store.migrations import State
from mutt.store.pool import Database


class PlannedCredentials(Credentials):
    """Secrets that are going to be written into the file."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        super().__init__()
        self._planned = dict(secrets)

    def _read(self) -> None:
        self._take(self._planned)

    def _pause_seconds(self) -> float:
        return 3600.0

    def _due(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Servers:
    """Connections of one run of the command; they connect when they are first used."""

    host: Host
    credentials: Credentials
    redis: redis.Redis
    database: Database

    def examine(self) -> None:
        """Says what is amiss with the servers. Raises CliError when one cannot be reached or takes no password."""
        for findings in (check_redis(self.host, self.redis), check_postgres(self.host, self.database)):
            # The first finding is whether the server can be reached at all; what is amiss beyond that can be mended
            # while MUTT runs. The schema is the next step's business.
            if findings[0].state == "failed":
                raise _as_error(findings[0])
            say(findings[0].sentence)
            for finding in findings[1:]:
                if finding.state != "ok" and finding.check != "schema":
                    say(f"take care: {finding.sentence}. {finding.fix}")
        if self.host.credentials.backend == "vault":
            self._examine_vault()

    def pending(self) -> list[str]:
        """The migrations that the database lacks. Raises CliError when its schema is not one to go on from."""
        standing = self.database.run(migrations.status)
        problems = [problem for entry in standing if (problem := migrations.problem_with(entry))]
        if problems:
            raise CliError(f"{'; '.join(problems)}. mutt-admin db status shows all of them", FAILED)
        return [migrations.label(entry) for entry in standing if entry.state is State.PENDING]

    def migrate(self) -> None:
        """Brings the schema up to date. Raises CliError with what to do when PostgreSQL refuses."""
        wanted = self.host.database
        try:
            self.database.run(lambda connection: migrations.migrate(connection, say))
        except psycopg2.Error as error:
            raise CliError(
                f"PostgreSQL refuses: {sentence(error)}. The role {wanted.user} must own the database: "
                f'ALTER DATABASE "{wanted.name}" OWNER TO "{wanted.user}"'
            ) from error

    def _examine_vault(self) -> None:
        """The API keys have to be in Vault already: nothing is written there."""
        for finding in check_secrets(self.host, self.credentials):
            if finding.state == "failed":
                raise _as_error(finding)
            if finding.state == "warning":
                say(f"take care: {finding.sentence}. {finding.fix}")
        path = self.host.credentials.vault_secrets_path
        for name in ("INGEST_API_KEY", "WEBUI_API_KEY"):
            if not self.credentials.get(name):
                raise CliError(
                    f'{name} is not in Vault: vault kv patch {path} {name}="$(openssl rand -hex 32)"', UNHEALTHY
                )


@contextmanager
def servers(host: Host, secrets: Mapping[str, str], secret_id: str | None) -> Iterator[Servers]:
    """The servers that the settings lead to, with these secrets or, where the settings say so, those of Vault."""
    with _credentials(host.credentials, secrets, secret_id) as credentials:
        client = connect(host.redis, credentials, "mutt-setup")
        few = replace(host.database, pool_min_connections=0, pool_max_connections=1)
        database = Database(few, credentials, "mutt-setup", statement_timeout_seconds=0, schema_check=False)
        try:
            yield Servers(host, credentials, client, database)
        finally:
            client.close()
            database.close()


@contextmanager
def _credentials(
    wanted: CredentialSettings, secrets: Mapping[str, str], secret_id: str | None
) -> Iterator[Credentials]:
    with tempfile.NamedTemporaryFile("w", prefix="mutt-setup-") as draft:
        if wanted.backend == "vault" and secret_id:
            draft.write(secret_id)
            draft.flush()
            wanted = replace(wanted, vault_secret_id_file=Path(draft.name))
        credentials = PlannedCredentials(secrets) if wanted.backend == "file" else open_credentials(wanted)
        credentials.refresh()
        yield credentials


def _as_error(finding: Finding) -> CliError:
    return CliError(f"{finding.sentence}. What to do: {finding.fix}", UNHEALTHY)
