import statistics
def figure(work, report):
    phase = report["phases"][-1]
    per = lambda k: phase[k] / max(phase["events"], 1)
    if work.figure == "cpu": return phase["gateway_cpu_seconds"] * 1e6 / max(phase["events"],1)
    if work.figure == "rate": return phase["events"] / phase["seconds"]
    if work.figure == "memory": return report["memory_per_connection"]
    if work.figure == "p99": return phase["latency"]["p99"] * 1e3
    if work.figure == "idle": return 100 * phase["gateway_cpu_seconds"] / phase["seconds"]
    if work.figure == "slow": return phase["latency"]["p99"] / report["phases"][0]["latency"]["p99"]
def shown(work, value): return f"{value:.2f}"
