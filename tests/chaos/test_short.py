"""The fault suite in small: every row that can run here, a few seconds each. ``make chaos`` runs it at full size."""

from collections.abc import Iterator

import pytest

from tests.chaos.outcome import SHORT
from tests.chaos.rows import ROWS
from tests.chaos.trial import Stage, run_row
from tests.support.postgres import PrivatePostgres

SEED = 1


@pytest.fixture(scope="module")
def stage(postgres_server: PrivatePostgres) -> Iterator[Stage]:
    """Where the rows run, one after another, most of them on the same appliance."""
    stage = Stage(postgres_server)
    yield stage
    stage.close()


@pytest.mark.parametrize("name", ROWS)
def test_nothing_is_lost_and_nothing_doubled(name: str, stage: Stage) -> None:
    outcome = run_row(name, ROWS[name], SEED, SHORT, stage)
    print(outcome.line())
    if outcome.passed is None:
        pytest.skip(outcome.notes["skipped"])
    assert not outcome.failures, outcome.line()
