#!/usr/bin/env bats
# What was acknowledged and is not in a study folder yet: it is counted, told, and comes to its place
# by itself, also after a kill.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

ct() { echo "$AURABRIDGE_DICOM/CT_small.dcm"; }

journal_query() { bridge status --json 2>/dev/null | jq -r "$1"; }

@test "what cannot be put in its place stays in the journal, is told everywhere, and is there after a kill" {
    bridge_start --set study.quiet_period=60s
    mv "$WORLD/spool/studies" "$WORLD/spool/aside"
    : >"$WORLD/spool/studies" # a file where the folder was
    raw_send "$(ct)"
    wait_until 10 grep -q 'stays in the journal for now' "$WORLD/bridge.log"
    [ "$(journal_query .journal.instances)" = 1 ]
    [ "$(journal_query .journal.bytes)" -gt 0 ]
    [[ "$(journal_query .unsettled)" == *"studies"* ]]
    bridge status --metrics 2>/dev/null | grep -qx 'aurabridge_journal_instances 1'
    run bridge studies
    [ "$status" -eq 0 ]
    [[ "$output" == *"not shown are acknowledged instances in the journal: "*"studies"* ]]
    [ "$(bridge studies --json 2>/dev/null | jq '.studies | length')" = 0 ]
    bridge_kill

    # Nobody has the spool: what waits for the next start is counted.
    rm "$WORLD/spool/studies"
    mv "$WORLD/spool/aside" "$WORLD/spool/studies"
    run bridge studies
    [ "$status" -eq 0 ]
    [[ "$output" == *"not shown are acknowledged instances in the journal: 1 that the next start of the bridge records"* ]]
    bridge_start
    [ "$(studies_query '.studies[0].instances')" = 1 ]
    [ "$(bridge studies --json | jq -r .unsettled)" = null ]
    [ "$(journal_query '.journal | "\(.instances) \(.bytes)"')" = "0 0" ]
    [ "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 1 ]
    bridge audit
}

@test "a disk that comes back is noticed: what waited in the journal is put in its place" {
    bridge_start --set study.quiet_period=60s
    mv "$WORLD/spool/studies" "$WORLD/spool/aside"
    : >"$WORLD/spool/studies"
    raw_send "$(ct)"
    wait_until 10 grep -q 'stays in the journal for now' "$WORLD/bridge.log"
    rm "$WORLD/spool/studies"
    mv "$WORLD/spool/aside" "$WORLD/spool/studies"
    wait_until 20 grep -q 'leaves the journal again' "$WORLD/bridge.log"
    [ "$(studies_query '.studies[0].instances')" = 1 ]
    [ "$(grep -c 'stays in the journal for now' "$WORLD/bridge.log")" = 1 ]
}
