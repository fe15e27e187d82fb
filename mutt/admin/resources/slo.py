"""/slo: the service level objectives."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.slo import ServiceLevels
from mutt.admin.shapes.overview import Objectives


class SloResource:
    def __init__(self, levels: ServiceLevels) -> None:
        self._levels = levels

    def operations(self) -> list[Operation]:
        return [Operation("GET", "/slo", Scope.VIEWER, self.report, Objectives)]

    def report(self, _call: Call) -> Objectives:
        """Availability, error budget and burn rate of ingest and delivery, at most ten seconds old."""
        return self._levels.report()
