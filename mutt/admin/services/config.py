"""Dynamic settings: what is in force, and changing it while everything runs."""

import difflib
import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

import redis
import structlog

from mutt.admin.access import Author
from mutt.admin.services.changes import Changes
from mutt.admin.shapes.config import PastSetting, Setting, SettingHistory, Settings
from mutt.errors import OutageError, Reason, RequestError
from mutt.redisdb import keys
from mutt.redisdb.client import outages
from mutt.redisdb.dynamic_config import DYNAMIC_KEYS, DynamicConfig, Value, parse, read_stored
from mutt.settings import Host
from mutt.settings_template import demand
from mutt.store import setting_history
from mutt.store.changes import Operation
from mutt.store.pool import Database

log = structlog.get_logger(__name__)

WARN, SHED = "alerter_queue_warn_threshold", "alerter_queue_shed_threshold"


class DynamicSettings:
    """Reads and changes the values that all programs follow. ``host`` has what mutt.env says while none is stored."""

    def __init__(self, client: redis.Redis, database: Database, dynamic: DynamicConfig, host: Host) -> None:
        self._client = client
        self._database = database
        self._changes = Changes(database)
        self._enabled = dynamic.enabled
        self._from_env: Mapping[str, Value] = {
            "CACHE_RELOAD_INTERVAL": round(host.alerter.cache_reload_interval_seconds),
            "MAX_INGEST_QUEUE_SIZE": host.ingest.max_queue_size,
            "MOOG_RATE_LIMIT": host.webhook.rate_limit,
            "LOG_LEVEL": host.general.log_level,
        }

    def list(self) -> Settings:
        """Every dynamic setting. Raises OutageError."""
        stored = read_stored(self._client)
        settings = [self._setting(key, stored[key]) for key in DYNAMIC_KEYS]
        return Settings(enabled=self._enabled, config=settings, total=len(settings), page=1, limit=len(settings))

    def get(self, key: str) -> Setting:
        """One setting. Raises RequestError (404) and OutageError."""
        _known(key)
        return self._setting(key, read_stored(self._client)[key])

    def set(self, key: str, value: Value, author: Author, if_match: str | None = None) -> Setting:
        """The setting with its new value, which all programs follow within two seconds.

        Raises RequestError: 404 for an unknown key, 400 for a value that it does not accept, 409 while
        DYNAMIC_CONFIG_ENABLED is false, 412 when ``if_match`` names another state, 422 for a value that contradicts
        another setting. Raises OutageError.
        """
        new = _accepted(_known(key), value)
        stored = self._stored_to_change(key, if_match)
        if _usable(key, stored[key]) == new:
            return self._setting(key, stored[key])
        self._check_relations({**stored, key: _text(new)})
        self._change(key, stored[key], _text(new), author)
        return self._setting(key, _text(new))

    def reset(self, key: str, author: Author, if_match: str | None = None) -> Setting:
        """The setting with its default, which holds again. Raises as ``set``."""
        stored = self._stored_to_change(_known(key), if_match)
        if stored[key] is None:
            return self._setting(key, None)
        self._check_relations({**stored, key: None})
        self._change(key, stored[key], None, author)
        return self._setting(key, None)

    def history(self, key: str, page: int, limit: int) -> SettingHistory:
        """The changes of one setting, newest first. Raises RequestError (404) and OutageError."""
        rows, total = setting_history.page(self._database, _known(key), limit, (page - 1) * limit)
        past = [
            PastSetting(
                id=row["id"],
                changed_at=row["changed_at"],
                changed_by=row["changed_by"],
                old_value=(row["old_values"] or {}).get("value"),
                new_value=(row["new_values"] or {}).get("value"),
                reason=row["reason"],
                status=row["status"],
            )
            for row in rows
        ]
        return SettingHistory(history=past, total=total, page=page, limit=limit)

    def _stored_to_change(self, key: str, if_match: str | None) -> Mapping[str, str | None]:
        """What is stored under all keys. Raises RequestError when the key must not be changed now."""
        if not self._enabled:
            raise RequestError(
                Reason.SWITCHED_OFF,
                409,
                "DYNAMIC_CONFIG_ENABLED is false, so no program would follow the change; "
                "set DYNAMIC_CONFIG_ENABLED=true in mutt.env and restart the programs",
            )
        stored = read_stored(self._client)
        if if_match is not None and not _names(if_match, etag(self._setting(key, stored[key]))):
            raise RequestError(Reason.STALE, 412, f"{key} was changed since it was read; read it again")
        return stored

    def _check_relations(self, stored: Mapping[str, str | None]) -> None:
        warn, shed = (self._setting(key, stored[key]).value for key in (WARN, SHED))
        if isinstance(warn, int) and isinstance(shed, int) and warn >= shed:
            raise RequestError(
                Reason.INVALID_FIELD,
                422,
                f"{WARN} ({warn}) must be below {SHED} ({shed}), or load is shed before anybody is warned",
                field="value",
            )

    def _change(self, key: str, old: str | None, new: str | None, author: Author) -> None:
        operation: Operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
        change_id = self._changes.begin(
            author, operation, setting_history.TABLE, key, _recorded(key, old), _recorded(key, new)
        )
        with outages():
            pipe = self._client.pipeline(transaction=True)
            if new is None:
                pipe.delete(keys.config(key))
            else:
                pipe.set(keys.config(key), new)
            pipe.publish(keys.CONFIG_UPDATES, key)
            pipe.execute()
        try:
            self._changes.applied(change_id)
        except OutageError as outage:
            log.warning("a change was made and its audit row could not be marked", key=key, problem=str(outage))

    def _setting(self, key: str, raw: str | None) -> Setting:
        known, problem, value = DYNAMIC_KEYS[key], None, None
        if raw is not None and not self._enabled:
            problem = f"DYNAMIC_CONFIG_ENABLED is false, so the stored value {raw[:80]!r} is ignored"
        elif raw is not None:
            try:
                value = parse(key, raw)
            except ValueError as error:
                problem = f"the stored value {raw[:80]!r} is ignored: {key} {error}"
        default = self._from_env.get(known.variable, known.default)
        return Setting(
            key=key,
            value=default if value is None else value,
            default=default,
            source="redis" if value is not None else "environment" if default != known.default else "default",
            type=known.type,
            accepts=demand(known.parse),
            doc=known.doc,
            programs=[*known.programs],
            problem=problem,
        )


