"""The one place that turns PROCTOR_BROKER_URL into clients: redis-py's, and the options that Celery's take.

Whoever talks to the broker comes through here, so that TLS, passwords and sentinels work for all of them or for none.
Making a client opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from proctor import broker_url
from proctor.broker_url import BrokerUrl

CONNECT_S = 5.0
SILENCE_S = 30.0


class _Watched(redis.Redis):
    """A client that closes its connections to the sentinels too."""

    sentinels: Sentinel

    def close(self) -> None:
        super().close()
        for sentinel in self.sentinels.sentinels:
            sentinel.close()


class _AsyncWatched(aioredis.Redis):
    """The same for an event loop."""

    sentinels: AsyncSentinel

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for sentinel in self.sentinels.sentinels:
            await sentinel.aclose()


def client(url: str, silence_s: float = SILENCE_S) -> redis.Redis:
    """A client of the broker. A call that isn't answered within `silence_s` fails, and none is tried again by itself.

    With sentinels it finds the master at each new connection.

    Raises
    ------
    BadInput
        for a URL that can't be meant.
    """
    broker = broker_url.read(url)
    options = {**_options(broker, silence_s), "retry": Retry(NoBackoff(), 0)}
    if broker.scheme == "sentinel":
        sentinels = Sentinel(_places(broker), sentinel_kwargs=sentinel_options(broker))  # type: ignore[no-untyped-call] # redis-py's own
        found: _Watched = sentinels.master_for(broker.master_name, _Watched, **options)  # type: ignore[no-untyped-call] # as above
        found.sentinels = sentinels
        return found
    (host,) = broker.hosts
    return redis.Redis(host=host.name, port=host.port, **options)


def async_client(url: str, silence_s: float = SILENCE_S) -> aioredis.Redis:
    """The same as `client`, for one event loop."""
    broker = broker_url.read(url)
    options = {**_options(broker, silence_s), "retry": AsyncRetry(NoBackoff(), 0)}
    if broker.scheme == "sentinel":
        sentinels = AsyncSentinel(_places(broker), sentinel_kwargs=sentinel_options(broker))  # type: ignore[no-untyped-call] # as above
        found: _AsyncWatched = sentinels.master_for(broker.master_name, _AsyncWatched, **options)
        found.sentinels = sentinels
        return found
    (host,) = broker.hosts
    return aioredis.Redis(host=host.name, port=host.port, **options)


def sentinel_options(broker: BrokerUrl) -> dict[str, Any]:
    """How redis-py is to talk to the sentinels themselves."""
    return {
        "username": broker.sentinel_username or None,
        "password": broker.sentinel_password or None,
        "socket_timeout": CONNECT_S,
        "socket_connect_timeout": CONNECT_S,
        **_tls(broker.tls),
    }


def celery_tls(broker: BrokerUrl) -> dict[str, Any] | None:
    """Celery's `broker_use_ssl`; None without TLS. Left to itself, kombu would check no certificate."""
    return {name: value for name, value in _tls(broker.tls).items() if name != "ssl"} or None


def _places(broker: BrokerUrl) -> list[tuple[str, int]]:
    return [(host.name, host.port) for host in broker.hosts]


def _options(broker: BrokerUrl, silence_s: float) -> dict[str, Any]:
    return {
        "username": broker.username or None,
        "password": broker.password or None,
        "db": broker.db,
        "socket_timeout": silence_s,
        "socket_connect_timeout": CONNECT_S,
        "socket_keepalive": True,
        "protocol": 2,  # what kombu speaks
        **_tls(broker.tls),
    }


def _tls(told: Mapping[str, str] | None) -> dict[str, Any]:
    """redis-py's keyword arguments; none without TLS."""
    if told is None:
        return {}
    named: dict[str, Any] = {name: value for name, value in told.items() if name != "ssl_check_hostname"}
    # A certificate that nobody checks has no name to check either.
    checked = told.get("ssl_check_hostname", "true").lower() != "false" and told["ssl_cert_reqs"] != "none"
    return {**named, "ssl": True, "ssl_check_hostname": checked}
