"""The table of dynamic settings: complete, consistent, and what the documentation says."""

from pathlib import Path

import pytest

from mutt import settings
from mutt.redisdb.dynamic_config import ALL_PROGRAMS, DYNAMIC_KEYS
from mutt.settings_template import shown_default

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "change-settings-at-run-time.md"

# Key, type and default of the quick reference; max_ingest_queue_size as the contract settles it.
DOCUMENTED = {
    "cache_reload_interval": 300, "max_ingest_queue_size": 1_000_000, "alerter_queue_warn_threshold": 1000,
    "alerter_queue_shed_threshold": 2000, "alerter_shed_mode": "dlq", "alerter_defer_sleep_ms": 250,
    "moog_rate_limit": 50, "moog_batch_size": 100, "slo_window_hours": 24, "slo_ingest_success_target": 0.995,
    "slo_forward_success_target": 0.99,
}  # fmt: skip


def test_every_documented_key_has_its_documented_default() -> None:
    assert {key: each.default for key, each in DYNAMIC_KEYS.items() if key != "log_level"} == DOCUMENTED


@pytest.mark.parametrize("key", DYNAMIC_KEYS)
def test_a_key_accepts_its_own_default_and_names_programs_that_exist(key: str) -> None:
    known = DYNAMIC_KEYS[key]
    assert known.parse(str(known.default)) == known.default
    assert known.programs
    assert set(known.programs) <= set(ALL_PROGRAMS)


@pytest.mark.parametrize("key", [key for key, each in DYNAMIC_KEYS.items() if each.variable])
def test_the_variable_behind_a_key_has_the_same_default(key: str) -> None:
    known = DYNAMIC_KEYS[key]
    assert shown_default(settings.known_variables()[known.variable]) == str(known.default)


@pytest.mark.parametrize("key", DYNAMIC_KEYS)
def test_the_how_to_has_a_row_for_every_key(key: str) -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{key}` |")]
    assert DYNAMIC_KEYS[key].doc in row
    assert str(DYNAMIC_KEYS[key].default) in row
