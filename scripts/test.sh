#!/usr/bin/env bash
# Builds and runs every test through ctest: unit and integration tests under ASan and UBSan, the
# memory figures in a Release build. With --ci also TSan, the fuzzers for a bounded time, and
# nothing that asks.
#
#   scripts/test.sh [--ci] [ctest options, e.g. -R ledger]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

ci=
if [ "${1:-}" = --ci ]; then
    ci=yes
    shift
fi

# shellcheck disable=SC2086  # lists of words
packages_install $PACKAGES_BUILD $PACKAGES_DEMO $PACKAGES_TEST ${ci:+$PACKAGES_CI}
tests/support/npm_install.sh

# build NAME CMAKE-OPTIONS…
build() {
    local name=$1
    shift
    cmake -S . -B "build/$name" -G Ninja "$@" >/dev/null
    cmake --build "build/$name"
}

run() {
    local name=$1
    shift
    echo "== ctest in build/$name $*"
    (cd "build/$name" && ctest --output-on-failure --no-tests=error -j "$(nproc)" "$@")
}

build asan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=address,undefined
build release -DCMAKE_BUILD_TYPE=Release
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
if [ -n "$ci" ]; then
    build tsan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=thread
    CC=clang CXX=clang++ build fuzz -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_FUZZ=ON \
        -DAURABRIDGE_SANITIZE=address,undefined
    run tsan -L threads "$@"
    run fuzz -L fuzz "$@"
fi
run release -L release "$@"
run asan -LE release "$@"
