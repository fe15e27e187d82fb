"""The web UI inside the test's own process, on a real Redis and a real PostgreSQL: for tests of API and dashboard."""

import tempfile
from pathlib import Path
from typing import Any

import falcon.testing
import psycopg2
import redis
from prometheus_client import CollectorRegistry

from mutt import settings
from mutt.admin.app import create_app
from tests.support.postgres import PASSWORD as DB_PASSWORD
from tests.support.postgres import ROLE, PrivatePostgres
from tests.support.redis_server import PASSWORD as REDIS_PASSWORD
from tests.support.redis_server import PrivateRedis

ADMIN, OPERATOR, VIEWER = "admin-key-for-tests", "operator-key-for-tests", "viewer-key-for-tests"
"""Keys named webui, night-shift and wallboard."""


class WebUIUnderTest:
    """``client`` is Falcon's test client. ``call`` sends a key along and reads JSON."""

    def __init__(self, redis_server: PrivateRedis, postgres: PrivatePostgres, **variables: str) -> None:
        self.redis_server = redis_server
        self.postgres = postgres
        self.database = postgres.create_migrated_database()
        self.folder = Path(tempfile.mkdtemp(prefix="mutt-webui-"))
        self.write_secrets()
        self.environ = {
            "MUTT_ENV_FILE": str(self.folder / "none.env"), "MUTT_SECRETS_BACKEND": "file",
            "MUTT_SECRETS_FILE": str(self.folder / "secrets.env"),
            "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis_server.port), "REDIS_TLS_ENABLED": "false",
            "DB_HOST": "127.0.0.1", "DB_PORT": str(postgres.port), "DB_NAME": self.database, "DB_USER": ROLE,
            "DB_TLS_ENABLED": "false", "DYNAMIC_CONFIG_ENABLED": "true", "METRICS_CACHE_TTL": "0",
            **variables,
        }  # fmt: skip
        wanted = settings.load(settings.WebUI, self.environ)
        self.registry = CollectorRegistry()
        self.client = falcon.testing.TestClient(create_app(wanted, self.registry))

    def write_secrets(self, **more: str) -> None:
        secrets = {
            "WEBUI_API_KEY": ADMIN, "WEBUI_API_KEY_OPERATOR_NIGHT_SHIFT": OPERATOR,
            "WEBUI_API_KEY_VIEWER_WALLBOARD": VIEWER,
            "REDIS_PASS_CURRENT": REDIS_PASSWORD, "DB_PASS_CURRENT": DB_PASSWORD, **more,
        }  # fmt: skip
        file = self.folder / "secrets.env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))

    def call(
        self, method: str, path: str, body: Any = None, key: str = ADMIN, headers: dict[str, str] | None = None
    ) -> falcon.testing.Result:
        """``path`` is below /api/v2, with its query, or begins with /api itself."""
        url, _, query = (path if path.startswith("/api") else f"/api/v2{path}").partition("?")
        given = {"X-API-KEY": key} if key else {}
        return self.client.simulate_request(
            method, url, query_string=query, headers={**given, **(headers or {})}, json=body
        )

    def redis(self) -> redis.Redis:
        return self.redis_server.client()

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg2.connect(self.postgres.dsn(self.database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def empty(self) -> None:
        """As after the installation, without the seed rules."""
        self.redis().flushall()
        self.query(
            "TRUNCATE alert_rules, development_hosts, device_teams, event_audit_log, alert_delivery_log, "
            "config_audit_log RESTART IDENTITY"
        )
