"""Upkeep: partitions ahead, the default partition, retention, archives and back, and old dead letters."""

import json
import resource
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from mutt.events import dead_letter
from mutt.events.dead_letter import DeadLetter
from mutt.maintenance.run import month_of, shifted
from mutt.maintenance.session import ADVISORY_LOCK
from mutt.redisdb import keys
from tests.support.postgres import PrivatePostgres
from tests.support.redis_server import PrivateRedis
from tests.support.upkeep import Site
from tests.support.waiting import wait_until

NOW = datetime.now(UTC)
MONTH = month_of(NOW)
TABLES = ("event_audit_log", "alert_delivery_log")


def name_of(month: datetime, table: str = "event_audit_log") -> str:
    return f"{table}_{month:%Y%m}"


@pytest.fixture
def site(
    postgres_server: PrivatePostgres, redis_server: PrivateRedis, redis_client: redis.Redis, tmp_path: Path
) -> Site:
    return Site(postgres_server, redis_server, tmp_path)


def outcomes(answer: dict[str, Any], outcome: str) -> dict[str, int]:
    """The subjects of a summary with this outcome, and their rows."""
    return {action["subject"]: action["rows"] for action in answer["actions"] if action["outcome"] == outcome}


# --- partitions -------------------------------------------------------------------------------------------------


def test_partitions_are_made_ahead_and_then_need_nothing(site: Site) -> None:
    site.environ["RETENTION_PRECREATE_MONTHS"] = "5"
    missing = {name_of(shifted(MONTH, ahead), table) for table in TABLES for ahead in (4, 5)}

    assert outcomes(site.upkeep("partitions", "--dry-run"), "would do").keys() == missing
    assert not missing & {*site.partitions("event_audit_log")}

    assert outcomes(site.upkeep("partitions"), "done").keys() == missing
    assert missing <= {*site.partitions("event_audit_log"), *site.partitions("alert_delivery_log")}
    assert site.upkeep("partitions")["actions"] == []


def test_the_default_partition_is_emptied_in_batches_but_for_what_is_far_away(site: Site) -> None:
    site.environ["RETENTION_BATCH_ROWS"] = "300"
    ahead, back = shifted(MONTH, 6), shifted(MONTH, -2)
    site.fill(ahead, 1000)
    site.fill(back, 20)
    site.fill(back, 500, step="0 seconds", table="deliveries")
    for far in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)):
        site.fill(far, 3)
    before = {table: site.rows_in_database(table) for table in TABLES}

    dry = site.upkeep("default-partition", "--dry-run")
    assert outcomes(dry, "would do") == {
        name_of(back): 20, name_of(ahead): 1000, name_of(back, "alert_delivery_log"): 500,
    }  # fmt: skip
    assert name_of(ahead) not in site.partitions("event_audit_log")

    done = site.upkeep("default-partition")

    assert outcomes(done, "done") == outcomes(dry, "would do")
    assert outcomes(done, "kept") == outcomes(dry, "kept") == {"event_audit_log_default": 6}
    assert site.count("event_audit_log_default") == 6
    assert site.count("alert_delivery_log_default") == 0
    assert site.count(f"{name_of(ahead)}") == 1000
    assert {table: site.rows_in_database(table) for table in TABLES} == before
    # The partition covers its whole month: a later row does not go to the default partition.
    site.fill(shifted(MONTH, 7) - timedelta(seconds=2), 1)
    assert site.count(f"{name_of(ahead)}") == 1001
    assert outcomes(site.upkeep("default-partition"), "done") == {}


def test_a_transaction_that_never_ends_holds_up_upkeep_but_no_writer(site: Site) -> None:
    site.environ |= {"RETENTION_LOCK_TIMEOUT": "0.2", "RETENTION_PRECREATE_MONTHS": "4"}
    waits = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND application_name = %s"
    with site.connection() as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE event_audit_log IN ROW EXCLUSIVE MODE")
        process = site.start("partitions", "-o", "json")
        wait_until(lambda: site.fetch(waits, "mutt-upkeep"), "upkeep to wait for the table", every=0.005)
        site.fill(NOW, 5)
        wait_until(lambda: not site.fetch(waits, "mutt-upkeep"), "upkeep to step back", every=0.005)
        assert process.poll() is None
        cursor.execute("COMMIT")
    output, talk = process.communicate(timeout=60)

    assert process.returncode == 0, talk
    assert name_of(shifted(MONTH, 4)) in outcomes(json.loads(output), "done")


