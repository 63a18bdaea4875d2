# What all scripts share: saying what is done and how long it took, failing with a remedy, the cache.
# Sourced, not run.

set -euo pipefail

DROVER_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
DROVER_CACHE="${DROVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/drover}"
export DROVER_CACHE

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE REMEDY: ends the script.
die() {
    say "error: $1"
    say "   ->  $2"
    exit 1
}

# step NAME COMMAND...: runs a command and says how long it took.
step() {
    local name="$1" begun=$SECONDS
    shift
    say "== $name"
    "$@"
    say "== $name: done in $((SECONDS - begun)) s"
}

# need_space DIRECTORY MEGABYTES WHAT: fails before a disk fills up half-way.
need_space() {
    mkdir -p "$1" || die "cannot create $1" "check its owner, or set DROVER_CACHE to another directory"
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$2" ] ||
        die "$3 needs $2 MB on the disk of $1, but only $free MB are free" \
            "free some space, or set DROVER_CACHE to a directory on another disk"
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

# with_progress LABEL LOG COMMAND...: as quietly, but shows ninja's or make's own [n/m] as it goes.
with_progress() {
    local label="$1" log="$2" shown="" line
    shift 2
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 &
    local job=$!
    while kill -0 "$job" 2>/dev/null; do
        line=$(grep -oE '^\[ *[0-9]+(%|/[0-9]+)\]' "$log" 2>/dev/null | tail -n 1 || true)
        if [ -n "$line" ] && [ "$line" != "$shown" ]; then
            shown=$line
            [ -t 2 ] && printf '\r   %s %s ' "$label" "$line" >&2
        fi
        sleep 0.5
    done
    [ -t 2 ] && [ -n "$shown" ] && printf '\r\033[K' >&2
    if ! wait "$job"; then
        grep -E 'error|Error|No space' "$log" | head -n 10 >&2 || true
        tail -n 10 "$log" >&2
        return 1
    fi
}

# locked NAME COMMAND...: one at a time on this machine, so that two runs do not build the same thing.
locked() {
    mkdir -p "$DROVER_CACHE/locks"
    local lock="$DROVER_CACHE/locks/$1"
    shift
    (
        flock -n 9 || { say "   waiting for another run that does the same"; flock 9; }
        "$@"
    ) 9>"$lock"
}

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

have() { command -v "$1" >/dev/null 2>&1; }
