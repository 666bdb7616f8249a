#!/usr/bin/env bash
# Builds and runs every test through ctest: unit and integration tests under ASan and UBSan, the
# memory figures in a Release build. With --ci also all of them under TSan, and the fuzzers
# for a bounded time. Asks nothing.
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
# Debian's own, which was just installed: a version manager's starts a shell for each call, and the
# tests call it often.
mkdir -p build/bin
ln -sf /usr/bin/python3 build/bin/python3
export PATH="$PWD/build/bin:$PATH"
tests/support/npm_install.sh
tests/support/npm_install.sh tests/bench

# build NAME CMAKE-OPTIONS…
build() {
    local name=$1
    shift
    echo "== build/$name"
    cmake -S . -B "build/$name" -G Ninja "$@" >/dev/null
    cmake --build "build/$name" -- --quiet
}

# run NAME CTEST-OPTIONS…
run() {
    local name=$1
    shift
    echo "== ctest in build/$name $*"
    # Twice as many as there are processors: the long ones wait more than they work.
    (cd "build/$name" && ctest --output-on-failure -j "$(($(nproc) * 2))" "$@")
}

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions='$PWD/tests/support/tsan.supp'"

build release -DCMAKE_BUILD_TYPE=Release
build asan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=address,undefined
if [ -n "$ci" ]; then
    build tsan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=thread
    build fuzz -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_TESTS=OFF -DAURABRIDGE_FUZZ=ON \
        -DAURABRIDGE_SANITIZE=fuzzer-no-link,address,undefined \
        -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
    rm -rf build/fuzz/tests/fuzz/figures
    run fuzz -L fuzz
    cat build/fuzz/tests/fuzz/figures/*
    # Without those that only repeat, with other files or words, what the rest does with the threads.
    run tsan -LE "release|lint" \
        -E "integration_(bridge|files|node|readers|newcomer|regressions|pressure|tus|delivery_tus)$"
fi
# The memory figures are not disturbed by other tests, nor the others by them.
run release -L release "$@"
run asan -LE "release|threads" "$@"
