"""The web UI: its parts, put together."""

from importlib.resources import files
from typing import Any

import falcon

from mutt.admin.overview import Overview
from mutt.admin.resources import MetricsApi, OverviewPage
from mutt.admin.sessions import Sessions
from mutt.credentials import open_credentials
from mutt.redisdb.client import connect, outages
from mutt.settings import WebUI
from mutt.store.pool import Database
from mutt.web import health, problems
from mutt.web.monitoring import HealthResource, MetricsResource

SERVICE = "mutt-webui"


def create_app(settings: WebUI) -> Any:
    """The WSGI application of one gunicorn worker; starts its background greenlets."""
    credentials = open_credentials(settings.credentials)
    credentials.start()
    client = connect(settings.redis, credentials, SERVICE)
    database = Database(settings.database, credentials, SERVICE)
    overview = Overview(client, database, settings.queues)
    sessions = Sessions(credentials)

    def check_redis() -> None:
        with outages():
            client.ping()

    def depth() -> int:
        with outages():
            return int(client.llen(settings.queues.ingest_queue))

    checks = {"redis": check_redis, "postgres": database.ping, "queue_depth": depth}
    app = falcon.App()
    app.add_error_handler(falcon.HTTPError, problems.handle_http_error)
    app.add_route("/", OverviewPage(overview, sessions, credentials, settings.server.tls_cert_path is not None))
    metrics_api = MetricsApi(overview, sessions, settings.webui.metrics_cache_ttl_seconds)
    app.add_route("/api/v2/metrics", metrics_api)
    app.add_route("/api/v1/metrics", metrics_api)
    app.add_route("/health", HealthResource(lambda: health.report(SERVICE, checks)))
    app.add_route("/metrics", MetricsResource())
    app.add_static_route("/static", str(files("mutt.admin") / "static"))
    return app
