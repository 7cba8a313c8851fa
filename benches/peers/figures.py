"""From the reports of `ws4redis bench` to the figures that count."""

import statistics
from collections import defaultdict


def value(work, report):
    """The one figure of a workload."""
    phase = report["phases"][-1]
    match work.figure:
        case "cpu":
            return cpu(report)
        case "rate":
            return rate(report)
        case "memory":
            return report["memory_per_connection"]
        case "p99":
            return phase["latency"]["p99"] * 1e3
        case "idle":
            return 100 * phase["gateway_cpu_seconds"] / phase["seconds"]
        case "slow":
            return phase["latency"]["p99"] / report["phases"][0]["latency"]["p99"]


UNITS = {"cpu": "µs", "rate": "/s", "memory": "B", "p99": "ms", "idle": "% of a core", "slow": "×"}


def cpu(report):
    """CPU time of the gateway for each delivery, in microseconds."""
    phase = report["phases"][-1]
    return phase["gateway_cpu_seconds"] * 1e6 / phase["events"] if phase["events"] else None


def rate(report):
    phase = report["phases"][-1]
    return phase["events"] / phase["seconds"]


def latency(report, which, quantile):
    """In milliseconds."""
    found = report["phases"][-1][which]
    return found[quantile] * 1e3 if found else None


def own(report):
    """How busy the load generator's core was with it, at most."""
    return max(phase["own_cpu_seconds"] / phase["seconds"] for phase in report["phases"])


class Results:
    """All that was measured, by workload and peer, in the order of the rounds."""

    def __init__(self, lines):
        self.lines = lines
        self.by = defaultdict(list)
        for line in lines:
            self.by[line["work"], line["peer"]].append(line)

    def reports(self, work, peer):
        return [line["report"] for line in self.by[work, peer] if line["report"]]

    def trouble(self, work, peer):
        """What went wrong most recently, if something did."""
        found = [line["trouble"] for line in self.by[work, peer] if line["trouble"]]
        return found[-1] if found else ""

    def spread(self, work, peer, of):
        """Median, least, most; `None` without a figure."""
        found = [figure for report in self.reports(work, peer) if (figure := of(report)) is not None]
        return (statistics.median(found), min(found), max(found)) if found else None

    def median(self, work, peer, of):
        found = self.spread(work, peer, of)
        return found[0] if found else None

    def ratio(self, work, peer, base, of):
        """The median of the rounds' ratios: what disturbs a round disturbs both of its sides."""
        pairs = zip(self.reports(work, peer), self.reports(work, base), strict=False)
        found = [of(one) / of(other) for one, other in pairs if of(one) and of(other)]
        return statistics.median(found) if found else None


def number(figure):
    """Three digits that count."""
    if figure is None:
        return "–"
    if figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def shown(work, figure):
    return f"{number(figure)} {UNITS[work.figure]}"
