#!/usr/bin/env bats
# The real files, from real senders and raw, through the whole bridge.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

SENDER_KEEPS="-dn --no-uid-checks"

# hashes FILES…: "<SOP Instance UID> <SHA-256 of the data set>", also for files without meta header.
hashes() {
    python3 - "$AURABRIDGE_SUPPORT" "$@" <<'PY'
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import pdu_sender
for path in sys.argv[2:]:
    given = ("1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1") if "no_meta" in path or "rtstruct" in path else ()
    one = pdu_sender.read_part10(path, *given)
    print(hashlib.sha256(one.data).hexdigest())
PY
}

kept_hashes() {
    find "$WORLD/spool/studies" -name '*.dcm' -print0 |
        xargs -0 python3 "$AURABRIDGE_SUPPORT/data_sets.py" | cut -d' ' -f2 | sort -u
}

zipped_hashes() { archived_data_sets | cut -d' ' -f2 | sort -u; }

all_settled() {
    [ "$(studies_query '[.studies[] | select(.state != "completed" and .state != "quarantined")] | length')" = 0 ]
}

uid_of() { dcmdump +P "$2" "$1" | sed 's/.*\[\(.*\)\].*/\1/' | head -1; }

real_files() { find "$AURABRIDGE_DICOM" -name '*.dcm' | sort; }

@test "every real file, raw: each data set is kept byte for byte, and uploaded unless a rule says why not" {
    sandbox_start
    bridge_start
    local file
    local -a plain=()
    for file in $(real_files); do
        case $(basename "$file") in
        no_meta.dcm | rtstruct.dcm | rtdose.dcm | rtplan.dcm | badVR.dcm) ;;
        *) plain+=("$file") ;;
        esac
    done
    [ "${#plain[@]}" -ge 40 ]
    raw_send --pdu-size 131072 "${plain[@]}" >"$WORLD/sent" || true
    # Files whose meta header is missing, or names another instance than their data set.
    raw_send --pdu-size 4096 --sop-class 1.2.840.10008.5.1.4.1.1.2 --transfer-syntax 1.2.840.10008.1.2.1 \
        --sop-instance 1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322 \
        "$AURABRIDGE_DICOM/no_meta.dcm" >>"$WORLD/sent"
    raw_send --pdu-size 16384 --sop-class 1.2.840.10008.5.1.4.1.1.481.3 \
        --transfer-syntax 1.2.840.10008.1.2 \
        --sop-instance "$(uid_of "$AURABRIDGE_DICOM/rtstruct.dcm" SOPInstanceUID)" \
        "$AURABRIDGE_DICOM/rtstruct.dcm" >>"$WORLD/sent"
    for file in rtdose rtplan badVR; do
        raw_send --sop-instance "$(uid_of "$AURABRIDGE_DICOM/$file.dcm" SOPInstanceUID)" \
            "$AURABRIDGE_DICOM/$file.dcm" >>"$WORLD/sent"
    done
    cat "$WORLD/sent"
    wait_until 120 all_settled
    local acknowledged
    acknowledged=$(grep -c ' 0000' "$WORLD/sent")
    echo "# $acknowledged of $(wc -l <"$WORLD/sent") instances acknowledged" >&3
    # Only what names no study is refused.
    grep -v ' 0000' "$WORLD/sent" || true
    [ "$(grep -vc ' 0000' "$WORLD/sent")" = "$(grep -c ' C000' "$WORLD/sent")" ]
    studies_query '.studies[] | select(.state == "quarantined") | .reason'
    studies_query '.studies[] | select(.warning != "") | .warning' | grep -i 'truncated'
    # MR_truncated lacks 62 bytes of its pixel data.
    studies_query '.studies[].warning' | grep -q '7FE0,0010.*62 bytes\|62 bytes.*7FE0,0010'
    hashes $(real_files) | sort -u >"$WORLD/wanted"
    kept_hashes >"$WORLD/kept"
    [ -z "$(comm -13 "$WORLD/wanted" "$WORLD/kept")" ]
    [ "$(comm -23 "$WORLD/wanted" "$WORLD/kept" | wc -l)" = "$(grep -c ' C000' "$WORLD/sent")" ]
    # What is not in an archive is in a quarantined study.
    zipped_hashes >"$WORLD/zipped"
    [ -z "$(comm -13 "$WORLD/kept" "$WORLD/zipped")" ]
    [ "$(comm -23 "$WORLD/kept" "$WORLD/zipped" | wc -l)" = \
        "$(studies_query '[.studies[] | select(.state == "quarantined") | .instances] | add // 0')" ]
}

