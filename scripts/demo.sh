#!/bin/bash
# The whole way once, on this machine alone: three sample studies go by C-STORE to a bridge, and
# from there to a sandbox Aurabox. Needs Debian 12; root only when packages are missing.
#
#   scripts/demo.sh           ends by itself and leaves nothing running
#   scripts/demo.sh --keep    leaves bridge and sandbox running, and says where
#
# AURABRIDGE_PROGRAM=/path/to/aurabridge takes that program and builds nothing.
set -euo pipefail

DEADLINE=120 # seconds for everything to arrive
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/scripts/packages.sh"

keep=no
case ${1-} in
'') ;;
--keep) keep=yes ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [ "$1" = --help ] && exit 0 || exit 2
    ;;
esac

folder=
sandbox_pid=
serve_pid=
finished=no

say() { printf '%s\n' "$*"; }

# Bridge first, so that it does not miss its Aurabox while it says goodbye.
stop() {
    local pid
    for pid in $serve_pid $sandbox_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

leave() {
    local status=$?
    trap - EXIT
    [ "$finished" = yes ] && [ "$keep" = yes ] && exit "$status"
    stop
    if [ -n "$folder" ]; then
        if [ "$status" -ne 0 ] && [ "$finished" = no ] && [ -s "$folder/bridge.log" ]; then
            { say "The last lines of the bridge's log:" && tail -n 15 "$folder/bridge.log"; } >&2 ||
                true # nobody may be there to read it
        fi
        rm -rf "$folder"
    fi
    exit "$status"
}
# A terminal that goes sends more than one signal, and so does who is in a hurry.
end() {
    trap '' HUP INT TERM
    exit "$1"
}
trap leave EXIT
trap 'end 129' HUP
trap 'end 130' INT
trap 'end 143' TERM

compile() {
    cmake -S "$root" -B "$root/build/demo" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DAURABRIDGE_TESTS=OFF && cmake --build "$root/build/demo" --target aurabridge
}

# One line that moves on, where someone looks: the build takes minutes on a small machine.
show_progress() {
    local line
    while IFS= read -r line; do
        [ -t 1 ] && printf '\r\033[K  %.76s' "$line"
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

build() {
    # shellcheck disable=SC2086  # lists of words
    packages_install $PACKAGES_BUILD $PACKAGES_DEMO
    say "Building (Release) in build/demo …"
    local log=$root/build/demo/demo-build.log
    mkdir -p "$root/build/demo"
    if ! compile 2>&1 | tee "$log" | show_progress; then
        tail -n 40 "$log" >&2
        say "The build failed; all of its output is in $log" >&2
        exit 1
    fi
    program=$root/build/demo/aurabridge
}

# Waits for a line in a file that a process of ours writes: wait_for PID FILE PATTERN
wait_for() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if sed -n "$3" "$2" 2>/dev/null | grep -m 1 .; then return 0; fi
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    return 1
}

start_sandbox() {
    setsid "$program" sandbox --listen 127.0.0.1:0 --directory "$folder/aurabox" \
        --app-id demo-app --app-secret "$1" --service-api-key demo-key \
        </dev/null >"$folder/sandbox.log" 2>&1 &
    sandbox_pid=$!
    sandbox_url=$(wait_for $sandbox_pid "$folder/sandbox.log" 's/^sandbox listening on //p') || {
        cat "$folder/sandbox.log" >&2
        say "The sandbox did not start." >&2
        exit 1
    }
}

write_configuration() {
    umask 077
    printf 'demo-app' >"$folder/app_id"
    printf '%s' "$1" >"$folder/app_secret"
    printf 'demo-key' >"$folder/service_api_key"
    cat >"$folder/aurabridge.yaml" <<END
dicom:
  listen: "127.0.0.1:0"
  ae_titles: [AURABRIDGE]
spool:
  directory: $folder/spool
  reserve: 64MiB
study:
  quiet_period: 2s
destinations:
  sandbox:
    api_base_url: $sandbox_url
    app_id: file:$folder/app_id
    app_secret: file:$folder/app_secret
    service_api_key: file:$folder/service_api_key
ae_title_map:
  - name: demo
    called: AURABRIDGE
    destination: sandbox
    context:
      patient_id: "{PatientID}"
      referral_id: "{AccessionNumber}"
      patient:
        given_names: "{PatientName.given}"
        family_name: "{PatientName.family}"
        date_of_birth: "{PatientBirthDate:date}"
        sex: "{PatientSex:sex}"
END
}

start_bridge() {
    setsid "$program" serve --config "$folder/aurabridge.yaml" \
        </dev/null >"$folder/bridge.log" 2>&1 &
    serve_pid=$!
    local address
    address=$(wait_for $serve_pid "$folder/bridge.log" \
        's/.*listening on \(127\.0\.0\.1:[1-9][0-9]*\).*/\1/p') || {
        say "The bridge did not start." >&2
        exit 1
    }
    dicom_port=${address##*:}
}

send() {
    local study
    for study in ct mr us; do
        say "  dcmsend -aec AURABRIDGE 127.0.0.1 $dicom_port $study/*.dcm"
        dcmsend -q -aet DEMO_SCU -aec AURABRIDGE 127.0.0.1 "$dicom_port" \
            "$folder/samples/$study"/*.dcm || {
            say "dcmsend could not send the $study study." >&2
            exit 1
        }
    done
}

report() { # watch | table
    python3 "$root/scripts/demo_report.py" "$@"
}

watch_arrival() {
    report watch "$DEADLINE" "$program" "$folder/aurabridge.yaml" "$folder/samples" || {
        say "Not everything arrived within $DEADLINE s." >&2
        exit 1
    }
}

next_steps() {
    if [ "$keep" = yes ]; then
        cat <<END

Left running:
  bridge    AURABRIDGE at 127.0.0.1:$dicom_port   process $serve_pid, log $folder/bridge.log
  sandbox   $sandbox_url   process $sandbox_pid, files $folder/aurabox
Try:
  scripts/make-samples.sh /tmp/more && dcmsend -aec AURABRIDGE 127.0.0.1 $dicom_port /tmp/more/*/*.dcm
  $program studies --config $folder/aurabridge.yaml
End it:
  kill $serve_pid $sandbox_pid; tail --pid=$serve_pid -f /dev/null; tail --pid=$sandbox_pid -f /dev/null; rm -r $folder
END
    else
        cat <<END

What to try next:
  scripts/demo.sh --keep      leaves both running, to send studies of your own
  $program --help
  etc/aurabridge.yaml         the commented configuration, for a real Aurabox tenant
END
    fi
}

program=${AURABRIDGE_PROGRAM-}
if [ -n "$program" ]; then
    # shellcheck disable=SC2086
    packages_install $PACKAGES_DEMO
else
    build
fi
folder=$(mktemp -d -t aurabridge-demo.XXXXXX)
secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

say "Making three sample studies …"
"$root/scripts/make-samples.sh" "$folder/samples"
start_sandbox "$secret"
write_configuration "$secret"
start_bridge
say "The bridge listens at 127.0.0.1:$dicom_port, its Aurabox is $sandbox_url. Sending:"
send
watch_arrival
report table "$program" "$folder/aurabridge.yaml" "$folder/samples" "$folder/aurabox"
finished=yes
next_steps
