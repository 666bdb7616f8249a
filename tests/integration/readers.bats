#!/usr/bin/env bats
# An archive as other people's readers see it, and members that are compressed as they come.

load world.bash

setup_file() { "$AURABRIDGE_SUPPORT/npm_install.sh"; }
setup() { world_setup; }
teardown() { world_teardown; }

# fill FILE…: their last bytes become noise, which does not shrink.
fill() {
    python3 -c 'import os, sys
for path in sys.argv[1:]:
    with open(path, "r+b") as file:
        file.seek(-60000, 2)
        file.write(os.urandom(60000))' "$@"
}

# A study whose members are deflated in one call (1, 2), and as a stream (7), and stored since they
# would not shrink (3, 4) or are encapsulated (the JPEG).
make_study() {
    local support=$AURABRIDGE_SUPPORT
    study=$(python3 "$support/make_instances.py" "$WORLD/in" 4 60000)
    fill "$WORLD/in/000003.dcm" "$WORLD/in/000004.dcm"
    python3 "$support/make_instances.py" "$WORLD/large" 1 9000000 "$study" >/dev/null
    mv "$WORLD/large/000001.dcm" "$WORLD/in/000007.dcm"
    cp "$AURABRIDGE_DICOM/JPEG2000.dcm" "$WORLD/in/jpeg.dcm"
    dcmodify -nb -imt -m "StudyInstanceUID=$study" -m 'PatientID=SYN-1' \
        -m 'PatientName=Synthetic^Sample' "$WORLD/in/jpeg.dcm"
}

@test "stored and deflated members: unzip, Python, zip.js and Java's streaming reader agree" {
    make_study
    sandbox_start
    bridge_start
    raw_send "$WORLD"/in/*.dcm
    wait_until 20 studies_are completed 1
    [ "$(archived_data_sets)" = "$(python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/in/*.dcm | sort)" ]
    local archive
    archive=$(echo "$WORLD"/cloud/*.zip)
    unzip -tq "$archive"
    python3 "$AURABRIDGE_SUPPORT/zip_list.py" "$archive" >"$WORLD/python"
    [ "$(grep -c ' deflated$' "$WORLD/python")" = 3 ]
    [ "$(grep -c ' stored$' "$WORLD/python")" = 3 ]
    node "$AURABRIDGE_SUPPORT/zip_list.mjs" "$archive" >"$WORLD/zip.js"
    diff "$WORLD/python" "$WORLD/zip.js"
    java "$AURABRIDGE_SUPPORT/zip_list.java" "$archive" >"$WORLD/java"
    diff "$WORLD/python" "$WORLD/java"
}

members() { stat -c %s "$WORLD"/spool/packages/S1.members 2>/dev/null || echo 0; }
members_are() { [ "$(members)" = $(($1 * 64)) ]; }
archive_sha256() { sha256sum <"$(echo "$WORLD"/cloud/*.zip)"; }

# Members are compressed by threads that get what others leave: on a busy machine that takes a while.
@test "kill -9 between members that come: nothing is compressed twice, and it is the same archive" {
    make_study
    sandbox_start
    bridge_start --set study.quiet_period=20s --debug
    raw_send "$WORLD"/in/00000[1-3].dcm
    wait_until 20 members_are 3
    kill -9 "$BRIDGE_PID"
    wait "$BRIDGE_PID" || true
    bridge_start --set study.quiet_period=20s --debug
    raw_send "$WORLD"/in/000004.dcm "$WORLD"/in/000007.dcm "$WORLD"/in/jpeg.dcm
    wait_until 20 members_are 5
    wait_until 20 studies_are completed 1
    grep -q 'S1: of 6 members, 5 had been compressed ahead' "$WORLD/bridge.log"
    [ -z "$(ls "$WORLD/spool/packages")" ]
    local early
    early=$(archive_sha256)
    # Without the kill, from nothing.
    bridge_stop
    rm -rf "$WORLD/spool" "$WORLD"/cloud/*.zip
    bridge_start --debug
    raw_send "$WORLD"/in/00000[1-3].dcm "$WORLD"/in/000004.dcm "$WORLD"/in/000007.dcm \
        "$WORLD"/in/jpeg.dcm
    wait_until 20 studies_are completed 1
    [ "$(archive_sha256)" = "$early" ]
}
