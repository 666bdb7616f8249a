#!/usr/bin/env bats
# The whole bridge with the sandbox's API and the Tus project's own server: interruptions at several
# points, by the server and by the bridge, end in one completed upload with every instance.

load world.bash

setup_file() { "$AURABRIDGE_SUPPORT/npm_install.sh"; }

setup() {
    world_setup
    mkdir "$WORLD/store"
    python3 "$AURABRIDGE_SUPPORT/make_instances.py" "$WORLD/in" 4 5000000 >/dev/null
    python3 -c 'import os, sys
for path in sys.argv[1:]:
    with open(path, "r+b") as file:
        file.seek(-5000000, 2)
        file.write(os.urandom(5000000))' "$WORLD"/in/*.dcm
}

teardown() { world_teardown; }

# tus_start FAULTS…: on the port that it had before, over what it had stored.
tus_start() {
    : >"$WORLD/tus.log"
    node "$AURABRIDGE_SUPPORT/tus_server.mjs" --folder "$WORLD/store" --port "${TUS_PORT:-0}" "$@" \
        >"$WORLD/tus.log" 2>&1 3>&- &
    EXTRA_PIDS=$!
    wait_until 20 grep -q '^listening' "$WORLD/tus.log"
    TUS_URL=$(sed -n 's/^listening //p' "$WORLD/tus.log")
    TUS_PORT=$(echo "$TUS_URL" | sed 's|.*:\([0-9]*\)/.*|\1|')
}

tus_stop() {
    kill -9 "$EXTRA_PIDS"
    wait "$EXTRA_PIDS" 2>/dev/null || true
    EXTRA_PIDS=
}

stored_bytes() { find "$WORLD/store" -type f ! -name '*.json' -printf '%s\n' | sort -n | tail -1; }

stored_at_least() {
    local bytes
    bytes=$(stored_bytes)
    [ "${bytes:-0}" -ge "$1" ]
}

bridge_up() { bridge_start --set upload.compression=store --set upload.chunk_size=5MiB; }

# One upload on the server, whole, with the data sets that were sent; completed once.
one_whole_upload() {
    wait_until 60 studies_are completed 1
    [ "$(studies_query '.studies | length')" = 1 ]
    [ "$(find "$WORLD/store" -type f ! -name '*.json' | wc -l)" = 1 ]
    cp "$(find "$WORLD/store" -type f ! -name '*.json')" "$WORLD/stored.zip"
    [ "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD/stored.zip" | sort)" = \
        "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/in/*.dcm | sort)" ]
    unzip -tq "$WORLD/stored.zip"
    [ "$(sandbox_count '"/api/uploader/upload/init"')" = 1 ]
    [ "$(sandbox_count '"/api/uploader/upload/complete"')" = 1 ]
}

# Holds the upload where it is: the connection breaks at BYTES, and no HEAD is answered.
upload_until() {
    tus_start --break-after "$1" --status HEAD:500:1000000
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up
    raw_send "$WORLD"/in/*.dcm
    wait_until 30 grep -q 'HEAD' "$WORLD/tus.log"
    # What was under way when the connection broke is not all stored.
    stored_at_least $(($1 / 2))
    ! stored_at_least 20000000
}

@test "an upload to the real server" {
    tus_start
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up
    raw_send "$WORLD"/in/*.dcm
    one_whole_upload
}

@test "the server breaks the connection at three points" {
    tus_start --break-after 3000000,9000000,17000000
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up
    raw_send "$WORLD"/in/*.dcm
    one_whole_upload
    [ "$(grep -c 'going on at' "$WORLD/bridge.log")" -ge 3 ]
    # It keeps what a broken PATCH brought: the rest goes in one, each time.
    [ "$(grep -c '^PATCH 204' "$WORLD/tus.log")" = 1 ]
}

@test "kill -9 of the bridge in the middle: it goes on from the server's offset" {
    upload_until 6000000
    bridge_kill
    tus_stop
    tus_start
    bridge_up
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "SIGTERM of the bridge in the middle: it goes on from the server's offset" {
    upload_until 12000000
    bridge_stop
    tus_stop
    tus_start
    bridge_up
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "the server is killed in the middle and comes back" {
    upload_until 17000000
    tus_stop
    wait_until 20 grep -q 'tus: .*failed' "$WORLD/bridge.log"
    tus_start
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

# Stops the bridge's PATCH at BYTES: the server has the request open and reads no more of it.
hold_at() {
    tus_start --hold-after "$1"
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up
    raw_send "$WORLD"/in/*.dcm
    wait_until 30 grep -q '^held at' "$WORLD/tus.log"
    studies_are uploading 1
}

@test "kill -9 of the bridge inside a PATCH, the server stays: one whole upload" {
    hold_at 7000000
    bridge_kill
    bridge_up
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "SIGTERM of the bridge inside a PATCH ends in time, and the upload goes on" {
    hold_at 12000000
    local before=$SECONDS
    bridge_stop
    [ $((SECONDS - before)) -le 8 ]
    grep -q 'stopped' "$WORLD/bridge.log"
    bridge_up
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "the server is killed inside a PATCH and comes back" {
    hold_at 17000000
    tus_stop
    wait_until 20 grep -q 'tus: .*failed' "$WORLD/bridge.log"
    tus_start
    one_whole_upload
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "a server that reads no more is given up after a while, and the upload goes on" {
    hold_at 7000000
    one_whole_upload
    grep -q 'no progress for 10000 ms' "$WORLD/bridge.log"
    grep -q 'going on at [1-9]' "$WORLD/bridge.log"
}

@test "the server loses the upload: it is made anew, and completed once" {
    tus_start --lose-after 8000000
    sandbox_start --tus-endpoint "$TUS_URL"
    bridge_up
    raw_send "$WORLD"/in/*.dcm
    one_whole_upload
}
