"""The rows of the fault suite, in the order in which they run: first those that can share one appliance."""

from tests.chaos.rows.attack import attack
from tests.chaos.rows.failover import failover
from tests.chaos.rows.full import aof_disk_full, maxmemory
from tests.chaos.rows.kill import kill, pause
from tests.chaos.rows.poison import poison
from tests.chaos.rows.postgres_away import postgres_away, postgres_restart
from tests.chaos.rows.redis_away import redis_restart
from tests.chaos.rows.replies import lost_replies
from tests.chaos.rows.rotation import rotation
from tests.chaos.rows.webhook import webhook
from tests.chaos.trial import Row

ROWS: dict[str, Row] = {
    "kill": kill,
    "pause": pause,
    "redis_restart": redis_restart,
    "postgres_restart": postgres_restart,
    "postgres_away": postgres_away,
    "maxmemory": maxmemory,
    "webhook": webhook,
    "poison": poison,
    "rotation": rotation,
    "attack": attack,
    "lost_replies": lost_replies,
    "aof_disk_full": aof_disk_full,
    "failover": failover,
}
