"""Prints the figures of docs/operations.md: real clients (the `websockets` package), a real redis-server, redis-cli.

    figures.py target/release/ws4redis

It starts and ends its own redis-server and gateway, on unix sockets and ports of the system's choice, and takes about
two minutes. Every load is bounded. Figures of a shared machine: rounds are repeated, medians stand with min and max.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import websockets

BINARY = sys.argv[1]
TICKS = os.sysconf("SC_CLK_TCK")
PAYLOAD = 128


def main():
    print(f"# {os.cpu_count()} cores, {version('redis-server', '--version')}")
    fan_out(clients=1_000, messages=1_000, rounds=5)
    idle(clients=10_000, seconds=30)
    outage(clients=200, seconds=5, rounds=3)


def fan_out(clients, messages, rounds):
    """redis-cli publishes; every client checks each message's place."""
    walls, costs = [], []
    for _ in range(rounds):
        with redis_server() as redis, gateway(redis) as (url, process):
            before = cpu_seconds(process)
            walls.append(asyncio.run(count_fan_out(url, redis, clients, messages)))
            costs.append((cpu_seconds(process) - before) / (clients * messages) * 1e6)
    say(
        f"{messages:,} messages of {PAYLOAD} B by redis-cli to {clients:,} clients, each exactly once and in order",
        f"{spread(walls)} s until the last client had the last; "
        f"gateway CPU {spread(costs, 2)} us per delivery (handshakes included)",
    )


async def count_fan_out(url, redis, clients, messages):
    sockets = await connect(url, clients)
    listeners = [asyncio.create_task(check_order(ws, messages)) for ws in sockets]
    began = time.monotonic()
    commands = b"".join(b"PUBLISH broadcast:f %s\n" % text(n).encode() for n in range(messages))
    cli = await asyncio.create_subprocess_exec(
        "redis-cli", "-s", redis.socket, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    await cli.communicate(commands)
    await asyncio.gather(*listeners)
    took = time.monotonic() - began
    # Nothing came twice: the next thing that each one hears is the next thing that is said.
    redis.command("PUBLISH", "broadcast:f", "end")
    for ws in sockets:
        assert await asyncio.wait_for(ws.recv(), 20) == "end"
    await close(sockets)
    return took


async def check_order(ws, messages):
    for n in range(messages):
        heard = await asyncio.wait_for(ws.recv(), 60)
        assert heard == text(n), f"{heard[-8:]} instead of {n}"


def idle(clients, seconds):
    """Nobody says anything; pings go out and are answered."""
    with redis_server() as redis, gateway(redis) as (url, process):
        asyncio.run(sit(url, process, clients, seconds))


async def sit(url, process, clients, seconds):
    before = anonymous_bytes(process)
    sockets = await connect(url, clients)
    await asyncio.sleep(1)
    memory = (anonymous_bytes(process) - before) / clients
    cpu = cpu_seconds(process)
    await asyncio.sleep(seconds)
    share = (cpu_seconds(process) - cpu) / seconds
    assert all(ws.state is websockets.State.OPEN for ws in sockets)
    say(
        f"{clients:,} idle connections, one channel each, pings every 30 s",
        f"{memory:,.0f} B of user memory (RssAnon) per connection; {share:.2%} of a core over {seconds} s",
    )
    await close(sockets)


def outage(clients, seconds, rounds):
    """redis-server is killed and comes back empty."""
    waits = []
    for _ in range(rounds):
        with redis_server() as redis, gateway(redis) as (url, _):
            waits.append(asyncio.run(sit_through(url, redis, clients, seconds)))
    say(
        f"redis-server killed with SIGKILL for {seconds} s under {clients} clients, none of which was lost",
        f"{spread(waits, 2)} s from its first answer until every client had the first correct message",
    )


async def sit_through(url, redis, clients, seconds):
    sockets = await connect(url, clients)
    redis.kill()
    await asyncio.sleep(seconds)
    redis.start()
    back = time.monotonic()
    first = [asyncio.create_task(ws.recv()) for ws in sockets]
    # Said every 10 ms until somebody hears: a publisher does not know when the gateway is back.
    while redis.command("PUBLISH", "broadcast:f", "back") in ("0", ""):
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(asyncio.gather(*first), 20) == ["back"] * clients
    took = time.monotonic() - back
    assert all(ws.state is websockets.State.OPEN for ws in sockets)
    await close(sockets)
    return took


async def connect(url, count):
    sockets = []
    for start in range(0, count, 200):
        batch = range(start, min(start + 200, count))
        options = {"compression": None, "ping_interval": None, "max_queue": None, "proxy": None}
        sockets += await asyncio.gather(*(websockets.connect(url, **options) for _ in batch))
    return sockets


async def close(sockets):
    await asyncio.gather(*(ws.close() for ws in sockets))


class Redis:
    def __init__(self, folder):
        self.socket = os.path.join(folder, "redis.sock")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        until(lambda: self.command("PING") == "PONG")

    def command(self, *words):
        run = subprocess.run(["redis-cli", "-s", self.socket, *words], capture_output=True, text=True, check=False)
        return run.stdout.strip()

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def redis_server():
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        try:
            yield redis
        finally:
            redis.kill()


@contextlib.contextmanager
def gateway(redis):
    command = [BINARY, "serve", "--redis", f"unix://{redis.socket}", "--log-format", "json"]
    command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        doors = {}
        for line in process.stderr:
            fields = json.loads(line)
            if fields.get("message") == "listening":
                doors[fields["door"]] = fields["address"]
            if fields.get("message") == "link to Redis is up":
                break
        # What it says further is not read, and is little.
        yield f"ws://{doors['clients']}/ws/f?subscribe-broadcast", process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def until(check):
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon")


def text(n):
    return f"{n:0>{PAYLOAD}}"


def spread(values, digits=1):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} (min {low:.{digits}f}, max {high:.{digits}f}, {len(values)} rounds)"


def version(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" sha")[0]


def say(what, figure):
    print(f"{what}:\n    {figure}", flush=True)


if __name__ == "__main__":
    main()
