"""Who is measured: how each is started and spoken to, and what it does not do."""

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INSTALLED = ROOT / "target/peers"
BUN = INSTALLED / "node/node_modules/@oven/bun-linux-x64/bin/bun"
BINARY = ROOT / "target/release/ws4redis"
# What is filled in for each measurement.
BLANKS = ("@PORT@", "@REDIS@", "@DIR@", "@FLAGS@")


REDIS = ("--redis", "redis://127.0.0.1:@REDIS@")


@dataclass(frozen=True)
class Peer:
    """A gateway under test. In its texts BLANKS are filled in."""

    name: str
    title: str
    command: list
    # Where clients connect and, unless it reads Redis, where one publishes.
    url: str = "ws://127.0.0.1:@PORT@/ws/bench-{channel}"
    publish: tuple = ("--publish-channel", "broadcast:bench-{channel}", *REDIS)
    # The same where a client hears several channels.
    several: tuple = ("--url", "ws://127.0.0.1:@PORT@/ws/{channels}", "--publish-channel", "broadcast:{channel}", *REDIS)
    several_environment: dict = field(default_factory=dict)
    hello: str = None
    files: tuple = ()
    environment: dict = field(default_factory=dict)
    # What of our promises it does not keep, in a few words.
    lacks: str = ""
    # Workloads that it cannot do, and why.
    cannot: dict = field(default_factory=dict)
    # It is there for this one comparison.
    only_in: str = None

    def is_in(self, work):
        """Whether one asks how it does that, be it that it cannot."""
        return (not work.peers or self.name in work.peers) and self.only_in in (None, work.name)


def post(path, connections=1):
    """A message waits for the answer to the one before on its connection; most reorder what comes on several."""
    return ("--post", "http://127.0.0.1:@PORT@" + path, "--publishers", str(connections))


def node(script):
    return ["node", str(INSTALLED / "node" / script)]


NO_OWN = "its clients do not publish: the program above it does"
TOO_MANY = "select() ends it at some 510 clients a process, with today's gevent"
TOO_MUCH = "this is far more than it delivers (see above)"
OPENS_SLOWLY = "opens so many clients only in minutes"
NO_PROMISES = "no persisted message at join, no limits, no origin or permission checks, no answer to a lost Redis"


def floor(name, title, *more, only_in=None):
    return Peer(
        name,
        title,
        [str(INSTALLED / "floor"), "--listen", "127.0.0.1:@PORT@", "--redis", "127.0.0.1:@REDIS@", *more],
        lacks="everything but sending: no limits, pings, snapshots, permissions; a client that is slow once is cut off",
        cannot={"publish": NO_OWN, "publish-8": NO_OWN, "slow": "it cuts slow clients off at the first message"},
        only_in=only_in,
    )


def ours(name, title, listen, url, *more, only_in=None, cannot=None):
    return Peer(
        name,
        title,
        [str(BINARY), "serve", "--listen", listen, "--admin", "off", "--redis", "redis://127.0.0.1:@REDIS@", *more],
        url=url + "/ws/bench-{channel}?@FLAGS@",
        # Groups are how one client hears many channels.
        several=(
            "--url",
            f"{url}/ws/bench?subscribe-group",
            "--header=X-Ws4redis-User: bench",
            "--header=X-Ws4redis-Groups: {channels}",
            "--publish-channel=group:{channel}:bench",
            *REDIS,
        ),
        several_environment={"WS4REDIS_TRUSTED": "127.0.0.1"},
        environment={"WS4REDIS_LOG": "error"},
        cannot=cannot or {},
        only_in=only_in,
    )


