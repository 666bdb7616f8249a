#!/usr/bin/env bats
# How uploads use the line: chunks, connections, a bandwidth limit, what is urgent, and what the
# status says. The whole bridge with the sandbox's API and the Tus project's own server.

bats_require_minimum_version 1.5.0
load world.bash

setup_file() { "$AURABRIDGE_SUPPORT/npm_install.sh"; }

setup() {
    world_setup
    mkdir "$WORLD/store"
    : >"$WORLD/tus.log"
}

teardown() { world_teardown; }

# make_study FOLDER MEGABYTES: one study, of random bytes.
make_study() {
    python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/$1" 1 $(($2 * 1000000)) >/dev/null
    python3 -c 'import os, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(-int(sys.argv[2]), 2)
    file.write(os.urandom(int(sys.argv[2])))' "$(echo "$WORLD/$1"/*.dcm)" $(($2 * 1000000))
}

tus_start() {
    node "$AURABRIDGE_SUPPORT/tus_server.mjs" --folder "$WORLD/store" "$@" >"$WORLD/tus.log" 2>&1 3>&- &
    EXTRA_PIDS="${EXTRA_PIDS:-} $!"
    wait_until 20 grep -q '^listening' "$WORLD/tus.log"
    TUS_URL=$(sed -n 's/^listening //p' "$WORLD/tus.log")
}

# relay NAME URL: the same URL, through a relay that counts connections in NAME.log.
relay() {
    local port
    port=$(echo "$2" | sed 's|.*127.0.0.1:\([0-9]*\)/.*|\1|')
    python3 "$AURABRIDGE_SUPPORT/counting_relay.py" "$port" >"$WORLD/$1.log" 2>&1 3>&- &
    EXTRA_PIDS="${EXTRA_PIDS:-} $!"
    wait_until 20 grep -q '^listening' "$WORLD/$1.log"
    RELAYED=$(echo "$2" | sed "s|:$port/|:$(sed -n 's/^listening //p' "$WORLD/$1.log")/|")
}

bridge_up() { bridge_start --set upload.compression=store "$@"; }

status_query() { bridge status --json | jq -r ".destinations[0] | $1"; }
status_is() { [ "$(status_query "$1")" = "$2" ]; }

# limit RATE: in the file, for a reload to find.
limit() {
    config_write
    sed -i "s|^upload:|upload:\n  limit: [{rate: $1}]|" "$WORLD/aurabridge.yaml"
}
sent_before_acknowledged() {
    [ "$(studies_query '.studies[0] | .upload_sent > .upload_offset')" = true ]
}

# all_are_under_way COUNT: so many studies have sent some of their bytes, and not all.
all_are_under_way() {
    [ "$(studies_query '[.studies[] | select(.upload_sent > 0)] | length')" = "$1" ]
}