def test_a_table_that_somebody_has_put_in_the_way_is_left_alone(site: Site) -> None:
    month = shifted(MONTH, 6)
    site.fetch(f"CREATE TABLE {name_of(month)} (note TEXT)")
    site.fill(month, 5)

    answer = site.upkeep("default-partition")

    assert outcomes(answer, "kept") == {name_of(month): 5}
    assert site.count("event_audit_log_default") == 5


# --- retention and archives -------------------------------------------------------------------------------------


def odd_rows(site: Site, month: datetime) -> None:
    """Rows whose values are easily bent on their way through a file."""
    values: list[tuple[Any, ...]] = [
        ("2e-7", "", None, None),
        ("tab\tline\nreturn\r\\N \\. \x01\x02\x7f \u2028 \U0001f600 \"quoted\"", "", "", '{"a": null, "b": 1.10}'),
        ("x", None, "1.3.6.1", '{"big": 123456789012345678901234567890.1200, "deep": [[{"": "\\\\"}]]}'),
        ("\\", "s", "\\.", '[]'),
        ("", "s", None, '"text"'),
    ]  # fmt: skip
    statement = """
        INSERT INTO event_audit_log (event_id, correlation_id, event_timestamp, hostname, message, source, trap_oid,
            attributes, handling, ingestion_timestamp, content_hash, syslog_severity)
        VALUES (gen_random_uuid(), gen_random_uuid(), %s, 'rtr', %s, %s, %s, %s, 'Log_only', now(), %s, %s)
    """
    for place, row in enumerate(values):
        time = month + timedelta(microseconds=place)
        site.fetch(statement, time, *row, -(2**63) + place, place or None)


def binary(site: Site, table: str, key: str) -> list[tuple[Any, ...]]:
    """Every row as PostgreSQL would send it in binary: equal means equal to the last bit."""
    columns = [name for (name,) in site.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", table
    )]  # fmt: skip
    typed = site.fetch(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " ORDER BY attnum", table,
    )  # fmt: skip
    send = {
        "bigint": "int8send", "uuid": "uuid_send", "timestamp with time zone": "timestamptz_send", "text": "textsend",
        "smallint": "int2send", "integer": "int4send", "jsonb": "jsonb_send", "real": "float4send",
    }  # fmt: skip
    sent = ", ".join(f"{send[kind]}({name})::text" for name, (kind,) in zip(columns, typed, strict=True))
    return site.fetch(f"SELECT {sent} FROM {table} ORDER BY {key}")  # noqa: S608


