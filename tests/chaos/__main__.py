"""``python -m tests.chaos``: runs the fault suite; exit code 1 when a row failed."""

import sys

from mutt import gevent_patch  # noqa: F401 - must come first
from tests.chaos.runner import main

sys.exit(main(sys.argv[1:]))
