"""Secrets from a file: who may read it, what is noticed, what survives a mistake, what is never shown."""

import itertools
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
import structlog

from mutt.credentials import open_credentials
from mutt.credentials.file import FileCredentials
from mutt.credentials.vault import VaultCredentials
from mutt.errors import ConfigurationError, CredentialsError, Reason
from mutt.settings import CredentialSettings

CONTENT = """
# Written by the person who installs MUTT.
INGEST_API_KEY=canary-ingest-1
WEBUI_API_KEY="canary webui 1"
MOOG_API_KEY=
REDIS_PASS_CURRENT=canary-redis-1
REDIS_PASS_NEXT=canary-redis-2
DB_PASS_CURRENT=canary-db-1
DB_PASS_NEXT=canary-db-1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "secrets.env", CONTENT)


@pytest.fixture
def credentials(file: Path) -> Iterator[FileCredentials]:
    """Not started; its keeper looks every 10 ms instead of every second."""
    settings = CredentialSettings(backend="file", file=file)
    credentials = FileCredentials(settings, sleep=lambda _: gevent.sleep(0.01))
    yield credentials
    credentials.stop()


def write(file: Path, content: str, mode: int = 0o600) -> Path:
    """Replaces the file in one step, as an editor or Ansible does."""
    new = file.with_suffix(".new")
    new.write_text(content, encoding="utf-8")
    new.chmod(mode)
    return new.rename(file)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true within 10 s"
        gevent.sleep(0.01)


# --- what callers get ---


def test_get_gives_the_current_value(credentials: FileCredentials) -> None:
    credentials.start()
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"
    assert credentials.get("WEBUI_API_KEY") == "canary webui 1"
    assert credentials.get("REDIS_PASS_NEXT") == "canary-redis-2"
    assert credentials.get("REDIS_PASS") == "canary-redis-1"


@pytest.mark.parametrize("name", ["MOOG_API_KEY", "NO_SUCH_SECRET"])
def test_an_empty_or_unknown_secret_is_none(credentials: FileCredentials, name: str) -> None:
    credentials.start()
    assert credentials.get(name) is None
    assert credentials.candidates(name) == ()


def test_candidates_are_current_then_next_without_duplicates(credentials: FileCredentials) -> None:
    credentials.start()
    assert credentials.candidates("REDIS_PASS") == ("canary-redis-1", "canary-redis-2")
    assert credentials.candidates("DB_PASS") == ("canary-db-1",)
    assert credentials.candidates("INGEST_API_KEY") == ("canary-ingest-1",)


def test_an_api_key_may_have_a_next_twin(credentials: FileCredentials, file: Path) -> None:
    write(file, CONTENT + "INGEST_API_KEY_NEXT=canary-ingest-2\n")
    credentials.start()
    assert credentials.candidates("INGEST_API_KEY") == ("canary-ingest-1", "canary-ingest-2")


def test_nothing_is_known_before_the_first_read(credentials: FileCredentials) -> None:
    assert credentials.age_seconds() is None
    with pytest.raises(CredentialsError, match="nobody has asked"):
        credentials.get("INGEST_API_KEY")


# --- who may read the file ---


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_owner_and_group_may_read(credentials: FileCredentials, file: Path, mode: int) -> None:
    file.chmod(mode)
    credentials.start()
    assert credentials.get("INGEST_API_KEY")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_file_open_to_strangers_is_refused(credentials: FileCredentials, file: Path, mode: int) -> None:
    file.chmod(mode)
    credentials.start()
    with pytest.raises(CredentialsError, match=rf"{file} is open to every user.*chmod 0640") as refusal:
        credentials.candidates("REDIS_PASS")
    assert refusal.value.reason is Reason.NO_CREDENTIALS


def test_a_missing_file_is_named(credentials: FileCredentials, file: Path) -> None:
    file.unlink()
    credentials.start()
    with pytest.raises(CredentialsError, match=rf"{file} does not exist; write the secrets there"):
        credentials.get("INGEST_API_KEY")


def test_a_file_without_a_secret_is_refused(credentials: FileCredentials, file: Path) -> None:
    write(file, "# nothing yet\nINGEST_API_KEY=\n")
    credentials.start()
    with pytest.raises(CredentialsError, match="holds no secret"):
        credentials.get("INGEST_API_KEY")


# --- what is noticed, and what survives ---


def test_a_replaced_file_is_noticed(credentials: FileCredentials, file: Path) -> None:
    credentials.start()
    write(file, "INGEST_API_KEY=canary-ingest-3\n")
    eventually(lambda: credentials.get("INGEST_API_KEY") == "canary-ingest-3")
    assert credentials.get("REDIS_PASS") is None


def test_a_file_written_in_place_is_noticed(credentials: FileCredentials, file: Path) -> None:
    credentials.start()
    file.write_text("INGEST_API_KEY=canary-ingest-4\n", encoding="utf-8")
    eventually(lambda: credentials.get("INGEST_API_KEY") == "canary-ingest-4")


def test_a_file_that_appears_later_is_noticed(credentials: FileCredentials, file: Path) -> None:
    file.unlink()
    credentials.start()
    write(file, CONTENT)
    eventually(lambda: credentials.age_seconds() is not None)
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"


def test_a_mended_mode_is_noticed(credentials: FileCredentials, file: Path) -> None:
    file.chmod(0o644)
    credentials.start()
    file.chmod(0o640)
    eventually(lambda: credentials.age_seconds() is not None)


def test_refresh_reads_without_a_keeper(credentials: FileCredentials, file: Path) -> None:
    credentials.refresh()
    write(file, "INGEST_API_KEY=canary-ingest-5\n")
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"
    credentials.refresh()
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-5"


def spoil_by_mode(file: Path) -> None:
    write(file, "INGEST_API_KEY=canary-other\n", mode=0o644)


def spoil_by_truncation(file: Path) -> None:
    write(file, 'WEBUI_API_KEY=canary-other\nINGEST_API_KEY="canary-oth')


def spoil_by_emptying(file: Path) -> None:
    write(file, "")


def spoil_by_bytes(file: Path) -> None:
    file.write_bytes(b"INGEST_API_KEY=canary-\xff\xfe\n")


def spoil_by_deletion(file: Path) -> None:
    file.unlink()


SPOILERS = [spoil_by_mode, spoil_by_truncation, spoil_by_emptying, spoil_by_bytes, spoil_by_deletion]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_the_last_secrets_stay_when_the_file_goes_bad(
    credentials: FileCredentials, file: Path, spoil: Callable[[Path], None]
) -> None:
    credentials.refresh()
    spoil(file)
    credentials.refresh()
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"
    assert credentials.candidates("REDIS_PASS") == ("canary-redis-1", "canary-redis-2")


def test_age_counts_from_the_last_look_that_found_the_file_good(file: Path) -> None:
    now = 100.0
    credentials = FileCredentials(CredentialSettings(backend="file", file=file), clock=lambda: now)
    credentials.refresh()
    now = 130.0
    assert credentials.age_seconds() == 30.0
    file.chmod(0o644)
    credentials.refresh()
    assert credentials.age_seconds() == 30.0


@pytest.mark.parametrize(("mode", "fresh"), [(0o600, True), (0o644, False)])
def test_only_a_good_file_that_is_unchanged_counts_as_fresh(file: Path, mode: int, fresh: bool) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        gevent.sleep(0)

    credentials = FileCredentials(CredentialSettings(backend="file", file=file), lambda: now, sleep)
    credentials.refresh()
    file.chmod(mode)
    credentials.start()
    eventually(lambda: now > 60)
    age = credentials.age_seconds()
    credentials.stop()
    assert age is not None
    assert (age <= 1.0) is fresh


def test_stop_ends_the_keeper_and_keeps_the_secrets(file: Path) -> None:
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        gevent.sleep(0.001)

    credentials = FileCredentials(CredentialSettings(backend="file", file=file), sleep=sleep)
    credentials.start()
    eventually(lambda: looks > 2)
    credentials.stop()
    credentials.stop()
    before = looks
    for _ in range(20):
        gevent.sleep(0.001)  # As long as the keeper would need for twenty looks.
    assert looks == before
    assert credentials.get("INGEST_API_KEY") == "canary-ingest-1"


# --- what is never shown ---


@pytest.mark.parametrize("spoil", SPOILERS)
def test_no_value_reaches_logs_or_errors(
    credentials: FileCredentials, file: Path, spoil: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logs:
        spoil(file)
        credentials.refresh()
        with pytest.raises(CredentialsError) as failure:
            credentials.get("INGEST_API_KEY")
        write(file, CONTENT)
        credentials.refresh()
        spoil(file)
        credentials.refresh()
    events = [entry["event"] for entry in logs]
    assert events.count("credentials check failed") == 2
    assert "secrets changed" in events
    shown = repr(logs) + "".join(traceback.format_exception(failure.value)) + "".join(capfd.readouterr())
    assert "canary" not in shown


def test_a_failure_that_goes_on_is_not_logged_every_second(file: Path) -> None:
    seconds = itertools.count()
    settings = CredentialSettings(backend="file", file=file)
    credentials = FileCredentials(settings, clock=lambda: float(next(seconds)))
    file.unlink()
    with structlog.testing.capture_logs() as logs:
        for _ in range(100):
            credentials.refresh()
    assert len(logs) == 1


# --- which backend ---


def test_the_setting_chooses_the_backend(file: Path) -> None:
    vault = CredentialSettings(backend="vault", vault_addr="https://vault.example", vault_role_id="mutt")
    assert isinstance(open_credentials(vault), VaultCredentials)
    assert isinstance(open_credentials(CredentialSettings(backend="file", file=file)), FileCredentials)


@pytest.mark.parametrize("path", ["secret", "secret/", "/"])
def test_a_secrets_path_without_a_mount_is_a_configuration_error(path: str) -> None:
    settings = CredentialSettings(vault_addr="https://vault.example", vault_secrets_path=path)
    with pytest.raises(ConfigurationError, match="VAULT_SECRETS_PATH"):
        open_credentials(settings)
