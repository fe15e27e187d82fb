"""The operations of the REST API, by capability."""

from mutt.admin.operation import Operation
from mutt.admin.resources.overview import OverviewResource
from mutt.admin.wiring import Services


def operations(services: Services) -> list[Operation]:
    """All of them."""
    return [
        *OverviewResource(services.overview).operations(),
    ]
