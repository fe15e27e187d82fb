"""Serves operations: /api/v2 and, with a note that it is deprecated, /api/v1 from the same declarations."""

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

import falcon
import msgspec

from mutt import API_VERSION
from mutt.admin.access import Access, demand
from mutt.admin.idempotency import IdempotentAnswers
from mutt.admin.operation import Call, Operation
from mutt.admin.shapes.common import Page
from mutt.admin.yaml_documents import read_yaml
from mutt.errors import DataError, OutageError, Reason, RequestError
from mutt.observability import logs
from mutt.observability.metrics import WebUIMetrics
from mutt.web import problems

SUPPORTED_VERSIONS = ("2.5", "2.0", "1.0")

V1_DEPRECATED_AT = "@1762732800"
"""RFC 9745: 10 November 2025, when 2.5 came out."""

V1_SUNSET = "Tue, 10 Nov 2027 00:00:00 GMT"
"""RFC 8594: two years later."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Router:
    """Mounts operations on a Falcon application."""

    def __init__(self, access: Access, idempotent: IdempotentAnswers, metrics: WebUIMetrics) -> None:
        self._access = access
        self._idempotent = idempotent
        self._metrics = metrics
        self.operations: list[Operation] = []

    def mount(self, app: "falcon.App[Any, Any]", operations: Iterable[Operation]) -> None:
        """Adds the operations under both versions."""
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            self.operations.append(operation)
            by_path.setdefault(operation.path, {})[operation.method] = operation
        for path, methods in by_path.items():
            self._metrics.expect(f"/api/v2{path}")
            for version in ("v2", "v1"):
                resource = _resource(methods, version, self._serve)
                app.add_route(f"/api/{version}{path}", resource)

    def _serve(self, operation: Operation, version: str, req: falcon.Request, resp: falcon.Response, path: Any) -> None:
        started = time.perf_counter()
        correlation_id = _correlation_id(req)
        _announce(resp, version, operation, correlation_id)
        try:
            with logs.correlation(correlation_id):
                self._answer(operation, req, resp, path, correlation_id)
        except RequestError as refusal:
            problems.write(resp, refusal)
        except OutageError as outage:
            problems.write(resp, RequestError(outage.reason, 503, str(outage)))
        except DataError as error:
            problems.write(resp, RequestError(Reason.INVALID_FIELD, 422, str(error)))
        endpoint = f"/api/v2{operation.path}"
        self._metrics.requests.labels(endpoint, str(falcon.http_status_to_code(resp.status))).inc()
        self._metrics.latency.labels(endpoint).observe(time.perf_counter() - started)

    def _answer(
        self, operation: Operation, req: falcon.Request, resp: falcon.Response, path: Any, correlation_id: str
    ) -> None:
        actor = self._access.actor(req)
        demand(actor, operation.scope)
        raw = _raw_body(req, operation) if operation.body is not None else b""
        call = Call(
            actor,
            correlation_id,
            _parameters(operation, req, path),
            _body(operation, req, raw),
            if_match=req.get_header("If-Match"),
        )
        may_repeat = operation.method == "POST" and not operation.streams
        key = req.get_header("Idempotency-Key") if may_repeat else None
        if key is None:
            self._execute(operation, req, resp, call)
            return
        with self._idempotent.once(actor.name, key, operation.path, raw) as earlier:
            if earlier.answer is None:
                self._execute(operation, req, resp, call)
                earlier.keep(falcon.http_status_to_code(resp.status), resp.data or b"", resp.content_type or JSON)
            else:
                resp.status = falcon.code_to_http_status(earlier.answer.status)
                resp.content_type, resp.data = earlier.answer.content_type, earlier.answer.content
                resp.set_header("Idempotency-Replayed", "true")

    def _execute(self, operation: Operation, req: falcon.Request, resp: falcon.Response, call: Call) -> None:
        answer = operation.handler(call)
        resp.status = falcon.code_to_http_status(operation.status)
        resp.content_type = call.content_type or operation.content_type
        if operation.streams:
            if _accepts_lines(req):
                resp.content_type = NDJSON
                resp.stream = _lines(answer, req)
                return
            answer = _last(answer)
        if call.etag is not None:
            resp.etag = call.etag
            if req.method == "GET" and call.etag in [str(each) for each in req.if_none_match or []]:
                resp.status = falcon.HTTP_304
                return
        if call.location is not None:
            resp.location = call.location
        if call.filename is not None:
            resp.downloadable_as = call.filename
        if isinstance(answer, Page):
            _link_pages(req, resp, answer)
        resp.data = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)


def _resource(methods: dict[str, Operation], version: str, serve: Callable[..., None]) -> Any:
    """A Falcon resource with a responder for each method."""

    def responder(operation: Operation) -> Callable[..., None]:
        def respond(_self: Any, req: falcon.Request, resp: falcon.Response, **path: Any) -> None:
            serve(operation, version, req, resp, path)

        return respond

    responders = {f"on_{method.lower()}": responder(operation) for method, operation in methods.items()}
    return type("OperationResource", (), responders)()


def _correlation_id(req: falcon.Request) -> str:
    presented = req.get_header("X-Correlation-ID") or ""
    return presented.lower() if _UUID.fullmatch(presented) else str(uuid.uuid4())


def _announce(resp: falcon.Response, version: str, operation: Operation, correlation_id: str) -> None:
    resp.set_header("X-API-Version", API_VERSION)
    resp.set_header("X-API-Supported-Versions", ", ".join(SUPPORTED_VERSIONS))
    resp.set_header("X-Correlation-ID", correlation_id)
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("X-Content-Type-Options", "nosniff")
    if version == "v1":
        resp.set_header("Deprecation", V1_DEPRECATED_AT)
        resp.set_header("Sunset", V1_SUNSET)
        resp.append_header("Link", f'</api/v2{operation.path}>; rel="successor-version"')


# --- what comes in ------------------------------------------------------------------------------------------------


def _parameters(operation: Operation, req: falcon.Request, path: dict[str, str]) -> Any:
    given: dict[str, Any] = {**req.params, **path}
    known = {each.encode_name for each in msgspec.structs.fields(operation.parameters)}
    for name in given:
        if name not in known:
            raise RequestError(
                Reason.INVALID_FIELD,
                400,
                f"there is no parameter {name!r}; known are: {', '.join(sorted(known)) or 'none'}",
                field=name,
            )
    try:
        return msgspec.convert(given, operation.parameters, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _raw_body(req: falcon.Request, operation: Operation) -> bytes:
    """The body as it came. Raises RequestError when it is over the operation's limit."""
    raw = req.bounded_stream.read(operation.most_body_bytes + 1)
    if len(raw) > operation.most_body_bytes:
        raise RequestError(Reason.BODY_TOO_LARGE, 413, f"the body is larger than {operation.most_body_bytes} bytes")
    return bytes(raw)


