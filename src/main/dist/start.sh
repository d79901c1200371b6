# Sourced by ./warpbert and by bin/warpbert of an archive: start JAVA OPTIONS_FILE CLASS_PATH COMMAND...
start() {
    local java=$1 options_file=$2 classes=$3 size
    shift 3
    local terminal=()
    if [ -t 2 ]; then
        terminal=(-Dwarpbert.terminal=true)
        size=$(stty size <&2 2>/dev/null) && [ "${size##* }" -gt 20 ] && terminal+=("-Dwarpbert.columns=${size##* }")
    fi
    # shellcheck disable=SC2086 # WARPBERT_JAVA_OPTS holds several options
    exec "$java" "@$options_file" ${terminal[@]+"${terminal[@]}"} ${WARPBERT_JAVA_OPTS:-} -cp "$classes" org.warpbert.cli.Main "$@"
}
