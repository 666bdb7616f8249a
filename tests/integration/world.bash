# A world for one test: a folder, a sandbox, a bridge. Everything listens on loopback, port 0, and is
# gone after the test.
#
# From ctest: AURABRIDGE (the binary), AURABRIDGE_DICOM (real files), AURABRIDGE_SUPPORT (helpers).

world_setup() {
    [ -d "$AURABRIDGE_DICOM" ] || {
        echo "real DICOM files are not at $AURABRIDGE_DICOM (set AURABRIDGE_DICOM)" >&2
        return 1
    }
    WORLD=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/world.XXXXXX")
    mkdir "$WORLD/spool" "$WORLD/cloud"
    printf 'sandbox-app\n' >"$WORLD/app_id"
    printf 'sandbox-secret\n' >"$WORLD/app_secret"
    printf 'sandbox-key\n' >"$WORLD/service_api_key"
    chmod 600 "$WORLD"/app_* "$WORLD/service_api_key"
    BRIDGE_PID=
    SANDBOX_PID=
}

world_teardown() {
    local pid failed=0
    for pid in $BRIDGE_PID $SANDBOX_PID ${EXTRA_PIDS:-}; do
        kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    [ -z "${BATS_TEST_COMPLETED:-}" ] || world_audit || failed=1
    if [ -n "${WORLD_DISK:-}" ]; then
        umount "$WORLD_DISK" || umount -l "$WORLD_DISK"
    fi
    if [ -z "${BATS_TEST_COMPLETED:-}" ] && [ -n "${WORLD:-}" ]; then
        echo "--- bridge" && tail -n 60 "$WORLD/bridge.log" 2>/dev/null
        echo "--- sandbox" && tail -n 30 "$WORLD/sandbox.log" 2>/dev/null
    fi
    rm -rf "$WORLD"
    return $failed
}

# After every case, whatever it did, and after the kill that ended it: everything that was
# acknowledged is accounted for. A test that breaks the spool on purpose says WORLD_AUDIT=no.
world_audit() {
    [ -f "$WORLD/spool/ledger.sqlite" ] && [ "${WORLD_AUDIT:-yes}" = yes ] || return 0
    config_write # a test may have broken its own
    bridge audit >"$WORLD/audit.txt" 2>&1 || { cat "$WORLD/audit.txt"; return 1; }
}

# small_disk SIZE: the spool stands on a file system of its own, of so many bytes (64m).
small_disk() {
    mount -t tmpfs -o "size=$1" tmpfs "$WORLD/spool" || {
        echo "this test mounts a tmpfs for the spool and cannot: run it as root (CAP_SYS_ADMIN)" >&2
        return 1
    }
    WORLD_DISK=$WORLD/spool
}

# wait_until SECONDS COMMAND…: polls for a state; fails when it does not come. The seconds are those
# of an idle machine: under a sanitizer, beside other tests, everything takes a few times as long.
WORLD_PATIENCE=4
wait_until() {
    local end=$((SECONDS + $1 * WORLD_PATIENCE))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "never came: $*" >&2; return 1; }
        sleep 0.1
    done
}

