"""The settings of the chat: an ordinary site, and a section for ws4redis at the foot.

`demo.py` says where things are, through CHAT_DATA: the folder with the database, the key and the sockets.
"""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
DATA = Path(os.environ.get("CHAT_DATA", HERE / "data"))

SECRET_KEY = os.environ.get("CHAT_SECRET_KEY", "only for looking around: demo.py makes a real one")
DEBUG = False
# It is served on loopback only. A real site names its hosts here.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "chat.urls"
WSGI_APPLICATION = "chat.wsgi.application"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "ws4redis",
    "chat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "ws4redis.context_processors.default",
            ]
        },
    }
]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "chat.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA / "static"
# The browser's side of ws4redis, as a site would copy it from the npm package.
STATICFILES_DIRS = [("ws4redis", REPOSITORY / "clients" / "js" / "dist")]

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "everyone"
LOGOUT_REDIRECT_URL = "login"

# Sessions in Redis, where the gateway reads who somebody is.
REDIS_SOCKET = DATA / "redis.sock"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"unix://{REDIS_SOCKET}",
    }
}

# ws4redis: `manage.py ws4redis` starts the gateway with these.
WS4REDIS_CONNECTION = {"unix_socket_path": str(REDIS_SOCKET)}
WS4REDIS_PREFIX = "chat"
WS4REDIS_EXPIRE = 3600
WS4REDIS_HEARTBEAT = "--heartbeat--"
WS4REDIS_ALLOWED_CHANNELS = "chat.permissions.get_allowed_channels"
# nginx and Django are on this machine: sockets cost less than ports, and nobody else can reach them.
WS4REDIS_LISTEN = f"unix:{DATA / 'gateway.sock'}"
WS4REDIS_CALLBACK_URL = f"unix:{DATA / 'django.sock'}:/ws4redis/authorize"
# Its port would be one more that has to be free. A real site keeps it: /readyz and /metrics are there.
WS4REDIS_ADMIN = "off"
