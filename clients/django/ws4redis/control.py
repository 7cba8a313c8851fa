"""Tells the gateway that somebody may no longer do what they did: the control channel."""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterable
from typing import Literal

from django.conf import settings as site
from django.utils.crypto import salted_hmac
from redis import RedisError

from . import connections, settings
from .redis_store import RedisStore

Action = Literal["disconnect", "recheck"]
MESSAGE_BYTES_MAX = 4096

logger = logging.getLogger(__name__)


def disconnect(*, user: str | None = None, group: str | None = None, session: str | None = None) -> None:
    """Closes all connections of whoever is all that is given, at once; their pages wait for the next login."""
    send([{"action": "disconnect", **_whom(user, group, session)}])


def recheck(*, user: str | None = None, group: str | None = None, session: str | None = None) -> None:
    """Closes the same connections at an easy pace; their pages come back, and are judged anew."""
    send([{"action": "recheck", **_whom(user, group, session)}])


def send(messages: Iterable[dict[str, str]]) -> None:
    """Publishes control messages. A Redis that is away is logged and no more: nobody's logout fails by it."""
    key = secret()
    if key is None:
        return
    try:
        with connections.hasty().pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish(channel(), signed(message, key, channel(), int(time.time())))
            pipeline.execute()
    except (RedisError, OSError) as error:
        logger.warning("the gateway could not be told, connections stay as they are: %s", error)


def signed(message: dict[str, str], key: str, channel: str, now: int) -> bytes:
    """A message as the gateway believes it: its time and signature on a line, then itself."""
    text = json.dumps(message)
    lines = f"ws4redis-control-v1\n{now}\n{channel}\n{text}"
    signature = hmac.new(key.encode(), lines.encode(), hashlib.sha256).hexdigest()
    payload = f"t={now},v1={signature}\n{text}".encode()
    if len(payload) > MESSAGE_BYTES_MAX:
        raise ValueError(f"a control message has at most {MESSAGE_BYTES_MAX} bytes, this one {len(payload)}")
    return payload


def channel() -> str:
    """The name of the control channel."""
    return f"{RedisStore.get_prefix()}ws4redis:control"


def secret() -> str | None:
    """The key that the site signs by; None where there is to be no control channel."""
    match settings.WS4REDIS_CONTROL_SECRET:
        case False:
            return None
        case str(said) if said.strip():
            return said.strip()
    return _derived(site.SECRET_KEY)


def secrets() -> list[str]:
    """All keys that the gateway is to believe: while SECRET_KEY is exchanged, some of the site signs by the old one."""
    derives = settings.WS4REDIS_CONTROL_SECRET is None
    old = [_derived(key) for key in site.SECRET_KEY_FALLBACKS] if derives else []
    return [key for key in [secret(), *old] if key]


def _derived(key: str | bytes) -> str:
    return salted_hmac("ws4redis.control", "", secret=key, algorithm="sha256").hexdigest()


def _whom(user: str | None, group: str | None, session: str | None) -> dict[str, str]:
    given = {"user": user, "group": group, "session": session}
    whom = {name: value for name, value in given.items() if value is not None}
    if not whom:
        raise ValueError("say a user, a group or a session: without any everybody would be meant")
    return whom
