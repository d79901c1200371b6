#!/usr/bin/env python3
"""Contests on a GPU: WarpBERT and PyTorch at the same work in the same minutes, in interleaved rounds.

All engines of a contest are started, each in a process of its own, and stay. Ours writes the batch, the others read it.
Then, round by round, each does the work of a turn: several steps, so that nobody waits for the device after each. A
round's ratio holds whatever else the machine did in that round; the median of the rounds' ratios is what is claimed.
Needs python3 and WarpBERT's package; PyTorch and transformers for the peers. Writes gpu-NAME.json for each contest as it
ends, and a log for each engine. Exit code 1 where an engine failed or answered something else than ours.
"""
import argparse
import datetime
import json
import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from engine import Absent, EngineProcess

TORCH = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_bert.py")]
AGREEMENT = 0.05  # bf16 through twelve layers; logits of random weights are of size 0.3
START_SECONDS = 240  # torch.compile
LEAST_START_SECONDS = 30  # of the last contest that begins
TURN_SECONDS = 60
ROUNDS_SECONDS = 60  # of all rounds of a contest, if there are LEAST_ROUNDS by then
LEAST_ROUNDS = 3


def rival(title, target, *options, torch=True):
    return {"title": title, "target": target, "options": list(options), "torch": torch}


def contest(name, title, kind, lengths, batch, steps, *rivals):
    return {"name": name, "title": title, "kind": kind, "lengths": lengths, "batch": batch, "steps": steps, "rivals": rivals}


# What says most in least time comes first. Batches fill an H100, and leave room for all engines of a contest in 80 GB.
CONTESTS = [
    contest("train-128", "Training step, bert-base bf16, 256 sequences of 128", "train", "fixed:128", 256, 10,
            rival("PyTorch eager", 1.5), rival("torch.compile", 1.2, "--compile")),
    contest("infer-one", "Inference, bert-base bf16, one sequence of 128, from ids to logits on the host", "infer", "fixed:128", 1, 200,
            rival("PyTorch with a CUDA graph", 1.3, "--graph", "--weights", "bf16"),
            rival("torch.compile with a CUDA graph", 1.3, "--compile", "--graph", "--weights", "bf16"),
            rival("PyTorch eager", 0, "--weights", "bf16"), rival("torch.compile", 0, "--compile", "--weights", "bf16")),
    contest("train-512", "Training step, bert-base bf16, 64 sequences of 512", "train", "fixed:512", 64, 10,
            rival("PyTorch eager", 1.5), rival("torch.compile", 1.2, "--compile")),
    contest("train-cola", "Training step, bert-base bf16, 1,024 sequences as long as CoLA's", "train", "cola", 1024, 10,
            rival("PyTorch eager, padded to 64", 5, "--pad", "maximum"),
            rival("torch.compile, padded to 64", 5, "--pad", "maximum", "--compile")),
    contest("train-cola-longest", "Training step, bert-base bf16, 1,024 sequences as long as CoLA's, against less padding", "train", "cola", 1024, 10,
            rival("PyTorch eager, padded to the longest", 0), rival("torch.compile, padded to the longest", 0, "--compile"),
            rival("PyTorch eager, unpadded", 0, "--pad", "none"), rival("torch.compile, unpadded", 0, "--pad", "none", "--compile")),
    contest("infer-128", "Inference, bert-base bf16, 256 sequences of 128", "infer", "fixed:128", 256, 20,
            rival("PyTorch eager, autocast", 0), rival("PyTorch eager", 0, "--weights", "bf16"),
            rival("torch.compile", 0, "--compile", "--weights", "bf16")),
    contest("train-cola-own", "Training step, bert-base bf16, 512 sequences as long as CoLA's, against our own padded layout", "train", "cola", 512, 10,
            rival("WarpBERT, padded to 64", 0, "--layout", "padded", torch=False)),
]


def quantile(values, share):
    """Of sorted values, linear between neighbours, as org.warpbert.bench.Timing."""
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])


