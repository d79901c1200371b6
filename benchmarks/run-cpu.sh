#!/usr/bin/env bash
# All CPU figures and docs/performance.md, in about half an hour on two cores. Nothing else should run meanwhile.
#   benchmarks/run-cpu.sh            as published
#   benchmarks/run-cpu.sh 1          one round of everything, to see that it works
set -euo pipefail
cd "$(dirname "$0")"
rounds=${1:-9}
repeats=$((2 * rounds + 1))
{ echo -10 >/proc/self/autogroup; } 2>/dev/null || true # before other groups of processes, where that is allowed
mvn -q -B -f .. -DskipTests -Dmaven.test.skip=true -Dnative.tests=all install
mvn -q -B compile
java() { mvn -q -B exec:exec -Dmain="org.$1" -Dargs="${*:2}"; }

mkdir -p results
for batch in "cola 32" "fixed:128 8"; do
    set -- $batch
    name=${1/fixed:/}
    ../warpbert bench ops --lengths "$1" --batch-size "$2" --repeats "$repeats" --json "results/bench-ops-$name.json" >/dev/null
    ../warpbert bench train --lengths "$1" --batch-size "$2" --repeats "$repeats" --json "results/bench-train-$name.json" | tail -n 8
done
java warpbert.benchmarks.CompareCpu --rounds "$rounds"
java warpbert.benchmarks.StartTime --repeats "$rounds"
jmh() { java openjdk.jmh.Main "$1" -prof gc -rf json -rff "results/$2.json" -wi "$((rounds < 3 ? 1 : 3))" -i "$((rounds < 5 ? 1 : 5))" >/dev/null; }
jmh CallBenchmark jmh-calls
jmh StepBenchmark jmh-steps
jmh ServeBenchmark jmh-serving
java warpbert.benchmarks.PerformancePage results ../docs/performance.md
