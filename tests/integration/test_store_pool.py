"""The way to PostgreSQL: shared by greenlets, surviving restarts and new passwords, with errors that say what to do."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import gevent
import psycopg2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gevent import joinall, spawn
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812 - the name a type should have

from mutt.errors import CredentialsError, DataError, OutageError
from mutt.settings import DatabaseSettings
from mutt.store import connections, migrations, pool
from mutt.store.pool import Database
from tests.support.postgres import PASSWORD, ROLE, Passwords, PrivatePostgres, open_database
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

Statement = Callable[[Connection], Any]


@pytest.fixture
def database(postgres_server: PrivatePostgres, name: str) -> Iterator[Database]:
    with open_database(postgres_server, name) as database:
        yield database


@pytest.fixture(scope="module")
def name(postgres_server: PrivatePostgres) -> str:
    """Name of a database with the schema, shared by the tests of this module."""
    return postgres_server.create_migrated_database()


def sql(statement: str, *values: object) -> Statement:
    """Work that runs one statement and returns the first column of its first row."""

    def work(connection: Connection) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0] if cursor.description else None

    return work


backend = sql("SELECT pg_backend_pid()")


def connections_of(server: PrivatePostgres, name: str, condition: str = "true") -> int:
    ((count,),) = server.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid() AND {condition}"  # noqa: S608
    )
    return int(str(count))


@pytest.fixture
def gate(postgres_server: PrivatePostgres, name: str) -> Iterator[Connection]:
    """While it is open nobody gets past ``wait_at_gate``; rolling it back lets everybody through."""
    connection = psycopg2.connect(postgres_server.admin_dsn(name))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
    yield connection
    connection.close()


wait_at_gate = sql("SELECT pg_advisory_xact_lock_shared(1), pg_backend_pid()")
WAITING = "wait_event_type = 'Lock'"


# --- one connection for each call in flight -------------------------------------------------------------------


def test_calls_run_side_by_side_up_to_the_limit_while_other_greenlets_go_on(
    database: Database, postgres_server: PrivatePostgres, name: str, gate: Connection
) -> None:
    calls = [spawn(database.run, lambda connection: (wait_at_gate(connection), backend(connection))) for _ in range(9)]

    # This loop itself is a greenlet that goes on.
    wait_until(lambda: connections_of(postgres_server, name, WAITING) == 4, "four calls to wait in PostgreSQL")
    gate.rollback()
    joinall(calls, raise_error=True, timeout=10)

    assert len({call.get()[1] for call in calls}) == 4


def test_a_connection_is_used_again(database: Database) -> None:
    assert database.run(backend) == database.run(backend)


def test_a_greenlet_killed_while_it_waits_costs_no_connection(
    postgres_server: PrivatePostgres, name: str, gate: Connection
) -> None:
    database = Database(postgres_server.settings(name, max_connections=1), Passwords(PASSWORD), "killed")
    waiting = spawn(database.run, wait_at_gate)
    wait_until(lambda: connections_of(postgres_server, name, WAITING) == 1, "the call to wait in PostgreSQL")

    waiting.kill()
    next_call = spawn(database.run, backend)
    gevent.sleep(0)
    gate.rollback()

    assert next_call.get(timeout=10)
    assert connections_of(postgres_server, name, "application_name = 'killed'") == 1
    database.close()


def test_spare_connections_are_closed_after_a_while(
    database: Database, postgres_server: PrivatePostgres, name: str, gate: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [spawn(database.run, wait_at_gate) for _ in range(4)]
    wait_until(lambda: connections_of(postgres_server, name, WAITING) == 4, "four calls to wait in PostgreSQL")
    gate.rollback()
    joinall(calls, raise_error=True, timeout=10)
    gate.close()
    assert connections_of(postgres_server, name) == 4

    monkeypatch.setattr(pool, "SPARE_SECONDS", 0.0)
    database.run(backend)

    wait_until(lambda: connections_of(postgres_server, name) == 1, "DB_POOL_MIN_CONN connections to be left")


def test_close_leaves_nothing_behind(postgres_server: PrivatePostgres, name: str) -> None:
    with open_database(postgres_server, name) as database:
        database.run(backend)
        database.close()
        with pytest.raises(RuntimeError, match="was closed"):
            database.run(backend)
    wait_until(lambda: connections_of(postgres_server, name) == 0, "the connection to be gone")


def test_a_session_is_set_up_as_the_program_needs_it(postgres_server: PrivatePostgres, name: str) -> None:
    with open_database(postgres_server, name, statement_timeout_seconds=7) as database:
        wanted = {"TimeZone": "UTC", "statement_timeout": "7s", "application_name": "test", "client_encoding": "UTF8"}
        for setting, value in wanted.items():
            assert database.run(sql("SELECT current_setting(%s)", setting)) == value


def test_it_works_in_a_process_that_gevent_has_not_patched(postgres_server: PrivatePostgres, name: str) -> None:
    script = f"""
