"""The services of the web UI, made once a process: what the API, the dashboard and through the API mutt-admin use."""

from dataclasses import dataclass

import redis

from mutt.admin.services.backtests import Backtests
from mutt.admin.services.changes import Changes
from mutt.admin.services.config import DynamicSettings
from mutt.admin.services.config_audit import ConfigAudit
from mutt.admin.services.dead_letters import DeadLetters
from mutt.admin.services.diagnosis import Doctor
from mutt.admin.services.events import EventAudit
from mutt.admin.services.hygiene import RuleHygiene
from mutt.admin.services.inventory import DevHosts, DeviceTeams
from mutt.admin.services.journeys import JourneyReader
from mutt.admin.services.overview import Overview
from mutt.admin.services.rule_sets import RuleSets
from mutt.admin.services.rule_tests import Admission, RuleTests
from mutt.admin.services.rules import Rules
from mutt.admin.services.slo import ServiceLevels
from mutt.admin.services.unhandled import Unhandled
from mutt.credentials import Credentials
from mutt.observability.metrics import WebUIMetrics
from mutt.redisdb.dynamic_config import DynamicConfig
from mutt.settings import WebUI
from mutt.store.pool import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an operator can do, whatever the surface."""

    page_size: int
    """Entries on a page of a list when the caller does not say."""
    overview: Overview
    config: DynamicSettings
    slo: ServiceLevels
    diagnosis: Doctor
    hosts: DevHosts
    teams: DeviceTeams
    rules: Rules
    rule_tests: RuleTests
    rule_sets: RuleSets
    backtests: Backtests
    hygiene: RuleHygiene
    events: EventAudit
    dead_letters: DeadLetters
    unhandled: Unhandled
    journeys: JourneyReader
    config_audit: ConfigAudit


def make_services(
    settings: WebUI,
    credentials: Credentials,
    client: redis.Redis,
    database: Database,
    dynamic: DynamicConfig,
    metrics: WebUIMetrics,
) -> Services:
    admission = Admission(settings.host.ingest)
    dynamic_settings = DynamicSettings(client, database, dynamic, settings.host)
    return Services(
        page_size=settings.webui.audit_log_page_size,
        overview=Overview(client, settings.queues, settings.webui.metrics_cache_ttl_seconds),
        config=dynamic_settings,
        slo=ServiceLevels(client, dynamic, settings.webui.prometheus_url),
        diagnosis=Doctor(settings.host, credentials),
        hosts=DevHosts(client, database),
        teams=DeviceTeams(client, database),
        rules=Rules(client, database),
        rule_tests=RuleTests(database, admission, settings.host.webhook.format),
        rule_sets=RuleSets(client, database, admission),
        backtests=Backtests(database),
        hygiene=RuleHygiene(database, client),
        events=EventAudit(database),
        dead_letters=DeadLetters(
            client,
            Changes(database),
            settings.queues,
            admission,
            settings.host.remediation,
            metrics,
        ),
        unhandled=Unhandled(client, settings.host.alerter, Changes(database), metrics),
        journeys=JourneyReader(client, database, settings.queues),
        config_audit=ConfigAudit(client, database, dynamic_settings),
    )
