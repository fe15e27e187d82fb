"""One shape for all log lines: plain text, or one JSON object a line when LOG_JSON_ENABLED is true.

Libraries that log through the standard library (gunicorn among them) come out in the same shape, and so do Python's
warnings and errors that nobody caught. No traceback shows the values of variables: a password may be among them.
"""

import io
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from mutt import API_VERSION
from mutt.events.ids import canonical_uuid
from mutt.observability import tracing
from mutt.settings import GeneralSettings


def configure(settings: GeneralSettings, service: str) -> None:
    """Sends every log line of this process to standard output. Call once, before the first line."""

    def add_identity(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "service": service, "version": API_VERSION, "pod_name": settings.pod}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.CallsiteParameterAdder(
            {
                structlog.processors.CallsiteParameter.MODULE,
                structlog.processors.CallsiteParameter.FUNC_NAME,
                structlog.processors.CallsiteParameter.LINENO,
                structlog.processors.CallsiteParameter.THREAD_NAME,
            }
        ),
        _guide_names,
        _trace_ids,
        add_identity,
    ]
    renderer: list[structlog.typing.Processor]
    if settings.log_json:
        shared.append(structlog.processors.format_exc_info)
        renderer = [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback  # The default would show every frame's variables.
        renderer = [
            _without_details,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=plain),
        ]
    structlog.configure(
        # The level is asked of the standard library for each line: it may change while the program runs.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # A lone surrogate must not cost the line.
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(settings.log_level)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    if "gevent" in sys.modules:
        catch_greenlets()
    # Their INFO lines are about single connections and requests.
    for chatty in ("urllib3", "hvac"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def catch_greenlets() -> None:
    """Errors that end a greenlet become log lines. To be called in a process that gevent has patched.

    gevent itself would write a traceback to standard error and show the arguments that the greenlet was started with.
    """
    import gevent

    def log_failure(_context: object, kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        _uncaught.error("a greenlet ended by an error", exc_info=(kind, error, traceback))

    gevent.get_hub().print_exception = log_failure


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        _uncaught.critical("ended by an error that nobody caught", exc_info=(kind, error, traceback))


def set_level(level: str) -> None:
    """From now on lines less severe than the level are left out."""
    logging.getLogger().setLevel(level)


_uncaught = logging.getLogger("mutt.uncaught")


@contextmanager
def correlation(correlation_id: str | None = None) -> Iterator[None]:
    """While in here every line of this greenlet names the id that this one or ``correlate`` says.

    Text that is no UUID is left out: it comes from whoever sends the request.
    """
    try:
        if correlation_id and (known := canonical_uuid(correlation_id)):
            correlate(known)
        yield
    finally:
        structlog.contextvars.unbind_contextvars("correlation_id")


def correlate(correlation_id: str) -> None:
    """From now on every line of this greenlet names this id, until the ``correlation`` around it ends."""
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id)


def _trace_ids(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if ids := tracing.current():
        event.update(ids._asdict())
    return event


def _guide_names(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["level"] = str(event.get("level", "info")).upper()
    event["function"] = event.pop("func_name", None)
    event["line"] = event.pop("lineno", None)
    event["thread"] = event.pop("thread_name", None)
    return event


def _without_details(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A person reading plain text does not need what is the same on every line, nor what could move the cursor."""
    for name in ("module", "function", "line", "version", "pod_name", "thread"):
        event.pop(name, None)
    for name, value in event.items():
        # The renderer quotes values with white space in them, and escapes them in doing so.
        if isinstance(value, str) and (name == "event" or not re.search(r"\s", value)):
            event[name] = _CONTROL.sub(_escaped, value)
    return event


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Syslog text comes from devices and whoever writes to them; a terminal obeys some of these characters."""


def _escaped(match: "re.Match[str]") -> str:
    return f"\\x{ord(match.group()):02x}"
