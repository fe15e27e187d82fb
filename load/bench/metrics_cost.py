"""What the metrics of a batch cost the alerter, beside the work on the batch itself.

``python -m load.bench.metrics_cost`` prints one JSON line. The work is only what needs no server: decode, decide and
make the audit row. The whole is more, so the share is less.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="mutt-bench-")  # As the programs run: in files.

from mutt.events import event
from mutt.events.event import Event
from mutt.observability.metrics import AlerterMetrics
from mutt.rules.decision import decide
from mutt.rules.rule import build_snapshot
from mutt.workers.alerter import Decided, _row

BATCH = 500
ROUNDS = 5
LINE = "%LINEPROTO-5-UPDOWN: Line protocol on Interface Gi0/{number}, changed state to down"


def microseconds_an_event(work: Callable[[], object], repeat: int) -> float:
    """CPU time of the fastest of some rounds: what else the machine does only ever adds to it."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(repeat):
            work()
        best = min(best, time.process_time() - started)
    return best / repeat / BATCH * 1e6


def messages() -> list[bytes]:
    now = datetime.now(UTC)
    return [
        event.encode(
            Event(
                event_id=f"{number:032d}",
                correlation_id=f"{number:08d}-0000-4000-8000-000000000000",
                timestamp=now,
                ingestion_timestamp=now - timedelta(milliseconds=3 + number / 100),
                hostname=f"sw{number}",
                message=LINE.format(number=number),
                source="syslog",
                syslog_severity=5,
            )
        )
        for number in range(BATCH)
    ]


def main() -> None:
    metrics, snapshot, batch = AlerterMetrics(), build_snapshot([], [], {}), messages()

    def work() -> list[Decided]:
        events = [event.decode(message) for message in batch]
        decided = [Decided(each, decide(each, snapshot)) for each in events]
        for each in decided:
            _row(each)
        return decided

    decided = work()

    def measure() -> None:
        accepted_at = [each.event.ingestion_timestamp for each in decided]
        metrics.end_to_end.observe_since(accepted_at, time.time())
        metrics.processing_depth.inc(BATCH)
        metrics.processing_depth.dec(BATCH)
        metrics.dead_letters.labels("unreadable_message").inc(0)

    of_work, of_metrics = microseconds_an_event(work, 100), microseconds_an_event(measure, 500)
    print(json.dumps({
        "work_us_an_event": round(of_work, 3), "metrics_us_an_event": round(of_metrics, 3),
        "percent": round(100 * of_metrics / of_work, 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
