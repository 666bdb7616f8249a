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
    sandbox_start --fault 'PATCH:slow:6000:1'
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

@test "an association that turned to another study holds the first no more" {
    sandbox_start
    bridge_start --set study.association_hold=60s
    PYTHONPATH="$AURABRIDGE_SUPPORT" python3 - "$BRIDGE_PORT" "$(ct)" \
        "$AURABRIDGE_DICOM/MR_small.dcm" "$WORLD" <<'PYTHON' 3>&- &
import os, sys, time
import pdu_sender
first, second = (pdu_sender.read_part10(path) for path in sys.argv[2:4])
sender = pdu_sender.Sender("127.0.0.1", int(sys.argv[1]))
sender.associate(pdu_sender.proposed_contexts([first, second], False))
sender.store(first)
while not os.path.exists(sys.argv[4] + "/turn"):
    time.sleep(0.05)
sender.store(second)
time.sleep(60)
PYTHON
    EXTRA_PIDS=$!
    wait_until 20 eval '[[ "$(studies_query ".studies[0].reason")" == held* ]]'
    touch "$WORLD/turn"
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].state')" = completed ]
    [ "$(studies_query '.studies[1].state')" = receiving ]
}

@test "studies of a destination that a reload removed say so, and go when it is back" {
    sandbox_start --fault 'GET /uploader/config:503:1000000'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 grep -q 'destination main is paused' "$WORLD/bridge.log"
    cp "$WORLD/aurabridge.yaml" "$WORLD/before.yaml"
    sed -i 's/^  main:/  other:/' "$WORLD/aurabridge.yaml"
    sed -i 's/destination: main/destination: other/' "$WORLD/ae-titles.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 20 eval '[[ "$(studies_query ".studies[0].reason")" == *"main is not in the configuration"* ]]'
    sandbox_stop
    sandbox_start
    sed -i 's/destination: other/destination: main/' "$WORLD/ae-titles.yaml"
    cp "$WORLD/before.yaml" "$WORLD/aurabridge.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 30 studies_are completed 1
}

@test "a cancel that is refused for its credentials is asked again until Aurabox heard it" {
    sandbox_start --fault 'PATCH:500:1000000' --fault 'POST /uploader/upload/cancel:403:3'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 studies_are uploading 1
    bridge cancel S1
    wait_until 30 studies_are cancelled 1
    [ "$(sandbox_count '"/api/uploader/upload/cancel"')" = 4 ]
}

@test "an error report that is refused for its credentials is made again" {
    sandbox_start --fault 'POST /uploader/upload/init:422:1' \
        --fault 'POST /uploader/upload/error:403:2'
    bridge_start
    raw_send "$(ct)"
    wait_until 30 studies_are failed 1
    [ "$(sandbox_count '"/api/uploader/upload/error"')" = 3 ]
    [[ "$(studies_query '.studies[0].reason')" == *422* ]]
}

@test "replace: a version that comes back is the newest again" {
    sandbox_start
    bridge_start --set study.on_changed_duplicate=replace
    # One association: it holds the study, so that none of them comes after the hand-over.
    local first="$AURABRIDGE_DICOM/MR_small.dcm"
    raw_send "$first" "$AURABRIDGE_DICOM/MR_small_implicit.dcm" "$first" "$first"
    [ "$(studies_query '.studies[0].superseded')" = 2 ]
    [ "$(studies_query '.studies[0].resends')" = 1 ]
    wait_until 30 studies_are completed 1
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" \
        "$AURABRIDGE_DICOM/MR_small.dcm")" ]
}

@test "a study released from quarantine takes the route that the map got meanwhile" {
    sandbox_start
    bridge_start
    cp "$(ct)" "$WORLD/a.dcm"
    cp "$(ct)" "$WORLD/b.dcm"
    chmod u+w "$WORLD"/*.dcm
    dcmodify -nb -gin -m '(0010,0020)=OTHER' "$WORLD/b.dcm"
    raw_send --called CLINIC_A "$WORLD/a.dcm" "$WORLD/b.dcm"
    wait_until 20 studies_are quarantined 1
    printf -- '- {name: clinic, called: CLINIC_A, destination: main}\n' >>"$WORLD/ae-titles.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 10 grep -q 'configuration reloaded' "$WORLD/bridge.log"
    bridge release S1 --patient-id OTHER
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].entry')" = clinic ]
}

@test "an instance without issuer is of the patient whose id it has: within a study, in a supplement, at release" {
    sandbox_start
    config_write
    printf -- '  require: [InstitutionalDepartmentName]\n' >>"$WORLD/ae-titles.yaml"
    bridge_start
    local name
    for name in a b c; do
        cp "$(ct)" "$WORLD/$name.dcm"
        chmod u+w "$WORLD/$name.dcm"
        dcmodify -nb -gin "$WORLD/$name.dcm"
    done
    dcmodify -nb -i '(0010,0021)=HOSPITAL' "$WORLD/a.dcm"
    raw_send "$WORLD/a.dcm" "$WORLD/b.dcm"
    wait_until 20 studies_are quarantined 1
    [[ "$(studies_query '.studies[0].reason')" != *"two patients"* ]]
    bridge release S1
    wait_until 20 studies_are completed 1
    raw_send "$WORLD/c.dcm"
    wait_until 20 studies_are quarantined 1
    [[ "$(studies_query '.studies[1].reason')" != *"two patients"* ]]
}

@test "a supplement that waits for an upload in quarantine says so, and goes after it" {
    sandbox_start
    bridge_start --set study.on_changed_duplicate=supplement
    cp "$AURABRIDGE_DICOM/MR_small.dcm" "$WORLD/a.dcm"
    cp "$(ct)" "$WORLD/b.dcm"
    chmod u+w "$WORLD"/*.dcm
    local study
    study=$(dcmdump +P 0020,000d "$WORLD/a.dcm" | sed 's/.*\[\(.*\)\].*/\1/')
    dcmodify -nb -m "(0020,000d)=$study" "$WORLD/b.dcm"
    raw_send "$WORLD/a.dcm" "$WORLD/b.dcm"
    wait_until 20 studies_are quarantined 1
    raw_send "$AURABRIDGE_DICOM/MR_small_implicit.dcm"
    wait_until 20 studies_are quarantined 2
    local patient
    patient=$(bridge studies S2 --json | jq -r '.studies[0].patients[0].patient_id')
    bridge release S2 --patient-id "$patient"
    wait_until 20 eval '[[ "$(studies_query ".studies[1].reason")" == "waits for S1,"*quarantined* ]]'
    bridge discard S1
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[1].state')" = completed ]
}

