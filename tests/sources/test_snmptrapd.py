"""snmptrap -> snmptrapd -> file -> rsyslogd -> MUTT, with what ``mutt-admin snmptrapd-snippet`` prints."""

import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mutt.cli.relay import Relay
from mutt.cli.snmptrapd_snippet import relay_part
from tests.sources.conftest import MakeRelay
from tests.sources.relay import Rsyslogd
from tests.sources.traps import ENGINE, V1, V2, V3, Snmptrapd
from tests.support.appliance import Appliance
from tests.support.waiting import wait_until

NAME = "1.3.6.1.2.1.1.5.0"
LINK_DOWN = ".1.3.6.1.6.3.1.1.5.3"


@pytest.fixture
def snmptrapd(tmp_path: Path) -> Iterator[Snmptrapd]:
    if missing := [each for each in ("snmptrapd", "snmptrap", "snmpinform") if not shutil.which(each)]:
        pytest.skip(f"missing: {', '.join(missing)} (apt-get install snmptrapd snmp)")
    daemon = Snmptrapd(tmp_path)
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def relay(appliance: Appliance, snmptrapd: Snmptrapd, make_relay: MakeRelay, snippet: str, key_file: Path) -> Rsyslogd:
    """An rsyslogd with both files in its /etc/rsyslog.d."""
    target = Relay((8, 2302), appliance.ingest_url, str(key_file))
    return make_relay(snippet, relay_part(target, str(snmptrapd.trap_file)))


def traps(appliance: Appliance) -> list[tuple[Any, ...]]:
    return appliance.query(
        "SELECT trap_oid, message, attributes, hostname, handling, event_timestamp, ingestion_timestamp"
        " FROM event_audit_log WHERE source = 'snmp' ORDER BY message"
    )


def test_every_kind_of_trap(appliance: Appliance, snmptrapd: Snmptrapd, relay: Rsyslogd) -> None:
    def value(text: str) -> tuple[str, ...]:
        return (NAME, "s", text)

    snmptrapd.send("snmptrap", *V1, to=("1.3.6.1.4.1.9", "10.1.2.3", "2", "0", "55", *value("a")))
    snmptrapd.send("snmptrap", *V1, to=("1.3.6.1.4.1.9.2", "10.1.2.3", "6", "17", "55", *value('b|x "quoted"')))
    snmptrapd.send("snmptrap", *V2, to=("", LINK_DOWN, *value("c: two\nlines | bar"), NAME, "i", "7"))
    snmptrapd.send("snmpinform", *V2, to=("", "1.3.6.1.4.1.9.9.41.2.0.1", *value("d")))
    snmptrapd.send("snmptrap", *V3, "-u", "noc", "-e", ENGINE, to=("", "1.3.6.1.6.3.1.1.5.4", *value("e")))
    snmptrapd.send("snmpinform", *V3, "-u", "informer", to=("", "1.3.6.1.6.3.1.1.5.4", *value("f")))
    proxied = ("1.3.6.1.6.3.18.1.3.0", "a", "10.9.8.7")
    snmptrapd.send("snmptrap", *V2, to=("", LINK_DOWN, *value("g"), *proxied))
    wait_until(lambda: len(traps(appliance)) == 7, "seven traps", seconds=30)

    found = {row[2]["varbinds"].partition('STRING: "')[2][0]: row for row in traps(appliance)}
    told = {letter: (row[0], row[2]["snmp_version"], row[2]["agent_address"]) for letter, row in found.items()}
    assert told == {
        "a": (LINK_DOWN, "1", "10.1.2.3"),
        "b": (".1.3.6.1.4.1.9.2.0.17", "1", "10.1.2.3"),
        "c": (LINK_DOWN, "2c", "127.0.0.1"),
        "d": (".1.3.6.1.4.1.9.9.41.2.0.1", "2c", "127.0.0.1"),
        "e": (".1.3.6.1.6.3.1.1.5.4", "3", "127.0.0.1"),
        "f": (".1.3.6.1.6.3.1.1.5.4", "3", "127.0.0.1"),
        "g": (LINK_DOWN, "2c", "10.9.8.7"),
    }
    assert found["b"][2]["varbinds"] == '.1.3.6.1.2.1.1.5.0 = STRING: "b|x \\"quoted\\""'
    assert found["c"][2]["varbinds"].endswith('= STRING: "c: two\\nlines | bar"; .1.3.6.1.2.1.1.5.0 = INTEGER: 7')
    for oid, message, attributes, hostname, _, happened, arrived in found.values():
        assert message == f"trap {oid}: {attributes['varbinds']}"
        assert hostname == attributes["agent_address"]
        assert abs((arrived - happened).total_seconds()) < 60
    assert appliance.redis().llen("mutt:dlq:ingest") == 0


