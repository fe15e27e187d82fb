"""Bodies of requests about rules."""

from typing import Any

from tests.support.web_ui import WebUIUnderTest


def draft(**changes: Any) -> dict[str, Any]:
    """A rule that finds LINK DOWN, with some fields changed; a field that is to be left out is None."""
    fields: dict[str, Any] = {
        "match_type": "contains", "match_string": "LINK DOWN", "priority": 500, "prod_handling": "Page_and_ticket",
        "dev_handling": "Log_only", "team_assignment": "NETO", **changes,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


def create(web_ui: WebUIUnderTest, **changes: Any) -> int:
    """The id of a new rule."""
    created = web_ui.call("POST", "/rules", draft(**changes))
    assert created.status_code == 201, created.text
    return int(created.json["id"])
