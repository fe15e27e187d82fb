"""How fast events are judged: ``python -m load.bench.matching``.

The matcher of MUTT beside the plain ways, in turns in one run: every rule tried in order, with RE2's patterns and with
Python's. Then what an event costs the alerter in computation: decision, signature or unhandled pattern, encoded alert.
All figures are CPU time. Ends with 1 when one of them decides differently.
"""

import argparse
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import re2

from load.samples import SAMPLES, render
from mutt.events import alert
from mutt.events.event import Event
from mutt.rules.decision import alert_of, decide
from mutt.rules.matcher import first_match
from mutt.rules.pattern import unhandled_pattern
from mutt.rules.rule import Handling, MatchType, Rule, Snapshot, build_snapshot, normal_oid

COUNTS = (10, 100, 1_000, 10_000)
EVENTS = 4_000
TRAPS = 0.1
ROUNDS = 3
PLAIN_SECONDS = 0.7
"""What a plain way may take for one round; it judges the first events alone when there are many rules."""

THINGS = ("PSU", "fan", "memory", "BGP", "OSPF", "VLAN", "optics", "license", "raid", "certificate", "LDP", "NTP")
FACILITIES = ("LINK", "SYS", "OSPF", "BGP", "ENV", "PORT", "SNMP", "HSRP", "STP", "AAA", "DOT1X", "MPLS")
LIKELY = (
    ("CRITICAL", MatchType.CONTAINS), ("Interface.*down", MatchType.REGEX), ("disk.*full", MatchType.REGEX),
    (r"Nbr \S+ on .* from FULL to DOWN", MatchType.REGEX), ("%LINEPROTO-", MatchType.CONTAINS),
)  # fmt: skip
"""What the samples hold. The other rules are for what seldom comes, as most of a grown rule set is."""

Search = Callable[[str], Any]
Condition = tuple[str | None, str | None, MatchType]
PlainRule = tuple[int, int | None, str | None, str | None, Search | None]


def sample_rules(count: int) -> list[Rule]:
    """Half of them plain texts, four in ten regexes, one in ten an OID; the likely ones last."""
    chance = random.Random(1)
    conditions: list[Condition] = [(text, None, kind) for text, kind in LIKELY]
    conditions += [_unlikely(chance, number) for number in range(count - len(LIKELY))]
    return [
        Rule(
            number, text, oid, chance.choice((None, None, None, 4)), kind, number, chance.choice(list(Handling)),
            Handling.LOG_ONLY, chance.choice(("NETO", "UNIX", "SECURITY")),
        )
        for number, (text, oid, kind) in enumerate(conditions)
    ]  # fmt: skip


def _unlikely(chance: random.Random, number: int) -> Condition:
    facility, thing, severity = chance.choice(FACILITIES), chance.choice(THINGS), chance.randint(0, 6)
    kinds: list[Condition] = [
        (f"%{facility}-{severity}-FAULT{number}", None, MatchType.CONTAINS),
        (f"unit {number} is offline", None, MatchType.CONTAINS),
        (f"{thing}.*(failed|failure|lost).*unit {number}", None, MatchType.REGEX),
        (rf"(?i){thing}\S* (down|reset) on slot {number}\b", None, MatchType.REGEX),
        (rf"^%{facility}-[0-3]-\w+: .* {number}$", None, MatchType.REGEX),
        (None, f"1.3.6.1.4.1.{number}", MatchType.OID_PREFIX),
    ]
    return chance.choices(kinds, (4, 1, 2, 1, 1, 1))[0]


def sample_events() -> list[Event]:
    """Syslog of the samples, and some traps."""
    chance, now = random.Random(2), datetime.now(UTC)
    events = []
    for number in range(EVENTS):
        said = render(chance.choice(SAMPLES), chance)
        host = f"{said['hostname']}-{chance.randint(1, 20)}"
        oid = (
            f".1.3.6.1.4.1.{chance.randint(1, 20_000)}.2.0.{chance.randint(1, 9)}" if chance.random() < TRAPS else None
        )
        name, severity = f"{number:036}", int(said["syslog_severity"])
        events.append(Event(name, name, now, now, host, said["message"], said["source"], severity, oid))
    return events


