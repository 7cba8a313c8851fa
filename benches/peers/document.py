"""Writes docs/benchmarks.md: the page benchmarks.md beside this file, with its figures filled in, and the plots."""

import shlex
import statistics
import time
from collections import defaultdict

import figures
import plot
import targets
from figures import Results, cpu, number, own, rate
from peers import BLANKS, HERE, PEERS, ROOT
from works import PLOTS, WORKS

OUT = ROOT / "docs/benchmarks.md"
PICTURES = ROOT / "docs/benchmarks"


def write(lines):
    results = Results(lines)
    text = page(results)
    PICTURES.mkdir(exist_ok=True)
    for name, (title, axis, points) in PLOTS.items():
        if found := list(curves(results, name, points)):
            (PICTURES / f"{name}.svg").write_text(plot.svg(title, axis, found))
    OUT.write_text(text)


def page(results):
    parts = {
        "targets": targets.table(results),
        "works": (line for work in WORKS for line in table(results, work)),
        "plots": plots(results),
        "lacks": lacks(),
        "commands": commands(),
        "machine": machine(results),
        "versions": versions(results),
    }
    text = (HERE / "benchmarks.md").read_text()
    for name, part in parts.items():
        text = text.replace(f"@{name}@", "\n".join(part).strip())
    return text


def table(results, work):
    """A workload: how it is asked for, what it gave, and of when and of what that is."""
    yield f"### {work.title[0].upper()}{work.title[1:]}\n"
    yield f"`ws4redis bench {work.arguments} --duration {work.seconds:g}s --warm-up {work.warm_up:g}s`\n"
    names, cells = COLUMNS[work.figure]
    yield "| | " + " | ".join(names) + " | rounds |"
    yield "|---|" + "--:|" * (len(names) + 1)
    for peer in PEERS:
        if not peer.is_in(work):
            continue
        trouble = results.trouble(work.name, peer.name)
        if rounds := results.rounds(work.name, peer.name):
            row = [cell(results, work.name, peer.name) for cell in cells]
            title = f"{peer.title} ({trouble})" if trouble else peer.title
            yield f"| {title} | " + " | ".join(row) + f" | {len(rounds)} |"
        else:
            why = peer.cannot.get(work.name) or trouble or "not measured"
            yield f"| {peer.title} | {why} |" + " |" * len(names)
    yield ""
    yield from origin(results, [work.name])


def origin(results, works):
    """When these were measured, and with which ws4redis: that of the gateway and of the load generator."""
    builds = defaultdict(list)
    for peer in PEERS:
        for work in works:
            for line in results.by[work, peer.name]:
                build = f"ws4redis {line['build']}" if "build" in line else UNKNOWN
                builds[build].append((line["at"], peer.title))
    if not builds:
        return
    if len(builds) > 1:
        yield "**Not all of one build**; do not lean on a small difference between these:\n"
    for build, measured in builds.items():
        when = period(*(end(measured)[0] for end in (min, max)))
        who = f": {', '.join(dict.fromkeys(title for _, title in measured))}" if len(builds) > 1 else ""
        yield f"{'- ' if who else ''}Measured {when} UTC, {build}{who}.{'' if who else chr(10)}"
    if len(builds) > 1:
        yield ""


UNKNOWN = "before builds were recorded, and with the peers' settings of that time"


def period(first, last):
    day, begin = time.strftime("%Y-%m-%d %H:%M", time.gmtime(first)).split()
    last_day, end = time.strftime("%Y-%m-%d %H:%M", time.gmtime(last)).split()
    if day != last_day:
        return f"{day} {begin} to {last_day} {end}"
    return f"{day} {begin} to {end}" if begin != end else f"{day} {begin}"


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
        return number(ratio)

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
    "memory": (["bytes"], [spread(figures.memory)]),
    "p99": (
        ["p50, ms", "p99, ms", "last p50, ms", "last p99, ms", "CPU per delivery, µs"],
        [spread(of) for of in (figures.p50, figures.p99, figures.last_p50, figures.last_p99, cpu)],
    ),
    "slow": (
        ["p99 without, ms", "p99 with, ms", "times"],
        [spread(of) for of in (figures.p99_without, figures.p99, figures.slow)],
    ),
    "idle": (["% of a core"], [spread(figures.idle)]),
}


def plots(results):
    for name, (title, _, points) in PLOTS.items():
        if any(curves(results, name, points)):
            yield f"![{title}](benchmarks/{name}.svg)\n"
            yield from origin(results, [f"growth-{name}-{point}" for point in points])


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
        settings = [f"{name}={value}" for name, value in peer.environment.items()]
        words = shlex.join([*settings, "taskset", "-c", "0", *peer.command]).replace(f"{ROOT}/", "")
        for blank in BLANKS:
            words = words.replace(blank, blank.strip("@"))
        yield f"{peer.title}: {words}"


def lacks():
    yield "| | What it does not do |"
    yield "|---|---|"
    for peer in PEERS:
        if peer.lacks:
            yield f"| {peer.title} | {peer.lacks} |"


def versions(results):
    """As they were when it was measured, each in its own words."""
    yield "| | Version |"
    yield "|---|---|"
    for peer in PEERS:
        found = dict.fromkeys(line.get("version") for line in results.lines if line["peer"] == peer.name)
        if known := [version for version in found if version]:
            yield f"| {peer.title} | {'; '.join(known)} |"


def machine(results):
    if not results.lines:
        return
    found = dict.fromkeys(line.get("machine") for line in results.lines)
    yield from (f"{machine}." for machine in found if machine)
    loads = sorted(line["load"] for line in results.lines)
    yield f"Load average before a measurement: median {statistics.median(loads):.1f},"
    yield f"from {loads[0]:.1f} to {loads[-1]:.1f}; the measurements make about 1.5 of it themselves."
