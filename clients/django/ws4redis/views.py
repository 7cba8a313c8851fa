"""The view behind the gateway's permission callback: who is it, and what may they."""

import copy
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings as site
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import signed_cookies
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse, QueryDict
from django.utils.encoding import repercent_broken_unicode
from django.utils.functional import SimpleLazyObject, empty
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from . import settings, subscriber
from .redis_store import groups_of, users_of


@never_cache
@require_GET
def authorize(request: HttpRequest) -> HttpResponse:
    """Answers the gateway in its JSON; PermissionDenied of a hook is 403, any other exception lets nobody in."""
    # Browsers set this themselves: without it a script that got into a page could read its HttpOnly session key here.
    if request.headers.get("Sec-Fetch-Mode", "websocket") != "websocket":
        return HttpResponseForbidden("this answers the WebSocket gateway, not pages\n")
    if "X-Original-URI" not in request.headers:
        return HttpResponseForbidden("this answers the WebSocket gateway: X-Original-URI is missing\n")
    client = client_request(request)
    try:
        identify(client)
        return JsonResponse(terms(client))
    except PermissionDenied as error:
        return HttpResponseForbidden(f"{error}\n")


# Where LoginRequiredMiddleware stands: the gateway does not log in.
authorize.login_required = False  # type: ignore[attr-defined]


def client_request(request: HttpRequest) -> HttpRequest:
    """The client's own request, as the gateway's question holds it."""
    path, _, query = request.headers["X-Original-URI"].partition("?")
    path = repercent_broken_unicode(unquote_to_bytes(path)).decode()
    client = copy.copy(request)
    client.path = client.path_info = path
    client.META = {**request.META, "PATH_INFO": path, "QUERY_STRING": query}
    if host := request.headers.get("X-Forwarded-Host"):
        client.META["HTTP_HOST"] = host
    client.GET = QueryDict(query)
    client.__dict__.pop("headers", None)
    return client


def identify(client: HttpRequest) -> None:
    """Finds out who it is: by the site's hook, else by the session cookie as Django does."""
    client.session, client.user = None, AnonymousUser()  # type: ignore[assignment]
    if hook := _callable(settings.WS4REDIS_PROCESS_REQUEST):
        hook(client)
    elif key := client.COOKIES.get(site.SESSION_COOKIE_NAME):
        client.session = import_module(site.SESSION_ENGINE).SessionStore(key)
        looked_at = copy.copy(client)
        looked_at.session = _Snapshot(client.session.items())  # type: ignore[assignment]
        client.user = get_user(looked_at)
    user = client.user or AnonymousUser()
    client.user = _User(lambda: user)  # type: ignore[assignment]


def terms(client: HttpRequest) -> dict[str, Any]:
    """What the gateway is to know of the client, and what it is to give to it."""
    kind = subscriber.configured()
    known = [*kind.subscription_channels, *kind.publish_channels]
    said = {name.strip().lower() for name in client.GET}
    asked = [flag for flag in known if flag in said]
    allowed = _allowed(client, asked)
    answer = {**_identity(client), "channels": [flag for flag in asked if flag in allowed]}
    # The gateway knows the channels of the flags that were asked for, and of no others.
    beyond = [flag for flag in allowed if flag not in asked]
    if kind is not subscriber.RedisSubscriber:
        answer["channels"], beyond = [], allowed
    if beyond:
        channels = kind()
        channels.set_pubsub_channels(client, beyond)
        answer["subscribe"] = channels._subscription.channels
        answer["publish"] = sorted(channels._publishers)
    return answer


def _identity(client: HttpRequest) -> dict[str, Any]:
    users = users_of(client)
    session: Any = client.session
    key = None
    if settings.WS4REDIS_PROCESS_REQUEST:
        # Whatever the hook made of it.
        groups = groups_of(client)
        key = getattr(session, "session_key", None)
    else:
        groups = _groups(client) if users else []
        # A session in a cookie has no key that stays; and anybody can make up a key of one that is not there.
        if session is not None and not isinstance(session, signed_cookies.SessionStore):
            key = session.session_key if session.session_key and session.exists(session.session_key) else None
    return {"user": users[0] if users else None, "groups": groups, "session": key}


def _groups(client: HttpRequest) -> list[str]:
    # Those of now and not those of the login: who was put out of a group is out.
    groups = getattr(client.user, "groups", None)
    return groups_of(client) if groups is None else list(groups.values_list("name", flat=True))


def _allowed(client: HttpRequest, asked: list[str]) -> list[str]:
    hook = _callable(settings.WS4REDIS_ALLOWED_CHANNELS)
    allowed: Iterable[str] | None = hook(client, list(asked)) if hook else None
    if allowed is None:
        # A hook may only say who has no business here.
        return asked
    if isinstance(allowed, str):
        raise TypeError("WS4REDIS_ALLOWED_CHANNELS must return a list of flags, not a text")
    return list(allowed)


def _callable(hook: Callable[..., Any] | str | None) -> Callable[..., Any] | None:
    # A name that leads nowhere is an error, and so lets nobody in.
    return import_string(hook) if isinstance(hook, str) else hook


class _Snapshot(dict[str, Any]):
    """What a session holds, to be looked at.

    Django empties a session whose hash is wrong, and gives a new key to one of an older SECRET_KEY. The browser would
    not hear of it: to open a WebSocket would be to log out.
    """

    def flush(self) -> None:
        pass

    def cycle_key(self) -> None:
        pass


class _User(SimpleLazyObject):  # type: ignore[type-arg]
    """A user whose `is_authenticated` may be called as well: in Django 1 it was a method, and hooks of then say so."""

    @property
    def is_authenticated(self) -> "_Truth":
        return _Truth(self._user().is_authenticated)

    @property
    def is_anonymous(self) -> "_Truth":
        return _Truth(self._user().is_anonymous)

    def _user(self) -> Any:
        if self._wrapped is empty:
            self._setup()
        return self._wrapped


class _Truth(int):
    def __call__(self) -> bool:
        return bool(self)
