"""Secrets from Vault, through the real hvac client and TLS: the life of a token, and what outages change.

The server is the stand-in of tests/support/fake_vault.py. The contract tests run a second time against a real
Vault or OpenBao when VAULT_TEST_ADDR is set. It needs an AppRole (VAULT_TEST_ROLE_ID, VAULT_TEST_SECRET_ID)
that may read the KV version 2 secret at VAULT_TEST_PATH (secret/mutt when not set), which holds an
INGEST_API_KEY; VAULT_TEST_CA names the CA file when no public CA signed its certificate.
"""

import dataclasses
import datetime
import ipaddress
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import gevent.monkey
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gevent.event import Event

from mutt.credentials.vault import VaultCredentials
from mutt.errors import CredentialsError
from mutt.settings import CredentialSettings
from tests.support.fake_vault import FakeVault

HOUR = 3600.0
ROLE_ID = "role-of-the-tests"
SECRET_ID = "canary-secret-id-1"
SECRETS = {
    "INGEST_API_KEY": "canary-ingest-1",
    "INGEST_API_KEY_NEXT": "canary-ingest-2",
    "REDIS_PASS_CURRENT": "canary-redis-1",
    "REDIS_PASS_NEXT": "canary-redis-2",
    "DB_PASS_CURRENT": "canary-db-1",
    "DB_PASS_NEXT": "",
}


