"""Log lines of the real programs: all of one shape, and no secret in any of them whatever goes wrong."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support import syslog
from tests.support.appliance import INGEST_KEY, MOOG_KEY, PROGRAMS, WEBUI_KEY, Appliance
from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import PrivatePostgres
from tests.support.raw_server import RawServer
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD
from tests.support.redis_server import PrivateRedis
from tests.support.waiting import wait_until

SECRETS = (INGEST_KEY, WEBUI_KEY, MOOG_KEY, REDIS_PASSWORD, DB_PASSWORD)
FIELDS = {"timestamp", "level", "message", "logger", "module", "function", "line", "service", "version", "pod_name"}
FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 35\r\n\r\n"
    b'{"errors":["permission denied :-("]}'[:35]
)


@pytest.fixture(scope="module")
def talkative(postgres_server: PrivatePostgres) -> Iterator[Appliance]:
    """The appliance as it logs most, which also tells what its programs import."""
    redis_server = PrivateRedis()
    redis_server.start()
    appliance = Appliance(
        redis_server, postgres_server, LOG_JSON_ENABLED="true", LOG_LEVEL="DEBUG", POD_NAME="mutt-1",
        PYTHONPROFILEIMPORTTIME="1", MOOG_RETRY_BASE_DELAY="0.1", MUTT_SHUTDOWN_TIMEOUT="5",
    )  # fmt: skip
    try:
        appliance.start()
        yield appliance
    finally:
        appliance.stop()
        redis_server.stop()


def lines(appliance: Appliance, program: str) -> list[str]:
    return [each for each in appliance.log(program).splitlines() if not each.startswith("import time:")]


def logged(appliance: Appliance, program: str, words: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in lines(appliance, program) if words in each]


def wrong_credentials(appliance: Appliance) -> None:
    """From now on Redis and PostgreSQL refuse what the programs present, and every connection is a new one."""
    file = appliance.folder / "secrets.env"
    file.write_text(file.read_text().replace(REDIS_PASSWORD, "canary-redis").replace(DB_PASSWORD, "canary-db"))
    both = '["DB_PASS_CURRENT", "REDIS_PASS_CURRENT"]'
    for program in ("mutt-ingestor", "mutt-webui", "mutt-alerter", "mutt-forwarder"):
        wait_until(lambda name=program: logged(appliance, name, both), f"{program} to read the new secrets")
    client = appliance.redis()
    client.config_set("requirepass", f"{REDIS_PASSWORD}-changed")
    client.close()
    client = appliance.redis_server.client()
    client.connection_pool.connection_kwargs["password"] = f"{REDIS_PASSWORD}-changed"
    client.client_kill_filter(_type="normal")
    appliance.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mutt_user'")


def raw_request(appliance: Appliance, port: str, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", appliance.ports[port]), timeout=10) as connection:
        connection.sendall(head)
        connection.recv(65536)


def make_requests_fail(appliance: Appliance) -> None:
    appliance.post(syslog.event("x"), headers={"X-API-KEY": "canary-wrong-ingest-key"})
    appliance.post(b"{", headers={"Content-Encoding": "gzip"})
    for port in ("SERVER_PORT_INGESTOR", "SERVER_PORT_WEBUI"):
        raw_request(
            appliance, port, b"GET /?api_key=canary-query HTTP/1.1\r\nHost: x\r\nX-API-KEY : canary-header\r\n\r\n"
        )
        raw_request(appliance, port, b"POST /api/v2/ingest HTTP/1.1\r\nX-API-KEY: canary-header\x00\r\n\r\n")
        raw_request(appliance, port, b"GET /?api_key=canary-query canary-version\r\n\r\n")
        raw_request(appliance, port, b"HEAD canary-target/?api_key=canary-query HTTP/9.9\r\n\r\n")
    for key in ("canary-wrong-webui-key", WEBUI_KEY):
        requests.get(f"{appliance.admin_url}/api/v2/rules", headers={"X-API-KEY": key}, timeout=10)
        requests.get(f"{appliance.admin_url}/", params={"api_key": key}, timeout=10)


def test_every_line_has_the_same_shape_and_none_has_a_secret(talkative: Appliance) -> None:
    make_requests_fail(talkative)
    talkative.behave(status=401)
    talkative.post([syslog.event("CRITICAL: fan failed"), {"message": "bad"}])
    wait_until(lambda: logged(talkative, "mutt-forwarder", "refuses our key"), "the refused key to be logged")
    wrong_credentials(talkative)
    wait_until(lambda: talkative.post(syslog.event("y")).status_code == 503, "the ingestor to be refused", seconds=20)
    answer = requests.get(f"{talkative.admin_url}/api/v2/rules", headers={"X-API-KEY": WEBUI_KEY}, timeout=10)
    assert (answer.status_code, answer.json()["reason"]) == (503, "postgres_unreachable")
    for program in ("mutt-alerter", "mutt-forwarder"):
        wait_until(lambda name=program: logged(talkative, name, "paused"), f"{program} to notice", seconds=20)

    for program in PROGRAMS:
        found = lines(talkative, program)
        for secret in (*SECRETS, "canary-"):
            assert [each for each in found if secret in each] == [], program
        documents = [json.loads(each) for each in found]
        assert {program} == {each["service"] for each in documents}
        assert [each for each in documents if not set(each) >= FIELDS] == []
    assert logged(talkative, "mutt-ingestor", "gunicorn.error")
    assert logged(talkative, "mutt-webui", "gunicorn.error")


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_loads_opentelemetry_while_traces_are_off(talkative: Appliance, program: str) -> None:
    found = [each for each in talkative.log(program).splitlines() if each.startswith("import time:")]
    imported = {each.rpartition("|")[2].strip() for each in found}
    assert "redis.client" in imported
    assert not imported & {"opentelemetry", "opentelemetry.context", "opentelemetry.trace", "google.protobuf"}


def run_refused(appliance: Appliance, **environ: str) -> str:
    """What a program writes that ends because of its settings."""
    command = [sys.executable, "-m", "mutt.workers", "mutt-forwarder"]
    ended = subprocess.run(
        command, env={**appliance.environ, "PYTHONPROFILEIMPORTTIME": "", **environ}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 78
    return ended.stdout + ended.stderr


def test_a_settings_error_does_not_repeat_a_secret(talkative: Appliance) -> None:
    wrong = {
        "MOOG_WEBHOOK_URL": "ftp://canary-user:canary-password@moog.example.com/hook?token=canary-token",
        "VAULT_ADDR": "vault.example.com?token=canary-token",
        "MOOG_API_KEYS": "canary-key",
    }
    written = run_refused(talkative, **wrong)
    assert "MOOG_WEBHOOK_URL='ftp://(not shown)@moog.example.com/hook?(not shown)': must" in written
    assert "canary" not in written


def test_a_vault_that_refuses_us_costs_a_line_without_the_secret_id(talkative: Appliance) -> None:
    file = talkative.folder / "vault_secret_id"
    file.touch(mode=0o600)
    file.write_text("canary-secret-id")
    with RawServer([FORBIDDEN]) as vault:
        url = vault.url.removesuffix("/webhook")
        environ = {
            **talkative.environ, **talkative.other_ports(), "MUTT_SECRETS_BACKEND": "vault", "VAULT_ADDR": url,
            "VAULT_ROLE_ID": "canary-role-id", "VAULT_SECRET_ID_FILE": str(file), "PYTHONPROFILEIMPORTTIME": "",
        }  # fmt: skip
        log = talkative.folder / "with-vault.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "mutt.workers", "mutt-alerter"], env=environ, stdout=out, stderr=out
            )
        try:
            wait_until(
                lambda: "credentials check failed" in log.read_text(), "the failed login to be logged", seconds=30
            )
        finally:
            process.terminate()
            process.wait(timeout=30)
    assert b"canary-secret-id" in b"".join(vault.requests)
    assert "canary-secret-id" not in log.read_text()
    assert [json.loads(each)["level"] for each in log.read_text().splitlines() if "credentials check failed" in each]
