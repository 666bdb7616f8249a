#!/usr/bin/env bats
# The main job, end to end: real senders, the real binary, the sandbox Aurabox.

bats_require_minimum_version 1.5.0
load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

sent_data_sets() {
    python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$@" | sort
}

ct() { echo "$AURABRIDGE_DICOM/CT_small.dcm"; }

@test "a study sent by C-STORE is in Aurabox, byte for byte" {
    sandbox_start
    bridge_start
    raw_send "$(ct)"
    wait_until 20 studies_are completed 1
    [ "$(archived_data_sets)" = "$(sent_data_sets "$(ct)")" ]
    [ "$(studies_query '.studies[0].instances')" = 1 ]
    [ "$(studies_query '.studies[0].upload_id')" != null ]
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 1 ]
}

@test "the assembly id is the config's where it gives one" {
    sandbox_start --fault config-assembly:as-of-the-config
    bridge_start
    raw_send "$(ct)"
    wait_until 20 studies_are completed 1
}

@test "the sandbox names an address at which it answers" {
    sandbox_start --listen 127.0.0.2:0
    [[ "$SANDBOX_URL" == http://127.0.0.2:*/api ]]
    python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1])' \
        "${SANDBOX_URL%/api}/sandbox/state"
}

@test "C-ECHO answers; an unknown called AE title is refused with the remedy in the log" {
    sandbox_start
    bridge_start
    echoscu -aec AURABRIDGE 127.0.0.1 "$BRIDGE_PORT"
    run echoscu -aec AURA_BRIDGE 127.0.0.1 "$BRIDGE_PORT"
    [ "$status" -ne 0 ]
    grep -q 'AURA_BRIDGE.*configured: AURABRIDGE, CLINIC_A' "$WORLD/bridge.log"
}