from tests.support.postgres import Passwords
from mutt.settings import DatabaseSettings
from mutt.store.pool import Database
import gevent, socket
assert not gevent.monkey.is_module_patched("socket")
address = dict(host="127.0.0.1", port={postgres_server.port}, tls_enabled=False)
settings = DatabaseSettings(name={name!r}, user={ROLE!r}, **address)
database = Database(settings, Passwords({PASSWORD!r}), "plain")
calls = [gevent.spawn(database.run, lambda connection: connection.info.dbname) for _ in range(3)]
gevent.joinall(calls, raise_error=True)
print(calls[0].get())
database.close()
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", "import gevent.monkey\n" + script], capture_output=True, text=True,
                          cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)  # fmt: skip

    assert done.stdout.strip() == name, done.stderr


# --- transactions ---------------------------------------------------------------------------------------------


def test_what_returns_is_committed_and_what_raises_is_rolled_back(database: Database) -> None:
    insert = sql("INSERT INTO development_hosts (hostname) VALUES (%s)", "kept")
    database.run(insert)

    def insert_and_fail(connection: Connection) -> None:
        sql("INSERT INTO development_hosts (hostname) VALUES (%s)", "lost")(connection)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        database.run(insert_and_fail)

    hosts = database.run(sql("SELECT array_agg(hostname) FROM development_hosts"))
    assert hosts == ["kept"]


def test_the_next_user_of_a_connection_finds_it_clean(database: Database) -> None:
    with suppress(DataError):
        database.run(sql("SELECT 1 / 0"))
    used = database.run(backend)
    with suppress(ValueError):
        database.run(lambda connection: [backend(connection), int("no number")])

    assert database.run(backend) == used
    assert database.run(sql("SELECT current_setting('transaction_isolation')")) == "read committed"


# --- what errors mean -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 / 0",
        "SELECT 'x'::uuid",
        'SELECT \'{"a": "\\u0000"}\'::jsonb',
        "SELECT (SELECT 1 UNION SELECT 2)",
        "INSERT INTO development_hosts (hostname) VALUES ('twice'), ('TWICE')",
        "INSERT INTO development_hosts (hostname) VALUES (NULL)",
        "INSERT INTO development_hosts (hostname) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 999) i",
    ],
)
def test_data_that_cannot_be_stored_is_a_data_error(database: Database, statement: str) -> None:
    with pytest.raises(DataError):
        database.run(sql(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)",
        "SET TRANSACTION READ ONLY; INSERT INTO development_hosts (hostname) VALUES ('x')",
        "SELECT * FROM no_such_table",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'too_many_connections'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'lock_not_available'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'cannot_connect_now'; END $$",
    ],
)
def test_what_may_work_later_is_an_outage(database: Database, statement: str) -> None:
    with pytest.raises(OutageError) as caught:
        database.run(sql(statement))

    assert caught.value.reason == "postgres_unreachable"
    assert "\n" not in str(caught.value)
    database.ping()


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELEKT 1", errors.SyntaxError),
        ("SELECT nonsense FROM alert_rules", errors.UndefinedColumn),
        ("SELECT no_such_function()", errors.UndefinedFunction),
        ("SELECT * FROM pg_authid", errors.InsufficientPrivilege),
    ],
)
def test_mistakes_in_our_own_sql_are_not_dressed_up(
    database: Database, statement: str, error: type[psycopg2.Error]
) -> None:
    with pytest.raises(error):
        database.run(sql(statement))


def test_a_transaction_that_sat_idle_too_long_is_an_outage(postgres_server: PrivatePostgres, name: str) -> None:
    with open_database(postgres_server, name, statement_timeout_seconds=0.1) as database:

        def dawdle(connection: Connection) -> None:
            mine = backend(connection)
            gone = f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {mine})"
            while not postgres_server.execute(f"SELECT 1 WHERE {gone}"):
                pass
            backend(connection)

        with pytest.raises(OutageError):
            database.run(dawdle)


# --- servers that go away -------------------------------------------------------------------------------------


def terminate(server: PrivatePostgres, pid: int) -> None:
    """Ends a session and returns when it is gone, or after 10 s."""
    assert server.execute(f"SELECT pg_terminate_backend({pid}, 10000)") == [(True,)]


def test_an_idle_connection_that_died_is_replaced_without_anybody_noticing(
    database: Database, postgres_server: PrivatePostgres
) -> None:
    first = database.run(backend)
    terminate(postgres_server, first)

    assert database.run(backend) != first


