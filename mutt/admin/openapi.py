"""The OpenAPI 3.1 document, made from the declarations that also check the requests."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from mutt import __version__
from mutt.admin.operation import Operation

REF = "#/components/schemas/{name}"

COMMON_PROBLEMS = {
    400: "A parameter or the body is not as described; `field` names what is wrong.",
    401: "No valid API key.",
    403: "The key's scope does not reach.",
    413: "The body is too large.",
    415: "The body's type is not JSON or YAML.",
    422: "The request is well-formed and cannot be done.",
    429: "Too many wrong keys from this address.",
    503: "A dependency is away; Retry-After says when to come back.",
}
OTHER_PROBLEMS = {
    404: "There is no such thing.",
    409: "It contradicts what is there now.",
    412: "It was changed since the ETag of If-Match was read.",
}


class Problem(msgspec.Struct, omit_defaults=True):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    """The same as detail, for callers older than the RFC."""
    reason: str | None = None
    field: str | None = None


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document for these operations, under /api/v2 and, marked as deprecated, under /api/v1."""
    operations = list(operations)
    types = [Problem, *(each.answer for each in operations if each.answer is not bytes)]
    types += [each.body for each in operations if each.body is not None]
    types += [each.parameters for each in operations]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    of_type = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for version in ("v2", "v1"):
        for operation in operations:
            plain = re.sub(r"{(\w+):\w+}", r"{\1}", operation.path)
            path = paths.setdefault(f"/api/{version}{plain}", {})
            path[operation.method.lower()] = _described(operation, version, of_type, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MUTT admin API",
            "version": __version__,
            "description": "Rules, hosts, teams, dead letters, events and settings of the Multi-Use Telemetry Tool.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}},
        },
    }


def _described(
    operation: Operation, version: str, of_type: dict[int, Any], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.name}_{version}",
        "summary": operation.summary,
        "tags": [operation.tag or operation.path.split("/")[1]],
        "x-scope": operation.scope.name.lower(),
        "responses": _responses(operation, of_type),
    }
    if version == "v1":
        described["deprecated"] = True
    if parameters := _parameters(operation, of_type, components):
        described["parameters"] = parameters
    if operation.body is not None:
        schema = of_type[id(operation.body)]
        media = ("application/json", "application/yaml")
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": {each: {"schema": schema} for each in media},
        }
    return described


def _responses(operation: Operation, of_type: dict[int, Any]) -> dict[str, Any]:
    if operation.answer is bytes:
        content: dict[str, Any] = {
            each: {"schema": {}} for each in (operation.content_type, *operation.other_content_types)
        }
    else:
        content = {operation.content_type: {"schema": of_type[id(operation.answer)]}}
        if operation.streams:
            content["application/x-ndjson"] = {"schema": {"type": "string"}}
    responses: dict[str, Any] = {str(operation.status): {"description": "Done.", "content": content}}
    if operation.method == "GET":
        responses["304"] = {"description": "As If-None-Match says, nothing changed."}
    sentences = COMMON_PROBLEMS | OTHER_PROBLEMS
    statuses = {*COMMON_PROBLEMS, *operation.problems, *((409,) if operation.method == "POST" else ())}
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    for status in sorted(statuses):
        responses[str(status)] = {"description": sentences[status], "content": problem}
    return responses


def _parameters(operation: Operation, of_type: dict[int, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    schema = of_type[id(operation.parameters)]
    name = schema.get("$ref", "").rpartition("/")[2]
    properties = (components[name] if name else schema).get("properties", {})
    in_path = set(re.findall(r"{(\w+)(?::\w+)?}", operation.path))
    parameters = []
    for parameter, shape in properties.items():
        shape = {key: value for key, value in shape.items() if key != "default" or value is not None}
        described = {
            "name": parameter,
            "in": "path" if parameter in in_path else "query",
            "required": parameter in in_path,
            "schema": shape,
        }
        parameters.append(described)
    if operation.method == "POST" and not operation.streams:
        parameters.append(_header("Idempotency-Key", "A request that is sent again under one key is done once.", 255))
    if 412 in operation.problems:
        parameters.append(_header("If-Match", "ETag of what the change was made from.", 200))
    return parameters


def _header(name: str, description: str, most: int) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": most},
    }
