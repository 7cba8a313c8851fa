"""The gateway's settings, from the site's."""

import contextlib
import os
import shutil
import sysconfig
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings as site
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse
from redis.connection import parse_url

from . import control, settings

# Python's own, or said in another way below. All others of ours are the gateway's, under its own names.
NOT_THE_GATEWAYS = {
    "WS4REDIS_CONNECTION",
    "WS4REDIS_EXPIRE",
    "WS4REDIS_SUBSCRIBER",
    "WS4REDIS_ALLOWED_CHANNELS",
    "WS4REDIS_PROCESS_REQUEST",
    "WS4REDIS_CONTROL_SECRET",
    "WS4REDIS_PUBLIC_HOST",
    "WS4REDIS_BINARY",
}
SECRETS = {
    "WS4REDIS_CONNECTION",
    "WS4REDIS_DJANGO_REDIS",
    "WS4REDIS_DJANGO_SECRET_KEY",
    "WS4REDIS_CONTROL_SECRET",
    "WS4REDIS_HEADERS_SECRET",
    "WS4REDIS_JWT_KEY",
}
ENGINES = {
    "redis_sessions.session": "redis_sessions",
    "django.contrib.sessions.backends.cache": "cache",
    "django.contrib.sessions.backends.cached_db": "cached_db",
    "django.contrib.sessions.backends.signed_cookies": "signed_cookies",
}
CACHES = {"django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"}
# What a session may be written by: those of Django and django-redis that need no code of theirs to be read.
SERIALIZERS = {"django.contrib.sessions.serializers.JSONSerializer"}
CACHE_OPTIONS = {
    "serializer": set[str](),
    "SERIALIZER": {
        "django_redis.serializers.json.JSONSerializer",
        "django_redis.serializers.pickle.PickleSerializer",
    },
    "COMPRESSOR": {"django_redis.compressors.identity.IdentityCompressor"},
}

# runserver has port 8000, and the gateway's own pages have 8001.
RUNSERVER = "127.0.0.1:8000"
LISTEN_IN_DEBUG = "127.0.0.1:8002"
ORIGINS_IN_DEBUG = ["http://localhost:8000", "http://127.0.0.1:8000"]


def environment() -> dict[str, str]:
    """The variables that tell the gateway what the site's settings say; raises ImproperlyConfigured if they cannot."""
    values: dict[str, Any] = {
        "WEBSOCKET_URL": settings.WEBSOCKET_URL,
        "WS4REDIS_CONNECTION": redis_url(settings.WS4REDIS_CONNECTION),
        "WS4REDIS_EXPIRE": settings.WS4REDIS_EXPIRE or 0,
        "WS4REDIS_SESSION_COOKIE": site.SESSION_COOKIE_NAME,
        "WS4REDIS_CONTROL_SECRET": "\n".join(control.secrets()) or None,
        **(in_debug() if site.DEBUG else {}),
        **identity(),
    }
    for name in dir(site):
        if name.startswith("WS4REDIS_") and name not in NOT_THE_GATEWAYS and getattr(site, name) is not None:
            values[name] = getattr(site, name)
    return {name: text(value) for name, value in values.items() if value is not None}


def in_debug() -> dict[str, Any]:
    """What goes with runserver, where no proxy makes one site of the two."""
    return {"WS4REDIS_LISTEN": LISTEN_IN_DEBUG, "WS4REDIS_ORIGINS": ORIGINS_IN_DEBUG}


def identity() -> dict[str, Any]:
    """How the gateway finds out who a client is: by the stored session, or by asking `authorize`."""
    sources = text(getattr(site, "WS4REDIS_IDENTITY", None) or ("callback" if must_ask() else "django")).split(",")
    values: dict[str, Any] = {"WS4REDIS_IDENTITY": sources}
    if "django" in sources:
        values |= sessions()
    if "callback" in sources:
        values["WS4REDIS_CALLBACK_URL"] = callback_url()
    return values


def must_ask() -> str | None:
    """Why the gateway cannot do without asking the site, if so."""
    for name in ("WS4REDIS_PROCESS_REQUEST", "WS4REDIS_ALLOWED_CHANNELS"):
        if getattr(settings, name):
            return f"{name} is set"
    if settings.WS4REDIS_SUBSCRIBER != settings.DEFAULT_SUBSCRIBER:
        return "WS4REDIS_SUBSCRIBER is set"
    return unreadable_sessions()


def unreadable_sessions() -> str | None:
    """Why the gateway cannot read Django's sessions, if so."""
    engine = ENGINES.get(site.SESSION_ENGINE)
    if engine is None:
        return f"it cannot read the sessions of {site.SESSION_ENGINE}"
    if engine in ("cache", "cached_db"):
        cache = session_cache()
        if cache["BACKEND"] not in CACHES:
            return f"it cannot read sessions in {cache['BACKEND']}"
        if cache.get("KEY_FUNCTION"):
            return "it cannot read sessions whose keys the cache's KEY_FUNCTION makes"
        for name, known in CACHE_OPTIONS.items():
            said = cache.get("OPTIONS", {}).get(name)
            if said and said not in known:
                return f"it cannot read sessions in a cache whose {name} is {said}"
    # Caches have a serializer of their own.
    elif site.SESSION_SERIALIZER not in SERIALIZERS:
        return f"it cannot read sessions whose SESSION_SERIALIZER is {site.SESSION_SERIALIZER}"
    return None


def session_cache() -> Mapping[str, Any]:
    """The cache that sessions are kept in."""
    cache: Any = site.CACHES[site.SESSION_CACHE_ALIAS]
    return {**cache}


