"""What a second worker brings: deliveries a second of --workers 1 and 2, in turn, to clients that cost no CPU.

    workers.py BINARY [--rounds N] [--clients N] [--messages N] [--unix]

Two free cores and nothing else that runs are what it needs. A load generator would take one of the cores; so all
clients but a few are deaf: the kernel takes what is sent to them, and nobody reads it. The few that read came last and are
written to last, and the next message is published when all of them have one: so nothing is sent in bursts.
"""

import argparse
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

# By chance all readers of one worker come to one in 32,768 times.
READERS = 16
# More than all messages take in the kernel, so that no client is slow.
RECEIVE_BYTES = 1 << 20
MESSAGE = "x" * 128
STARTS_WITHIN = 10


def main():
    options = parse()
    rates = {1: [], 2: []}
    costs = {1: [], 2: []}
    for number in range(options.rounds):
        for workers in rates:
            rate, cost, spread = once(options, workers)
            rates[workers].append(rate)
            costs[workers].append(cost)
            print(
                f"{number + 1}/{options.rounds}, {workers} worker{'s' * (workers > 1)}: {rate:,.0f} deliveries/s, "
                f"{cost:.2f} us of CPU each, clients {spread}",
                flush=True,
            )
    for workers in rates:
        print(f"{workers}: {shown(rates[workers], ',.0f')} deliveries/s, {shown(costs[workers], '.2f')} us of CPU each")
    print("2 over 1, round by round:", shown([two / one for one, two in zip(rates[1], rates[2])], ".2f"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--unix", action="store_true", help="connect through a unix socket")
    return parser.parse_args()


def shown(figures, form):
    return f"{statistics.median(figures):{form}} ({min(figures):{form}} - {max(figures):{form}})"


def once(options, workers):
    """Deliveries a second, CPU time of each in microseconds, and how the clients are spread over the workers."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ws4redis-workers-"))
        redis = f"{folder}/redis.sock"
        quiet = ["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"]
        stack.enter_context(started(["redis-server", "--unixsocket", redis, *quiet], folder))
        publisher = connected(redis)
        stack.callback(publisher.close)
        listen, admin = (f"unix:{folder}/ws.sock" if options.unix else f"127.0.0.1:{free_port()}"), free_port()
        command = [options.binary.resolve(), "serve", "--listen", listen, "--admin", f"127.0.0.1:{admin}"]
        command += ["--redis", f"unix://{redis}", "--workers", str(workers)]
        gateway = stack.enter_context(started(command, folder))
        wait_ready(gateway, admin)
        address = listen.removeprefix("unix:")
        for _ in range(options.clients):
            stack.callback(joined(address).close)
        readers = [joined(address) for _ in range(READERS)]
        for reader in readers:
            stack.callback(reader.close)
        for _ in range(20):
            publish(publisher, readers)
        before, began = cpu(gateway.pid), time.perf_counter()
        for _ in range(options.messages):
            publish(publisher, readers)
        seconds, spent = time.perf_counter() - began, cpu(gateway.pid) - before
        deliveries = options.messages * (options.clients + READERS)
        return deliveries / seconds, spent / deliveries * 1e6, spread(admin)


def publish(publisher, readers):
    """Publishes one message, and returns when all readers have it."""
    publisher.sendall(b"PUBLISH broadcast:f " + MESSAGE.encode() + b"\r\n")
    frame = 2 + 2 + len(MESSAGE)
    missing = {reader: frame for reader in readers}
    while missing:
        readable, _, _ = select.select(missing, [], [], STARTS_WITHIN)
        if not readable:
            sys.exit("a message did not arrive")
        for reader in readable:
            missing[reader] -= len(reader.recv(missing[reader]))
            if not missing[reader]:
                del missing[reader]
    publisher.recv(64)


def joined(address):
    client = connected(address)
    client.sendall(
        b"GET /ws/f?subscribe-broadcast HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = client.recv(1)
        if not part:
            sys.exit(f"the gateway answers {head!r}")
        head += part
    return client


def connected(address):
    family = socket.AF_UNIX if "/" in address else socket.AF_INET
    client = socket.socket(family)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            host, _, port = address.rpartition(":")
            client.connect(address if family == socket.AF_UNIX else (host, int(port)))
            return client
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{address}: {error}")
            time.sleep(0.01)


@contextmanager
def started(command, folder):
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_ready(gateway, admin):
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1)
            return
        except OSError as error:
            if time.monotonic() > deadline or gateway.poll() is not None:
                sys.exit(f"the gateway does not become ready: {error}")
            time.sleep(0.02)


def spread(admin):
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5).read().decode()
    return " + ".join(re.findall(r"^ws4redis_worker_sessions\S* (\d+)", metrics, re.M)) or "on one"


def cpu(pid):
    """Seconds of CPU time of all threads, user's and kernel's."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


if __name__ == "__main__":
    main()
