"""Hooks and a subscriber that a site may have written for the original."""

from types import SimpleNamespace

from django.core.exceptions import PermissionDenied

from ws4redis.subscriber import RedisSubscriber

SEEN = []


def by_token(request):
    """A WS4REDIS_PROCESS_REQUEST that knows who it is without a session."""
    name = request.GET.get("token")
    if name == "evil":
        raise PermissionDenied("this token is not good")
    if name:
        request.user = SimpleNamespace(is_authenticated=True, get_username=lambda: name)
        request.session = Data({"ws4redis:memberof": ["bearers"]})
    else:
        request.user = request.session = None


class Data(dict):
    session_key = "by-token"


def remember_request(request, channels):
    SEEN.append(
        {
            "path": request.path,
            "path_info": request.path_info,
            "query": dict(request.GET.lists()),
            "host": request.get_host(),
            "cookies": sorted(request.COOKIES),
            "agent": request.headers.get("User-Agent"),
            "user": request.user.get_username(),
            "channels": channels,
        }
    )
    return channels


def one_more(request, channels):
    """Allows what was not asked for."""
    return [*channels, "subscribe-broadcast", "publish-user"]


def broken(request, channels):
    return request.nothing_of_that_name


def a_text(request, channels):
    return "subscribe-broadcast"


class Rooms(RedisSubscriber):
    """Has a flag and a channel of its own."""

    subscription_channels = [*RedisSubscriber.subscription_channels, "subscribe-room"]

    def set_pubsub_channels(self, request, channels):
        super().set_pubsub_channels(request, channels)
        if "subscribe-room" in channels:
            self._subscription.subscribe(f"{self.get_prefix()}room:{request.path_info.rpartition('/')[2]}")


class Old(RedisSubscriber):
    """Does something when a client leaves."""

    def release(self):
        pass
