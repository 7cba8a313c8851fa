"""Writes docs/benchmarks.md: the page benchmarks.md beside this file, with its figures filled in, and the plots."""

import os
import platform
import shlex
import statistics
import time
from pathlib import Path

import plot
import targets
from figures import Results, cpu, latency, number, own, rate
from install import versions
from peers import HERE, PEERS, ROOT
from works import PLOTS, WORKS

OUT = ROOT / "docs/benchmarks.md"
PICTURES = ROOT / "docs/benchmarks"


def write(lines):
    results = Results(lines)
    PICTURES.mkdir(exist_ok=True)
    for name, (title, axis, points) in PLOTS.items():
        (PICTURES / f"{name}.svg").write_text(plot.svg(title, axis, curves(results, name, points)))
    parts = {
        "targets": targets.table(results),
        "works": works(results),
        "plots": (f"![{title}](benchmarks/{name}.svg)\n" for name, (title, _, _) in PLOTS.items()),
        "lacks": lacks(),
        "commands": commands(),
        "machine": machine(results),
        "versions": (f"| {name} | {said} |" for name, said in versions().items()),
    }
    text = (HERE / "benchmarks.md").read_text()
    for name, part in parts.items():
        text = text.replace(f"@{name}@", "\n".join(part).strip())
    OUT.write_text(text)


def works(results):
    for work in WORKS:
        yield f"### {work.title[0].upper()}{work.title[1:]}\n"
        yield f"`ws4redis bench {work.arguments} --duration {work.seconds:g}s --warm-up {work.warm_up:g}s`\n"
        names, cells = COLUMNS[work.figure]
        yield "| | " + " | ".join(names) + " |"
        yield "|---|" + "--:|" * len(names)
        for peer in PEERS:
            if results.reports(work.name, peer.name):
                row = [cell(results, work.name, peer.name) for cell in cells]
                trouble = results.trouble(work.name, peer.name)
                yield f"| {peer.title}{' (' + trouble + ')' if trouble else ''} | " + " | ".join(row) + " |"
            elif why := peer.cannot.get(work.name) or results.trouble(work.name, peer.name):
                yield f"| {peer.title} | {why} |" + " |" * (len(names) - 1)
        yield ""


def spread(of, scale=1):
    """Median and, in brackets, least and most."""

    def cell(results, work, peer):
        found = results.spread(work, peer, of)
        return "{} ({} – {})".format(*(number(figure * scale) for figure in found)) if found else "–"

    return cell


def times(of):
    """Against the floor; where messages wait for each other, against the one that sends them together."""

    def cell(results, work, peer):
        ratio = results.ratio(work, peer, "floor-coalesce" if work == "window" else "floor", of)
        return f"{ratio:.2f}" if ratio else "–"

    return cell


def load(results, work, peer):
    busy = results.median(work, peer, own)
    if work.startswith("awake"):
        return "awake"
    return f"{busy:.0%}" + (" !" if busy > 0.85 else "")


COSTS = [spread(cpu), times(cpu), spread(rate, 1e-3), load]
COLUMNS = {
    "cpu": (["CPU per delivery, µs", "× floor", "thousand deliveries/s", "generator"], COSTS),
    "rate": (
        ["thousand/s", "× floor", "CPU for each, µs", "× floor", "generator"],
        [spread(rate, 1e-3), times(rate), spread(cpu), times(cpu), load],
    ),
    "memory": (["bytes"], [spread(targets.memory)]),
    "p99": (
        ["p50, ms", "p99, ms", "last p50, ms", "last p99, ms", "CPU per delivery, µs"],
        [
            spread(lambda report: latency(report, "latency", "p50")),
            spread(targets.p99),
            spread(targets.last_median),
            spread(targets.last_p99),
            spread(cpu),
        ],
    ),
    "slow": (
        ["p99 without, ms", "p99 with, ms", "times"],
        [spread(lambda report: report["phases"][0]["latency"]["p99"] * 1e3), spread(targets.p99), spread(targets.slow)],
    ),
    "idle": (["% of a core"], [spread(targets.idle)]),
}


def curves(results, name, points):
    """Per peer: the points, each with median, least and most."""
    for peer in PEERS:
        found = [
            (point, *spread) for point in points if (spread := results.spread(f"growth-{name}-{point}", peer.name, cpu))
        ]
        if found:
            yield peer.title, found


def commands():
    for peer in PEERS:
        words = [word.replace(f"{ROOT}/", "").replace("@", "") for word in peer.command]
        yield f"{peer.title}: taskset -c 0 {shlex.join(words)}"


def lacks():
    yield "| | What it does not do |"
    yield "|---|---|"
    for peer in PEERS:
        if peer.lacks:
            yield f"| {peer.title} | {peer.lacks} |"


def machine(results):
    loads = sorted(line["load"] for line in results.lines)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    day = time.strftime("%Y-%m-%d", time.gmtime(max(line["at"] for line in results.lines)))
    yield f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.release().split('-')[0]}, {day}."
    yield f"Load average before a measurement: median {statistics.median(loads):.1f},"
    yield f"from {loads[0]:.1f} to {loads[-1]:.1f}; the measurements make about 1.5 of it themselves."
