#!/usr/bin/env bats
# Law 4: memory grows with neither instance size nor study size. Release build, whole bridge.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

peak_kib() { awk '/^VmHWM/ {print $2}' "/proc/$BRIDGE_PID/status"; }

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
