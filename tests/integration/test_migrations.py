"""The schema: how a database gets it, and what it refuses to hold."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gevent
import psycopg2
import pytest
from gevent import joinall, spawn
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812 - the name a type should have

from mutt.errors import ConfigurationError, OutageError
from mutt.store import migrations
from mutt.store.faults import translated
from mutt.store.migrations import MigrationError, State
from mutt.store.pool import Database
from tests.support.postgres import PASSWORD, Passwords, PrivatePostgres
from tests.support.waiting import wait_until


@pytest.fixture
def connection(postgres_server: PrivatePostgres) -> Iterator[Connection]:
    """An empty database."""
    with closing(psycopg2.connect(postgres_server.dsn(postgres_server.create_database()))) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may spoil."""
    return Path(shutil.copytree(migrations.sql_dir(), tmp_path / "sql"))


def migrate(connection: Connection, folder: Path | None = None) -> list[str]:
    """The sentences reported."""
    sentences: list[str] = []
    migrations.migrate(connection, sentences.append, folder)
    return sentences


def states(connection: Connection, folder: Path | None = None) -> list[State]:
    return [entry.state for entry in migrations.status(connection, folder)]


def version(connection: Connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(version) FROM schema_migrations")
        return int(cursor.fetchone()[0])


def test_a_fresh_database_gets_everything_and_says_so(connection: Connection) -> None:
    assert set(states(connection)) == {State.PENDING}

    sentences = migrate(connection)

    assert [sentence.split(" in ")[0] for sentence in sentences] == [
        f"applied {migrations.label(migration)}" for migration in migrations.known()
    ]
    assert set(states(connection)) == {State.APPLIED}
    assert migrate(connection) == []


def test_one_by_one_leads_to_the_same_schema_as_all_at_once(
    connection: Connection, postgres_server: PrivatePostgres, tmp_path: Path
) -> None:
    migrate(connection)
    stepwise = postgres_server.create_database()
    growing = tmp_path / "growing"
    growing.mkdir()

    for file in sorted(migrations.sql_dir().glob("*.sql")):
        shutil.copy(file, growing)
        with closing(psycopg2.connect(postgres_server.dsn(stepwise))) as other:
            assert len(migrate(other, growing)) == 1

    assert postgres_server.schema(stepwise) == postgres_server.schema(connection.info.dbname)


def test_several_at_once_apply_each_migration_once(connection: Connection, postgres_server: PrivatePostgres) -> None:
    settings = postgres_server.settings(connection.info.dbname)
    database = Database(settings, Passwords(PASSWORD), "test", schema_check=False)
    sentences: list[str] = []

    runs = [spawn(database.run, lambda other: migrations.migrate(other, sentences.append)) for _ in range(3)]
    joinall(runs, raise_error=True)

    assert len(sentences) == len(migrations.known())
    assert set(states(connection)) == {State.APPLIED}
    database.close()


def test_a_migration_that_fails_leaves_the_ones_before_it_and_nothing_of_itself(
    connection: Connection, folder: Path
) -> None:
    known = migrations.known()
    (folder / f"{known[-1].version + 1:04d}_broken.sql").write_text("CREATE TABLE half (id int); SELECT nonsense;")

    with pytest.raises(MigrationError, match=r"_broken failed and was rolled back: column \"nonsense\" does not exist"):
        migrate(connection, folder)

    assert version(connection) == known[-1].version
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('half')")
        assert cursor.fetchone() == (None,)


def test_an_applied_file_that_was_edited_is_refused(connection: Connection, folder: Path) -> None:
    migrate(connection)
    with (folder / "0001_rules_and_inventory.sql").open("a") as file:
        file.write("-- an afterthought\n")

    assert states(connection, folder)[0] is State.EDITED
    with pytest.raises(MigrationError, match="migration 0001_rules_and_inventory was applied and its file has been"):
        migrate(connection, folder)


def test_a_schema_newer_than_the_program_is_refused(connection: Connection, folder: Path) -> None:
    known = migrations.known()
    newer = f"{known[-1].version + 1:04d}_from_the_future"
    (folder / f"{newer}.sql").write_text("SELECT 1")
    migrate(connection, folder)

    assert states(connection)[-1] is State.UNKNOWN
    with pytest.raises(MigrationError, match=f"the database has migration {newer}, which this program does not know"):
        migrate(connection)
    with pytest.raises(OutageError, match="the schema is newer than this program"):
        migrations.verify(connection)


def test_a_program_accepts_its_own_schema_only(connection: Connection, folder: Path) -> None:
    with pytest.raises(OutageError, match=r"the schema does not exist yet, .* run `mutt-admin db migrate`"):
        migrations.verify(connection)

    last = sorted(folder.glob("*.sql"))[-1]
    last.unlink()
    migrate(connection, folder)
    with pytest.raises(OutageError, match=r"the schema is at version \d+, .* run `mutt-admin db migrate`"):
        migrations.verify(connection)

    migrate(connection)
    migrations.verify(connection)


@pytest.mark.parametrize(
    ("file", "problem"),
    [("0007_too_far.sql", "without a gap"), ("0001_twice.sql", "without a gap"), ("notes.sql", "NNNN_name.sql")],
)
def test_a_folder_that_is_out_of_order_is_a_configuration_error(folder: Path, file: str, problem: str) -> None:
    (folder / file).write_text("SELECT 1")

    with pytest.raises(ConfigurationError, match=problem):
        migrations.known(folder)


def test_an_empty_folder_means_an_incomplete_installation(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not installed completely"):
        migrations.known(tmp_path)


def test_a_role_without_rights_gets_a_sentence(postgres_server: PrivatePostgres) -> None:
    name = postgres_server.create_database()
    postgres_server.execute(f'ALTER DATABASE "{name}" OWNER TO postgres')

    with (
        closing(psycopg2.connect(postgres_server.dsn(name))) as connection,
        pytest.raises(MigrationError, match=r"schema_migrations failed .* permission denied for schema public"),
    ):
        migrate(connection)


def test_a_lost_server_is_an_outage_and_not_a_failed_migration(
    connection: Connection, postgres_server: PrivatePostgres, folder: Path
) -> None:
    migrate(connection)
    slow = f"{migrations.known()[-1].version + 1:04d}_slow.sql"
    (folder / slow).write_text("SELECT pg_sleep(60)")
    pid = connection.info.backend_pid

    def cut_the_session() -> None:
        sleeping = f"SELECT pid FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'"  # noqa: S608 - ours
        wait_until(lambda: postgres_server.execute(sleeping), "the migration to begin")
        postgres_server.execute(f"SELECT pg_terminate_backend({pid})")

    gevent.get_hub().threadpool.spawn(cut_the_session)
    with pytest.raises(psycopg2.OperationalError) as caught:
        migrate(connection, folder)

    assert isinstance(translated(caught.value), OutageError)


# --- what the schema refuses ----------------------------------------------------------------------------------


RULE = {
    "match_string": "CRITICAL", "trap_oid": None, "syslog_severity": None, "match_type": "contains", "priority": 100,
    "prod_handling": "Log_only", "dev_handling": "Suppress", "team_assignment": "NETO",
}  # fmt: skip


@pytest.fixture(scope="module")
def migrated_database(postgres_server: PrivatePostgres) -> str:
    return postgres_server.create_migrated_database()


@pytest.fixture
def migrated(postgres_server: PrivatePostgres, migrated_database: str) -> Iterator[Connection]:
    """A database with the schema; what a test does in it is rolled back."""
    with closing(psycopg2.connect(postgres_server.dsn(migrated_database))) as connection:
        yield connection


def insert_rule(connection: Connection, **changes: object) -> None:
    rule = {**RULE, **changes}
    with connection.cursor() as cursor:
        placeholders = ", ".join(f"%({name})s" for name in rule)
        cursor.execute(f"INSERT INTO alert_rules ({', '.join(rule)}) VALUES ({placeholders})", rule)  # noqa: S608 - RULE


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"match_string": None, "syslog_severity": 0},
        {"match_string": None, "trap_oid": "1.3.6", "match_type": "oid_prefix"},
        {"match_string": "down$", "match_type": "regex", "syslog_severity": 7, "trap_oid": "1.3.6"},
        {"priority": 1},
        {"priority": 1000, "prod_handling": "Page_and_ticket", "dev_handling": "Ticket_only"},
    ],
)
def test_a_sound_rule_is_taken(migrated: Connection, changes: dict[str, object]) -> None:
    insert_rule(migrated, **changes)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"match_string": None}, "any_condition"),
        ({"match_string": ""}, "match_string"),
        ({"match_string": None, "trap_oid": "", "match_type": "oid_prefix"}, "trap_oid"),
        ({"match_type": "glob"}, "match_type"),
        ({"match_type": "oid_prefix"}, "match_type_field"),
        ({"match_type": "regex", "match_string": None, "syslog_severity": 1}, "match_type_field"),
        ({"match_string": None, "trap_oid": "1.3.6"}, "match_type_field"),
        ({"match_string": None, "trap_oid": "1.3.6", "syslog_severity": 1}, "match_type_field"),
        ({"syslog_severity": 8}, "syslog_severity"),
        ({"syslog_severity": -1}, "syslog_severity"),
        ({"priority": 0}, "priority"),
        ({"priority": 1001}, "priority"),
        ({"prod_handling": "Suppress"}, "prod_handling"),
        ({"dev_handling": "Page_and_ticket"}, "dev_handling"),
        ({"team_assignment": ""}, "team_assignment"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(
    migrated: Connection, changes: dict[str, object], constraint: str
) -> None:
    with pytest.raises(errors.CheckViolation) as caught:
        insert_rule(migrated, **changes)

    violated = {caught.value.diag.constraint_name}
    # PostgreSQL names the first constraint in the alphabet; a rule without any condition breaks two.
    assert violated <= {f"alert_rules_{constraint}", "alert_rules_any_condition"}


@pytest.mark.parametrize("table", ["development_hosts", "device_teams"])
def test_a_host_is_the_same_in_any_case(migrated: Connection, table: str) -> None:
    team = ", team_assignment" if table == "device_teams" else ""
    statement = f"INSERT INTO {table} (hostname{team}) VALUES (%s{', %s' if team else ''})"  # noqa: S608 - our tables
    with migrated.cursor() as cursor:
        cursor.execute(statement, ("Core-RTR-1", "NETO") if team else ("Core-RTR-1",))
        with pytest.raises(errors.UniqueViolation):
            cursor.execute(statement, ("core-rtr-1", "UNIX") if team else ("core-rtr-1",))


def test_updated_at_follows_every_change(migrated: Connection) -> None:
    with migrated.cursor() as cursor:
        cursor.execute("SELECT id, updated_at FROM alert_rules ORDER BY id LIMIT 1")
        rule_id, before = cursor.fetchone()
        cursor.execute("UPDATE alert_rules SET priority = 5 WHERE id = %s RETURNING updated_at", (rule_id,))
        (after,) = cursor.fetchone()
    assert after > before


def test_the_example_rules_are_there_and_no_catch_all(migrated: Connection) -> None:
    with migrated.cursor() as cursor:
        cursor.execute("SELECT match_string, match_type, priority FROM alert_rules ORDER BY priority DESC")
        rules = cursor.fetchall()
    assert rules == [("CRITICAL", "contains", 900), ("Interface.*down", "regex", 800), ("disk.*full", "regex", 700)]


def test_a_configuration_change_may_concern_what_has_no_number(migrated: Connection) -> None:
    with migrated.cursor() as cursor:
        cursor.execute(
            "INSERT INTO config_audit_log (changed_by, operation, table_name, record_id, new_values)"
            " VALUES ('admin', 'UPDATE', 'config', 'moog_rate_limit', '{\"value\": 70}') RETURNING status"
        )
        assert cursor.fetchone() == ("applied",)
        with pytest.raises(errors.CheckViolation):
            cursor.execute(
                "INSERT INTO config_audit_log (changed_by, operation, table_name) VALUES ('admin', 'TOUCH', 'config')"
            )
