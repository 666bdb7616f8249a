#!/usr/bin/env bash
# Runs all that shows that nothing is lost, in full: every fault point, kills and power loss, a
# backlog, the network's and the senders' bad weeks, 30 minutes of blackhole, the fuzzers. As many
# stages at a time as there are processors, and as many fuzzers; about two hours with two. Prints the
# figures of each stage and ends with 1 when one failed; the whole output stays in build/soak.
#
#   scripts/soak.sh [STAGE…]      e.g. scripts/soak.sh kills walk_write
#
# How long it goes on: SOAK_EVERY (walk each n-th fault point), SOAK_KILLS, SOAK_STATES (of disks
# after power loss), SOAK_STUDIES, SOAK_FUZZ_SECONDS, SOAK_BLACKHOLE_SECONDS.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

# shellcheck disable=SC2086  # lists of words
packages_install $PACKAGES_BUILD $PACKAGES_DEMO $PACKAGES_TEST $PACKAGES_CI

# build NAME CMAKE-OPTIONS…
build() {
    local name=$1
    shift
    cmake -S . -B "build/$name" -G Ninja "$@" >/dev/null
    cmake --build "build/$name" -- --quiet
}

build release -DCMAKE_BUILD_TYPE=Release
build asan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=address,undefined
build tsan -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_SANITIZE=thread
build fuzz -DCMAKE_BUILD_TYPE=Debug -DAURABRIDGE_TESTS=OFF -DAURABRIDGE_FUZZ=ON \
    -DAURABRIDGE_SANITIZE=fuzzer-no-link,address,undefined \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++

export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions='$PWD/tests/support/tsan.supp'"
program=$PWD/build/release/aurabridge
preload=$PWD/build/release/tests/faults/libfault_points.so
logs=build/soak
rm -rf "$logs" build/fuzz/tests/fuzz/figures
mkdir -p "$logs"
wanted=" $* "
jobs_at_once=$(nproc)

# stage NAME COMMAND…: runs it beside the others, once a processor is free.
stage() {
    local name=$1
    shift
    [[ $wanted == "  " || $wanted == *" $name "* ]] || return 0
    while [ "$(jobs -rp | wc -l)" -ge "$jobs_at_once" ]; do
        wait -n || true # its own .ended says how
    done
    echo "$(date +%T) $name"
    {
        status=0
        "$@" >"$logs/$name.log" 2>&1 || status=$?
        echo "$status" >"$logs/$name.ended"
    } &
}

# On what the other stages leave of the processors.
fuzz() {
    mkdir -p "build/fuzz-corpus/$1"
    nice -n 19 tests/fuzz/run.sh "build/fuzz/tests/fuzz/fuzz_$1" "${SOAK_FUZZ_SECONDS:-600}" \
        "$PWD/build/fuzz-corpus/$1"
}

fuzz_all() {
    for corpus in tests/fuzz/corpus/*; do
        name=$(basename "$corpus")
        stage "fuzz_$name" fuzz "$name"
    done
    wait
}

# These need no place among the others: the first two wait most of the time.
stage blackhole tests/integration/bad_week.py "$program" --all --rows blackhole \
    --watch "${SOAK_BLACKHOLE_SECONDS:-1800}"
stage fuzz_pdus tests/integration/pdu_fuzz.py --program "$PWD/build/asan/aurabridge" \
    --cpu-seconds "${SOAK_FUZZ_SECONDS:-600}"
fuzz_all &
jobs_at_once=$((jobs_at_once + $(jobs -rp | wc -l)))

for kind in open write sync rename unlink mkdir statvfs sqlite connect send receive; do
    stage "walk_$kind" tests/faults/walk.py "$program" "$preload" --kinds "$kind" \
        --actions kill,torn,fail --every "${SOAK_EVERY:-1}"
done
stage walk_alloc tests/faults/walk.py "$program" "$preload" --kinds alloc --actions fail \
    --every "${SOAK_EVERY:-1}"
stage power_loss tests/faults/power_loss.py "$program" "$preload" --states "${SOAK_STATES:-1000}"
stage kills tests/faults/kills.py "$program" --kills "${SOAK_KILLS:-500}"
stage backlog tests/faults/backlog.py "$program" --studies "${SOAK_STUDIES:-1000}"
stage bad_week tests/integration/bad_week.py "$program" --all --watch 10
for sanitizer in release asan tsan; do
    stage "dicom_week_$sanitizer" tests/integration/dicom_week.py "$PWD/build/$sanitizer/aurabridge"
done
wait

failed=0
for ended in "$logs"/*.ended; do
    name=$(basename "$ended" .ended)
    word=ok
    if [ "$(cat "$ended")" != 0 ]; then
        word=FAILED
        failed=$((failed + 1))
    fi
    echo "$word $name: $(tail -n 1 "$logs/$name.log")"
done
[ "$failed" -eq 0 ] || {
    echo "$failed stages failed; see $logs"
    exit 1
}
