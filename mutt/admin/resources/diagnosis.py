"""/doctor: the diagnosis."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.diagnosis import Doctor
from mutt.admin.shapes.overview import Diagnosis


class DiagnosisResource:
    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    def operations(self) -> list[Operation]:
        return [Operation("GET", "/doctor", Scope.VIEWER, self.look, Diagnosis)]

    def look(self, _call: Call) -> Diagnosis:
        """Looks at settings, Redis, PostgreSQL, programs, queues and the webhook; names each fault and its fix."""
        return self._doctor.look()
