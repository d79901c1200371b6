#!/usr/bin/env bash
# Every figure of a GPU, from WarpBERT's unpacked package and python3 with PyTorch and transformers: no Java, no compiler, no network.
#   WARPBERT=package/bin/warpbert RESULTS=folder benchmarks/run-gpu.sh check               doctor and gpu-check
#                                                                      contests [NAME...]   beside PyTorch; attention is one, see gpu/contest.py
#                                                                      ops                  kernels by events, steps beside the datasheet
#                                                                      sanitize [RUN...]    the ops' tests under compute-sanitizer; a RUN is one of
#                                                                                           {memcheck,racecheck,initcheck}-{agreesWithFloat64,agreesInSixteenBits}
# Each is a call of under ten minutes (MINUTES, default 9), which all contests do not fit into. A step's results and log are in RESULTS as
# soon as it ends, so that a call that is killed leaves what there is; a step that fails, or has no time left, stops no other, and the exit
# code is then 1. Clocks, power and what slows them down are in clocks.csv, each second.
#   DEVICE=simt SMALL=yes   a tiny model and one round, to see here that it works
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
warpbert=${WARPBERT:-$here/../warpbert}
results=${RESULTS:-$here/results}
device=${DEVICE:-cuda}
end=$((SECONDS + 60 * ${MINUTES:-9}))
failed=0
mkdir -p "$results"
PATH=$PATH:/usr/local/cuda/bin
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,clocks_event_reasons.active --format=csv,noheader -l 1 >>"$results/clocks.csv" 2>&1 &
    clocks=$!
    trap 'kill "$clocks"' EXIT
fi

# step NAME SECONDS COMMAND...
step() {
    local name=$1 most=$2 left=$((end - SECONDS)) started=$SECONDS code=0 result=passed
    shift 2
    if [ "$left" -lt 1 ]; then
        code=124
    else
        timeout --kill-after=10 "$((most < left ? most : left))" "$@" >"$results/$name.log" 2>&1 || code=$?
    fi
    case $code in
    0) ;;
    124 | 137) result='not ended' failed=1 ;;
    *) result="FAILED, code $code" failed=1 ;;
    esac
    printf '%-44s %4d s  %s\n' "$name" "$((SECONDS - started))" "$result" | tee -a "$results/run-gpu.log"
    [ "$code" -eq 0 ] || tail -n 5 "$results/$name.log" 2>/dev/null | cut -c 1-300 | sed 's/^/    /'
}

left() { echo "$((end - SECONDS))"; }

check() {
    step doctor 60 "$warpbert" doctor
    local only=()
    [ -z "${SMALL:-}" ] || only=(--only device)
    step check "$(left)" "$warpbert" gpu-check --device "$device" --out "$results" --minutes "$(($(left) / 60))" ${only[@]+"${only[@]}"}
}

contests() {
    local names=("$@") small=() others=() name
    [ -z "${SMALL:-}" ] || small=(--device "$device" --precision auto --model random:bert-tiny --batch-size 3 --steps 1 --rounds 1)
    for name in ${names[@]+"${names[@]}"}; do
        [ "$name" = attention ] || others+=("$name")
    done
    if [ "${#others[@]}" -lt "${#names[@]}" ] || [ "${#names[@]}" -eq 0 ]; then
        step attention 150 python3 "$here/gpu/attention.py" --results "$results"
    fi
    if [ "${#others[@]}" -gt 0 ] || [ "${#names[@]}" -eq 0 ]; then # ends by itself before its time
        step contests "$(left)" python3 "$here/gpu/contest.py" --warpbert "$warpbert" --results "$results" --only "$(IFS=, && echo "${others[*]-}")" \
            --minutes "$(($(left) / 60 - 1))" ${small[@]+"${small[@]}"}
    fi
}

ops() {
    local batch lengths size of what name how=(--precision bf16 --repeats 21 --peak-tflops 989)
    [ -z "${SMALL:-}" ] || how=(--model random:bert-tiny --warmup 1 --repeats 1)
    for batch in 'fixed:512 32' 'fixed:128 128' 'cola 1024'; do
        lengths=${batch% *} size=${batch#* } of=${lengths#fixed:}
        [ -z "${SMALL:-}" ] || size=1 lengths=fixed:8
        for what in ops train infer; do
            name=gpu-bench-$what-$of
            step "$name" 120 "$warpbert" bench "$what" --device "$device" --lengths "$lengths" --batch-size "$size" "${how[@]}" --json "$results/$name.json"
        done
    done
}

# Straight by the package's Java: gpu-check would stop a step that a tool slows down. Only our own kernels run in these tests.
sanitize() {
    local package run tool tests all=(memcheck-agreesWithFloat64 racecheck-agreesInSixteenBits initcheck-agreesWithFloat64
        memcheck-agreesInSixteenBits racecheck-agreesWithFloat64 initcheck-agreesInSixteenBits)
    package=$(cd "$(dirname "$(readlink -f "$warpbert")")/.." && pwd -P)
    for run in "${@:-${all[@]}}"; do
        tool=${run%%-*} tests=${run#*-}
        # shellcheck disable=SC2086 # WARPBERT_JAVA_OPTS holds several options
        step "sanitize-$run" "$([ $# -gt 0 ] && left || echo 180)" compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 99 --print-limit 20 \
            "$package/runtime/bin/java" "@$package/lib/java.options" ${WARPBERT_JAVA_OPTS:-} -cp "$package/lib/*:$package/lib/check/*" org.warpbert.check.CheckStep \
            "$results/sanitize-$run.json" "$device" null null "parity OpParityTest#$tests"
        grep -qs '"outcome":"PASSED"' "$results/sanitize-$run.json" || failed=1
    done
}

case ${1:-} in
check | contests | ops | sanitize) "$@" ;;
*) echo "usage: $0 check|contests [NAME...]|ops|sanitize" >&2; exit 2 ;;
esac
exit "$failed"
