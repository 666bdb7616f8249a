#!/usr/bin/env bats
# Our Tus client against the Tus project's own server. TUS_SEND names the sender.

bats_require_minimum_version 1.5.0

setup_file() {
    "$BATS_TEST_DIRNAME/../support/npm_install.sh"
    head -c 20000003 /dev/urandom >"$BATS_FILE_TMPDIR/archive"
    : "${TUS_SEND:?names the tus_send program}"
}

setup() {
    archive=$BATS_FILE_TMPDIR/archive
    state=$BATS_TEST_TMPDIR/state
    store=$BATS_TEST_TMPDIR/store
    log=$BATS_TEST_TMPDIR/server.log
    server=
    mkdir "$store"
}

teardown() {
    stop_server
}

stop_server() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}

# Starts the server with faults and waits until it says that it listens.
start_server() {
    : >"$log"
    node "$BATS_TEST_DIRNAME/../support/tus_server.mjs" --folder "$store" --token lift "$@" \
        >"$log" 2>&1 3>&- &
    server=$!
    for _ in $(seq 200); do
        endpoint=$(sed -n 's/^listening //p' "$log")
        [ -n "$endpoint" ] && return 0
        kill -0 "$server" || break
        sleep 0.05
    done
    cat "$log"
    return 1
}

send() { # chunk calls stop-after
    run "$TUS_SEND" "$endpoint" "${token:-lift}" "$archive" "$state" "$@"
    echo "$output"
    cat "$log"
}

# What the server keeps for the upload that the state names.
stored_equals_sent() {
    local id
    id=$(basename "$(cut -d' ' -f2 "$state")")
    cmp "$archive" "$store/$id"
    [ "$(sha256sum <"$archive")" = "$(sha256sum <"$store/$id")" ]
}

one_upload() {
    [ "$(grep -c '^POST 201' "$log")" -eq 1 ]
}

@test "creates, sends in chunks, and the stored file is the sent one" {
    start_server
    send 5242880
    [ "$status" -eq 0 ]
    [ "$(grep -c '^PATCH 204' "$log")" -eq 4 ]
    one_upload
    stored_equals_sent
}

@test "takes a relative Location" {
    start_server --relative
    send 30000000
    [ "$status" -eq 0 ]
    stored_equals_sent
}

@test "connection lost at three points in one run" {
    start_server --break-after 1000,7000000,19000000
    send 8388608 5
    [ "$status" -eq 0 ]
    [ "$(grep -c '^broken' "$log")" -eq 3 ]
    one_upload
    stored_equals_sent
}

@test "sender killed after the creation, after a chunk, and before the end" {
    start_server
    for records in 1 2 2; do
        send 5242880 1 "$records"
        [ "$status" -eq 42 ]
    done
    send 5242880
    [ "$status" -eq 0 ]
    one_upload
    stored_equals_sent
}

@test "an upload that is done is not sent again" {
    start_server
    send 30000000
    [ "$status" -eq 0 ]
    send 30000000
    [ "$status" -eq 0 ]
    [ "$(grep -c '^PATCH' "$log")" -eq 1 ]
}

@test "server restarted in the middle" {
    start_server
    send 5242880 1 3
    [ "$status" -eq 42 ]
    port=${endpoint#http://127.0.0.1:}
    port=${port%%/*}
    stop_server
    send 5242880
    [ "$status" -eq 1 ]
    [[ "$output" == *"away offset 10485760"* ]]
    start_server --port "$port"
    send 5242880
    [ "$status" -eq 0 ]
    stored_equals_sent
}

@test "423 and 500 pass" {
    start_server --status PATCH:423:1 --status HEAD:500:1
    send 8388608
    [ "$status" -eq 0 ]
    one_upload
    stored_equals_sent
}

@test "a server that keeps failing ends the call, and the next one goes on" {
    start_server --status PATCH:503:3
    send 8388608
    [ "$status" -eq 1 ]
    [[ "$output" == *"retry offset 0 "*"503"* ]]
    send 8388608
    [ "$status" -eq 0 ]
    one_upload
    stored_equals_sent
}

@test "an upload the server lost is created anew" {
    start_server --lose-after 6000000
    send 5242880 2
    [ "$status" -eq 0 ]
    [[ "$output" == *"gone offset 0"* ]]
    [ "$(grep -c '^POST 201' "$log")" -eq 2 ]
    stored_equals_sent
}

@test "the server's lower offset is the truth" {
    start_server --lower-head 3000000
    send 5242880 1 3
    [ "$status" -eq 42 ]
    send 30000000
    [ "$status" -eq 0 ]
    [[ "$output" == *"fewer than"* ]]
    grep -q '^PATCH 204 from 3000000' "$log"
    stored_equals_sent
}

@test "a wrong lift token asks for a new one and shows none" {
    start_server
    token=not-the-lift-token send 5242880
    [ "$status" -eq 1 ]
    [[ "$output" == *"renew token"*"401"* ]]
    [[ "$output" != *"not-the-lift-token"* ]]
}

@test "a new token goes on with the same upload" {
    start_server --status PATCH:401:1
    send 5242880
    [ "$status" -eq 1 ]
    [[ "$output" == *"renew token"* ]]
    send 5242880
    [ "$status" -eq 0 ]
    one_upload
    stored_equals_sent
}

@test "413 leads to smaller chunks" {
    start_server --refuse-above 6000000
    send 16777216
    [ "$status" -eq 0 ]
    [[ "$output" == *"chunk 5242880"* ]]
    one_upload
    stored_equals_sent
}

@test "413 to the smallest chunk is permanent" {
    start_server --refuse-above 1000000
    send 16777216
    [ "$status" -eq 1 ]
    [[ "$output" == *"too large"* ]]
}

@test "longer than Tus-Max-Size is permanent, and nothing is created" {
    start_server --max-size 20000002
    send 5242880
    [ "$status" -eq 1 ]
    [[ "$output" == *"too large"*"20000002"* ]]
    run ! grep -q '^POST' "$log"
}

@test "PATCH that is blocked travels as POST" {
    start_server --no-patch
    send 8388608
    [ "$status" -eq 0 ]
    grep -q '^PATCH 405' "$log"
    one_upload || cat "$log"
    stored_equals_sent
}

@test "a server that does not speak Tus is a wrong destination" {
    start_server
    endpoint=${endpoint%files/}nothing
    send 5242880
    [ "$status" -eq 1 ]
    [ ! -e "$state" ]
}
