"""Side by side with django-websocket-redis 0.6.0: the same code, and what both write into Redis."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import REDIS_SOCKET, ROOT

EACH = Path(__file__).with_name("each.py")
# Made by `make setup`, with the original in it.
ORIGINAL = Path(os.environ.get("WS4REDIS_ORIGINAL_PYTHON", ROOT / ".venv/bin/python"))


def test_the_same_code_writes_the_same_into_redis_and_gets_the_same_answers(store, heard):
    assert ORIGINAL.exists(), f"the original is not there, say `make setup` or WS4REDIS_ORIGINAL_PYTHON: {ORIGINAL}"
    original = run(ORIGINAL, store, heard, {})
    ours = run(sys.executable, store, heard, {"PYTHONPATH": str(EACH.parents[1])})
    for theirs, mine in zip(original, ours, strict=True):
        assert mine == theirs
    answers, published, kept = ours
    assert (len(answers), len(published), len(kept)) == (29, 41, 38)


def run(python, store, heard, variables):
    """What it answered, what it published, and what it kept, for long or not."""
    store.flushall()
    heard()
    done = subprocess.run([python, EACH, REDIS_SOCKET], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = {key.decode(): (store.get(key), store.ttl(key) > 50) for key in store.scan_iter()}
    return json.loads(done.stdout), sorted(heard()), kept
