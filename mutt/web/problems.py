"""Refusals as application/problem+json (RFC 9457), one shape for both applications."""

import falcon
import msgspec

from mutt.errors import RequestError

RETRY_AFTER_SECONDS = 5


def write(resp: falcon.Response, problem: RequestError) -> None:
    """Answers with the problem. ``error`` repeats the sentence for callers older than the RFC."""
    title = falcon.code_to_http_status(problem.status).partition(" ")[2]
    resp.status = falcon.code_to_http_status(problem.status)
    resp.content_type = "application/problem+json"
    if problem.status == 503:
        resp.set_header("Retry-After", str(RETRY_AFTER_SECONDS))
    body = {
        "type": f"urn:mutt:problem:{problem.reason}",
        "title": title,
        "status": problem.status,
        "detail": str(problem),
        "reason": problem.reason,
        "error": str(problem),
    }
    if problem.field is not None:
        body["field"] = problem.field
    resp.data = msgspec.json.encode(body)


def handle_http_error(_req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object) -> None:
    """Falcon's own refusals (no such path, method not allowed) in the same shape."""
    status = falcon.http_status_to_code(error.status)
    title = falcon.code_to_http_status(status).partition(" ")[2]
    resp.status = error.status
    resp.content_type = "application/problem+json"
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    sentence = error.description or title
    resp.data = msgspec.json.encode(
        {"type": "about:blank", "title": title, "status": status, "detail": sentence, "error": sentence}
    )
