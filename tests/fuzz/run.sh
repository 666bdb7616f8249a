#!/usr/bin/env bash
# Runs one fuzzer over its kept corpus and on from there. Ends with 1 on a finding, after saying how
# to look at it; prints one line of figures either way. Used by ctest and by scripts/fuzz.sh.
#
#   tests/fuzz/run.sh BINARY CPU-SECONDS [DIRECTORY]
#
# What it finds new goes to DIRECTORY; without one, nothing is kept but findings and the line of
# figures, beside BINARY.
set -uo pipefail

binary=$1
seconds=$2
name=$(basename "$binary")
name=${name#fuzz_}
here=$(cd "$(dirname "$0")" && pwd)
findings=$(dirname "$binary")/findings
figures=$(dirname "$binary")/figures
mkdir -p "$findings" "$figures"

# In memory: the fuzzers of files write and sync many.
scratch=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/fuzz-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export FUZZ_DIRECTORY=$scratch
corpus=${3:-$scratch/corpus}
mkdir -p "$corpus"

# A small quarantine: what is freed here is not used again much later.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_stack_use_after_return=0
ASAN_OPTIONS+=:quarantine_size_mb=2:thread_local_quarantine_size_kb=64
ASAN_OPTIONS+=:max_malloc_fill_size=0:malloc_context_size=8
options=()
[ -f "$here/dictionaries/$name.dict" ] && options=("-dict=$here/dictionaries/$name.dict")
# SQLite keeps memory from run to run, and looking for leaks after each would take most of the time;
# the replays look for them.
[ "$name" = spool ] && options+=(-detect_leaks=0)

# On a busy machine it takes longer than its time on a processor: that is what counts.
log=$scratch/log
TIMEFORMAT='%U %S'
status=0
runs=0
cpu=0
while [ $status -eq 0 ] && [ "$cpu" -lt "$seconds" ]; do
    { time "$binary" -max_total_time=$((seconds - cpu)) -timeout=20 -rss_limit_mb=768 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="$findings/$name-" "${options[@]}" \
        "$corpus" "$here/corpus/$name" >"$log" 2>&1; } 2>"$scratch/times"
    status=$?
    runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: //p' "$log" | grep . || echo 0)))
    cpu=$((cpu + $(awk '{ printf "%.0f", $1 + $2 }' "$scratch/times")))
done

last=$(grep -E '^#[0-9]+' "$log" | tail -n 1)
figure() { # of libFuzzer's last line: cov, ft
    sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<<"$last"
}
printf 'fuzz_%s: %s executions in %s s of CPU, coverage %s edges, %s features, %s\n' "$name" \
    "$runs" "$cpu" "$(figure cov)" "$(figure ft)" \
    "$([ $status -eq 0 ] && echo 'no finding' || echo 'A FINDING')" | tee "$figures/$name"
[ $status -eq 0 ] && exit 0

grep -vE '^(#[0-9]+|INFO:)' "$log" | head -n 60
finding=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
cat <<TEXT

To see it again:   $binary ${finding:-INPUT}
To make it small:  $binary -minimize_crash=1 -runs=10000 ${finding:-INPUT}
Under gdb or another compiler's sanitizers: replay_$name INPUT, in any build with tests.
When it is mended, the input goes to tests/fuzz/corpus/$name/, with a unit test beside it.
TEXT
exit 1
