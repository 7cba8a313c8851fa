"""The permission callback: the gateway asks the site for each client."""

import asyncio

import django
import pytest
from django.test import override_settings

import documented
import hooks
from conftest import DEADLINE
from ws4redis import control
from ws4redis.publisher import RedisPublisher
from ws4redis.redis_store import RedisMessage

pytestmark = pytest.mark.django_db(transaction=True)

EVERYTHING = "&".join(
    f"{verb}-{audience}" for verb in ("subscribe", "publish") for audience in ("broadcast", "group", "session", "user")
)


@pytest.fixture
def ask(start, live_server):
    """Starts a gateway that asks the live site, with hooks as given."""
    overrides = []

    def ask(**settings):
        url = f"{live_server.url}/ws4redis/authorize"
        overrides.append(override_settings(WS4REDIS_IDENTITY="callback", WS4REDIS_CALLBACK_URL=url, **settings))
        overrides[-1].enable()
        return start()

    yield ask
    for override in overrides:
        override.disable()


def publish(text, **audience):
    RedisPublisher(facility="f", **audience).publish_message(RedisMessage(text))


def question(client, target="/ws/f?subscribe-user&publish-user&echo", **headers):
    """The gateway's question, without a gateway."""
    return client.get("/ws4redis/authorize", headers={"X-Original-URI": target, **headers})


# The two examples of the original's documentation.


@pytest.mark.parametrize("hook", [documented.only_some, "documented.only_some"])
def test_the_first_documented_example_discards_what_it_does_not_allow(hook, ask, client, john):
    client.get("/enter?as=john")
    gateway = ask(WS4REDIS_ALLOWED_CHANNELS=hook)
    with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
        publish("to john", users=["john"])
        socket.send("published nowhere")
        for text, audience in (("to chatters", {"groups": ["chatters"]}), ("to all", {"broadcast": True})):
            publish(text, **audience)
            assert socket.recv(timeout=DEADLINE) == text


@pytest.mark.parametrize("hook", [documented.only_users, "documented.only_users"])
def test_the_second_documented_example_refuses_who_did_not_log_in(hook, ask, client, john):
    gateway = ask(WS4REDIS_ALLOWED_CHANNELS=hook)
    assert gateway.status("f?subscribe-broadcast") == 403
    client.get("/visit")
    assert gateway.status("f?subscribe-broadcast", client.cookies) == 403
    client.get("/enter?as=john")
    with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
        publish("to john", users=["john"])
        assert socket.recv(timeout=DEADLINE) == "to john"


# Who is it.


def test_the_site_says_who_it_is_whatever_keeps_its_sessions(ask, client, john):
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.db"):
        client.get("/enter?as=john")
        gateway = ask()
        with gateway.client(f"f?{EVERYTHING}", client.cookies) as socket:
            for audience in ({"users": ["john"]}, {"groups": ["chatters"]}, {"sessions": [client.session.session_key]}):
                publish(str(audience), **audience)
                assert socket.recv(timeout=DEADLINE) == str(audience)


def test_groups_are_those_of_now_and_not_those_of_the_login(client, john):
    client.get("/enter?as=john")
    assert question(client).json()["groups"] == ["chatters"]
    john.groups.clear()
    assert question(client).json()["groups"] == []


def test_nobody_can_make_up_a_session(client):
    client.cookies["sessionid"] = "m4de4p5e55ionkeym4de4p5e55ionkey"
    assert question(client).json() == {"user": None, "groups": [], "session": None, "channels": FLAGS}
    client.get("/visit")
    assert question(client).json()["session"] == client.cookies["sessionid"].value


FLAGS = ["subscribe-user", "publish-user"]


def test_a_user_who_may_not_log_in_any_more_is_nobody(client, john):
    client.get("/enter?as=john")
    assert question(client).json()["user"] == "john"
    john.is_active = False
    john.save()
    assert question(client).json()["user"] is None


def test_to_look_at_a_session_changes_nothing_in_it(client, john, settings):
    client.get("/enter?as=john")
    key = client.session.session_key
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the next one", [settings.SECRET_KEY]
    for _ in range(2):
        assert question(client).json()["user"] == "john"
    john.set_password("another")
    john.save()
    for _ in range(2):
        answer = question(client).json()
        assert (answer["user"], answer["session"]) == (None, key)


def test_a_hook_finds_out_who_it_is_in_its_own_way(ask):
    gateway = ask(WS4REDIS_PROCESS_REQUEST="hooks.by_token")
    assert gateway.status("f?token=evil&subscribe-user") == 403
    with gateway.client("f?token=mary&subscribe-user&subscribe-group&subscribe-session") as socket:
        for audience in ({"users": ["mary"]}, {"groups": ["bearers"]}, {"sessions": ["by-token"]}):
            publish(str(audience), **audience)
            assert socket.recv(timeout=DEADLINE) == str(audience)
    with gateway.client("f?subscribe-user&subscribe-broadcast") as socket:
        publish("to None", users=["None"])
        publish("to all", broadcast=True)
        assert socket.recv(timeout=DEADLINE) == "to all"


