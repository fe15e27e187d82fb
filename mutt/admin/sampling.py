"""What the web UI notes every minute about the database and the certificates, for its metrics."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mutt.admin.services.checks.certificates import CertificateError, expiry
from mutt.admin.services.checks.host import certificate_files
from mutt.errors import MuttError
from mutt.observability.metrics import WebUIMetrics
from mutt.settings import Host
from mutt.store import condition
from mutt.store.pool import Database

SECONDS = 60.0


def of_partitions(metrics: WebUIMetrics, database: Database) -> Callable[[], None]:
    """The sample of what lies in the default partitions; while PostgreSQL is away the last one stays."""

    def sample() -> None:
        try:
            found = database.run(condition.look)
        except MuttError:
            return
        metrics.missing_partitions.set(len(found.missing_partitions))
        for partition, rows in found.default_rows.items():
            metrics.default_rows.labels(partition.removesuffix("_default")).set(rows)

    return sample


def of_certificates(metrics: WebUIMetrics, host: Host) -> Callable[[], None]:
    """The sample of when the certificates expire that the settings name."""
    files: Mapping[str, Path] = certificate_files(host)
    for setting in files:
        metrics.certificate_expiry.labels(setting)

    def sample() -> None:
        for setting, file in files.items():
            metrics.certificate_expiry.labels(setting).set(_expires_at(file))

    return sample


def _expires_at(file: Path) -> float:
    try:
        return expiry(file).timestamp()
    except (OSError, CertificateError):
        return 0.0
