"""What every step of upkeep is given."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mutt.maintenance.report import Talk
from mutt.maintenance.session import Session
from mutt.settings import MaintenanceSettings


class Run(NamedTuple):
    """One run of upkeep. With ``dry_run`` nothing is changed, only told."""

    session: Session
    settings: MaintenanceSettings
    talk: Talk
    now: datetime
    dry_run: bool

    def before(self, days: int) -> datetime:
        """The time so many days ago; years that no calendar has are the first one."""
        return self.now - min(timedelta(days=days), self.now - datetime(1, 1, 2, tzinfo=UTC))


def month_of(time: datetime) -> datetime:
    """The start of the month, in UTC."""
    return time.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def shifted(month: datetime, by: int) -> datetime:
    """The month so many months later, or earlier when ``by`` is negative."""
    years, index = divmod(month.year * 12 + month.month - 1 + by, 12)
    return month.replace(year=years, month=index + 1)
