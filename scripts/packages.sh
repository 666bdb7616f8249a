#!/bin/sh
# The Debian 12 packages that AuraBridge needs, and one function that installs what is missing.
#
#   . scripts/packages.sh; packages_install $PACKAGES_BUILD     from another script
#   scripts/packages.sh build runtime                           by hand: any of the lists below

PACKAGES_BUILD="cmake ninja-build gcc g++ pkg-config libdcmtk-dev libcurl4-openssl-dev libsqlite3-dev
  libcjson-dev libyaml-dev libmicrohttpd-dev libarchive-dev libssl-dev zlib1g-dev
  libdeflate-dev"
PACKAGES_RUNTIME="ca-certificates libdcmtk17 libcurl4 libsqlite3-0 libcjson1 libyaml-0-2
  libmicrohttpd12 libarchive13 libssl3 zlib1g libdeflate0"
PACKAGES_DEMO="dcmtk python3 ca-certificates"
PACKAGES_TEST="dcmtk python3 jq libcunit1-dev bats clang-format shellcheck unzip zip procps openssl curl"
# A Node.js that is there already, from wherever, will do.
command -v npm >/dev/null || PACKAGES_TEST="$PACKAGES_TEST nodejs npm"
# So will a JDK.
command -v javac >/dev/null || PACKAGES_TEST="$PACKAGES_TEST openjdk-17-jdk-headless"
PACKAGES_BENCH="orthanc dcmtk python3 curl zip libarchive-tools"
PACKAGES_CI="clang libclang-rt-14-dev"

packages_missing() {
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || status=
        case $status in
        ii*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# Installs those of its arguments that are missing; touches neither network nor apt when none is.
packages_install() {
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "these Debian packages are missing, and only root can install them: $missing" >&2
        return 1
    fi
    echo "installing: $missing"
    # shellcheck disable=SC2086  # a list of words
    packages_get $missing || {
        apt-get update -qq && packages_get $missing
    }
}

# The package lists may be absent or stale: the caller then updates them and tries again.
packages_get() {
    log=$(mktemp)
    status=0
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        >/dev/null 2>"$log" || status=$?
    if [ $status -ne 0 ] && [ -n "$(find /var/lib/apt/lists -name '*_Packages*' | head -n 1)" ]; then
        cat "$log" >&2
    fi
    rm -f "$log"
    return $status
}

case $(basename -- "$0") in
packages.sh)
    set -eu
    [ $# -gt 0 ] || set -- build test
    for list in "$@"; do
        case $list in
        build) names=$PACKAGES_BUILD ;;
        runtime) names=$PACKAGES_RUNTIME ;;
        demo) names=$PACKAGES_DEMO ;;
        ci) names=$PACKAGES_CI ;;
        bench) names=$PACKAGES_BENCH ;;
        test) names=$PACKAGES_TEST ;;
        *)
            echo "usage: $0 [build|runtime|demo|test|ci|bench]…" >&2
            exit 2
            ;;
        esac
        # shellcheck disable=SC2086
        packages_install $names
    done
    ;;
esac
