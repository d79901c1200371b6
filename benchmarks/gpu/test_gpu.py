"""python3 -m unittest discover -s benchmarks/gpu: what needs neither a GPU nor PyTorch."""
import contextlib
import io
import json
import os
import sys
import tempfile
import time
import unittest
import unittest.mock

import contest
import engine
import torch_bert


class Rows(unittest.TestCase):
    def test_padding_is_masked(self):
        self.assertEqual(torch_bert.padded([[5, 6], [7]], 3), ([[5, 6, 0], [7, 0, 0]], [[1, 1, 0], [1, 0, 0]]))
        self.assertEqual(torch_bert.padded([[5, 6], [7, 8]], 2), ([[5, 6], [7, 8]], None))

    def test_packed_rows_start_where_the_one_before_ends(self):
        self.assertEqual(torch_bert.packed([[5, 6], [7], [8, 9]]), ([5, 6, 7, 8, 9], [0, 1, 0, 0, 1], [0, 2, 3, 5]))

    def test_every_id_has_a_word(self):
        self.assertEqual(len(set(torch_bert.vocabulary(100))), 100)


class Arguments(unittest.TestCase):
    def refused(self, parse, *argv):
        with self.assertRaises(SystemExit) as end, contextlib.redirect_stderr(io.StringIO()):
            parse(argv)
        self.assertEqual(end.exception.code, 2)

    def test_of_an_engine(self):
        self.assertEqual(torch_bert.arguments(["train", "--model", "m", "--batch", "b", "--compile"]).pad, "longest")
        self.refused(torch_bert.arguments, "train", "--model", "m")
        self.refused(torch_bert.arguments, "train", "--model", "m", "--batch", "b", "--graph")
        self.refused(torch_bert.arguments, "model")

    def test_of_contests(self):
        chosen = contest.arguments(["--warpbert", "java -cp 'a b' Main", "--only", "infer-one,train-128"])
        self.assertEqual(chosen.warpbert, ["java", "-cp", "a b", "Main"])
        self.assertEqual([c["name"] for c in chosen.contests], ["train-128", "infer-one"])
        self.refused(contest.arguments, "--warpbert", "w", "--only", "train-1")

    def test_every_rival_is_one_that_its_engine_knows(self):
        for held in contest.CONTESTS:
            titles = [r["title"] for r in held["rivals"]]
            self.assertEqual(len(titles), len(set(titles)))
            for rival in held["rivals"]:
                if rival["torch"]:
                    torch_bert.arguments([held["kind"], "--model", "m", "--batch", "b"] + rival["options"])


class Figures(unittest.TestCase):
    def test_quartiles_as_java_has_them(self):
        found = contest.spread_of([4.0, 1.0, 2.0, 3.0], 2)
        self.assertEqual((found["median"], found["min"], found["max"], found["repeats"], found["warmup"]), (2.5, 1.0, 4.0, 4, 2))
        self.assertAlmostEqual(found["spread"], (3.25 - 1.75) / 2.5)


ENGINE = "import sys; print(%r, flush=True)\nfor line in sys.stdin: print({'run 4': 8000000000, 'end': '{\"result\": [1]}'}[line.strip()], flush=True)"


