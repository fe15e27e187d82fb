"""The pattern of a message: repeats of one fault are one line, different faults stay apart."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutt.redisdb import keys
from mutt.rules.pattern import LOOK_AT, mask, signature, unhandled_pattern

REAL_LINES = Path(__file__).parents[3] / "shared/data/network_syslog.ndjson"
MANY = settings(max_examples=400, deadline=None)
LONGEST = 3 * LOOK_AT
"""A mask is at most three times as long as what it masks: a single digit becomes <n>."""


# --- what is masked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("session 17 of 42 closed", "session <n> of <n> closed"),
        ("load 3.75 over 0.9", "load <n> over <n>"),
        ("from 10.1.2.3 to 10.1.2.4:443", "from <ip> to <ip>"),
        ("peer 2001:db8::1 down", "peer <ip> down"),
        ("route 10.0.0.0/8 via fe80::1/64", "route <ip> via <ip>"),
        ("host 00:1b:44:11:3a:b7 and 001b.4411.3ab7 moved", "host <mac> and <mac> moved"),
        ("Interface GigabitEthernet0/0/1.100, changed", "Interface <if>, changed"),
        ("Gi0/1: down", "<if>: down"),
        ("ge-0/0/1.0 down; xe-1/2/3 up", "<if> down; <if> up"),
        ("Vlan100 and Po1 and eth0 and ae0.5", "<if> and <if> and <if> and <if>"),
        ("at 2025-11-10T12:00:00.123Z or 12:00:01", "at <time> or <time>"),
        ("id 550e8400-e29b-41d4-a716-446655440000 gone", "id <uuid> gone"),
        ("at 0x7ffdeadbeef in deadbeef01", "at <hex> in <hex>"),
        ("user 'joe' and \"ann\" failed", 'user "*" and "*" failed'),
        ("don't mask the user's words", "don't mask the user's words"),
        ("rpd[2902]: retry=5", "rpd[<n>]: retry=<n>"),
        ("no variable part", "no variable part"),
        ("", ""),
    ],
)
def test_variable_parts_are_masked(message: str, masked: str) -> None:
    assert mask(message) == masked


@pytest.mark.parametrize(
    "mnemonic", ["%LINK-3-UPDOWN", "%LINEPROTO-5-UPDOWN", "%ASA-6-302013", "%BGP-5-ADJCHANGE", "%SYS-5-CONFIG_I"]
)
def test_a_mnemonic_stays(mnemonic: str) -> None:
    assert mask(f"{mnemonic}: 5 things").startswith(f"{mnemonic}: <n>")
    assert mask(f"Nov 10 12:00:00 edge {mnemonic}: x").endswith(f"{mnemonic}: x")


def test_white_space_does_not_tell_messages_apart() -> None:
    assert mask("a  b\t\nc ") == mask("a b c") == "a b c"


NUMBERS = st.integers(0, 10**9).map(str)
OCTETS = st.integers(0, 255)
IPV4 = st.tuples(OCTETS, OCTETS, OCTETS, OCTETS).map(lambda octets: ".".join(map(str, octets)))
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
INTERFACES = st.builds(
    lambda kind, slot, number: f"{kind}{slot}/{number}",
    st.sampled_from(["Gi", "GigabitEthernet", "TenGigE0/", "Te", "ge-", "xe-", "Ethernet", "Serial"]),
    st.integers(0, 48),
    st.integers(0, 48),
)
TIMES = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds"))
QUOTED = st.text("abc 123/.:%", max_size=12).map(lambda text: f"'{text}'")
HEX = st.integers(0, 2**64 - 1).map(lambda number: f"0x{number:x}")
UUIDS = st.uuids().map(str)


@pytest.mark.parametrize(
    "kind",
    [NUMBERS, IPV4, MACS, INTERFACES, TIMES, QUOTED, HEX, UUIDS],
    ids=["numbers", "ipv4", "macs", "interfaces", "times", "quoted", "hex", "uuids"],
)
def test_repeats_that_differ_in_one_part_are_one_pattern(kind: st.SearchStrategy[str]) -> None:
    @settings(max_examples=100, deadline=None)
    @given(kind, kind)
    def repeats(one: str, other: str) -> None:
        for message in ("%LINK-3-UPDOWN: {}, changed state", "peer {} lost", "{}", "x={} (y)", "[{}]: z"):
            assert mask(message.format(one)) == mask(message.format(other))

    repeats()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SPI:0x1A2B3C4D", "SPI:0x9F00E1B2"),
        ("MAC:00:1b:44:11:3a:b7", "MAC:00:1c:44:de:3a:01"),
        ("session:8c6be305", "session:0f6ae1d5"),
        ("intf:Ethernet1/1", "intf:Ethernet1"),
    ],
)
def test_repeats_that_differ_in_a_part_glued_to_its_name_are_one_pattern(one: str, other: str) -> None:
    assert mask(f"tunnel {one} lost") == mask(f"tunnel {other} lost")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("%LINK-3-UPDOWN: Gi0/1 down", "%LINEPROTO-5-UPDOWN: Gi0/1 down"),
        ("link up", "link down"),
        ("peer 10.0.0.1 lost", "peer Gi0/1 lost"),
        ("fan failed", "power supply failed"),
    ],
)
def test_different_faults_stay_apart(one: str, other: str) -> None:
    assert mask(one) != mask(other)


# --- any text at all --------------------------------------------------------------------------------------------------


@MANY
@given(st.text(max_size=300) | st.text(st.sampled_from("1aF.:/%+-_'\" [](){}=,x\u0663"), max_size=300))
def test_any_text_has_a_short_pattern_without_control_over_lines(text: str) -> None:
    masked = mask(text)
    assert len(masked) <= LONGEST
    assert masked == " ".join(masked.split())
    assert "\n" not in masked
    assert mask(text) == masked


HOSTILE = [
    *("1", "a1", "-", "'", '"', ":", "1:", "1.", "a", "a-", "%", "0x", "/", "+", "1/", "%1", "f1:", "1 ", " ", "\x00"),
    *("GigabitEthernet", "gi1/", "'\"", "1-", "12:", "\U0001f525", "z" * 20 + "-", "0000:", ".1a", "1,", "é1"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_message_of_64_kib_has_a_short_pattern(piece: str) -> None:
    for message in (piece * (65_536 // len(piece)), piece * 30_000 + "!", "x" + piece * 30_000):
        assert len(mask(message)) <= LONGEST
        assert len(signature("edge-1", None, None, message)) == 32


def test_only_the_start_of_a_message_counts() -> None:
    start = "fault " * 100
    assert mask(start + "one thing") == mask(start + "another")


def test_repeats_of_a_long_message_are_one_pattern() -> None:
    assert mask("took 5 ms " + "fault " * 100) == mask("took 12345 ms " + "fault " * 100)


# --- what patterns are used for ---------------------------------------------------------------------------------------


def test_unmatched_events_are_counted_by_source_and_pattern() -> None:
    assert unhandled_pattern("syslog", "link 5 down") == "syslog:link <n> down"
    assert unhandled_pattern(None, "link 5 down") == "unknown:link <n> down"


def test_the_key_of_a_counter_tells_long_patterns_apart_and_stays_short() -> None:
    one, other = (keys.unhandled("mutt:unhandled", "syslog:" + "x" * 300 + end) for end in "ab")
    assert one != other
    assert len(one) == len(other) < 250


def test_a_signature_is_the_same_for_repeats_of_one_fault() -> None:
    first = signature("Edge-1", 7, None, "Interface Gi0/1 down, 3 errors")
    assert first == signature("edge-1", 7, None, "Interface Gi0/2 down, 17 errors")
    assert len(first) == 32


def test_a_signature_of_a_trap_does_not_look_at_the_message() -> None:
    assert signature("h", 1, ".1.3.6", "one") == signature("h", 1, "1.3.6", "another")


@pytest.mark.parametrize(
    "other", [("edge-2", 7, None, "down"), ("edge-1", 8, None, "down"), ("edge-1", None, None, "down"),
              ("edge-1", 7, "1.3", "down"), ("edge-1", 7, None, "up")],
)  # fmt: skip
def test_a_signature_differs_for_another_host_rule_trap_or_fault(other: Any) -> None:
    assert signature("edge-1", 7, None, "down") != signature(*other)


# --- lines of real devices --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_lines() -> list[dict[str, Any]]:
    if not REAL_LINES.is_file():
        pytest.skip("the collection of real syslog lines is not beside this checkout")
    return [json.loads(line) for line in REAL_LINES.read_text(encoding="utf-8").splitlines()]


def test_real_lines_keep_their_mnemonics(real_lines: list[dict[str, Any]]) -> None:
    for line in real_lines:
        mnemonic = line.get("mnemonic")
        if mnemonic and mnemonic in line["raw"][:LOOK_AT]:
            assert mnemonic in mask(line["raw"])


def test_real_lines_lose_every_other_number(real_lines: list[dict[str, Any]]) -> None:
    for line in real_lines:
        words = mask(line["raw"]).split()
        assert not [word for word in words if any(digit in word for digit in "0123456789") and "%" not in word]


def test_real_lines_sent_again_later_meet_their_own_pattern_and_no_other(real_lines: list[dict[str, Any]]) -> None:
    lines_of = defaultdict(set)
    for line in real_lines:
        again = re.sub(r"\[[0-9]+\]", "[7]", line["raw"].replace("Nov 20 20:29:01", "Nov 24 23:59:59"))
        if len(again) <= LOOK_AT:
            assert mask(again) == mask(line["raw"])
        lines_of[mask(line["raw"])].add(line["raw"])
    assert len(lines_of) >= 0.95 * len({line["raw"] for line in real_lines})
