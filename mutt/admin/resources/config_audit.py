"""/config-audit: the changes of the configuration, and taking one back."""

from mutt.admin.access import Scope, demand
from mutt.admin.operation import Call, Operation
from mutt.admin.services.config_audit import ConfigAudit
from mutt.admin.services.undoing import scope_to_undo
from mutt.admin.shapes.common import Created
from mutt.admin.shapes.events import ChangeKey, ConfigAuditFilter, ConfigChange, ConfigChangePage, Undo


class ConfigAuditResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, config_audit: ConfigAudit, default_limit: int) -> None:
        self._config_audit = config_audit
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/config-audit/{change_id}"
        return [
            Operation("GET", "/config-audit", Scope.VIEWER, self.list, ConfigChangePage, ConfigAuditFilter),
            Operation("GET", one, Scope.VIEWER, self.get, ConfigChange, ChangeKey, problems=(404,)),
            Operation(
                "POST", f"{one}/undo", Scope.OPERATOR, self.undo, Created, ChangeKey, Undo, body_optional=True,
                status=201, problems=(404, 409),
            ),
        ]  # fmt: skip

    def list(self, call: Call) -> ConfigChangePage:
        """Every change of the configuration, newest first: who made it, why, and the values before and after."""
        return self._config_audit.list(call.parameters, self._default_limit)

    def get(self, call: Call) -> ConfigChange:
        """One change."""
        return self._config_audit.get(call.parameters.change_id)

    def undo(self, call: Call) -> Created:
        """Puts back the values before a change, as a new change, while nothing else has changed them since."""
        demand(call.actor, scope_to_undo(self._config_audit.get(call.parameters.change_id)))
        undone = self._config_audit.undo(call.parameters.change_id, call.author(call.body.reason))
        call.location = f"/api/v2/config-audit/{undone.id}"
        return undone