def test_a_connection_that_was_idle_for_long_is_asked_first(
    database: Database, postgres_server: PrivatePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "ASK_AFTER_SECONDS", 0.0)
    first = database.run(backend)
    assert database.run(backend) == first
    terminate(postgres_server, first)

    assert database.run(backend) != first


def test_every_connection_survives_a_restart(database: Database, postgres_server: PrivatePostgres) -> None:
    joinall([spawn(database.run, sql("SELECT pg_sleep(0.05)")) for _ in range(4)], raise_error=True)

    postgres_server.restart()

    joinall([spawn(database.run, backend) for _ in range(8)], raise_error=True)


@pytest.mark.parametrize("end", [PrivatePostgres.stop, PrivatePostgres.kill])
def test_a_call_under_way_when_the_server_goes_is_an_outage_and_the_next_one_works(
    database: Database, postgres_server: PrivatePostgres, name: str, end: Callable[[PrivatePostgres], None]
) -> None:
    call = spawn(database.run, sql("SELECT pg_sleep(60)"))
    wait_until(lambda: connections_of(postgres_server, name, "wait_event = 'PgSleep'"), "the call to be under way")

    end(postgres_server)
    try:
        with pytest.raises(OutageError):
            call.get(timeout=10)
        with pytest.raises(OutageError, match=f"cannot connect to database {name} as {ROLE}: .*Connection refused"):
            database.ping()
    finally:
        postgres_server.start()
    database.ping()


def test_a_database_can_be_made_while_its_server_is_away(name: str, postgres_server: PrivatePostgres) -> None:
    with TcpProxy(postgres_server.port) as proxy:
        proxy.refuse()
        database = Database(replace(postgres_server.settings(name), port=proxy.port), Passwords(PASSWORD), "test")
        with pytest.raises(OutageError):
            database.ping()

        proxy.accept()

        database.ping()
        database.close()


def test_a_server_that_takes_no_more_connections_is_an_outage(postgres_server: PrivatePostgres) -> None:
    full = postgres_server.create_database()
    postgres_server.execute(f'ALTER DATABASE "{full}" CONNECTION LIMIT 0')

    with open_database(postgres_server, full) as database, pytest.raises(OutageError, match="too many connections"):
        database.ping()


def test_a_standby_is_no_server_for_us(postgres_server: PrivatePostgres) -> None:
    name = postgres_server.create_migrated_database()
    postgres_server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    with open_database(postgres_server, name) as database, pytest.raises(OutageError, match="read-only"):
        database.ping()


# --- passwords ------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(postgres_server: PrivatePostgres, name: str) -> DatabaseSettings:
    return postgres_server.settings(name)


@pytest.mark.parametrize("passwords", [(PASSWORD,), (PASSWORD, "old"), ("old", PASSWORD)])
def test_the_password_that_works_is_found(settings: DatabaseSettings, passwords: tuple[str, ...]) -> None:
    database = Database(settings, Passwords(*passwords), "test")
    database.ping()
    database.close()


@pytest.mark.parametrize("passwords", [(), ("wrong",), ("wrong", "wrong too")])
def test_without_a_password_that_works_the_sentence_says_so_once(
    settings: DatabaseSettings, passwords: tuple[str, ...]
) -> None:
    database = Database(settings, Passwords(*passwords), "test")

    with pytest.raises(OutageError) as caught:
        database.ping()

    sentence = str(caught.value)
    expected = f'password authentication failed for user "{ROLE}"' if passwords else "no password supplied"
    assert sentence.count(expected) == 1
    assert "wrong" not in sentence
    database.close()