class VirtualTime:
    """The clock and the sleep of one VaultCredentials; hours pass in it as fast as the checks can be made."""

    def __init__(self, vault: FakeVault) -> None:
        self.waits: list[float] = []
        self._vault = vault
        self._now = 0.0
        self._wakes_at = 0.0
        self._wake, self._asleep = Event(), Event()

    def clock(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._wakes_at = self._now + seconds
        self._wake.clear()
        self._asleep.set()
        self._wake.wait()

    def pass_seconds(self, seconds: float) -> None:
        """Lets time pass, here and in the stand-in; returns when the checks due are made."""
        end = self._now + seconds
        assert self._asleep.wait(10), "the keeper does not run"
        while self._wakes_at <= end:
            self._move(self._wakes_at)
            self._asleep.clear()
            self._wake.set()
            assert self._asleep.wait(30), "the keeper has ended or hangs"
        self._move(end)

    def _move(self, to: float) -> None:
        if self._vault.running:
            self._vault.advance(to - self._now)
        self._now = to


class Pki(NamedTuple):
    ca: Path
    cert: Path
    key: Path


def make_pki(folder: Path) -> Pki:
    """A CA and a certificate for 127.0.0.1 signed by it, as PEM files."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    only_ca = x509.BasicConstraints(ca=True, path_length=0)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca_cert = builder(authority, authority, ca_key).add_extension(only_ca, critical=True)
    cert = builder(server, authority, key).add_extension(address, critical=False)
    cert = cert.add_extension(signer, critical=False)
    pki = Pki(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    pki.ca.write_bytes(ca_cert.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pki.cert.write_bytes(cert.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pki.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pki


def builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now, public_key = datetime.datetime.now(datetime.UTC), key.public_key()
    certificate = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    certificate = certificate.serial_number(x509.random_serial_number())
    certificate = certificate.not_valid_before(now - datetime.timedelta(hours=1))
    certificate = certificate.not_valid_after(now + datetime.timedelta(days=1))
    return certificate.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def vault(pki: Pki) -> Iterator[FakeVault]:
    vault = FakeVault(*pki, role_id=ROLE_ID, secret_ids=[SECRET_ID], secrets=SECRETS)
    vault.start()
    yield vault
    vault.stop()


@pytest.fixture
def secret_id_file(tmp_path: Path) -> Path:
    file = tmp_path / "vault_secret_id"
    file.write_text(SECRET_ID + "\n", encoding="utf-8")
    file.chmod(0o400)
    return file


@pytest.fixture
def settings(vault: FakeVault, secret_id_file: Path) -> CredentialSettings:
    """A check every 300 s that renews when fewer than 600 s are left, of a token of 1 h, 4 h at most."""
    return CredentialSettings(
        vault_addr=vault.url,
        vault_role_id=ROLE_ID,
        vault_secret_id_file=secret_id_file,
        vault_ca_cert_path=vault.ca,
        vault_token_renew_threshold_seconds=600,
    )


@pytest.fixture
def virtual_time(vault: FakeVault) -> VirtualTime:
    return VirtualTime(vault)


@pytest.fixture
def credentials(settings: CredentialSettings, virtual_time: VirtualTime) -> Iterator[VaultCredentials]:
    credentials = VaultCredentials(settings, virtual_time.clock, virtual_time.sleep)
    yield credentials
    credentials.stop()


# --- the contract with Vault: the stand-in and, where there is one, a real server ---


@pytest.fixture(params=["stand-in", "real"])
def contract(request: pytest.FixtureRequest, tmp_path: Path) -> CredentialSettings:
    """Settings that can log in and read. The renewal threshold is above any TTL, so every check renews."""
    if request.param == "stand-in":
        found: CredentialSettings = request.getfixturevalue("settings")
    elif "VAULT_TEST_ADDR" in os.environ:
        found = real_vault(tmp_path)
    else:
        pytest.skip("VAULT_TEST_ADDR is not set: no real Vault to test against")
    return dataclasses.replace(found, vault_token_renew_threshold_seconds=10**9)


def real_vault(tmp_path: Path) -> CredentialSettings:
    secret_id_file = tmp_path / "real_secret_id"
    secret_id_file.write_text(os.environ["VAULT_TEST_SECRET_ID"], encoding="utf-8")
    secret_id_file.chmod(0o400)
    ca = os.environ.get("VAULT_TEST_CA")
    return CredentialSettings(
        vault_addr=os.environ["VAULT_TEST_ADDR"],
        vault_role_id=os.environ["VAULT_TEST_ROLE_ID"],
        vault_secret_id_file=secret_id_file,
        vault_secrets_path=os.environ.get("VAULT_TEST_PATH", "secret/mutt"),
        vault_ca_cert_path=Path(ca) if ca else None,
    )


def events_of(credentials: VaultCredentials) -> list[str]:
    """What one check logs."""
    with structlog.testing.capture_logs() as logs:
        credentials.refresh()
    return [entry["event"] for entry in logs]


def test_contract_login_and_read(contract: CredentialSettings) -> None:
    credentials = VaultCredentials(contract)
    assert events_of(credentials) == ["logged in to vault", "secrets changed"]
    assert credentials.get("INGEST_API_KEY")
    assert credentials.get("NO_SUCH_SECRET") is None
    assert credentials.age_seconds() is not None


def test_contract_a_token_below_the_threshold_is_renewed_or_replaced(contract: CredentialSettings) -> None:
    credentials = VaultCredentials(contract)
    credentials.refresh()
    assert events_of(credentials) in (["vault token renewed"], ["logged in to vault"])


def test_contract_a_revoked_token_is_replaced(contract: CredentialSettings) -> None:
    credentials = VaultCredentials(contract)
    credentials.refresh()
    credentials._client.auth.token.revoke_self()
    assert events_of(credentials) == ["logged in to vault"]


def test_contract_a_wrong_secret_id_is_refused(contract: CredentialSettings) -> None:
    contract.vault_secret_id_file.chmod(0o600)
    contract.vault_secret_id_file.write_text("no-such-secret-id", encoding="utf-8")
    credentials = VaultCredentials(contract)
    credentials.refresh()
    with pytest.raises(CredentialsError, match="refused the AppRole login"):
        credentials.get("INGEST_API_KEY")


def test_contract_a_path_without_a_secret_is_named(contract: CredentialSettings) -> None:
    path = contract.vault_secrets_path + "-absent"
    credentials = VaultCredentials(dataclasses.replace(contract, vault_secrets_path=path))
    credentials.refresh()
    with pytest.raises(CredentialsError, match=f"read of {path}"):
        credentials.get("INGEST_API_KEY")


# --- reading ---


def test_candidates_are_current_then_next(credentials: VaultCredentials) -> None:
    credentials.refresh()
    assert credentials.candidates("REDIS_PASS") == ("canary-redis-1", "canary-redis-2")
    assert credentials.candidates("DB_PASS") == ("canary-db-1",)
    assert credentials.candidates("INGEST_API_KEY") == ("canary-ingest-1", "canary-ingest-2")
    assert credentials.candidates("MOOG_API_KEY") == ()


def test_a_rotated_secret_is_seen_at_the_next_check(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    credentials.start()
    vault.set(secrets={"REDIS_PASS_CURRENT": "canary-redis-2", "DB_PASS_CURRENT": "canary-db-1"})
    virtual_time.pass_seconds(300)
    assert credentials.candidates("REDIS_PASS") == ("canary-redis-2",)


def test_what_is_not_text_is_left_out(credentials: VaultCredentials, vault: FakeVault) -> None:
    vault.set(secrets={"INGEST_API_KEY": "canary-ingest-1", "WEBUI_API_KEY": 17, "MOOG_API_KEY": None})
    credentials.refresh()
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"
    assert credentials.get("WEBUI_API_KEY") is None


# --- the life of a token ---


def test_a_token_is_renewed_below_the_threshold_only(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    credentials.start()
    virtual_time.pass_seconds(2700)
    assert vault.report()["renewals"] == 0
    virtual_time.pass_seconds(600)
    assert vault.report()["renewals"] == 1
    assert vault.report()["logins"] == 1


def test_at_its_max_ttl_a_token_is_replaced_before_it_dies(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    credentials.start()
    for _ in range(8):
        virtual_time.pass_seconds(HOUR)
        age = credentials.age_seconds()
        assert age is not None
        assert age <= 300
    report = vault.report()
    assert report["logins"] == 3, "one at the start and one for each max TTL of 4 hours"
    assert report["refused"] == 0


def test_a_token_that_cannot_be_renewed_is_replaced(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    vault.set(renewable=False)
    credentials.start()
    virtual_time.pass_seconds(HOUR)
    assert vault.report()["logins"] == 2
    assert credentials.age_seconds() == 0


def test_a_revoked_token_is_replaced_at_the_next_check(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    credentials.start()
    vault.revoke_all()
    virtual_time.pass_seconds(300)
    assert vault.report()["logins"] == 2
    assert credentials.age_seconds() == 0


def test_a_token_that_may_not_read_is_replaced(credentials: VaultCredentials, vault: FakeVault) -> None:
    credentials.refresh()
    vault.set(read_allowed=False)
    credentials.refresh()
    vault.set(read_allowed=True)
    credentials.refresh()
    assert vault.report()["logins"] == 2, "a token keeps its policies; a new one may have others"


def test_a_rotated_secret_id_is_read_from_its_file(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime, secret_id_file: Path
) -> None:
    credentials.start()
    vault.set(secret_ids=["canary-secret-id-2"])
    vault.revoke_all()
    virtual_time.pass_seconds(300)
    age = credentials.age_seconds()
    assert age is not None
    assert age >= 300, "the old secret id is not good any more"
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"
    secret_id_file.chmod(0o600)
    secret_id_file.write_text("canary-secret-id-2", encoding="utf-8")
    virtual_time.pass_seconds(60)
    age = credentials.age_seconds()
    assert age is not None
    assert age <= 60


def test_secrets_are_read_on_while_only_the_login_fails(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    vault.set(renewable=False)
    credentials.start()
    vault.set(secret_ids=[], secrets={"REDIS_PASS_CURRENT": "canary-redis-3"})
    virtual_time.pass_seconds(HOUR - 60)
    assert credentials.get("REDIS_PASS") == "canary-redis-3"
    assert virtual_time.waits[-1] <= 60, "the login is tried again soon"


# --- outages ---


@pytest.mark.parametrize("outage", ["sealed", "away", "forbidden"])
def test_an_outage_of_an_hour_changes_nothing(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime, outage: str
) -> None:
    vault.set(token_ttl=1800, token_max_ttl=1800)
    credentials.start()
    begin(outage, vault)
    virtual_time.pass_seconds(HOUR)
    assert credentials.candidates("REDIS_PASS") == ("canary-redis-1", "canary-redis-2")
    assert credentials.age_seconds() == HOUR
    retries = virtual_time.waits[10:]
    assert retries
    assert max(retries) <= 60
    end(outage, vault)
    virtual_time.pass_seconds(60)
    age = credentials.age_seconds()
    assert age is not None
    assert age <= 60
    assert vault.report()["tokens"], "it has logged in again"


def begin(outage: str, vault: FakeVault) -> None:
    if outage == "away":
        vault.stop()
    else:
        vault.set(**({"sealed": True} if outage == "sealed" else {"read_allowed": False}))


def end(outage: str, vault: FakeVault) -> None:
    if outage == "away":
        vault.start()
    else:
        vault.set(sealed=False, read_allowed=True)


def test_vault_may_be_away_at_start(credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime) -> None:
    vault.stop()
    credentials.start()
    assert credentials.age_seconds() is None
    with pytest.raises(CredentialsError, match=r"Vault at 127.0.0.1:\d+ cannot be reached: .*refused"):
        credentials.get("INGEST_API_KEY")
    virtual_time.pass_seconds(HOUR)
    vault.start()
    virtual_time.pass_seconds(60)
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"


def test_the_first_retries_come_quickly_and_then_at_most_a_minute_apart(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    vault.set(sealed=True)
    credentials.start()
    virtual_time.pass_seconds(600)
    assert virtual_time.waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(virtual_time.waits) <= 60


@pytest.mark.parametrize("misbehaviour", ["echo", "list", "other_json", "redirect"])
def test_the_keeper_outlives_answers_that_make_no_sense(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime, misbehaviour: str
) -> None:
    vault.set(misbehaviour=misbehaviour)
    credentials.start()
    virtual_time.pass_seconds(300)
    vault.set(misbehaviour="")
    virtual_time.pass_seconds(60)
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"


def test_a_refresh_that_fails_is_tried_again_soon(
    credentials: VaultCredentials, vault: FakeVault, virtual_time: VirtualTime
) -> None:
    credentials.start()
    virtual_time.pass_seconds(1)
    vault.set(sealed=True, secrets={"INGEST_API_KEY": "canary-ingest-3"})
    credentials.refresh()
    vault.set(sealed=False)
    virtual_time.pass_seconds(60)
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-3"


# --- the connection ---


def test_nothing_is_taken_from_the_environment(
    settings: CredentialSettings, vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    monkeypatch.setenv("VAULT_TOKEN", "canary-token-of-somebody")
    credentials = VaultCredentials(settings)
    assert events_of(credentials) == ["logged in to vault", "secrets changed"]
    assert vault.report()["refused"] == 0, "a token that is not ours was tried"


def test_a_certificate_of_another_ca_is_refused(settings: CredentialSettings, tmp_path: Path) -> None:
    other = make_pki(tmp_path)
    assert "certificate verify failed" in problem_with(settings, vault_ca_cert_path=other.ca)


def test_a_missing_ca_file_is_named(settings: CredentialSettings, tmp_path: Path) -> None:
    assert "absent.pem" in problem_with(settings, vault_ca_cert_path=tmp_path / "absent.pem")


def test_an_unusable_secret_id_file_is_named(settings: CredentialSettings, tmp_path: Path) -> None:
    absent, empty, binary = tmp_path / "absent", tmp_path / "empty", tmp_path / "binary"
    empty.touch()
    binary.write_bytes(b"canary-\xff")
    assert f"{absent} cannot be read: No such file" in problem_with(settings, vault_secret_id_file=absent)
    assert f"{empty} is empty" in problem_with(settings, vault_secret_id_file=empty)
    assert f"{binary} is not text" in problem_with(settings, vault_secret_id_file=binary)


def test_a_redirect_is_not_followed(settings: CredentialSettings, vault: FakeVault) -> None:
    vault.set(misbehaviour="redirect")
    assert "HTTP 307" in problem_with(settings)


@pytest.mark.skipif(
    not gevent.monkey.is_module_patched("socket"), reason="a deadline can cut only a patched socket short"
)
def test_an_answer_without_end_is_cut_at_the_deadline(settings: CredentialSettings, vault: FakeVault) -> None:
    vault.set(misbehaviour="drip")
    credentials = VaultCredentials(settings, request_deadline_seconds=0.5)
    with gevent.Timeout(5):
        credentials.refresh()
    with pytest.raises(CredentialsError, match=r"no complete answer within 0\.5 s"):
        credentials.get("INGEST_API_KEY")


def problem_with(settings: CredentialSettings, **changes: Any) -> str:
    """What a caller is told when these settings cannot read anything."""
    credentials = VaultCredentials(dataclasses.replace(settings, **changes))
    credentials.refresh()
    with pytest.raises(CredentialsError) as failure:
        credentials.get("INGEST_API_KEY")
    return str(failure.value)


# --- what is never shown ---


@pytest.mark.parametrize("misbehaviour", ["", "echo", "list", "other_json", "redirect"])
def test_no_secret_reaches_logs_or_errors(
    credentials: VaultCredentials,
    vault: FakeVault,
    misbehaviour: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    with structlog.testing.capture_logs() as logs:
        forbidden = {"sealed": False, "read_allowed": False}
        for state in ({"sealed": True}, forbidden, {"misbehaviour": misbehaviour}):
            vault.set(**state)
            credentials.refresh()
            with pytest.raises(CredentialsError) as failure:
                credentials.get("INGEST_API_KEY")
            shown += traceback.format_exception(failure.value)
        vault.set(misbehaviour="", read_allowed=True)
        credentials.refresh()
        tokens = vault.report()["tokens"]
        vault.set(misbehaviour=misbehaviour, secret_ids=[])
        vault.revoke_all()
        credentials.refresh()
    assert "secrets changed" in [entry["event"] for entry in logs]
    assert tokens
    everything = repr(logs) + caplog.text + "".join(shown) + "".join(capfd.readouterr())
    for secret in ("canary", *tokens):
        assert secret not in everything
