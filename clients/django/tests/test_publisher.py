"""RedisPublisher, RedisMessage and SELF, against a real Redis."""

import asyncio
import os
import warnings

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory, override_settings

from ws4redis import connections
from ws4redis.publisher import RedisPublisher
from ws4redis.redis_store import SELF, RedisMessage


class User:
    is_authenticated = True

    def get_username(self):
        return "john"


class Session(dict):
    session_key = "k3y"


def request(user=None, session=None):
    made = RequestFactory().get("/")
    made.user = user or AnonymousUser()
    made.session = Session() if session is None else session
    return made


JOHN = request(User(), Session({"ws4redis:memberof": ["chatters", "staff"]}))


def test_a_message_is_kept_and_published_for_each_audience(store, heard):
    publisher = RedisPublisher(facility="f", broadcast=True, users=["a", "b"], groups=("g",), sessions=["s"])
    publisher.publish_message(RedisMessage("hello"), expire=60)
    channels = ["site:broadcast:f", "site:group:g:f", "site:session:s:f", "site:user:a:f", "site:user:b:f"]
    assert sorted(heard()) == [(channel, b"hello") for channel in channels]
    assert sorted(key.decode() for key in store.scan_iter()) == channels
    assert all(store.get(key) == b"hello" and 50 < store.ttl(key) <= 60 for key in channels)


def test_it_is_kept_for_as_long_as_the_settings_say_unless_told_otherwise(store):
    publisher = RedisPublisher(facility="f", broadcast=True)
    publisher.publish_message(RedisMessage("hello"))
    assert 3590 < store.ttl("site:broadcast:f") <= 3600
    with override_settings(WS4REDIS_EXPIRE=7):
        publisher.publish_message(RedisMessage("hello"))
    assert store.ttl("site:broadcast:f") <= 7
    for expire in (0, -1):
        publisher.publish_message(RedisMessage("not kept"), expire=expire)
    with override_settings(WS4REDIS_EXPIRE=None):
        publisher.publish_message(RedisMessage("not kept"))
    assert store.get("site:broadcast:f") == b"hello", "what was kept before stays"


def test_keeping_and_publishing_are_one_transaction(store):
    with store.monitor() as monitor:
        RedisPublisher(facility="f", broadcast=True).publish_message(RedisMessage("hello"))
        store.ping()
        words = []
        while "PING" not in words:
            words.append(monitor.next_command()["command"].split()[0])
    assert words == ["MULTI", "SET", "PUBLISH", "EXEC", "PING"]


def test_self_is_who_made_the_request(heard):
    def channels(made):
        publisher = RedisPublisher(request=made, facility="f", users=[SELF], groups=[SELF], sessions=[SELF])
        publisher.publish_message(RedisMessage("m"))
        return sorted(channel for channel, _ in heard())

    assert channels(JOHN) == [
        "site:group:chatters:f",
        "site:group:staff:f",
        "site:session:k3y:f",
        "site:user:john:f",
    ]
    assert channels(request()) == ["site:session:k3y:f"]
    unsaved = Session()
    unsaved.session_key = None
    assert channels(request(session=unsaved)) == [], "nobody shares a channel with all others who have no session"
    assert channels(None) == []


def test_mistakes_are_told_before_anything_is_published(heard):
    publisher = RedisPublisher(facility="f", broadcast=True)
    for message in ("a plain text", b"bytes", None, RedisMessage(None), 7):
        with pytest.raises(ValueError, match="RedisMessage"):
            publisher.publish_message(message)
    for expire in ("60", 1.5, object()):
        with pytest.raises(TypeError, match="seconds"):
            publisher.publish_message(RedisMessage("hello"), expire=expire)
    for whom in ({"john"}, 7, None, {"john": 1}, b"john"):
        with pytest.raises(ValueError, match="users must be a list or a tuple"):
            RedisPublisher(facility="f", users=whom)
    with pytest.raises(TypeError):
        RedisPublisher("f")
    with pytest.raises(TypeError):
        RedisPublisher(facilities="f")
    assert heard() == []


