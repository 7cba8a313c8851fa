"""A real Redis, the real gateway, and WebSocket clients."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import unix_connect

ROOT = Path(__file__).resolve().parents[3]
SITE = Path(__file__).resolve().parent / "site"
DEADLINE = 10

REDIS_SOCKET = Path(os.environ["SITE_REDIS_SOCKET"])
# Else the gateway and Django would each have an opinion of their own.
_OURS = {"WS4REDIS_BINARY", "WS4REDIS_WHEEL", "WS4REDIS_ORIGINAL_PYTHON"}
for _name in [name for name in os.environ if name.startswith("WS4REDIS_") and name not in _OURS]:
    del os.environ[_name]


def until(condition, what):
    """Waits for what must become true."""
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        time.sleep(0.01)
    return result


class Redis(redis.Redis):
    """A client of the tests' Redis, which can be told to be away."""

    def serve(self):
        command = [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            REDIS_SOCKET,
            "--save",
            "",
            "--dir",
            REDIS_SOCKET.parent,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self.answers, "redis-server answers")

    def answers(self):
        try:
            return self.ping()
        except redis.ConnectionError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def redis_server():
    with Redis(unix_socket_path=str(REDIS_SOCKET)) as client:
        client.serve()
        yield client
        client.stop()
    shutil.rmtree(REDIS_SOCKET.parent)


@pytest.fixture
def store(redis_server):
    """The Redis that the site uses, empty."""
    redis_server.flushall()
    return redis_server


@pytest.fixture
def heard(store):
    """Says what was published since it was last asked: pairs of channel and data."""
    with store.pubsub() as pubsub:
        pubsub.psubscribe("*")
        assert pubsub.get_message(timeout=DEADLINE)["type"] == "psubscribe"

        def published():
            # A message to ourselves ends what was published before it.
            store.publish("that's all", b"")
            messages = []
            while (message := pubsub.get_message(timeout=DEADLINE))["channel"] != b"that's all":
                messages.append((message["channel"].decode(), message["data"]))
            return messages

        yield published


def binary():
    said = os.environ.get("WS4REDIS_BINARY")
    candidates = [said] if said else [ROOT / "target/release/ws4redis", ROOT / "target/debug/ws4redis"]
    found = [path for path in candidates if shutil.which(path)]
    assert found, "there is no gateway: say `cargo build`, or WS4REDIS_BINARY"
    return str(max(found, key=os.path.getmtime))


class Gateway:
    """A gateway, run as the site's settings say."""

    def __init__(self, folder, **variables):
        from ws4redis import gateway

        self.socket = f"{folder}/gateway.sock"
        environment = {**gateway.environment(), "WS4REDIS_LISTEN": f"unix:{self.socket}", **variables}
        self.log = Path(folder, "gateway.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen([binary(), "serve"], env=environment, stderr=log)
        until(self.is_up, f"the gateway is up: {self.log.read_text()}")

    def is_up(self):
        said = self.log.read_text()
        assert self.process.poll() is None, said
        return "link to Redis is up" in said

    def client(self, target, cookies=None, **headers):
        """A browser's WebSocket to `/ws/<target>`."""
        headers = {"Origin": "http://testserver", **headers}
        if cookies:
            headers["Cookie"] = "; ".join(f"{morsel.key}={morsel.value}" for morsel in cookies.values())
        return unix_connect(
            self.socket,
            f"ws://testserver/ws/{target}",
            additional_headers=headers,
            open_timeout=DEADLINE,
            close_timeout=DEADLINE,
            compression=None,
        )

    def status(self, target, cookies=None, **headers):
        """The status of a handshake."""
        try:
            with self.client(target, cookies, **headers):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(store, tmp_path):
    """Starts the gateway with the settings that stand at that moment."""
    running = []

    def start(**variables):
        running.append(Gateway(tmp_path, **variables))
        return running[-1]

    yield start
    for gateway in running:
        gateway.stop()


@pytest.fixture
def john(django_user_model):
    from django.contrib.auth.models import Group

    user = django_user_model.objects.create_user("john", password="secret")
    user.groups.add(Group.objects.create(name="chatters"))
    return user


@pytest.fixture
def cut_off():
    """Waits until a client is closed, and says with which code."""

    def cut_off(client):
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=DEADLINE)
        return client.close_code

    return cut_off