def near_misses() -> list[Event]:
    """Events that hold the words of many patterns and hardly ever all of one."""
    chance, now = random.Random(3), datetime.now(UTC)
    return [
        Event(
            "", "", now, now, "edge-1",
            f"{' '.join(chance.sample(THINGS, 5))} {chance.choice(('failed', 'lost'))} fan down on slot"
            f" {chance.randint(0, 99_999)} unit {chance.randint(0, 99_999)} is offline",
        )
        for _ in range(EVENTS // 4)
    ]  # fmt: skip


def plain_rules(snapshot: Snapshot, compiled: Callable[[str], Search]) -> list[PlainRule]:
    return [
        (
            each.rule.id, each.syslog_severity, each.oid_prefix, each.substring,
            compiled(each.pattern.pattern) if each.pattern else None,
        )
        for each in snapshot.rules
    ]  # fmt: skip


def plain_match(event: Event, rules: Sequence[PlainRule]) -> int | None:
    """The id of the first rule that matches, found by trying each."""
    message, severity = event.message, event.syslog_severity
    oid = None if event.trap_oid is None else normal_oid(event.trap_oid)
    for rule_id, limit, prefix, substring, search in rules:
        if limit is not None and (severity is None or severity > limit):
            continue
        if prefix is not None and (oid is None or not oid.startswith(prefix)):
            continue
        if substring is not None and substring not in message:
            continue
        if search is None or search(message) is not None:
            return rule_id
    return None


class Way(NamedTuple):
    """One way to judge events, with the events it gets."""

    judge: Callable[[Event], int | None]
    events: Sequence[Event]


def measure(ways: Sequence[Way]) -> tuple[list[float], bool]:
    """CPU microseconds an event for each of the ways, the median of rounds in turn; and whether they agree."""
    taken: list[list[float]] = [[] for _ in ways]
    agree = True
    for _ in range(ROUNDS):
        answers = []
        for way, figures in zip(ways, taken, strict=True):
            began = time.process_time()
            answers.append([way.judge(event) for event in way.events])
            figures.append((time.process_time() - began) / len(way.events) * 1e6)
        agree = agree and all(answer == answers[0][: len(answer)] for answer in answers)
    return [statistics.median(figures) for figures in taken], agree


def _few(judge: Callable[[Event], int | None], events: Sequence[Event]) -> Way:
    """The way with as many of the events as it can judge in a round's time."""
    began = time.process_time()
    for event in events[:5]:
        judge(event)
    each = max((time.process_time() - began) / 5, 1e-7)
    return Way(judge, events[: max(20, int(PLAIN_SECONDS / each))])


def compare(count: int, events: Sequence[Event], name: str) -> bool:
    """Prints the line of one table; whether all ways decided the same."""
    began = time.process_time()
    snapshot = build_snapshot(sample_rules(count))
    compiled = time.process_time()
    indexed = snapshot.indexed()
    done = time.process_time()
    options = re2.Options()
    options.log_errors = False
    with_re2 = plain_rules(snapshot, lambda pattern: re2.compile(pattern, options).search)
    with_re = plain_rules(snapshot, lambda pattern: re.compile(pattern).search)

    def ours(event: Event) -> int | None:
        match = first_match(event, indexed)
        return None if match is None else match.rule.id

    ways = [
        Way(ours, events),
        _few(lambda event: plain_match(event, with_re2), events),
        _few(lambda event: plain_match(event, with_re), events),
    ]
    (own, by_re2, by_re), agree = measure(ways)
    print(
        f"{name:>11} {count:>7,} {own:>9.2f} {by_re2:>11.1f} {by_re2 / own:>7.1f} x"
        f" {by_re:>11.1f} {by_re / own:>7.1f} x"
        f" {compiled - began:>9.2f} + {done - compiled:.2f}{'' if agree else '   THEY DIFFER'}",
        flush=True,
    )
    return agree


def judge_and_encode(count: int, events: Sequence[Event]) -> tuple[float, float]:
    """CPU microseconds an event: for the decision, and for what the alerter computes because of it."""
    snapshot = build_snapshot(sample_rules(count)).indexed()
    deciding, following = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        decided = [(event, decide(event, snapshot)) for event in events]
        middle = time.process_time()
        for event, decision in decided:
            if decision.forward:
                alert.encode(alert_of(event, decision))
            elif decision.rule_id is None:
                unhandled_pattern(event.source, event.message)
        deciding.append((middle - began) / len(events) * 1e6)
        following.append((time.process_time() - middle) / len(events) * 1e6)
    return statistics.median(deciding), statistics.median(following)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.matching", description="How fast events are judged.")
    parser.add_argument("--rules", type=int, nargs="+", default=COUNTS, help="how many rules (10 100 1000 10000)")
    counts = parser.parse_args(arguments).rules
    events, near, agree = sample_events(), near_misses(), True
    print("CPU us an event           MUTT  loop, RE2      ratio    loop, re      ratio   build + index, s")
    for count in counts:
        agree = compare(count, events, "samples") and agree
    for count in counts:
        agree = compare(count, near, "near misses") and agree
    print("\nCPU us an event          decide  mask, sign, encode")
    for count in counts:
        deciding, following = judge_and_encode(count, events)
        print(f"{'samples':>11} {count:>7,} {deciding:>9.2f} {following:>11.2f}", flush=True)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
