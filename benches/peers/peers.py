"""Who is measured: how each is installed, started and spoken to, and what it does not do."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INSTALLED = ROOT / "target/peers"
BUN = INSTALLED / "node/node_modules/@oven/bun-linux-x64/bin/bun"
BINARY = ROOT / "target/release/ws4redis"
DEBIAN = {
    "libnginx-mod-nchan": "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "golang-go": "/usr/bin/go",
    "golang-github-gorilla-websocket-dev": "/usr/share/gocode/src/github.com/gorilla/websocket",
    "golang-github-gomodule-redigo-dev": "/usr/share/gocode/src/github.com/gomodule/redigo",
    "redis-server": "/usr/bin/redis-server",
}


@dataclass(frozen=True)
class Peer:
    """A gateway under test. In its texts @PORT@, @REDIS@, @DIR@ and @FLAGS@ are filled in."""

    name: str
    title: str
    command: list
    # Where clients connect and, unless it reads Redis, where one publishes.
    url: str = "ws://127.0.0.1:@PORT@/ws/bench-{channel}"
    publish: tuple = ("--publish-channel", "broadcast:bench-{channel}", "--redis", "redis://127.0.0.1:@REDIS@")
    hello: str = None
    files: tuple = ()
    environment: dict = field(default_factory=dict)
    # What of our promises it does not keep, in a few words.
    lacks: str = ""
    # Workloads that it cannot do, and why.
    cannot: dict = field(default_factory=dict)
    # Why it is not here at all, if it is not.
    binary: Path = None


def post(path):
    """One connection, so that messages come in order."""
    return ("--post", "http://127.0.0.1:@PORT@" + path, "--publishers", "1")


def node(script):
    return ["node", str(INSTALLED / "node" / script)]


NO_OWN = "its clients do not publish: the program above it does"
TOO_MANY = "select() ends it at some 510 clients a process, with today's gevent"
OPENS_SLOWLY = "opens so many clients only in minutes"
NO_PROMISES = "no persisted message at join, no limits, no origin or permission checks, no answer to a lost Redis"


def floor(name, title, *more):
    return Peer(
        name,
        title,
        [str(INSTALLED / "floor"), "--listen", "127.0.0.1:@PORT@", "--redis", "127.0.0.1:@REDIS@", *more],
        lacks="everything but sending: no limits, pings, snapshots, permissions; a client that is slow once is cut off",
        cannot={"publish": NO_OWN, "slow": "it cuts slow clients off at the first message"},
    )


def ours(name, title, listen, url):
    return Peer(
        name,
        title,
        [str(BINARY), "serve", "--listen", listen, "--admin", "off", "--redis", "redis://127.0.0.1:@REDIS@"],
        url=url + "/ws/bench-{channel}?@FLAGS@",
        environment={"WS4REDIS_LOG": "error"},
    )


PEERS = [
    ours("ws4redis", "ws4redis", "127.0.0.1:@PORT@", "ws://127.0.0.1:@PORT@"),
    floor("floor", "floor"),
    floor("floor-coalesce", "floor, coalescing", "--coalesce"),
    Peer(
        "bun",
        "uWebSockets in Bun",
        [str(BUN), str(HERE / "bun/server.js")],
        lacks=NO_PROMISES + "; slow clients are dropped at 16 MiB each",
    ),
    Peer(
        "nchan",
        "nchan",
        ["nginx", "-p", "@DIR@", "-c", "nginx.conf"],
        publish=post("/publish/bench-{channel}"),
        files=("nchan/nginx.conf",),
        lacks="Redis is not in the path here (memory of one server, publishing by POST); buffered messages "
        "instead of a last state; permissions by sub-request",
    ),
    Peer("node-ws", "Node, ws + ioredis", node("node-ws/server.mjs"), lacks=NO_PROMISES + "; slow clients queue without bound"),
    Peer(
        "axum",
        "tokio + axum + redis",
        [str(INSTALLED / "axum/release/peer-axum")],
        lacks=NO_PROMISES + "; a client 256 messages behind is cut off",
    ),
    Peer(
        "gorilla",
        "Go, gorilla + redigo",
        [str(INSTALLED / "gorilla")],
        lacks=NO_PROMISES + "; a client 256 messages behind is cut off",
    ),
    Peer(
        "socketio",
        "Socket.IO + Redis adapter",
        node("socketio/server.mjs"),
        url="ws://127.0.0.1:@PORT@/socket.io/?EIO=4&transport=websocket&room=bench-{channel}",
        publish=post("/bench-{channel}"),
        hello="40",
        lacks="no plain WebSocket client can speak to it; publishing by POST or its own emitter; " + NO_PROMISES,
        cannot={"publish": "its packets are not what the load generator's clients send"},
    ),
    Peer(
        "channels",
        "Django Channels + channels_redis",
        [str(INSTALLED / "python/bin/daphne"), "-v", "0", "-b", "127.0.0.1", "-p", "@PORT@", "--websocket_timeout", "-1", "asgi:application"],
        publish=post("/bench-{channel}"),
        files=("channels/asgi.py",),
        lacks="no persisted message at join; publishing through Python only (POST here); no bound for slow clients",
        cannot={"one-10k": OPENS_SLOWLY, "one-19k": OPENS_SLOWLY, "channels-10k": OPENS_SLOWLY, "memory": OPENS_SLOWLY},
    ),
    Peer(
        "original",
        "django-websocket-redis 0.6.0",
        [str(INSTALLED / "python/bin/uwsgi"), "--http-socket", "127.0.0.1:@PORT@", "--gevent", "6000", "--processes", "4", "--http-websockets",
         "--listen", "4096", "--disable-logging", "--master", "--die-on-term", "--wsgi-file", "wsgi.py"],
        url="ws://127.0.0.1:@PORT@/ws/bench-{channel}?@FLAGS@",
        files=("original/settings.py", "original/wsgi.py"),
        lacks="a connection to Redis for each client; ends clients when Redis fails; one message per wake-up",
        cannot={"one-10k": TOO_MANY, "one-19k": TOO_MANY, "channels-10k": TOO_MANY, "memory": TOO_MANY, "idle": TOO_MANY},
    ),
    ours("ws4redis-unix", "ws4redis, unix socket", "unix:@DIR@/ws.sock", "unix:@DIR@/ws.sock:"),
]
# Those are there for one comparison only.
ONLY_IN = {"floor-coalesce": {"window"}, "ws4redis-unix": {"one-1k"}}


def install():
    """Puts everything that is measured under target/peers, from Debian, npm, PyPI and crates.io. Quick when it is there."""
    missing = [package for package, sign in DEBIAN.items() if not Path(sign).exists()]
    if missing:
        run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing)
    run("cargo", "build", "--locked", "--release", cwd=ROOT)
    install_floor()
    install_node()
    python = INSTALLED / "python"
    stamp = python / "requirements.txt"
    if not same(HERE / "requirements.txt", stamp):
        run("python3", "-m", "venv", str(python))
        run(str(python / "bin/pip"), "install", "-q", "--disable-pip-version-check", "-r", str(HERE / "requirements.txt"))
        shutil.copy(HERE / "requirements.txt", stamp)
    run("cargo", "build", "--locked", "--release", cwd=HERE / "axum", CARGO_TARGET_DIR=str(INSTALLED / "axum"))
    # Debian's packages of Go sources are a GOPATH; nothing is downloaded.
    run("go", "build", "-o", str(INSTALLED / "gorilla"), ".", cwd=HERE / "gorilla",
        GO111MODULE="off", GOPATH="/usr/share/gocode", GOCACHE=str(INSTALLED / "go"))


def install_floor():
    run("cargo", "bench", "--locked", "--bench", "floor", "--no-run", cwd=ROOT)
    built = (ROOT / "target/release/deps").glob("floor-*")
    newest = max((file for file in built if not file.suffix), key=lambda file: file.stat().st_mtime)
    INSTALLED.mkdir(parents=True, exist_ok=True)
    (INSTALLED / "floor").unlink(missing_ok=True)
    shutil.copy(newest, INSTALLED / "floor")


def install_node():
    node = INSTALLED / "node"
    stamp = node / "installed.json"
    if not same(HERE / "package.json", stamp):
        node.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", node)
        run("npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", cwd=node)
        shutil.copy(HERE / "package.json", stamp)
    # A script finds its packages beside itself.
    for folder in ("node-ws", "socketio"):
        shutil.copytree(HERE / folder, node / folder, dirs_exist_ok=True)


def same(one, other):
    return other.exists() and one.read_bytes() == other.read_bytes()


def run(*command, cwd=None, **environment):
    subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, check=True)


def versions():
    """What stands in the document, each in its own words."""
    pip = INSTALLED / "python/bin/pip"
    package = lambda name: said("node", "-p", f"require('{INSTALLED}/node/node_modules/{name}/package.json').version")
    python = {line.split("==")[0].lower(): line.split("==")[1] for line in said(str(pip), "freeze").splitlines() if "==" in line}
    debian = lambda name: said("dpkg-query", "-W", "-f", "${Version}", name)
    return {
        "Redis": said("redis-server", "--version").split("v=")[1].split()[0],
        "Bun": said(str(BUN), "--version"),
        "nginx / nchan": f"{debian('nginx')} / {debian('libnginx-mod-nchan')}",
        "Node / ws / ioredis": f"{said('node', '--version')} / {package('ws')} / {package('ioredis')}",
        "Socket.IO / Redis adapter": f"{package('socket.io')} / {package('@socket.io/redis-adapter')}",
        "rustc": said("rustc", "--version").split()[1],
        "axum / redis": " / ".join(locked(name) for name in ("axum", "redis")),
        "Go / gorilla / redigo": " / ".join(debian(name) for name in list(DEBIAN)[1:4]),
        "Django / Channels / channels_redis / daphne": " / ".join(
            python[name] for name in ("django", "channels", "channels_redis", "daphne")),
        "django-websocket-redis / uWSGI / gevent / redis-py": " / ".join(
            python[name] for name in ("django-websocket-redis", "uwsgi", "gevent", "redis")),
    }


def locked(name):
    lines = (HERE / "axum/Cargo.lock").read_text().split(f'name = "{name}"\nversion = "')
    return lines[1].split('"')[0]


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