@test "chunks grow, and one connection each way serves all studies" {
    tus_start
    relay tus-relay "$TUS_URL"
    sandbox_start --tus-endpoint "$RELAYED"
    relay api-relay "$SANDBOX_URL"
    SANDBOX_URL=$RELAYED
    bridge_up --set upload.workers=1 --set upload.chunk_size=1MiB
    for study in 1 2 3; do make_study "in$study" 10; done
    for study in 1 2 3; do
        raw_send "$WORLD/in$study"/*.dcm
        wait_until 30 studies_are completed "$study"
    done
    # 1, 2, 4 MiB and the rest; then 8 MiB and the rest; then all at once.
    [ "$(grep '^PATCH 204' "$WORLD/tus.log" | tr -dc '0-9\n' | sed 's/^204//' | xargs)" = \
        "0 1048576 3145728 7340032 0 8388608 0" ]
    [ "$(grep -c connection "$WORLD/tus-relay.log")" = 1 ]
    [ "$(grep -c connection "$WORLD/api-relay.log")" = 1 ]
}

@test "a size that was refused is refused once, not to each study" {
    tus_start --refuse-above 6000000
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up --set upload.workers=1
    for study in 1 2; do make_study "in$study" 12; done
    for study in 1 2; do
        raw_send "$WORLD/in$study"/*.dcm
        wait_until 30 studies_are completed "$study"
    done
    [ "$(grep -c '^PATCH 413' "$WORLD/tus.log")" = 1 ]
}

@test "chunks that are configured small grow no further than they pass" {
    tus_start --refuse-above 1000000
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up --set upload.workers=1 --set upload.chunk_size=400KiB
    for study in 1 2; do make_study "in$study" 3; done
    for study in 1 2; do
        raw_send "$WORLD/in$study"/*.dcm
        wait_until 30 studies_are completed "$study"
    done
    [ "$(grep -c '^PATCH 413' "$WORLD/tus.log")" = 1 ]
}

@test "a limit holds, the status says bytes and what has left, and a reload ends it in a running PATCH" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    limit 1Mbit/s
    bridge_up --set upload.chunk_size=64MiB
    make_study in 20 # three minutes at that rate
    raw_send "$WORLD"/in/*.dcm
    wait_until 30 status_is .brake bytes
    [ "$(status_query .bytes_per_second_limit)" = 125000 ]
    wait_until 30 sent_before_acknowledged
    bridge studies | grep '% sent, 0% acknowledged'
    local before after
    before=$(status_query .bytes_sent)
    sleep 3 # what is measured: bytes over some time
    after=$(status_query .bytes_sent)
    echo "$((after - before)) bytes in 3 s at 125000 a second"
    [ $((after - before)) -ge 250000 ] && [ $((after - before)) -le 900000 ]
    bridge status | grep -q 'of 1 Mbit/s'
    config_write
    kill -HUP "$BRIDGE_PID"
    wait_until 15 studies_are completed 1
    [ "$(grep -c '^PATCH' "$WORLD/tus.log")" = 1 ]
    status_is .brake none
    [ "$(status_query .bytes_per_second_limit)" = null ]
}

@test "as many studies are on their way at once as there are workers, and the next follows" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    limit 1Mbit/s
    bridge_up --set upload.workers=3
    for study in 1 2 3 4; do
        make_study "in$study" 5
        raw_send "$WORLD/in$study"/*.dcm
    done
    wait_until 30 studies_are ready 1
    wait_until 30 all_are_under_way 3
    studies_are uploading 3
    [ "$(status_query .studies_waiting)" = 1 ]
    config_write
    kill -HUP "$BRIDGE_PID"
    wait_until 30 studies_are completed 4
    [ "$(grep -c '^POST 201' "$WORLD/tus.log")" = 4 ]
}

@test "a destination takes twenty studies in a minute at its sixty calls, the next waits, and no call is turned away" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL" --limit-lifecycle 60
    # One worker, which ends what it began: of four, three may have begun when the calls are used up.
    bridge_up --set destinations.main.limits.lifecycle=60 --set upload.workers=1
    for study in $(seq 21); do
        python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/in$study" 1 1000 >/dev/null
    done
    local before=$SECONDS
    raw_send "$WORLD"/in*/*.dcm
    wait_until 12 studies_are completed 20
    echo "twenty after $((SECONDS - before)) s"
    [ $((SECONDS - before)) -lt 60 ]
    wait_until 5 status_is '"\(.brake) \(.calls_left)"' 'calls 0'
    [ "$(sandbox_count '"status":429')" = 0 ]
}

# damage FILE: another byte, near its end.
damage() {
    python3 -c 'import os, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(-1000, os.SEEK_END)
    byte = file.read(1)[0]
    file.seek(-1, os.SEEK_CUR)
    file.write(bytes([byte ^ 1]))' "$1"
}

