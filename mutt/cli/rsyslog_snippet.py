"""``mutt-admin rsyslog-snippet``: an omhttp configuration that loses nothing with the given version of rsyslog."""

import click

from mutt.cli.options import Session
from mutt.cli.output import say
from mutt.cli.relay import Relay, parse_version, relay_options

THREADS = 4

TEMPLATE = """\
# Sends all messages to MUTT; for rsyslog {family}, made by mutt-admin rsyslog-snippet.
# The API key is in {key_file} and not here. Write it without a line break, for root alone:
#   install -m 0600 /dev/null {key_file} && printf %s "$KEY" > {key_file}
# rsyslog reads it at its start and runs as root then; restart rsyslog when the key changes. A file that cannot be
# read is an empty key: MUTT answers 503 to it, and rsyslog keeps the messages until that is mended.
{selinux}
module(load="omhttp")

template(name="mutt" type="list" option.jsonf="on") {{
    property(outname="timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="hostname" name="hostname" format="jsonf")
    property(outname="syslog_severity" name="syslogseverity" format="jsonf" dataType="number")
    property(outname="source" name="$!mutt_source" format="jsonf")
    property(outname="correlation_id" name="$!mutt_id" format="jsonf")
    property(outname="message" name="$!mutt_message" format="jsonf")
    property(outname="facility" name="syslogfacility-text" format="jsonf")
    property(outname="fromhost_ip" name="fromhost-ip" format="jsonf")
}}

ruleset(name="to_mutt") {{
    # Left out: what MUTT itself logs, and what rsyslog says about omhttp. Each would bring forth more of its kind.
    if not ($programname == "mutt" or $programname startswith "mutt-" or $!_SYSTEMD_UNIT startswith "mutt"
            or ($programname == "rsyslogd" and $msg contains "omhttp")) then {{
        set $!mutt_source = "syslog";
        # An id, made before the message is queued: when MUTT's answer is lost and the message is sent again, MUTT
        # recognises it by that. An rsyslog without UUIDs sends none, and MUTT makes one up for each arrival.
        if re_match($uuid, '^[0-9A-Fa-f]{{32}}$') then set $!mutt_id = $uuid;
        # A Cisco mnemonic (%LINK-3-UPDOWN:) may land in the tag: the tag and the message together are what rules see.
        set $!mutt_message = $syslogtag & $msg;
        action(
            type="omhttp"
            name="mutt"
            template="mutt"
{action}        )
    }}
}}

call to_mutt
"""


@click.command("rsyslog-snippet")
@click.option("--version", "version", required=True, metavar="8.YYMM", help="Of rsyslogd, as `rsyslogd -v` says.")
@relay_options
@click.pass_obj
def rsyslog_snippet(
    session: Session, version: str, url: str | None, key_file: str, tls_ca_file: str | None, tls_cert_file: str | None,
    tls_key_file: str | None,
) -> None:  # fmt: skip
    """Print an omhttp configuration that is safe for the version of rsyslog, for /etc/rsyslog.d.

    The key does not stand in it: rsyslog reads it from the file. All files are those of the host with rsyslog.
    """
    parsed = parse_version(version)
    relay = Relay(
        parsed, url or session.connection.ingest_url, key_file, tls_ca_file, tls_cert_file, tls_key_file
    )  # fmt: skip
    click.echo(configuration(relay), nl=False)
    say(f"write the key of INGEST_API_KEY into {key_file}, check with `rsyslogd -N1`, then restart rsyslog")


def snippet(version: tuple[int, int], url: str, key_file: str) -> str:
    """The configuration without certificates. Raises CliError when rsyslog could not read it."""
    return configuration(Relay(version, url, key_file))


def configuration(relay: Relay) -> str:
    """The file for /etc/rsyslog.d. Raises CliError when rsyslog could not read it."""
    relay.verify()
    return TEMPLATE.format(
        family=relay.family,
        key_file=relay.key_file,
        selinux=_selinux(relay.port),
        action=relay.action("mutt", THREADS, indent=12),
    )


def _selinux(port: int) -> str:
    if port in (443, 8443, 9000):
        return ""
    return (
        f"# SELinux keeps rsyslog from port {port}: semanage port -a -t syslogd_port_t -p tcp {port} "
        "(or -m, when the port has a type)."
    )
