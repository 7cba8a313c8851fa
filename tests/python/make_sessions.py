"""Makes the sessions of tests/sessions.jsonl: real Django saves them through real session engines into a real Redis.

    for python in django3.2 django4.2 django5.2; do $python/bin/python make_sessions.py; done > tests/sessions.jsonl

Each needs Django, django-redis, django-redis-sessions and redis in its environment, and redis-server in the PATH.
Prints a line of JSON per session: how it was made, the key in Redis, the raw value in base64 (for signed_cookies: of
the cookie), and who is to be read from it, or why nobody is.
"""

import base64
import contextlib
import datetime
import importlib.util
import json
import subprocess
import tempfile
import time
from unittest import mock

import django
import redis
from django.conf import settings
from django.test import override_settings

SECRET = "django-insecure-s3cr\u00e9t"
SESSION_KEY = "k3y0f3ss10nabcdefghijklmnopqrstu"
# A clock that stands still makes the same file again.
UNIX = 1_750_000_000
PREFIX = "site"

CACHE = "django.contrib.sessions.backends.cache"
CACHED_DB = "django.contrib.sessions.backends.cached_db"

LOGGED_IN = {
    "_auth_user_id": "42",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "0123456789abcdef" * 4,
}
SESSIONS = {
    # Too short for zlib to save anything.
    "tiny": ({"ws4redis:username": "j"}, {"username": "j"}),
    "john": (
        {**LOGGED_IN, "ws4redis:username": "john", "ws4redis:memberof": ["chatters", "staff"]},
        {"user_id": "42", "username": "john", "groups": ["chatters", "staff"]},
    ),
    "unicode": (
        {
            **LOGGED_IN,
            "_auth_user_id": "d9b2d63d-a233-4123-847a-7a3a1a4f2b1c",
            "ws4redis:username": "Zo\u00eb \u0142\u00f3d\u017a \U0001f98a",
            "ws4redis:memberof": ["\u7ba1\u7406\u54e1", "a:b", "stra\u00dfe"],
        },
        {
            "user_id": "d9b2d63d-a233-4123-847a-7a3a1a4f2b1c",
            "username": "Zo\u00eb \u0142\u00f3d\u017a \U0001f98a",
            "groups": ["\u7ba1\u7406\u54e1", "a:b", "stra\u00dfe"],
        },
    ),
    # What sites put in besides: enough for zlib to pay off, for more than one batch and a memo over 256 in a pickle,
    # the same list twice, so that the pickle refers to it.
    "busy": (
        {
            **LOGGED_IN,
            "cart": [{"id": n, "price": n / 3, "big": -(1 << 40) * n, "ok": n == 0} for n in range(4)],
            "lists": [[] for n in range(300)],
            "long": [None] * 1_100,
            "ws4redis:memberof": (members := ["chatters"]),
            "again": [members, members, None, {"nested": [[[[]]]]}],
            "text": "0123456789" * 30,
            "_session_expiry": 300,
        },
        {"user_id": "42", "groups": ["chatters"]},
    ),
    "visitor": ({"cart": [1, 2, 3]}, {}),
    "empty": ({}, {}),
}
# What only pickles can hold, as plain data and not.
PLAIN = {**LOGGED_IN, "ws4redis:memberof": ("tuple",), "set": {1, 2}, "bytes": b"\0\1", "huge": 1 << 200}
OBJECT = {**LOGGED_IN, "seen": datetime.datetime(2025, 6, 15)}


def main():
    with redis_server() as socket:
        configure(socket)
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        with mock.patch("time.time", lambda: float(UNIX)):
            redis_sessions()
            signed_cookies()
            caches()


def redis_sessions():
    engine = "redis_sessions.session"
    for name, (data, who) in SESSIONS.items():
        save("RedisSessions", engine, name, data, who)
        if django.VERSION < (4, 0):
            with override_settings(DEFAULT_HASHING_ALGORITHM="sha1"):
                save("RedisSessions", engine, f"{name}, legacy", data, who)
    if django.VERSION < (5, 0):
        with override_settings(SESSION_SERIALIZER="django.contrib.sessions.serializers.PickleSerializer"):
            save("RedisSessions", engine, "pickled", OBJECT, {"bad": "Pickled"})


