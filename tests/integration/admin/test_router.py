"""What holds for every operation: versions, keys, scopes, problems, and the OpenAPI document."""

import falcon.testing
import pytest

from mutt.admin import reference
from mutt.admin.idempotency import IdempotentAnswers
from mutt.errors import RequestError, UnknownOutcomeError
from tests.support.web_ui import ADMIN, VIEWER, WebUIUnderTest


def test_both_versions_answer_alike_and_v1_says_that_it_is_deprecated(web_ui: WebUIUnderTest) -> None:
    new, old = web_ui.call("GET", "/metrics"), web_ui.call("GET", "/api/v1/metrics")
    assert (new.status_code, old.status_code) == (200, 200)
    assert new.json.keys() == old.json.keys()
    assert new.headers["X-API-Version"] == old.headers["X-API-Version"] == "2.5"
    assert "Deprecation" not in new.headers
    assert old.headers["Deprecation"].startswith("@")
    assert old.headers["Sunset"].endswith("GMT")


def test_keys(web_ui: WebUIUnderTest) -> None:
    for key in (ADMIN, VIEWER):
        assert web_ui.call("GET", "/metrics", key=key).status_code == 200
    for key in ("", "wrong", "schlüssel"):
        refused = web_ui.call("GET", "/metrics", key=key)
        assert refused.status_code == 401
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json["error"] == refused.json["detail"]


def test_an_unknown_parameter_is_named(web_ui: WebUIUnderTest) -> None:
    refused = web_ui.call("GET", "/metrics?limt=3")
    assert (refused.status_code, refused.json["field"]) == (400, "limt")


def test_the_openapi_document_names_both_versions(web_ui: WebUIUnderTest) -> None:
    paths = web_ui.client.simulate_get("/api/openapi.json").json["paths"]
    assert paths["/api/v1/metrics"]["get"]["deprecated"] is True
    assert "deprecated" not in paths["/api/v2/metrics"]["get"]


def test_the_reference_page_is_that_of_the_declarations() -> None:
    assert reference.FILE.read_text() == reference.page(), "run python -m mutt.admin.reference"


def _plan(web_ui: WebUIUnderTest, document: str) -> falcon.testing.Result:
    headers = {"X-API-KEY": ADMIN, "Content-Type": "application/yaml"}
    return web_ui.client.simulate_post("/api/v2/rules/plan", headers=headers, body=document)


def test_yaml_is_taken_without_aliases(web_ui: WebUIUnderTest) -> None:
    assert _plan(web_ui, "rules: []\n").status_code == 200
    refused = _plan(web_ui, "a: &a [x]\nrules: [*a, *a]\n")
    assert (refused.status_code, "aliases" in refused.json["detail"]) == (400, True)
    for broken in ("rules: [", "\x01", "rules: !!python/object:os.system {}", "2020-13-45"):
        assert _plan(web_ui, broken).status_code == 400


def test_an_unknown_outcome_is_not_tried_again(web_ui: WebUIUnderTest) -> None:
    answers = IdempotentAnswers(web_ui.redis())
    with pytest.raises(UnknownOutcomeError), answers.once("webui", "k", "/rules", b"{}"):
        raise UnknownOutcomeError("the answer to COMMIT was lost")
    with pytest.raises(RequestError, match="is not known") as refusal, answers.once("webui", "k", "/rules", b"{}"):
        pytest.fail("it was done again")
    assert refusal.value.status == 409
