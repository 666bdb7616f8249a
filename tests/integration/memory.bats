#!/usr/bin/env bats
# Law 4: memory grows with neither instance size nor study size, nor with time. Release build, whole
# bridge.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

peak_kib() { awk '/^VmHWM/ {print $2}' "/proc/$BRIDGE_PID/status"; }

heap_kib() { awk '/^RssAnon/ {print $2}' "/proc/$BRIDGE_PID/status"; }
# Segments of the journal come with bursts, up to its size, and stay.
descriptors() { readlink "/proc/$BRIDGE_PID/fd"/* | grep -vc '\.segment$'; }
threads() { find "/proc/$BRIDGE_PID/task" -mindepth 1 -maxdepth 1 | wc -l; }
is_settled() { [ "$(bridge status --json | jq .journal.instances)" = 0 ]; }
has_threads() { [ "$(threads)" = "$1" ]; }

# churn COUNT: so many associations, four at a time, each with an instance of its own.
churn() {
    "$(dirname "$AURABRIDGE")/tests/bench/bench_sender" --port "$BRIDGE_PORT" --called AURABRIDGE \
        --churn --associations 4 --size 4KiB --instances "$1" --seed "$((SEED += 1))" >/dev/null
    wait_until 20 has_threads "$IDLE_THREADS"
    wait_until 20 is_settled
}

@test "12,000 associations leave no thread, no descriptor and less than 8 MiB behind" {
    sandbox_start
    bridge_start --set study.quiet_period=1h --set study.max_wait=2h --set upload.compression=store
    IDLE_THREADS=$(threads) SEED=0
    churn 3000 # from here on nothing is new to it
    local memory files
    memory=$(heap_kib) files=$(descriptors)
    churn 12000
    echo "# 12,000 associations: $(($(heap_kib) - memory)) KiB more" >&3
    echo "descriptors: $files, then $(descriptors)"
    [ "$(descriptors)" -le "$files" ]
    [ $(($(heap_kib) - memory)) -lt 8192 ] # caches breathe; 700 bytes for each would be more
}

@test "a study of 5,000 instances: peak resident memory below 64 MiB" {
    sandbox_start
    bridge_start --set study.quiet_period=2s --set study.max_wait=30m
    python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/in" 5000 4096
    send +sd "$WORLD/in"
    wait_until 120 studies_are completed 1
    [ "$(studies_query '.studies[0].instances')" = 5000 ]
    echo "# 5,000 instances: peak $(peak_kib) KiB" >&3
    [ "$(peak_kib)" -lt 65536 ]
}

@test "an instance of 2 GiB: peak resident memory below 64 MiB" {
    sandbox_start
    bridge_start --set study.quiet_period=1s --set upload.compression=store
    python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/in" 1 2147483648
    storescu -aet MODALITY -aec AURABRIDGE -pdu 131072 127.0.0.1 "$BRIDGE_PORT" \
        "$WORLD/in/000001.dcm"
    wait_until 240 studies_are completed 1
    echo "# 2 GiB instance: peak $(peak_kib) KiB" >&3
    [ "$(peak_kib)" -lt 65536 ]
}
