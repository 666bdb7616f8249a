#!/usr/bin/env bash
# Builds the fuzzers and runs them for hours, as many at a time as there are processors. What they
# find new is kept in build/fuzz-corpus/TARGET and goes on from there the next time; findings end
# the run of their target with 1 and stay in build/fuzz/tests/fuzz/findings.
#
#   scripts/fuzz.sh [--seconds N] [TARGET…]     each target for N seconds (default 3600)
#   scripts/fuzz.sh --keep [TARGET…]            takes the few that reach most into tests/fuzz/corpus
#   scripts/fuzz.sh --minimize TARGET FILE      makes the input of a finding small
#   scripts/fuzz.sh --reproduce TARGET FILE     runs one input
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

usage() {
    sed -n 's/^#   //p' "$0" >&2
    exit 2
}

seconds=3600
mode=run
while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        [ $# -gt 1 ] || usage
        seconds=$2
        shift 2
        ;;
    --keep | --minimize | --reproduce)
        mode=${1#--}
        shift
        ;;
    --*) usage ;;
    *) break ;;
    esac
done

# shellcheck disable=SC2086  # lists of words
packages_install $PACKAGES_BUILD $PACKAGES_CI
cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_TESTS=OFF \
    -DAURABRIDGE_FUZZ=ON -DAURABRIDGE_SANITIZE=fuzzer-no-link,address,undefined \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build build/fuzz -- --quiet

binary() {
    local path=build/fuzz/tests/fuzz/fuzz_$1
    [ -x "$path" ] || {
        echo "there is no target $1; known:" tests/fuzz/corpus/* | sed 's,tests/fuzz/corpus/,,g' >&2
        exit 2
    }
    echo "$PWD/$path"
}

# What a target keeps is small: 40 inputs, 200 KiB.
keep() {
    local name=$1 program=$2 scratch
    scratch=$(mktemp -d)
    mkdir "$scratch/merged"
    FUZZ_DIRECTORY=$scratch "$program" -merge=1 -merge_control_file="$scratch/control" \
        -max_len=4096 "$scratch/merged" "$PWD/tests/fuzz/corpus/$name" \
        "$PWD/build/fuzz-corpus/$name" >"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        exit 1
    }
    tests/fuzz/choose.py "$scratch/control" "tests/fuzz/corpus/$name" 40 204800
    rm -rf "$scratch"
}

case $mode in
minimize)
    [ $# -eq 2 ] || usage
    exec "$(binary "$1")" -minimize_crash=1 -runs=100000 "$2"
    ;;
reproduce)
    [ $# -eq 2 ] || usage
    exec "$(binary "$1")" "$2"
    ;;
esac

if [ $# -eq 0 ]; then
    mapfile -t targets < <(basename -a tests/fuzz/corpus/*)
    set -- "${targets[@]}"
fi
for name in "$@"; do
    binary "$name" >/dev/null
    mkdir -p "build/fuzz-corpus/$name"
done
if [ "$mode" = keep ]; then
    for name in "$@"; do
        keep "$name" "$(binary "$name")"
    done
    exit 0
fi
echo "each of $# targets runs for $seconds s, $(nproc) at a time; new inputs go to build/fuzz-corpus"
# shellcheck disable=SC2016  # expanded by the inner shell
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c \
    'exec tests/fuzz/run.sh "$PWD/build/fuzz/tests/fuzz/fuzz_$1" "$2" "$PWD/build/fuzz-corpus/$1"' \
    sh {} "$seconds"
