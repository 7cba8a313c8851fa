"""Installs the peers from Debian, npm, PyPI and crates.io, never into the repository, and says their versions."""

import os
import shutil
import subprocess
from pathlib import Path

from peers import BUN, HERE, INSTALLED, ROOT

# Each package and a file by which one sees that it is there.
DEBIAN = {
    "libnginx-mod-nchan": "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "golang-go": "/usr/bin/go",
    "golang-github-gorilla-websocket-dev": "/usr/share/gocode/src/github.com/gorilla/websocket",
    "golang-github-gomodule-redigo-dev": "/usr/share/gocode/src/github.com/gomodule/redigo",
    "redis-server": "/usr/bin/redis-server",
}


def install():
    """Puts everything that is measured under target/peers. Quick when it is there."""
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
        run(
            str(python / "bin/pip"),
            "install",
            "-q",
            "--disable-pip-version-check",
            "-r",
            str(HERE / "requirements.txt"),
        )
        shutil.copy(HERE / "requirements.txt", stamp)
    run("cargo", "build", "--locked", "--release", cwd=HERE / "axum", CARGO_TARGET_DIR=str(INSTALLED / "axum"))
    # Debian's packages of Go sources are a GOPATH; nothing is downloaded.
    run(
        "go",
        "build",
        "-o",
        str(INSTALLED / "gorilla"),
        ".",
        cwd=HERE / "gorilla",
        GO111MODULE="off",
        GOPATH="/usr/share/gocode",
        GOCACHE=str(INSTALLED / "go"),
    )


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

    def package(name):
        return said("node", "-p", f"require('{INSTALLED}/node/node_modules/{name}/package.json').version")

    python = {
        line.split("==")[0].lower(): line.split("==")[1]
        for line in said(str(pip), "freeze").splitlines()
        if "==" in line
    }

    def debian(name):
        return said("dpkg-query", "-W", "-f", "${Version}", name)

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
            python[name] for name in ("django", "channels", "channels_redis", "daphne")
        ),
        "django-websocket-redis / uWSGI / gevent / redis-py": " / ".join(
            python[name] for name in ("django-websocket-redis", "uwsgi", "gevent", "redis")
        ),
    }


def locked(name):
    lines = (HERE / "axum/Cargo.lock").read_text().split(f'name = "{name}"\nversion = "')
    return lines[1].split('"')[0]


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
