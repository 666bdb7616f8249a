#!/usr/bin/env bats
# The real files, from real senders and raw, through the whole bridge.

load world.bash

setup() { world_setup; }
teardown() { world_teardown; }

real_files() { find "$AURABRIDGE_DICOM" -name '*.dcm' | sort; }

uid_of() { dcmdump -Un +P "$2" "$1" | sed -n 's/.*\[\(.*\)\].*/\1/p' | head -1; }

# digests FILES…: SHA-256 of the data sets, also of files without meta header.
digests() {
    python3 - "$AURABRIDGE_SUPPORT" "$@" <<'PYTHON'
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import pdu_sender
for path in sys.argv[2:]:
    without = path.endswith(("/no_meta.dcm", "/rtstruct.dcm"))
    one = pdu_sender.read_part10(path, *(("1.2", "1.2", "1.2") if without else ()))
    print(hashlib.sha256(one.data).hexdigest())
PYTHON
}

# with_syntax FILES…: "<SHA-256 of the data set> <transfer syntax>", each once.
with_syntax() { python3 "$AURABRIDGE_SUPPORT/data_sets.py" --transfer-syntax "$@" | sort -u; }

all_completed() {
    [ "$(studies_query '[.studies[] | select(.state != "completed")] | length')" = 0 ]
}

# Sends every real file raw, in PDUs of SIZE bytes, and says which UIDs the files do not.
raw_send_all() {
    local size=$1 file
    local -a plain=()
    for file in $(real_files); do
        case $(basename "$file") in
        no_meta.dcm | rtstruct.dcm | rtdose.dcm | rtplan.dcm | badVR.dcm) ;;
        *) plain+=("$file") ;;
        esac
    done
    # priv_SQ has no UIDs, so that not all of these are taken.
    raw_send --pdu-size "$size" "${plain[@]}" || true
    # Files without meta header; the first begins with a byte too many.
    raw_send --pdu-size "$size" --transfer-syntax 1.2.840.10008.1.2.1 \
        --sop-class 1.2.840.10008.5.1.4.1.1.2 \
        --sop-instance "$(uid_of "$AURABRIDGE_DICOM/CT_small.dcm" SOPInstanceUID)" \
        "$AURABRIDGE_DICOM/no_meta.dcm"
    raw_send --pdu-size "$size" --transfer-syntax 1.2.840.10008.1.2 \
        --sop-class 1.2.840.10008.5.1.4.1.1.481.3 \
        --sop-instance "$(uid_of "$AURABRIDGE_DICOM/rtstruct.dcm" SOPInstanceUID)" \
        "$AURABRIDGE_DICOM/rtstruct.dcm"
    # Files whose meta header names another instance than their data set.
    for file in rtdose rtplan badVR; do
        raw_send --pdu-size "$size" \
            --sop-instance "$(uid_of "$AURABRIDGE_DICOM/$file.dcm" SOPInstanceUID)" \
            "$AURABRIDGE_DICOM/$file.dcm"
    done
}

every_file_arrives() {
    local size=$1
    sandbox_start
    bridge_start --set "dicom.max_pdu=$size"
    raw_send_all "$size" >"$WORLD/sent"
    cat "$WORLD/sent"
    [ "$(wc -l <"$WORLD/sent")" -ge 46 ]
    [ "$(wc -l <"$WORLD/sent")" = "$(real_files | wc -l)" ]
    # All are acknowledged but the one that names no study.
    [ "$(grep -v ' 0000$' "$WORLD/sent" | cut -d' ' -f2)" = C000 ]
    wait_until 120 all_completed
    digests $(real_files | grep -v priv_SQ) | sort -u >"$WORLD/wanted"
    archived_data_sets | cut -d' ' -f2 | sort >"$WORLD/archived"
    diff "$WORLD/wanted" "$WORLD/archived"
    # Its pixel data claims 8,192 bytes and has 8,130.
    [ "$(studies_query '[.studies[] | select(.truncated == 1)] | length')" = 1 ]
    studies_query '.studies[] | select(.truncated == 1) | .warning' | grep -q '7FE0,0010.*62 bytes'
    bridge studies | grep -A2 '1 truncated' | grep -q 'warning: .*7FE0,0010, 62 bytes missing'
}

@test "every real file, raw, in PDUs of 4 KiB: each data set is in an archive, byte for byte" {
    every_file_arrives 4096
}

@test "every real file, raw, in PDUs of 16 KiB" { every_file_arrives 16384; }

@test "every real file, raw, in PDUs of 128 KiB" { every_file_arrives 131072; }

# storescu's option that offers the transfer syntax of the file.
storescu_option() {
    case $(uid_of "$1" TransferSyntaxUID) in
    1.2.840.10008.1.2) echo -xi ;;
    1.2.840.10008.1.2.1) echo -xe ;;
    1.2.840.10008.1.2.2) echo -xb ;;
    1.2.840.10008.1.2.1.99) echo -xd ;;
    1.2.840.10008.1.2.4.50) echo -xy ;;
    1.2.840.10008.1.2.4.51) echo -xx ;;
    1.2.840.10008.1.2.4.80) echo -xt ;;
    1.2.840.10008.1.2.4.90) echo -xv ;;
    1.2.840.10008.1.2.4.91) echo -xw ;;
    1.2.840.10008.1.2.5) echo -xr ;;
    *) echo "no option for the transfer syntax of $1" >&2 && return 1 ;;
    esac
}

send_with() { # SENDER PORT FILE
    if [ "$1" = storescu ]; then
        storescu "$(storescu_option "$3")" -R -aec AURABRIDGE 127.0.0.1 "$2" "$3"
    else
        dcmsend --decompress-never --no-uid-checks -aec AURABRIDGE 127.0.0.1 "$2" "$3"
    fi
}

