"""mutt-webui: reads its settings and serves."""

from mutt.settings import WebUI, load_or_exit


def main() -> None:
    settings = load_or_exit(WebUI)

    from mutt.observability import logs, multiprocess

    multiprocess.prepare_dir(settings.general.run_dir, "mutt-webui")
    logs.configure(settings.general, "mutt-webui")

    from mutt.web.server import Server

    def make_app() -> object:
        # Imported in the worker, after gunicorn patched it: the master must not hold unpatched sockets and locks.
        from mutt.admin.app import create_app

        return create_app(settings)

    Server(make_app, settings.server, settings.general, settings.webui.port, settings.webui.workers).run()


if __name__ == "__main__":
    main()
