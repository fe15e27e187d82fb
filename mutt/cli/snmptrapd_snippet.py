"""``mutt-admin snmptrapd-snippet``: SNMP traps to MUTT, through a file that snmptrapd writes and rsyslog reads.

A traphandle would fork for every trap and loses the types of its variables; the file keeps both, and traps besides
while MUTT or rsyslog is away.
"""

import re

import click

from mutt.cli.exits import USAGE, CliError
from mutt.cli.options import Session
from mutt.cli.relay import Relay, parse_version, relay_options

DEFAULT_TRAP_FILE = "/var/log/mutt-snmptrapd.log"

DAEMON = """\
# How snmptrapd writes traps for MUTT, made by mutt-admin snmptrapd-snippet: one record a trap, which rsyslog reads.
# Append it to /etc/snmp/snmptrapd.conf, with a line for every sender that is listened to: "authCommunity log NAME", or
# "createUser ..." and "authUser log NAME". "log" suffices: nothing is executed for a trap.
# "|MUTT." ends a record.
# MUTT1: version 1. Time, version, host, transport, agent, enterprise, generic trap, specific trap, variables.
format1 MUTT1|%t|%s|%B|%b|%a|%N|%w|%q|%V; %v|MUTT.\\n
# MUTT2: versions 2c and 3, traps and informs. Time, version, host, transport, variables.
format2 MUTT2|%t|%s|%B|%b|%V; %v|MUTT.\\n
# Otherwise it keeps every trap in memory too, for SNMP queries that nobody makes.
doNotRetainNotificationLogs yes
"""

SERVICE = """\
# For /etc/systemd/system/snmptrapd.service.d/mutt.conf, made by mutt-admin snmptrapd-snippet; then
# systemctl daemon-reload && systemctl restart snmptrapd.
# OIDs stay numbers (-On -Oe -m ''), so that rules do not depend on MIBs. -A appends: without it a restart would empty
# the file before rsyslog has read all of it. Put -n before -A when names are not to be looked up in DNS.
[Service]
Type=simple
ExecStart=
ExecStart=/usr/sbin/snmptrapd -f -On -Oe -m '' -A -Lf {trap_file}
UMask=0077
"""

ROTATION = """\
# For /etc/logrotate.d/mutt-snmptrapd, made by mutt-admin snmptrapd-snippet. On SIGHUP snmptrapd opens the file anew,
# and rsyslog reads the old one to its end. No copytruncate: what comes between copying and emptying would be lost.
{trap_file} {{
    daily
    maxsize 256M
    rotate 3
    missingok
    notifempty
    create 0600 root root
    delaycompress
    compress
    postrotate
        systemctl kill --kill-who=main --signal=HUP snmptrapd.service
    endscript
}}
"""

