#!/usr/bin/env bats
# Short of space: senders are refused and nothing else is lost; and the bridge stops under load.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

make_study() { # DIRECTORY COUNT BYTES
    python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$@" >/dev/null
}

# How often the log of the bridge has it.
logged() { grep -c -- "$1" "$WORLD/bridge.log" || true; }

is_logged() { # COUNT TEXT
    [ "$(logged "$2")" = "$1" ]
}

is_open_again() { is_logged "$1" 'reception is open again'; }

# Nothing is on its way to an end that it has not reached.
all_is_delivered() {
    [ "$(studies_query '[.studies[] | select(.state != "completed" and .state != "discarded")] | length')" = 0 ]
}

# Whoever looks sees in study folders what was acknowledged before.
stored_files() { bridge studies >/dev/null && find "$WORLD/spool/studies" -name '*.dcm' | wc -l; }

free_bytes() { df -B1 --output=avail "$WORLD/spool" | tail -1; }

# take_all_but BYTES FILE: lets the file grow; fails when the bridge wrote, or freed, meanwhile.
take_all_but() {
    local more=$(($(free_bytes) - $1))
    [ "$more" -le 0 ] ||
        fallocate -o "$(stat -c %s "$2" 2>/dev/null || echo 0)" -l "$more" "$2" 2>"$WORLD/fallocate"
    [ "$(free_bytes)" -le "$1" ]
}

# leave_free BYTES FILLER: something else takes all space but so much.
leave_free() { wait_until 5 take_all_but "$1" "$WORLD/spool/$2"; }

# patient_sender COMMANDS OUT FILES…: one association that stays. For each line that comes through
# the fifo COMMANDS it sends the next of the files, and writes the status to OUT.
patient_sender() {
    PYTHONPATH="$AURABRIDGE_SUPPORT" python3 - "$BRIDGE_PORT" "$@" 3>&- <<'PYTHON' &
import sys
import pdu_sender
instances = [pdu_sender.read_part10(path) for path in sys.argv[4:]]
sender = pdu_sender.Sender("127.0.0.1", int(sys.argv[1]), timeout=120)
sender.associate(pdu_sender.proposed_contexts(instances, False))
with open(sys.argv[3], "a", buffering=1) as out, open(sys.argv[2]) as commands:
    print("associated", file=out)
    for instance, command in zip(instances, commands):
        status, comment = sender.store(instance)
        print(f"{instance.sop_instance} {status:04X} {comment}".rstrip(), file=out)
sender.release()
PYTHON
    EXTRA_PIDS="${EXTRA_PIDS:-} $!"
}

patient_has() { # COUNT TEXT
    [ "$(grep -c -- "$2" "$WORLD/patient")" = "$1" ]
}