def spread_of(values, warmup):
    ordered = sorted(values)
    median = statistics.median(ordered)
    return {"median": median, "spread": (quantile(ordered, 0.75) - quantile(ordered, 0.25)) / median,
            "min": ordered[0], "max": ordered[-1], "warmup": warmup, "repeats": len(ordered)}


def take_rounds(engines, absent, steps, warmup, rounds, deadline):
    """Seconds of a step for each engine and round. An engine that fails leaves; ours (the first) must not."""
    seconds = {engine: [] for engine in engines}
    for turn in range(warmup + rounds):
        if turn >= warmup + LEAST_ROUNDS and time.monotonic() > deadline:
            break
        present = list(seconds)
        for i in range(len(present)):
            engine = present[(i + turn) % len(present)]  # nobody always comes after the same one
            try:
                took = engine.run(steps, TURN_SECONDS)
                if turn >= warmup:
                    seconds[engine].append(took)
            except Absent as reason:
                if engine is engines[0]:
                    raise
                leave(absent, engine, reason)
                del seconds[engine]
    return seconds


def leave(absent, engine, reason):
    engine.close()
    absent.append({"name": engine.title, "reason": str(reason), "failed": reason.failed})
    print(f"  {engine.title}: not measured: {reason}", flush=True)


def start(options, chosen, folder, absent, deadline):
    """Ours, ready, then the others, started together; those that are ready, of which none is waited for beyond the deadline."""
    def most():
        return min(START_SECONDS, max(LEAST_START_SECONDS, deadline - time.monotonic()))
    batch = os.path.join(folder, "batch.json")
    ours = options.warpbert + ["bench", chosen["kind"], "--device", options.device, "--precision", options.precision, "--model", options.model,
                               "--lengths", chosen["lengths"], "--batch-size", str(options.batch_size or chosen["batch"])]
    log = os.path.join(options.results, "gpu-" + chosen["name"] + "-{}.log")
    engines = [EngineProcess("WarpBERT, packed", ours + ["--turns", batch], log.format(0))]
    try:
        engines[0].ready(most())
        for number, entry in enumerate(chosen["rivals"], 1):
            command = (TORCH + [chosen["kind"], "--model", options.model, "--batch", batch] if entry["torch"]
                       else ours + ["--turns", batch + ".other"]) + entry["options"]
            engines.append(EngineProcess(entry["title"], command, log.format(number)))
        ready = engines[:1]
        for engine in engines[1:]:
            try:
                engine.ready(most())
                ready.append(engine)
            except Absent as reason:
                leave(absent, engine, reason)
        return ready
    except BaseException:
        for engine in engines:
            engine.close()
        raise


def numbers(values):
    """Whether each is one: no None, no "NaN"."""
    return all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)


