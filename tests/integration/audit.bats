#!/usr/bin/env bats
# Every acknowledged instance is counted, and every completed study has a receipt.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

ct() { echo "$AURABRIDGE_DICOM/CT_small.dcm"; }

# In the ledger's file, behind the bridge's back.
ledger_sql() {
    python3 -c 'import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1], timeout=30)
for row in ledger.execute(sys.argv[2]):
    print(*row)
ledger.commit()' "$WORLD/spool/ledger.sqlite" "$1"
}

audit_query() {
    bridge audit --json | jq -r "$1"
}

@test "audit counts the same with a daemon, without one, and after a kill" {
    sandbox_start
    bridge_start
    raw_send "$(ct)" "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 studies_are completed 2
    raw_send "$(ct)"
    run bridge audit
    [ "$status" -eq 0 ]
    [[ "$output" == *"Everything adds up."* ]]
    grep -Eq '^acknowledged +3$' <<<"$output"
    grep -Eq '^  completed +2$' <<<"$output"
    grep -Eq '^  swallowed resends +1$' <<<"$output"
    grep -Eq '^found +3$' <<<"$output"
    [ "$(audit_query '[.adds_up, .acknowledged, .found, .receipts.count] | @csv')" = true,3,3,2 ]
    bridge_kill
    [ "$(audit_query '[.adds_up, .acknowledged, .found, .receipts.count] | @csv')" = true,3,3,2 ]
    bridge_start
    tac "$WORLD/bridge.log" | sed '/^=== start/q' |
        grep -B1 'audit: 3 instances acknowledged, found: 2 completed + 1 swallowed_resends' |
        grep 'audit: 2 receipts, the last is number 2 with SHA-256'
    [ "$(studies_query '[.studies[].acknowledged] | add')" = 3 ]
}

@test "a receipt holds what was sent, and anyone can check it with jq and sha256sum" {
    sandbox_start --fault 'PATCH:500:3'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 studies_are completed 1
    raw_send "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 studies_are completed 2
    local id
    for id in S1 S2; do
        bridge receipt "$id" --json >"$WORLD/$id.json"
        [ "$(jq -c .receipt "$WORLD/$id.json" | tr -d '\n' | sha256sum | cut -d' ' -f1)" = \
            "$(jq -r .sha256 "$WORLD/$id.json")" ]
        [ "$(jq -c '.instances[]' "$WORLD/$id.json" | sha256sum | cut -d' ' -f1)" = \
            "$(jq -r .receipt.instances_sha256 "$WORLD/$id.json")" ]
    done
    [ "$(jq -r .receipt.previous "$WORLD/S2.json")" = "$(jq -r .sha256 "$WORLD/S1.json")" ]
    # The digests are those of what the sender has.
    [ "$(jq -r '.instances[] | "\(.sop_instance_uid) \(.data_set_sha256)"' "$WORLD"/S?.json | sort)" = \
        "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$(ct)" "$AURABRIDGE_DICOM/MR_small.dcm" | sort)" ]
    [ "$(jq -r .receipt.upload_id "$WORLD/S1.json")" = "$(studies_query '.studies[0].upload_id')" ]
    [ "$(jq -r '.receipt.aurabox_study_ids[0]' "$WORLD/S1.json")" = \
        "$(studies_query '.studies[0].aurabox_study_id')" ]
    [ "$(jq -r '.instances[0].calling_ae_title' "$WORLD/S1.json")" = MODALITY ]
    # What Tus tries again by itself is one attempt; what waits for the backoff is another.
    [ "$(jq -s -c '[.[].receipt.attempts]' "$WORLD"/S?.json)" = '[2,1]' ]
    # No patient in it, and none in the log.
    ! grep -qi 'CompressedSamples\|1CT1' "$WORLD"/S?.json "$WORLD/bridge.log"
    run bridge receipt S1
    [ "$status" -eq 0 ]
    [[ "$output" == *"SHA-256 "*"$(jq -r .sha256 "$WORLD/S1.json")"* ]]
    # It stays when the files are gone, and when the study is forgotten.
    bridge forget S1
    bridge_stop
    bridge_start --set retention.completed=0s
    wait_until 20 test "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 0
    bridge receipt S1 --json | cmp - "$WORLD/S1.json"
    bridge_stop
    bridge receipt S1 --json | cmp - "$WORLD/S1.json"
}

