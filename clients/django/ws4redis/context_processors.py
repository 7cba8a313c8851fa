"""What templates need to know."""

import json

from django.conf import settings as site
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from . import gateway, settings


def default(request: HttpRequest) -> dict[str, str]:
    """`WEBSOCKET_URI`, where to connect to, and `WS4REDIS_HEARTBEAT`, as JavaScript."""
    scheme = "wss" if request.is_secure() else "ws"
    return {
        "WEBSOCKET_URI": f"{scheme}://{_host(request)}{settings.WEBSOCKET_URL}",
        "WS4REDIS_HEARTBEAT": _script(settings.WS4REDIS_HEARTBEAT),
    }


def _host(request: HttpRequest) -> str:
    if settings.WS4REDIS_PUBLIC_HOST:
        return settings.WS4REDIS_PUBLIC_HOST
    # Beside runserver no proxy brings the two together, so the gateway has a port of its own.
    port = gateway.port() if site.DEBUG else None
    return f"{request.get_host().rsplit(':', 1)[0]}:{port}" if port else request.get_host()


def _script(text: str | None) -> SafeString:
    # A "</script>" within a string ends the script as well.
    escaped = json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return mark_safe(escaped)  # noqa: S308
