"""One question to Prometheus, which may be slow, away or something else altogether."""

import gevent
import msgspec
import requests

from mutt.errors import MuttError

DEADLINE_SECONDS = 2.0
"""For the whole request: a page waits for it."""

MOST_ANSWER_BYTES = 256 * 1024


class PrometheusError(MuttError):
    """Prometheus gave no usable answer; the text says why."""


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


class Prometheus:
    """Asks the server at ``url``. Redirects are not followed and proxies of the environment not used."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def values(self, query: str, label: str) -> dict[str, float]:
        """The instant vector of the query: each series' value by its label. Raises PrometheusError."""
        answer = _decoded(self._ask(query))
        if answer.data is None:
            raise PrometheusError(f"Prometheus at {self.url} refuses the query: {answer.error[:200]}")
        return {each.metric.get(label, ""): float(each.value[1]) for each in answer.data.result}

    def _ask(self, query: str) -> bytes:
        deadline = gevent.Timeout(DEADLINE_SECONDS)
        try:
            with (
                deadline,
                self._session.get(
                    f"{self.url}/api/v1/query", params={"query": query}, timeout=DEADLINE_SECONDS,
                    allow_redirects=False, stream=True,
                ) as response,
            ):  # fmt: skip
                content = response.raw.read(MOST_ANSWER_BYTES + 1, decode_content=True)
                status = response.status_code
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            raise PrometheusError(f"Prometheus at {self.url} did not answer within {DEADLINE_SECONDS:g} s") from None
        except (requests.RequestException, OSError, ValueError) as error:
            raise PrometheusError(f"Prometheus at {self.url} cannot be asked ({type(error).__name__})") from error
        if len(content) > MOST_ANSWER_BYTES:
            raise PrometheusError(f"Prometheus at {self.url} answered more than {MOST_ANSWER_BYTES} bytes")
        # A query that is refused is answered 400 or 422, with the reason.
        if status not in (200, 400, 422):
            raise PrometheusError(f"Prometheus at {self.url} answered {status}")
        return bytes(content)


def _decoded(content: bytes) -> _Answer:
    try:
        return msgspec.json.decode(content, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PrometheusError("what PROMETHEUS_URL names does not answer as Prometheus does") from error