PEERS = [
    ours(
        "ws4redis",
        "ws4redis",
        "127.0.0.1:@PORT@",
        "ws://127.0.0.1:@PORT@",
        cannot={"publish-8": "it ends clients that send more than 1,000 messages a second, unless it is told otherwise, as below"},
    ),
    floor("floor", "floor"),
    floor("floor-coalesce", "floor, coalescing", "--coalesce", only_in="window"),
    Peer(
        "bun",
        "uWebSockets in Bun",
        [str(BUN), str(HERE / "bun/server.js")],
        lacks=NO_PROMISES + "; messages to a client that is 16 MiB behind are dropped",
    ),
    Peer(
        "nchan",
        "nchan",
        ["nginx", "-p", "@DIR@", "-c", "nginx.conf"],
        publish=post("/publish/bench-{channel}", 64),
        files=("nchan/nginx.conf",),
        lacks="Redis is not in the path here (memory of one server, publishing by POST); buffered messages "
        "instead of a last state; permissions by sub-request",
    ),
    Peer(
        "node-ws",
        "Node, ws + ioredis",
        node("node-ws/server.mjs"),
        lacks=NO_PROMISES + ", no pings; slow clients queue without bound",
    ),
    Peer(
        "axum",
        "tokio + axum + redis",
        [str(INSTALLED / "axum/release/peer-axum")],
        lacks=NO_PROMISES + ", no pings; a client 256 messages behind is cut off",
    ),
    Peer(
        "gorilla",
        "Go, gorilla + redigo",
        [str(INSTALLED / "gorilla")],
        lacks=NO_PROMISES + ", no pings; a client 256 messages behind is cut off",
    ),
    Peer(
        "socketio",
        "Socket.IO + Redis adapter",
        node("socketio/server.mjs"),
        url="ws://127.0.0.1:@PORT@/socket.io/?EIO=4&transport=websocket&room=bench-{channel}",
        publish=post("/bench-{channel}"),
        hello="40",
        lacks="no plain WebSocket client can speak to it; publishing by POST or its own emitter, and clients of the "
        "same process do not wait for Redis; no pings here; " + NO_PROMISES,
        cannot=dict.fromkeys(("publish", "publish-8"), "its packets are not what the load generator's clients send"),
    ),
    Peer(
        "channels",
        "Django Channels + channels_redis",
        [
            str(INSTALLED / "python/bin/daphne"),
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            "@PORT@",
            "--websocket_timeout",
            "-1",
            "asgi:application",
        ],
        publish=post("/bench-{channel}"),
        files=("channels/asgi.py",),
        lacks="no persisted message at join; publishing through Python only (POST here); no bound for slow clients",
        cannot={
            "one-10k": OPENS_SLOWLY,
            "one-19k": OPENS_SLOWLY,
            "channels-10k": OPENS_SLOWLY,
            "memory": OPENS_SLOWLY,
            "slow": TOO_MUCH,
        },
    ),
    Peer(
        "original",
        "django-websocket-redis 0.6.0",
        [
            str(INSTALLED / "python/bin/uwsgi"),
            "--http-socket",
            "127.0.0.1:@PORT@",
            "--gevent",
            "6000",
            "--processes",
            "4",
            "--http-websockets",
            "--listen",
            "4096",
            "--disable-logging",
            "--master",
            "--die-on-term",
            "--wsgi-file",
            "wsgi.py",
        ],
        url="ws://127.0.0.1:@PORT@/ws/bench-{channel}?@FLAGS@",
        files=("original/settings.py", "original/wsgi.py"),
        lacks="a connection to Redis for each client; ends clients when Redis fails; one message per wake-up",
        cannot={
            "one-10k": TOO_MANY,
            "one-19k": TOO_MANY,
            "channels-10k": TOO_MANY,
            "memory": TOO_MANY,
            "slow": TOO_MUCH,
            "idle": TOO_MANY,
        },
    ),
    ours("ws4redis-unix", "ws4redis, unix socket", "unix:@DIR@/ws.sock", "unix:@DIR@/ws.sock:", only_in="one-1k"),
    # The others publish and persist nothing.
    ours(
        "ws4redis-live",
        "ws4redis, --expire 0",
        "127.0.0.1:@PORT@",
        "ws://127.0.0.1:@PORT@",
        "--expire",
        "0",
        only_in="publish",
    ),
    *(
        ours(
            f"ws4redis-fast{'-live' * live}",
            f"ws4redis{', --expire 0' * live}, --messages-per-second-max 1000000",
            "127.0.0.1:@PORT@",
            "ws://127.0.0.1:@PORT@",
            "--messages-per-second-max",
            "1000000",
            *("--expire", "0") * live,
            only_in="publish-8",
        )
        for live in (False, True)
    ),
]
