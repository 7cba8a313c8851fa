"""Messages, and how they get into Redis."""

import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from . import connections, settings

if TYPE_CHECKING:
    from redis import Redis

GROUPS_KEY = "ws4redis:memberof"
USERNAME_KEY = "ws4redis:username"


class SelfType:
    """The type of `SELF`."""

    def __repr__(self) -> str:
        return "SELF"


SELF = SelfType()
"""In a list of users, groups or sessions: those of the request."""

Names = list[Any] | tuple[Any, ...] | str | bool


class RedisMessage(bytes):
    """A message as Redis holds it. What is no message, such as a heartbeat, gives None."""

    def __new__(cls, value: Any) -> "RedisMessage":
        """Takes str, bytes and bytearray, and what redis-py answers for a message of a subscription."""
        if isinstance(value, list):
            # What Redis delivers was a message to somebody, whatever it says.
            is_message = len(value) == 3 and value[0] == b"message"
            return super().__new__(cls, value[2]) if is_message else None  # type: ignore[return-value]
        if isinstance(value, str):
            value = value.encode()
        heartbeat = settings.WS4REDIS_HEARTBEAT
        if not isinstance(value, bytes | bytearray) or (heartbeat and value == heartbeat.encode()):
            return None  # type: ignore[return-value]
        return super().__new__(cls, value)


class RedisStore:
    """What publishers and subscribers have in common: the names of channels, and publishing to them."""

    def __init__(self, connection: "Redis") -> None:
        self._connection = connection
        self._publishers: set[str] = set()

    def publish_message(self, message: RedisMessage, expire: int | None = None) -> None:
        """Publishes a message on all channels of this store, and keeps it for `expire` seconds.

        None means WS4REDIS_EXPIRE; 0 keeps nothing, and leaves what was kept before. All of it happens, or nothing.
        """
        self.pipeline_publish_message(message, expire)

    def pipeline_publish_message(
        self, message: RedisMessage, expire: int | None = None, transaction: bool = True
    ) -> None:
        """`publish_message`; without `transaction` in one round trip all the same, but not at one moment."""
        seconds = _seconds(message, expire)
        with self._connection.pipeline(transaction=transaction) as pipeline:
            self._queue(pipeline, message, seconds)
            pipeline.execute()

    async def apublish_message(self, message: RedisMessage, expire: int | None = None) -> None:
        """`publish_message` for asynchronous code."""
        seconds = _seconds(message, expire)
        client = await connections.asynchronous()
        async with client.pipeline(transaction=True) as pipeline:
            self._queue(pipeline, message, seconds)
            await pipeline.execute()

    @staticmethod
    def get_prefix() -> str:
        """What stands before all channels and keys."""
        prefix = settings.WS4REDIS_PREFIX
        return f"{prefix}:" if prefix else ""

    def _queue(self, pipeline: Any, message: RedisMessage, seconds: int) -> None:
        for channel in self._publishers:
            # Kept first: a client that connects in between hears it twice rather than never.
            if seconds > 0:
                pipeline.set(channel, message, ex=seconds)
            pipeline.publish(channel, message)

    def _get_message_channels(
        self,
        request: HttpRequest | None = None,
        facility: str = "{facility}",
        broadcast: bool = False,
        groups: Names = (),
        users: Names = (),
        sessions: Names = (),
    ) -> list[str]:
        """The channels of an audience, each once."""
        prefix = self.get_prefix()
        # True itself, as ever: 1 is nobody.
        channels = [f"{prefix}broadcast:{facility}"] if broadcast is True else []
        for audience, said, own in (
            ("group", groups, groups_of),
            ("user", users, users_of),
            ("session", sessions, sessions_of),
        ):
            names = _names(audience, said, own, request)
            channels += [f"{prefix}{audience}:{name}:{facility}" for name in names]
        return list(dict.fromkeys(channels))


def users_of(request: Any) -> list[str]:
    """The name of the user, in a list of one; nobody has none."""
    user = getattr(request, "user", None)
    return [user.get_username()] if user is not None and user.is_authenticated else []


def groups_of(request: Any) -> list[str]:
    """The groups of the user, as they were at the login."""
    session = getattr(request, "session", None)
    return list(session.get(GROUPS_KEY, [])) if session is not None and users_of(request) else []


def sessions_of(request: Any) -> list[str]:
    """The session key, in a list of one; a session that was not saved yet has none."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    return [key] if key else []


def _names(audience: str, said: Names, own: Callable[[Any], list[str]], request: Any) -> Iterable[Any]:
    match said:
        case list() | tuple():
            # Who has no such identity has no channel: a name made up for all of those would bring them together.
            return [name for item in said for name in (own(request) if item is SELF else [item])]
        case True:
            _deprecated(f"{audience}s=True is deprecated, say {audience}s=[SELF]")
            return own(request)
        case False:
            return []
        case str():
            _deprecated(f"{audience}s={said!r} is deprecated, say {audience}s=[{said!r}]")
            return [said]
    raise ValueError(f"{audience}s must be a list or a tuple, not {type(said).__name__}")


def _deprecated(message: str) -> None:
    # The line that made the publisher: above are _names, _get_message_channels and RedisPublisher.
    warnings.warn(message, DeprecationWarning, stacklevel=5)


def _seconds(message: Any, expire: Any) -> int:
    """For how long to keep a message. Raises for what cannot be published, before any of it is."""
    if not isinstance(message, RedisMessage):
        raise ValueError(f"a message must be a RedisMessage, not {type(message).__name__}")
    if expire is None:
        expire = settings.WS4REDIS_EXPIRE or 0
    if not isinstance(expire, int):
        raise TypeError(f"expire must be a whole number of seconds, not {type(expire).__name__}")
    return expire