class Engines(unittest.TestCase):
    @contextlib.contextmanager
    def started(self, program):
        with tempfile.TemporaryDirectory() as folder:
            process = engine.EngineProcess("it", [sys.executable, "-c", program], os.path.join(folder, "log"))
            try:
                yield process
            finally:
                process.process.stdin.close()
                process.process.stdout.close()
                process.close()

    def test_a_turn(self):
        with self.started(ENGINE % "ready") as process:
            process.ready(20)
            self.assertEqual(process.run(4, 20), 2.0)
            self.assertEqual(process.finish(20), {"result": [1]})

    def test_the_reason_of_an_absent_one(self):
        for program, reason, failed in [(ENGINE % "skip no such package", "no such package", False),
                                        ("raise ValueError('out of memory')", "it ended, code 1: ValueError: out of memory", True),
                                        ("import time; time.sleep(60)", "it was killed, or gave no answer within 1 s", True)]:
            with self.started(program) as process, self.assertRaises(engine.Absent) as absent:
                process.ready(1 if "sleep" in program else 20)
            self.assertEqual((str(absent.exception), absent.exception.failed), (reason, failed))

    def test_one_that_ends_in_a_turn_leaves_and_the_others_go_on(self):
        with self.started(ENGINE % "ready") as ours, self.started("print('ready', flush=True); input(); raise RuntimeError('lost')") as other:
            for process in (ours, other):
                process.ready(20)
            absent = []
            with contextlib.redirect_stdout(io.StringIO()):
                seconds = contest.take_rounds([ours, other], absent, 4, 1, 2, float("inf"))
            self.assertEqual(list(seconds.values()), [[2.0, 2.0]])
            self.assertEqual([a["reason"] for a in absent], ["it ended, code 1: RuntimeError: lost"])

    def test_an_answer_that_is_none(self):
        with self.started("print('ready', flush=True); input(); print('a warning', flush=True); input(); print('{', flush=True)") as process:
            process.ready(20)
            for ask in (lambda: process.run(4, 20), lambda: process.finish(20)):
                with self.assertRaises(engine.Absent):
                    ask()

    def told(self, result, less=""):
        return "print('ready', flush=True)\nfor line in __import__('sys').stdin: print(%r if 'end' in line else 1000, flush=True)" % json.dumps(
            {"result": result, "less": less, "work": {"real_tokens": 4, "train_gflop": 1, "infer_gflop": 1}, "flop_formula": "f", "machine": {}})

    def reported(self, kind, *results):
        chosen = contest.contest("c", "C", kind, "fixed:4", 1, 1, contest.rival("a", 2), contest.rival("b", 2))
        options = contest.arguments(["--warpbert", "w", "--steps", "1"])
        with contextlib.ExitStack() as stack:
            engines = [stack.enter_context(self.started(self.told(*result))) for result in results]
            for process, title in zip(engines, ("ours", "a", "b")):
                process.title = title
                process.ready(20)
            absent = []
            with contextlib.redirect_stdout(io.StringIO()):
                seconds = contest.take_rounds(engines, absent, 1, 0, 2, float("inf"))
                return contest.report(chosen, options, seconds, absent, 0)

    def test_a_rival_that_computes_no_number_is_not_ranked(self):
        for kind in ("train", "infer"):
            for none in (float("nan"), None, "NaN"):
                made = self.reported(kind, ([0.5],), ([none],), ([0.5],))
                self.assertEqual([ratio["against"] for ratio in made["ratios"]], ["b"])
                self.assertEqual([(a["name"], a["failed"]) for a in made["absent"]], [("a", True)])
        with self.assertRaises(engine.Absent):
            self.reported("train", ([float("nan")],), ([0.5],))

    def test_a_rival_that_computes_something_else_is_not_ranked(self):
        self.assertEqual(self.reported("infer", ([0.5],), ([0.6],), ([0.51],))["ratios"][0]["against"], "b")

    def test_a_rival_that_does_less_says_so_and_is_no_target(self):
        ratio = self.reported("train", ([0.5],), ([0.5], ", without dropout"))["ratios"][0]
        self.assertEqual((ratio["against"], ratio["target"]), ("a, without dropout", 0))


class Time(unittest.TestCase):
    def test_no_contest_begins_that_would_not_end(self):
        held = []

        def hold(chosen, options, deadline):
            held.append(chosen["name"])
            time.sleep(0.3)
            return True

        with unittest.mock.patch.object(contest, "hold", hold), contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            code = contest.main(["--warpbert", "w", "--model", "m", "--results", folder, "--minutes", str(0.5 / 60)])
        self.assertEqual((held, code), (["train-128"], 1))


if __name__ == "__main__":
    unittest.main()
