"""`manage.py check`: settings that would not do what they seem to say."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as site
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host
from django.utils.module_loading import import_string
from redis import Redis

from . import gateway, settings, subscriber

# Ran in the original's loop, once for each client; the gateway is no Python.
NEVER_CALLED = ("send_persisted_messages", "send_persited_messages", "parse_response", "get_file_descriptor", "release")


def check_settings(**_: Any) -> list[CheckMessage]:
    """Looks at each setting; registered by the app."""
    return [*_types(), *_texts(), *_connection(), *_hooks(), *_subscriber(), *_secret(), *_gateway(), *_runserver()]


def _types() -> Iterator[CheckMessage]:
    # bool is an int, and True no number of seconds.
    for name, kinds, must in (
        ("WEBSOCKET_URL", (str,), "a path, such as '/ws/'"),
        ("WS4REDIS_PREFIX", (str, type(None)), "a text or None"),
        ("WS4REDIS_HEARTBEAT", (str, type(None)), "a text or None"),
        ("WS4REDIS_EXPIRE", (int, type(None)), "a whole number of seconds, or None"),
    ):
        if type(getattr(settings, name)) not in kinds:
            yield Error(f"{name} must be {must}", hint=f"It is {getattr(settings, name)!r}.", id="ws4redis.E001")


def _texts() -> Iterator[CheckMessage]:
    url = settings.WEBSOCKET_URL
    if isinstance(url, str) and not (url.startswith("/") and url.endswith("/")):
        yield Error("WEBSOCKET_URL must begin and end with a slash", hint=f"It is {url!r}.", id="ws4redis.E002")
    if settings.WS4REDIS_HEARTBEAT == "":
        yield Error("WS4REDIS_HEARTBEAT must not be empty", hint="None is no heartbeat.", id="ws4redis.E003")
    prefix = settings.WS4REDIS_PREFIX
    if isinstance(prefix, str) and prefix.endswith(":"):
        hint = f"Channels would begin with {prefix + ':'!r}."
        yield Warning("WS4REDIS_PREFIX gets its colon by itself", hint=hint, id="ws4redis.W001")


def _connection() -> Iterator[CheckMessage]:
    try:
        Redis(**settings.WS4REDIS_CONNECTION)
    except (TypeError, ValueError) as error:
        hint = f"It is what redis.Redis takes by name: {error}."
        yield Error("WS4REDIS_CONNECTION is no connection", hint=hint, id="ws4redis.E004")


def _hooks() -> Iterator[CheckMessage]:
    for name in ("WS4REDIS_ALLOWED_CHANNELS", "WS4REDIS_PROCESS_REQUEST"):
        hook = getattr(settings, name)
        found, why = _imported(hook) if isinstance(hook, str) else (hook, f"it is {hook!r}")
        if hook is not None and not callable(found):
            yield Error(f"{name} must be a function or its dotted path", hint=_sentence(why), id="ws4redis.E005")


def _subscriber() -> Iterator[CheckMessage]:
    kind, why = _imported(settings.WS4REDIS_SUBSCRIBER)
    if not (isinstance(kind, type) and issubclass(kind, subscriber.RedisSubscriber)):
        must = "WS4REDIS_SUBSCRIBER must be the dotted path of a class derived from RedisSubscriber"
        yield Error(must, hint=_sentence(why), id="ws4redis.E006")
        return
    if overridden := [name for name in NEVER_CALLED if hasattr(kind, name)]:
        says = f"{settings.WS4REDIS_SUBSCRIBER} has methods that nobody calls any more: {', '.join(overridden)}"
        hint = "Of a subscriber only its two lists of flags and set_pubsub_channels count, see the README."
        yield Warning(says, hint=hint, id="ws4redis.W002")


def _secret() -> Iterator[CheckMessage]:
    secret = settings.WS4REDIS_CONTROL_SECRET
    if not (secret is None or secret is False or (isinstance(secret, str) and len(secret.strip().encode()) >= 32)):
        hint = "Leave it out: then it is derived from SECRET_KEY. False sends no control messages."
        yield Error("WS4REDIS_CONTROL_SECRET must have 32 bytes at least", hint=hint, id="ws4redis.E007")


def _gateway() -> Iterator[CheckMessage]:
    # A site may well be served without the gateway's help, so it is no error.
    try:
        told = gateway.environment()
    except ImproperlyConfigured as error:
        hint = "Publishing works; `manage.py ws4redis` does not."
        yield Warning(_sentence(str(error)), hint=hint, id="ws4redis.W003")
    except Exception as error:
        # Something above says what it is.
        yield Warning(f"The gateway's settings cannot be made out: {error!r}", id="ws4redis.W004")
    else:
        if url := told.get("WS4REDIS_CALLBACK_URL"):
            yield from _asked(url)


def _asked(url: str) -> Iterator[CheckMessage]:
    # The gateway's question comes to the site itself, by a host of its own and without TLS.
    host = "localhost" if url.startswith("unix:") else urlsplit(url).hostname or ""
    allowed = site.ALLOWED_HOSTS or ([host] if site.DEBUG else [])
    if not (site.USE_X_FORWARDED_HOST or validate_host(host, allowed)):
        says = f"The gateway asks the site at {url}, and gets no answer: ALLOWED_HOSTS does not have {host!r}"
        yield Warning(says, hint=f"Add {host!r} to it.", id="ws4redis.W005")
    path = (gateway.authorize_path() or "/").lstrip("/")
    if site.SECURE_SSL_REDIRECT and not any(re.search(exempt, path) for exempt in site.SECURE_REDIRECT_EXEMPT):
        says = "SECURE_SSL_REDIRECT sends the gateway away, which asks the site by plain HTTP"
        hint = f'SECURE_REDIRECT_EXEMPT = ["^{path}$"] lets it through.'
        yield Warning(says, hint=hint, id="ws4redis.W006")


def _runserver() -> Iterator[CheckMessage]:
    # Where it still stands, runserver ends with a traceback.
    if str(site.WSGI_APPLICATION).startswith("ws4redis."):
        hint = "Take it out, or name the site's own. `manage.py ws4redis` is the gateway, beside runserver."
        yield Warning(f"WSGI_APPLICATION is {site.WSGI_APPLICATION!r}, which is gone", hint=hint, id="ws4redis.W007")


def _imported(path: Any) -> tuple[Any, str]:
    try:
        return import_string(path), f"it is {path!r}"
    except (ImportError, AttributeError, TypeError) as error:
        return None, str(error)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
