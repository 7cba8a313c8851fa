"""A site such as many: users, groups, sessions."""

import os
import tempfile

# The first to read this, which is the tests, says where Redis is; the site's other processes are told.
if "SITE_REDIS_SOCKET" not in os.environ:
    os.environ["SITE_REDIS_SOCKET"] = tempfile.mkdtemp(prefix="ws4redis-") + "/redis.sock"
REDIS_SOCKET = os.environ["SITE_REDIS_SOCKET"]

SECRET_KEY = "the tests' own, and of no use to anybody else"
DEBUG = os.environ.get("SITE_DEBUG") == "1"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "site_urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "ws4redis",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"context_processors": ["ws4redis.context_processors.default"]},
    }
]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"unix://{REDIS_SOCKET}",
        "KEY_PREFIX": "site",
    },
    "django_redis": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"unix://{REDIS_SOCKET}",
        "KEY_PREFIX": "site",
        "VERSION": 3,
    },
}
SESSION_ENGINE = "redis_sessions.session"
SESSION_REDIS = {"unix_domain_socket_path": REDIS_SOCKET, "prefix": "session"}

WEBSOCKET_URL = "/ws/"
WS4REDIS_CONNECTION = {"unix_socket_path": REDIS_SOCKET}
WS4REDIS_PREFIX = "site"
WS4REDIS_ADMIN = "off"
STATIC_URL = "/static/"