# What may they.


def test_a_hook_sees_the_clients_own_request(ask, client, john):
    client.get("/enter?as=john")
    gateway = ask(WS4REDIS_ALLOWED_CHANNELS="hooks.remember_request")
    hooks.SEEN.clear()
    target = "caf%C3%A9%2F1/%FF?Subscribe-User=&echo&publish-user=1&x=y&x=z"
    assert gateway.status(target, client.cookies, **{"User-Agent": "a browser", "Sec-Fetch-Mode": "websocket"}) == 101
    [seen] = hooks.SEEN
    assert seen == {
        "path": "/ws/caf\u00e9/1/%FF",
        "path_info": "/ws/caf\u00e9/1/%FF",
        "query": {"Subscribe-User": [""], "echo": [""], "publish-user": ["1"], "x": ["y", "z"]},
        "host": "testserver",
        "cookies": ["sessionid"],
        "agent": "a browser",
        "user": "john",
        "channels": ["subscribe-user", "publish-user"],
    }


def test_a_hook_may_allow_more_than_was_asked_for(ask, client, john):
    client.get("/enter?as=john")
    gateway = ask(WS4REDIS_ALLOWED_CHANNELS="hooks.one_more")
    with gateway.client("f?subscribe-user", client.cookies) as socket:
        publish("to all", broadcast=True)
        assert socket.recv(timeout=DEADLINE) == "to all"
        socket.send("to john")
        with gateway.client("f?subscribe-user", client.cookies) as other:
            assert "to john" in (other.recv(timeout=DEADLINE), other.recv(timeout=DEADLINE))


def test_a_subscriber_of_the_sites_own_adds_channels(ask, client, store, heard):
    gateway = ask(WS4REDIS_SUBSCRIBER="hooks.Rooms")
    with gateway.client("house/7?subscribe-room&publish-broadcast&subscribe-broadcast&echo") as socket:
        store.publish("site:room:7", "in the room")
        assert socket.recv(timeout=DEADLINE) == "in the room"
        socket.send("everywhere")
        assert socket.recv(timeout=DEADLINE) == "everywhere"
    assert ("site:broadcast:house/7", b"everywhere") in heard()


@pytest.mark.parametrize("hook", ["hooks.broken", "hooks.a_text", "hooks.misspelt", "nowhere.at_all"])
def test_a_hook_that_fails_lets_nobody_in(hook, ask):
    assert ask(WS4REDIS_ALLOWED_CHANNELS=hook).status("f?subscribe-broadcast") == 503


def test_pages_get_no_answer(client, john):
    client.get("/enter?as=john")
    for headers in ({"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "same-origin"}, {"Sec-Fetch-Mode": "navigate"}):
        assert question(client, **headers).status_code == 403
    assert question(client, **{"Sec-Fetch-Mode": "websocket"}).status_code == 200
    assert client.get("/ws4redis/authorize").status_code == 403
    assert client.post("/ws4redis/authorize").status_code == 405
    assert "no-store" in question(client)["Cache-Control"]


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware came with Django 5.1")
def test_it_answers_where_everything_else_wants_a_login(client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.get("/visit").status_code == 302
    assert question(client).status_code == 200


def test_it_answers_an_asynchronous_server_too(async_client):
    target = "/ws/f/1?subscribe-user"
    answer = asyncio.run(async_client.get("/ws4redis/authorize", headers={"X-Original-URI": target}))
    assert answer.json() == {"user": None, "groups": [], "session": None, "channels": ["subscribe-user"]}


# What becomes of a connection.


def test_who_logs_out_is_cut_off(ask, client, john, cut_off):
    client.get("/enter?as=john")
    gateway = ask()
    with gateway.client("f?subscribe-user", client.cookies) as socket, gateway.client("f?subscribe-user") as other:
        client.get("/leave")
        assert cut_off(socket) == 4403
        assert other.ping().wait(DEADLINE)


def test_who_is_put_out_of_a_group_is_judged_anew(ask, client, john, cut_off):
    client.get("/enter?as=john")
    gateway = ask()
    with gateway.client("f?subscribe-group", client.cookies) as socket:
        john.groups.clear()
        assert cut_off(socket) == 1012
    with gateway.client("f?subscribe-group&subscribe-broadcast", client.cookies) as socket:
        publish("to chatters", groups=["chatters"])
        publish("to all", broadcast=True)
        assert socket.recv(timeout=DEADLINE) == "to all"


@pytest.mark.parametrize("prefix", ["site", None])
def test_the_gateway_believes_what_the_site_signs(prefix, ask, client, john, cut_off):
    client.get("/enter?as=john")
    gateway = ask(WS4REDIS_PREFIX=prefix)
    with gateway.client("f?subscribe-user", client.cookies) as socket:
        with override_settings(WS4REDIS_CONTROL_SECRET="somebody else's secret, of enough bytes"):
            control.disconnect(user="john")
        publish("still here", users=["john"])
        assert socket.recv(timeout=DEADLINE) == "still here"
        control.disconnect(user="john", group="chatters")
        assert cut_off(socket) == 4403
