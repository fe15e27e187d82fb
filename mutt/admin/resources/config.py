"""/config: the dynamic settings."""

from mutt.admin.access import Scope
from mutt.admin.operation import Call, Operation
from mutt.admin.services.config import DynamicSettings, etag
from mutt.admin.shapes.common import Removal
from mutt.admin.shapes.config import (
    Setting,
    SettingChange,
    SettingHistory,
    SettingHistoryFilter,
    SettingKey,
    Settings,
)


class ConfigResource:
    """``default_limit`` is the size of a page when none is asked for."""

    def __init__(self, settings: DynamicSettings, default_limit: int) -> None:
        self._settings = settings
        self._default_limit = default_limit

    def operations(self) -> list[Operation]:
        one = "/config/{key}"
        return [
            Operation("GET", "/config", Scope.VIEWER, self.list, Settings),
            Operation("GET", one, Scope.VIEWER, self.get, Setting, SettingKey, problems=(404,)),
            Operation("PUT", one, Scope.ADMIN, self.set, Setting, SettingKey, SettingChange, problems=(404, 409, 412)),
            Operation(
                "DELETE", one, Scope.ADMIN, self.reset, Setting, SettingKey, Removal, body_optional=True,
                problems=(404, 409, 412),
            ),
            Operation(
                "GET", f"{one}/history", Scope.VIEWER, self.history, SettingHistory, SettingHistoryFilter,
                problems=(404,),
            ),
        ]  # fmt: skip

    def list(self, _call: Call) -> Settings:
        """Every dynamic setting: its value, where that comes from, what it accepts and which programs follow it."""
        return self._settings.list()

    def get(self, call: Call) -> Setting:
        """One dynamic setting."""
        return self._tagged(call, self._settings.get(call.parameters.key))

    def set(self, call: Call) -> Setting:
        """Changes a dynamic setting; all programs follow within two seconds, without a restart."""
        author = call.author(call.body.reason or call.parameters.reason)
        changed = self._settings.set(call.parameters.key, call.body.value, author, call.if_match)
        return self._tagged(call, changed)

    def reset(self, call: Call) -> Setting:
        """Puts a dynamic setting back to its default."""
        author = call.author(call.body.reason or call.parameters.reason)
        return self._tagged(call, self._settings.reset(call.parameters.key, author, call.if_match))

    def history(self, call: Call) -> SettingHistory:
        """Who changed a dynamic setting, when, from what to what and why; newest first."""
        wanted = call.parameters
        return self._settings.history(wanted.key, wanted.page, wanted.limit or self._default_limit)

    @staticmethod
    def _tagged(call: Call, setting: Setting) -> Setting:
        call.etag = etag(setting)
        return setting