def test_a_rotation_under_load_fails_nothing(postgres_server: PrivatePostgres, settings: DatabaseSettings) -> None:
    passwords = Passwords(PASSWORD, "next")
    database = Database(settings, passwords, "test")
    rotating = True
    calls = [0] * 4

    def work(lane: int) -> None:
        while rotating:
            database.run(backend)
            calls[lane] += 1

    def all_called_since(before: list[int]) -> bool:
        return all(now > then for now, then in zip(calls, before, strict=True)) or any(lane.ready() for lane in lanes)

    lanes = [spawn(work, lane) for lane in range(4)]
    try:
        for step in ("next", "after next"):
            postgres_server.execute(f"ALTER ROLE {ROLE} PASSWORD '{step}'")
            sessions = f"FROM pg_stat_activity WHERE datname = '{settings.name}' AND state = 'idle'"
            for _ in range(5):
                postgres_server.execute(f"SELECT pg_terminate_backend(pid) {sessions}")
                gevent.sleep(0)
            passwords.passwords = (step, "after next")
            # Two rotations are never as near as the two tries of one connection.
            wait_until(lambda before=list(calls): all_called_since(before), "everybody to have connected since")
    finally:
        rotating = False
        joinall(lanes, timeout=10)
        postgres_server.execute(f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")

    for lane in lanes:
        lane.get()
    database.close()


def test_a_server_that_does_not_answer_is_not_asked_with_every_password(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = []

    def refuse(**keywords: object) -> None:
        attempts.append(keywords["password"])
        raise psycopg2.OperationalError('connection to server at "10.0.0.1" failed: timeout expired')

    monkeypatch.setattr(psycopg2, "connect", refuse)
    with pytest.raises(OutageError, match="timeout expired"):
        connections.open_connection({"dbname": "mutt_db", "user": ROLE}, ("one", "two"))

    assert attempts == ["one"]


def test_secrets_that_cannot_be_read_do_not_disturb_open_connections(settings: DatabaseSettings) -> None:
    class Fickle(Passwords):
        readable = True

        def candidates(self, name: str) -> tuple[str, ...]:
            if not self.readable:
                raise CredentialsError("Vault is sealed")
            return super().candidates(name)

    passwords = Fickle(PASSWORD)
    database = Database(settings, passwords, "test")
    database.ping()

    passwords.readable = False

    database.ping()
    database.close()


# --- the schema -----------------------------------------------------------------------------------------------


def test_nothing_is_done_before_the_schema_is_there_and_all_goes_on_when_it_is(
    postgres_server: PrivatePostgres,
) -> None:
    name = postgres_server.create_database()
    with open_database(postgres_server, name) as database:
        with pytest.raises(OutageError, match="run `mutt-admin db migrate`"):
            database.run(sql("CREATE TABLE too_early (id int)"))

        with open_database(postgres_server, name, schema_check=False) as admin:
            admin.run(lambda connection: migrations.migrate(connection, print))

        assert database.run(sql("SELECT to_regclass('too_early')")) is None


def test_a_newer_schema_is_refused(postgres_server: PrivatePostgres) -> None:
    name = postgres_server.create_migrated_database()
    postgres_server.execute("INSERT INTO schema_migrations VALUES (999, 'later', '')", name)

    with open_database(postgres_server, name) as database, pytest.raises(OutageError, match="newer than this program"):
        database.ping()


def test_a_schema_that_was_right_once_is_not_asked_about_again(postgres_server: PrivatePostgres) -> None:
    name = postgres_server.create_migrated_database()
    with open_database(postgres_server, name) as database:
        database.ping()

        postgres_server.execute("INSERT INTO schema_migrations VALUES (999, 'later', '')", name)

        database.ping()


# --- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own CA, with its key; the folder they are in."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(pem)
    return folder


@pytest.fixture(scope="module")
def tls_server(certificate: Path) -> Iterator[PrivatePostgres]:
    """A server that speaks TLS and asks for a client certificate signed by the same CA."""
    server = PrivatePostgres({
        "ssl": "on", "ssl_cert_file": "../cert.pem", "ssl_key_file": "../key.pem", "ssl_ca_file": "../cert.pem",
    })  # fmt: skip
    for file in certificate.iterdir():
        shutil.copy(file, server.folder)
        owner = server.folder.stat()
        os.chown(server.folder / file.name, owner.st_uid, owner.st_gid)
    server.start()
    yield server
    server.remove()


def ask_over_tls(server: PrivatePostgres, **changes: Any) -> tuple[str, str | None]:
    """Protocol version, and the client certificate's subject when the server has seen one."""
    settings = replace(server.settings("postgres"), tls_enabled=True, **changes)
    database = Database(settings, Passwords(PASSWORD), "test", schema_check=False)
    statement = "SELECT ARRAY[version, client_dn] FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    try:
        version, subject = database.run(sql(statement))
    finally:
        database.close()
    return version, subject


def test_the_server_must_show_a_certificate_of_our_ca(tls_server: PrivatePostgres, certificate: Path) -> None:
    assert ask_over_tls(tls_server, tls_ca_cert_path=certificate / "cert.pem") == ("TLSv1.3", None)

    with pytest.raises(OutageError, match="certificate verify failed"):
        ask_over_tls(tls_server)


def test_we_show_our_certificate_when_we_have_one(tls_server: PrivatePostgres, certificate: Path) -> None:
    ours = {
        "tls_ca_cert_path": certificate / "cert.pem",
        "tls_client_cert_path": certificate / "cert.pem",
        "tls_client_key_path": certificate / "key.pem",
    }
    assert ask_over_tls(tls_server, **ours)[1] == "/CN=127.0.0.1"


def test_tls_is_not_given_up_when_the_server_has_none(settings: DatabaseSettings) -> None:
    database = Database(replace(settings, tls_enabled=True), Passwords(PASSWORD), "test")
    with pytest.raises(OutageError, match="server does not support SSL"):
        database.ping()
    database.close()
