"""``mutt-admin`` with the running appliance: what it prints, where, and how it ends."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mutt.cli.main import main
from tests.support.appliance import INGEST_KEY, WEBUI_KEY, Appliance
from tests.support.syslog import event
from tests.support.waiting import wait_until

Admin = Callable[..., Result]


@pytest.fixture
def environ(appliance: Appliance, tmp_path: Path) -> dict[str, str]:
    return {
        "MUTT_ADMIN_URL": appliance.admin_url, "MUTT_ADMIN_API_KEY": WEBUI_KEY, "MUTT_INGEST_URL": appliance.ingest_url,
        "INGEST_API_KEY": INGEST_KEY, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path),
        "MUTT_ENV_FILE": str(tmp_path / "mutt.env"),
    }  # fmt: skip


@pytest.fixture
def admin(environ: dict[str, str]) -> Admin:
    """Runs mutt-admin in this process and expects it to succeed, unless another exit ``code`` is named."""

    def run(*arguments: str, code: int = 0, more: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, env={**environ, **(more or {})}, input=stdin)
        assert result.exit_code == code, f"{arguments}: {result.exit_code}\n{result.stdout}\n{result.stderr}"
        return result

    return run


@pytest.fixture
def rule(admin: Admin) -> Iterator[str]:
    """The id of a rule of the test's own."""
    options = ("--match-string", "%CLI-3-TEST", "--prod", "Page_and_ticket", "--team", "CLI", "--priority", "999")
    rule_id = admin("rules", "create", *options, "-o", "name").stdout.strip()
    yield rule_id
    admin("rules", "delete", rule_id, "--yes")


def loaded(result: Result) -> Any:
    return json.loads(result.stdout)


def test_rules(admin: Admin, rule: str) -> None:
    listed = admin("rules", "list")
    assert "%CLI-3-TEST" in listed.stdout
    assert listed.stderr == ""
    assert rule in admin("rules", "list", "-o", "name").stdout.split()
    assert "LAST HIT" in admin("rules", "list", "-o", "wide").stdout
    assert rule in [str(each["id"]) for each in yaml.safe_load(admin("rules", "list", "-o", "yaml").stdout)["rules"]]
    etag = loaded(admin("rules", "show", rule, "-o", "json"))["etag"]
    admin("rules", "update", rule, "--priority", "998", "--if-match", etag)
    stale = admin("rules", "update", rule, "--priority", "997", "--if-match", etag, code=5)
    assert stale.stdout == ""
    assert loaded(admin("rules", "show", rule, "-o", "json"))["priority"] == 998
    assert "--yes" in admin("rules", "delete", rule, code=2).stderr
    assert loaded(admin("rules", "show", rule, "-o", "json"))["is_active"] is True


def test_a_refused_field_is_named(admin: Admin, tmp_path: Path) -> None:
    draft = tmp_path / "rule.yaml"
    draft.write_text("match_string: x\npriority: 5000\nteam_assignment: T\n")
    refused = admin("rules", "create", "-f", str(draft), code=1)
    assert "priority" in refused.stderr
    assert refused.stdout == ""
    assert "RE2" in admin("rules", "create", "--match-string", "(?=x)", "--match-type", "regex", "--team", "T",
                          code=1).stderr  # fmt: skip


