"""Settings: read once, all mistakes at once; and the template and reference that are generated from them."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from mutt import settings, settings_template
from mutt.errors import EX_CONFIG, ConfigurationError

ROOT = Path(__file__).parents[2]
PROGRAMS: tuple[Any, ...] = (
    settings.Ingestor,
    settings.WebUI,
    settings.Alerter,
    settings.Forwarder,
    settings.Remediation,
    settings.Admin,
)
NEEDED = {"MUTT_SECRETS_BACKEND": "file", "MOOG_WEBHOOK_URL": "https://moog.example.com/events"}
"""What has no default that works, set."""

# Name and default of every variable of the quick reference that a program reads, and of the contract's decisions.
DOCUMENTED = {
    "LOG_LEVEL": "INFO",
    "LOG_JSON_ENABLED": "false",
    "DYNAMIC_CONFIG_ENABLED": "false",
    "REDIS_HOST": "localhost",
    "REDIS_PORT": "6379",
    "REDIS_TLS_ENABLED": "true",
    "REDIS_CA_CERT_PATH": "",
    "REDIS_MAX_CONNECTIONS": "20",
    "DB_HOST": "localhost",
    "DB_PORT": "5432",
    "DB_NAME": "mutt_db",
    "DB_USER": "mutt_user",
    "DB_TLS_ENABLED": "true",
    "DB_TLS_CA_CERT_PATH": "",
    "DB_POOL_MIN_CONN": "2",
    "DB_POOL_MAX_CONN": "10",
    "MUTT_SECRETS_BACKEND": "vault",
    "VAULT_ADDR": "",
    "VAULT_ROLE_ID": "",
    "VAULT_SECRET_ID_FILE": "/etc/mutt/secrets/vault_secret_id",
    "VAULT_SECRETS_PATH": "secret/mutt",
    "VAULT_TOKEN_RENEW_THRESHOLD": "3600",
    "VAULT_RENEW_CHECK_INTERVAL": "300",
    "SERVER_PORT_INGESTOR": "8080",
    "MAX_INGEST_QUEUE_SIZE": "1000000",
    "INGEST_QUEUE_NAME": "mutt:ingest_queue",
    "REQUIRED_MESSAGE_FIELDS": "timestamp,message,hostname",
    "INGEST_WAIT_REPLICAS": "0",
    "METRICS_BIND_ADDRESS": "0.0.0.0",
    "METRICS_PORT_ALERTER": "8081",
    "HEALTH_PORT_ALERTER": "8082",
    "ALERT_QUEUE_NAME": "mutt:alert_queue",
    "ALERTER_PROCESSING_LIST_PREFIX": "mutt:processing:alerter",
    "ALERTER_HEARTBEAT_PREFIX": "mutt:heartbeat:alerter",
    "ALERTER_HEARTBEAT_INTERVAL": "10",
    "ALERTER_JANITOR_TIMEOUT": "30",
    "ALERTER_DLQ_NAME": "mutt:dlq:alerter",
    "ALERTER_MAX_RETRIES": "3",
    "BRPOPLPUSH_TIMEOUT": "5",
    "CACHE_RELOAD_INTERVAL": "300",
    "UNHANDLED_PREFIX": "mutt:unhandled",
    "UNHANDLED_THRESHOLD": "100",
    "UNHANDLED_EXPIRY_SECONDS": "86400",
    "UNHANDLED_DEFAULT_TEAM": "NETO",
    "METRICS_PORT_MOOG": "8083",
    "HEALTH_PORT_MOOG": "8084",
    "MOOG_PROCESSING_LIST_PREFIX": "mutt:processing:moog",
    "MOOG_HEARTBEAT_PREFIX": "mutt:heartbeat:moog",
    "MOOG_HEARTBEAT_INTERVAL": "10",
    "MOOG_JANITOR_TIMEOUT": "30",
    "MOOG_DLQ_NAME": "mutt:dlq:moog",
    "MOOG_WEBHOOK_URL": "",
    "MOOG_WEBHOOK_TIMEOUT": "10",
    "MOOG_RATE_LIMIT": "50",
    "MOOG_RATE_PERIOD": "1",
    "MOOG_RATE_LIMIT_KEY": "mutt:rate_limit:moog",
    "MOOG_MAX_RETRIES": "5",
    "MOOG_RETRY_BASE_DELAY": "1",
    "MOOG_RETRY_MAX_DELAY": "60",
    "MOOG_FORMAT": "enterprise",
    "SERVER_PORT_WEBUI": "8090",
    "METRICS_CACHE_TTL": "5",
    "AUDIT_LOG_PAGE_SIZE": "50",
    "PROMETHEUS_URL": "http://localhost:9090",
    "METRICS_PORT_REMEDIATION": "8086",
    "HEALTH_PORT_REMEDIATION": "8087",
    "REMEDIATION_SCAN_INTERVAL": "60",
    "REMEDIATION_MAX_RETRIES": "3",
    "REMEDIATION_BACKOFF_BASE": "60",
    "OTEL_ENABLED": "false",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "",
}


def load(program: Any, environ: dict[str, str], content: str = "", folder: Path | None = None) -> Any:
    file = (folder or Path("/nonexistent")) / "mutt.env"
    if folder is not None:
        file.write_text(content, encoding="utf-8")
    return settings.load(program, environ, file)


def problems(program: Any, environ: dict[str, str], content: str = "", folder: Path | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(program, environ, content, folder)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# --- names and defaults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variable", "default"), DOCUMENTED.items())
def test_documented_variables_have_their_documented_defaults(variable: str, default: str) -> None:
    assert settings_template.shown_default(settings.known_variables()[variable]) == default


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_on_its_defaults(program: Any) -> None:
    loaded = load(program, NEEDED)
    for field in dataclasses.fields(program):
        group = getattr(loaded, field.name)
        if field.type is settings.Host:
            continue
        changed = {"credentials": {"backend": "file"}, "webhook": {"url": NEEDED["MOOG_WEBHOOK_URL"]}}
        assert group == field.type(**changed.get(field.name, {}))


def test_a_survey_reads_what_it_can_and_names_every_mistake() -> None:
    host = settings.survey({**NEEDED, "REDIS_PORT": "zero", "ALERTER_LANES": "3"}, Path("/nonexistent"))
    assert (host.redis.port, host.alerter.lanes) == (6379, 3)
    assert host.mistakes == ("REDIS_PORT='zero': must be a whole number from 1 to 65535",)
    assert settings.survey({}, Path("/nonexistent")).mistakes[-1].startswith("MOOG_WEBHOOK_URL is not set")


def test_a_mistake_in_the_settings_of_another_program_does_not_stop_the_web_ui() -> None:
    environ = {"MUTT_SECRETS_BACKEND": "file", "ALERTER_LANES": "many", "MOOG_RATE_LIMIT": "7"}
    host = load(settings.WebUI, environ).host
    assert (host.webhook.rate_limit, host.alerter.lanes) == (7, 2)
    assert host.mistakes[0].startswith("ALERTER_LANES='many'")


def test_settings_cannot_be_changed_after_they_are_read() -> None:
    loaded = load(settings.Ingestor, NEEDED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.redis.port = 1


def test_a_variable_means_the_same_wherever_it_appears() -> None:
    appearances: dict[str, set[Any]] = {}
    for group in settings.GROUPS:
        for field in dataclasses.fields(group):
            appearances.setdefault(field.metadata["variable"], set()).add((field.default, field.metadata["doc"]))
    assert [variable for variable, meanings in appearances.items() if len(meanings) > 1] == []


def test_a_typing_mistake_in_any_variable_can_be_noticed() -> None:
    assert [name for name in settings.known_variables() if not name.startswith(settings.OWNED_PREFIXES)] == []


# --- all mistakes at once ---------------------------------------------------------------------------------------------


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    content = "REDIS_PORT=zero\nDB_TLS_ENABLED=maybe\nALERTER_MAX_RETRYS=4\nthis is no assignment\n"
    environ = {"LOG_LEVEL": "LOUD", "ALERTER_JANITOR_TIMEOUT": "15"}
    assert problems(settings.Alerter, environ, content, tmp_path) == [
        f"{tmp_path}/mutt.env line 4 is not KEY=VALUE",
        f"{tmp_path}/mutt.env: ALERTER_MAX_RETRYS is not a setting of MUTT; did you mean ALERTER_MAX_RETRIES?",
        "LOG_LEVEL='LOUD': must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
        "VAULT_ADDR is not set; MUTT_SECRETS_BACKEND=vault needs it (or set MUTT_SECRETS_BACKEND=file)",
        "VAULT_ROLE_ID is not set; MUTT_SECRETS_BACKEND=vault needs it (or set MUTT_SECRETS_BACKEND=file)",
        "REDIS_PORT='zero': must be a whole number from 1 to 65535",
        "DB_TLS_ENABLED='maybe': must be true or false",
        (
            "ALERTER_JANITOR_TIMEOUT (15) must be at least twice ALERTER_HEARTBEAT_INTERVAL (10), "
            "or one late heartbeat costs a living worker its batch"
        ),
    ]


@pytest.mark.parametrize("program", [settings.Forwarder, settings.Remediation])
def test_a_required_variable_is_asked_for(program: Any) -> None:
    for value in ({}, {"MOOG_WEBHOOK_URL": ""}):
        found = problems(program, {"MUTT_SECRETS_BACKEND": "file", **value})
        assert len(found) == 1
        assert found[0].startswith("MOOG_WEBHOOK_URL is not set: the URL that alerts are posted to")
    load(settings.Alerter, {"MUTT_SECRETS_BACKEND": "file"})


BAD_VALUES = {
    "REDIS_PORT": ["0", "65536", "6379.0", "1e3", "\u0663", "-", "0x10", "9" * 19],
    "MOOG_WEBHOOK_TIMEOUT": ["0", "nan", "inf", "-1", "ten", "1s"],
    "REDIS_TLS_ENABLED": ["2", "enabled", "None", "tru"],
    "LOG_LEVEL": ["TRACE", "info debug"],
    "MOOG_WEBHOOK_URL": ["moog.example.com", "ftp://moog.example.com", "https://", "file:///etc/passwd"],
    "REDIS_SENTINEL_HOSTS": ["a:b", "a:0", "a:99999", "a:1:"],
    "REQUIRED_MESSAGE_FIELDS": ["timestamp,message", "timestamp message hostname"],
    "DB_NAME": [" "],
    "MOOG_AUTH": ["oauth"],
    "MOOG_FORMAT": ["xml"],
}


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name, bad in BAD_VALUES.items() for value in bad])
def test_a_bad_value_is_shown_with_what_is_accepted(variable: str, value: str) -> None:
    program = settings.Ingestor if variable == "REQUIRED_MESSAGE_FIELDS" else settings.Forwarder
    found = problems(program, {**NEEDED, "REDIS_SENTINEL_MASTER": "", variable: value})
    assert found[0].startswith(f"{variable}={value!r}: must ")


GOOD_VALUES = [
    ("REDIS_PORT", " 6380 ", "redis", "port", 6380),
    ("REDIS_TLS_ENABLED", "No", "redis", "tls_enabled", False),
    ("REDIS_TLS_ENABLED", "1", "redis", "tls_enabled", True),
    ("LOG_LEVEL", "debug", "general", "log_level", "DEBUG"),
    ("MOOG_WEBHOOK_TIMEOUT", "2.5", "webhook", "timeout_seconds", 2.5),
    ("MOOG_AUTH", "APIKEY", "webhook", "auth", "apikey"),
    ("MOOG_CA_CERT_PATH", "/etc/pki/ca.pem", "webhook", "ca_cert_path", Path("/etc/pki/ca.pem")),
    ("POD_NAME", "mutt-1", "general", "pod", "mutt-1"),
]


@pytest.mark.parametrize(("variable", "value", "group", "field", "expected"), GOOD_VALUES)
def test_a_good_value_is_read(variable: str, value: str, group: str, field: str, expected: Any) -> None:
    loaded = load(settings.Forwarder, {**NEEDED, variable: value})
    assert getattr(getattr(loaded, group), field) == expected


def test_sentinels_may_leave_out_their_port() -> None:
    environ = {**NEEDED, "REDIS_SENTINEL_HOSTS": "s1, s2:5000 ,", "REDIS_SENTINEL_MASTER": "mutt"}
    assert load(settings.Ingestor, environ).redis.sentinel_hosts == (("s1", 26379), ("s2", 5000))


@pytest.mark.parametrize(
    ("program", "environ", "expected"),
    [
        (settings.Ingestor, {"REDIS_SENTINEL_HOSTS": "s1"}, "REDIS_SENTINEL_HOSTS and REDIS_SENTINEL_MASTER must be"),
        (settings.Ingestor, {"REDIS_CLIENT_KEY_PATH": "/k"}, "REDIS_CLIENT_CERT_PATH and REDIS_CLIENT_KEY_PATH must"),
        (settings.Ingestor, {"SERVER_TLS_CERT_PATH": "/c"}, "SERVER_TLS_CERT_PATH and SERVER_TLS_KEY_PATH must be"),
        (settings.WebUI, {"SERVER_TLS_CLIENT_CA_PATH": "/c"}, "SERVER_TLS_CLIENT_CA_PATH needs SERVER_TLS_CERT_PATH"),
        (settings.Admin, {"DB_POOL_MIN_CONN": "11"}, "DB_POOL_MIN_CONN (11) must not exceed DB_POOL_MAX_CONN (10)"),
        (settings.Admin, {"DB_TLS_CLIENT_CERT_PATH": "/c"}, "DB_TLS_CLIENT_CERT_PATH and DB_TLS_CLIENT_KEY_PATH must"),
        (settings.Forwarder, {"MOOG_FORMAT": "cloud", "MOOG_AUTH": "body"}, "MOOG_AUTH=body needs MOOG_FORMAT="),
        (settings.Forwarder, {"MOOG_JANITOR_TIMEOUT": "19"}, "MOOG_JANITOR_TIMEOUT (19) must be at least twice"),
    ],
)
def test_settings_that_do_not_go_together_are_reported(program: Any, environ: dict[str, str], expected: str) -> None:
    found = problems(program, {**NEEDED, **environ})
    assert [problem for problem in found if problem.startswith(expected)] == found


# --- typing mistakes --------------------------------------------------------------------------------------------------


def test_an_unknown_variable_of_ours_in_the_file_is_a_mistake(tmp_path: Path) -> None:
    content = "REDIS_HSOT=r\nMUTT_XYZZY_PLUGH=1\nPATH=/bin\nJAVA_HOME=/opt\n"
    assert problems(settings.Ingestor, NEEDED, content, tmp_path) == [
        f"{tmp_path}/mutt.env: MUTT_XYZZY_PLUGH is not a setting of MUTT",
        f"{tmp_path}/mutt.env: REDIS_HSOT is not a setting of MUTT; did you mean REDIS_HOST?",
    ]


def test_in_the_environment_only_a_near_miss_is_a_mistake() -> None:
    others = {"REDIS_URL": "r", "DB_BACKUP_COMMAND": "x", "LOG_ROTATE": "1", "INGEST_API_KEY": "k", "MUTT_BIN": "/b"}
    load(settings.Ingestor, {**NEEDED, **others})
    assert problems(settings.Ingestor, {**NEEDED, "MAX_INGST_QUEUE_SIZE": "5", "REDIS_PROT": "1"}) == [
        "REDIS_PROT is not a setting of MUTT; did you mean REDIS_PORT?"
    ]


def test_a_variable_of_another_program_is_no_mistake(tmp_path: Path) -> None:
    load(settings.Ingestor, NEEDED, "ALERTER_WORKERS=4\nMOOG_AUTH=none\nHEALTH_PORT_MOOG=not looked at\n", tmp_path)


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["DB_PASS_CURRENT", "INGEST_API_KEY", "VAULT_TOKEN", "CLIENT_SECRET", "PASSWORD"])
def test_what_may_be_a_secret_is_not_shown(variable: str) -> None:
    assert settings.shown(variable, "hunter2") == "(not shown)"


@pytest.mark.parametrize("variable", ["SERVER_TLS_KEY_PATH", "MUTT_SECRETS_FILE", "MOOG_RATE_LIMIT_KEY", "LOG_LEVEL"])
def test_what_only_sounds_like_a_secret_is_shown(variable: str) -> None:
    assert settings.shown(variable, "value") == "'value'"


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(settings.shown("LOG_LEVEL", "x" * 10_000)) < 100


def test_a_secret_in_the_wrong_file_is_not_repeated(tmp_path: Path) -> None:
    found = problems(settings.Ingestor, NEEDED, 'REDIS_PASS_CURRENT=hunter2\nDB_PASS_NEXT="hunter2\n', tmp_path)
    assert found[0] == f"{tmp_path}/mutt.env line 2: DB_PASS_NEXT has an unclosed quote"
    assert found[1].startswith(f"{tmp_path}/mutt.env: REDIS_PASS_CURRENT is not a setting of MUTT")
    assert "hunter2" not in "\n".join(found)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    content = "REDIS_HOST=from-file\nREDIS_PORT=7000\n"
    loaded = load(settings.Ingestor, {**NEEDED, "REDIS_HOST": "from-environment"}, content, tmp_path)
    assert (loaded.redis.host, loaded.redis.port) == ("from-environment", 7000)


def test_the_environment_names_another_file(tmp_path: Path) -> None:
    other = tmp_path / "other.env"
    other.write_text("REDIS_HOST=elsewhere\n", encoding="utf-8")
    loaded = settings.load(settings.Ingestor, {**NEEDED, "MUTT_ENV_FILE": str(other)})
    assert loaded.redis.host == "elsewhere"


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert settings.read_env_file(tmp_path / "missing.env") == ({}, [])


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "latin1.env").write_bytes(b"POD_NAME=caf\xe9\n")
    for file in (tmp_path, tmp_path / "latin1.env"):
        values, found = settings.read_env_file(file)
        assert values == {}
        assert found[0].startswith(f"{file} cannot be read: ")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X=plain", "plain"),
        ("  X = plain  ", "plain"),
        ("X=two words", "two words"),
        ('X="two words"', "two words"),
        ("X='two words'", "two words"),
        ('X="say \\"hi\\""', 'say "hi"'),
        ("X='back\\slash'", "back\\slash"),
        ('X=""', ""),
        ("X=", ""),
        ("X=a#b", "a#b"),
        ('X="a # b"', "a # b"),
        ("X=it's", "it's"),
        ("X=a=b", "a=b"),
        ("X=one \\\ntwo", "one two"),
        ("X=first\nX=last", "last"),
        ("X=windows\r", "windows"),
        ("# X=comment\n; X=comment\n\nX=real", "real"),
    ],
)
def test_lines_are_read_as_systemd_reads_them(tmp_path: Path, line: str, value: str) -> None:
    (tmp_path / "x.env").write_bytes(line.encode())
    assert settings.read_env_file(tmp_path / "x.env") == ({"X": value}, [])


@pytest.mark.parametrize(
    ("line", "value"), [('X="5\\$"', "5$"), ('X="a\\`b"', "a`b"), ("X=a\\b", "ab"), ("X=\\\\", "\\")]
)
def test_backslashes_mean_what_they_mean_to_systemd(tmp_path: Path, line: str, value: str) -> None:
    (tmp_path / "x.env").write_text(line, encoding="utf-8")
    assert settings.read_env_file(tmp_path / "x.env") == ({"X": value}, [])


@pytest.mark.parametrize("line", ["export X=1", "X", "=1", "1X=1", "X Y=1", "X-Y=1", 'X="open', "X='open"])
def test_a_line_that_is_no_assignment_is_reported_by_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.env").write_text(f"A=1\n\n{line}\nB=2\n", encoding="utf-8")
    values, found = settings.read_env_file(tmp_path / "x.env")
    assert values == {"A": "1", "B": "2"}
    assert len(found) == 1
    assert " line 3" in found[0]


@profile(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=80) | st.text("AB=\"'\\#\n $", max_size=40))
def test_any_file_is_read_or_complained_about(content: str) -> None:
    class Text:
        def read_text(self, encoding: str) -> str:
            return content

    values, found = settings.read_env_file(Text())  # type: ignore[arg-type]
    assert all(isinstance(value, str) for value in values.values())
    assert all(isinstance(problem, str) for problem in found)


@profile(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(settings.known_variables())), st.text(max_size=30), max_size=8))
def test_any_values_are_taken_or_refused(environ: dict[str, str]) -> None:
    for program in PROGRAMS:
        try:
            load(program, environ)
        except ConfigurationError as error:
            found = error.problems
            assert found


# --- the end of a program ---------------------------------------------------------------------------------------------


def run_program(name: str, **environ: str) -> subprocess.CompletedProcess[str]:
    script = f"from mutt import settings; settings.load_or_exit(settings.{name}); print('started')"
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MUTT_ENV_FILE": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_program_with_mistakes_names_them_all_and_ends_with_78() -> None:
    ended = run_program("Forwarder", REDIS_PORT="zero", DB_PORT="none", MUTT_SECRETS_BACKEND="file")
    assert (ended.returncode, ended.stdout) == (EX_CONFIG, "") == (78, "")
    lines = ended.stderr.splitlines()
    assert all(line.startswith("configuration error: ") for line in lines)
    assert [line.split(": ")[1].split("=")[0].split(" ")[0] for line in lines] == [
        "REDIS_PORT",
        "DB_PORT",
        "MOOG_WEBHOOK_URL",
    ]


def test_a_program_without_mistakes_starts() -> None:
    ended = run_program("Forwarder", **NEEDED)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "started\n", "")


# --- the template and the reference -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "arguments"), [("etc/mutt/mutt.env", []), ("docs/reference/settings.md", ["--reference"])]
)
def test_generated_files_are_up_to_date(file: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "mutt.settings_template", *arguments]
    generated = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    assert (ROOT / file).read_bytes() == generated, f"run: python -m {' '.join(command[2:])} > {file}"


def uncommented() -> str:
    return re.sub(r"^#(?=[A-Z_]+=)", "", settings_template.render(), flags=re.MULTILINE)


def test_the_template_as_it_is_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "mutt.env").write_text(settings_template.render(), encoding="utf-8")
    assert settings.read_env_file(tmp_path / "mutt.env") == ({}, [])


def test_the_template_uncommented_sets_every_variable_once(tmp_path: Path) -> None:
    (tmp_path / "mutt.env").write_text(uncommented(), encoding="utf-8")
    values, found = settings.read_env_file(tmp_path / "mutt.env")
    assert found == []
    assert list(values) == list(settings.known_variables())
    assert len(re.findall(r"^[A-Z_]+=", uncommented(), flags=re.MULTILINE)) == len(values)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_template_uncommented_loads_back_to_the_defaults(program: Any, tmp_path: Path) -> None:
    assert load(program, NEEDED, uncommented(), tmp_path) == load(program, NEEDED)


def test_the_template_uncommented_lacks_only_what_it_marks(tmp_path: Path) -> None:
    content = uncommented()
    marked = re.findall(r"^# (REQUIRED[^.]*)\.(?: .*)?\n(?:# .*\n)*([A-Z_]+)=$", content, flags=re.MULTILINE)
    assert marked == [
        ("REQUIRED unless MUTT_SECRETS_BACKEND=file", "VAULT_ADDR"),
        ("REQUIRED unless MUTT_SECRETS_BACKEND=file", "VAULT_ROLE_ID"),
        ("REQUIRED", "MOOG_WEBHOOK_URL"),
    ]
    found = problems(settings.Forwarder, {}, content, tmp_path)
    assert [problem.split(" ")[0] for problem in found] == [variable for _, variable in marked]


def test_the_template_says_what_a_person_must_know() -> None:
    header, _, rest = settings_template.render().partition("\n\n")
    for words in ("/etc/mutt/mutt.env", "environment", "wins over this file", "mutt-admin config check /etc/mutt/"):
        assert words in header
    assert "CHOOSE where the secrets are" in rest
    assert max(map(len, settings_template.render().splitlines())) <= settings_template.WIDTH


def test_the_reference_has_a_row_for_every_setting_of_every_section() -> None:
    reference = settings_template.render_reference()
    for group in settings.GROUPS:
        section = reference.partition(f"## {group.__doc__}\n")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `([A-Z_]+)` \|(?:[^|]*\|){3}$", section, flags=re.MULTILINE)
        assert rows == [field.metadata["variable"] for field in dataclasses.fields(group)]
    assert "| `MOOG_AUTH` | - | one of bearer, basic, apikey, body, none |" in reference
    assert "| `REDIS_PORT` | `6379` | a whole number from 1 to 65535 | Port of Redis. |" in reference