@test "space gets short: senders are refused, uploading goes on and reopens reception by itself" {
    sandbox_start
    sandbox_stop # the cloud is away, studies pile up
    small_disk 96m
    config_write
    sed -i 's/reserve: 1MiB/reserve: 24MiB/' "$WORLD/aurabridge.yaml"
    bridge_start
    make_study "$WORLD/a" 13 3000000
    make_study "$WORLD/b" 16 3000000
    make_study "$WORLD/c" 3 3000000
    mkfifo "$WORLD/commands"
    patient_sender "$WORLD/commands" "$WORLD/patient" "$WORLD"/c/*.dcm
    exec 8>"$WORLD/commands"
    wait_until 10 grep -q associated "$WORLD/patient"
    echo >&8
    wait_until 10 patient_has 1 ' 0000'
    raw_send "$WORLD"/a/*.dcm
    [ "$(logged 'reception is')" = 0 ]

    # From some instance on all are refused, on this association, on others, on new ones.
    run raw_send "$WORLD"/b/*.dcm
    [ "$status" -eq 1 ]
    [ "$(grep -c ' 0000' <<<"$output")" -ge 4 ]
    [ "$(grep -c ' A700 Out of disk space, try again later' <<<"$output")" -ge 4 ]
    [ "$(grep -n ' 0000' <<<"$output" | tail -1 | cut -d: -f1)" -lt \
        "$(grep -n ' A700' <<<"$output" | head -1 | cut -d: -f1)" ]
    local taken=$((14 + $(grep -c ' 0000' <<<"$output")))
    echo >&8
    wait_until 10 patient_has 1 ' A700'
    run raw_send "$WORLD"/b/*.dcm
    [ "$output" = "rejected 2 3 2" ]
    [ "$(stored_files)" = "$taken" ]
    [ -z "$(find "$WORLD/spool/incoming" -type f)" ]
    [ "$(logged 'reception is closed: .* free, and 24.0 MiB are its reserve: .* until more than 40.0 MiB are free; free disk space')" = 1 ]
    [ "$(logged 'refused instance .* with A700')" = 0 ] # one for each association is enough
    [ "$(logged 'info    node: association .* [1-9][0-9]* refused, .*what was refused has to come again')" -ge 1 ]
    [[ "$(bridge studies)" == *"reception is closed: the spool $WORLD/spool has"* ]]
    [[ "$(studies_query .reception_closed)" == *"are its reserve"* ]]
    run bridge check
    [[ "$output" == *"FAIL  spool "*"the running bridge refuses senders: "* ]]

    # The cloud is back. Archives are laid out without a byte more on disk, and what is completed
    # goes long before retention.completed.
    sandbox_start
    wait_until 60 is_open_again 1
    [ "$(logged 'reception is closed')" = 1 ]
    [ "$(logged 'is stored, not compressed: .* kept for reception')" -ge 1 ]
    [ "$(logged 'files (.*) are removed before retention.completed has passed')" -ge 1 ]
    [ "$(studies_query .reception_closed)" = null ]
    run bridge check
    [[ "$output" == *"ok    spool "* ]]
    echo >&8
    exec 8>&-
    wait_until 10 patient_has 2 ' 0000'
    raw_send "$WORLD"/b/*.dcm "$WORLD"/c/*.dcm
    wait_until 60 all_is_delivered
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/[abc]/*.dcm | sort)" ]
    [ "$(studies_query '[.studies[].instances] | add')" = 32 ]
}

# sends one instance slowly enough that the disk can be filled while it is on its way
slow_sender() { # OUT FILE
    PYTHONPATH="$AURABRIDGE_SUPPORT" python3 - "$BRIDGE_PORT" "$@" 3>&- <<'PYTHON' &
import os, sys, time
import pdu_sender
instance = pdu_sender.read_part10(sys.argv[3])
sender = pdu_sender.Sender("127.0.0.1", int(sys.argv[1]), timeout=120)
sender.associate(pdu_sender.proposed_contexts([instance], False))
context = sender.context_for(instance.sop_class, instance.transfer_syntax)
sender.send_message_part(context, pdu_sender.command_set(
    pdu_sender.C_STORE, 1, instance.sop_class, instance.sop_instance), True)
half = len(instance.data) // 2
for at in range(0, half, 16000):
    sender.send_pdu(0x04, sender.pdv(context, instance.data[at:min(at + 16000, half)], False, False))
open(sys.argv[2] + ".half", "w").close()
while not os.path.exists(sys.argv[2] + ".go"):
    time.sleep(0.02)
sender.send_message_part(context, instance.data[half:], False)
with open(sys.argv[2], "w") as out:
    print("%04X %s" % sender.receive_response(), file=out)
sender.release()
PYTHON
    EXTRA_PIDS="${EXTRA_PIDS:-} $!"
}

@test "a disk that fills to the last byte in the middle of a data set and of an upload is no end" {
    sandbox_start --fault 'PATCH:slow:3000:1'
    small_disk 64m
    config_write
    sed -i 's/reserve: 1MiB/reserve: 0/' "$WORLD/aurabridge.yaml"
    bridge_start
    make_study "$WORLD/a" 2 1000000
    make_study "$WORLD/b" 1 20000000 # gets a file of its own
    raw_send "$WORLD"/a/*.dcm
    wait_until 20 grep -q 'tus: .*created' "$WORLD/bridge.log"
    slow_sender "$WORLD/slow" "$WORLD/b/000001.dcm"
    wait_until 10 test -e "$WORLD/slow.half"
    wait_until 10 eval '[ "$(stat -c %s "$WORLD"/spool/incoming/*.part)" -gt 9000000 ]' # of 10
    leave_free 65536 filler
    touch "$WORLD/slow.go"
    wait_until 20 test -s "$WORLD/slow"
    [ "$(cat "$WORLD/slow")" = "A700 Out of disk space, try again later" ]
    [ -z "$(find "$WORLD/spool/incoming" -type f)" ]
    [ "$(logged 'reception is closed')" = 1 ]
    # Full again, with the space that the refused instance gave back.
    leave_free 0 filler2
    run raw_send "$WORLD"/b/*.dcm
    [ "$output" = "rejected 2 3 2" ]
    [[ "$(bridge studies)" == *"reception is closed"* ]]
    wait_until 30 eval '[ "$(sandbox_count "\"PATCH\"")" -ge 1 ]'

    rm "$WORLD"/spool/filler*
    wait_until 10 is_open_again 1
    raw_send "$WORLD"/b/*.dcm
    wait_until 60 studies_are completed 2
    kill -0 "$BRIDGE_PID" # the same process
    [ "$(logged 'until a restart')" = 0 ]
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/[ab]/*.dcm | sort)" ]
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 2 ]
    [ -z "$(grep 'upload/error' "$WORLD/cloud/requests.jsonl")" ]
}

acknowledged() { # COUNT: at least so many
    [ "$(wc -l <"$WORLD/acknowledged")" -ge "$1" ]
}

@test "SIGTERM under load loses nothing: exit 0 in time, each acknowledged instance completed once" {
    sandbox_start --fault 'PATCH:slow:1500:3' --fault 'POST /uploader/upload/complete:slow:1500:2'
    bridge_start --set dicom.shutdown_timeout=1s --set study.quiet_period=300ms
    : >"$WORLD/acknowledged"
    local round
    for round in 1 2 3; do
        python3 "$AURABRIDGE_SUPPORT/steady_senders.py" --port "$BRIDGE_PORT" --senders 4 \
            >>"$WORLD/acknowledged" 2>>"$WORLD/senders" 3>&- &
        EXTRA_PIDS=$!
        wait_until 30 acknowledged $((round * 60))
        wait_until 30 grep -q '"PATCH"' "$WORLD/cloud/requests.jsonl"
        local before=$SECONDS
        kill -TERM "$BRIDGE_PID"
        wait "$BRIDGE_PID" # fails the test unless it is 0
        [ $((SECONDS - before)) -le $((1 + 2 * WORLD_PATIENCE)) ]
        wait "$EXTRA_PIDS"
        EXTRA_PIDS=
        BRIDGE_PID=
        [ -z "$(find "$WORLD/spool/incoming" -type f)" ]
        bridge_start --set dicom.shutdown_timeout=1s --set study.quiet_period=300ms
        [[ "$(tac "$WORLD/bridge.log" | grep -m1 'spool and ledger agree')" == *" 0 unfinished files removed, 0 files adopted, 0 files missing" ]]
    done
    wait_until 60 all_is_delivered
    archived_data_sets >"$WORLD/archived"
    [ -z "$(comm -23 <(sort "$WORLD/acknowledged") "$WORLD/archived")" ]
    [ -z "$(uniq -d "$WORLD/archived")" ]
    local completed
    completed=$(studies_query '[.studies[] | select(.state == "completed")] | length')
    [ "$(ls "$WORLD"/cloud/*.zip | wc -l)" = "$completed" ]
    [ -z "$(grep 'upload/error\|upload/cancel' "$WORLD/cloud/requests.jsonl")" ]
}