@test "the patient context and the init body carry the study's attributes" {
    sandbox_start
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    local body
    body=$(cat "$WORLD"/cloud/*-*-*-*-*.json)
    [ "$(jq -r '.context.patient_id' <<<"$body")" = 1CT1 ]
    [ "$(jq -r '.context.patient.family_name' <<<"$body")" = CompressedSamples ]
    [ "$(jq -r '.context.patient.given_names' <<<"$body")" = CT1 ]
    [ "$(jq -r '.context.patient.sex' <<<"$body")" = o ]
    [ "$(jq -r '.context | has("referral_id")' <<<"$body")" = false ]
    [ "$(jq -r '.studies[].patient_name' <<<"$body")" = 'CompressedSamples^CT1' ]
    [ "$(jq -r '.studies[].images' <<<"$body")" = 1 ]
    [ "$(jq -r '.source' <<<"$body")" = standalone-uploader ]
}

@test "names in four character sets arrive as right UTF-8" {
    sandbox_start
    bridge_start
    local file
    for file in chrFren chrH31 chrX2 chrX1; do
        raw_send "$AURABRIDGE_DICOM/$file.dcm" || true
    done
    wait_until 30 studies_are completed 4
    local names
    names=$(jq -r '.studies[].patient_name' "$WORLD"/cloud/*-*-*-*-*.json | sort)
    grep -qx 'Buc^Jérôme' <<<"$names"
    grep -qx 'Yamada^Tarou=山田^太郎=やまだ^たろう' <<<"$names"
    grep -qx 'Wang^XiaoDong=王^小东' <<<"$names"
    grep -qx 'Wang^XiaoDong=王^小東' <<<"$names"
}

@test "two patients in one study wait in quarantine; release --patient-id picks who goes" {
    sandbox_start
    bridge_start
    cp "$(ct)" "$WORLD/a.dcm"
    cp "$(ct)" "$WORLD/b.dcm"
    chmod u+w "$WORLD"/*.dcm
    dcmodify -nb -gin -m '(0010,0020)=OTHER' "$WORLD/b.dcm"
    raw_send "$WORLD/a.dcm" "$WORLD/b.dcm"
    wait_until 20 studies_are quarantined 1
    [[ "$(studies_query '.studies[0].reason')" == *"two patients"* ]]
    [ -z "$(grep 'OTHER\|1CT1' "$WORLD/bridge.log")" ]
    run bridge release S1
    [ "$status" -eq 1 ]
    [[ "$output" == *"--patient-id"* ]]
    bridge release S1 --patient-id OTHER
    wait_until 20 studies_are completed 1
    studies_are quarantined 1
    [ "$(archived_data_sets)" = "$(sent_data_sets "$WORLD/b.dcm")" ]
    bridge discard S2
    studies_are discarded 1
    [ "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 1 ]
}

@test "an identical resend is swallowed; forget makes it new" {
    sandbox_start
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    send "$(ct)"
    [ "$(studies_query '.studies[0].swallowed_resends')" = 1 ]
    [ "$(sandbox_count '"/api/uploader/upload/init"')" = 1 ]
    bridge forget S1
    send "$(ct)"
    wait_until 20 studies_are completed 2
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 2 ]
}

@test "a changed duplicate goes up in a supplement, in the order it came" {
    sandbox_start
    bridge_start
    raw_send "$AURABRIDGE_DICOM/MR_small.dcm"
    raw_send "$AURABRIDGE_DICOM/MR_small_implicit.dcm"
    wait_until 30 studies_are completed 2
    [ "$(studies_query '.studies[1].supplement_of')" = S1 ]
    [ "$(archived_data_sets | wc -l)" = 2 ]
    [ "$(archived_data_sets | cut -d' ' -f1 | sort -u | wc -l)" = 1 ]
}

@test "keep_first and replace keep one version and count the other" {
    sandbox_start
    config_write
    bridge_start --set study.on_changed_duplicate=keep_first
    raw_send "$AURABRIDGE_DICOM/MR_small.dcm" "$AURABRIDGE_DICOM/MR_small_implicit.dcm"
    wait_until 30 studies_are completed 1
    [ "$(studies_query '.studies[0].superseded')" = 1 ]
    [ "$(archived_data_sets)" = "$(sent_data_sets "$AURABRIDGE_DICOM/MR_small.dcm")" ]
    bridge_stop
    bridge forget S1
    rm "$WORLD"/cloud/*.zip
    bridge_start --set study.on_changed_duplicate=replace
    # One association: it holds the study, so that none of them comes after the hand-over.
    raw_send "$AURABRIDGE_DICOM/MR_small.dcm" "$AURABRIDGE_DICOM/MR_small_implicit.dcm"
    wait_until 30 studies_are completed 2
    [ "$(studies_query '.studies[1].superseded')" = 1 ]
    [ "$(archived_data_sets)" = "$(sent_data_sets "$AURABRIDGE_DICOM/MR_small_implicit.dcm")" ]
}

@test "late instances open a supplement with just the new ones" {
    sandbox_start
    bridge_start
    local d="$AURABRIDGE_DICOM/two-patients"
    send "$d/77654033-CT2-17106.dcm"
    wait_until 20 studies_are completed 1
    send "$d/77654033-CT2-17136.dcm" "$d/77654033-CT2-17106.dcm"
    wait_until 20 studies_are completed 2
    [ "$(studies_query '.studies[1].instances')" = 1 ]
    [ "$(studies_query '.studies[1].supplement_of')" = S1 ]
    [ "$(studies_query '.studies[0].swallowed_resends')" = 1 ]
}

@test "an unrouted study is held, and goes when the map is reloaded" {
    sandbox_start
    bridge_start
    CALLED=CLINIC_A send "$(ct)"
    wait_until 20 studies_are unrouted 1
    printf -- '- {name: clinic, called: CLINIC_A, destination: main}\n' >>"$WORLD/ae-titles.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].entry')" = clinic ]
}

@test "a broken reload keeps the last good configuration and names file, line and key" {
    sandbox_start
    bridge_start
    sed -i 's/quiet_period: 1s/quiet_perod: 1s/' "$WORLD/aurabridge.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 10 grep -q 'aurabridge.yaml:[0-9]*:.*quiet_perod' "$WORLD/bridge.log"
    sed -i 's/quiet_perod: 1s/quiet_period: 1s/' "$WORLD/aurabridge.yaml"
    send "$(ct)"
    wait_until 20 studies_are completed 1
}

@test "while the configuration is broken, the bridge that runs is seen, and nothing is changed" {
    sandbox_start
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    cp "$WORLD/aurabridge.yaml" "$WORLD/good.yaml"
    sed -i 's/quiet_period: 1s/quiet_perod: 1s/' "$WORLD/aurabridge.yaml"
    run --separate-stderr bridge studies --json
    [ "$status" = 0 ]
    [ "$(jq -r '.studies[0].state' <<<"$output")" = completed ]
    [[ "$stderr" == *"aurabridge.yaml:"*"quiet_perod"*"the spool $WORLD/spool"* ]]
    run --separate-stderr bridge forget S1
    [ "$status" = 1 ]
    # No YAML at all: where the spool is has to be said, or another bridge's would be shown.
    printf 'dicom: [\n' >"$WORLD/aurabridge.yaml"
    run --separate-stderr bridge status
    [ "$status" = 1 ]
    [[ "$stderr" != *"last good"* ]]
    bridge status --set "spool.directory=$WORLD/spool" 2>/dev/null | grep -q main
    # Nobody is there to ask.
    bridge_stop
    sed 's/quiet_period: 1s/quiet_perod: 1s/' "$WORLD/good.yaml" >"$WORLD/aurabridge.yaml"
    run --separate-stderr bridge studies
    [ "$status" = 1 ]
    [[ "$stderr" == *"quiet_perod"*"no bridge runs with the spool $WORLD/spool; correct"* ]]
    cp "$WORLD/good.yaml" "$WORLD/aurabridge.yaml"
    studies_are completed 1
}

log_has() { [ "$(grep -c -- "$2" "$WORLD/bridge.log")" -eq "$1" ]; }

@test "a reload names what needs a restart" {
    sandbox_start
    bridge_start
    sed -i 's/listen: .*/listen: "127.0.0.1:1"/' "$WORLD/aurabridge.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 10 grep -q 'only a restart.*dicom.listen' "$WORLD/bridge.log"
    echoscu -aec AURABRIDGE 127.0.0.1 "$BRIDGE_PORT"
    # The next reload says it again; once it is taken back there is nothing left to say.
    kill -HUP "$BRIDGE_PID"
    wait_until 10 log_has 2 'configuration reloaded'
    log_has 2 'only a restart.*dicom.listen'
    sed -i 's/listen: .*/listen: "127.0.0.1:0"/' "$WORLD/aurabridge.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 10 log_has 3 'configuration reloaded'
    log_has 2 'only a restart.*dicom.listen'
}

@test "open studies keep an entry that a reload removes" {
    sandbox_start
    bridge_start --set study.quiet_period=3s
    send "$(ct)"
    printf -- '- {name: other, called: CLINIC_A, destination: main}\n' >"$WORLD/ae-titles.yaml"
    kill -HUP "$BRIDGE_PID"
    wait_until 20 studies_are completed 1
    [ "$(jq -r '.context.patient_id' "$WORLD"/cloud/*-*-*-*-*.json)" = 1CT1 ]
}

@test "below the reserve the sender hears no, and nothing is left" {
    sandbox_start
    bridge_start --set spool.reserve=900TiB
    run send "$(ct)"
    [ "$status" -ne 0 ]
    [ -z "$(find "$WORLD/spool/incoming" "$WORLD/spool/studies" -type f)" ]
    grep -q 'free' "$WORLD/bridge.log"
}

@test "required attributes that are missing quarantine the study; release lets it pass" {
    sandbox_start
    config_write
    sed -i 's/  destination: main/  destination: main\n  require: [PatientID, AccessionNumber]/' \
        "$WORLD/ae-titles.yaml"
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are quarantined 1
    [[ "$(studies_query '.studies[0].reason')" == *AccessionNumber* ]]
    bridge release S1
    wait_until 20 studies_are completed 1
}

@test "a server that is away pauses the destination; when it is back everything goes" {
    sandbox_start
    bridge_start
    sandbox_stop
    send "$(ct)"
    send "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 grep -q 'destination main is paused' "$WORLD/bridge.log"
    [[ "$(studies_query '.studies[0].reason')" == *paused* ]]
    studies_are completed 0
    sandbox_start
    wait_until 30 studies_are completed 2
}

@test "wrong credentials pause the destination and are told; a reload with right ones lets it go" {
    sandbox_start
    printf 'wrong\n' >"$WORLD/app_secret"
    bridge_start
    send "$(ct)"
    wait_until 20 grep -q 'destination main is paused.*401' "$WORLD/bridge.log"
    [ -z "$(grep 'wrong$\|sandbox-key' "$WORLD/bridge.log")" ]
    printf 'sandbox-secret\n' >"$WORLD/app_secret"
    kill -HUP "$BRIDGE_PID"
    wait_until 20 studies_are completed 1
}

# three_studies: sent at once, all delivered to the one destination.
three_studies() {
    local i
    for i in 1 2 3; do
        python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/in$i" 1 2000 >/dev/null
    done
    raw_send "$WORLD"/in?/*.dcm
}

# The lift config is fetched before each try, and its answer must not end the pause.
@test "a destination that refuses init, or a Tus server that is none, is probed ever more rarely" {
    local fault
    for fault in 'POST /uploader/upload/init:403:5' 'POST /files:html:5'; do
        sandbox_start --fault "$fault"
        config_write
        bridge_start --set upload.retry.first=500ms --set upload.retry.ceiling=1m
        three_studies
        # At the first delay for ever, this line would never come.
        wait_until 40 grep -q 'destination main is paused.*next try in [2-9] s' "$WORLD/bridge.log"
        # A probe each, and what was under way when the pause began.
        [ "$(sandbox_count '"/api/uploader/config"')" -le 14 ]
        wait_until 40 studies_are completed 3
        [ "$(grep -c 'destination main answers again' "$WORLD/bridge.log")" = 1 ]
        bridge_stop
        sandbox_stop
        rm -rf "$WORLD"/{spool,cloud,in?,bridge.log,aurabridge.yaml}
        mkdir "$WORLD/spool" "$WORLD/cloud"
        SANDBOX_PORT=0 BRIDGE_PORT=0
    done
}

@test "a study that Aurabox alone refuses is not the probe again before others were" {
    sandbox_start --fault 'POST /uploader/upload/start:403:3'
    bridge_start --set upload.retry.first=2s --set upload.retry.ceiling=10s
    three_studies
    each_paused_it_once() {
        [ "$(studies_query '[.studies[] | select(.attempt == 1)] | length')" = 3 ]
    }
    wait_until 30 each_paused_it_once
    wait_until 40 studies_are completed 3
}

@test "429 with Retry-After keeps all workers from calling for so long" {
    sandbox_start --fault 'POST /uploader/upload/init:429:1' # Retry-After: 1
    bridge_start
    three_studies
    wait_until 30 studies_are completed 3
    # Of what the other worker had under way when the answer came, one call may arrive after it.
    [ "$(python3 - "$WORLD/cloud/requests.jsonl" <<'PYTHON'
import datetime, json, sys
calls = [json.loads(line) for line in open(sys.argv[1])]
calls = [(datetime.datetime.fromisoformat(call["time"].replace("Z", "+00:00")), call["status"])
         for call in calls if "/upload/" in call["path"]]
refused = next(time for time, status in calls if status == 429)
second = datetime.timedelta(milliseconds=950)
print(sum(refused < time < refused + second for time, status in calls))
PYTHON
    )" -le 1 ]
}

@test "kill -9 in the middle of an upload: one completed upload, all instances" {
    sandbox_start --fault 'PATCH:cut:100000:1000000'
    bridge_start --set upload.compression=store
    local d="$AURABRIDGE_DICOM"
    raw_send "$d/examples_rgb_color.dcm" "$d/examples_palette.dcm"
    wait_until 20 grep -q '"PATCH"' "$WORLD/cloud/requests.jsonl"
    bridge_kill
    bridge_start --set upload.compression=store
    wait_until 60 studies_are completed "$(studies_query '.studies | length')"
    [ "$(archived_data_sets)" = "$(sent_data_sets "$d/examples_rgb_color.dcm" "$d/examples_palette.dcm")" ]
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = "$(studies_query '.studies | length')" ]
}

@test "a lost answer of complete is asked for again and completes once" {
    sandbox_start --fault 'POST /uploader/upload/complete:drop:1'
    bridge_start
    send "$(ct)"
    wait_until 30 studies_are completed 1
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 2 ]
    [ "$(ls "$WORLD"/cloud/*.zip | wc -l)" = 1 ]
    [ -z "$(grep 'upload/error' "$WORLD/cloud/requests.jsonl")" ]
}

@test "a repeated complete that Aurabox does not know counts only when every byte is there" {
    sandbox_start --fault 'POST /uploader/upload/complete:503:1' \
        --fault 'POST /uploader/upload/complete:404:1' --fault 'HEAD:404:1'
    bridge_start
    send "$(ct)"
    wait_until 30 studies_are completed 1
    # Refused for the moment, unknown while its bytes were not found, and taken at last.
    [ "$(jq -r 'select(.path | endswith("/complete")) | .status' "$WORLD/cloud/requests.jsonl" |
        xargs)" = "503 404 200" ]
    [ "$(ls "$WORLD"/cloud/*.zip | wc -l)" = 1 ]
    ! grep -q 'upload/error' "$WORLD/cloud/requests.jsonl"
}

@test "a repeated complete that Aurabox does not know is completed when every byte is there" {
    sandbox_start --fault 'POST /uploader/upload/complete:503:1' \
        --fault 'POST /uploader/upload/complete:404:1000000'
    bridge_start
    send "$(ct)"
    wait_until 30 studies_are completed 1
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 2 ]
    ! grep -q 'upload/error' "$WORLD/cloud/requests.jsonl"
}

@test "kill -9 while complete is under way: it is asked for again, and is completed once" {
    sandbox_start --fault 'POST /uploader/upload/complete:slow:8000:1'
    bridge_start
    send "$(ct)"
    wait_until 20 grep -q '^received study' "$WORLD/sandbox.log"
    bridge_kill
    bridge_start
    wait_until 20 studies_are completed 1
    [ "$(ls "$WORLD"/cloud/*.zip | wc -l)" = 1 ]
    [ "$(grep -c '^received study' "$WORLD/sandbox.log")" = 1 ]
    ! grep -q 'upload/error' "$WORLD/cloud/requests.jsonl"
}

@test "once complete may have been heard, cancel tells Aurabox nothing" {
    sandbox_start --fault 'POST /uploader/upload/complete:503:1' \
        --fault 'POST /uploader/upload/complete:404:1' --fault 'HEAD:404:1' --fault 'HEAD:500:1000000'
    bridge_start
    send "$(ct)"
    wait_until 20 grep -q 'complete.*"status":404' "$WORLD/cloud/requests.jsonl"
    wait_until 20 studies_are uploading 1
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    [[ "$(studies_query '.studies[0].reason')" == *"may have taken it"* ]]
    [ "$(sandbox_count '"/api/uploader/upload/cancel"')" = 0 ]
}

reason_says() { [[ "$(studies_query '.studies[0].reason')" == *"$1"* ]]; }

@test "a study that Aurabox has whole and does not take can be cancelled, and retried as a new upload" {
    sandbox_start --fault 'POST /uploader/upload/complete:409:*'
    bridge_start
    send "$(ct)"
    wait_until 20 reason_says 'it has every byte and does not take them'
    studies_are confirming 1
    local before
    before=$(studies_query '.studies[0].upload_id')
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    [ "$(sandbox_count '"/api/uploader/upload/cancel"')" = 1 ]
    sandbox_stop
    sandbox_start
    bridge retry S1
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].upload_id')" != "$before" ]
    [ "$(grep -c '^received study' "$WORLD/sandbox.log")" = 1 ]
}

@test "what Aurabox took, and threw away before that was heard, is not completed twice: a person decides" {
    sandbox_start --fault 'POST /uploader/upload/complete:drop' --fault 'HEAD:404:*'
    bridge_start
    send "$(ct)"
    wait_until 30 reason_says 'ask Aurabox whether it was ended there'
    [ "$(grep -c '^received study' "$WORLD/sandbox.log")" = 1 ]
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    reason_says 'may have taken it as complete before'
    ! grep -q 'upload/cancel\|upload/error' "$WORLD/cloud/requests.jsonl"
}

@test "retry and a reload try a paused destination now" {
    SANDBOX_URL=http://127.0.0.1:9/api bridge_start --set upload.retry.first=1h \
        --set upload.retry.ceiling=1h
    send "$(ct)"
    paused() { [ "$(grep -c 'destination main is paused' "$WORLD/bridge.log")" = "$1" ]; }
    wait_until 20 paused 1
    bridge retry S1
    wait_until 20 paused 2
    kill -HUP "$BRIDGE_PID"
    wait_until 20 paused 3
}

# second_destination: as main, but at URL; CLINIC_A's studies go there.
second_destination() {
    config_write
    sed -n '/^  main:/,/^    timeout:/p' "$WORLD/aurabridge.yaml" |
        sed -e 's/main:/second:/' -e "s|api_base_url:.*|api_base_url: $1|" >"$WORLD/second"
    sed -i "/^    timeout:/r $WORLD/second" "$WORLD/aurabridge.yaml"
    printf -- '- {name: clinic, called: CLINIC_A, destination: second}\n' >>"$WORLD/ae-titles.yaml"
}

@test "a destination that is away does not hold up another" {
    sandbox_start
    second_destination http://127.0.0.1:9/api
    bridge_start --set upload.workers=1
    CALLED=CLINIC_A send "$(ct)"
    wait_until 20 grep -q 'destination second is paused' "$WORLD/bridge.log"
    send "$AURABRIDGE_DICOM/MR_small.dcm"
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].destination')" = second ]
    [ "$(studies_query '.studies[0].state')" = ready ] ||
        [ "$(studies_query '.studies[0].state')" = packaging ]
    [ "$(studies_query '.studies[1].state')" = completed ]
}

@test "an init refused with 403 pauses the destination, not just the study" {
    sandbox_start --fault 'POST /uploader/upload/init:403:2'
    bridge_start
    send "$(ct)"
    wait_until 20 grep -q 'destination main is paused.*403' "$WORLD/bridge.log"
    wait_until 20 studies_are completed 1
    [ "$(sandbox_count '"/api/uploader/upload/init"')" = 3 ]
    ! grep -q 'upload/error' "$WORLD/cloud/requests.jsonl"
}

@test "lost answers of init and start are repeated with the same upload_id" {
    sandbox_start --fault 'POST /uploader/upload/init:drop:1' \
        --fault 'POST /uploader/upload/start:drop:1'
    bridge_start
    send "$(ct)"
    wait_until 30 studies_are completed 1
    [ "$(jq -r 'select(.path | endswith("/init")) | .upload_id' "$WORLD/cloud/requests.jsonl" | sort -u | wc -l)" = 1 ]
}

@test "init refused with 422 is permanent: error is reported, the study failed with the reason" {
    sandbox_start --fault 'POST /uploader/upload/init:422:1'
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are failed 1
    [[ "$(studies_query '.studies[0].reason')" == *422* ]]
    [ "$(sandbox_count '"/api/uploader/upload/error"')" = 1 ]
    local before
    before=$(studies_query '.studies[0].upload_id')
    bridge retry S1
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].upload_id')" != "$before" ]
}

@test "transient faults of every call end in one completed upload" {
    sandbox_start --fault 'POST /auth/exchange:500:1' --fault 'GET /uploader/config:503:1' \
        --fault 'POST /uploader/upload/init:429:1' --fault 'POST /uploader/upload/start:502:1' \
        --fault 'PATCH:423:1' --fault 'HEAD:500:1' --fault 'POST /uploader/upload/complete:504:1'
    bridge_start
    raw_send "$(ct)"
    wait_until 60 studies_are completed 1
    [ "$(archived_data_sets)" = "$(sent_data_sets "$(ct)")" ]
}

@test "cancel withdraws an upload, keeps the instances, and retry takes a new upload_id" {
    sandbox_start --fault 'PATCH:500:1000000'
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are uploading 1
    local before
    before=$(studies_query '.studies[0].upload_id')
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    [ "$(sandbox_count '"/api/uploader/upload/cancel"')" = 1 ]
    [ "$(jq -r 'select(.method == "DELETE") | .status' "$WORLD/cloud/requests.jsonl")" = 204 ]
    [ "$(find "$WORLD/spool/studies" -name '*.dcm' | wc -l)" = 1 ]
    sandbox_stop
    sandbox_start
    bridge retry S1
    wait_until 20 studies_are completed 1
    [ "$(studies_query '.studies[0].upload_id')" != "$before" ]
}

@test "check looks at disk and port also while the bridge runs" {
    sandbox_start
    bridge_start
    BRIDGE_PORT=$BRIDGE_PORT config_write
    run bridge check
    [ "$status" -eq 0 ]
    [[ "$output" == *"ok    dicom.listen 127.0.0.1:$BRIDGE_PORT is in use by the running bridge"* ]]
    run bridge check --set spool.reserve=900TiB
    [ "$status" -eq 1 ]
    [[ "$output" == *"FAIL  spool"*"900.0 TiB are its reserve"* ]]
    run bridge check --set "dicom.listen=127.0.0.1:$SANDBOX_PORT"
    [ "$status" -eq 1 ]
    [[ "$output" == *"FAIL  dicom.listen"*"Address already in use"* ]]
    run bridge check --set dicom.listen=127.0.0.1:0
    [ "$status" -eq 0 ]
    [[ "$output" == *"is free; the running bridge listens on 127.0.0.1:$BRIDGE_PORT"* ]]
}

@test "commands need no credentials, a spool that is there, and an output that takes all" {
    sandbox_start
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    sed -i 's/app_secret: .*/app_secret: env:NOT_IN_THIS_SHELL/' "$WORLD/aurabridge.yaml"
    [ "$(studies_query '.studies[0].state')" = completed ]
    bridge route --calling CT1 --called AURABRIDGE "$(ct)"
    bridge audit
    bridge receipt S1
    bridge forget S1
    bash -c 'exec "$0" studies --json --config "$1" >/dev/full' \
        "$AURABRIDGE" "$WORLD/aurabridge.yaml" && return 1
    local command
    for command in studies audit; do
        run bridge "$command" --set "spool.directory=$WORLD/typo"
        [ "$status" -eq 1 ]
        [[ "$output" == *"there is no spool $WORLD/typo"* ]]
        [ ! -e "$WORLD/typo" ]
    done
    run "$AURABRIDGE" check --config "$WORLD/absent.yaml"
    [ "$status" -eq 1 ]
    [[ "$output" == *"absent.yaml cannot be read; name the configuration file with --config FILE"* ]]
}

@test "each command says what it is for" {
    local command
    for command in serve check route sign studies receipt audit retry release cancel discard forget sandbox; do
        run "$AURABRIDGE" "$command" --help
        [ "$status" -eq 0 ]
        [[ "$output" == "usage: aurabridge $command"* ]]
        [[ "$output" == *"$("$AURABRIDGE" -h | sed -n "s/^  $command  *.\(.*\)/\1/p")"* ]]
        run "$AURABRIDGE" "$command" --bogus
        [ "$status" -eq 2 ]
    done
}

@test "commands work without a daemon, and say what is not there" {
    sandbox_start
    bridge_start
    CALLED=CLINIC_A send "$(ct)"
    wait_until 20 studies_are unrouted 1
    bridge_stop
    [ "$(studies_query '.studies[0].state')" = unrouted ]
    run bridge retry S99
    [ "$status" -eq 1 ]
    [[ "$output" == *"S99"* ]]
    bridge discard S1
    [ "$(studies_query '.studies[0].state')" = discarded ]
    [ -z "$(find "$WORLD/spool/studies" -name '*.dcm')" ]
}

@test "a second bridge on the same spool is refused with the reason" {
    sandbox_start
    bridge_start
    run "$AURABRIDGE" serve --config "$WORLD/aurabridge.yaml" --set dicom.listen=127.0.0.1:0
    [ "$status" -eq 1 ]
    [[ "$output" == *"in use"* ]]
}

@test "SIGTERM with an idle association ends in time with exit 0" {
    sandbox_start
    bridge_start --set dicom.shutdown_timeout=1s
    exec 9<>"/dev/tcp/127.0.0.1/$BRIDGE_PORT"
    local before=$SECONDS
    bridge_stop
    exec 9>&-
    [ $((SECONDS - before)) -le 8 ]
    grep -q 'stopped' "$WORLD/bridge.log"
}

@test "files are 0600, directories 0700" {
    sandbox_start
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    [ -z "$(find "$WORLD/spool" -mindepth 1 -type f ! -perm 600)" ]
    [ "$(stat -c '%F %a' "$WORLD/spool/control")" = "socket 600" ]
    [ -z "$(find "$WORLD/spool" -mindepth 1 -type d ! -perm 700)" ]
}

@test "check says ok line by line, and names a wrong secret and a skewed clock" {
    sandbox_start
    config_write
    bridge check
    printf 'wrong\n' >"$WORLD/app_secret"
    run bridge check
    [ "$status" -eq 1 ]
    [[ "$output" == *FAIL*main*401* ]]
    sandbox_stop
    printf 'sandbox-secret\n' >"$WORLD/app_secret"
    sandbox_start --fault 'skew:+3600'
    run bridge check
    [ "$status" -eq 1 ]
    [[ "$output" == *clock* ]]
}

@test "route shows the entry and the context of a file" {
    config_write
    run bridge route --calling CT1 --called AURABRIDGE "$(ct)"
    [ "$status" -eq 0 ]
    [[ "$output" == *"entry:       all"* ]]
    [[ "$output" == *'"patient_id":	"1CT1"'* ]]
    run bridge route --calling CT1 --called CLINIC_A "$(ct)"
    [ "$status" -eq 1 ]
    [[ "$output" == *unrouted* ]]
}

@test "route says when the sender would be rejected, and what to do" {
    config_write
    run bridge route --calling CT1 --called NOBODY "$(ct)"
    [ "$status" -eq 1 ]
    [[ "$output" == *"rejected: called AE title NOBODY is unknown here; configured: AURABRIDGE"* ]]
    local shut='dicom.ae_titles={name: AURABRIDGE, calling: "MR*", from: 10.0.0.0/8}'
    run bridge route --set "$shut" --calling CT1 --called AURABRIDGE --from 10.0.0.1 "$(ct)"
    [ "$status" -eq 1 ]
    [[ "$output" == *"rejected: calling AE title CT1 may not call AURABRIDGE"* ]]
    run bridge route --set "$shut" --calling MR1 --called AURABRIDGE "$(ct)"
    [ "$status" -eq 1 ]
    [[ "$output" == *"rejected: address 127.0.0.1 may not call AURABRIDGE"* ]]
    bridge route --set "$shut" --calling MR1 --called AURABRIDGE --from 10.0.0.1 "$(ct)"
}

@test "the entry's patient_id may be a template, and reaches init" {
    sandbox_start
    config_write
    sed -i 's/  destination: main/  destination: main\n  patient_id: "AUR-{PatientID}"/' \
        "$WORLD/ae-titles.yaml"
    run bridge route --calling CT1 --called AURABRIDGE "$(ct)"
    [[ "$output" == *"patient_id:  AUR-1CT1"* ]]
    bridge_start
    send "$(ct)"
    wait_until 20 studies_are completed 1
    [ "$(jq -r '.patient_id' "$WORLD"/cloud/*-*-*-*-*.json)" = AUR-1CT1 ]
    bridge_stop
    sed -i 's/AUR-{PatientID}/{PatientId}/' "$WORLD/ae-titles.yaml"
    run bridge route --calling CT1 --called AURABRIDGE "$(ct)"
    [ "$status" -eq 1 ]
    [[ "$output" == *ae-titles.yaml:4:*patient_id*PatientId* ]]
}

@test "values that differ within a study: the first is sent, and the study shows a warning" {
    sandbox_start
    config_write
    sed -i 's/  destination: main/  destination: main\n  patient_id: "{AccessionNumber}"/' \
        "$WORLD/ae-titles.yaml"
    bridge_start
    cp "$(ct)" "$WORLD/a.dcm"
    cp "$(ct)" "$WORLD/b.dcm"
    chmod u+w "$WORLD"/*.dcm
    dcmodify -nb -i '(0008,0050)=FIRST' "$WORLD/a.dcm"
    dcmodify -nb -gin -i '(0008,0050)=SECOND' "$WORLD/b.dcm"
    raw_send "$WORLD/a.dcm" "$WORLD/b.dcm"
    wait_until 20 studies_are completed 1
    [ "$(jq -r '.patient_id' "$WORLD"/cloud/*-*-*-*-*.json)" = FIRST ]
    [ "$(studies_query '.studies[0].warning')" = \
        'differs within the study, the first value is sent: AccessionNumber' ]
}

@test "sign reproduces the documented vector and hides the secret" {
    AURABRIDGE_APP_SECRET=test-secret-key run "$AURABRIDGE" sign --app-id test-app-id \
        --timestamp 1706140800 --nonce 550e8400-e29b-41d4-a716-446655440000 \
        --body '{"ttl":3600,"scopes":["upload:init","upload:manage"]}' \
        https://aura.example.com/api/auth/exchange
    [ "$status" -eq 0 ]
    [[ "$output" == *4e865169c280c238e93ea51681fdf9e5977ecbf0dc60fbbf0b6b7ccba2005093* ]]
    [[ "$output" != *test-secret-key* ]]
}

@test "no patient data in the log of all this" {
    sandbox_start
    bridge_start --debug
    send "$(ct)" "$AURABRIDGE_DICOM"/two-patients/*.dcm
    wait_until 60 studies_are receiving 0
    wait_until 60 studies_are ready 0
    ! grep -iE 'CompressedSamples|1CT1|Doe\^|77654033|98892001' "$WORLD/bridge.log"
}

@test "root's commands leave no file in the spool that the bridge's user cannot open" {
    [ "$(id -u)" -eq 0 ]
    sandbox_start
    config_write
    chown nobody "$WORLD/spool"
    chmod 755 "$WORLD" "$BATS_TEST_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR"
    bridge check
    bridge studies
    [ -z "$(find "$WORLD/spool" ! -user nobody)" ]
    [ -f "$WORLD/spool/ledger.sqlite" ]
}

@test "check accepts the two sample files, given a tenant and its credentials" {
    sandbox_start
    local etc="$AURABRIDGE_SUPPORT/../../etc"
    run "$AURABRIDGE" check --config "$etc/aurabridge.yaml" \
        --set "spool.directory=$WORLD/spool" --set spool.reserve=1MiB \
        --set dicom.listen=127.0.0.1:0 --set "destinations.main.api_base_url=$SANDBOX_URL" \
        --set "destinations.main.app_id=file:$WORLD/app_id" \
        --set "destinations.main.app_secret=file:$WORLD/app_secret" \
        --set "destinations.main.service_api_key=file:$WORLD/service_api_key"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" != *FAIL* ]]
}
