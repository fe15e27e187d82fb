"""The web UI: REST API and dashboard, put together."""

from importlib.resources import files
from typing import Any

import falcon
from prometheus_client import REGISTRY, CollectorRegistry

from mutt.admin import sampling as upkeep_sampling
from mutt.admin.access import Access
from mutt.admin.idempotency import IdempotentAnswers
from mutt.admin.openapi import document
from mutt.admin.pages import mount_pages
from mutt.admin.resources import operations
from mutt.admin.router import Router
from mutt.admin.sessions import Sessions
from mutt.admin.wiring import make_services
from mutt.credentials import open_credentials
from mutt.observability.metrics import WebUIMetrics
from mutt.redisdb.client import connect, outages
from mutt.redisdb.dynamic_config import start_dynamic_config
from mutt.settings import WebUI
from mutt.store.pool import Database
from mutt.store.timing import operations as statements
from mutt.web import health, problems, sampling
from mutt.web.monitoring import DocumentResource, HealthResource, MetricsResource
from mutt.web.throttle import WrongKeys

SERVICE = "mutt-webui"


def create_app(settings: WebUI, registry: CollectorRegistry = REGISTRY) -> Any:
    """The WSGI application of one gunicorn worker; starts its background greenlets."""
    metrics = WebUIMetrics(registry, statements())
    credentials = open_credentials(settings.credentials)
    credentials.start()
    client = connect(settings.redis, credentials, SERVICE)
    database = Database(settings.database, credentials, SERVICE, observe=metrics.observe_query)
    dynamic = start_dynamic_config(client, settings.general)
    sampling.keep(
        sampling.of_secrets(metrics, credentials),
        sampling.of_pool(metrics.pool_in_use, metrics.pool_max, database),
    )
    sampling.keep(
        upkeep_sampling.of_partitions(metrics, database),
        upkeep_sampling.of_certificates(metrics, settings.host),
        seconds=upkeep_sampling.SECONDS,
    )
    services = make_services(settings, credentials, client, database, dynamic, metrics)
    sessions = Sessions(credentials, secure=settings.server.tls_cert_path is not None)
    access = Access(credentials, sessions, WrongKeys())

    def check_redis() -> None:
        with outages():
            client.ping()

    def depth() -> int:
        with outages():
            return int(client.llen(settings.queues.ingest_queue))

    checks = {"redis": check_redis, "postgres": database.ping, "queue_depth": depth}
    app = falcon.App()
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(falcon.HTTPError, problems.handle_http_error)
    router = Router(access, IdempotentAnswers(client), metrics)
    router.mount(app, operations(services))
    app.add_route("/api/openapi.json", DocumentResource(document(router.operations)))
    mount_pages(app, services, access, sessions)
    app.add_route("/health", HealthResource(lambda: health.report(SERVICE, checks)))
    app.add_route("/metrics", MetricsResource())
    app.add_static_route("/static", str(files("mutt.admin") / "static"))
    return app
