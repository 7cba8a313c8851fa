"""The figures to reach, each with how it is checked against the results."""

from collections.abc import Callable
from dataclasses import dataclass

from figures import cpu, idle, last_p50, last_p99, memory, number, p99, rate, slow
from peers import PEERS

OURS = "ws4redis"


@dataclass(frozen=True)
class Target:
    title: str
    wanted: str
    # The figure that is compared with the limit, and how it reads.
    figure: Callable
    limit: float
    at_least: bool = False
    unit: str = " × floor"

    def reached(self, figure):
        return figure >= self.limit if self.at_least else figure <= self.limit


def to_floor(work, of=cpu, base="floor", ours=OURS):
    return lambda results: results.ratio(work, ours, base, of)


def beyond_floor(results):
    return results.difference("channels-10k", OURS, "floor", cpu)


def to_best(results):
    """The least of the ratios to those whose clients publish through Redis."""
    others = (peer.name for peer in PEERS if not peer.name.startswith(OURS) and peer.name != "nchan")
    ratios = (results.ratio("publish", OURS, name, rate) for name in others)
    return min(filter(None, ratios), default=None)


TARGETS = [
    Target(
        "1,000 connections, one message at a time: CPU per delivery", "at most 1.10 × floor", to_floor("one-1k"), 1.10
    ),
    Target(
        "1,000 connections, window 64: deliveries/s",
        "at least 0.80 × coalescing floor",
        to_floor("window", rate, "floor-coalesce"),
        0.80,
        True,
        " × coalescing floor",
    ),
    Target(
        "… against uWebSockets",
        "at least 1.5 × uWebSockets in Bun",
        to_floor("window", rate, "bun"),
        1.5,
        True,
        " × Bun",
    ),
    Target("1,000 connections, 50 messages/s: p99", "at most 1.15 × floor", to_floor("rate", p99), 1.15),
    Target("… to the last subscriber, p99", "at most 1.15 × floor", to_floor("rate", last_p99), 1.15),
    Target("… to the last subscriber, median", "at most 1.15 × floor", to_floor("rate", last_p50), 1.15),
    Target(
        "10,000 connections, one message at a time: CPU per delivery", "at most 1.15 × floor", to_floor("one-10k"), 1.15
    ),
    Target(
        "19,000 connections, one message at a time: CPU per delivery", "at most 1.15 × floor", to_floor("one-19k"), 1.15
    ),
    *(
        Target(
            f"… {n} connections, the generator never asleep", "at most 1.15 × floor", to_floor(f"awake-{name}"), 1.15
        )
        for n, name in (("1,000", 1_000), ("10,000", 10_000), ("19,000", 19_000))
    ),
    Target(
        "10,000 connections on 10,000 channels, a random one at a time: CPU per delivery beyond the floor's",
        "at most 2 µs",
        beyond_floor,
        2,
        unit=" µs",
    ),
    Target(
        "memory per idle connection (10,000, one channel)",
        "at most 256 bytes",
        lambda results: results.median("memory", OURS, memory),
        256,
        unit=" bytes",
    ),
    Target(
        "handshakes per second with subscription, 64 at a time",
        "at least 0.85 × floor's bare ones",
        to_floor("handshakes", rate),
        0.85,
        True,
    ),
    Target(
        "unix socket listener: CPU per delivery",
        "at most 0.35 × its own on TCP",
        to_floor("one-1k", base=OURS, ours="ws4redis-unix"),
        0.35,
        unit=" × TCP",
    ),
    Target(
        "200 clients publishing: messages/s through Redis and back",
        "at least 2 × every peer that can",
        to_best,
        2,
        True,
        " × the best peer",
    ),
    Target(
        "5,000 connections idle for a minute",
        "under 1 % of a core",
        lambda results: results.median("idle", OURS, idle),
        1,
        unit=" % of a core",
    ),
    Target(
        "10 % never reading: the others' p99",
        "within 1.2 × of none",
        lambda results: results.median("slow", OURS, slow),
        1.2,
        unit=" × none",
    ),
]


def table(results):
    yield "| Work | Target | Measured | |"
    yield "|---|---|---|---|"
    for target in TARGETS:
        figure = target.figure(results)
        said = "not measured" if figure is None else number(figure) + target.unit
        verdict = "" if figure is None else "reached" if target.reached(figure) else "**missed**"
        yield f"| {target.title} | {target.wanted} | {said} | {verdict} |"
