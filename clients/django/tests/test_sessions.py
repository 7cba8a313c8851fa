"""Who logs in on the site is known to the gateway: real sessions of each engine, a real gateway, a real client."""

import pytest
from django.test import override_settings

from conftest import DEADLINE, REDIS_SOCKET, until
from ws4redis.publisher import RedisPublisher
from ws4redis.redis_store import RedisMessage

CACHE = "django.contrib.sessions.backends.cache"
CACHED_DB = "django.contrib.sessions.backends.cached_db"
ENGINES = {
    "redis_sessions": {"SESSION_ENGINE": "redis_sessions.session"},
    "cache": {"SESSION_ENGINE": CACHE},
    "cache, django-redis": {"SESSION_ENGINE": CACHE, "SESSION_CACHE_ALIAS": "django_redis"},
    "cached_db": {"SESSION_ENGINE": CACHED_DB},
    "cached_db, django-redis": {"SESSION_ENGINE": CACHED_DB, "SESSION_CACHE_ALIAS": "django_redis"},
    "signed_cookies": {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"},
}
EVERYTHING = "subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session"


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ENGINES)
def test_who_logs_in_hears_what_is_said_to_user_groups_and_session(engine, start, client, john):
    with override_settings(**ENGINES[engine]):
        assert client.get("/enter?as=john").content == b"welcome"
        gateway = start()
        key = client.cookies["sessionid"].value
        with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
            say(socket, "to john", users=["john"])
            say(socket, "to chatters", groups=["chatters"])
            if engine != "signed_cookies":
                say(socket, "to the session", sessions=[key])
            say(socket, "to all", broadcast=True)


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_that_is_not_there_or_was_tampered_with_is_nobody(engine, start, client, john):
    with override_settings(**ENGINES[engine]):
        client.get("/enter?as=john")
        gateway = start()
        key = client.cookies["sessionid"].value
        client.cookies["sessionid"] = key[:-1] + ("a" if key[-1] != "a" else "b")
        with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
            RedisPublisher(facility="f", users=["john"]).publish_message(RedisMessage("to john"))
            say(socket, "to all", broadcast=True)


@pytest.mark.django_db
def test_a_visitor_has_a_session_and_no_name(start, client):
    client.get("/visit")
    gateway = start()
    with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
        say(socket, "to the session", sessions=[client.cookies["sessionid"].value])


@pytest.mark.django_db
def test_what_a_client_says_is_fetched_by_the_site(start, client, rf, john):
    client.get("/enter?as=john")
    gateway = start()
    with gateway.client("f?publish-user&subscribe-user&echo", client.cookies) as socket:
        socket.send("53.5, 10.0")
        assert socket.recv(timeout=DEADLINE) == "53.5, 10.0"
    request = rf.get("/")
    request.user, request.session = john, client.session
    assert RedisPublisher().fetch_message(request, "f") == b"53.5, 10.0"


@pytest.mark.django_db
def test_sessions_may_be_in_another_database_than_the_messages(start, client, john):
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"unix://{REDIS_SOCKET}?db=5"}
    with override_settings(SESSION_ENGINE=CACHE, CACHES={"default": cache}):
        client.get("/enter?as=john")
        gateway = start()
        until(lambda: gateway.status("f") == 101, "both Redises are there")
        with gateway.client("f?subscribe-user", client.cookies) as socket:
            say(socket, "to john", users=["john"])


def say(socket, text, **audience):
    """Publishes, and hears it; what was said to others in between was not heard."""
    RedisPublisher(facility="f", users=["mary"], groups=["staff"]).publish_message(RedisMessage("to others"))
    RedisPublisher(facility="f", **audience).publish_message(RedisMessage(text))
    assert socket.recv(timeout=DEADLINE) == text
