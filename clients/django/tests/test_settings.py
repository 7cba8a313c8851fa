"""The site's settings: their defaults, what the gateway is told of them, and what the checks say."""

import subprocess

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.template import engines
from django.test import override_settings

from conftest import REDIS_SOCKET, binary
from ws4redis import gateway, settings

HERE = f"unix://{REDIS_SOCKET}?db=0"
RAW = "hooks.remember_request"
ASKED = {"WS4REDIS_IDENTITY": "callback", "WS4REDIS_CALLBACK_URL": "unix:/run/site.sock:/ws4redis/authorize"}


def in_cache(**said):
    """Sessions in a cache."""
    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"unix://{REDIS_SOCKET}", **said}
    return {"SESSION_ENGINE": "django.contrib.sessions.backends.cache", "CACHES": {"default": cache}}


def test_every_setting_has_the_default_of_the_original():
    with override_settings():
        from django.conf import settings as site

        for name in ("WEBSOCKET_URL", "WS4REDIS_CONNECTION", "WS4REDIS_PREFIX"):
            delattr(site, name)
        assert settings.WEBSOCKET_URL == "/ws/"
        assert settings.WS4REDIS_CONNECTION == {"host": "localhost", "port": 6379, "db": 0, "password": None}
        assert settings.WS4REDIS_EXPIRE == 3600
        assert settings.WS4REDIS_SUBSCRIBER == "ws4redis.subscriber.RedisSubscriber"
        for name in ("PREFIX", "HEARTBEAT", "ALLOWED_CHANNELS", "PROCESS_REQUEST"):
            assert getattr(settings, f"WS4REDIS_{name}") is None
    with pytest.raises(AttributeError):
        _ = settings.WS4REDIS_NOTHING


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"host": "r", "port": 16379, "db": 17, "password": "p@ss/w:rd"}, "redis://:p%40ss%2Fw%3Ard@r:16379/17"),
        ({"host": "::1", "username": "u", "password": "p"}, "redis://u:p@[::1]:6379/0"),
        ({"unix_socket_path": "/run/r.sock", "db": 5}, "unix:///run/r.sock?db=5"),
        ({"unix_socket_path": "/run/r.sock", "password": "p&s"}, "unix:///run/r.sock?db=0&password=p%26s"),
        ({"host": "r", "ssl": False}, "redis://r:6379/0"),
    ],
)
def test_a_connection_becomes_a_url_that_the_gateway_reads(connection, url):
    assert gateway.redis_url(connection) == url
    command = [binary(), "check", "--print"]
    printed = subprocess.run(command, env={"WS4REDIS_CONNECTION": url}, capture_output=True, text=True, check=True)
    assert "redis = " in printed.stdout


def test_tls_to_redis_is_refused_in_words():
    for connection in ({"ssl": True}, {"host": "r", "ssl": True}):
        with pytest.raises(ImproperlyConfigured, match="stunnel"):
            gateway.redis_url(connection)


def test_the_gateway_is_told_what_the_site_says():
    with override_settings(WS4REDIS_HEARTBEAT="--beat--", WS4REDIS_EXPIRE=None, SECRET_KEY_FALLBACKS=["old"]):
        told = gateway.environment()
    from django.conf import settings as site

    assert told.pop("WS4REDIS_CONTROL_SECRET")
    assert told == {
        "WEBSOCKET_URL": "/ws/",
        "WS4REDIS_ADMIN": "off",
        "WS4REDIS_CONNECTION": HERE,
        "WS4REDIS_DJANGO_ENGINE": "redis_sessions",
        "WS4REDIS_DJANGO_KEY_PREFIX": "session",
        "WS4REDIS_DJANGO_SECRET_KEY": f"{site.SECRET_KEY}\nold",
        "WS4REDIS_EXPIRE": "0",
        "WS4REDIS_HEARTBEAT": "--beat--",
        "WS4REDIS_IDENTITY": "django",
        "WS4REDIS_PREFIX": "site",
        "WS4REDIS_SESSION_COOKIE": "sessionid",
    }


