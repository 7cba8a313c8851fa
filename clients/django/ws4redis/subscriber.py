"""Which flags a client may say, and which channels they mean."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import connections, settings
from .redis_store import SELF, RedisStore


class RedisSubscriber(RedisStore):
    """Names the flags and the channels they mean; WS4REDIS_SUBSCRIBER names a class derived from this one.

    The gateway has these channels built in. A class of one's own is asked by `ws4redis.views.authorize`, once for each
    client: what `set_pubsub_channels` adds to `self._subscription` and `self._publishers` is what the client gets.
    """

    subscription_channels: Sequence[str] = [
        "subscribe-session",
        "subscribe-group",
        "subscribe-user",
        "subscribe-broadcast",
    ]
    publish_channels: Sequence[str] = ["publish-session", "publish-group", "publish-user", "publish-broadcast"]

    def __init__(self, connection: Any = None) -> None:
        super().__init__(connection or connections.shared())
        self._subscription = Subscription()

    def set_pubsub_channels(self, request: HttpRequest, channels: Iterable[str]) -> None:
        """Turns the flags of a client into channels. Its facility is the rest of the path after WEBSOCKET_URL."""
        facility = request.path_info.replace(settings.WEBSOCKET_URL, "", 1)
        channels = set(channels)
        self._subscription.subscribe(*self._meant("subscribe", channels, request, facility))
        self._publishers.update(self._meant("publish", channels, request, facility))

    def _meant(self, verb: str, flags: set[str], request: HttpRequest, facility: str) -> list[str]:
        return self._get_message_channels(
            request=request,
            facility=facility,
            broadcast=f"{verb}-broadcast" in flags,
            groups=[SELF] if f"{verb}-group" in flags else [],
            users=[SELF] if f"{verb}-user" in flags else [],
            sessions=[SELF] if f"{verb}-session" in flags else [],
        )


class Subscription:
    """Stands where the original had a connection of its own for each client, and remembers what it is told."""

    def __init__(self) -> None:
        self.channels: list[str] = []

    def subscribe(self, *channels: str) -> None:
        """Adds channels."""
        self.channels += [channel for channel in channels if channel not in self.channels]

    def unsubscribe(self, *channels: str) -> None:
        """Takes channels away; without any, all."""
        self.channels = [channel for channel in self.channels if channels and channel not in channels]


def configured() -> type[RedisSubscriber]:
    """The class that WS4REDIS_SUBSCRIBER names."""
    subscriber: type[RedisSubscriber] = import_string(settings.WS4REDIS_SUBSCRIBER)
    return subscriber
