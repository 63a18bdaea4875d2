# The distribution's packages that Drover needs. Sourced after common.sh.

# The first Boost that is new enough (1.81) under one of its names.
boost_packages() {
    local version
    for version in 1.81 1.83 1.84 1.85 1.86 1.87 1.88 1.90; do
        if apt-cache show "libboost-json$version-dev" >/dev/null 2>&1; then
            echo "libboost$version-dev libboost-json$version-dev libboost-url$version-dev"
            return
        fi
    done
    die "this distribution has no Boost 1.81 or newer" "use Debian 12, Ubuntu 24.04, or newer"
}

BUILD_PACKAGES="ca-certificates ccache cmake curl g++ git libcli11-dev libcurl4-openssl-dev libedit-dev
    libspdlog-dev libssl-dev libyaml-cpp-dev mold ninja-build patchelf python3 python3-venv"
TEST_PACKAGES="clang-format-14 libgmock-dev libgtest-dev"

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "packages must be installed, which needs root" "run this as root, install sudo, or install by hand: $*"
    fi
}

# install_packages NAME...: those that are not there yet.
install_packages() {
    have apt-get || die "this is neither Debian nor Ubuntu" "install the equivalents of: $*"
    local missing
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "   installing" $missing
    export DEBIAN_FRONTEND=noninteractive
    if ! quietly "$DROVER_CACHE/logs/apt.log" as_root apt-get install -y --no-install-recommends $missing; then
        die "apt-get could not install: $(echo $missing)" \
            "look at the lines above; without a network, connect and run this again (log: $DROVER_CACHE/logs/apt.log)"
    fi
}

# update_package_lists: once, before the first look at what there is.
update_package_lists() {
    have apt-get || die "this is neither Debian nor Ubuntu" "see README.md for what to install by hand"
    [ -n "$(missing_packages $BUILD_PACKAGES)" ] || return 0
    quietly "$DROVER_CACHE/logs/apt-update.log" as_root apt-get update ||
        die "apt-get update failed" "check the network (log: $DROVER_CACHE/logs/apt-update.log)"
}

check_compiler() {
    local version
    version=$(g++ -dumpversion | cut -d. -f1)
    [ "$version" -ge 12 ] || die "g++ $version is too old" "install g++ 12 or newer and put it first on PATH"
}
