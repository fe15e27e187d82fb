"""mutt-ingestor: reads its settings and serves."""

from mutt.settings import Ingestor, load_or_exit


def main() -> None:
    settings = load_or_exit(Ingestor)

    from mutt.observability import logs, multiprocess

    multiprocess.prepare_dir(settings.general.run_dir, "mutt-ingestor")
    logs.configure(settings.general, "mutt-ingestor")

    from mutt.web.server import Server

    def make_app() -> object:
        # Imported in the worker, after gunicorn patched it: the master must not hold unpatched sockets and locks.
        from mutt.ingest.app import create_app

        return create_app(settings)

    Server(make_app, settings.server, settings.general, settings.ingest.port, settings.ingest.workers).run()


if __name__ == "__main__":
    main()
