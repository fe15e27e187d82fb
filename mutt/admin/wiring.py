"""The services of the web UI, made once a process: what the API, the dashboard and through the API mutt-admin use."""

from dataclasses import dataclass

import redis

from mutt.admin.services.overview import Overview
from mutt.credentials import Credentials
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.settings import WebUI
from mutt.store.pool import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an operator can do, whatever the surface."""

    overview: Overview


def make_services(
    settings: WebUI, credentials: Credentials, client: redis.Redis, database: Database, dynamic: DynamicConfig
) -> Services:
    return Services(
        overview=Overview(client, database, settings.queues, settings.webui.metrics_cache_ttl_seconds),
    )
