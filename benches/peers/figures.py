"""From the reports of `ws4redis bench` to the figures that count."""

import statistics
from collections import defaultdict


def cpu(report):
    """CPU time of the gateway for each delivery, in microseconds."""
    phase = report["phases"][-1]
    return phase["gateway_cpu_seconds"] * 1e6 / phase["events"] if phase["events"] else None


def rate(report):
    phase = report["phases"][-1]
    return phase["events"] / phase["seconds"]


def memory(report):
    return report["memory_per_connection"]


def latency(which, quantile):
    """In milliseconds."""

    def figure(report):
        found = report["phases"][-1][which]
        return found[quantile] * 1e3 if found else None

    return figure


p50 = latency("latency", "p50")
p99 = latency("latency", "p99")
last_p50 = latency("to_the_last", "p50")
last_p99 = latency("to_the_last", "p99")


def p99_without(report):
    """Before there were slow clients."""
    return report["phases"][0]["latency"]["p99"] * 1e3


def slow(report):
    return p99(report) / p99_without(report)


def idle(report):
    """In percent of a core."""
    phase = report["phases"][-1]
    return 100 * phase["gateway_cpu_seconds"] / phase["seconds"]


# What a workload is about: the figure, and its unit.
FIGURES = {
    "cpu": (cpu, "µs"),
    "rate": (rate, "/s"),
    "memory": (memory, "B"),
    "p99": (p99, "ms"),
    "idle": (idle, "% of a core"),
    "slow": (slow, "×"),
}


def own(report):
    """How busy the load generator's core was with it, at most."""
    return max(phase["own_cpu_seconds"] / phase["seconds"] for phase in report["phases"])


def faults(report):
    """What its clients missed or saw twice, by name."""
    sums = report["phases"][-1]["sums"]
    return {name: count for name, count in sums.items() if count and name not in ("published", "delivered")}


def counts(line):
    """Where connections broke, it is a figure of fewer clients, or of a gateway that had ended."""
    return bool(line["report"]) and not line["report"]["phases"][-1]["sums"]["broken"]


class Results:
    """All that was measured, by workload and peer."""

    def __init__(self, lines):
        self.lines = lines
        self.by = defaultdict(list)
        for line in lines:
            self.by[line["work"], line["peer"]].append(line)

    def rounds(self, work, peer):
        """The reports that count, each by the run and the round that it was measured in."""
        return {
            (line.get("run"), line.get("round", number)): line["report"]
            for number, line in enumerate(self.by[work, peer])
            if counts(line)
        }

    def trouble(self, work, peer):
        """What went wrong most recently, and how often something did."""
        lines = self.by[work, peer]
        found = [line["trouble"] for line in lines if line["trouble"]]
        if not found:
            return ""
        left_out = sum(not counts(line) for line in lines)
        said = f"{found[-1]}; trouble in {len(found)} of {len(lines)} rounds"
        return f"{said}, {left_out} left out" if left_out else said

    def spread(self, work, peer, of):
        """Median, least, most; `None` without a figure."""
        found = [figure for report in self.rounds(work, peer).values() if (figure := of(report)) is not None]
        return (statistics.median(found), min(found), max(found)) if found else None

    def median(self, work, peer, of):
        found = self.spread(work, peer, of)
        return found[0] if found else None

    def ratio(self, work, peer, base, of):
        """The median of the rounds' ratios: what disturbs a round disturbs both of its sides."""
        return self.paired(work, peer, base, of, lambda one, other: one / other if other else None)

    def difference(self, work, peer, base, of):
        """The median of the rounds' differences."""
        return self.paired(work, peer, base, of, lambda one, other: one - other)

    def paired(self, work, peer, base, of, compare):
        """`None` where no round has both sides, as where one of them was measured again without the other."""
        ours, others = self.rounds(work, peer), self.rounds(work, base)
        sides = ((of(ours[at]), of(others[at])) for at in ours.keys() & others.keys())
        found = [compare(one, other) for one, other in sides if one is not None and other is not None]
        found = [figure for figure in found if figure is not None]
        return statistics.median(found) if found else None


def number(figure):
    """Three digits that count."""
    if figure is None:
        return "–"
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def shown(work, report):
    figure, unit = FIGURES[work.figure]
    return f"{number(figure(report))} {unit}"
