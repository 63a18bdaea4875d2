# What all scripts share: saying what is done and how long it took, failing with a remedy, the cache.
# Sourced, not run.

set -euo pipefail

DROVER_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
if [ -z "${DROVER_CACHE:-}" ] && [ -z "${XDG_CACHE_HOME:-}" ] && [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
    export HOME
fi
DROVER_CACHE="${DROVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/drover}"
export DROVER_CACHE

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE REMEDY: ends the script.
die() {
    say "error: $1"
    say "   ->  $2"
    exit 1
}

# usage: prints the comment at the top of the script that runs.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# step NAME COMMAND...: runs a command and says how long it took.
step() {
    local name="$1" begun=$SECONDS
    shift
    say "== $name"
    "$@"
    say "== $name: done in $((SECONDS - begun)) s"
}

# begin NAME COMMAND...: starts a step that goes on beside others. What it says goes to a file, so that
# two progress displays do not mix; `finish NAME` shows it, waits, and has its exit status. The script
# must call break_off when it exits.
declare -A BESIDE=() BESIDE_LOGS=()
begin() {
    local name="$1"
    shift
    BESIDE_LOGS[$name]=$(mktemp)
    set -m  # its own process group, so that it can be ended as a whole
    (trap - EXIT; "$@") >"${BESIDE_LOGS[$name]}" 2>&1 </dev/null &
    BESIDE[$name]=$!
    set +m
}

finish() {
    local job="${BESIDE[$1]}" log="${BESIDE_LOGS[$1]}" lines status=0
    lines=$(wc -l <"$log")
    head -n "$lines" "$log" | latest_progress >&2
    tail -n "+$((lines + 1))" -f --pid="$job" "$log" >&2 || true
    wait "$job" || status=$?
    unset "BESIDE[$1]"
    rm -f "$log"
    return "$status"
}

# finish_or_run NAME COMMAND...: as finish when it was begun, else it runs now.
finish_or_run() {
    if [ -n "${BESIDE[$1]:-}" ]; then
        finish "$1"
    else
        "${@:2}"
    fi
}

break_off() {
    local name
    for name in "${!BESIDE[@]}"; do
        kill -TERM -- "-${BESIDE[$name]}" 2>/dev/null || true
    done
    rm -f "${BESIDE_LOGS[@]}"
}

# Of several lines of progress in a row only the last.
latest_progress() {
    awk '/^   .* \[[0-9]+\/[0-9]+\], [0-9]+ s$/ {last = $0; next} last {print last; last = ""} {print} END {if (last) print last}'
}

available_megabytes() { awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo; }

# need_space DIRECTORY MEGABYTES WHAT: fails before a disk fills up half-way.
need_space() {
    mkdir -p "$1" || die "cannot create $1" "check its owner, or set DROVER_CACHE to another directory"
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$2" ] ||
        die "$3 needs $2 MB on the disk of $1, but only $free MB are free" \
            "free some space; for what goes into the cache, DROVER_CACHE can name a directory on another disk"
}

# quietly LOG COMMAND...: output goes to LOG; its end is shown when the command fails.
quietly() {
    local log="$1"
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        return 1
    fi
}

# draw_progress LABEL DONE ALL SECONDS: one line that overwrites itself; ALL may have a unit.
draw_progress() {
    local width=24 filled all="${3%% *}"
    filled=$((all > 0 && $2 <= all ? $2 * width / all : 0))
    printf '\r\033[K   %s [%-*s] %s/%s, %s s' "$1" "$width" "$(printf '%*s' "$filled" '' | tr ' ' '#')" "$2" "$3" "$4" >&2
}

# show_progress LABEL: reads a tool's output and shows its [done/all] counts, as a bar on a terminal
# and as a line every ten seconds elsewhere.
show_progress() {
    local label="$1" line begun=$SECONDS told=$SECONDS drawn=false
    while IFS= read -r line; do
        [[ "$line" =~ ^\[\ *([0-9]+)/([0-9]+)\] ]] || continue
        if [ -t 2 ]; then
            drawn=true
            draw_progress "$label" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" $((SECONDS - begun))
        elif [ $((SECONDS - told)) -ge 10 ]; then
            told=$SECONDS
            say "   $label [${BASH_REMATCH[1]}/${BASH_REMATCH[2]}], $((SECONDS - begun)) s"
        fi
    done
    if $drawn; then
        printf '\r\033[K' >&2
    fi
}

# with_progress LABEL LOG COMMAND...: as quietly, but shows the command's own [done/all] as it goes.
with_progress() {
    local label="$1" log="$2"
    shift 2
    mkdir -p "$(dirname "$log")"
    if ! "$@" 2>&1 </dev/null | tee "$log" | show_progress "$label"; then
        grep -E -m 10 'error:|Error|No space|FAILED' "$log" >&2 || true
        tail -n 10 "$log" >&2
        return 1
    fi
}

# with_download LABEL MEGABYTES DIRECTORY COMMAND...: shows how much has arrived in DIRECTORY while
# COMMAND, which has no progress display that fits here, downloads into it.
with_download() {
    local label="$1" all="$2" directory="$3" watcher status=0
    shift 3
    watch_download "$label" "$all" "$directory" &
    watcher=$!
    "$@" || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    if [ -t 2 ]; then
        printf '\r\033[K' >&2
    fi
    return "$status"
}

watch_download() {
    local begun=$SECONDS told=$SECONDS arrived
    while sleep 0.5 && kill -0 $$ 2>/dev/null; do
        arrived=$(du -sm "$3" 2>/dev/null | cut -f1)
        [ "${arrived:-0}" -le "$2" ] || arrived=$2
        if [ -t 2 ]; then
            draw_progress "$1" "${arrived:-0}" "$2 MB" $((SECONDS - begun))
        elif [ $((SECONDS - told)) -ge 10 ]; then
            told=$SECONDS
            say "   $1: $arrived of $2 MB, $((SECONDS - begun)) s"
        fi
    done
}

# locked NAME COMMAND...: one at a time on this machine, so that two runs do not build the same thing.
locked() {
    local lock="$DROVER_CACHE/locks/$1" descriptor status=0
    shift
    mkdir -p "$DROVER_CACHE/locks" || die "cannot create $DROVER_CACHE" "check its owner, or set DROVER_CACHE to another directory"
    exec {descriptor}>"$lock"
    flock -n "$descriptor" || { say "   waiting for another run that does the same"; flock "$descriptor"; }
    "$@" || status=$?
    exec {descriptor}>&-
    return "$status"
}

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

have() { command -v "$1" >/dev/null 2>&1; }
