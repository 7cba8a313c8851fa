"""Claims of the comparison about itself: python3 -m unittest discover benches/peers"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path
from unittest import mock

import document
import install
import run
from figures import Results, cpu
from peers import PEERS
from works import WORKS

HERE = Path(__file__).parent


def line(peer, micros, *, work="one-1k", run=1, round=0, build="1.0 (abc)", **sums):
    """A measurement of a million deliveries."""
    phase = {
        "seconds": 1,
        "events": 1_000_000,
        "gateway_cpu_seconds": micros,
        "own_cpu_seconds": 0.5,
        "sums": {"published": 1, "delivered": 1, "lost": 0, "broken": 0, **sums},
    }
    trouble = ", ".join(f"{count} {name}" for name, count in sums.items())
    return {
        "work": work,
        "peer": peer,
        "run": run,
        "round": round,
        "at": 1_800_000_000,
        "load": 1,
        "build": build,
        "version": "7",
        "machine": "one of many",
        "report": {"memory_per_connection": None, "phases": [phase]},
        "trouble": trouble,
    }


class Figures(unittest.TestCase):
    def test_a_ratio_compares_the_two_sides_of_one_round(self):
        # Our first round is missing: 12 is of the second, in which the floor took 10.
        results = Results(
            [line("floor", 4, round=0), line("floor", 10, round=1), line("ws4redis", 12, round=1)],
        )
        self.assertAlmostEqual(results.ratio("one-1k", "ws4redis", "floor", cpu), 1.2)

    def test_rounds_of_two_runs_are_no_pair(self):
        results = Results([line("floor", 4, run=1), line("ws4redis", 12, run=2)])
        self.assertIsNone(results.ratio("one-1k", "ws4redis", "floor", cpu))

    def test_an_even_number_of_rounds_has_the_mean_of_the_middle_two_as_median(self):
        results = Results([line("floor", micros, round=micros) for micros in (1, 2, 4, 9)])
        self.assertEqual(results.spread("one-1k", "floor", cpu), (3, 1, 9))

    def test_a_round_with_broken_connections_does_not_count_and_is_said(self):
        results = Results([line("bun", 4, round=0), line("bun", 1, round=1, broken=9)])
        self.assertEqual(results.spread("one-1k", "bun", cpu), (4, 4, 4))
        self.assertIn("9 broken; trouble in 1 of 2 rounds, 1 left out", table(results))


class Document(unittest.TestCase):
    def test_a_table_says_how_many_rounds_it_is_of(self):
        results = Results([line("floor", 4, round=number) for number in range(3)])
        self.assertRegex(table(results), r"\| floor \|.*\| 3 \|")

    def test_who_was_not_measured_is_named(self):
        self.assertIn("| nchan | not measured |", table(Results([line("floor", 4)])))

    def test_rows_of_different_builds_are_told_apart(self):
        text = table(Results([line("floor", 4, build="1.0 (old)"), line("ws4redis", 4, build="1.0 (new)")]))
        self.assertIn("**Not all of one build**", text)
        self.assertIn("ws4redis 1.0 (old): floor.", text)
        self.assertNotIn("Not all", table(Results([line("floor", 4), line("ws4redis", 4)])))

    def test_commands_can_be_typed(self):
        text = "\n".join(document.commands())
        self.assertIn("node_modules/@oven/bun-linux-x64/bin/bun", text)
        self.assertIn("WS4REDIS_LOG=error taskset -c 0 target/release/ws4redis serve --listen 127.0.0.1:PORT", text)
        self.assertNotIn("@PORT@", text)

    def test_the_page_has_no_blank_left(self):
        self.assertNotRegex(document.page(Results([line("floor", 4)])), r"@\w+@")

    def test_the_page_can_be_written_of_little(self):
        self.assertIn("not measured", document.page(Results([])))


class Running(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(contextlib.redirect_stdout(io.StringIO()))

    def test_who_cannot_be_installed_is_named_and_the_others_go_on(self):
        def fails():
            raise install.Missing("no network")

        made = []
        makers = ((("bun", "node-ws"), fails), (("floor",), lambda: made.append("floor")))
        with mock.patch.multiple(install, MAKERS=makers, INSTALLED=self.folder, run=mock.DEFAULT, need=mock.DEFAULT):
            missing = install.install({"bun", "floor"})
        self.assertEqual((missing, made), ({"bun": "not installed: no network"}, ["floor"]))

    def test_an_environment_whose_interpreter_is_elsewhere_is_made_anew(self):
        pip = self.folder / "bin/pip"
        pip.parent.mkdir()
        self.assertFalse(install.runs(self.folder))
        pip.write_text("#!/nowhere/python\n")
        pip.chmod(0o755)
        self.assertFalse(install.runs(self.folder))
        pip.write_text("#!/bin/sh\necho pip 1 from /nowhere/lib/pip\n")
        self.assertFalse(install.runs(self.folder))
        pip.write_text(f"#!/bin/sh\necho pip 1 from {self.folder.resolve()}/lib/pip\n")
        self.assertTrue(install.runs(self.folder))

    def test_a_gateway_that_ends_by_itself_gives_no_figure(self):
        with run.running(["false"]) as gateway:
            gateway.wait()
            with self.assertRaisesRegex(run.Trouble, "it ended by itself, with 1"):
                run.measured(["echo", "{}"], gateway, 10)

    def test_who_does_not_start_is_said_and_the_others_go_on(self):
        floor = next(peer for peer in PEERS if peer.name == "floor")
        nothing = contextlib.nullcontext()
        with mock.patch.object(run, "redis_server", lambda *_: nothing):
            with mock.patch.object(run, "started", mock.Mock(side_effect=run.Trouble("does not start: floor"))):
                self.assertEqual(run.once(floor, WORKS[0], True), (None, "does not start: floor"))

    def test_what_was_measured_stands_until_the_same_is_measured_again(self):
        file = self.folder / "results.jsonl"
        run.keep(file, [line("floor", 1), line("bun", 2)])
        run.keep(file, [line("floor", 3)])
        self.assertEqual(
            [(kept["peer"], cpu(kept["report"])) for kept in map(json.loads, file.read_text().splitlines())],
            [("bun", 2), ("floor", 3)],
        )
        self.assertEqual(list(self.folder.iterdir()), [file])

    def test_a_signal_ends_all_that_was_started_beside_each_other(self):
        script = self.folder / "script.py"
        script.write_text(
            textwrap.dedent(f"""
                import signal, sys
                sys.path.insert(0, {str(HERE)!r})
                import run
                from types import SimpleNamespace
                from works import Work
                def once(*_):
                    with run.running(["sleep", "600"]) as process:
                        print(process.pid, flush=True)
                        process.wait()
                    return None, ""
                run.once = once
                signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
                run.measure(Work("idle", "", "", "idle", together=True), run.PEERS[:2], 1, SimpleNamespace(quick=True))
            """)
        )
        with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ended:
            started = [int(ended.stdout.readline()) for _ in range(2)]
            ended.send_signal(signal.SIGTERM)
            self.assertEqual(ended.wait(20), 1)
        deadline = time.monotonic() + 10
        while any(map(alive, started)):
            self.assertLess(time.monotonic(), deadline, "something is left")
            time.sleep(0.01)


def table(results):
    return "\n".join(document.table(results, WORKS[0]))


def alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


if __name__ == "__main__":
    unittest.main()