@test "a resend brings back an instance whose file was lost" {
    sandbox_start
    bridge_start --set study.quiet_period=60s
    raw_send "$(ct)"
    [ "$(studies_query '.studies[0].state')" = receiving ] # whoever looks sees files and rows
    bridge_kill
    rm "$WORLD"/spool/studies/*/*.dcm
    bridge_start
    [ "$(studies_query '.studies[0].state')" = quarantined ]
    raw_send "$(ct)"
    bridge release S1
    [ "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 1 ]
    wait_until 20 studies_are completed 1
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$(ct)")" ]
}

@test "a resend brings back a file that an archive under way was laid out from" {
    sandbox_start --fault 'PATCH:500:1000000'
    bridge_start --set upload.compression=store
    raw_send "$(ct)"
    wait_until 20 grep -q 'answered PATCH with 500' "$WORLD/bridge.log"
    bridge_kill
    rm "$WORLD"/spool/studies/*/*.dcm
    sandbox_stop
    sandbox_start
    bridge_start --set upload.compression=store
    [ "$(studies_query '.studies[0].state')" = quarantined ]
    raw_send "$(ct)"
    bridge release S1
    wait_until 20 studies_are completed 1
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$(ct)")" ]
}

@test "cancel of a study that went into quarantine after it was announced withdraws its upload" {
    sandbox_start --fault 'PATCH:500:1000000'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 grep -q 'answered PATCH with 500' "$WORLD/bridge.log"
    bridge_kill
    rm "$WORLD"/spool/studies/*/*.dcm
    bridge_start
    [ "$(studies_query '.studies[0].state')" = quarantined ]
    run bridge discard S1
    [ "$status" -eq 1 ]
    [[ "$output" == *"Aurabox waits for its upload; cancel it first"* ]]
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    [ "$(sandbox_count '"/api/uploader/upload/cancel".*"status":200')" = 1 ]
    bridge discard S1
}

@test "while a destination is away, what it never heard of is cancelled at once, and the list says what waits" {
    sandbox_start --fault 'PATCH:500:1000000'
    bridge_start
    raw_send "$(ct)"
    wait_until 20 grep -q 'answered PATCH with 500' "$WORLD/bridge.log"
    sandbox_stop
    wait_until 20 grep -q 'destination main is paused' "$WORLD/bridge.log"
    raw_send "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 studies_are ready 1
    bridge cancel S2
    studies_are cancelled 1
    bridge cancel S1
    [[ "$(bridge studies)" == *"[being cancelled]"* ]]
    run bridge discard S1
    [[ "$output" == *"it is being cancelled, which ends when Aurabox has heard of it"* ]]
    run bridge retry S1
    [[ "$output" == *"it is being cancelled; retry it once it is"* ]]
    sandbox_start
    wait_until 20 studies_are cancelled 2
}

@test "check looks into the ledger, and changes nothing" {
    sandbox_start
    bridge_start
    send "$AURABRIDGE_DICOM"/CT_small.dcm
    bridge_kill
    run bridge check
    [ "$status" -eq 0 ]
    local before
    before=$(cat "$WORLD"/spool/ledger.sqlite "$WORLD"/spool/ledger.sqlite-wal | sha256sum)
    bridge check
    [ "$(cat "$WORLD"/spool/ledger.sqlite "$WORLD"/spool/ledger.sqlite-wal | sha256sum)" = "$before" ]
    bridge_start
    bridge_stop
    printf '%4096s' ' ' | dd of="$WORLD/spool/ledger.sqlite" bs=4096 seek=2 conv=notrunc status=none
    run bridge check
    [ "$status" -eq 1 ]
    [[ "$output" == *"FAIL  spool"*"ledger.sqlite is damaged; restore it, or move it away"* ]]
    rm "$WORLD"/spool/ledger.sqlite*
    run bridge studies
    [ "$status" -eq 1 ]
    [[ "$output" == *"ledger.sqlite is lost, there are studies beside it"* ]]
    bridge_start # the files are taken up again
    wait_until 20 studies_are completed 1
}