def callback_url() -> str:
    """Where `authorize` is."""
    if settings.WS4REDIS_CALLBACK_URL:
        return settings.WS4REDIS_CALLBACK_URL
    path = authorize_path()
    if path is None:
        raise ImproperlyConfigured(
            f"the gateway has to ask the site ({must_ask() or 'WS4REDIS_IDENTITY says so'}): "
            'add path("ws4redis/", include("ws4redis.urls")) to its URLs'
        )
    if not site.DEBUG:
        raise ImproperlyConfigured(
            f"the gateway has to ask the site ({must_ask() or 'WS4REDIS_IDENTITY says so'}): say where it listens, "
            f'such as WS4REDIS_CALLBACK_URL = "http://127.0.0.1:8080{path}" or "unix:/run/site.sock:{path}"'
        )
    return f"http://{RUNSERVER}{path}"


def authorize_path() -> str | None:
    """The path of `authorize`, however the site came by it."""
    from .views import authorize

    for name in ("ws4redis:authorize", authorize):
        with contextlib.suppress(NoReverseMatch):
            return reverse(name)
    return None


def sessions() -> dict[str, Any]:
    """Where and how Django keeps its sessions."""
    if why := unreadable_sessions():
        raise ImproperlyConfigured(f"django cannot be in WS4REDIS_IDENTITY: {why}")
    engine = ENGINES[site.SESSION_ENGINE]
    values: dict[str, Any] = {
        "WS4REDIS_DJANGO_ENGINE": engine,
        "WS4REDIS_DJANGO_SECRET_KEY": "\n".join(map(str, [site.SECRET_KEY, *site.SECRET_KEY_FALLBACKS])),
    }
    if engine == "signed_cookies":
        return {**values, "WS4REDIS_DJANGO_MAX_AGE": site.SESSION_COOKIE_AGE}
    if engine == "redis_sessions":
        said = getattr(site, "SESSION_REDIS", {})
        url = redis_url(_of_redis_sessions(said))
        values["WS4REDIS_DJANGO_KEY_PREFIX"] = said.get("prefix") or None
    else:
        cache = session_cache()
        url = redis_url(_of_cache(cache))
        values["WS4REDIS_DJANGO_KEY_PREFIX"] = cache.get("KEY_PREFIX") or None
        values["WS4REDIS_DJANGO_VERSION"] = cache.get("VERSION", 1)
    if url != redis_url(settings.WS4REDIS_CONNECTION):
        values["WS4REDIS_DJANGO_REDIS"] = url
    return values


def redis_url(connection: Mapping[str, Any]) -> str:
    """The URL for what redis-py takes as keyword arguments."""
    if connection.get("ssl"):
        raise ImproperlyConfigured(
            "the gateway speaks no TLS to Redis (ssl in the connection): put stunnel in between, or use a unix socket"
        )
    user, password = (quote(connection.get(name) or "", safe="") for name in ("username", "password"))
    db = connection.get("db") or 0
    if path := connection.get("unix_socket_path") or connection.get("path"):
        query = {"db": db, "username": connection.get("username"), "password": connection.get("password")}
        pairs = {name: value for name, value in query.items() if value is not None}
        return f"unix://{quote(path)}?{urlencode(pairs, quote_via=quote)}"
    credentials = f"{user}:{password}@" if user or password else ""
    host = connection.get("host") or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"redis://{credentials}{host}:{connection.get('port') or 6379}/{db}"


def port() -> int | None:
    """The port that the gateway listens on beside runserver; None on a unix socket."""
    listen = getattr(site, "WS4REDIS_LISTEN", LISTEN_IN_DEBUG)
    number = text(listen).partition(",")[0].rpartition(":")[2]
    return int(number) if number.isdecimal() else None


def binary() -> str:
    """The gateway: where it was said to be, beside this Python, or on the PATH."""
    if said := os.environ.get("WS4REDIS_BINARY") or settings.WS4REDIS_BINARY:
        if found := shutil.which(said):
            return found
        raise ImproperlyConfigured(f"WS4REDIS_BINARY is {said}, and there is no such program")
    for candidate in (os.path.join(sysconfig.get_path("scripts"), "ws4redis"), "ws4redis"):
        if found := shutil.which(candidate):
            return found
    raise ImproperlyConfigured("there is no ws4redis beside Python and on the PATH: install it, or say WS4REDIS_BINARY")


def text(value: Any) -> str:
    """A value as it stands in the environment."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple() | set():
            return ",".join(map(str, value))
    return str(value)


def _of_redis_sessions(said: Mapping[str, Any]) -> dict[str, Any]:
    if said.get("url"):
        return _of_url(said["url"])
    for name in ("POOL", "SESSION_REDIS_SENTINEL_LIST"):
        if said.get(name) or getattr(site, name, None):
            raise ImproperlyConfigured(f"the gateway reads sessions from one Redis, and {name} names many")
    return {
        "path": said.get("unix_domain_socket_path"),
        **{name: said.get(name) for name in ("host", "port", "db", "password")},
    }


def _of_cache(cache: Mapping[str, Any]) -> dict[str, Any]:
    location = cache["LOCATION"]
    if isinstance(location, str):
        location = location.replace(";", ",").split(",")
    options = cache.get("OPTIONS", {})
    connection = _of_url(location[0])
    for name, said in (("db", options.get("db")), ("password", options.get("PASSWORD", options.get("password")))):
        if said is not None:
            connection[name] = said
    return connection


def _of_url(url: str) -> dict[str, Any]:
    connection = parse_url(url)  # type: ignore[no-untyped-call]
    return {**connection, "ssl": url.startswith("rediss:")}