@test "there is no receipt of what Aurabox has not confirmed, and the command says why" {
    sandbox_start --fault 'PATCH:500:1000000'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 studies_are uploading 1
    run bridge receipt S1
    [ "$status" -eq 1 ]
    [[ "$output" == *"S1 is uploading: a receipt is made when Aurabox has confirmed"* ]]
    run bridge receipt S9 --json
    [ "$status" -eq 1 ]
    [[ "$output" == *"no study S9 is known"* ]]
    [ "$(audit_query .places.uploading)" = 1 ]
}

@test "audit names the receipt, the counter and the file that do not add up" {
    WORLD_AUDIT=no # what this test breaks stays broken
    sandbox_start
    bridge_start
    raw_send "$(ct)" "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 studies_are completed 2
    ledger_sql "UPDATE receipt SET head=replace(head,'main','mine') WHERE study_id=2"
    run bridge audit
    [ "$status" -eq 1 ]
    [[ "$output" == *"1 thing does not add up"* ]]
    [[ "$output" == *"S2: receipt "?" has been altered"* ]]
    run bridge receipt S2
    [ "$status" -eq 1 ]
    [[ "$output" == *"of S2 has been altered since it was made"* ]]
    bridge receipt S1
    ledger_sql "DELETE FROM receipt WHERE study_id=2"
    [[ "$(audit_query '.findings[].text' || true)" == *"is missing"* ]]
    ledger_sql "UPDATE study SET instances=7 WHERE id=1"
    [[ "$(audit_query '.findings[] | select(.study == "S1").text')" == *"counter says 7 stored"* ]]
    # Without a daemon, and at its start.
    bridge_stop
    run bridge audit
    [ "$status" -eq 1 ]
    [[ "$output" == *"things do not add up"* ]]
    bridge_start
    grep 'error *audit: study S1: its counter says 7 stored instances' "$WORLD/bridge.log"
    grep 'error *audit: .* things do not add up' "$WORLD/bridge.log"
}

@test "audit names a file that is missing and one that nobody knows" {
    WORLD_AUDIT=no
    bridge_start --set study.quiet_period=60s
    raw_send "$(ct)"
    [ "$(audit_query '.findings | length')" = 0 ] # whoever looks sees files and rows
    local file
    file=$(find "$WORLD/spool/studies" -name '*.dcm')
    mv "$file" "$WORLD/elsewhere"
    [[ "$(audit_query '.findings[].text')" == "an instance's file is missing or short: "* ]]
    cp "$WORLD/elsewhere" "${file%.*.dcm}.0123456789abcdef.dcm"
    mv "$WORLD/elsewhere" "$file"
    [ "$(audit_query '.findings | length')" = 1 ]
    [[ "$(audit_query '.findings[].text')" == "no row names the file "*.0123456789abcdef.dcm ]]
    # Recovery knows it as a resend and removes it.
    bridge_kill
    bridge audit
    [ "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 1 ]
}

@test "audits add up at every moment while four senders send, resend, replace, and a person discards" {
    sandbox_start
    bridge_start --set retention.completed=0s --set study.on_changed_duplicate=replace
    python3 "$AURABRIDGE_SUPPORT/busy_senders.py" "$BRIDGE_PORT" "$WORLD/stop" \
        >"$WORLD/acknowledged" 3>&- &
    EXTRA_PIDS=$!
    wait_until 20 grep -q '→ completed' "$WORLD/bridge.log"
    local i before now=0
    for i in $(seq 6); do
        before=$now
        run bridge audit --json
        [ "$status" -eq 0 ]
        now=$(jq .acknowledged <<<"$output")
        [ "$now" -ge "$before" ]
        bridge discard "$(studies_query '[.studies[] | select(.state == "receiving" or .state == "ready")][0].id')" || true
    done
    [ "$now" -gt 20 ]
    [ "$(audit_query .places.superseded)" -gt 0 ]
    [ "$(audit_query .places.resends)" -gt 0 ]
    touch "$WORLD/stop"
    wait "$EXTRA_PIDS"
    EXTRA_PIDS=
    # What the senders heard is what the ledger says.
    [ "$(audit_query '.acknowledged + .trimmed')" = "$(cat "$WORLD/acknowledged")" ]
}