sandbox_start() {
    : >"$WORLD/sandbox.log"
    "$AURABRIDGE" sandbox --listen "127.0.0.1:${SANDBOX_PORT:-0}" --directory "$WORLD/cloud" \
        --app-id sandbox-app --app-secret sandbox-secret --service-api-key sandbox-key \
        --limit-exchange 600 --limit-config 600 --limit-lifecycle 600 "$@" \
        >"$WORLD/sandbox.log" 2>&1 3>&- &
    SANDBOX_PID=$!
    wait_until 20 grep -q 'sandbox listening on' "$WORLD/sandbox.log"
    SANDBOX_URL=$(sed -n 's/.*sandbox listening on \(http[^ ]*\).*/\1/p' "$WORLD/sandbox.log" | head -1)
    SANDBOX_PORT=${SANDBOX_URL##*:}
    SANDBOX_PORT=${SANDBOX_PORT%%/*}
}

sandbox_stop() {
    kill "$SANDBOX_PID" && wait "$SANDBOX_PID"
    SANDBOX_PID=
}

# Lines of the sandbox's journal that match: sandbox_count 'complete'
sandbox_count() {
    [ -f "$WORLD/cloud/requests.jsonl" ] || { echo 0; return; }
    grep -c -- "$1" "$WORLD/cloud/requests.jsonl" || true
}

config_write() {
    cat >"$WORLD/aurabridge.yaml" <<YAML
dicom:
  listen: "127.0.0.1:${BRIDGE_PORT:-0}"
  ae_titles: [AURABRIDGE, CLINIC_A]
spool:
  directory: $WORLD/spool
  reserve: 1MiB
  journal: 16MiB
study:
  quiet_period: 1s
  association_hold: 5s
  max_wait: 60s
upload:
  workers: 2
  retry: {first: 200ms, ceiling: 1s}
destinations:
  main:
    api_base_url: ${SANDBOX_URL:-http://127.0.0.1:9/api}
    app_id: file:$WORLD/app_id
    app_secret: file:$WORLD/app_secret
    service_api_key: file:$WORLD/service_api_key
    limits: {exchange: 600, config: 600, lifecycle: 600}
    timeout: 10s
ae_title_map: ae-titles.yaml
YAML
    cat >"$WORLD/ae-titles.yaml" <<YAML
- name: all
  called: AURABRIDGE
  destination: main
  context:
    patient_id: "{PatientID}"
    referral_id: "{AccessionNumber}"
    patient:
      given_names: "{PatientName.given}"
      family_name: "{PatientName.family}"
      date_of_birth: "{PatientBirthDate:date}"
      sex: "{PatientSex:sex}"
YAML
}

bridge_start() {
    [ -f "$WORLD/aurabridge.yaml" ] || config_write
    echo "=== start $*" >>"$WORLD/bridge.log"
    "$AURABRIDGE" serve --config "$WORLD/aurabridge.yaml" "$@" 2>>"$WORLD/bridge.log" 3>&- &
    BRIDGE_PID=$!
    wait_until 30 bridge_is_ready
    BRIDGE_PORT=$(tac "$WORLD/bridge.log" | sed -n 's/.*listening on .*:\([0-9][0-9]*\).*/\1/p' | head -1)
}

bridge_is_ready() {
    tac "$WORLD/bridge.log" | sed '/^=== start/q' | grep -q 'is ready' ||
        { kill -0 "$BRIDGE_PID" 2>/dev/null || { cat "$WORLD/bridge.log" >&2; exit 1; }; false; }
}

bridge_stop() {
    kill -TERM "$BRIDGE_PID"
    wait "$BRIDGE_PID"
    BRIDGE_PID=
}

bridge_kill() {
    kill -9 "$BRIDGE_PID"
    wait "$BRIDGE_PID" 2>/dev/null || true
    BRIDGE_PID=
}

bridge() {
    local command=$1
    shift
    "$AURABRIDGE" "$command" --config "$WORLD/aurabridge.yaml" "$@"
}

# studies_query JQ: the answer of `studies --json` through jq. It is polled, hundreds of times in a
# test; leaks of the command are looked for where it is called for its own sake.
studies_query() {
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 bridge studies --json | jq -r "$1"
}

# studies_are STATE COUNT: how many studies are in the state.
studies_are() {
    [ "$(studies_query "[.studies[] | select(.state == \"$1\")] | length" 2>/dev/null)" = "$2" ]
}

# send FILES…: by dcmsend, in the transfer syntax that each file carries.
send() {
    dcmsend -aet "${CALLING:-MODALITY}" -aec "${CALLED:-AURABRIDGE}" 127.0.0.1 "$BRIDGE_PORT" "$@"
}

# raw_send OPTIONS FILES…: our own PDU-level sender.
raw_send() {
    python3 "$AURABRIDGE_SUPPORT/pdu_sender.py" --host 127.0.0.1 --port "$BRIDGE_PORT" \
        --calling MODALITY --called AURABRIDGE "$@"
}

# archived_data_sets: "<sop instance uid> <sha256 of the data set>" of every entry of every zip.
archived_data_sets() {
    python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/cloud/*.zip | sort
}
