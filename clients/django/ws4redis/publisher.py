"""What a view uses to say something to browsers."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from . import connections
from .redis_store import SELF, Names, RedisStore


class RedisPublisher(RedisStore):
    """Publishes to an audience, and fetches what was kept.

    `RedisPublisher(facility="news", users=["john", SELF], request=request).publish_message(RedisMessage("hello"))`

    Asynchronous code that says SELF makes it by `sync_to_async(RedisPublisher)`: to know the user may take a query.
    """

    def __init__(
        self,
        *,
        request: HttpRequest | None = None,
        facility: str = "{facility}",
        broadcast: bool = False,
        groups: Names = (),
        users: Names = (),
        sessions: Names = (),
    ) -> None:
        super().__init__(connections.shared())
        self._publishers = set(
            self._get_message_channels(
                request=request, facility=facility, broadcast=broadcast, groups=groups, users=users, sessions=sessions
            )
        )

    def fetch_message(self, request: HttpRequest | None, facility: str, audience: str = "any") -> bytes | None:
        """The message that is kept for whoever made the request: for the session, else the user, a group, everybody.

        `audience` is one of `session`, `user`, `group`, `broadcast`, or `any`.
        """
        channels = self._kept_for(request, facility, audience)
        return _first(self._connection.mget(channels) if channels else [])

    async def afetch_message(self, request: HttpRequest | None, facility: str, audience: str = "any") -> bytes | None:
        """`fetch_message` for asynchronous code."""
        channels = await sync_to_async(self._kept_for)(request, facility, audience)
        client = await connections.asynchronous()
        return _first(await client.mget(channels) if channels else [])

    def _kept_for(self, request: HttpRequest | None, facility: str, audience: str) -> list[str]:
        # In the order in which they are looked at.
        audiences: dict[str, dict[str, Any]] = {
            "session": {"sessions": [SELF]},
            "user": {"users": [SELF]},
            "group": {"groups": [SELF]},
            "broadcast": {"broadcast": True},
        }
        return [
            channel
            for name, whom in audiences.items()
            if audience in (name, "any")
            for channel in self._get_message_channels(request=request, facility=facility, **whom)
        ]


def _first(messages: Any) -> bytes | None:
    return next((message for message in messages if message), None)
