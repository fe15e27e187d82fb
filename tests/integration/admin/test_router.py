"""What holds for every operation: versions, keys, scopes, problems, and the OpenAPI document."""

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
