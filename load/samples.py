"""Syslog as network devices and servers send it, written by hand for demonstrations.

Some lines match the three rules that a new database has: 'CRITICAL', 'Interface.*down' and 'disk.*full'.
"""

import dataclasses
import random
from datetime import UTC, datetime
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One syslog message: who says it, how severe (0-7), its tag and its text."""

    hostname: str
    severity: int
    tag: str
    text: str


SAMPLES = (
    # Cisco IOS and IOS XE
    Sample("core-rtr-01", 3, "%LINK-3-UPDOWN:", "Interface GigabitEthernet0/{port}, changed state to down"),
    Sample(
        "core-rtr-01",
        5,
        "%LINEPROTO-5-UPDOWN:",
        "Line protocol on Interface GigabitEthernet0/{port}, changed state to up",
    ),
    Sample("acc-sw-17", 5, "%SYS-5-CONFIG_I:", "Configured from console by netops on vty0 (192.0.2.{host})"),
    Sample(
        "acc-sw-17",
        4,
        "%SW_MATM-4-MACFLAP_NOTIF:",
        "Host 0050.56{mac} in vlan 110 is flapping between port Gi1/0/{port} and port Po1",
    ),
    Sample(
        "dist-sw-04",
        5,
        "%OSPF-5-ADJCHG:",
        "Process 10, Nbr 198.51.100.{host} on TenGigabitEthernet1/{port} from FULL to DOWN, Dead timer expired",
    ),
    Sample("dist-sw-04", 2, "%PLATFORM_ENV-2-FAN:", "CRITICAL: fan tray {port} has failed, shutdown in 5 minutes"),
    Sample("wan-rtr-02", 5, "%BGP-5-ADJCHANGE:", "neighbor 203.0.113.{host} Down BGP Notification sent"),
    Sample(
        "wan-rtr-02", 1, "%SYS-1-CPURISINGTHRESHOLD:", "CRITICAL: total CPU utilization 9{digit}% over the last minute"
    ),
    # Juniper Junos
    Sample(
        "edge-mx-01",
        4,
        "mib2d[1422]:",
        "SNMP_TRAP_LINK_DOWN: ifIndex 5{host}, ifAdminStatus up(1), ifOperStatus down(2), ifName xe-0/0/{port}",
    ),
    Sample(
        "edge-mx-01",
        4,
        "rpd[1391]:",
        "bgp_peer_mgmt_clear: NOTIFICATION sent to 203.0.113.{host} (External AS 64512): code 6",
    ),
    Sample(
        "fw-srx-03",
        6,
        "RT_FLOW:",
        "RT_FLOW_SESSION_DENY: session denied 198.51.100.{host}/4{host}->192.0.2.10/22 junos-ssh 6",
    ),
    Sample(
        "fw-srx-03", 0, "chassisd[1201]:", "CHASSISD_FRU_OFFLINE: CRITICAL: FPC {port} taken offline: over temperature"
    ),
    # Arista EOS
    Sample(
        "leaf-7050-11",
        3,
        "Ebra:",
        "%LINEPROTO-3-UPDOWN: Line protocol on Interface Ethernet{port}, changed state to down",
    ),
    Sample(
        "leaf-7050-11",
        5,
        "Bfd:",
        "%BFD-5-STATE_CHANGE: peer (vrf:default, ip:192.0.2.{host}, intf:Ethernet{port}) changed state from Up to Down",
    ),
    Sample(
        "spine-7280-02",
        6,
        "Lldp:",
        "%LLDP-6-NEIGHBOR_NEW: LLDP neighbor with chassisId 0050.56{mac} added on interface Ethernet{port}",
    ),
    # Linux
    Sample("db-lnx-05", 3, "kernel:", "EXT4-fs warning (device sdb1): disk is full, {digit}0 blocks reserved for root"),
    Sample("app-lnx-12", 4, "backup[2{host}]:", "cannot write archive: disk /srv/backup is 100% full"),
    Sample("app-lnx-12", 6, "sshd[3{host}]:", "Accepted publickey for deploy from 192.0.2.{host} port 5{host}2 ssh2"),
    Sample(
        "jump-lnx-01",
        4,
        "sshd[4{host}]:",
        "Failed password for invalid user admin from 203.0.113.{host} port 4{host}1 ssh2",
    ),
    Sample("app-lnx-12", 6, "systemd[1]:", "Started Session {host} of User deploy."),
)


def render(sample: Sample, chance: random.Random) -> dict[str, Any]:
    """The sample as rsyslog's omhttp posts it: tag and text joined, the severity as a string, the time with offset."""
    variable_parts = {
        "port": chance.randint(1, 48),
        "host": chance.randint(10, 99),
        "digit": chance.randint(1, 9),
        "mac": f"{chance.randint(0, 255):02x}.{chance.randint(0, 65535):04x}",
    }
    message = f"{sample.tag} {sample.text}".format(**variable_parts)
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "hostname": sample.hostname,
        "source": "syslog",
        "syslog_severity": str(sample.severity),
        "message": message,
    }


def burst(chance: random.Random) -> list[dict[str, Any]]:
    """Every sample once, in random order."""
    return [render(sample, chance) for sample in chance.sample(SAMPLES, len(SAMPLES))]


def one(chance: random.Random) -> dict[str, Any]:
    """Any sample."""
    return render(chance.choice(SAMPLES), chance)
