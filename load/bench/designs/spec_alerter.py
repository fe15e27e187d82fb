"""The specification's alerter in its smallest form: one event at a time, rules in turn with ``re``, one INSERT each."""

import json
import os
import re
import signal
import sys

import psycopg2
import redis

SOURCE, ALERTS, PROCESSING = "mutt:ingest_queue", "mutt:alert_queue", "mutt:processing:alerter:spec"
INSERT = """
INSERT INTO spec_audit_log (correlation_id, event_timestamp, hostname, message, rule_id, handling, raw)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

client = redis.Redis(port=int(os.environ["REDIS_PORT"]), password=os.environ["REDIS_PASSWORD"])
database = psycopg2.connect(os.environ["DATABASE_URL"])


def load_rules():  # type: ignore[no-untyped-def]
    with database.cursor() as cursor:
        cursor.execute("SELECT id, match_type, match_string, priority, prod_handling, team_assignment FROM alert_rules")
        rows = cursor.fetchall()
    database.commit()
    return sorted(rows, key=lambda row: row[3], reverse=True)


def find(rules, message):  # type: ignore[no-untyped-def]
    for rule in rules:
        _id, kind, text, _priority, _handling, _team = rule
        if (kind == "contains" and text in message) or (kind == "regex" and re.search(text, message)):
            return rule
    return None


def handle(rules, raw) -> None:  # type: ignore[no-untyped-def]
    event = json.loads(raw)
    rule = find(rules, event["message"])
    handling = rule[4] if rule else "Log_only"
    row = (event["correlation_id"], event["timestamp"], event["hostname"], event["message"], rule and rule[0], handling)
    with database.cursor() as cursor:
        cursor.execute(INSERT, (*row, json.dumps(event)))
    database.commit()
    if handling in ("Page_and_ticket", "Ticket_only"):
        client.lpush(ALERTS, json.dumps({**event, "rule_id": rule[0], "team_assignment": rule[5]}))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Python's re keeps 512 compiled patterns; more rules than that are compiled anew for every event.
    rules = load_rules()
    while True:
        raw = client.brpoplpush(SOURCE, PROCESSING, timeout=1)
        if raw is not None:
            handle(rules, raw)
            client.lrem(PROCESSING, -1, raw)


if __name__ == "__main__":
    main()
