"""The wheel: one install brings the gateway and the package."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from conftest import REDIS_SOCKET, ROOT, SITE, until

WHEEL = os.environ.get("WS4REDIS_WHEEL")


@pytest.mark.skipif(not WHEEL, reason="WS4REDIS_WHEEL names none: `make test-django` builds it")
def test_a_fresh_environment_has_the_gateway_and_the_package_and_a_site_runs_on_it(store, tmp_path):
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    names = ZipFile(WHEEL).namelist()
    assert [name for name in names if "__pycache__" in name or "tests" in name] == []
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    pins = Path(__file__).with_name("requirements-django6.1.txt")
    install = [fresh / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", pins, WHEEL]
    subprocess.run([*install, "django-redis", "django-redis-sessions"], check=True)
    # Nothing of this tree is on the path, and nothing of this environment.
    environment = {
        "PATH": f"{fresh}/bin:/usr/bin:/bin",
        "SITE_REDIS_SOCKET": str(REDIS_SOCKET),
        "WS4REDIS_LISTEN": f"unix:{tmp_path}/gateway.sock",
    }

    def said(*command):
        done = subprocess.run(command, cwd=SITE, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert said("ws4redis", "--version") == f"ws4redis {version}"
    python = fresh / "bin/python"
    where = said(python, "-c", "import ws4redis.publisher; print(ws4redis.__file__, ws4redis.__version__)")
    assert where.startswith(str(fresh))
    assert where.endswith(f" {version}")
    assert (Path(where.split()[0]).parent / "py.typed").exists()
    assert "no issues" in said(python, "manage.py", "check")
    assert said(python, "manage.py", "ws4redis", "--environment")
    log = tmp_path / "log"
    with log.open("w") as file:
        gateway = subprocess.Popen([python, "manage.py", "ws4redis"], cwd=SITE, env=environment, stderr=file)
    try:
        until(lambda: "link to Redis is up" in log.read_text(), "the gateway is up")
        assert Path(f"/proc/{gateway.pid}/cmdline").read_text().startswith(f"{fresh}/bin/ws4redis\0serve")
    finally:
        gateway.kill()
        gateway.wait()
