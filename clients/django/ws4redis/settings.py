"""The settings and their defaults, read when they are asked for: `override_settings` works."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Hook = Callable[[HttpRequest], None]
Filter = Callable[[HttpRequest, list[str]], Iterable[str] | None]

WEBSOCKET_URL: str
"""The path under which facilities stand."""
WS4REDIS_CONNECTION: Mapping[str, Any]
"""Where Redis is: keyword arguments of `redis.Redis`."""
WS4REDIS_PREFIX: str | None
"""Put before every channel and key, with a colon."""
WS4REDIS_EXPIRE: int | None
"""Seconds for which the last message of a channel is kept; 0 and None keep none."""
WS4REDIS_SUBSCRIBER: str
"""The class that knows the flags and the channels they mean."""
WS4REDIS_HEARTBEAT: str | None
"""The text that is a heartbeat, and never a message."""
WS4REDIS_ALLOWED_CHANNELS: Filter | str | None
"""Says which of the flags a client may use."""
WS4REDIS_PROCESS_REQUEST: Hook | str | None
"""Finds out who a client is, in the place of Django's session."""

# What the original did not have.
WS4REDIS_CONTROL_SECRET: str | bool | None
"""Signs the control messages; None derives it from SECRET_KEY, False sends none."""
WS4REDIS_PUBLIC_HOST: str | None
"""The host that pages connect to, where it is not their own."""
WS4REDIS_CALLBACK_URL: str | None
"""Where the gateway finds `ws4redis.views.authorize`."""
WS4REDIS_BINARY: str | None
"""The gateway, where it is not found beside Python or on the PATH."""

DEFAULT_SUBSCRIBER = "ws4redis.subscriber.RedisSubscriber"
DEFAULTS: Mapping[str, Any] = {
    "WEBSOCKET_URL": "/ws/",
    "WS4REDIS_CONNECTION": {"host": "localhost", "port": 6379, "db": 0, "password": None},
    "WS4REDIS_PREFIX": None,
    "WS4REDIS_EXPIRE": 3600,
    "WS4REDIS_SUBSCRIBER": DEFAULT_SUBSCRIBER,
    "WS4REDIS_HEARTBEAT": None,
    "WS4REDIS_ALLOWED_CHANNELS": None,
    "WS4REDIS_PROCESS_REQUEST": None,
    "WS4REDIS_CONTROL_SECRET": None,
    "WS4REDIS_PUBLIC_HOST": None,
    "WS4REDIS_CALLBACK_URL": None,
    "WS4REDIS_BINARY": None,
}


def __getattr__(name: str) -> Any:
    try:
        default = DEFAULTS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(settings, name, default)
