"""The OpenAPI document against the API: schemathesis makes requests of it, good and bad, and looks at every answer."""

import os
import warnings
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.web_ui import ADMIN, OPERATOR, VIEWER, WebUIUnderTest

EXAMPLES = int(os.environ.get("MUTT_API_EXAMPLES", "12"))
"""Requests of each operation with each key, half of them wrong on purpose; the same in every run."""

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def _operations(web_ui: WebUIUnderTest, version: str) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", web_ui.client.app)
        operations = [each.ok() for each in schema.get_all_operations()]
    return [each for each in operations if each.path.startswith(f"/api/{version}/")]


@pytest.mark.parametrize(("version", "key"), [("v2", ADMIN), ("v2", VIEWER), ("v1", OPERATOR)])
def test_every_answer_is_a_documented_one(web_ui: WebUIUnderTest, version: str, key: str) -> None:
    operations = _operations(web_ui, version)
    assert operations
    for operation in operations:
        _try(operation, key)


def _try(operation: Any, key: str) -> None:
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(good, bad))
    def run(case: Any) -> None:
        response = case.call(headers={"X-API-KEY": key})
        case.validate_response(response, checks=CHECKS)

    run()