# The same sender sends each file to storescp, which records its bits, and to the bridge. What the
# sender refuses to send at all is listed in $WORLD/refused.
records_like_storescp() { # SENDER
    local reference file sent=0
    sandbox_start
    bridge_start
    mkdir "$WORLD/reference"
    reference=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    storescp +B +xa +uf -od "$WORLD/reference" "$reference" >/dev/null 2>&1 3>&- &
    EXTRA_PIDS=$!
    wait_until 10 echoscu 127.0.0.1 "$reference" 2>/dev/null
    : >"$WORLD/refused"
    for file in $(real_files); do
        if send_with "$1" "$reference" "$file" >/dev/null 2>&1; then
            send_with "$1" "$BRIDGE_PORT" "$file"
            sent=$((sent + 1))
        else
            basename "$file" .dcm >>"$WORLD/refused"
        fi
    done
    echo "# $1: $sent instances" >&3
    wait_until 120 all_completed
    with_syntax "$WORLD"/reference/* >"$WORLD/wanted"
    with_syntax "$WORLD"/cloud/*.zip >"$WORLD/archived"
    diff "$WORLD/wanted" "$WORLD/archived"
    [ "$(xargs <"$WORLD/refused")" = "MR_truncated no_meta priv_SQ rtstruct" ]
    cut -d' ' -f2 "$WORLD/archived" | sort -u | xargs | tee "$WORLD/syntaxes"
}

@test "storescu, every transfer syntax: the archives hold what storescp +B records" {
    records_like_storescp storescu
    [ "$(cat "$WORLD/syntaxes")" = "1.2.840.10008.1.2 1.2.840.10008.1.2.1 1.2.840.10008.1.2.1.99\
 1.2.840.10008.1.2.2 1.2.840.10008.1.2.4.50 1.2.840.10008.1.2.4.51 1.2.840.10008.1.2.4.80\
 1.2.840.10008.1.2.4.90 1.2.840.10008.1.2.4.91 1.2.840.10008.1.2.5" ]
}

@test "dcmsend, every transfer syntax: the archives hold what storescp +B records" {
    records_like_storescp dcmsend
    # It offers explicit little endian before the implicit or big endian that a file has.
    [ "$(cat "$WORLD/syntaxes")" = "1.2.840.10008.1.2.1 1.2.840.10008.1.2.1.99\
 1.2.840.10008.1.2.4.50 1.2.840.10008.1.2.4.51 1.2.840.10008.1.2.4.80\
 1.2.840.10008.1.2.4.90 1.2.840.10008.1.2.4.91 1.2.840.10008.1.2.5" ]
}

@test "versions of one instance go up one by one, in the order they came" {
    sandbox_start
    bridge_start
    local version id
    local -a versions=()
    for version in small small_RLE small_bigendian small_implicit small_jp2klossless \
        small_jpeg_ls_lossless small_padded truncated; do
        versions+=("$AURABRIDGE_DICOM/MR_$version.dcm")
    done
    raw_send "${versions[@]}" "${versions[0]}"
    wait_until 60 studies_are completed 8
    [ "$(studies_query '[.studies[].supplement_of | select(. == "S1")] | length')" = 7 ]
    [ "$(studies_query '[.studies[] | .resends + .swallowed_resends] | add')" = 1 ]
    for id in $(jq -r 'select(.path | endswith("/complete")) | .upload_id' "$WORLD/cloud/requests.jsonl"); do
        python3 "$AURABRIDGE_SUPPORT/data_sets.py" "$WORLD/cloud/$id.zip" | cut -d' ' -f2
    done >"$WORLD/order"
    diff <(digests "${versions[@]}") "$WORLD/order"
}

@test "rtdose and badVR share their UIDs: the second is a supplement of the first" {
    sandbox_start
    bridge_start
    local file sop
    sop=$(uid_of "$AURABRIDGE_DICOM/rtdose.dcm" SOPInstanceUID)
    for file in rtdose badVR; do
        raw_send --sop-instance "$sop" "$AURABRIDGE_DICOM/$file.dcm"
    done
    wait_until 30 studies_are completed 2
    [ "$(studies_query '.studies[1].supplement_of')" = S1 ]
    [ "$(archived_data_sets)" = \
        "$(digests "$AURABRIDGE_DICOM/rtdose.dcm" "$AURABRIDGE_DICOM/badVR.dcm" | sed "s/^/$sop /" | sort)" ]
}

@test "names of every character set arrive as right UTF-8, whole and in their parts" {
    sandbox_start
    bridge_start
    raw_send "$AURABRIDGE_DICOM"/chr*.dcm
    wait_until 30 studies_are completed 7
    jq -r '[.studies[].patient_name, .context.patient.family_name, .context.patient.given_names]
        | join("|")' "$WORLD"/cloud/*-*-*-*-*.json | sort -u >"$WORLD/names"
    diff - <(LC_ALL=C sort "$WORLD/names") <<'NAMES'
Buc^Jérôme|Buc|Jérôme
Wang^XiaoDong=王^小东|Wang|XiaoDong
Wang^XiaoDong=王^小東|Wang|XiaoDong
Yamada^Tarou=山田^太郎=やまだ^たろう|Yamada|Tarou
Äneas^Rüdiger|Äneas|Rüdiger
김희중|김희중|
NAMES
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
    local comment=${output#*C000 }
    [ "${#comment}" -le 64 ]
    [ -z "$(find "$WORLD/spool/incoming" "$WORLD/spool/studies" -type f)" ]
    [ "$(studies_query '.studies | length')" = 0 ]
}
