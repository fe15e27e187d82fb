"""/metrics: the figures of the overview."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.overview import Overview
from mutt.admin.shapes.overview import Figures


class OverviewResource:
    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def operations(self) -> list[Operation]:
        return [Operation("GET", "/metrics", Scope.VIEWER, self.figures, Figures)]

    def figures(self, _call: Call) -> Figures:
        """Rates, queues, counters and the circuit, at most METRICS_CACHE_TTL seconds old."""
        return self._overview.figures()
