"""Writes docs/reference/admin-api.md from the declarations: ``python -m mutt.admin.reference``."""

from pathlib import Path
from typing import Any

from mutt.admin.openapi import document
from mutt.admin.operation import Operation
from mutt.admin.resources import operations

FILE = Path("docs/reference/admin-api.md")

HEAD = """# The admin API

Written by `python -m mutt.admin.reference` from the declarations that also check the requests; do not edit it.

The web UI (port 8090) serves every operation under `/api/v2` and, with the same behaviour, under `/api/v1`, where
`Deprecation` and `Sunset` headers ask to move on. `GET /api/openapi.json` is the same as this page for programs
(OpenAPI 3.1). Every answer carries `X-API-Version`, `X-API-Supported-Versions` and `X-Correlation-ID`.

- **Keys.** `X-API-KEY` names the caller. The secret `WEBUI_API_KEY` is an admin key named `webui`; further ones are
  secrets named `WEBUI_API_KEY_<SCOPE>_<NAME>` (for example `WEBUI_API_KEY_VIEWER_WALLBOARD`), each with an optional
  `_NEXT` twin while it is rotated. Viewers read, test and backtest; operators change rules, hosts, teams, dead letters
  and unhandled patterns; admins also change dynamic settings. The name stands in the audit as `changed_by`.
- **Bodies** are JSON, or YAML (without aliases) under `application/yaml`. Unknown fields are refused by name.
- **Refusals** are `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `reason`, where it
  applies `field`, and `error`, which repeats `detail`. 401 no valid key, 403 the scope does not reach, 503 a
  dependency is away (with `Retry-After`).
- **Lists** take `page` (from 1) and `limit` (1 to 200; AUDIT_LOG_PAGE_SIZE when not given), answer with `total`,
  `page` and `limit`, and link the pages around in `Link`.
- **Sent again.** A POST with an `Idempotency-Key` is done once: for a day the same request under the same key gets
  the first answer, with `Idempotency-Replayed: true`; another request under that key gets 422.
- **At the same time.** GET of a rule gives an `ETag`; PUT and DELETE with `If-Match` answer 412 when it is stale.
- **Reason and correlation.** Changes take a `reason` for the audit; `X-Correlation-ID` (a UUID) is kept with it.
"""


class _Unwired:
    """Stands for the services: a declaration needs their names, not what they do."""

    def __getattr__(self, _name: str) -> None:
        return None


def declared() -> list[Operation]:
    """All operations, without anything behind them."""
    return operations(_Unwired())  # type: ignore[arg-type] # only the declarations are looked at


def page() -> str:
    """The whole page."""
    described = document(declared())
    parts = [HEAD]
    tags: dict[str, list[str]] = {}
    for path, methods in described["paths"].items():
        if path.startswith("/api/v2"):
            for method, operation in methods.items():
                tag = operation["tags"][0]
                tags.setdefault(tag, []).append(_section(method, path, operation, described["components"]["schemas"]))
    for tag, sections in sorted(tags.items()):
        parts += [f"## {tag}\n", *sections]
    return "\n".join(parts)


def _section(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    statuses = ", ".join(operation["responses"])
    lines = [
        f"### {method.upper()} {path}\n",
        f"{operation['summary']}\n",
        f"Scope {operation['x-scope']}; {statuses}.\n",
    ]
    fields = [
        (each["name"], each["in"], each["required"], each["schema"], each.get("description"))
        for each in operation.get("parameters", [])
        if each["in"] != "header"
    ]
    if "requestBody" in operation:
        schema = schemas[operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        required = schema.get("required", [])
        fields += [(name, "body", name in required, each, None) for name, each in schema["properties"].items()]
    if fields:
        lines += ["| name | in | needed | what |", "| --- | --- | --- | --- |"]
        lines += [_row(*field) for field in fields]
        lines.append("")
    return "\n".join(lines)


def _row(name: str, where: str, required: bool, schema: dict[str, Any], description: str | None) -> str:
    what = "; ".join(part for part in (_kind(schema), description or _told(schema)) if part).replace("|", "\\|")
    return f"| `{name}` | {where} | {'yes' if required else ''} | {what} |"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(kind for each in schema["anyOf"] if (kind := _kind(each)) != "null")
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" {low} to {high}" if low is not None and high is not None else ""
    return f"{schema.get('type', 'anything')}{bounds}"


def _told(schema: dict[str, Any]) -> str:
    told = schema.get("description") or next(
        (each["description"] for each in schema.get("anyOf", []) if "description" in each), ""
    )
    return str(told)


if __name__ == "__main__":
    FILE.write_text(page())
