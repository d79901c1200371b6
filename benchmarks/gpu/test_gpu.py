"""python3 -m unittest discover -s benchmarks/gpu: what needs neither a GPU nor PyTorch."""
import contextlib
import io
import os
import sys
import tempfile
import unittest

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


if __name__ == "__main__":
    unittest.main()