def test_the_deprecated_ways_work_and_warn_where_they_are_used(heard):
    for whom, channel in ((True, "site:user:john:f"), ("mary", "site:user:mary:f")):
        with pytest.warns(DeprecationWarning, match="users=") as caught:
            publisher = RedisPublisher(request=JOHN, facility="f", users=whom)
        assert caught[0].filename == __file__
        publisher.publish_message(RedisMessage("m"))
        assert heard() == [(channel, b"m")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RedisPublisher(request=JOHN, facility="f", users=False, groups=[], sessions=()).publish_message(
            RedisMessage("m")
        )
        RedisPublisher(facility="f", broadcast=1).publish_message(RedisMessage("m"))
    assert heard() == []


def test_a_message_is_bytes():
    with override_settings(WS4REDIS_HEARTBEAT="--beat--"):
        for value in ("h\u00e9", b"h\xc3\xa9", bytearray(b"h\xc3\xa9"), [b"message", b"channel", b"h\xc3\xa9"]):
            message = RedisMessage(value)
            assert isinstance(message, RedisMessage)
            assert message == b"h\xc3\xa9"
        assert RedisMessage("") == b""
        for value in ("--beat--", b"--beat--", [b"subscribe", b"c", 1], None, 7, {}, []):
            assert RedisMessage(value) is None
        assert RedisMessage([b"message", b"c", b"--beat--"]) == b"--beat--"
    assert RedisMessage("--beat--") == b"--beat--"


def test_what_is_fetched_is_the_most_personal(store):
    publisher = RedisPublisher()
    assert publisher.fetch_message(JOHN, "f") is None
    for audience, key in (
        ("broadcast", "broadcast:f"),
        ("group", "group:staff:f"),
        ("group", "group:chatters:f"),
        ("user", "user:john:f"),
        ("session", "session:k3y:f"),
    ):
        store.set(f"site:{key}", key)
        assert publisher.fetch_message(JOHN, "f") == key.encode()
        assert publisher.fetch_message(JOHN, "f", audience) == key.encode()
        assert asyncio.run(publisher.afetch_message(JOHN, "f", audience)) == key.encode()
    assert publisher.fetch_message(JOHN, "f", "broadcast") == b"broadcast:f"
    assert publisher.fetch_message(None, "f") == b"broadcast:f"
    assert publisher.fetch_message(JOHN, "f", "everybody") is None
    assert publisher.fetch_message(JOHN, "other") is None


def test_the_asynchronous_twins_do_the_same_and_leave_no_connection_behind(store, heard):
    async def publish(message):
        publisher = RedisPublisher(facility="f", broadcast=True)
        await asyncio.gather(*(publisher.apublish_message(RedisMessage(message)) for _ in range(3)))
        assert len(connections._of_loop) == 1
        with pytest.raises(ValueError, match="RedisMessage"):
            await publisher.apublish_message("a plain text")
        return await publisher.afetch_message(None, "f")

    before = len(store.client_list())
    for message in ("one", "two"):
        assert asyncio.run(publish(message)) == message.encode()
        assert connections._of_loop == {}
    assert heard() == [("site:broadcast:f", word) for word in (b"one",) * 3 + (b"two",) * 3]
    assert len(store.client_list()) <= before + 1, "but for the synchronous one"


def test_event_loops_of_other_threads_come_and_go_meanwhile(store, monkeypatch):
    class Other:
        """The loop of a thread that starts another one just when it is looked at."""

        def is_closed(self):
            connections._of_loop[Other()] = None
            return True

    monkeypatch.setattr(connections, "_of_loop", {Other(): None})
    publisher = RedisPublisher(facility="f", broadcast=True)
    asyncio.run(publisher.apublish_message(RedisMessage("m")))


def test_publishers_share_connections(store):
    RedisPublisher(facility="f", broadcast=True).publish_message(RedisMessage("m"))
    before = len(store.client_list())
    for _ in range(20):
        RedisPublisher(facility="f", broadcast=True).publish_message(RedisMessage("m"))
    assert len(store.client_list()) == before


def test_a_process_that_forks_has_connections_of_its_own(heard):
    publisher = RedisPublisher(facility="f", broadcast=True)
    publisher.publish_message(RedisMessage("parent"))
    children = []
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of threads: this test has none that matter.
            child = os.fork()
        if not child:
            for _ in range(50):
                publisher.publish_message(RedisMessage("child"))
            os._exit(0)
        children.append(child)
    for _ in range(50):
        publisher.publish_message(RedisMessage("parent"))
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    messages = [data for _, data in heard()]
    assert (messages.count(b"child"), messages.count(b"parent")) == (150, 51)
