"""What is generated from the commands: man page, reference, completion; and the rsyslog configuration."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mutt.cli.exits import CliError
from mutt.cli.main import main
from mutt.cli.manual import as_markdown, as_roff, walk
from mutt.cli.options import Moment
from mutt.cli.relay import Relay, parse_version
from mutt.cli.rsyslog_snippet import configuration, snippet
from mutt.cli.snmptrapd_snippet import daemon_part, relay_part

ROOT = Path(__file__).parents[2]


def test_the_committed_manual_is_current() -> None:
    assert (ROOT / "docs/man/mutt-admin.1").read_text() == as_roff(main), "python -m mutt.cli.manual"
    assert (ROOT / "docs/reference/mutt-admin.md").read_text() == as_markdown(main), "... --reference"


def test_every_command_and_option_says_what_it_does() -> None:
    for command, ctx in walk(main, click.Context(main, info_name="mutt-admin")):
        assert command.help, ctx.command_path
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{ctx.command_path} {parameter.name}"


def test_no_option_takes_a_key_itself() -> None:
    for command, _ in walk(main, click.Context(main)):
        for parameter in command.params:
            assert not any(name.endswith(("-key", "-password", "-token")) for name in parameter.opts)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = CliRunner().invoke(main, ["completion", shell])
    assert script.exit_code == 0
    assert "_MUTT_ADMIN_COMPLETE" in script.stdout
    words = {"COMP_WORDS": "mutt-admin rules p", "COMP_CWORD": "2", "_MUTT_ADMIN_COMPLETE": "bash_complete"}
    completed = CliRunner().invoke(main, [], env=words, prog_name="mutt-admin")
    assert completed.output == "plain,plan\n"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["ruls"], "'rules'"),
        (["rules", "lst"], "'list'"),
        (["rules", "list", "--outptu", "json"], "--output"),
        (["rules", "list", "--url", "http://x"], "goes before the command"),
    ],
)
def test_typing_mistakes(arguments: list[str], suggestion: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert suggestion in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T14:00:00+01:00", "30m", "24h", "7d", "now"])
def test_times(text: str) -> None:
    assert Moment().convert(text, None, None).tzinfo is not None


def test_times_that_are_none() -> None:
    for text in ("yesterday", "24", "2026-13-01", "99999999999d"):
        with pytest.raises(click.BadParameter):
            Moment().convert(text, None, None)


# --- rsyslog ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "lists_codes"),
    [("8.2102.0-15.el8_10.1", False), ("8.2310.0", False), ("8.2404.0", True), ("8.2412", True), ("8.2510.0", False)],
)
def test_the_snippet_suits_the_version(version: str, lists_codes: bool) -> None:
    text = snippet(parse_version(version), "http://mutt.example.net:8080", "/etc/rsyslog.d/mutt.key")
    assert ("httpretrycodes" in text) is lists_codes
    for part in (
        'server="mutt.example.net" serverport="8080" usehttps="off"', 'restpath="api/v2/ingest/rsyslog"', 'batch="off"',
        "`cat /etc/rsyslog.d/mutt.key`", 'action.resumeRetryCount="-1"', 'queue.type="LinkedList"',
        'queue.saveOnShutdown="on"', 'queue.size="100000"', 'queue.dequeueBatchSize="1"', "set $!mutt_id = $uuid",
    ):  # fmt: skip
        assert part in text
    assert "retry.ruleset" not in text


def test_the_snippet_knows_tls() -> None:
    text = snippet((8, 2102), "https://mutt", "/k")
    assert 'serverport="443" usehttps="on"' in text
    assert "SELinux" not in text
    assert "tls." not in text
    text = configuration(Relay((8, 2102), "https://mutt", "/k", "/ca.pem", "/c.pem", "/c.key"))
    assert 'tls.cacert="/ca.pem" tls.mycert="/c.pem" tls.myprivkey="/c.key"' in text


@pytest.mark.parametrize(
    "relay",
    [
        Relay((8, 2102), "https://mutt", "/k", "ca.pem"),
        Relay((8, 2102), "https://mutt", "/k", None, "/c.pem"),
        Relay((8, 2102), "http://mutt", "/k", "/ca.pem"),
    ],
    ids=["relative", "no-key", "no-tls"],
)
def test_certificates_that_cannot_be_meant(relay: Relay) -> None:
    for make in (configuration, relay_part):
        with pytest.raises(CliError):
            make(relay)


@pytest.mark.parametrize("version", ["8.24", "8.1905.0", "v7.6", "newest", ""])
def test_versions_nobody_has_tried(version: str) -> None:
    with pytest.raises(CliError) as caught:
        parse_version(version)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("url", "file"), [("mutt:8080", "/k"), ("http://mutt", "key"), ("http://mutt", '/k" x')])
def test_a_snippet_that_rsyslog_could_not_read_is_refused(url: str, file: str) -> None:
    with pytest.raises(CliError):
        snippet((8, 2102), url, file)


# --- snmptrapd --------------------------------------------------------------------------------------------------


def test_all_parts_name_the_same_trap_file() -> None:
    parts = [daemon_part("service", "/t.log"), daemon_part("logrotate", "/t.log")]
    parts.append(relay_part(Relay((8, 2102), "http://mutt"), "/t.log"))
    for part in parts:
        assert "/t.log" in part
        assert "{" not in part.split("\n")[0]
    assert "-A -Lf /t.log" in parts[0]
    assert "copytruncate\n" not in parts[1]


def test_the_relay_part_needs_a_version() -> None:
    done = CliRunner().invoke(main, ["snmptrapd-snippet", "rsyslog", "--url", "http://mutt"])
    assert done.exit_code == 2
    assert "--version" in done.output
    done = CliRunner().invoke(main, ["snmptrapd-snippet", "snmptrapd.conf"])
    assert "format2 MUTT2|%t|%s|%B|%b|%V; %v|MUTT.\\n\n" in done.output


def test_a_trap_file_that_rsyslog_could_not_read_is_refused() -> None:
    with pytest.raises(CliError):
        daemon_part("service", "traps.log")