def test_rules_as_code(admin: Admin, rule: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    admin("rules", "export", "-f", str(file))
    assert admin("rules", "plan", str(file)).stdout == ""
    document = yaml.safe_load(file.read_text())
    mine = next(each for each in document["rules"] if str(each["id"]) == rule)
    mine["priority"] = 990
    file.write_text(yaml.safe_dump(document))
    planned = admin("rules", "plan", str(file), code=3)
    assert "priority: 999 -> 990" in planned.stdout
    admin("rules", "apply", str(file), "--dry-run", code=3)
    assert loaded(admin("rules", "show", rule, "-o", "json"))["priority"] == 999
    admin("rules", "apply", str(file), code=2)
    admin("rules", "apply", str(file), "--yes", "--reason", "test")
    assert loaded(admin("rules", "show", rule, "-o", "json"))["priority"] == 990
    admin("rules", "plan", "-", stdin=file.read_text())
    mine["examples"] = [{"event": {"message": "something else", "hostname": "h"}}]
    file.write_text(yaml.safe_dump(document))
    assert "examples[0]" in admin("rules", "plan", str(file), code=1).stderr


def test_rule_test_and_backtest(admin: Admin, appliance: Appliance, rule: str) -> None:
    tested = admin("rules", "test", "--message", "%CLI-3-TEST: x", "-o", "json")
    assert str(loaded(tested)["rule_id"]) == rule
    assert "Page_and_ticket" in admin("rules", "test", "--message", "%CLI-3-TEST: x").stdout
    appliance.post(event(message="a lonely backtested line"))
    appliance.wait_until_idle()
    found = admin("rules", "backtest", "--since", "1h", "--match-string", "lonely backtested", "--prod",
                  "Page_and_ticket", "--team", "T", "--priority", "1000", "-o", "json")  # fmt: skip
    assert loaded(found)["newly_page"]["count"] == 1
    assert "nothing" not in found.stderr
    admin("rules", "backtest", code=2)
    admin("rules", "hygiene")


def test_keys(admin: Admin) -> None:
    wrong = admin("rules", "list", code=4, more={"MUTT_ADMIN_API_KEY": "wrong-key"})
    assert "MUTT_ADMIN_API_KEY" in wrong.stderr
    assert "wrong-key" not in wrong.stderr
    none = admin("rules", "list", code=4, more={"MUTT_ADMIN_API_KEY": ""})
    assert "--api-key-file" in none.stderr


def test_nobody_at_the_url(admin: Admin) -> None:
    refused = admin("rules", "list", code=1, more={"MUTT_ADMIN_URL": "http://127.0.0.1:1"})
    for part in ("http://127.0.0.1:1", "MUTT_ADMIN_URL", "Connection refused", "SERVER_PORT_WEBUI"):
        assert part in refused.stderr


def test_hosts_and_teams(admin: Admin) -> None:
    admin("hosts", "add", "lab1", "--description", "a [red]lab[/red]")
    assert "a [red]lab[/red]" in admin("hosts", "list").stdout
    admin("hosts", "add", "lab1", code=5)
    admin("hosts", "remove", "lab1", "--yes")
    admin("hosts", "remove", "lab1", "--yes", code=1)
    admin("teams", "set", "core1", "A")
    admin("teams", "set", "core1", "B")
    assert loaded(admin("teams", "list", "-o", "json"))["teams"][0]["team_assignment"] == "B"
    admin("teams", "remove", "core1", "--yes")


def test_settings(admin: Admin, tmp_path: Path) -> None:
    admin("config", "set", "moog_batch_size", "42", "--reason", "test")
    assert admin("config", "get", "moog_batch_size").stdout == "42\n"
    assert "kept in Redis" in admin("config", "explain", "moog_batch_size").stdout
    assert "test" in admin("config", "history", "moog_batch_size").stdout
    etag = loaded(admin("config", "get", "moog_batch_size", "-o", "json"))["etag"]
    admin("config", "reset", "moog_batch_size")
    admin("config", "set", "moog_batch_size", "43", "--if-match", etag, code=5)
    assert "whole number" in admin("config", "set", "moog_batch_size", "many", code=1).stderr
    assert "did you mean moog_batch_size" in admin("config", "get", "moog_batchsize", code=1).stderr
    assert "did you mean MOOG_WEBHOOK_URL" in admin("config", "explain", "MOOG_WEBHOK_URL", code=1).stderr
    (tmp_path / "mutt.env").write_text("MOOG_WEBHOOK_URL=https://me:CANARY-url@moog/x\nVAULT_ROLE_ID=r\n")
    explained = admin("config", "explain", "MOOG_WEBHOOK_URL").stdout
    assert "mutt.env" in explained
    assert "restart mutt" in explained
    assert "CANARY" not in explained


def test_dead_letters(admin: Admin, appliance: Appliance, tmp_path: Path) -> None:
    appliance.post([{"message": "no host"}, {"message": "none either"}])
    assert "missing_field" in admin("dlq", "lists").stdout
    ids = admin("dlq", "list", "ingest", "-o", "name").stdout.split()
    assert len(ids) == 2
    shown = admin("dlq", "show", "ingest", ids[0][:12], "-o", "json")
    assert loaded(shown)["id"] == ids[0]
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(event(message="mended")))
    edited = admin("dlq", "edit", "ingest", ids[0], "--payload-file", str(payload)).stdout.strip()
    assert "1" in admin("dlq", "replay", "ingest", edited, "--dry-run").stderr
    admin("dlq", "replay", "ingest", edited, code=2)
    admin("dlq", "replay", "ingest", edited, "--yes")
    wait_until(lambda: appliance.audited() == 1, "the mended event to be audited")
    admin("dlq", "discard", "ingest", code=2)
    admin("dlq", "discard", "ingest", "--with-reason", "missing_field", "--yes", "--reason", "test")
    assert admin("dlq", "list", "ingest", "-o", "name").stdout == ""


def test_events(admin: Admin, appliance: Appliance) -> None:
    appliance.post([event(message=f"line {number}, with a comma", hostname="h1") for number in range(3)])
    wait_until(lambda: appliance.audited() == 3, "the events to be audited")
    two = admin("events", "search", "line", "--host", "h1", "--since", "10y".replace("10y", "520w"), "--limit", "2")
    assert "2 of 3 shown" in two.stderr
    names = admin("events", "search", "--limit", "0", "-o", "name").stdout.split()
    journey = admin("events", "show", names[0])
    assert "received" in journey.stdout
    assert loaded(admin("events", "show", names[0], "-o", "json"))["correlation_id"] == names[0]
    rows = list(csv.reader(io.StringIO(admin("events", "export").stdout)))
    assert len(rows) == 4


