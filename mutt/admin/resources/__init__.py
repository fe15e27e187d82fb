"""The operations of the REST API, by capability."""

from mutt.admin.operation import Operation
from mutt.admin.resources.backtests import BacktestsResource, HygieneResource
from mutt.admin.resources.config import ConfigResource
from mutt.admin.resources.config_audit import ConfigAuditResource
from mutt.admin.resources.dead_letters import DeadLettersResource
from mutt.admin.resources.diagnosis import DiagnosisResource
from mutt.admin.resources.events import EventsResource
from mutt.admin.resources.inventory import DevHostsResource, DeviceTeamsResource
from mutt.admin.resources.overview import OverviewResource
from mutt.admin.resources.rules import RuleSetsResource, RulesResource, RuleTestsResource
from mutt.admin.resources.slo import SloResource
from mutt.admin.resources.unhandled import UnhandledResource
from mutt.admin.wiring import Services


def operations(services: Services) -> list[Operation]:
    """All of them."""
    return [
        *OverviewResource(services.overview).operations(),
        *ConfigResource(services.config, services.page_size).operations(),
        *SloResource(services.slo).operations(),
        *DiagnosisResource(services.diagnosis).operations(),
        *DevHostsResource(services.hosts, services.page_size).operations(),
        *DeviceTeamsResource(services.teams, services.page_size).operations(),
        *EventsResource(services.events, services.journeys, services.page_size).operations(),
        *ConfigAuditResource(services.config_audit, services.page_size).operations(),
        *RulesResource(services.rules, services.page_size).operations(),
        *RuleTestsResource(services.rule_tests).operations(),
        *RuleSetsResource(services.rule_sets).operations(),
        *BacktestsResource(services.backtests).operations(),
        *HygieneResource(services.hygiene).operations(),
        *DeadLettersResource(services.dead_letters, services.page_size).operations(),
        *UnhandledResource(services.unhandled, services.page_size).operations(),
    ]