def test_any_setting_of_the_gateway_may_stand_among_the_sites():
    with override_settings(
        WS4REDIS_LISTEN=["unix:/run/a.sock", "127.0.0.1:9000"],
        WS4REDIS_SESSIONS_MAX=100,
        WS4REDIS_ORIGIN_REQUIRED_WITH_COOKIE=False,
        WS4REDIS_CONTROL_SECRET=False,
    ):
        told = gateway.environment()
    assert told["WS4REDIS_LISTEN"] == "unix:/run/a.sock,127.0.0.1:9000"
    assert told["WS4REDIS_SESSIONS_MAX"] == "100"
    assert told["WS4REDIS_ORIGIN_REQUIRED_WITH_COOKIE"] == "false"
    assert "WS4REDIS_CONTROL_SECRET" not in told


def test_sessions_elsewhere_are_looked_for_elsewhere():
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://:p@elsewhere/2"}
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache", CACHES={"default": cache}):
        told = gateway.environment()
        assert told["WS4REDIS_DJANGO_REDIS"] == "redis://:p@elsewhere:6379/2"
        assert (told["WS4REDIS_DJANGO_ENGINE"], told["WS4REDIS_DJANGO_VERSION"]) == ("cache", "1")
        assert "WS4REDIS_DJANGO_KEY_PREFIX" not in told
    with override_settings(SESSION_REDIS={"host": "elsewhere", "db": 1}):
        assert gateway.environment()["WS4REDIS_DJANGO_REDIS"] == "redis://elsewhere:6379/1"
    with override_settings(SESSION_REDIS={"url": f"unix://{REDIS_SOCKET}"}):
        assert "WS4REDIS_DJANGO_REDIS" not in gateway.environment()


