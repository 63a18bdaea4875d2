# The distribution's packages that Drover needs, all named here. Sourced after common.sh.

BUILD_PACKAGES="ca-certificates ccache cmake curl g++ git libcli11-dev libcurl4-openssl-dev libedit-dev
    libre2-dev libspdlog-dev libsqlite3-dev libssl-dev libyaml-cpp-dev mold ninja-build python3 python3-venv"
TEST_PACKAGES="clang-format-14 libgmock-dev libgtest-dev"
BENCH_PACKAGES="nginx wrk"
# What the engine and the models need when they are installed on their own.
ENGINE_PACKAGES="ca-certificates cmake curl g++ git ninja-build python3 python3-venv"
MODEL_PACKAGES="ca-certificates python3 python3-venv"

# The packages of the oldest Boost that is new enough (1.81): Debian 12 and Ubuntu put the version into
# their names where it is not the distribution's default.
boost_packages() {
    local version
    for version in 1.81 1.83 1.88 1.90; do
        if apt-cache show "libboost-json$version-dev" >/dev/null 2>&1; then
            echo "libboost$version-dev libboost-json$version-dev libboost-url$version-dev"
            return
        fi
    done
    version=$(apt-cache show libboost-json-dev 2>/dev/null | sed -n 's/^Version: \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] && dpkg --compare-versions "$version" ge 1.81 ||
        die "this distribution has no Boost 1.81 or newer" "use Debian 12, Ubuntu 24.04, or newer"
    echo "libboost-dev libboost-json-dev libboost-url-dev"
}

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
        die "packages must be installed, which needs root, and there is no sudo" "run this as root, or let root run: $*"
    fi
}

need_debian() {
    have apt-get && have dpkg-query ||
        die "this is neither Debian nor Ubuntu, for which the set-up is made" \
            "install the equivalents of these packages, then use cmake --preset release: $BUILD_PACKAGES, Boost >= 1.81"
}

# apt_steps: turns apt-get's output into [done/all] counts: each package is unpacked and set up.
apt_steps() {
    local line all=0 done=0
    while IFS= read -r line; do
        case "$line" in
            *" newly installed"*)
                [[ "$line" =~ ([0-9]+)\ upgraded,\ ([0-9]+)\ newly ]] && all=$((2 * (BASH_REMATCH[1] + BASH_REMATCH[2])))
                ;;
            Unpacking* | "Setting up"*)
                done=$((done + 1))
                echo "[$done/$all]"
                ;;
        esac
    done
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

# update_package_lists: fresh lists, but only when something is missing.
update_package_lists() {
    need_debian
    [ -n "$(missing_packages "$@")" ] || return 0
    [ "${DROVER_LISTS_FRESH:-}" != yes ] || return 0
    say "   updating the package lists"
    quietly "$DROVER_CACHE/logs/apt-update.log" as_root apt-get -o DPkg::Lock::Timeout=300 update ||
        die "apt-get update failed" "check the network and the lines above (log: $DROVER_CACHE/logs/apt-update.log)"
    export DROVER_LISTS_FRESH=yes
}

# install_packages NAME...: those that are not there yet.
install_packages() {
    local missing
    need_debian
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    update_package_lists "$@"
    need_space "$DROVER_CACHE/logs" 100 "a log"
    need_space /usr 1500 "installing packages"
    say "   installing" $missing
    if ! apt_install $missing 2>&1 | tee "$DROVER_CACHE/logs/apt.log" | apt_steps | show_progress "packages"; then
        tail -n 15 "$DROVER_CACHE/logs/apt.log" >&2
        die "apt-get could not install: $(echo $missing)" \
            "look at the lines above; without a network, connect and run this again (log: $DROVER_CACHE/logs/apt.log)"
    fi
}

# check_compiler: the one that CMake will take.
check_compiler() {
    local compiler="${CXX:-c++}" version
    version=$($compiler -dumpversion 2>/dev/null | cut -d. -f1) || version=""
    case "$($compiler --version 2>/dev/null | head -n 1)" in
        *clang*) die "the compiler is $compiler, a clang; Drover is built with g++" "unset CXX, or set CXX=g++" ;;
    esac
    [ "${version:-0}" -ge 12 ] ||
        die "the compiler $compiler is too old or missing: g++ 12 is needed${version:+, this is $version}" \
            "install g++ 12 or newer and let CXX name it, for instance CXX=g++-12"
}
