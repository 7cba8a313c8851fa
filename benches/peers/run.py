"""Measures ws4redis and its peers on loopback, and writes docs/benchmarks.md.

    run.py [--only NAME,...] [--works NAME,...] [--rounds N] [--growth-rounds N] [--quick] [--report]

Each measurement has its own redis-server, its own gateway on core 0, and `ws4redis bench` with Redis on core 1; rounds
are interleaved: each peer once, then each again. Every load is bounded, and all that is started is ended by its number.
What was measured stands in target/peers/results.jsonl, until the same is measured again; --report only writes the
document.
"""

import argparse
import contextlib
import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import document
import figures
from install import install
from peers import BINARY, HERE, INSTALLED, ONLY_IN, PEERS
from works import GROWTH, WORKS

GATEWAY_CORE, LOAD_CORE = "0", "1"
STARTS_WITHIN = 20


def main():
    options = parse()
    # So that what it started is ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if not options.report:
        install()
        for works, rounds in ((WORKS, options.rounds), (GROWTH, options.growth_rounds)):
            for work in works:
                if options.works is None or any(work.name.startswith(name) for name in options.works):
                    measure(work, rounds, options)
    if not options.quick:
        document.write(read(options))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])

    def names(text):
        return text.split(",")

    parser.add_argument(
        "--only", type=names, metavar="PEERS", help="these peers, of " + ", ".join(p.name for p in PEERS)
    )
    parser.add_argument("--works", type=names, help="these workloads, of " + ", ".join(w.name for w in WORKS + GROWTH))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth-rounds", type=int, default=3, help="of each point of the plots")
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that all runs; writes no document"
    )
    parser.add_argument("--report", action="store_true", help="measure nothing, write the document")
    options = parser.parse_args()
    if options.quick:
        options.rounds = options.growth_rounds = 1
    return options


def measure(work, rounds, options):
    able = [peer for peer in PEERS if takes_part(peer, work) and (options.only is None or peer.name in options.only)]
    results(options).write_text(
        "".join(
            json.dumps(line) + "\n"
            for line in read(options)
            if line["work"] != work.name or line["peer"] not in {peer.name for peer in able}
        )
    )
    for number in range(rounds):
        if work.together:
            threads = [threading.Thread(target=record, args=(peer, work, number, rounds, options)) for peer in able]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            for peer in able:
                record(peer, work, number, rounds, options)


def takes_part(peer, work):
    return (
        (not work.peers or peer.name in work.peers)
        and work.name not in peer.cannot
        and work.name in ONLY_IN.get(peer.name, {work.name})
    )


def record(peer, work, number, rounds, options):
    """One measurement, a line of the results."""
    load = os.getloadavg()[0]
    report, trouble = once(peer, work, options.quick)
    with results(options).open("a") as file:
        line = {
            "work": work.name,
            "peer": peer.name,
            "at": int(time.time()),
            "load": load,
            "report": report,
            "trouble": trouble,
        }
        file.write(json.dumps(line) + "\n")
    said = (
        f"{figures.shown(work, figures.value(work, report))}, generator at {figures.own(report):.0%}" if report else ""
    )
    print(f"{work.name} {number + 1}/{rounds} {peer.name}: {said} {trouble}", flush=True)


def once(peer, work, quick):
    """The report of `ws4redis bench`, and what went wrong."""
    seconds, warm_up = (min(work.seconds, 1), 0.3) if quick else (work.seconds, work.warm_up)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ws4redis-peers-")))
        port, redis = free_ports(2)
        # The clients of ws4redis say what they want to do.
        flags = "subscribe-broadcast" + ("&publish-broadcast&echo" if work.name == "publish" else "")
        blanks = {"@PORT@": port, "@REDIS@": redis, "@DIR@": str(folder), "@FLAGS@": flags}
        stack.enter_context(redis_server(blanks["@REDIS@"], folder))
        try:
            gateway = stack.enter_context(started(peer, blanks, folder))
        except RuntimeError as error:
            return None, str(error)
        command = bench(peer, work, blanks, gateway.pid, seconds, warm_up)
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=90 + 4 * seconds)
        except subprocess.TimeoutExpired:
            return None, "not done in time"
        if not ended.stdout:
            return None, ended.stderr.strip().splitlines()[-1] if ended.stderr else "no report"
        report = json.loads(ended.stdout)
        if report["error"]:
            return None, report["error"]
        faults = {
            name: count
            for name, count in report["phases"][-1]["sums"].items()
            if count and name not in ("published", "delivered")
        }
        return report, " ".join(f"{count} {name}" for name, count in faults.items())


def bench(peer, work, blanks, pid, seconds, warm_up):
    mode = work.arguments.split()[0]
    command = [
        "taskset",
        "-c",
        LOAD_CORE,
        str(BINARY),
        "bench",
        *shlex.split(work.arguments),
        "--url",
        filled(peer.url, blanks),
    ]
    if mode in ("fanout", "slow"):
        command += [filled(word, blanks) for word in peer.publish]
    if peer.hello:
        command += ["--hello", peer.hello]
    times = {"--settle": work.settle, "--duration": seconds, "--warm-up": warm_up}
    command += [f"{name}={int(time * 1000)}ms" for name, time in times.items()]
    return [*command, "--pid", str(pid), "--json"]


def filled(text, blanks):
    for blank, value in blanks.items():
        text = text.replace(blank, value)
    return text


@contextlib.contextmanager
def redis_server(port, folder):
    with ended(
        [
            "taskset",
            "-c",
            LOAD_CORE,
            "redis-server",
            "--port",
            port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxclients",
            "10000",
            "--dir",
            str(folder),
            "--loglevel",
            "warning",
        ],
        folder,
    ) as process:
        wait_for(process, ("127.0.0.1", int(port)))
        yield process


@contextlib.contextmanager
def started(peer, blanks, folder):
    for file in peer.files:
        (folder / Path(file).name).write_text(filled((HERE / file).read_text(), blanks))
    environment = {"PORT": blanks["@PORT@"], "REDIS_PORT": blanks["@REDIS@"], **peer.environment}
    command = ["taskset", "-c", GATEWAY_CORE, *(filled(word, blanks) for word in peer.command)]
    unix = folder / "ws.sock"
    with ended(command, folder, environment) as process:
        wait_for(process, str(unix) if peer.url.startswith("unix:") else ("127.0.0.1", int(blanks["@PORT@"])))
        # Listening is not yet ready: some connect to Redis, some compile.
        time.sleep(0.3)
        yield process


@contextlib.contextmanager
def ended(command, folder, environment=None):
    """A process with a group of its own, which is ended with it."""
    log = (folder / f"{Path(command[3]).name}.log").open("w")
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def wait_for(process, address):
    deadline = time.monotonic() + STARTS_WITHIN
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(family) as trial:
            if trial.connect_ex(address) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"does not start: {' '.join(process.args[3:])}")


def free_ports(count):
    """Below those that the system gives to the load's connections."""
    with contextlib.ExitStack() as stack:
        trials = [stack.enter_context(socket.socket()) for _ in range(count)]
        for trial in trials:
            for port in random.sample(range(20_000, 32_000), 100):
                with contextlib.suppress(OSError):
                    trial.bind(("127.0.0.1", port))
                    break
        return [str(trial.getsockname()[1]) for trial in trials]


def results(options):
    return INSTALLED / ("quick.jsonl" if options.quick else "results.jsonl")


def read(options):
    file = results(options)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


if __name__ == "__main__":
    sys.exit(main())
