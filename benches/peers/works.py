"""What is measured: the rows of the table, and the points of the plots."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    # Arguments of `ws4redis bench`, without those of the peer.
    arguments: str
    # The figure that counts: a key of FIGURES in figures.py.
    figure: str
    # Only these peers; otherwise all that can.
    peers: tuple = ()
    seconds: float = 1
    warm_up: float = 0.6
    # Between the last handshake and the first message: many say 101 before Redis has confirmed their subscription.
    settle: float = 0.3
    # At the same time, as an idle gateway is in nobody's way.
    together: bool = False
    # Each client hears several channels.
    several: bool = False


# To tell the cost of sending from that of waking up the one who is sent to.
AWAKE = ("ws4redis", "floor")

WORKS = [
    Work("one-1k", "1,000 connections, one message at a time", "fanout -c 1000 --window 1", "cpu"),
    Work("window", "1,000 connections, window 64", "fanout -c 1000 --window 64", "rate"),
    Work("one-10k", "10,000 connections, one message at a time", "fanout -c 10000 --window 1", "cpu"),
    Work("one-19k", "19,000 connections, one message at a time", "fanout -c 19000 --window 1", "cpu", seconds=2.5),
    Work(
        "channels-10k",
        "10,000 connections on 10,000 channels, a random one at a time",
        "fanout -c 10000 --channels 10000 --window 1 --random 7",
        "cpu",
        settle=1,
    ),
    *(
        Work(
            f"awake-{n}",
            f"{n:,} connections, one message at a time, the generator never asleep",
            f"fanout -c {n} --window 1 --awake",
            "cpu",
            AWAKE,
            seconds=2,
        )
        for n in (1_000, 10_000, 19_000)
    ),
    Work("memory", "10,000 idle connections: memory of each", "idle -c 10000", "memory", seconds=2),
    Work("handshakes", "handshakes with subscription, 64 at a time", "connect --concurrency 64", "rate"),
    Work("publish", "200 clients publishing, one message of each under way", "publish -c 200", "rate"),
    Work("publish-8", "200 clients publishing, eight messages of each under way", "publish -c 200 --window 8", "rate"),
    Work("rate", "1,000 connections, 50 messages/s", "fanout -c 1000 --rate 50", "p99", seconds=2),
    # So large that what a slow client leaves unread is more than the kernel holds for it.
    Work(
        "slow",
        "900 connections, 50 messages/s of 8 KiB, without and with 100 that never read",
        "slow -c 900 --slow 100 --rate 50 --size 8192",
        "slow",
        seconds=1.5,
    ),
    Work("idle", "5,000 connections idle for a minute", "idle -c 5000", "idle", seconds=60, together=True),
]

GROWING = ("ws4redis", "floor", "bun")
CONNECTIONS = (100, 300, 1_000, 3_000, 10_000, 19_000)
CHANNELS = (1, 10, 100, 1_000, 10_000, 100_000)
# With more channels than this, each client hears several.
CLIENTS_MAX = 10_000
SIZES = (32, 128, 512, 2_048, 8_192, 32_768, 65_536)


def growth(name, arguments, points, settle=0.3):
    for point in points:
        command = arguments.format(point, min(point, CLIENTS_MAX))
        yield Work(
            f"growth-{name}-{point}",
            "growth",
            command,
            "cpu",
            GROWING,
            seconds=1,
            warm_up=0.4,
            # 100,000 subscriptions take a while.
            settle=max(settle, point / 20_000),
            several="{1}" in arguments and point > CLIENTS_MAX,
        )


PLOTS = {
    "connections": (
        "CPU per delivery against connections",
        "connections, one channel, one message at a time",
        CONNECTIONS,
    ),
    "channels": (
        "CPU per delivery against channels",
        "channels with one client each (10,000 clients at most), 64 random ones at a time",
        CHANNELS,
    ),
    "size": (
        "CPU per delivery against message size",
        "bytes of a message, 1,000 connections, one message at a time",
        SIZES,
    ),
}
GROWTH = [
    *growth("connections", "fanout -c {} --window 1", CONNECTIONS),
    # One at a time it would be the cost of waking up, and nothing else.
    *growth("channels", "fanout -c {1} --channels {0} --window 64 --random 7", CHANNELS, settle=1),
    *growth("size", "fanout -c 1000 --window 1 --size {}", SIZES),
]
