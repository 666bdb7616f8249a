#!/usr/bin/env bats
# What went wrong once.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

ct() { echo "$AURABRIDGE_DICOM/CT_small.dcm"; }

# The ledger can change nothing, as on a full disk: another process holds its write lock.
ledger_refuse() {
    python3 -c 'import os, sqlite3, sys, time
ledger = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
ledger.execute("BEGIN IMMEDIATE")
open(sys.argv[2], "w").close()
while os.path.exists(sys.argv[2]):
    time.sleep(0.05)' "$WORLD/spool/ledger.sqlite" "$WORLD/refuse" 3>&- &
    EXTRA_PIDS=$!
    wait_until 20 test -e "$WORLD/refuse"
}

ledger_allow() {
    rm "$WORLD/refuse"
    wait "$EXTRA_PIDS"
    EXTRA_PIDS=
}

@test "a study whose outcome the ledger did not take is taken up again without a restart" {
    sandbox_start --fault 'PATCH:slow:2000:1'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 grep -q 'tus: .*created' "$WORLD/bridge.log"
    ledger_refuse
    wait_until 45 grep -q 'its outcome is not recorded' "$WORLD/bridge.log"
    ledger_allow
    wait_until 30 studies_are completed 1
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 1 ]
}

@test "a ledger that cannot be written is told about a few times, not without a pause" {
    sandbox_start
    bridge_start --set study.quiet_period=2s
    raw_send "$(ct)"
    ledger_refuse
    wait_until 20 grep -q 'locked' "$WORLD/bridge.log"
    sleep 2 # what is to be seen is that nothing more happens
    ledger_allow
    [ "$(grep -c ' error ' "$WORLD/bridge.log")" -lt 20 ]
    wait_until 30 studies_are completed 1
}
