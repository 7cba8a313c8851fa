#!/usr/bin/env python3
"""Starts the chat on loopback: Redis, Django under gunicorn, the gateway, and nginx before both.

Everything lives in one folder and ends with this program. A part that dies is started again, so one may try:
kill the gateway or Redis and watch the pages recover by themselves.
"""

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
# A part that dies over and over must not make a busy loop.
RESTART_PAUSE = 0.5
# A unix socket's path has 107, and its name in the folder is the rest.
FOLDER_CHARACTERS_MAX = 90


class Trouble(Exception):
    """Something a person has to put right; the text says what."""


class Part:
    """One program of the demonstration."""

    def __init__(self, name, command, ready, environment, log):
        self.name = name
        self.ready = ready
        # Whoever kills us outright ends our parts as well, where there is a way to say so.
        self._command = [*(["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []), *command]
        self._environment = environment
        self._log = log
        self._process = None

    @property
    def pid(self):
        """Its process, while it runs."""
        return self._process.pid if self.is_running() else None

    def is_running(self):
        """Has it been started, and not ended?"""
        return self._process is not None and self._process.poll() is None

    def start(self):
        """Starts it, in a session of its own: a Ctrl-C is for us to hand on, in order."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=HERE,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self):
        """Waits until it serves."""
        until = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if not self.is_running():
                raise Trouble(f"{self.name} ended at once. Its last words:\n{self._last_words()}")
            if time.monotonic() > until:
                raise Trouble(f"{self.name} does not answer. Its last words:\n{self._last_words()}")
            time.sleep(0.05)

    def stop(self):
        """Ends it and what it started."""
        if not self.is_running():
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self):
        lines = Path(self._log).read_text(errors="replace").splitlines()
        return "\n".join("    " + line for line in lines[-8:])


def program(name, *elsewhere):
    """Where a program is; Debian keeps some where not everybody looks."""
    for place in (name, *elsewhere):
        found = shutil.which(place)
        if found:
            return found
    raise Trouble(f"{name} is missing. As root: apt-get install redis-server nginx-light")


def listens(address):
    """Does somebody listen there: a path, or a port of loopback?"""

    def ask():
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        with socket.socket(family) as connection:
            connection.settimeout(1)
            to = address if isinstance(address, str) else ("127.0.0.1", address)
            return connection.connect_ex(to) == 0

    return ask


def parts(data, port, gateway):
    """What there is, in the order of starting."""
    logs = data / "logs"
    logs.mkdir(exist_ok=True)
    environment = os.environ | {
        "CHAT_DATA": str(data),
        "CHAT_SECRET_KEY": secret_key(data),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "clients" / "django"), str(HERE)]),
        "DJANGO_SETTINGS_MODULE": "chat.settings",
        "WS4REDIS_BINARY": str(gateway),
    }
    redis, django, ws = (str(data / f"{name}.sock") for name in ("redis", "django", "gateway"))

    def part(name, command, address):
        return Part(name, command, listens(address), environment, logs / f"{name}.log")

    # Kept on disk: sessions and the last messages outlive a restart of Redis.
    redis_command = [program("redis-server"), "--port", "0", "--unixsocket", redis]
    redis_command += ["--dir", str(data), "--appendonly", "yes", "--save", ""]
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{django}", "--workers", "2"]
    gunicorn += ["--threads", "4", "--graceful-timeout", "3", "chat.wsgi:application"]
    manage = [sys.executable, "manage.py", "ws4redis"]
    nginx = [program("nginx", "/usr/sbin/nginx"), "-p", str(data), "-c", nginx_configuration(data, port)]
    return [
        part("redis", redis_command, redis),
        part("django", gunicorn, django),
        part("gateway", manage, ws),
        part("nginx", nginx, port),
    ], environment


def secret_key(data):
    """One for this folder, and only for its owner."""
    path = data / "secret_key"
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text()


def nginx_configuration(data, port):
    """Writes it; returns where."""
    (data / "nginx").mkdir(exist_ok=True)
    types = next((p for p in ("/etc/nginx/mime.types", "/usr/local/etc/nginx/mime.types") if Path(p).exists()), None)
    if types is None:
        raise Trouble("nginx' mime.types is missing. As root: apt-get install nginx-light")
    text = (HERE / "nginx.conf").read_text()
    for word, value in {"MIME_TYPES": types, "REPOSITORY": REPOSITORY, "DATA": data, "PORT": port}.items():
        text = text.replace(word, str(value))
    if os.geteuid() == 0:
        # The folder is its owner's alone, and nginx' workers would be somebody else.
        text = "user root;\n" + text
    path = data / "nginx.conf"
    path.write_text(text)
    return str(path)


def prepare(environment):
    """Tables, people, static files."""
    for words in (["migrate"], ["furnish"], ["collectstatic", "--no-input"]):
        command = [sys.executable, "manage.py", *words, "--verbosity", "0"]
        # A Ctrl-C is ours here, too: what has begun is done, and then nothing is started.
        how = {"capture_output": True, "text": True, "start_new_session": True}
        done = subprocess.run(command, cwd=HERE, env=environment, check=False, **how)
        if done.returncode:
            raise Trouble(f"manage.py {words[0]} failed:\n{done.stderr.strip()[-2000:]}")


def check_port(port):
    """Is it free?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise Trouble(f"port {port} cannot be listened on ({error}); try --port") from error


def lock(data):
    """Takes the folder for as long as the answer is kept: two Redises on one socket take it from each other."""
    file = open(data / "lock", "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Trouble(f"another one runs in {data}; end it, or say another --data") from error
    return file


def run(options, data):
    """Starts everything, says where it is, starts again what dies, until told to stop."""
    _lock = lock(data)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    check_port(options.port)
    everything, environment = parts(data, options.port, options.gateway.resolve())
    started = []
    try:
        say("preparing the database and the static files …")
        prepare(environment)
        for part in everything:
            if stop.is_set():
                return
            say(f"starting {part.name} …")
            started.append(part)
            part.start()
            part.wait()
        write_state(data, everything)
        say(f"\n  the chat is at   http://127.0.0.1:{options.port}/")
        say("  two logins       john / john    in the groups kitchen and garden")
        say("                   mary / mary    in the group kitchen")
        say(f"\n  logs are in {data / 'logs'}; Ctrl-C ends everything\n")
        while not stop.wait(RESTART_PAUSE):
            dead = [part for part in everything if not part.is_running()]
            for part in dead:
                say(f"{part.name} ended; starting it again")
                part.start()
            if dead:
                write_state(data, everything)
    finally:
        for part in reversed(started):
            part.stop()
        say("stopped")


def write_state(data, everything):
    """Who runs as which process: for those who want to kill one."""
    state = {part.name: part.pid for part in everything}
    new = data / "state.json.new"
    new.write_text(json.dumps(state))
    new.rename(data / "state.json")


def say(line):
    """To whoever started this."""
    print(line, flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="Start the chat on loopback.")
    parser.add_argument("--port", type=int, default=8080, help="nginx' port [%(default)s]")
    parser.add_argument("--data", type=Path, help="keep everything in this folder [a new one, thrown away at the end]")
    parser.add_argument(
        "--gateway",
        type=Path,
        default=REPOSITORY / "target" / "release" / "ws4redis",
        help="the gateway's binary [%(default)s]",
    )
    options = parser.parse_args()
    try:
        if options.data and len(str(options.data.resolve())) > FOLDER_CHARACTERS_MAX:
            raise Trouble(f"--data has a path too long for a socket in it: at most {FOLDER_CHARACTERS_MAX} characters")
        if not options.gateway.exists():
            raise Trouble(f"there is no {options.gateway}; `make demo` builds it")
        if options.data:
            options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            run(options, options.data.resolve())
        else:
            with tempfile.TemporaryDirectory(prefix="ws4redis-chat-") as data:
                run(options, Path(data))
    except Trouble as trouble:
        sys.exit(f"demo: {trouble}")


if __name__ == "__main__":
    main()