def difference(ours, theirs):
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def report(chosen, options, seconds, absent, warmup):
    """The contest as JSON: engines with their times, and ratios."""
    targets = {entry["title"]: entry["target"] for entry in chosen["rivals"]}  # of those that do the whole work
    entries = []
    for engine, times in seconds.items():
        try:
            about = engine.finish(TURN_SECONDS)
            if not numbers(about["result"]):
                raise Absent(f"what it computed is no number: {about['result']}")
        except Absent as reason:
            if not entries:
                raise
            leave(absent, engine, reason)
            continue
        if entries and chosen["kind"] == "infer":
            apart = difference(entries[0]["about"]["result"], about["result"])
            if not apart < AGREEMENT:
                leave(absent, engine, Absent(f"it computes something else: {about['result']}, WarpBERT {entries[0]['about']['result']}"))
                continue
            about["difference_of_result"] = apart
        entries.append({"name": engine.title + about.pop("less", ""), **spread_of(times, warmup), "seconds": times, "about": about})
    work = entries[0]["about"]["work"]
    for entry in entries:
        entry["real_tokens_per_second"] = work["real_tokens"] / entry["median"]
        entry["model_tflops"] = work["train_gflop" if chosen["kind"] == "train" else "infer_gflop"] * 1e-3 / entry["median"]
    ratios = []
    for entry in entries[1:]:
        rounds = spread_of([theirs / ours for theirs, ours in zip(entry["seconds"], entries[0]["seconds"], strict=True)], warmup)
        ratios.append({"against": entry["name"], "times_as_fast": rounds["median"], "spread": rounds["spread"], "least": rounds["min"],
                       "most": rounds["max"], "target": targets.get(entry["name"], 0)})
    return {"name": chosen["name"], "title": chosen["title"], "kind": chosen["kind"], "steps_a_turn": options.steps or chosen["steps"],
            "real_tokens": work["real_tokens"], "work": work, "flop_formula": entries[0]["about"]["flop_formula"], "engines": entries,
            "ratios": ratios, "absent": absent, "machine": entries[0]["about"]["machine"],
            "command": f"benchmarks/gpu/contest.py --only {chosen['name']} --rounds {options.rounds} --warmup {options.warmup}",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def write(path, value):
    """Whole or not at all."""
    with open(path + ".partial", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, allow_nan=False)
        file.write("\n")
    os.replace(path + ".partial", path)


def hold(chosen, options, deadline):
    """One contest, to its JSON; whether all went as it should."""
    print(chosen["title"], flush=True)
    absent = []
    engines = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            engines = start(options, chosen, folder, absent, deadline)
            seconds = take_rounds(engines, absent, options.steps or chosen["steps"], options.warmup, options.rounds, min(deadline, time.monotonic() + ROUNDS_SECONDS))
            made = report(chosen, options, seconds, absent, options.warmup)
    except Absent as reason:
        print(f"  WarpBERT: not measured: {reason}", flush=True)
        return False
    finally:
        for engine in engines:
            engine.close()
    write(os.path.join(options.results, "gpu-" + chosen["name"] + ".json"), made)
    for entry in made["engines"]:
        print(f"  {entry['name']:46} {1e3 * entry['median']:9.3f} ms  spread {100 * entry['spread']:4.1f}%  {entry['real_tokens_per_second']:12,.0f} real tokens/s", flush=True)
    for ratio in made["ratios"]:
        print(f"  WarpBERT is {ratio['times_as_fast']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f}) times as fast as {ratio['against']}", flush=True)
    return not any(entry["failed"] for entry in absent)


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warpbert", required=True, type=shlex.split, help="the command, such as package/bin/warpbert")
    parser.add_argument("--results", default=".", help="where the JSON and the logs go")
    parser.add_argument("--only", default="", help="names of contests, by commas: " + ", ".join(c["name"] for c in CONTESTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=9,
                        help=f"no contest begins that would take longer if it took as long as the longest before it; one that runs ends with {LEAST_ROUNDS} rounds or more")
    parser.add_argument("--model", help="a folder of weights for all engines; left out: bert-base's sizes, drawn by transformers")
    parser.add_argument("--device", default="cuda", help="WarpBERT's")
    parser.add_argument("--precision", default="bf16", help="WarpBERT's")
    parser.add_argument("--batch-size", type=int, help="in place of each contest's own")
    parser.add_argument("--steps", type=int, help="of a turn, in place of each contest's own")
    options = parser.parse_args(argv)
    names = [name for name in options.only.split(",") if name]
    unknown = set(names) - {c["name"] for c in CONTESTS}
    if unknown:
        parser.error("there is no contest " + ", ".join(sorted(unknown)))
    options.contests = [c for c in CONTESTS if not names or c["name"] in names]
    return options


def main(argv):
    options = arguments(argv)
    os.makedirs(options.results, exist_ok=True)
    deadline = time.monotonic() + 60 * options.minutes
    fine = True
    longest = 0
    with tempfile.TemporaryDirectory() as folder:
        if not options.model:
            made = subprocess.run(TORCH + ["model", folder], check=False).returncode == 0
            options.model = folder if made else "random:bert-base"  # without PyTorch ours is alone
        for chosen in options.contests:
            begun = time.monotonic()
            if begun + longest > deadline:
                print(chosen["title"] + ": there was no time left for it", flush=True)
                fine = False
            else:
                fine = hold(chosen, options, deadline) and fine
                longest = max(longest, time.monotonic() - begun)
    return 0 if fine else 1


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"  # all that the peers need is on the disk
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no engine is left behind
    sys.exit(main(sys.argv[1:]))
