"""What the measurements rest on: the table's verdicts, the traffic's shares, slopes, pictures and tallies."""

import json
import math
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from load.bench import traffic
from load.bench.costs import Costs, Spent
from load.bench.end_to_end import Passage
from load.bench.figures import Figure, as_text, at_most, exact
from load.bench.generator import Outcome
from load.bench.sink import Stats
from load.bench.soak import Sample, slope
from load.bench.svg import Curve, draw
from load.locust.tally import Tally, read
from mutt.events.admit import Limits, admit
from mutt.events.ids import IdSource
from mutt.rules.decision import decide
from mutt.rules.rule import MatchType, Rule, build_snapshot


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("part", "rate", 10_000.0, "events/s", 10_000), "MET"),
        (Figure("part", "rate", 9_999.0, "events/s", 10_000), "MISSED"),
        (Figure("part", "rate", None, "events/s", 10_000), "MISSED"),
        (Figure("part", "rate", 9_999.0, "events/s"), ""),
        (at_most("part", "p99", 20.0, "ms", 20), "MET"),
        (at_most("part", "p99", 20.1, "ms", 20), "MISSED"),
        (at_most("part", "growth", -0.5, "MB/min", 1), "MET"),
        (exact("part", "lost", 0), "MET"),
        (exact("part", "lost", 1), "MISSED"),
    ],
)
def test_a_goal_is_met_or_missed_and_its_line_begins_with_that(figure: Figure, verdict: str) -> None:
    assert figure.verdict == verdict
    assert as_text([figure]).splitlines()[1].startswith(verdict or " ")


def test_the_ratio_is_above_one_when_a_goal_is_surpassed_whichever_way_it_points() -> None:
    assert Figure("part", "rate", 15_000.0, "events/s", 10_000).ratio == 1.5
    assert at_most("part", "p99", 10.0, "ms", 20).ratio == 2.0


@pytest.mark.parametrize("number", [10, 100, 1000])
def test_the_rules_forward_exactly_the_events_that_are_said_to_be_forwardable(number: int) -> None:
    rules = [
        Rule(index, each.match_string, None, None, MatchType(each.match_type), each.priority, each.prod_handling,
             each.dev_handling, each.team_assignment)
        for index, each in enumerate(traffic.rules(number), 1)
    ]  # fmt: skip
    assert len(rules) == number
    snapshot, ids = build_snapshot(rules, (), {}), IdSource()
    outcomes: Counter[str] = Counter()
    for body in traffic.bodies(100, 5):
        decisions = [decide(admit(item, datetime.now(UTC), ids, Limits()), snapshot) for item in json.loads(body.text)]
        assert sum(decision.forward for decision in decisions) == body.forwardable
        outcomes.update("forwarded" if each.forward else "logged" if each.rule_id else "none" for each in decisions)
    assert outcomes["forwarded"] == 150
    if number >= 100:
        assert (outcomes["logged"], outcomes["none"]) == (300, 50)


@pytest.mark.parametrize(
    ("audited", "received", "wrong"),
    [(100, Stats(30, 30), 0), (99, Stats(30, 30), 1), (101, Stats(30, 30), 1), (100, Stats(29, 29), 1),
     (100, Stats(31, 30), 2), (100, Stats(30, 29), 1)],
)  # fmt: skip
def test_a_lost_and_a_doubled_event_are_both_seen(audited: int, received: Stats, wrong: int) -> None:
    outcome = Outcome(1, 100, 30, 1.0, {"202": 1}, 1.0, 1.0, 1.0, 1.0, 0.1)
    assert Passage(outcome, Costs(1.0, {}, 0.0), 0.0, audited, received).wrong == wrong


def test_a_measurement_counts_what_its_processes_and_others_took() -> None:
    spent = Spent({"child": os.getpid()})
    deadline = time.process_time() + 0.3
    while time.process_time() < deadline:
        sum(range(1000))
    costs = spent.stop()
    assert 0.25 <= costs.by_service["child"] <= 1.0
    assert math.isclose(costs.per_event(1000), costs.by_service["child"] * 1000)
    assert costs.others >= 0


def test_the_slope_of_the_memory_is_in_megabytes_a_minute() -> None:
    samples = [Sample(seconds, {"mutt-alerter": 100 + seconds / 30}) for seconds in range(0, 300, 2)]
    assert math.isclose(slope(samples, "mutt-alerter"), 2.0)


def test_a_curve_becomes_a_picture_that_can_be_read_as_xml() -> None:
    curve = Curve(
        "rules", "The alerter <by> rules", "rules", "us", {"a & b": [(10, 5.0), (100_000, 8.0)], "c": [(0, 0)]}
    )
    root = ElementTree.fromstring(draw(curve))  # noqa: S314 - our own text
    assert len([each for each in root.iter() if each.tag.endswith("circle")]) == 3
    assert "The alerter <by> rules" in {each.text for each in root.iter()}


def test_the_tallies_of_several_processes_are_added(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(msgspec.json.encode(Tally(10, 3, first_at=5.0, last_at=9.0)))
    (tmp_path / "2.json").write_bytes(msgspec.json.encode(Tally(20, 6, 1, first_at=4.0, last_at=8.0)))
    (tmp_path / "3.json").write_bytes(msgspec.json.encode(Tally()))
    assert read(tmp_path) == Tally(30, 9, 1, first_at=4.0, last_at=9.0)