def _body(operation: Operation, req: falcon.Request, raw: bytes) -> Any:
    if operation.body is None:
        return None
    if not raw.strip():
        if operation.body_optional:
            return operation.body()
        raise RequestError(Reason.NOT_JSON, 400, "the request has no body; send a JSON object")
    try:
        return msgspec.convert(_document(req, raw), operation.body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _document(req: falcon.Request, raw: bytes) -> Any:
    media_type = (req.content_type or JSON).partition(";")[0].strip().lower()
    if media_type in YAML:
        try:
            return read_yaml(raw)
        except ValueError as error:
            raise RequestError(Reason.NOT_JSON, 400, f"the body is not YAML: {error}") from error
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(Reason.NOT_JSON, 400, f"the body is not JSON: {error}") from error


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:field|required field) `(?P<name>[^`]*)`")


def _invalid(error: msgspec.ValidationError) -> RequestError:
    """msgspec's complaint as a problem that names the field."""
    found = _AT.match(str(error))
    what, where = (found["what"], found["where"] or "") if found else (str(error), "")
    named = _NAMED.search(what)
    name = ".".join(part for part in (where, named["name"] if named else "") if part)
    sentence = what.replace("`", "'")
    return RequestError(
        Reason.INVALID_FIELD, 400, f"{name}: {sentence[:1].lower()}{sentence[1:]}" if name else sentence,
        field=name or None,
    )  # fmt: skip


# --- what goes out ------------------------------------------------------------------------------------------------


def _accepts_lines(req: falcon.Request) -> bool:
    return NDJSON in (req.accept or "")


def _lines(answers: Iterator[Any], req: falcon.Request) -> Iterator[bytes]:
    """Each answer as a line, sent as soon as it is there.

    The status has been sent, so a failure midway is a last line with a problem.
    """
    send = getattr(req.env.get("gunicorn.socket"), "flush", None)
    try:
        for answer in answers:
            yield msgspec.json.encode(answer) + b"\n"
            if send is not None:
                send()
    except (RequestError, OutageError) as error:
        yield msgspec.json.encode({"error": str(error), "reason": error.reason}) + b"\n"


def _last(answers: Iterator[Any]) -> Any:
    answer = None
    with contextlib.suppress(StopIteration):
        while True:
            answer = next(answers)
    return answer


def _link_pages(req: falcon.Request, resp: falcon.Response, page: Page) -> None:
    """RFC 8288 links to the pages around this one."""
    last = max(1, -(-page.total // page.limit))
    pages = {"first": 1, "prev": page.page - 1, "next": page.page + 1, "last": last}
    for relation, number in pages.items():
        if 1 <= number <= last and not (relation == "prev" and page.page > last + 1):
            query = urlencode({**req.params, "page": number, "limit": page.limit}, doseq=True)
            resp.append_header("Link", f'<{req.path}?{query}>; rel="{relation}"')
