"""The diagnosis: one look at everything, each fault with its fix. Used by GET /doctor and, on a host, by mutt-admin.

It needs nothing to work: every check stands alone, has three seconds, and turns what it meets into a finding.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import gevent

from mutt.admin.services.checks.finding import failed
from mutt.admin.services.checks.host import check_certificates, check_disks, check_secrets, check_settings
from mutt.admin.services.checks.pipeline import check_queues, check_webhook
from mutt.admin.services.checks.postgres import check_postgres, check_rules
from mutt.admin.services.checks.programs import check_program, places
from mutt.admin.services.checks.redis import check_redis
from mutt.admin.shapes.overview import Diagnosis, Finding
from mutt.credentials import Credentials, open_credentials
from mutt.redisdb.client import connect
from mutt.settings import Host
from mutt.store.pool import Database

CHECK_SECONDS = 3.0

Check = Callable[[], list[Finding]]


class Doctor:
    """Looks at the host that ``host`` describes (``mutt.settings.survey()`` reads it).

    ``credentials`` are those of a program that has some; without them the secrets are read here. ``address`` is where
    the programs are asked for their health, when not where the settings say that they listen. In a process that gevent
    has not patched the checks run one after the other, each as long as its own time-outs.
    """

    def __init__(self, host: Host, credentials: Credentials | None = None, address: str | None = None) -> None:
        self._host = host
        self._reads_secrets = credentials is None
        self._credentials = credentials or open_credentials(host.credentials)
        self._address = address
        self._redis = connect(host.redis, self._credentials, "mutt-doctor")
        few = replace(host.database, pool_min_connections=0, pool_max_connections=2)
        self._database = Database(
            few, self._credentials, "mutt-doctor", statement_timeout_seconds=CHECK_SECONDS - 1, schema_check=False
        )

    def look(self) -> Diagnosis:
        """What was looked at and what was found, never an exception; ``healthy`` while nothing has failed."""
        if self._reads_secrets:
            # Everything after it needs the passwords; what goes wrong here is told by the check of the secrets.
            gevent.spawn(self._credentials.refresh).join(CHECK_SECONDS)
        checks = self._checks()
        looking = {name: gevent.spawn(check) for name, check in checks.items()}
        gevent.joinall(list(looking.values()), timeout=CHECK_SECONDS)
        findings = [finding for name, greenlet in looking.items() for finding in _findings(name, greenlet)]
        return Diagnosis(healthy=all(each.state != "failed" for each in findings), findings=findings)

    def close(self) -> None:
        """Gives the connections back; nothing can be looked at afterwards."""
        self._redis.close()
        self._database.close()

    def _checks(self) -> Mapping[str, Check]:
        host, credentials = self._host, self._credentials
        checks: dict[str, Check] = {
            "settings": lambda: check_settings(host),
            "secrets": lambda: check_secrets(host, credentials),
            "redis": lambda: check_redis(host, self._redis),
            "postgresql": lambda: check_postgres(host, self._database),
            "rules": lambda: check_rules(self._database),
        }
        for place in places(host, self._address):
            checks[place.name] = lambda place=place: check_program(place)  # type: ignore[misc]
        return {
            **checks,
            "queues": lambda: check_queues(host, self._redis),
            "webhook": lambda: check_webhook(host, credentials),
            "certificates": lambda: check_certificates(host),
            "disk": lambda: check_disks(host),
        }


def _findings(name: str, greenlet: gevent.Greenlet) -> list[Finding]:
    """What the check found, or that it could not find anything out."""
    if greenlet.successful():
        found: list[Finding] = greenlet.value
        return found
    if greenlet.ready():
        sentence = f"the check itself failed: {type(greenlet.exception).__name__}: {greenlet.exception}"
        return [failed(name, sentence, "report this with the output of: mutt-admin support-bundle")]
    greenlet.kill(block=False)
    sentence = f"no answer within {CHECK_SECONDS:g} s"
    return [failed(name, sentence, "see whether its host is reached at all: ping, then a firewall that drops packets")]
