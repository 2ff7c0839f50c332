"""Announce changed keys to every process, through the server that ``FRESHNESS`` names.

PostgreSQL gets the names within the transaction, and passes them on if it commits. Redis gets them after it.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import settings
from ..policy.tokens import LOCATOR_LENGTH
from ..push import listening_alias

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from redis import ConnectionPool, Redis

logger = logging.getLogger("allowlist")

LEASE = 2.0
"""Seconds that a cached policy is used after the last sign of life from the server."""
MAX_AGE = 10.0
"""Seconds that a cached policy is used at most without reading it again."""
ANNOUNCE_TIMEOUT = LEASE + 0.5
"""Seconds that a writer waits for Redis. By then, processes that lost it have stopped using their cache."""
MAX_NAMES = 1000
"""How many changed keys are named; for more, every key is read again. Redis writes a client 64 KB at a time,
and a longer message may arrive after the writer has gone on."""

PREFIX = "allowlist:"
CHANNEL = "allowlist"
EVERYTHING = "*"
_MAX_PAYLOAD = 7999
_PER_PAYLOAD = _MAX_PAYLOAD // (LOCATOR_LENGTH + 1)


def redis_pool(url: str, **options: Any) -> "ConnectionPool":
    """Return connections to make; ``options`` go before what ``url`` says of them in its query."""
    from redis import ConnectionPool
    from redis.connection import parse_url

    return ConnectionPool(**{**parse_url(url), **options})  # type: ignore[no-untyped-call]


class Announcement:
    """The names of the keys that a transaction changes; called once it is committed."""

    def __init__(self, url: str, names: list[str]) -> None:
        self.url = url
        self.names = set(names)

    def __call__(self) -> None:
        """Have Redis push the names to every process; log an error if that fails."""
        from redis import RedisError

        names = sorted(self.names) if len(self.names) <= MAX_NAMES else [EVERYTHING]
        keys = [PREFIX + name for name in names]
        try:
            client = _client(self.url)
            client.mset(dict.fromkeys(keys, ""))
            # Its answer comes after the first command's pushes are on their way; and nothing stays behind.
            client.delete(*keys)
        except (RedisError, OSError) as error:
            logger.error(
                "Changed keys (%d) could not be announced (%s): a process that still hears from Redis may "
                "use their old state for up to %.0f s.",
                len(self.names),
                error,
                MAX_AGE,
            )


def announce(keys: "QuerySet[Any]", alias: str) -> None:
    """Announce to every process that these keys change, if the transaction is committed."""
    freshness = settings().FRESHNESS
    if freshness is None:
        return
    connection = connections[alias]
    is_redis = listening_alias(freshness, alias) is None
    if not is_redis and connection.vendor != "postgresql":
        return  # Nobody can listen there, so every request reads its key.
    # One more than are named is as good as all of them.
    names = list(keys.using(alias).values_list("locator", flat=True)[: MAX_NAMES + 1])
    if names and is_redis:
        _announce_after_commit(freshness, connection, names)
    elif names:
        _notify(connection, names)


def _notify(connection: BaseDatabaseWrapper, names: list[str]) -> None:
    """Have PostgreSQL push the names at the commit; it drops them at a rollback."""
    if len(names) > MAX_NAMES:
        names = [EVERYTHING]
    payloads = [" ".join(names[at : at + _PER_PAYLOAD]) for at in range(0, len(names), _PER_PAYLOAD)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload", [CHANNEL, payloads]
        )


def _announce_after_commit(url: str, connection: BaseDatabaseWrapper, names: list[str]) -> None:
    """Have Redis push the names once the transaction is committed, together with its others."""
    waiting = next((hook[1] for hook in connection.run_on_commit if isinstance(hook[1], Announcement)), None)
    if waiting is not None:
        waiting.names.update(names)
        return
    # Without autocommit, nothing may wait for a commit but in an atomic block.
    with transaction.atomic(using=connection.alias, savepoint=False):
        transaction.on_commit(Announcement(url, names), using=connection.alias)
        # Before the project's own, one of which may be slow, or fail and stop the rest.
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())


@cache
def _client(url: str) -> "Redis":
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.retry import Retry

    # Once more after a lost connection, as Redis may have been restarted since; never after a time-out.
    pool = redis_pool(
        url,
        socket_timeout=ANNOUNCE_TIMEOUT,
        socket_connect_timeout=ANNOUNCE_TIMEOUT,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return Redis.from_pool(pool)