def etag(setting: Setting) -> str:
    """Changes whenever the value does, or where it comes from."""
    return sha256(f"{setting.value}\0{setting.source}\0{setting.problem}".encode()).hexdigest()[:16]


def _names(if_match: str, tag: str) -> bool:
    return if_match.strip() == "*" or tag in re.findall(r'"([^"]*)"', if_match)


def _known(key: str) -> str:
    if key in DYNAMIC_KEYS:
        return key
    close = difflib.get_close_matches(key, DYNAMIC_KEYS, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; known are: {', '.join(DYNAMIC_KEYS)}"
    raise RequestError(Reason.NOT_FOUND, 404, f"there is no dynamic setting {key!r}{hint}", field="key")


def _accepted(key: str, value: Value) -> Value:
    try:
        return parse(key, _text(value))
    except ValueError as error:
        sentence = f"{key} {error}" if "must" in str(error) else f"{key} must be {demand(DYNAMIC_KEYS[key].parse)}"
        raise RequestError(Reason.INVALID_FIELD, 400, sentence, field="value") from error


def _text(value: Value) -> str:
    """The value as it is stored: in plain digits, for 1e-07 is how Python writes a small number and nobody a setting.

    Raises ValueError for a number of more digits than Python writes.
    """
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def _usable(key: str, raw: str | None) -> Value | None:
    try:
        return None if raw is None else parse(key, raw)
    except ValueError:
        return None


def _recorded(key: str, raw: str | None) -> dict[str, Value] | None:
    """The value for the audit, as what it means or, when it means nothing, as it stands."""
    if raw is None:
        return None
    value = _usable(key, raw)
    return {"value": raw if value is None else value}
