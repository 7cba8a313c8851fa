"""Measures ws4redis and its peers on loopback, and writes docs/benchmarks.md.

    run.py [--only NAME,...] [--works NAME,...] [--rounds N] [--growth-rounds N] [--quick] [--report]

Each measurement has its own redis-server, its own gateway on core 0, and `ws4redis bench` with Redis on core 1; rounds
are interleaved: each peer once, then each again. Every load is bounded, and all that is started is ended by its number.
What was measured stands in target/peers/results.jsonl until all rounds of the same workload are measured again. With
--only or --works the document stays as it is until --report, which measures nothing, writes it.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import document
import figures
import install
from peers import BINARY, HERE, INSTALLED, PEERS
from works import GROWTH, WORKS

GATEWAY_CORE, LOAD_CORE = "0", "1"
STARTS_WITHIN = 20
# Rounds of one run disturb each other alike, and those of two runs do not.
RUN = int(time.time())
# All that was started and has not ended, and whether no more may be.
RUNNING = set()
STOPPING = threading.Event()


def main():
    options = parse()
    # So that what it started is ended with it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(f"ended by {signal.Signals(number).name}"))
    whole = options.only is None and options.works is None
    troubles = {} if options.report else measure_all(options)
    if options.report or (whole and not options.quick):
        document.write(load(results(options)))
    for peer, why in troubles.items():
        print(f"{peer} gave no figure: {why}")
    return 1 if troubles else 0


def measure_all(options):
    """Why some gave no figure."""
    prepare()
    peers = [peer for peer in PEERS if options.only is None or peer.name in options.only]
    try:
        troubles = install.install({peer.name for peer in peers})
    except install.Missing as why:
        sys.exit(str(why))
    for peer, why in troubles.items():
        print(f"{peer}: {why}", flush=True)
    peers = [peer for peer in peers if peer.name not in troubles]
    for works, rounds in ((WORKS, options.rounds), (GROWTH, options.growth_rounds)):
        for work in works:
            if options.works is None or any(work.name.startswith(name) for name in options.works):
                lines = measure(work, peers, rounds, options)
                keep(results(options), lines)
                troubles |= {f"{line['peer']} ({work.name})": line["trouble"] for line in lines if not line["report"]}
    return troubles


def prepare():
    if not {int(GATEWAY_CORE), int(LOAD_CORE)} <= os.sched_getaffinity(0):
        sys.exit(f"it needs two cores: {GATEWAY_CORE} for the gateway, {LOAD_CORE} for Redis and the load")
    # Not every peer raises it itself.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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
    if unknown := set(options.only or ()) - {peer.name for peer in PEERS}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    for name in options.works or ():
        if not any(work.name.startswith(name) for work in WORKS + GROWTH):
            parser.error(f"no such workload: {name}")
    return options


def measure(work, peers, rounds, options):
    """The lines of all rounds."""
    able = [peer for peer in peers if peer.is_in(work) and work.name not in peer.cannot]
    lines = []
    for number in range(rounds):
        if work.together and able:
            with ThreadPoolExecutor(len(able)) as pool:
                try:
                    lines += pool.map(lambda peer: record(peer, work, number, rounds, options.quick), able)
                except BaseException:
                    # The pool is waited for, and its threads wait for what they started.
                    end_all()
                    raise
        else:
            lines += (record(peer, work, number, rounds, options.quick) for peer in able)
    return lines


def record(peer, work, number, rounds, quick):
    """One measurement, a line of the results."""
    load = os.getloadavg()[0]
    report, trouble = once(peer, work, quick)
    said = f"{figures.shown(work, report)}, generator at {figures.own(report):.0%}" if report else ""
    print(f"{work.name} {number + 1}/{rounds} {peer.name}: {said} {trouble}", flush=True)
    return {
        "work": work.name,
        "peer": peer.name,
        "run": RUN,
        "round": number,
        "at": int(time.time()),
        "load": load,
        "build": install.build(),
        "version": install.version(peer.name),
        "machine": install.machine(),
        "report": report,
        "trouble": trouble,
    }


def once(peer, work, quick):
    """The report of `ws4redis bench`, and what went wrong."""
    seconds, warm_up = (min(work.seconds, 1), 0.3) if quick else (work.seconds, work.warm_up)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ws4redis-peers-")))
        port, redis = free_ports(2)
        # The clients of ws4redis say what they want to do.
        flags = "subscribe-broadcast" + ("&publish-broadcast&echo" if work.name.startswith("publish") else "")
        blanks = {"@PORT@": port, "@REDIS@": redis, "@DIR@": str(folder), "@FLAGS@": flags}
        try:
            stack.enter_context(redis_server(blanks["@REDIS@"], folder))
            gateway = stack.enter_context(started(peer, work, blanks, folder))
            return measured(bench(peer, work, blanks, gateway.pid, seconds, warm_up), gateway, 90 + 4 * seconds)
        except Trouble as trouble:
            return None, str(trouble)


class Trouble(Exception):
    """Why there is no report."""


def measured(command, gateway, within):
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
        try:
            report, errors = load.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            raise Trouble("not done in time") from None
    if gateway.poll() is not None:
        raise Trouble(f"it ended by itself, with {gateway.returncode}")
    if not report:
        raise Trouble(errors.strip().splitlines()[-1] if errors.strip() else "no report")
    report = json.loads(report)
    if report["error"]:
        # It ended early: what it measured until then is no figure.
        raise Trouble(": ".join(filter(None, (report["error"], report.get("trouble")))))
    return report, ", ".join(f"{count:,} {name}" for name, count in figures.faults(report).items())


def bench(peer, work, blanks, pid, seconds, warm_up):
    mode = work.arguments.split()[0]
    command = [
        "taskset",
        "-c",
        LOAD_CORE,
        str(BINARY),
        "bench",
        *shlex.split(work.arguments),
    ]
    if work.several:
        command += [filled(word, blanks) for word in peer.several]
    else:
        command += ["--url", filled(peer.url, blanks)]
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
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "maxclients": "10000",
        "dir": str(folder),
        "loglevel": "warning",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    with logged(["taskset", "-c", LOAD_CORE, "redis-server", *words], folder) as process:
        wait_for(process, ("127.0.0.1", int(port)))
        yield process


@contextlib.contextmanager
def started(peer, work, blanks, folder):
    for file in peer.files:
        (folder / Path(file).name).write_text(filled((HERE / file).read_text(), blanks))
    environment = {"PORT": blanks["@PORT@"], "REDIS_PORT": blanks["@REDIS@"], **peer.environment}
    if work.several:
        environment |= peer.several_environment
    command = ["taskset", "-c", GATEWAY_CORE, *(filled(word, blanks) for word in peer.command)]
    unix = folder / "ws.sock"
    with logged(command, folder, environment) as process:
        wait_for(process, str(unix) if peer.url.startswith("unix:") else ("127.0.0.1", int(blanks["@PORT@"])))
        # Listening is not yet ready: some connect to Redis, some compile.
        time.sleep(0.3)
        yield process


@contextlib.contextmanager
def logged(command, folder, environment=None):
    environment = {**os.environ, **(environment or {})}
    with (folder / f"{Path(command[3]).name}.log").open("w") as log:
        with running(command, cwd=folder, env=environment, stdout=log, stderr=log) as process:
            yield process


@contextlib.contextmanager
def running(command, **options):
    """A process with a group of its own, which is ended with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    RUNNING.add(process)
    try:
        if STOPPING.is_set():
            raise Trouble("no more is started")
        yield process
    finally:
        end(process)
        process.wait()
        RUNNING.discard(process)


def end(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def end_all():
    STOPPING.set()
    for process in list(RUNNING):
        end(process)


def wait_for(process, address):
    deadline = time.monotonic() + STARTS_WITHIN
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(family) as trial:
            if trial.connect_ex(address) == 0:
                return
        time.sleep(0.02)
    raise Trouble(f"does not start: {' '.join(process.args[3:])}")


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


def keep(file, lines):
    """In place of what was measured of the same; whoever ends this finds the one or the other."""
    measured = {(line["work"], line["peer"]) for line in lines}
    before = [line for line in load(file) if (line["work"], line["peer"]) not in measured]
    new = file.with_suffix(".new")
    new.write_text("".join(json.dumps(line) + "\n" for line in before + lines))
    new.replace(file)


def load(file):
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


if __name__ == "__main__":
    sys.exit(main())
