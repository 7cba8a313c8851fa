"""`manage.py ws4redis`."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from conftest import REDIS_SOCKET, SITE, binary, until

PACKAGE = SITE.parent.parent


@contextlib.contextmanager
def manage(folder, *arguments, site=SITE, **variables):
    """Runs the command; what it says goes to a file."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "SITE_REDIS_SOCKET") if name in os.environ}
    environment = {
        **inherited,
        "PYTHONPATH": str(PACKAGE),
        "PYTHONUNBUFFERED": "1",
        "WS4REDIS_BINARY": binary(),
        **variables,
    }
    log = Path(folder, "log")
    with log.open("wb") as file:
        command = [sys.executable, "manage.py", "ws4redis", *arguments]
        process = subprocess.Popen(
            command,
            cwd=site,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
            # Where the tests run in a shell's background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        process.said = log.read_text
        try:
            yield process
        finally:
            # The reloader and what it started are one group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def is_up(process):
    return "link to Redis is up" in process.said()


def test_it_becomes_the_gateway_and_no_secret_is_among_its_arguments(store, tmp_path):
    listen = tmp_path / "gateway.sock"
    with manage(tmp_path, "--", "--listen", f"unix:{listen}") as process:
        until(lambda: is_up(process), process.said())
        arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
        assert arguments == [binary(), "serve", "--listen", f"unix:{listen}"]
        assert b"the tests' own" in Path(f"/proc/{process.pid}/environ").read_bytes()
        assert "the tests' own" not in process.said()
        connect(listen)
        process.terminate()
        assert process.wait(10) == 0


def test_a_variable_counts_more_than_a_setting(store, tmp_path):
    with manage(tmp_path, WS4REDIS_LISTEN=f"unix:{tmp_path}/said.sock", WS4REDIS_LOG_FORMAT="text") as process:
        until(lambda: is_up(process), process.said())
        connect(tmp_path / "said.sock")


def test_the_gateways_own_words_about_a_mistake_come_through(store, tmp_path):
    with manage(tmp_path, WS4REDIS_LISTN="x") as process:
        assert process.wait(10) != 0
        assert "WS4REDIS_LISTEN" in process.said()
    # Another one that happens to be there is not what was said.
    with manage(tmp_path, WS4REDIS_BINARY="/nowhere/ws4redis", PATH=Path(binary()).parent) as process:
        assert process.wait(10) == 1
        assert "/nowhere/ws4redis" in process.said()


def test_check_is_that_of_the_gateway_with_the_settings_of_the_site(store, tmp_path):
    wanted = ["--check", "--", "--url", "/ws/f?subscribe-user", "--as", "john"]
    with manage(tmp_path, *wanted, SITE_DEBUG="1") as process:
        assert process.wait(10) == 0
        assert "site:user:john:f" in process.said()
    with manage(tmp_path, "--check") as process:
        assert process.wait(10) == 0
        assert "redis" in process.said()


def test_it_prints_what_another_may_start_the_gateway_with(tmp_path):
    with manage(tmp_path, "--environment") as process:
        assert process.wait(10) == 0
        said = process.said()
    assert f'WS4REDIS_CONNECTION="unix://{REDIS_SOCKET}?db=0"\n' in said
    assert 'WS4REDIS_DJANGO_SECRET_KEY="the tests\' own, and of no use to anybody else"\n' in said
    shown = subprocess.run(["sh", "-ac", f". {tmp_path}/log; printenv"], capture_output=True, text=True, check=True)
    assert "WS4REDIS_PREFIX=site\n" in shown.stdout


def test_beside_runserver_it_starts_anew_when_the_settings_change(store, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for file in SITE.glob("*.py"):
        (site / file.name).write_text(file.read_text())
    settings = site / "site_settings.py"
    variables = {"SITE_DEBUG": "1", "WS4REDIS_LISTEN": f"unix:{tmp_path}/gateway.sock"}
    with manage(tmp_path, site=site, **variables) as process:
        until(lambda: is_up(process), "the gateway is up")
        settings.write_text(settings.read_text() + '\nWS4REDIS_LOG_FORMAT = "text"\n')
        touched = time.monotonic()

        def is_noticed():
            nonlocal touched
            # The reloader may not have looked at the file the first time yet. Touched while it starts the next
            # gateway, it would start another one after that, and be ended in the middle of it.
            if "INFO listening" not in process.said() and time.monotonic() > touched + 3:
                os.utime(settings)
                touched = time.monotonic()
            return "INFO listening" in process.said()

        until(is_noticed, "a gateway with the new settings")
        until(lambda: process.said().count("link to Redis is up") >= 2, "it is up")
        until(lambda: len(gateways(process.pid)) == 1, "there is one and not two")
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        until(lambda: not gateways(process.pid), "it ends with the command")


def gateways(group):
    """The gateways of a process group."""
    return [folder for folder in Path("/proc").iterdir() if is_gateway(folder, group)]


def is_gateway(folder, group):
    """Is this process a gateway of that process group?"""
    if not folder.name.isdecimal():
        return False
    with contextlib.suppress(OSError):
        arguments = (folder / "cmdline").read_bytes().split(b"\0")
        return arguments[0] == binary().encode() and os.getpgid(int(folder.name)) == group
    return False