def signed_cookies():
    engine = "django.contrib.sessions.backends.signed_cookies"
    for name, (data, who) in SESSIONS.items():
        save("SignedCookies", engine, name, data, who)
        if django.VERSION < (4, 0):
            with override_settings(DEFAULT_HASHING_ALGORITHM="sha1"):
                save("SignedCookies", engine, f"{name}, sha1", data, who)


def caches():
    aliases = ["django_redis"] if django.VERSION < (4, 0) else ["django_redis", "default"]
    for alias in aliases:
        for name, (data, who) in SESSIONS.items():
            save("Cache", CACHE, f"{name}, {alias}", data, who, alias)
        # cached_db writes JSON to its database besides, so it cannot have these.
        plain = {"user_id": "42", "groups": ["tuple"]}
        save("Cache", CACHE, f"plain, {alias}", PLAIN, plain, alias)
        save("Cache", CACHE, f"object, {alias}", OBJECT, {"bad": "NamesAClass"}, alias)
        for name in ["john", "unicode"]:
            save("CachedDb", CACHED_DB, f"{name}, {alias}", *SESSIONS[name], alias)
    for alias in ["protocol 2", "protocol 3", "json"]:
        for name in ["unicode", "busy"]:
            save("Cache", CACHE, f"{name}, {alias}", *SESSIONS[name], alias)
    for compressor in ["zlib", "gzip", "lzma"]:
        if compressor in settings.CACHES:
            data, _ = SESSIONS["busy"]
            bad = {"bad": f'Compressed("{compressor}")'}
            save("Cache", CACHE, f"compressed, {compressor}", data, bad, compressor)


def save(kind, engine, name, data, expected, alias=None):
    with override_settings(SESSION_CACHE_ALIAS=alias or "default"):
        store = importlib.import_module(engine).SessionStore()
        store._session_key = SESSION_KEY
        store._session_cache = dict(data)
        connection.flushall()
        if kind == "CachedDb":
            store.model.objects.all().delete()
        store.save(must_create=True)
    if kind == "SignedCookies":
        key, raw = None, store.session_key.encode()
    else:
        [key] = connection.keys()
        raw = connection.get(key)
    line = {
        "django": django.get_version(),
        "engine": kind,
        "name": name,
        "session_key": SESSION_KEY,
        "prefix": PREFIX,
        "version": 1,
        "key": key and key.decode(),
        "raw": base64.b64encode(raw).decode(),
        "secret": SECRET,
        "unix": UNIX,
        "expected": expected,
    }
    print(json.dumps(line))


def configure(socket):
    location = f"unix://{socket}"

    def django_redis(**options):
        backend = "django_redis.cache.RedisCache"
        return {"BACKEND": backend, "LOCATION": location, "KEY_PREFIX": PREFIX, "OPTIONS": options}

    cache_settings = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": location,
            "KEY_PREFIX": PREFIX,
        },
        "django_redis": django_redis(),
        "protocol 2": django_redis(PICKLE_VERSION=2),
        "protocol 3": django_redis(PICKLE_VERSION=3),
        "json": django_redis(SERIALIZER="django_redis.serializers.json.JSONSerializer"),
    }
    for compressor in ["zlib", "gzip", "lzma"]:
        module = f"django_redis.compressors.{compressor}"
        if importlib.util.find_spec(module):
            path = f"{module}.{compressor.capitalize()}Compressor"
            cache_settings[compressor] = django_redis(COMPRESSOR=path)
    if django.VERSION < (4, 0):
        cache_settings["default"] = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.configure(
        SECRET_KEY=SECRET,
        INSTALLED_APPS=["django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        CACHES=cache_settings,
        SESSION_REDIS={"unix_domain_socket_path": socket, "prefix": PREFIX},
    )
    global connection
    connection = redis.Redis(unix_socket_path=socket)


@contextlib.contextmanager
def redis_server():
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                wait_for(socket)
                yield socket
            finally:
                server.terminate()


def wait_for(socket):
    deadline = time.monotonic() + 10
    while True:
        try:
            return redis.Redis(unix_socket_path=socket).ping()
        except redis.exceptions.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


if __name__ == "__main__":
    main()
