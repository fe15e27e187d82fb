"""Which appliance mutt-admin talks to, and with which key."""

from pathlib import Path

import pytest

from mutt.cli.connection import Choices, connect
from mutt.cli.exits import CliError

TOML = """
current_context = "lab"
[contexts.lab]
url = "http://lab:8090/"
api_key = "lab-key"
[contexts.production]
url = "https://mutt.example.net:8090"
api_key = "production-key"
ca_file = "/ca.pem"
timeout_seconds = 7.5
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No settings of the host; admin.toml with two appliances."""
    (tmp_path / "mutt").mkdir()
    file = tmp_path / "mutt" / "admin.toml"
    file.touch(mode=0o600)
    file.write_text(TOML)
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "MUTT_ENV_FILE": str(tmp_path / "mutt.env")}


def write_host(environ: dict[str, str], settings: str = "") -> None:
    folder = Path(environ["HOME"])
    secrets = folder / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text("WEBUI_API_KEY=host-key\nINGEST_API_KEY=host-ingest-key\n")
    (folder / "mutt.env").write_text(f"MUTT_SECRETS_BACKEND=file\nMUTT_SECRETS_FILE={secrets}\n{settings}")


def test_the_current_context(environ: dict[str, str]) -> None:
    found = connect(Choices(), environ)
    assert (found.url, found.api_key, found.timeout_seconds) == ("http://lab:8090", "lab-key", 30)
    assert "lab" in found.key_source


def test_environment_wins_over_the_file_and_options_over_both(environ: dict[str, str], tmp_path: Path) -> None:
    environ |= {"MUTT_ADMIN_URL": "http://other:1", "WEBUI_API_KEY": "second", "MUTT_ADMIN_API_KEY": "first"}
    assert (connect(Choices(), environ).url, connect(Choices(), environ).api_key) == ("http://other:1", "first")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("third\n")
    found = connect(Choices(url="http://third:1", api_key_file=str(key)), environ)
    assert (found.url, found.api_key) == ("http://third:1", "third")


def test_a_context_named_on_the_command_line_wins_over_the_environment(environ: dict[str, str]) -> None:
    environ |= {"MUTT_ADMIN_URL": "http://other:1", "WEBUI_API_KEY": "other"}
    found = connect(Choices(context="production"), environ)
    assert (found.url, found.api_key) == ("https://mutt.example.net:8090", "production-key")
    assert (found.ca_file, found.timeout_seconds) == ("/ca.pem", 7.5)


def test_a_stored_key_is_not_sent_to_another_server(environ: dict[str, str]) -> None:
    write_host(environ)
    for choices, more in ((Choices(url="http://elsewhere:1"), {}), (Choices(), {"MUTT_ADMIN_URL": "http://else:1"})):
        found = connect(choices, {**environ, **more})
        assert found.api_key is None
        assert "is not sent" in found.no_key


def test_the_settings_of_the_host(environ: dict[str, str]) -> None:
    Path(environ["HOME"], "mutt", "admin.toml").unlink()
    write_host(environ, "SERVER_PORT_WEBUI=9999\nSERVER_PORT_INGESTOR=9998\n")
    found = connect(Choices(), environ)
    assert (found.url, found.api_key, found.key_source) == (
        "http://127.0.0.1:9999", "host-key", "the secrets file of this host",
    )  # fmt: skip
    assert (found.ingest_url, found.ingest_key) == ("http://127.0.0.1:9998", "host-ingest-key")
    write_host(environ, "SERVER_TLS_CERT_PATH=/c\n")
    assert connect(Choices(), environ).url.startswith("https://")


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("urll = 'x'", "urll"),
        ("timeout_seconds = 'x'", "timeout_seconds"),
        ("current_context = 'prod'\n[contexts.production]\n", "did you mean production?"),
        ("url = 'mutt:8090'", "is not an http:// or https:// URL"),
        ("url = 'http://me:secret@mutt:8090'", "must not hold a user name"),
        ("url = ", "admin.toml"),
    ],
)
def test_a_mistake_in_the_file_is_named(environ: dict[str, str], toml: str, named: str) -> None:
    Path(environ["HOME"], "mutt", "admin.toml").write_text(toml)
    with pytest.raises(CliError) as caught:
        connect(Choices(), environ)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2
    assert "secret@" not in str(caught.value)


def test_a_file_with_a_key_that_all_can_read_is_refused(environ: dict[str, str]) -> None:
    file = Path(environ["HOME"], "mutt", "admin.toml")
    file.chmod(0o644)
    with pytest.raises(CliError, match="chmod 0600"):
        connect(Choices(), environ)
    file.write_text("api_key_file = '~/key'\n")
    key = Path(environ["HOME"], "key")
    key.write_text("k")
    key.chmod(0o644)
    with pytest.raises(CliError, match="chmod 0600"):
        connect(Choices(api_key_file=str(key)), environ)
