"""What the entry points of both HTTP applications do: read the settings, then serve."""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from mutt.observability import logs, multiprocess, tracing
from mutt.settings import Ingestor, WebUI, load_or_exit

HttpProgram = TypeVar("HttpProgram", Ingestor, WebUI)


def serve(
    program: str, wanted: type[HttpProgram], app_module: str, listen: Callable[[HttpProgram], tuple[int, int]]
) -> None:
    """Runs a program until it is told to stop.

    ``app_module`` has the function create_app(settings); ``listen`` names (port, gunicorn workers) by the settings.
    """
    settings = load_or_exit(wanted)
    multiprocess.prepare_dir(settings.general.run_dir, program)
    logs.configure(settings.general, program)

    from mutt.web.server import Server

    def make_app() -> Any:
        tracing.import_redis_alone()
        # Imported in the worker, after gunicorn patched it: the master must not hold unpatched sockets and locks.
        return importlib.import_module(app_module).create_app(settings)

    port, workers = listen(settings)
    Server(make_app, settings.server, settings.general, port, workers).run()
