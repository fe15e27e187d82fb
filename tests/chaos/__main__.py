"""``python -m tests.chaos``: runs the fault suite; exit code 1 when a row failed."""

import signal
import sys

from mutt import gevent_patch  # noqa: F401 - must come first
from tests.chaos.runner import main

# What it has started is ended then as at any other end.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
sys.exit(main(sys.argv[1:]))