RELAY = """\
# SNMP traps to MUTT; for rsyslog {family}, made by mutt-admin snmptrapd-snippet. It goes into /etc/rsyslog.d beside
# the file of mutt-admin rsyslog-snippet, which loads omhttp.
module(load="imfile")

input(type="imfile" File="{trap_file}" Tag="snmptrapd:" ruleset="traps_to_mutt"
    # A record may have several lines; it is complete when its end is there.
    endmsg.regex="[|]MUTT[.]$" readTimeout="2" escapeLF="on"
    # Where it has come to is noted after each record: otherwise it would begin again after a crash.
    PersistStateInterval="1" reopenOnTruncate="on")

template(name="mutt_trap" type="list" option.jsonf="on") {{
    property(outname="timestamp" name="$!trap!time" format="jsonf")
    property(outname="hostname" name="$!trap!host" format="jsonf")
    property(outname="source" name="$!trap!source" format="jsonf")
    property(outname="correlation_id" name="$!trap!id" format="jsonf")
    property(outname="trap_oid" name="$!trap!oid" format="jsonf")
    property(outname="message" name="$!trap!message" format="jsonf")
    property(outname="varbinds" name="$!trap!varbinds" format="jsonf")
    property(outname="agent_address" name="$!trap!agent" format="jsonf")
    property(outname="snmp_version" name="$!trap!version" format="jsonf")
    property(outname="transport" name="$!trap!transport" format="jsonf")
}}

ruleset(name="traps_to_mutt") {{
    # What snmptrapd says about itself, like its start banner, stands before a record or alone. A record that was cut,
    # as longer than rsyslog's maxMessageSize, has no end.
    set $!trap!record = re_extract($msg, '(MUTT[12][|][0-9]+[|].*)[|]MUTT[.]$', 0, 1,
        re_extract($msg, '(MUTT[12][|][0-9]+[|].*)', 0, 1, ""));
    if $!trap!record == "" then stop

    set $!trap!source = "snmp";
    if re_match($uuid, '^[0-9A-Fa-f]{{32}}$') then set $!trap!id = $uuid;
    set $!trap!time = format_time(cnum(field($!trap!record, "|", 2)), "date-rfc3339");
    if field($!trap!record, "|", 3) == "0" then set $!trap!version = "1";
    else if field($!trap!record, "|", 3) == "1" then set $!trap!version = "2c";
    else set $!trap!version = "3";
    set $!trap!host = field($!trap!record, "|", 4);
    set $!trap!transport = field($!trap!record, "|", 5);
    if $!trap!record startswith "MUTT2|" then {{
        set $!trap!varbinds = re_extract($!trap!record, '^MUTT2([|][^|]*){{4}}[|](.*)', 0, 2, "");
        set $!trap!oid = re_extract($!trap!record,
            '[.]1[.]3[.]6[.]1[.]6[.]3[.]1[.]1[.]4[.]1[.]0 = OID: ([.0-9]+)', 0, 1, "");
        # snmpTrapAddress, which a proxy adds; else whoever sent it.
        set $!trap!agent = re_extract($!trap!record,
            '[.]1[.]3[.]6[.]1[.]6[.]3[.]18[.]1[.]3[.]0 = IpAddress: ([0-9.]+)', 0, 1,
            re_extract($!trap!transport, '\\\\[([0-9A-Fa-f.:]+)\\\\]', 0, 1, ""));
    }} else {{
        set $!trap!varbinds = re_extract($!trap!record, '^MUTT1([|][^|]*){{8}}[|](.*)', 0, 2, "");
        set $!trap!agent = field($!trap!record, "|", 6);
        # RFC 2576: a generic trap n is .1.3.6.1.6.3.1.1.5.(n + 1), an enterprise's own is ENTERPRISE.0.SPECIFIC.
        # snmptrapd writes a specific trap 17 as .17.
        if field($!trap!record, "|", 8) == "6" then
            set $!trap!oid = field($!trap!record, "|", 7) & ".0" & field($!trap!record, "|", 9);
        else
            set $!trap!oid = ".1.3.6.1.6.3.1.1.5." & (cnum(field($!trap!record, "|", 8)) + 1);
    }}
    # Without a name snmptrapd gives the transport, or <UNKNOWN>.
    if $!trap!host contains "[" or $!trap!host startswith "<" then set $!trap!host = $!trap!agent;
    set $!trap!message = "trap " & $!trap!oid & ": " & $!trap!varbinds;
    action(
        type="omhttp"
        name="mutt_traps"
        template="mutt_trap"
{action}    )
}}
"""

PARTS = ("snmptrapd.conf", "service", "logrotate", "rsyslog")


@click.command("snmptrapd-snippet")
@click.argument("part", type=click.Choice(PARTS))
@click.option("--version", "version", metavar="8.YYMM", help="Of rsyslogd, as `rsyslogd -v` says; for rsyslog's part.")
@click.option(
    "--trap-file", default=DEFAULT_TRAP_FILE, show_default=True, metavar="FILE", help="What snmptrapd writes into."
)
@relay_options
@click.pass_obj
def snmptrapd_snippet(
    session: Session, part: str, version: str | None, trap_file: str, url: str | None, key_file: str,
    tls_ca_file: str | None, tls_cert_file: str | None, tls_key_file: str | None,
) -> None:  # fmt: skip
    """Print one part of what brings SNMP traps to MUTT; all four belong together.

    \b
    snmptrapd.conf  to be appended to /etc/snmp/snmptrapd.conf
    service         for /etc/systemd/system/snmptrapd.service.d/mutt.conf
    logrotate       for /etc/logrotate.d/mutt-snmptrapd
    rsyslog         for /etc/rsyslog.d, beside what rsyslog-snippet prints; needs --version

    The options on the address, the key and TLS are those of rsyslog-snippet and matter for rsyslog's part alone.
    """
    if part != "rsyslog":
        click.echo(daemon_part(part, trap_file), nl=False)
        return
    if not version:
        raise CliError("rsyslog's part needs --version", USAGE)
    parsed = parse_version(version)
    relay = Relay(parsed, url or session.connection.ingest_url, key_file, tls_ca_file, tls_cert_file, tls_key_file)
    click.echo(relay_part(relay, trap_file), nl=False)


def daemon_part(part: str, trap_file: str = DEFAULT_TRAP_FILE) -> str:
    """A part that does not depend on where MUTT is."""
    _verify(trap_file)
    return {"snmptrapd.conf": DAEMON, "service": SERVICE, "logrotate": ROTATION}[part].format(trap_file=trap_file)


def relay_part(relay: Relay, trap_file: str = DEFAULT_TRAP_FILE) -> str:
    """The part for /etc/rsyslog.d. Raises CliError when rsyslog could not read it."""
    relay.verify()
    _verify(trap_file)
    # One thread: traps are few, and they keep their order.
    return RELAY.format(
        family=relay.family, trap_file=trap_file, action=relay.action("mutt_traps", threads=1, indent=8)
    )


def _verify(trap_file: str) -> None:
    if not re.fullmatch(r"/[A-Za-z0-9._/+-]+", trap_file):
        raise CliError(f"{trap_file!r} must be an absolute path without blanks or quotes", USAGE)
