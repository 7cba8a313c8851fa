"""django-websocket-redis 0.6.0 as its documentation deploys it: its own loop under uWSGI with gevent."""

import os

SECRET_KEY = "-"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["ws4redis"]
MIDDLEWARE = []
WEBSOCKET_URL = "/ws/"
# redis-py of today stops at 100 connections, of which each client takes one.
WS4REDIS_CONNECTION = {"host": "127.0.0.1", "port": int(os.environ["REDIS_PORT"]), "max_connections": 20_000}
WS4REDIS_EXPIRE = 3600
