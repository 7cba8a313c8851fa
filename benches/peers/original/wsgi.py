"""The websocket loop, which is all that runs in this process."""

import gevent.monkey

gevent.monkey.patch_all()

import redis.connection  # noqa: E402

redis.connection.socket = __import__("gevent.socket").socket

import os  # noqa: E402

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"

from ws4redis.uwsgi_runserver import uWSGIWebsocketServer  # noqa: E402

application = uWSGIWebsocketServer()
