# Sourced by ./warpbert and by bin/warpbert of an archive: start JAVA OPTIONS_FILE CLASS_PATH CHECK_FOLDER COMMAND...
start() {
    local java=$1 options_file=$2 classes=$3 check=$4 main=org.warpbert.cli.Main size
    shift 4
    if [ "${1:-}" = gpu-check ]; then # the tests of the ops and what runs them
        shift
        [ -d "$check" ] || { echo "warpbert: gpu-check is not in this package, which was made without CUDA" >&2; exit 1; }
        main=org.warpbert.check.GpuCheck
        classes=$classes:$check/*
    fi
    local terminal=()
    if [ -t 2 ]; then
        terminal=(-Dwarpbert.terminal=true)
        size=$(stty size <&2 2>/dev/null) && [ "${size##* }" -gt 20 ] && terminal+=("-Dwarpbert.columns=${size##* }")
    fi
    # Java reads arguments and file names as the locale says. Where there is none, as in containers, that would be ASCII: every other letter lost.
    case $(locale charmap 2>/dev/null) in ANSI_X3.4-1968 | "") export LC_ALL=C.UTF-8 ;; esac
    [ -e /proc/self/fd/0 ] || exec </dev/null # with a closed standard input, Java takes its number for a file of its own, and crashes when that is read
    # shellcheck disable=SC2086 # WARPBERT_JAVA_OPTS holds several options
    exec "$java" "@$options_file" ${terminal[@]+"${terminal[@]}"} ${WARPBERT_JAVA_OPTS:-} -cp "$classes" "$main" "$@"
}
