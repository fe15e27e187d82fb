"""``mutt-admin db`` and ``mutt-admin config``: what an operator and Ansible see of them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mutt import __version__
from mutt.cli.main import main
from mutt.store import migrations
from tests.support.postgres import PASSWORD, ROLE, PrivatePostgres

Admin = Callable[..., Result]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def name(postgres_server: PrivatePostgres) -> str:
    return postgres_server.create_database()


@pytest.fixture
def environ(postgres_server: PrivatePostgres, name: str, tmp_path: Path) -> dict[str, str]:
    """Settings that lead to an empty database; they are all in mutt.env and nothing is in the environment."""
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text(f"DB_PASS_CURRENT=rotated away\nDB_PASS_NEXT={PASSWORD}\n")
    (tmp_path / "mutt.env").write_text(
        f"DB_HOST=127.0.0.1\nDB_PORT={postgres_server.port}\nDB_NAME={name}\nDB_USER={ROLE}\nDB_TLS_ENABLED=false\n"
        f"MUTT_SECRETS_BACKEND=file\nMUTT_SECRETS_FILE={secrets}\n"
    )
    return {"MUTT_ENV_FILE": str(tmp_path / "mutt.env")}


@pytest.fixture
def admin(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Admin:
    """Runs mutt-admin in this process."""
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run


def run_program(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs mutt-admin as a process of its own, which gevent has not patched."""
    command = [sys.executable, "-c", "from mutt.cli.main import main; main()", *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MUTT_", "DB_"))}
    environment = {**inherited, "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# --- db -------------------------------------------------------------------------------------------------------


def test_an_empty_database_is_migrated_and_then_needs_nothing(admin: Admin) -> None:
    first = admin("db", "migrate")
    assert (first.exit_code, first.stdout) == (0, "")
    assert first.stderr.count("applied 0") == len(migrations.known())

    second = admin("db", "migrate")
    assert (second.exit_code, second.stdout) == (0, "")
    assert second.stderr.startswith("nothing to apply")


def test_status_is_6_as_long_as_something_is_pending(admin: Admin) -> None:
    pending = admin("db", "status")
    assert pending.exit_code == 6
    assert "0001_rules_and_inventory" in pending.stderr
    assert "run `mutt-admin db migrate`" in pending.stderr

    admin("db", "migrate")

    applied = admin("db", "status")
    assert (applied.exit_code, applied.stderr) == (0, "")
    header, first, *_ = applied.stdout.splitlines()
    assert header.split() == ["VERSION", "NAME", "STATE", "APPLIED", "AT"]
    assert first.split()[:3] == ["0001", "rules_and_inventory", "applied"]


def test_status_as_json_is_for_programs(admin: Admin) -> None:
    answer = json.loads(admin("db", "status", "-o", "json").stdout)

    known = migrations.known()
    assert answer["pending"] == len(known)
    assert answer["migrations"][0] == {
        "version": 1, "name": "rules_and_inventory", "state": "pending", "applied_at": None,
    }  # fmt: skip

    admin("db", "migrate")
    result = admin("db", "status", "--output", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["pending"] == 0


def test_an_edited_migration_fails_with_a_sentence(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin("db", "migrate")
    folder = Path(shutil.copytree(migrations.sql_dir(), tmp_path / "sql"))
    with (folder / "0002_event_audit_log.sql").open("a") as file:
        file.write("-- edited\n")
    monkeypatch.setattr(migrations, "sql_dir", lambda: folder)

    for command in ("migrate", "status"):
        result = admin("db", command)
        assert result.exit_code == 1
        assert "Error: migration 0002_event_audit_log was applied and its file has been changed since" in result.stderr


def test_a_server_that_is_away_fails_with_a_sentence(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "1")

    result = admin("db", "status")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Connection refused" in result.stderr
    assert "Traceback" not in result.stderr


def test_secrets_that_are_not_there_fail_with_a_sentence(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUTT_SECRETS_FILE", "/nonexistent/secrets.env")

    result = admin("db", "migrate")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "/nonexistent/secrets.env does not exist" in result.stderr


def test_a_right_that_was_not_granted_fails_with_a_sentence(
    admin: Admin, postgres_server: PrivatePostgres, name: str
) -> None:
    admin("db", "migrate")
    postgres_server.execute("ALTER TABLE schema_migrations OWNER TO postgres", name)

    result = admin("db", "status")

    assert result.exit_code == 1
    assert result.stderr == "Error: PostgreSQL refuses: permission denied for table schema_migrations\n"


def test_wrong_settings_are_all_reported_and_end_with_78(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "many")
    monkeypatch.setenv("DB_TLS_ENABLED", "perhaps")

    result = admin("db", "migrate")

    assert (result.exit_code, result.stdout) == (78, "")
    assert "configuration error: DB_PORT='many'" in result.stderr
    assert "configuration error: DB_TLS_ENABLED='perhaps'" in result.stderr


def test_as_a_program_it_keeps_data_and_talk_apart(environ: dict[str, str]) -> None:
    migrated = run_program(environ, "db", "migrate")
    assert (migrated.returncode, migrated.stdout) == (0, ""), migrated.stderr

    status = run_program({**environ, "COLUMNS": "20"}, "db", "status")
    assert (status.returncode, status.stderr) == (0, "")
    # A pipe has no width: nothing is cut or folded, and nothing is coloured.
    assert len(status.stdout.splitlines()) == 1 + len(migrations.known())
    assert "\x1b" not in status.stdout


def test_colours_are_for_terminals_and_not_for_those_who_do_not_want_them(environ: dict[str, str]) -> None:
    # FORCE_COLOR makes rich take the pipe for a terminal.
    coloured = run_program({**environ, "FORCE_COLOR": "1", "TERM": "xterm"}, "db", "status").stdout
    plain = run_program({**environ, "FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}, "db", "status").stdout

    assert "\x1b[33mpending" in coloured
    assert "\x1b[33m" not in plain


def test_two_at_once_leave_one_schema(environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", "from mutt.cli.main import main; main()", "db", "migrate"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    runs = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    talk = [run.communicate(timeout=60)[1] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], talk
    assert "".join(talk).count("applied 0") == len(migrations.known())


# --- config ---------------------------------------------------------------------------------------------------

VALID = """\
MUTT_SECRETS_BACKEND=file
MOOG_WEBHOOK_URL=https://moog.example.com/events
"""


def test_a_valid_file_is_valid_whatever_the_environment_says(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "valid.env"
    file.write_text(VALID)
    monkeypatch.setenv("DB_PORT", "many")

    result = admin("config", "check", str(file))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{file} is valid\n")


def test_the_mistakes_of_all_programs_are_shown_at_once_and_each_once(admin: Admin, tmp_path: Path) -> None:
    file = tmp_path / "wrong.env"
    file.write_text(
        "MUTT_SECRETS_BACKEND=file\nREDIS_PORT=0\nMOOG_RATE_LIMIT=-1\nAUDIT_LOG_PAGE_SIZE=x\nALERTER_LANE=2\nnonsense\n"
    )

    result = admin("config", "check", str(file))

    assert (result.exit_code, result.stdout) == (78, "")
    for mistake in (
        "REDIS_PORT='0'", "MOOG_RATE_LIMIT='-1'", "MOOG_WEBHOOK_URL is not set", "did you mean ALERTER_LANES?",
        f"{file} line 6 is not KEY=VALUE",
    ):  # fmt: skip
        assert result.stderr.count(mistake) == 1, result.stderr
    assert all(line.startswith("configuration error: ") for line in result.stderr.splitlines())


def test_without_a_file_it_judges_what_a_program_would_see(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    result = admin("config", "check")
    assert result.exit_code == 78
    assert "MOOG_WEBHOOK_URL is not set" in result.stderr

    monkeypatch.setenv("MOOG_WEBHOOK_URL", "https://moog.example.com/events")
    assert admin("config", "check").exit_code == 0


def test_a_file_that_is_not_there_is_wrong_usage(admin: Admin) -> None:
    result = admin("config", "check", "/nonexistent/mutt.env")

    assert result.exit_code == 2
    assert "does not exist" in result.stderr


# --- the program ----------------------------------------------------------------------------------------------


def test_version_and_help(admin: Admin) -> None:
    assert admin("--version").stdout == f"mutt-admin, version {__version__}\n"
    for arguments in ([], ["-h"], ["db", "--help"], ["db", "migrate", "-h"]):
        result = admin(*arguments)
        assert "Usage:" in result.output
    assert admin("db", "destroy").exit_code == 2
