"""mutt-ingestor: the program that takes events."""

from mutt.settings import Ingestor
from mutt.web.entry import serve


def main() -> None:
    serve("mutt-ingestor", Ingestor, "mutt.ingest.app", lambda each: (each.ingest.port, each.ingest.workers))


if __name__ == "__main__":
    main()
