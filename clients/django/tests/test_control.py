"""What the gateway is told of logins, logouts and changes of groups."""

import json
import logging
import time

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import override_settings

from ws4redis import control, gateway

CHANNEL = "site:ws4redis:control"


@pytest.fixture
def told(heard):
    """The control messages since it was last asked, without their signatures."""
    return lambda: [json.loads(data.partition(b"\n")[2]) for channel, data in heard() if channel == CHANNEL]


@pytest.fixture
def mary(django_user_model):
    return django_user_model.objects.create_user("mary", password="secret")


def test_a_message_is_signed_as_the_gateway_reads_it():
    # Made with other means: printf 'ws4redis-control-v1\n...' | openssl dgst -sha256 -hmac KEY
    key = "0123456789abcdef0123456789abcdef"
    signed = control.signed({"action": "recheck", "user": "jos\u00e9"}, key, "shop:ws4redis:control", 1_750_000_000)
    assert signed == (
        b"t=1750000000,v1=119469744d74d9b2fc385a301eabaf059fe2adb8b2089f93d10aec44a3af4265\n"
        b'{"action": "recheck", "user": "jos\\u00e9"}'
    )


def test_the_key_comes_from_the_secret_key_unless_it_is_said():
    derived = control.secret()
    assert len(derived) == 64
    with override_settings(SECRET_KEY="another"):
        assert control.secret() != derived
    with override_settings(WS4REDIS_CONTROL_SECRET=" " + "s" * 32 + "\n"):
        assert control.secret() == "s" * 32
    with override_settings(WS4REDIS_CONTROL_SECRET=False):
        assert control.secret() is None
        assert control.secrets() == []


def test_while_the_secret_key_is_exchanged_the_gateway_believes_both(settings):
    old = control.secret()
    with override_settings(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert control.secrets() == [control.secret(), old]
        assert gateway.environment()["WS4REDIS_CONTROL_SECRET"] == f"{control.secret()}\n{old}"
        with override_settings(WS4REDIS_CONTROL_SECRET="s" * 32):
            assert control.secrets() == ["s" * 32]


def test_nobody_is_not_everybody(told):
    for send in (control.disconnect, control.recheck):
        with pytest.raises(ValueError, match="everybody"):
            send()
    with pytest.raises(ValueError, match="4096"):
        control.disconnect(user="x" * 4096)
    assert told() == []
    control.disconnect(user="john", group="g", session="s")
    assert told() == [{"action": "disconnect", "user": "john", "group": "g", "session": "s"}]
    with override_settings(WS4REDIS_CONTROL_SECRET=False):
        control.disconnect(user="john")
    assert told() == []


@pytest.mark.django_db
def test_a_login_puts_name_and_groups_into_the_session(client, store, john):
    client.get("/enter?as=john")
    assert client.session["ws4redis:username"] == "john"
    assert client.session["ws4redis:memberof"] == ["chatters"]


@pytest.mark.django_db
def test_a_logout_names_its_session(client, told, john):
    client.get("/enter?as=john")
    key = client.session.session_key
    assert told() == []
    client.get("/leave")
    assert told() == [{"action": "disconnect", "session": key}]
    client.get("/leave")
    assert told() == [], "somebody who was not there"


@pytest.mark.django_db
def test_a_logout_of_a_session_without_a_key_names_the_user(client, told, john):
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        client.get("/enter?as=john")
        client.get("/leave")
    assert told() == [{"action": "recheck", "user": "john"}]


@pytest.mark.django_db(transaction=True)
def test_a_change_of_groups_names_whom_it_concerns_from_whichever_side(told, john, mary):
    chatters, staff = Group.objects.get(name="chatters"), Group.objects.create(name="staff")
    told()
    for change, expected in (
        (lambda: john.groups.add(staff), [{"user": "john"}]),
        (lambda: john.groups.add(staff), []),
        (lambda: john.groups.remove(staff), [{"user": "john"}]),
        (lambda: john.groups.set([staff]), [{"user": "john"}, {"user": "john"}]),
        (lambda: john.groups.clear(), [{"user": "john"}]),
        (lambda: chatters.user_set.add(john, mary), [{"user": "john"}, {"user": "mary"}]),
        (lambda: chatters.user_set.remove(mary), [{"user": "mary"}]),
        (lambda: chatters.user_set.clear(), [{"group": "chatters"}]),
        (lambda: staff.delete(), [{"group": "staff"}]),
    ):
        change()
        said = sorted(told(), key=str)
        assert said == [{"action": "recheck", **whom} for whom in expected]


@pytest.mark.django_db(transaction=True)
def test_it_is_said_after_the_commit_and_never_if_there_is_none(told, john):
    told()
    with transaction.atomic():
        john.groups.clear()
        assert told() == []
    assert told() == [{"action": "recheck", "user": "john"}]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        john.delete()
        raise ZeroDivisionError
    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_who_may_not_log_in_any_more_is_cut_off(told, john, mary):
    told()
    john.first_name = "John"
    john.save()
    assert told() == []
    john.set_password("a new one")
    john.save()
    assert told() == [{"action": "recheck", "user": "john"}]
    john.is_active = False
    john.save()
    assert told() == [{"action": "disconnect", "user": "john"}]
    mary.delete()
    assert told() == [{"action": "disconnect", "user": "mary"}]


@pytest.mark.django_db
def test_a_redis_that_is_away_breaks_neither_login_nor_logout(client, store, john, caplog):
    with override_settings(
        SESSION_ENGINE="django.contrib.sessions.backends.db",
        WS4REDIS_CONNECTION={"unix_socket_path": "/nowhere/redis.sock"},
    ):
        started = time.monotonic()
        with caplog.at_level(logging.WARNING, "ws4redis"):
            assert client.get("/enter?as=john").status_code == 200
            assert client.get("/leave").status_code == 200
        assert time.monotonic() - started < 2 * 2
    [record] = caplog.records
    assert (record.name, record.levelname) == ("ws4redis.control", "WARNING")
    assert "could not be told" in record.message


@pytest.mark.django_db
def test_a_redis_that_never_answers_is_waited_for_once_by_a_logout(client, store, john, tmp_path):
    import socket

    with (
        socket.socket(socket.AF_UNIX) as deaf,
        override_settings(
            SESSION_ENGINE="django.contrib.sessions.backends.db",
            WS4REDIS_CONNECTION={"unix_socket_path": f"{tmp_path}/deaf.sock", "socket_timeout": 1},
        ),
    ):
        deaf.bind(f"{tmp_path}/deaf.sock")
        deaf.listen()
        client.get("/enter?as=john")
        started = time.monotonic()
        assert client.get("/leave").status_code == 200
        assert time.monotonic() - started < 2