def test_an_old_month_is_archived_and_dropped_and_comes_back_to_the_last_bit(site: Site) -> None:
    old = shifted(MONTH, -5)
    odd_rows(site, old)
    site.fill(old, 200)
    site.fill(old, 100, table="deliveries")
    # Without a key equal rows are rows all the same.
    site.fetch("INSERT INTO alert_delivery_log SELECT * FROM alert_delivery_log")
    site.upkeep("default-partition")
    before = binary(site, "event_audit_log", "event_timestamp, id"), binary(site, "alert_delivery_log", "attempted_at")
    rows = {table: site.rows_in_database(table) for table in TABLES}

    assert outcomes(site.upkeep("retention", "--dry-run"), "would do") == {
        name_of(old): 205, name_of(old, "alert_delivery_log"): 200,
    }  # fmt: skip
    assert site.archive_names() == []
    site.upkeep("retention")

    assert {table: site.rows_in_archives(table) for table in TABLES} == rows
    assert [site.count(table) for table in TABLES] == [0, 0]
    assert site.tables(f"_{old:%Y%m}$") == []
    manifest = json.loads((site.archives / "event_audit_log" / f"{name_of(old)}.1" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["table"], len(manifest["files"])) == (205, "event_audit_log", 1)
    assert manifest["columns"][3] == {"name": "event_timestamp", "type": "timestamp with time zone"}

    for name in site.archive_names():
        assert outcomes(site.upkeep("restore", name, "--into-table"), "kept") == {}
    for name in site.archive_names():
        again = site.upkeep("restore", name, "--into-table")
        assert {*outcomes(again, "done").values()} == {0}
    assert (
        binary(site, "event_audit_log", "event_timestamp, id"), binary(site, "alert_delivery_log", "attempted_at")
    ) == before  # fmt: skip
    # It stays until somebody says otherwise, and then goes without a second archive.
    assert outcomes(site.upkeep("retention"), "kept") == {name_of(old): 205, name_of(old, "alert_delivery_log"): 200}
    assert outcomes(site.upkeep("retention", "--restored"), "done").keys() == {
        name_of(old), name_of(old, "alert_delivery_log"),
    }  # fmt: skip
    assert {table: site.rows_in_archives(table) for table in TABLES} == rows


def test_an_archive_comes_back_into_a_table_of_its_own(site: Site) -> None:
    old = shifted(MONTH, -5)
    site.fill(old, 50)
    site.upkeep("default-partition")
    site.upkeep("retention")
    (name,) = site.archive_names()

    dry = site.upkeep("restore", name, "--dry-run")
    assert outcomes(dry, "would do") == {f"restored_{name_of(old)}_1": 50}
    for rows in (50, 0):
        assert outcomes(site.upkeep("restore", name), "done") == {f"restored_{name_of(old)}_1": rows}
    assert site.count(f"restored_{name_of(old)}_1") == 50
    assert site.count("event_audit_log") == 0
    assert "there is no archive nonsense" in site.upkeep("restore", "nonsense", expect=1)["talk"]


def test_months_that_are_not_over_and_the_configuration_audit_stay(site: Site) -> None:
    site.fill(shifted(MONTH, -2), 5)
    site.fill(NOW, 5)
    site.fetch(
        "INSERT INTO config_audit_log (changed_at, changed_by, operation, table_name, record_id) "
        "SELECT now() - interval '20 years', 'somebody', 'UPDATE', 'alert_rules', '1'"
    )
    site.upkeep("run")

    assert site.count("event_audit_log") == 10
    assert site.count("config_audit_log") == 1
    assert site.archive_names() == []


def test_without_archives_months_are_dropped_all_the_same(site: Site) -> None:
    site.environ["RETENTION_ARCHIVE_ENABLED"] = "false"
    site.fill(shifted(MONTH, -5), 5)

    site.upkeep("run")

    assert site.count("event_audit_log") == 0
    assert not site.archives.exists()


def test_an_archive_made_by_hand_serves_retention_until_late_rows_come(site: Site) -> None:
    old = shifted(MONTH, -5)
    site.fill(old, 30)
    site.upkeep("default-partition")
    assert outcomes(site.upkeep("archive"), "done") == {name_of(old): 30}
    assert outcomes(site.upkeep("archive", name_of(old)), "kept") == {name_of(old): 30}
    assert site.count("event_audit_log") == 30
    site.fill(old + timedelta(days=1), 1)
    rows = site.rows_in_database("event_audit_log")

    site.upkeep("retention")

    assert site.archive_names() == [f"{name_of(old)}.2"]
    assert site.rows_in_archives("event_audit_log") == rows
    # What comes later still makes an archive of its own.
    site.fill(old, 7)
    site.upkeep("run")
    assert site.archive_names() == [f"{name_of(old)}.2", f"{name_of(old)}.3"]
    assert sum(site.rows_in_archives("event_audit_log").values()) == 38


def test_nothing_is_dropped_when_the_archive_cannot_be_written(site: Site) -> None:
    site.fill(shifted(MONTH, -5), 3000, padding=200)
    site.fill(shifted(MONTH, -5), 10, table="deliveries")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = site.start("run", "-o", "json", preexec_fn=small_files)
    output, talk = process.communicate(timeout=60)

    assert process.returncode == 1, talk
    (failed,) = [action for action in json.loads(output)["actions"] if action["outcome"] == "failed"]
    assert "cannot be written" in failed["what"]
    assert "mutt/maintenance" not in talk, "a traceback of ours"
    assert site.count("event_audit_log") == 3000
    assert site.archive_names() == []


def test_a_damaged_archive_is_found_and_keeps_its_rows_in_the_database(site: Site) -> None:
    old = shifted(MONTH, -5)
    site.fill(old, 30)
    site.upkeep("default-partition")
    site.upkeep("archive")
    part = site.archives / "event_audit_log" / f"{name_of(old)}.1" / "part-00001.ndjson.gz"
    content = bytearray(part.read_bytes())
    content[-9] ^= 1
    part.write_bytes(content)

    assert "part-00001.ndjson.gz" in site.upkeep("archive", "--verify", expect=6)["talk"]
    assert "part-00001.ndjson.gz" in site.upkeep("retention", expect=1)["talk"]
    assert sum(site.rows_in_database("event_audit_log").values()) == 30
    assert "part-00001.ndjson.gz" in site.upkeep("restore", f"{name_of(old)}.1", expect=1)["talk"]


def test_archives_older_than_their_limit_are_removed(site: Site) -> None:
    old = shifted(MONTH, -20)
    site.fill(old, 5)
    site.upkeep("run")
    name = f"{name_of(old)}.1"
    assert site.archive_names() == [name]
    site.environ["RETENTION_ARCHIVE_YEARS"] = "1"

    assert outcomes(site.upkeep("archive", "--dry-run"), "would do") == {name: 5}
    assert [entry["name"] for entry in site.upkeep("archive", "--list")["archives"]] == [name]
    assert outcomes(site.upkeep("run"), "done") == {name: 5}
    assert site.archive_names() == []


def test_a_second_upkeep_says_so(site: Site) -> None:
    with site.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        timed = site.upkeep("run")
        assert "another upkeep is at work" in timed["talk"]
        assert timed["actions"] == []
        assert "another upkeep is at work" in site.upkeep("partitions", expect=5)["talk"]


# --- dead letters -----------------------------------------------------------------------------------------------


def letter(days: float, number: int) -> bytes:
    failed_at = NOW - timedelta(days=days)
    return dead_letter.encode(DeadLetter("shed", "too many", "alerter", failed_at, {"n": number, "text": "a\nb"}))


@pytest.fixture
def letters(redis_client: redis.Redis) -> dict[str, list[bytes]]:
    """Old and young dead letters in each list, oldest first, and two records that are none."""
    filled = {}
    for name, limit in (("mutt:dlq:alerter", 30), ("mutt:dlq:moog", 30), (keys.DLQ_INGEST, 30), (keys.POISON, 90)):
        filled[name] = [letter(limit + 1.45 - number / 10, number) for number in range(30)]
        redis_client.lpush(name, *filled[name], b"no dead letter", b'{"n": 1}')
    return filled


def test_old_dead_letters_are_archived_and_young_ones_stay(
    site: Site, redis_client: redis.Redis, letters: dict[str, list[bytes]]
) -> None:
    assert outcomes(site.upkeep("dead-letters", "--dry-run"), "would do") == dict.fromkeys(letters, 15)
    assert redis_client.llen(keys.POISON) == 32

    assert outcomes(site.upkeep("dead-letters"), "done") == dict.fromkeys(letters, 15)

    for name, records in letters.items():
        assert redis_client.lrange(name, 0, -1)[::-1] == [*records[15:], b"no dead letter", b'{"n": 1}']
    archived = site.rows_in_archives("dead_letters")
    assert archived == Counter(record.decode() for records in letters.values() for record in records[:15])
    assert redis_client.keys("mutt:upkeep:*") == []
    assert site.upkeep("dead-letters")["actions"] == []


def test_without_an_archive_old_dead_letters_stay_unless_told_otherwise(
    site: Site, redis_client: redis.Redis, letters: dict[str, list[bytes]]
) -> None:
    site.environ["RETENTION_ARCHIVE_ENABLED"] = "false"
    assert outcomes(site.upkeep("dead-letters"), "kept") == dict.fromkeys(letters, 15)
    assert redis_client.llen("mutt:dlq:moog") == 32

    site.environ["RETENTION_DLQ_DROP"] = "true"
    site.environ["RETENTION_POISON_DAYS"] = "0"
    assert outcomes(site.upkeep("dead-letters"), "done").keys() == letters.keys() - {keys.POISON}
    assert redis_client.llen("mutt:dlq:moog") == 17


def test_redis_away_does_not_keep_the_rest_from_being_done(site: Site) -> None:
    site.environ["REDIS_PORT"] = "1"
    site.environ["RETENTION_PRECREATE_MONTHS"] = "4"

    answer = site.upkeep("run", expect=1)

    assert len(outcomes(answer, "done")) == 2
    assert [action["step"] for action in answer["actions"] if action["outcome"] == "failed"] == ["dead-letters"]
