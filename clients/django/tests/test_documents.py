"""The documents' own lines, on a site that `startproject` has just made, from the settings to the messages."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import unix_connect

from conftest import DEADLINE, REDIS_SOCKET, ROOT, binary, until

PACKAGE = Path(__file__).resolve().parents[1]
EVERYTHING = "chat?subscribe-broadcast&subscribe-user&subscribe-group"
SAID = {"to everybody", "to John, in each of his browsers", "to the staff"}
LOGIN = """
from django.contrib.auth.models import Group, User
from django.test import Client
john = User.objects.create_superuser("john", password="secret")
john.groups.add(Group.objects.create(name="staff"))
browser = Client(HTTP_HOST="localhost")
assert browser.login(username="john", password="secret")
print("sessionid=" + browser.cookies["sessionid"].value)
"""


def blocks(document):
    """What stands between fences."""
    return re.findall(r"\n```\w+\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)


class Site:
    """A new site in a folder, and what a reader does to it."""

    def __init__(self, folder, document):
        self.folder = folder
        self.blocks = blocks(document)
        # Held until the end: the system gives it to nobody else, and runserver may have it all the same.
        self.place = socket.socket()
        self.place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.place.bind(("127.0.0.1", 0))
        self.port = self.place.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PACKAGE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WS4REDIS_BINARY": binary(),
            "WS4REDIS_ADMIN": "off",
        }
        self.running = []
        subprocess.run([sys.executable, "-m", "django", "startproject", "site1", folder], check=True)

    def block(self, beginning):
        """The block that begins so, with this machine's Redis and port."""
        [text] = [block for block in self.blocks if block.startswith(beginning)]
        text = text.replace('{"host": "localhost", "port": 6379, "db": 0}', f'{{"unix_socket_path": "{REDIS_SOCKET}"}}')
        text = text.replace("redis://localhost:6379/0", f"unix://{REDIS_SOCKET}")
        return text.replace("unix:/run/site.sock:/", f"http://localhost:{self.port}/")

    def write(self, file, text):
        """Adds to a file of the site; one that is not there is made."""
        with (self.folder / file).open("a") as opened:
            opened.write(text)

    def manage(self, *words, **options):
        """What `manage.py` says."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def warnings(self):
        """What `manage.py check` says is left to do."""
        command = [sys.executable, "manage.py", "check", "--tag", "ws4redis"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def checks_john(self):
        """What comes of the document's line that asks what John would hear."""
        [line] = [line for block in self.blocks for line in block.splitlines() if "--url" in line]
        return self.manage(*[word.strip("'") for word in line.split()[2:]])

    def start(self, *words):
        """Starts `manage.py`, and leaves it running; says where its words go."""
        log = self.folder / f"{words[0]}.log"
        with log.open("w") as file:
            command = [sys.executable, "manage.py", *words]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=file, stderr=file)
        self.running.append(process)
        return log

    def serve(self):
        """Starts the site and its gateway, and logs John in; says with which cookie."""
        self.manage("migrate", "--verbosity", "0")
        cookie = self.manage("shell", "-c", LOGIN).splitlines()[-1]
        self.start("runserver", "--noreload", f"localhost:{self.port}")
        until(self.answers, "the site answers")
        log = self.start("ws4redis", "--noreload", "--", "--listen", f"unix:{self.folder}/ws.sock")
        until(lambda: "link to Redis is up" in log.read_text(), "the gateway is up")
        return cookie

    def answers(self):
        try:
            return urlopen(f"http://localhost:{self.port}/admin/login/").status == 200
        except OSError:
            return False

    def client(self, origin, cookie):
        """John's page."""
        headers = {"Origin": origin, "Cookie": cookie}
        uri = origin.replace("http", "ws", 1) + f"/ws/{EVERYTHING}"
        return unix_connect(f"{self.folder}/ws.sock", uri, additional_headers=headers, open_timeout=DEADLINE)


@pytest.fixture
def site(store, tmp_path):
    """A site for the lines of a document."""
    sites = []

    def site(document):
        sites.append(Site(tmp_path, document))
        return sites[-1]

    yield site
    for site in sites:
        site.place.close()
        for process in site.running:
            process.terminate()
            process.wait(DEADLINE)


def heard(client):
    """What the client hears, as it comes and but for heartbeats, until it has heard as much as there is."""
    messages = set()
    while len(messages) < len(SAID):
        message = client.recv(timeout=DEADLINE)
        if message != "--heartbeat--":
            messages.add(message)
    return messages


def test_the_lines_of_the_quickstart_make_a_site_that_john_hears(site):
    site = site("quickstart-django.md")
    site.write("site1/settings.py", site.block("# settings.py\nINSTALLED_APPS"))
    site.write("site1/settings.py", site.block("# settings.py\nWS4REDIS_ALLOWED_CHANNELS"))
    site.write("site1/urls.py", site.block("# urls.py"))
    site.write("permissions.py", site.block("# permissions.py"))
    # Where `runserver` has the port that it is said to have, nothing of this is needed.
    site.environment["WS4REDIS_CALLBACK_URL"] = f"http://127.0.0.1:{site.port}/ws4redis/authorize"
    cookie = site.serve()
    with site.client("http://localhost:8000", cookie) as john:
        site.manage("shell", input=site.block("# publish.py"))
        assert heard(john) == SAID
    assert "hears: user:john:chat" in site.checks_john()


def test_the_lines_of_the_move_bring_a_site_over_that_is_in_production(site):
    site = site("migrating.md")
    old = "\nDEBUG, ALLOWED_HOSTS = False, ['shop.example']\nINSTALLED_APPS += ['ws4redis']\nWS4REDIS_PREFIX = 'shop'\n"
    site.write("site1/settings.py", f"{old}WS4REDIS_CONNECTION = {{'unix_socket_path': '{REDIS_SOCKET}'}}\n")
    assert "ws4redis.urls" in site.warnings()
    site.write("site1/urls.py", site.block("# urls.py"))
    site.write("site1/settings.py", site.block("# settings.py"))
    assert site.warnings() == ""
    cookie = site.serve()
    with site.client("http://shop.example", cookie) as john:
        [publish] = [block for block in blocks("quickstart-django.md") if block.startswith("# publish.py")]
        site.manage("shell", input=publish)
        assert heard(john) == SAID
    assert "hears: shop:group:staff:chat shop:user:john:chat" in site.checks_john()