def test_a_rule_on_the_oid_pages(appliance: Appliance, snmptrapd: Snmptrapd, relay: Rsyslogd) -> None:
    insert = """
        INSERT INTO alert_rules (trap_oid, match_type, priority, prod_handling, dev_handling, team_assignment)
        VALUES ('1.3.6.1.4.1.9.9.41', 'oid_prefix', 1000, 'Page_and_ticket', 'Log_only', 'NETO') RETURNING id"""
    (rule_id,) = appliance.query(insert)[0]
    appliance.reload_rules()
    try:
        snmptrapd.send("snmptrap", *V2, to=("", "1.3.6.1.4.1.9.9.41.2.0.1", NAME, "s", "fan"))
        snmptrapd.send("snmptrap", *V2, to=("", "1.3.6.1.4.1.9.9.410.2", NAME, "s", "another arc"))
        wait_until(lambda: len(traps(appliance)) == 2, "two traps", seconds=30)
        appliance.wait_until_idle()
        assert [row[4] for row in traps(appliance)] == ["Page_and_ticket", "Log_only"]
        alerts = wait_until(appliance.received, "the alert")
        assert [alert["class"] for alert in alerts] == ["NETO"]
        assert "fan" in alerts[0]["description"]
    finally:
        appliance.query("DELETE FROM alert_rules WHERE id = %s", rule_id)
        appliance.reload_rules()


def test_1000_traps_through_restarts_and_a_rotation(
    appliance: Appliance, snmptrapd: Snmptrapd, relay: Rsyslogd
) -> None:
    """rsyslog is stopped and started, the file rotated, snmptrapd and MUTT's ingestor restarted."""
    run, total = uuid.uuid4().hex[:8], 1_000

    def send(numbers: range) -> None:
        for number in numbers:
            snmptrapd.send("snmptrap", *V2, to=("", LINK_DOWN, NAME, "s", f"{run}-{number:04d}"))

    def while_sending(numbers: range, action: Any) -> None:
        sender = threading.Thread(target=send, args=(numbers,))
        sender.start()
        action()
        sender.join()

    def restart_relay() -> None:
        relay.stop()
        relay.start()

    while_sending(range(300), restart_relay)
    while_sending(range(300, 500), snmptrapd.rotate)
    while_sending(range(500, 700), restart_relay)
    # Not while sending: what comes by UDP while snmptrapd is away, nobody hears.
    snmptrapd.stop()
    relay.stop()
    snmptrapd.start()
    send(range(700, 900))
    relay.start()
    send(range(900, total))

    def numbers() -> list[str]:
        return sorted(row[1].rpartition(f"{run}-")[2].rstrip('"') for row in traps(appliance))

    expected = [f"{number:04d}" for number in range(total)]
    give_up_at = time.monotonic() + 60
    wait_until(lambda: len(numbers()) >= total or time.monotonic() > give_up_at, "the traps", seconds=70, every=0.2)
    appliance.wait_until_idle()
    assert set(expected) - set(numbers()) == set(), "lost"
    assert numbers() == expected


def test_a_killed_rsyslog_sends_at_most_one_trap_again(
    appliance: Appliance, snmptrapd: Snmptrapd, relay: Rsyslogd
) -> None:
    for number in range(50):
        snmptrapd.send("snmptrap", *V2, to=("", LINK_DOWN, NAME, "s", f"k{number:02d}"))
    wait_until(lambda: len(traps(appliance)) >= 49, "the traps", seconds=30)
    relay.kill()
    relay.start()
    snmptrapd.send("snmptrap", *V2, to=("", LINK_DOWN, NAME, "s", "last"))
    wait_until(lambda: any("last" in row[1] for row in traps(appliance)), "the last trap", seconds=30)
    appliance.wait_until_idle()
    assert 51 <= len(traps(appliance)) <= 52
    assert len({row[1].rpartition("STRING: ")[2] for row in traps(appliance)}) == 51
