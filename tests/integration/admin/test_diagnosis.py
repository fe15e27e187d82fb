"""The diagnosis of a broken stack: each fault is named, with its fix, whatever else is broken."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gevent.pywsgi import WSGIServer

from mutt import settings
from mutt.admin.services.diagnosis import Doctor
from mutt.admin.shapes.overview import Diagnosis, Finding
from mutt.redisdb import keys
from mutt.redisdb.tally import Tally
from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import ROLE, PrivatePostgres
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until
from tests.support.web_ui import VIEWER, WebUIUnderTest

PROGRAMS = {
    "mutt-ingestor": "SERVER_PORT_INGESTOR", "mutt-webui": "SERVER_PORT_WEBUI", "mutt-alerter": "HEALTH_PORT_ALERTER",
    "mutt-forwarder": "HEALTH_PORT_MOOG", "mutt-remediation": "HEALTH_PORT_REMEDIATION",
}  # fmt: skip


class Stack:
    """A host as the diagnosis sees it: real servers, stand-ins for what the five programs answer, a webhook."""

    def __init__(self, folder: Path, redis_server: PrivateRedis, postgres: PrivatePostgres) -> None:
        self.folder = folder
        self.redis_server = redis_server
        self.postgres = postgres
        self.database = postgres.create_migrated_database()
        self.servers: dict[str, WSGIServer] = {}
        self.health: dict[str, tuple[str, dict[str, Any]]] = {}
        self.secrets = {
            "INGEST_API_KEY": "a", "WEBUI_API_KEY": "b", "MOOG_API_KEY": "c",
            "REDIS_PASS_CURRENT": REDIS_PASSWORD, "DB_PASS_CURRENT": DB_PASSWORD,
        }  # fmt: skip
        for name in (*PROGRAMS, "webhook"):
            self.health[name] = ("200 OK", {"status": "healthy", "service": name})
            self.servers[name] = WSGIServer(("127.0.0.1", 0), self._application(name), log=None, error_log=None)
            self.servers[name].start()
        self.environ = {
            "MUTT_ENV_FILE": str(folder / "none.env"), "MUTT_SECRETS_BACKEND": "file", "MUTT_RUN_DIR": str(folder),
            "MUTT_SECRETS_FILE": str(folder / "secrets.env"), "REDIS_TLS_ENABLED": "false", "DB_TLS_ENABLED": "false",
            "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis_server.port),
            "DB_HOST": "127.0.0.1", "DB_PORT": str(postgres.port), "DB_NAME": self.database, "DB_USER": ROLE,
            "MOOG_WEBHOOK_URL": self._url("webhook"), "DYNAMIC_CONFIG_ENABLED": "true",
            **{variable: str(self.servers[name].server_port) for name, variable in PROGRAMS.items()},
        }  # fmt: skip

    def look(self, **variables: str) -> Diagnosis:
        file = self.folder / "secrets.env"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text("".join(f"{name}={value}\n" for name, value in self.secrets.items()))
        doctor = Doctor(settings.survey({**self.environ, **variables}))
        try:
            return doctor.look()
        finally:
            doctor.close()

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop(timeout=1)

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.servers[name].server_port}/hook"

    def _application(self, name: str) -> Any:
        def application(_environ: Any, start_response: Any) -> list[bytes]:
            status, body = self.health[name]
            start_response(status, [("Content-Type", "application/json")])
            return [msgspec.json.encode(body)]

        return application


@pytest.fixture
def stack(tmp_path: Path, redis_server: PrivateRedis, postgres_server: PrivatePostgres) -> Iterator[Stack]:
    client = redis_server.client()
    client.flushall()
    client.config_set("maxmemory", "100mb")
    stack = Stack(tmp_path, redis_server, postgres_server)
    yield stack
    stack.stop()
    client.config_set("maxmemory", 0)


def amiss(diagnosis: Diagnosis) -> dict[str, list[Finding]]:
    """What is not ok, by check. Every such finding has a fix."""
    found: dict[str, list[Finding]] = {}
    for each in diagnosis.findings:
        if each.state != "ok":
            assert each.fix
            found.setdefault(each.check, []).append(each)
    return found


def only(diagnosis: Diagnosis, check: str) -> Finding:
    found = amiss(diagnosis)
    assert list(found) == [check], found
    assert len(found[check]) == 1, found
    return found[check][0]


def test_a_sound_stack_is_healthy_and_shows_what_was_looked_at(stack: Stack) -> None:
    diagnosis = stack.look()
    assert amiss(diagnosis) == {}
    assert diagnosis.healthy
    looked_at = {each.check for each in diagnosis.findings}
    assert looked_at >= {
        "settings", "secrets", "redis", "postgresql", "schema", "partitions", "rules", *PROGRAMS, "ingest queue",
        "alert queue", "dead letters", "circuit", "relays", "webhook", "certificates", "disk",
    }  # fmt: skip


def test_a_broken_stack_names_each_fault_and_its_fix(stack: Stack) -> None:
    """Wrong password, missing partition, stopped worker, full queue: all at once."""
    this_month = datetime.now(UTC).strftime("%Y%m")
    stack.postgres.execute(f"DROP TABLE event_audit_log_{this_month}", stack.database)
    stack.servers["mutt-alerter"].stop(timeout=1)
    client = stack.redis_server.client()
    client.set(keys.config("max_ingest_queue_size"), 3)
    client.rpush("mutt:ingest_queue", *[b"{}"] * 3)
    found = amiss(stack.look())
    assert set(found) == {"partitions", "mutt-alerter", "ingest queue"}
    (missing,) = found["partitions"]
    assert missing.state == "failed"
    assert f"event_audit_log_{this_month}" in missing.sentence
    assert missing.fix == "mutt-admin upkeep partitions"
    (stopped,) = found["mutt-alerter"]
    assert "it does not run" in stopped.sentence
    assert "supervisorctl -c /etc/mutt/supervisord.conf start mutt-alerter" in (stopped.fix or "")
    (full,) = found["ingest queue"]
    assert (full.state, "3 of at most 3 events" in full.sentence) == ("failed", True)
    assert "ALERTER_WORKERS" in (full.fix or "")

    (stack.folder / "secrets.env").unlink()
    stack.secrets |= {"REDIS_PASS_CURRENT": "wrong", "DB_PASS_CURRENT": "wrong"}
    diagnosis = stack.look()
    found = amiss(diagnosis)
    assert not diagnosis.healthy
    assert "Redis refuses the password" in found["redis"][0].sentence
    assert "REDIS_PASS_CURRENT" in (found["redis"][0].fix or "")
    assert "password authentication failed" in found["postgresql"][0].sentence
    assert "DB_PASS_CURRENT" in (found["postgresql"][0].fix or "")
    assert "it does not run" in found["mutt-alerter"][0].sentence
    assert not set(found) & {"webhook", "mutt-forwarder", "settings", "certificates"}


def test_everything_away_at_once_is_told_within_seconds(stack: Stack) -> None:
    stack.stop()
    began = time.monotonic()
    found = amiss(stack.look(REDIS_PORT="9", DB_PORT="9", MUTT_SECRETS_FILE="/nonexistent/secrets.env"))
    assert time.monotonic() - began < 7
    assert set(found) >= {"secrets", "redis", "postgresql", "queues", "webhook", *PROGRAMS}
    assert "/nonexistent/secrets.env does not exist" in found["secrets"][0].sentence


def test_a_server_that_hangs_does_not_hold_up_the_others(stack: Stack) -> None:
    silent = WSGIServer(("127.0.0.1", 0), lambda _environ, _start: time.sleep(30), log=None)
    silent.start()
    port = str(silent.server_port)
    began = time.monotonic()
    found = amiss(stack.look(REDIS_PORT=port, HEALTH_PORT_MOOG=port))
    silent.stop(timeout=0)
    assert time.monotonic() - began < 5
    assert set(found) == {"redis", "queues", "mutt-forwarder"}


def test_settings_and_secrets(stack: Stack) -> None:
    del stack.secrets["INGEST_API_KEY"]
    found = amiss(stack.look(ALERTER_LANES="many", MOOG_RATE_LIMIT="0"))
    assert set(found) == {"settings", "secrets"}
    assert [each.sentence.split("=")[0] for each in found["settings"]] == ["ALERTER_LANES", "MOOG_RATE_LIMIT"]
    assert "mutt-admin config check" in (found["settings"][0].fix or "")
    assert "lacks INGEST_API_KEY" in found["secrets"][0].sentence
    (stack.folder / "secrets.env").chmod(0o644)
    open_to_all = amiss(stack.look())["secrets"][0]
    assert (open_to_all.state, "chmod 0640" in (open_to_all.fix or "")) == ("failed", True)


def test_pending_migrations(stack: Stack) -> None:
    empty = stack.postgres.create_database()
    found = amiss(stack.look(DB_NAME=empty))
    assert found["schema"][0].fix == "mutt-admin db migrate"
    assert "0001_rules_and_inventory" in found["schema"][0].sentence


def test_rows_in_the_default_partition(stack: Stack) -> None:
    stack.postgres.execute(
        "INSERT INTO alert_delivery_log (event_id, correlation_id, attempt, attempted_at, outcome) "
        "VALUES (gen_random_uuid(), gen_random_uuid(), 1, '2001-01-01', 'delivered')",
        stack.database,
    )
    finding = only(stack.look(), "partitions")
    assert finding.sentence.startswith("1 rows lie in alert_delivery_log_default")


def test_rules_that_cannot_be_used_and_no_rules(stack: Stack) -> None:
    stack.postgres.execute(
        "UPDATE alert_rules SET match_type = 'regex', match_string = '(' WHERE id = (SELECT min(id) FROM alert_rules)",
        stack.database,
    )
    finding = only(stack.look(), "rules")
    assert finding.state == "failed"
    assert "is not a valid RE2 pattern" in finding.sentence
    stack.postgres.execute("UPDATE alert_rules SET is_active = false", stack.database)
    assert "no rule is active" in only(stack.look(), "rules").sentence


def test_an_unhealthy_program_and_a_stranger_on_its_port(stack: Stack) -> None:
    stack.health["mutt-forwarder"] = (
        "503 Service Unavailable",
        {
            "status": "unhealthy", "service": "mutt-forwarder", "redis": "connected", "version": "2.5",
            "workers": "worker 0 is paused: redis_full", "queue_depth": 3,
        },
    )  # fmt: skip
    stack.health["mutt-remediation"] = ("200 OK", {"hello": "world"})
    found = amiss(stack.look())
    assert set(found) == {"mutt-forwarder", "mutt-remediation"}
    assert found["mutt-forwarder"][0].sentence == "it is unhealthy: workers: worker 0 is paused: redis_full"
    assert "something else than mutt-remediation answers" in found["mutt-remediation"][0].sentence


def test_queues_dead_letters_circuit_and_relays(stack: Stack) -> None:
    client = stack.redis_server.client()
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    client.rpush("mutt:ingest_queue", msgspec.json.encode({"ingestion_timestamp": old}))
    client.set(keys.config("alerter_queue_warn_threshold"), 2)
    client.rpush("mutt:alert_queue", b"{}", b"{}")
    client.rpush("mutt:dlq:moog", b"{}")
    client.rpush(keys.POISON, b"{}")
    client.set(keys.CIRCUIT_STATE, "OPEN")
    client.set(keys.CIRCUIT_OPENED_AT, "1800000000.5")
    tally = Tally(stack.redis_server.mutt_client())
    tally.add(keys.WRONG_RELAY_KEYS, 12)
    tally.flush()
    found = amiss(stack.look())
    assert set(found) == {"ingest queue", "alert queue", "dead letters", "circuit", "relays"}
    assert "has waited for 36" in found["ingest queue"][0].sentence
    assert "2 is the threshold to warn at" in found["alert queue"][0].sentence
    assert [each.fix for each in found["dead letters"]] == ["mutt-admin dlq list moog", "mutt-admin dlq list poison"]
    assert "is OPEN since 2027-01-15 08:00:00 UTC" in found["circuit"][0].sentence
    assert "sent a wrong key 12 times" in found["relays"][0].sentence
    client.config_set("maxmemory", 0)
    assert "maxmemory is not set" in amiss(stack.look())["redis"][0].sentence


@contextmanager
def unusual_redis(stack: Stack, **options: str) -> Iterator[PrivateRedis]:
    server = PrivateRedis(**options)
    server.start()
    stack.environ["REDIS_PORT"] = str(server.port)
    try:
        yield server
    finally:
        server.stop()


def test_a_redis_that_would_lose_events(stack: Stack) -> None:
    options = {"appendonly": "no", "maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    with unusual_redis(stack, **options):
        found = amiss(stack.look())
    assert set(found) == {"redis"}
    assert [(each.fix or "").split(" && ")[0] for each in found["redis"]] == [
        "redis-cli CONFIG SET maxmemory-policy noeviction", "redis-cli CONFIG SET appendonly yes",
    ]  # fmt: skip


def test_a_redis_that_takes_no_writes(stack: Stack) -> None:
    with unusual_redis(stack, maxmemory="100mb") as server:
        server.client().config_set("maxmemory", 1)
        full = amiss(stack.look())["redis"]
        assert ["Redis is at maxmemory" in each.sentence for each in full] == [True, False]
        server.client().config_set("maxmemory", 10**8)
        server.client().replicaof("127.0.0.1", stack.redis_server.port)
        wait_until(lambda: server.client().info()["role"] == "slave", "the replica")
        found = amiss(stack.look())["redis"]
    assert any("REPLICAOF NO ONE" in (each.fix or "") for each in found)


def certificate(file: Path, days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mutt")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=400)).not_valid_after(now + timedelta(days=days))
    ).sign(key, hashes.SHA256())  # fmt: skip
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("days", "state"), [(400, None), (9000, None), (20, "warning"), (-2, "failed")])
def test_certificates_that_expire(stack: Stack, days: int, state: str | None) -> None:
    file = stack.folder / "ca.pem"
    certificate(file, days)
    diagnosis = stack.look(MOOG_CA_CERT_PATH=str(file))
    (finding,) = [each for each in diagnosis.findings if each.check == "certificates"]
    assert finding.state == (state or "ok")
    expires = datetime.now(UTC) + timedelta(days=days)
    assert f"{expires:%Y-%m-%d}" in finding.sentence


def test_certificates_that_cannot_be_read(stack: Stack) -> None:
    damaged = stack.folder / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    found = amiss(stack.look(DB_TLS_CA_CERT_PATH=str(damaged), REDIS_CA_CERT_PATH="/nonexistent/ca.pem"))
    assert {each.sentence.split(":")[0] for each in found["certificates"]} == {
        "DB_TLS_CA_CERT_PATH", "REDIS_CA_CERT_PATH",
    }  # fmt: skip


def test_a_webhook_that_does_not_answer(stack: Stack) -> None:
    stack.health["webhook"] = ("500 Internal Server Error", {})
    assert "/hook does not answer" in only(stack.look(), "webhook").sentence


def test_the_diagnosis_over_the_api(web_ui: WebUIUnderTest) -> None:
    answer = web_ui.call("GET", "/doctor", key=VIEWER)
    assert answer.status_code == 200
    states = {each["check"]: each["state"] for each in answer.json["findings"]}
    assert answer.json["healthy"] is False  # Its programs do not run and no webhook is set.
    assert (states["postgresql"], states["mutt-alerter"], states["webhook"]) == ("ok", "failed", "failed")
