"""Unmatched events through the API: patterns as the alerter counted them, their drafts of rules, ignoring."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from mutt.events.event import Event
from mutt.events.ids import IdSource
from mutt.queues.reliable import Settlement
from mutt.redisdb import keys
from mutt.rules.decision import decide
from mutt.rules.pattern import mask, unhandled_pattern
from mutt.rules.rule import Handling, MatchType, Rule, build_snapshot
from mutt.rules.suggestion import FEWEST_LETTERS, MOST_WORDS, Suggestion, suggest
from mutt.settings import AlerterSettings
from mutt.workers.meta_alerts import MetaAlerts
from tests.support.queues import ALERTS, a_queue, put
from tests.support.web_ui import OPERATOR, VIEWER, WebUIUnderTest

PREFIX = "mutt:unhandled"
LINK = "%LINK-3-UPDOWN: Interface GigabitEthernet0/{}, changed state to down"
FAN = "fan {} of tray failed"


@pytest.fixture
def client(web_ui: WebUIUnderTest) -> redis.Redis:
    return web_ui.redis()


def an_event(message: str, hostname: str = "router-1", trap_oid: str | None = None) -> Event:
    own_id, now = IdSource().take(), datetime.now(UTC)
    return Event(own_id, own_id, now, now, hostname, message, source="syslog", trap_oid=trap_oid)


def settle(client: redis.Redis, events: Sequence[Event], threshold: int = 100) -> None:
    """Counts the events as the alerter does."""
    meta = MetaAlerts(AlerterSettings(unhandled_threshold=threshold), ALERTS)
    queue, follows = a_queue(client), Settlement()
    put(client, [queue.pod.encode()])
    follows.unhandled(meta.counts([(unhandled_pattern(each.source, each.message), each) for each in events]))
    assert queue.settle(queue.claim("1", 1), follows) == "SETTLED"


def id_of(message: str) -> str:
    return keys.unhandled_id(unhandled_pattern("syslog", message))


def listed(web_ui: WebUIUnderTest, query: str = "") -> list[dict[str, Any]]:
    return web_ui.call("GET", f"/unhandled?{query}", key=VIEWER).json["patterns"]


def test_patterns_by_count_with_samples(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(FAN.format(n)) for n in range(2)])
    settle(client, [an_event(LINK.format(n), f"router-{n % 2}") for n in range(5)])
    page = web_ui.call("GET", "/unhandled", key=VIEWER).json
    assert (page["total"], page["page"], page["other"], page["threshold"]) == (2, 1, 0, 100)
    first, second = page["patterns"]
    assert (first["count"], second["count"]) == (5, 2)
    assert first["id"] == id_of(LINK.format(0))
    assert first["pattern"] == "syslog:%LINK-3-UPDOWN: Interface <if>, changed state to down"
    assert (first["source"], first["ignored"], first["alerted"]) == ("syslog", False, False)
    assert sorted(first["hosts"]) == ["router-0", "router-1"]
    assert len(first["samples"]) == 3
    assert first["first_seen"] <= first["last_seen"] < first["expires_at"]
    assert web_ui.call("GET", f"/unhandled/{first['id']}").json == first


def test_pages_and_text(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(f"Kind{'abcdefg'[n]}: strange") for n in range(7) for _ in range(n + 1)])
    assert [each["count"] for each in listed(web_ui, "page=2&limit=3")] == [4, 3, 2]
    assert [each["count"] for each in listed(web_ui, "q=KINDG")] == [7]
    assert listed(web_ui, "q=nothing") == []


def test_counters_of_an_older_release_are_shown_too(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    name = keys.unhandled(PREFIX, "snmp:old: pattern")
    client.set(name, 7)
    client.zadd(keys.unhandled_index(PREFIX), {name: 4_000_000_000_000})
    [found] = listed(web_ui)
    assert (found["pattern"], found["source"], found["count"]) == ("snmp:old: pattern", "snmp", 7)
    assert (found["samples"], found["last_seen"]) == ([], None)
    assert found["suggestion"]["match_string"] == "old: pattern"


def test_an_expired_counter_is_not_shown(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(FAN.format(1))])
    client.delete(keys.unhandled(PREFIX, unhandled_pattern("syslog", FAN.format(1))))
    assert listed(web_ui) == []
    assert web_ui.call("GET", f"/unhandled/{id_of(FAN.format(1))}").status_code == 404
    assert web_ui.call("GET", "/unhandled/nonsense").json["field"] == "pattern_id"


def test_what_is_not_told_apart(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    client.set(keys.unhandled_other(PREFIX), 12)
    assert web_ui.call("GET", "/unhandled").json["other"] == 12
    other = web_ui.call("GET", "/unhandled/other").json
    assert (other["count"], other["suggestion"]) == (12, None)


def test_an_ignored_pattern_raises_no_alert_and_leaves_the_list(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(FAN.format(1)), an_event(LINK.format(1))], threshold=3)
    path = f"/unhandled/{id_of(FAN.format(1))}/ignore"
    assert web_ui.call("PUT", path, {}, key=VIEWER).status_code == 403
    answer = web_ui.call("PUT", path, {"reason": "a lab"}, key=OPERATOR)
    assert (answer.status_code, answer.json["pattern"]["ignored"]) == (200, True)
    settle(client, [an_event(FAN.format(1)), an_event(LINK.format(1))] * 5, threshold=3)
    assert client.llen(ALERTS) == 1
    assert [(each["id"], each["alerted"]) for each in listed(web_ui)] == [(id_of(LINK.format(1)), True)]
    shown = {each["id"]: each for each in listed(web_ui, "ignored=true")}
    ignored = shown[id_of(FAN.format(1))]
    assert (ignored["count"], ignored["ignored"], ignored["alerted"], len(shown)) == (6, True, False, 2)
    client.delete(keys.unhandled(PREFIX, unhandled_pattern("syslog", FAN.format(1))))
    again = web_ui.call("GET", f"/unhandled/{ignored['id']}").json
    assert (again["count"], again["pattern"], again["ignored"]) == (0, "syslog:fan <n> of tray failed", True)


def test_ignoring_and_its_end_are_in_the_audit(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(FAN.format(1))])
    own_id = id_of(FAN.format(1))
    for body in (
        {"reason": "a lab"},
        {"reason": "once more"},
        {"ignored": False, "reason": "live"},
        {"ignored": False},
    ):
        assert web_ui.call("PUT", f"/unhandled/{own_id}/ignore", body, key=OPERATOR).status_code == 200
    rows = web_ui.query(
        "SELECT changed_by, operation, record_id, old_values, new_values, reason, status FROM config_audit_log "
        "WHERE table_name = 'unhandled_ignored' ORDER BY id"
    )
    assert [(*row[:3], *row[5:]) for row in rows] == [
        ("night-shift", "CREATE", own_id, "a lab", "applied"), ("night-shift", "DELETE", own_id, "live", "applied"),
    ]  # fmt: skip
    assert rows[0][4]["pattern"] == rows[1][3]["pattern"] == "syslog:fan <n> of tray failed"
    assert client.exists(keys.unhandled_ignored(PREFIX)) == 0
    assert len(listed(web_ui)) == 1
    assert web_ui.call("PUT", f"/unhandled/{'0' * 16}/ignore", {}).status_code == 404


# --- suggestions ---------------------------------------------------------------------------------------------------


def test_a_suggestion_can_be_created_as_it_is(web_ui: WebUIUnderTest, client: redis.Redis) -> None:
    settle(client, [an_event(LINK.format(n)) for n in range(3)])
    suggestion = listed(web_ui)[0]["suggestion"]
    assert {name: suggestion[name] for name in ("match_type", "match_string", "priority", "prod_handling",
                                                "dev_handling", "team_assignment")} == {
        "match_type": "contains", "match_string": "%LINK-3-UPDOWN: Interface", "priority": 100,
        "prod_handling": "Ticket_only", "dev_handling": "Log_only", "team_assignment": "NETO",
    }  # fmt: skip
    assert web_ui.call("POST", "/rules", suggestion).status_code == 201


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["cpu 97 % on 10.0.0.1 now"], (MatchType.REGEX, r"^\s*cpu\s+[0-9]+(?:[.,][0-9]+)*\s+%\s+on\s+\S+\s+now\s*$")),
        (["user 'a b' in", "user 'c' in"], (MatchType.REGEX, "^\\s*user\\s+(?:\"[^\"]*\"|'[^']*')\\s+in\\s*$")),
        (["a.b(c) 7", "a.b(c) 8"], (MatchType.REGEX, r"^\s*a\.b\(c\)\s+[0-9]+(?:[.,][0-9]+)*\s*$")),
        (["power  supply 1 lost its input"], (MatchType.CONTAINS, "lost its input")),
    ],
)
def test_what_is_suggested(messages: list[str], expected: tuple[MatchType, str]) -> None:
    assert suggest(mask(messages[0]), [an_event(each) for each in messages]) == Suggestion(*expected, None)


def test_traps_are_suggested_by_their_oid() -> None:
    traps = [an_event("linkDown trap came", trap_oid=f".1.3.6.1.4.1.9.9.{n}") for n in (1, 2)]
    assert suggest(mask("linkDown trap came"), traps[:1]) == Suggestion(MatchType.OID_PREFIX, None, "1.3.6.1.4.1.9.9.1")
    assert suggest(mask("linkDown trap came"), traps) == Suggestion(MatchType.OID_PREFIX, None, "1.3.6.1.4.1.9.9")
    mixed = [*traps, an_event("linkDown trap came")]
    assert suggest(mask("linkDown trap came"), mixed) == Suggestion(MatchType.CONTAINS, "linkDown trap came", None)
    strangers = [an_event("linkDown trap came", trap_oid=oid) for oid in ("1.3.6.1.4.1.9", "1.3.6.1.4.1.8")]
    assert suggest(mask("linkDown trap came"), strangers).match_type is MatchType.CONTAINS


def test_no_suggestion_that_matches_anything() -> None:
    assert suggest("1 " * 30, [an_event("1 " * 30)]) is None
    assert suggest("", [an_event("")]) is None
    cut = [an_event(("7 " * 30 + "interface went down for good")[:40])]
    assert suggest(mask("7 " * 30 + "interface went down for good"), cut) is None


words = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(
        ["10.1.2.3:80", "GigabitEthernet0/1", "00:11:22:33:44:55", "0xdeadbeef", '"quoted 7 text"', "'x'", "12:30:01.5",
         "fe80::1/64", "%SYS-5-CONFIG_I:", "value:17", "<n>", '"*"', "a[7]", "1,5", "(down)", "\\d", "  ", "\x1f",
         "\u2003",          "0197b8a2-5c3e-7f04-9d2b-6e1f0a3c5d77"]
    ),
)  # fmt: skip


@given(st.lists(words, min_size=1, max_size=30).map(" ".join), st.sampled_from([None, "1.3.6.1.4.1.9.1"]))
def test_a_suggestion_matches_what_it_was_made_of(message: str, trap_oid: str | None) -> None:
    tried = an_event(message[:500], trap_oid=trap_oid)
    found = suggest(mask(message), [tried])
    if found is None:
        # Next to nothing beside the masks: a rule for that would match anything.
        literal = re.sub(r'<[a-z]+>|"\*"', "", mask(message))
        assert sum(map(str.isalpha, literal)) < FEWEST_LETTERS or len(mask(message).split()) > MOST_WORDS
        return
    rule = Rule(1, found.match_string, found.trap_oid, None, found.match_type, 100, Handling.TICKET_ONLY,
                Handling.LOG_ONLY, "NETO")  # fmt: skip
    assert decide(tried, build_snapshot([rule])).rule_id == 1
