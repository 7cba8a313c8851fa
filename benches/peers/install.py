"""Installs the peers from Debian, npm, PyPI and crates.io, never into the repository, and says their versions."""

import json
import os
import platform
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

from peers import BINARY, BUN, HERE, INSTALLED, ROOT

GO = Path("/usr/share/gocode/src/github.com")
PYTHON = INSTALLED / "python"


class Missing(Exception):
    """What is not there, or cannot be made here."""


def install(wanted):
    """Puts what is `wanted` under target/peers. Quick when it is there. Says of each that is not to be had why."""
    need({"redis-server": "redis-server", "taskset": "util-linux"})
    run("cargo", "build", "--locked", "--release", cwd=ROOT, CARGO_TARGET_DIR=str(ROOT / "target"))
    INSTALLED.mkdir(parents=True, exist_ok=True)
    missing = {}
    for names, make in MAKERS:
        if concerned := [name for name in names if name in wanted]:
            try:
                make()
            except Missing as why:
                missing |= dict.fromkeys(concerned, f"not installed: {why}")
    return missing


def install_floor():
    bench = ("cargo", "bench", "--locked", "--bench", "floor", "--no-run", "--message-format", "json")
    said = run(*bench, cwd=ROOT, stdout=subprocess.PIPE, CARGO_TARGET_DIR=str(ROOT / "target")).stdout
    artifacts = [json.loads(line) for line in said.splitlines()]
    built = next(artifact["executable"] for artifact in artifacts if artifact.get("target", {}).get("name") == "floor")
    (INSTALLED / "floor").unlink(missing_ok=True)
    shutil.copy(built, INSTALLED / "floor")


def install_node():
    need({"node": "nodejs", "npm": "npm"})
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


def install_nchan():
    need({"/usr/lib/nginx/modules/ngx_nchan_module.so": "libnginx-mod-nchan", "nginx": "nginx"})


def install_axum():
    target = str(INSTALLED / "axum")
    run("cargo", "build", "--locked", "--release", cwd=HERE / "axum", CARGO_TARGET_DIR=target)


def install_gorilla():
    need(
        {
            "go": "golang-go",
            str(GO / "gorilla/websocket"): "golang-github-gorilla-websocket-dev",
            str(GO / "gomodule/redigo"): "golang-github-gomodule-redigo-dev",
        }
    )
    # Debian's packages of Go sources are a GOPATH; nothing is downloaded.
    settings = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(INSTALLED / "go")}
    run("go", "build", "-o", str(INSTALLED / "gorilla"), ".", cwd=HERE / "gorilla", **settings)


def install_python():
    stamp = PYTHON / "requirements.txt"
    if same(HERE / "requirements.txt", stamp) and runs(PYTHON):
        return
    run("python3", "-m", "venv", "--clear", str(PYTHON))
    pip = (str(PYTHON / "bin/pip"), "install", "-q", "--disable-pip-version-check")
    run(*pip, "-r", str(HERE / "requirements.txt"))
    shutil.copy(HERE / "requirements.txt", stamp)


# Which peers each of them makes.
MAKERS = (
    (("floor", "floor-coalesce"), install_floor),
    (("nchan",), install_nchan),
    (("bun", "node-ws", "socketio"), install_node),
    (("axum",), install_axum),
    (("gorilla",), install_gorilla),
    (("channels", "original"), install_python),
)


def need(packages):
    """Files or commands, each with the package of Debian that brings it."""
    absent = [package for sign, package in packages.items() if not there(sign)]
    if not absent:
        return
    command = ("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *absent)
    if os.geteuid() != 0:
        raise Missing(f"say, as root: apt-get install {' '.join(absent)}")
    run(*command)


def there(sign):
    # Debian keeps nginx in /usr/sbin, which is not on everybody's PATH.
    return Path(sign).exists() or bool(shutil.which(sign, path=f"{os.environ['PATH']}:/usr/sbin"))


def runs(environment):
    """A copied environment has scripts that call the interpreter of another, or none."""
    try:
        version = said(str(environment / "bin/pip"), "--version")
    except (OSError, subprocess.CalledProcessError):
        return False
    return f" {environment.resolve()}/" in version


def same(one, other):
    return other.exists() and one.read_bytes() == other.read_bytes()


def run(*command, cwd=None, stdout=None, **environment):
    environment = {**os.environ, **environment}
    try:
        return subprocess.run(command, cwd=cwd, env=environment, stdout=stdout, check=True)
    except FileNotFoundError:
        raise Missing(f"there is no {command[0]}") from None
    except subprocess.CalledProcessError as error:
        raise Missing(f"`{' '.join(command[:3])} …` ended with {error.returncode}") from None


def said(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@cache
def build():
    """Of ws4redis: the version, and the commit that it was built from."""
    version = said(str(BINARY), "--version").split()[-1]
    try:
        commit = said("git", "rev-parse", "--short", "HEAD")
        changed = said("git", "status", "--porcelain", "--", "src", "benches/floor.rs", "Cargo.toml", "Cargo.lock")
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{version} ({commit}{', with changes' if changed else ''})"


@cache
def machine():
    """And what serves all of them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    redis = said("redis-server", "--version").split("v=")[1].split()[0]
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release().split('-')[0]}, Redis {redis}"


@cache
def version(name):
    """Of a peer that is installed, with what it stands on, each in its own words."""
    match name:
        case "bun":
            return f"Bun {said(str(BUN), '--version')}"
        case "nchan":
            return f"nginx {debian('nginx')}, nchan {debian('libnginx-mod-nchan')}"
        case "node-ws":
            return f"Node {said('node', '--version')}, {npm('ws', 'bufferutil', 'ioredis')}"
        case "socketio":
            return f"Node {said('node', '--version')}, {npm('socket.io', '@socket.io/redis-adapter', 'bufferutil', 'ioredis')}"
        case "axum":
            return f"{locked('axum', 'redis', 'tokio')}, rustc {said('rustc', '--version').split()[1]}"
        case "gorilla":
            packages = ("golang-github-gorilla-websocket-dev", "golang-github-gomodule-redigo-dev")
            gorilla, redigo = map(debian, packages)
            return f"Go {debian('golang-go')}, gorilla {gorilla}, redigo {redigo}"
        case "channels":
            return pinned("django", "channels", "channels_redis", "daphne")
        case "original":
            return pinned("django-websocket-redis", "django", "uwsgi", "gevent", "redis")
        case _:
            return build()


def debian(package):
    return said("dpkg-query", "-W", "-f", "${Version}", package)


def npm(*names):
    def one(name):
        package = INSTALLED / "node/node_modules" / name / "package.json"
        return f"{name} {json.loads(package.read_text())['version']}"

    return ", ".join(map(one, names))


def pinned(*names):
    found = dict(line.split("==") for line in (HERE / "requirements.txt").read_text().split())
    return ", ".join(f"{name} {found[name]}" for name in names)


def locked(*names):
    packages = tomllib.loads((HERE / "axum/Cargo.lock").read_text())["package"]
    found = {package["name"]: package["version"] for package in packages}
    return ", ".join(f"{name} {found[name]}" for name in names)