def test_unhandled_patterns(admin: Admin, appliance: Appliance) -> None:
    appliance.post([event(message=f"strange thing {number} happened") for number in range(3)])
    wait_until(lambda: appliance.audited() == 3, "the events to be audited")
    pattern = admin("unhandled", "list", "-o", "name").stdout.split()[0]
    assert "strange thing" in admin("unhandled", "show", pattern).stdout
    draft = yaml.safe_load(admin("unhandled", "make-rule", pattern, "--dry-run", "--team", "NIGHT").stdout)
    assert draft["team_assignment"] == "NIGHT"
    admin("unhandled", "make-rule", pattern, code=2)
    admin("unhandled", "ignore", pattern)
    assert admin("unhandled", "list", "-o", "name").stdout == ""


def test_audit_and_undo(admin: Admin, rule: str) -> None:
    admin("rules", "update", rule, "--priority", "900")
    newest = admin("audit", "list", "--record", rule, "--table", "alert_rules", "-o", "json")
    change = loaded(newest)["logs"][0]
    assert change["changed_by"] == "webui"
    assert "priority: 999 -> 900" in admin("audit", "list", "--limit", "1").stdout
    admin("audit", "undo", str(change["id"]), "--yes")
    assert loaded(admin("rules", "show", rule, "-o", "json"))["priority"] == 999


def test_send_test(admin: Admin, appliance: Appliance, rule: str) -> None:
    appliance.reload_rules()
    sent = admin("send-test", "--message", "%CLI-3-TEST: here")
    assert "delivered" in sent.stdout
    appliance.behave(status=503)
    stuck = admin("send-test", "--message", "%CLI-3-TEST: there", "--wait", "1", code=1)
    assert "last known place" in stuck.stderr
    assert "decided" in stuck.stdout
    admin("send-test", more={"INGEST_API_KEY": "wrong"}, code=4)


def test_top_and_slo_and_version(admin: Admin) -> None:
    assert "events to judge" in admin("top", "--once").stdout
    assert "eps_1m" in loaded(admin("top", "--once", "-o", "json"))["summary"]
    admin("top", code=2)
    assert "2.5" in admin("version").stdout
    assert CliRunner().invoke(main, ["version", "--client", "-o", "name"]).exit_code == 0


def test_doctor(admin: Admin, appliance: Appliance, tmp_path: Path) -> None:
    assert loaded(admin("doctor", "--remote", "-o", "json"))["findings"]
    settings = {name: value for name, value in appliance.environ.items() if name.startswith(("DB_", "MUTT_SECRETS"))}
    lines = [f"{name}={value}" for name, value in {**settings, "REDIS_PORT": "1", "REDIS_TLS_ENABLED": "false"}.items()]
    (tmp_path / "mutt.env").write_text("\n".join(lines))
    sick = admin("doctor", code=6)
    assert "127.0.0.1:1" in sick.stdout or "localhost:1" in sick.stdout
    assert "redis:" in sick.stderr


def test_the_support_bundle_has_no_secret(admin: Admin, appliance: Appliance, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "webui.log"
    log.parent.mkdir()
    log.write_text(f"used {WEBUI_KEY} and password='CANARY-in-a-log' and DB_PASS_CURRENT=CANARY-x\nan innocent line\n")
    secrets = tmp_path / "secrets.env"
    secrets.touch(mode=0o600)
    secrets.write_text("MOOG_API_KEY=CANARY-of-the-file\nODD_ONE=CANARY-odd\n")
    (tmp_path / "mutt.env").write_text(
        f"MUTT_SECRETS_BACKEND=file\nMUTT_SECRETS_FILE={secrets}\nMOOG_WEBHOOK_URL=https://u:CANARY-url@moog/x?t=CANARY-q\n"
        f"REDIS_PORT={appliance.redis_server.port}\nREDIS_TLS_ENABLED=false\n"
    )
    log.open("a").write("CANARY-of-the-file CANARY-odd\n")
    file = tmp_path / "bundle.tar.gz"
    made = admin("support-bundle", "-f", str(file), "--log", str(log.parent))
    assert made.stdout.strip() == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        content = {each.name: archive.extractfile(each).read().decode() for each in archive}  # type: ignore[union-attr]
    whole = "\n".join(content.values())
    for canary in ("CANARY", WEBUI_KEY, INGEST_KEY):
        assert canary not in whole
    assert "an innocent line" in whole
    names = {name.partition("/")[2] for name in content}
    assert {"manifest.json", "versions.json", "settings.json", "doctor.json", "metrics.json", "config.json"} <= names
    assert "cannot be written" in admin("support-bundle", "-f", str(file), code=1).stderr


def test_colours_are_for_terminals_and_not_for_everybody(environ: dict[str, str], appliance: Appliance) -> None:
    def seen(**more: str) -> bytes:
        shell, terminal = pty.openpty()
        command = [sys.executable, "-c", "from mutt.cli.main import main; main()", "slo"]
        wanted = {**appliance.environ, **environ, "TERM": "xterm", **more}
        done = subprocess.run(command, env=wanted, stdout=terminal, stdin=terminal, stderr=terminal, check=False)
        os.close(terminal)
        assert done.returncode in (0, 6)
        content = os.read(shell, 65536)
        os.close(shell)
        return content

    assert b"\x1b[" in seen()
    assert b"\x1b[" not in seen(NO_COLOR="1")
