"""mutt-webui: the program that shows the dashboard."""

from mutt.settings import WebUI
from mutt.web.entry import serve


def main() -> None:
    serve("mutt-webui", WebUI, "mutt.admin.app", lambda each: (each.webui.port, each.webui.workers))


if __name__ == "__main__":
    main()
