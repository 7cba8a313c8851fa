"""The connections to Redis: one pool for the process, and one client for each event loop."""

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.retry import Retry

from . import settings

# A logout waits for a control message, so not for long.
CONTROL_TIMEOUT = 2.0


@cache
def shared() -> "Redis":
    """The client that everything in this process shares. Its pool makes new connections after a fork."""
    return Redis(**settings.WS4REDIS_CONNECTION)


@cache
def hasty() -> "Redis":
    """A client that gives up soon, for what must not hold anybody up."""
    # Once more where the server restarted, which shows at once; who did not answer in time would only double the wait.
    retry = Retry(NoBackoff(), 1, supported_errors=(Disconnected,))
    limits = {"socket_timeout": CONTROL_TIMEOUT, "socket_connect_timeout": CONTROL_TIMEOUT}
    return Redis(**{**limits, **settings.WS4REDIS_CONNECTION, "retry": retry})


async def asynchronous() -> "AsyncRedis":
    """The client of the event loop that runs: a connection belongs to the loop that it was made in."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loop:
        # A copy: other threads have loops that come and go at the same time.
        for other in list(_of_loop):
            if other.is_closed():
                _of_loop.pop(other, None)
        keeper = _keep(loop)
        _of_loop[loop] = keeper, await anext(keeper)
    return _of_loop[loop][1]


_Loop = asyncio.AbstractEventLoop
_of_loop: dict[_Loop, tuple[AsyncGenerator["AsyncRedis", None], "AsyncRedis"]] = {}


async def _keep(loop: _Loop) -> AsyncGenerator["AsyncRedis", None]:
    # A loop tells nobody that it ends, but it ends its generators: asyncio.run, async_to_sync and the servers all
    # say shutdown_asyncgens.
    client = AsyncRedis(**settings.WS4REDIS_CONNECTION)
    try:
        yield client
    finally:
        _of_loop.pop(loop, None)
        await client.aclose()


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "WS4REDIS_CONNECTION":
        shared.cache_clear()
        hasty.cache_clear()
        _of_loop.clear()


setting_changed.connect(_forget, dispatch_uid="ws4redis.connection")