@pytest.mark.parametrize(
    "said",
    [
        {"WS4REDIS_ALLOWED_CHANNELS": RAW},
        {"WS4REDIS_PROCESS_REQUEST": "hooks.by_token"},
        {"WS4REDIS_SUBSCRIBER": "hooks.Rooms"},
        {"SESSION_ENGINE": "django.contrib.sessions.backends.db"},
        {
            "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        },
        {"SESSION_SERIALIZER": "hooks.PickleSerializer"},
        in_cache(OPTIONS={"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}),
        in_cache(OPTIONS={"SERIALIZER": "django_redis.serializers.msgpack.MSGPackSerializer"}),
        in_cache(OPTIONS={"serializer": "hooks.CacheSerializer"}),
        in_cache(KEY_FUNCTION="hooks.key"),
        {"WS4REDIS_IDENTITY": ["callback"]},
    ],
)
def test_where_only_the_site_knows_it_is_asked(said):
    with override_settings(**said):
        with pytest.raises(ImproperlyConfigured, match=r"WS4REDIS_CALLBACK_URL = .*/ws4redis/authorize"):
            gateway.environment()
        with override_settings(DEBUG=True):
            told = gateway.environment()
            assert told["WS4REDIS_CALLBACK_URL"] == "http://127.0.0.1:8000/ws4redis/authorize"
        with override_settings(WS4REDIS_CALLBACK_URL="unix:/run/site.sock:/authorize"):
            told = gateway.environment()
        assert (told["WS4REDIS_IDENTITY"], told["WS4REDIS_CALLBACK_URL"]) == (
            "callback",
            "unix:/run/site.sock:/authorize",
        )
        with override_settings(ROOT_URLCONF="empty_urls"), pytest.raises(ImproperlyConfigured, match=r"ws4redis\.urls"):
            gateway.environment()


def test_templates_know_where_to_connect_to(rf):
    def render(template, **extra):
        return engines["django"].from_string(template).render({}, rf.get("/", **extra))

    assert render("{{ WEBSOCKET_URI }}") == "ws://testserver/ws/"
    assert render("{{ WEBSOCKET_URI }}", secure=True, headers={"host": "shop.example"}) == "wss://shop.example/ws/"
    assert render("{{ WS4REDIS_HEARTBEAT }}") == "null"
    with override_settings(WS4REDIS_HEARTBEAT="--beat--"):
        assert render("{{ WS4REDIS_HEARTBEAT }}") == '"--beat--"'
    with override_settings(WS4REDIS_HEARTBEAT='</script>"'):
        assert render("{{ WS4REDIS_HEARTBEAT }}") == '"\\u003c/script\\u003e\\""'
    with override_settings(WS4REDIS_PUBLIC_HOST="push.example"):
        assert render("{{ WEBSOCKET_URI }}") == "ws://push.example/ws/"
    with override_settings(DEBUG=True):
        assert render("{{ WEBSOCKET_URI }}", headers={"host": "localhost:8000"}) == "ws://localhost:8002/ws/"
        for listen in ("unix:/run/ws4redis.sock", []):
            with override_settings(WS4REDIS_LISTEN=listen):
                assert render("{{ WEBSOCKET_URI }}", headers={"host": "localhost"}) == "ws://localhost/ws/"
        for listen in (8005, "0.0.0.0:8005", ["127.0.0.1:8005", "unix:/run/ws4redis.sock"]):
            with override_settings(WS4REDIS_LISTEN=listen):
                assert render("{{ WEBSOCKET_URI }}", headers={"host": "localhost"}) == "ws://localhost:8005/ws/"


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ({"WEBSOCKET_URL": None}, "E001", "WEBSOCKET_URL must be a path"),
        ({"WS4REDIS_EXPIRE": "3600"}, "E001", "WS4REDIS_EXPIRE must be a whole number"),
        ({"WS4REDIS_EXPIRE": True}, "E001", "WS4REDIS_EXPIRE must be a whole number"),
        ({"WEBSOCKET_URL": "/ws"}, "E002", "begin and end with a slash"),
        ({"WS4REDIS_HEARTBEAT": ""}, "E003", "must not be empty"),
        ({"WS4REDIS_CONNECTION": {"hots": "localhost"}}, "E004", "hots"),
        ({"WS4REDIS_CONNECTION": "redis://localhost"}, "E004", "WS4REDIS_CONNECTION"),
        ({"WS4REDIS_ALLOWED_CHANNELS": "hooks.misspelt"}, "E005", "misspelt"),
        ({"WS4REDIS_PROCESS_REQUEST": 7}, "E005", "WS4REDIS_PROCESS_REQUEST must be a function"),
        ({"WS4REDIS_SUBSCRIBER": "hooks.by_token"}, "E006", "derived from RedisSubscriber"),
        ({"WS4REDIS_SUBSCRIBER": None}, "E006", "derived from RedisSubscriber"),
        ({"WS4REDIS_SUBSCRIBER": "hooks.Old"}, "W002", "release"),
        ({"WS4REDIS_CONTROL_SECRET": "short"}, "E007", "32 bytes"),
        ({"WS4REDIS_CONTROL_SECRET": True}, "E007", "32 bytes"),
        ({"WS4REDIS_PREFIX": "shop:"}, "W001", "shop::"),
        ({"WS4REDIS_ALLOWED_CHANNELS": RAW}, "W003", "WS4REDIS_CALLBACK_URL"),
        ({"WS4REDIS_CONNECTION": {"ssl": True}}, "W003", "TLS"),
        ({**ASKED, "ALLOWED_HOSTS": ["shop.example"]}, "W005", "Add 'localhost'"),
        ({**ASKED, "SECURE_SSL_REDIRECT": True}, "W006", '["^ws4redis/authorize$"]'),
        ({"WSGI_APPLICATION": "ws4redis.django_runserver.application"}, "W007", "Take it out"),
    ],
)
def test_a_setting_that_would_not_do_what_it_says_is_told(said, code, words):
    assert checks() == []
    with override_settings(**said):
        told = {message.id.removeprefix("ws4redis."): f"{message.msg} {message.hint}" for message in checks()}
    assert words in told[code]


def test_a_site_that_lets_the_gateway_ask_hears_nothing_of_it():
    exempt = {"SECURE_SSL_REDIRECT": True, "SECURE_REDIRECT_EXEMPT": ["^ws4redis/"]}
    for said in (
        {"ALLOWED_HOSTS": ["shop.example", "localhost"], **exempt},
        {"ALLOWED_HOSTS": ["shop.example"], "USE_X_FORWARDED_HOST": True},
        {"ALLOWED_HOSTS": [".app.example"], "WS4REDIS_CALLBACK_URL": "http://www.app.example:8080/ws4redis/authorize"},
        {"ALLOWED_HOSTS": [], "DEBUG": True},
    ):
        with override_settings(**{**ASKED, **said}):
            assert checks() == []


def checks():
    return [message for message in run_checks() if str(message.id).startswith("ws4redis.")]
