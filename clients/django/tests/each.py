"""Does what site code does with a publisher, with whichever package is called ws4redis here: the original or ours.

    each.py REDIS_SOCKET

Prints a JSON object: for each scenario what came of it, an answer or the name of an exception. Each scenario has a
facility of its own, so that Redis shows who wrote what.
"""

import json
import sys
import warnings
from types import SimpleNamespace

from django.conf import settings

settings.configure(
    INSTALLED_APPS=[],
    WS4REDIS_CONNECTION={"unix_socket_path": sys.argv[1]},
    WS4REDIS_PREFIX="site",
    WS4REDIS_EXPIRE=100,
    WS4REDIS_HEARTBEAT="--beat--",
)

from ws4redis.publisher import RedisPublisher  # noqa: E402
from ws4redis.redis_store import SELF, RedisMessage, RedisStore  # noqa: E402


class Session(dict):
    session_key = "k3y"


USER = SimpleNamespace(is_authenticated=True, get_username=lambda: "john")
JOHN = SimpleNamespace(user=USER, session=Session({"ws4redis:memberof": ["chatters", "staff"]}))
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def publisher_scenario(name, message="hello", expire=None, **audience):
    def run(facility):
        RedisPublisher(facility=facility, **audience).publish_message(RedisMessage(message), expire)

    SCENARIOS[name] = run


publisher_scenario("nobody")
publisher_scenario("broadcast", broadcast=True)
publisher_scenario("broadcast_1", broadcast=1)
publisher_scenario("users", users=["john", "mary", "john"])
publisher_scenario("users_tuple", users=("john",))
publisher_scenario("groups", groups=["chatters", "a:b", "caf\u00e9"])
publisher_scenario("sessions", sessions=["k3y", "other"])
publisher_scenario("all", broadcast=True, users=["u"], groups=["g"], sessions=["s"])
publisher_scenario("numbers", users=[7], groups=[8], sessions=[9])
publisher_scenario("self", request=JOHN, users=[SELF, "mary"], groups=[SELF, "more"], sessions=[SELF])
publisher_scenario("true", request=JOHN, users=True, groups=True, sessions=True)
publisher_scenario("expire", broadcast=True, expire=7)
publisher_scenario("expire_0", broadcast=True, expire=0)
publisher_scenario("expire_negative", broadcast=True, expire=-5)
publisher_scenario("binary", message=b"\xff\0", broadcast=True)
publisher_scenario("bytearray", message=bytearray(b"abc"), broadcast=True)
publisher_scenario("unicode", message="\u0142\u00f3d\u017a \U0001f98a", broadcast=True)
publisher_scenario("empty", message="", broadcast=True)
publisher_scenario("heartbeat", message="--beat--", broadcast=True)
publisher_scenario("none", message=None, broadcast=True)
publisher_scenario("number", message=7, broadcast=True)
publisher_scenario("facilities", facilities="x", broadcast=True)


@scenario
def no_message(facility):
    RedisPublisher(facility=facility, broadcast=True).publish_message("plain text")


@scenario
def positional(facility):
    RedisPublisher(facility, broadcast=True)


@scenario
def without_facility(_):
    RedisPublisher(broadcast=True).publish_message(RedisMessage("hello"))


@scenario
def stays(facility):
    publisher = RedisPublisher(facility=facility, broadcast=True)
    publisher.publish_message(RedisMessage("kept"))
    publisher.publish_message(RedisMessage("said"), expire=0)


@scenario
def fetched(facility):
    publisher = RedisPublisher()
    audiences = ("any", "session", "user", "group", "broadcast", "nobody")
    answers = [[str(publisher.fetch_message(JOHN, facility, audience)) for audience in audiences]]
    for audience in (
        {"broadcast": True},
        {"groups": ["staff"]},
        {"groups": ["chatters"]},
        {"users": ["john"]},
        {"sessions": ["k3y"]},
    ):
        RedisPublisher(facility=facility, **audience).publish_message(RedisMessage(str(audience)))
        answers.append([str(publisher.fetch_message(JOHN, facility, audience)) for audience in audiences])
    return answers


@scenario
def messages(_):
    values = ["a", b"a", bytearray(b"a"), "", "--beat--", b"--beat--", None, 7, {}, [], ["a"], ()]
    values += [
        [b"message", b"c", b"x"],
        [b"message", b"c", b"--beat--"],
        [b"subscribe", b"c", 1],
        ["message", "c", "x"],
    ]
    made = [RedisMessage(value) for value in values]
    return [(str(message), isinstance(message, bytes)) for message in made]


@scenario
def prefix(_):
    return RedisStore.get_prefix()


results = {}
for name, run in SCENARIOS.items():
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results[name] = run(name)
    except Exception as error:
        results[name] = type(error).__name__
    # redis-py has an opinion of its own on how the original speaks to it.
    if any(issubclass(said.category, DeprecationWarning) and "Call to" not in str(said.message) for said in caught):
        results[name] = [results[name], "deprecated"]
print(json.dumps(results))