@test "storescu and dcmsend, every transfer syntax: the archives hold what storescp +B records" {
    sandbox_start
    bridge_start --set study.on_changed_duplicate=supplement
    mkdir "$WORLD/reference"
    local reference=$((20000 + RANDOM % 20000))
    storescp +B +xa +uf -od "$WORLD/reference" "$reference" >/dev/null 2>&1 3>&- &
    EXTRA_PIDS=$!
    wait_until 10 echoscu 127.0.0.1 "$reference" 2>/dev/null
    local file option sent=0
    for file in $(real_files); do
        case $(basename "$file") in
        MR_small_bigendian.dcm) option=-xb ;;
        MR_small_implicit.dcm | rt*.dcm | badVR.dcm) option=-xi ;;
        MR_small_RLE.dcm | SC_rgb_rle.dcm) option=-xr ;;
        MR_small_jp2klossless.dcm) option=-xv ;;
        JPEG2000.dcm) option=-xw ;;
        MR_small_jpeg_ls_lossless.dcm) option=-xt ;;
        JPEG-lossy.dcm | JPGExtended.dcm) option=-xx ;;
        SC_rgb_jpeg_dcmtk.dcm | examples_ybr_color.dcm) option=-xs ;;
        image_dfl.dcm) option=-xd ;;
        *) option=-xe ;;
        esac
        # What a sender refuses by itself goes to neither.
        if storescu $option -R -aec REFERENCE 127.0.0.1 "$reference" "$file" >/dev/null 2>&1; then
            storescu $option -R -aec AURABRIDGE 127.0.0.1 "$BRIDGE_PORT" "$file"
            sent=$((sent + 1))
        fi
        if dcmsend $SENDER_KEEPS -aec REFERENCE 127.0.0.1 "$reference" "$file" >/dev/null 2>&1; then
            dcmsend $SENDER_KEEPS -aec AURABRIDGE 127.0.0.1 "$BRIDGE_PORT" "$file"
            sent=$((sent + 1))
        fi
    done
    echo "# $sent instances sent by storescu and dcmsend" >&3
    [ "$sent" -ge 55 ]
    wait_until 120 all_settled
    python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD"/reference/* | cut -d' ' -f2 | sort -u >"$WORLD/wanted"
    kept_hashes >"$WORLD/kept"
    diff "$WORLD/wanted" "$WORLD/kept"
    zipped_hashes >"$WORLD/zipped"
    [ -z "$(comm -13 "$WORLD/wanted" "$WORLD/zipped")" ]
    [ "$(comm -23 "$WORLD/wanted" "$WORLD/zipped" | wc -l)" = \
        "$(studies_query '[.studies[] | select(.state == "quarantined") | .instances] | add // 0')" ]
}

@test "a command that contradicts its data set is A900, a data set without study C000, with comments" {
    sandbox_start
    bridge_start
    run raw_send --sop-instance 1.2.3.4 "$AURABRIDGE_DICOM/CT_small.dcm"
    [[ "$output" == *A900*"SOP Instance UID differs"* ]]
    run raw_send --sop-class 1.2.840.10008.5.1.4.1.1.4 "$AURABRIDGE_DICOM/CT_small.dcm"
    [[ "$output" == *A900*"SOP Class UID differs"* ]]
    cp "$AURABRIDGE_DICOM/CT_small.dcm" "$WORLD/no_study.dcm"
    chmod u+w "$WORLD/no_study.dcm"
    dcmodify -nb -gin -e StudyInstanceUID "$WORLD/no_study.dcm"
    run raw_send "$WORLD/no_study.dcm"
    [[ "$output" == *C000*"Study Instance UID"* ]]
    [ -z "$(find "$WORLD/spool/incoming" "$WORLD/spool/studies" -type f)" ]
    [ "$(studies_query '.studies | length')" = 0 ]
}