# archive_is_whole: of what the server stored, the one archive that is complete.
archive_is_whole() {
    local file whole=0
    for file in "$WORLD"/store/*; do
        case $file in *.json) continue ;; esac
        unzip -tq "$file" >/dev/null 2>&1 && whole=$((whole + 1))
    done
    [ "$whole" = 1 ]
}

@test "a compressed member that goes bad while it is sent is made again, and sent from the start" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    limit 1Mbit/s
    bridge_start --set upload.compression=deflate --set upload.chunk_size=1MiB
    make_study in 6
    python3 -c 'import os, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(-6000000, 2)
    file.write(os.urandom(3000000).hex().encode())' "$WORLD"/in/*.dcm
    raw_send "$WORLD"/in/*.dcm
    wait_until 30 sent_before_acknowledged
    damage "$WORLD/spool/packages/S1.deflated"
    config_write
    kill -HUP "$BRIDGE_PID"
    wait_until 30 studies_are completed 1
    grep -q 'S1.*are not those received' "$WORLD/bridge.log"
    [ "$(grep -c '^POST 201' "$WORLD/tus.log")" = 2 ]
    archive_is_whole
}

@test "a file that goes bad while it is sent sets its study aside until its sender has mended it" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    limit 1Mbit/s
    bridge_up --set upload.chunk_size=1MiB
    make_study in 3
    raw_send "$WORLD"/in/*.dcm
    wait_until 30 sent_before_acknowledged
    damage "$(echo "$WORLD"/spool/studies/*/*.dcm)"
    config_write
    kill -HUP "$BRIDGE_PID"
    wait_until 30 studies_are quarantined 1
    [[ "$(studies_query '.studies[0].reason')" == *"not those received"*"have it sent again"* ]]
    raw_send "$WORLD"/in/*.dcm
    wait_until 10 grep -q 'is there again and takes the place' "$WORLD/bridge.log"
    bridge release S1
    wait_until 30 studies_are completed 1
    archive_is_whole
    [ "$(grep -c '^POST 201' "$WORLD/tus.log")" = 2 ]
}

@test "an urgent study waits for no large one; one that waits for its share of the line hears cancel and SIGTERM" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    limit 2Mbit/s
    cat >>"$WORLD/ae-titles.yaml" <<YAML
- {name: emergency, called: CLINIC_A, destination: main, priority: urgent}
YAML
    bridge_up --set upload.workers=1
    make_study large 30 # two minutes
    make_study small 1
    make_study other 1
    raw_send "$WORLD"/large/*.dcm
    wait_until 30 sent_before_acknowledged
    raw_send "$WORLD"/other/*.dcm
    raw_send --called CLINIC_A "$WORLD"/small/*.dcm
    wait_until 30 studies_are completed 1
    [ "$(studies_query '.studies[] | select(.state == "completed") | .entry')" = emergency ]
    [ "$(studies_query '.studies[] | select(.entry == "emergency") | .priority')" = urgent ]
    studies_are uploading 1
    studies_are ready 1
    [ "$(status_query .studies_waiting)" = 1 ]
    bridge cancel S1
    wait_until 20 studies_are cancelled 1
    wait_until 20 studies_are completed 2
    bridge retry S1
    wait_until 30 sent_before_acknowledged
    local before=$SECONDS
    bridge_stop
    [ $((SECONDS - before)) -le 8 ]
    grep -q 'serve: stopped' "$WORLD/bridge.log"
}

@test "the status says calls when the rate limits are what is waited for, and away when it is" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up --set 'destinations.main.limits.lifecycle=4'
    for study in 1 2; do
        make_study "in$study" 1
        raw_send "$WORLD/in$study"/*.dcm
    done
    wait_until 30 status_is .brake calls
    [ "$(status_query .calls_limit)" = 4 ]
    [ "$(status_query .calls_left)" = 0 ]
    [ "$(status_query .next_call_in_s)" -ge 1 ] && [ "$(status_query .next_call_in_s)" -le 61 ]
    [ "$(status_query .waiting_for_calls)" -ge 1 ]
    bridge status --metrics | grep -q '^aurabridge_brake{destination="main",brake="calls"} 1$'
    bridge status --metrics | grep -q '^aurabridge_calls_left{destination="main"} 0$'
    bridge status | grep -q 'rate limits'
    bridge_stop
    run ! bridge status
    [[ "$output" == *"no bridge runs"* ]]
    sandbox_stop
    bridge_up
    wait_until 30 status_is .brake away
    [[ "$(status_query .reason)" == *"127.0.0.1"* ]]
    bridge status --metrics | grep -q '^aurabridge_brake{destination="main",brake="away"} 1$'
    # The worker for urgent studies, which has none, keeps the others from no probe.
    local before=$SECONDS
    sandbox_start --tus-endpoint "$TUS_URL"
    wait_until 15 studies_are completed 2
    echo "after $((SECONDS - before)) s"
    [ "$(sandbox_count '"/api/auth/exchange"')" -ge 1 ]
}
