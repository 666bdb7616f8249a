#!/usr/bin/env bats
# The DICOM node against real senders (dcmtk's) and a sender of raw PDUs that can misbehave.
# Needs NODE_HARNESS (the program) and AURABRIDGE_DICOM (the real files).

SENDER="$BATS_TEST_DIRNAME/../support/pdu_sender.py"

setup_file() {
    if [ ! -d "$AURABRIDGE_DICOM" ]; then
        echo "AURABRIDGE_DICOM=$AURABRIDGE_DICOM is no directory: the real DICOM files are missing" >&2
        return 1
    fi
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    mkdir kept
    cat > bridge.yaml <<YAML
dicom:
  listen: "127.0.0.1:0"
  ae_titles:
    - AURABRIDGE
    - {name: CLINIC_A, calling: [CT1, "MR*"], from: [127.0.0.0/8]}
    - {name: FAR, from: [10.0.0.0/8]}
  max_associations_per_peer: 64
spool: {directory: $BATS_TEST_TMPDIR/spool}
destinations:
  main:
    api_base_url: https://aurabox.invalid/api
    app_id: env:HARNESS_CREDENTIAL
    app_secret: env:HARNESS_CREDENTIAL
    service_api_key: env:HARNESS_CREDENTIAL
ae_title_map:
  - {called: "*", destination: main, context: {patient_id: "{PatientID}"}}
YAML
    export HARNESS_CREDENTIAL=none
    CT="$AURABRIDGE_DICOM/CT_small.dcm"
    CT_UID=1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322
}

teardown() {
    local pid
    for pid in ${OTHERS:-}; do
        kill "$pid" 2> /dev/null || true
    done
    stop_node
}

# Starts the node with harness options; sets PORT.
start_node() {
    : > out # or the port of the one before may be read
    "$NODE_HARNESS" bridge.yaml kept "$@" > out 2> log 3>&- &
    NODE=$!
    wait_until grep -q '^port ' out
    PORT=$(awk '/^port/ {print $2}' out)
    IDLE_THREADS=$(threads)
}

threads() {
    ls "/proc/$NODE/task" | wc -l
}

# How many connections the node serves: each has a thread.
serves() {
    [ $(($(threads) - IDLE_THREADS)) -ge "$1" ]
}

# Ends it; a crash, a leak or a sanitizer's finding fails the test.
stop_node() {
    [ -n "${NODE:-}" ] || return 0
    kill -TERM "$NODE"
    local result=0
    wait "$NODE" || result=$?
    NODE=
    if [ "$result" -ne 0 ] || grep -Eq 'Sanitizer|runtime error' log; then
        cat log >&2
        return 1
    fi
}

wait_until() {
    local tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || { echo "waited in vain: $*" >&2; cat log >&2; return 1; }
        sleep 0.05
    done
}

send() {
    python3 "$SENDER" --port "$PORT" --timeout 20 "$@"
}

# Runs a command that has to fail; the output stays in $output.
fails() {
    run "$@"
    [ "$status" -ne 0 ]
}

counter() {
    awk -v name="$1" '/^accepted=/ {for (i = 1; i <= NF; i++) {split($i, p, "="); if (p[1] == name) print p[2]}}' out
}

milliseconds_of() {
    local from; from=$(date +%s%N)
    "$@" >&2 || return 1
    echo $(( ($(date +%s%N) - from) / 1000000 ))
}

# Compares every data set that was kept with what a function of the file gives.
data_set_hashes() {
    python3 - "$BATS_TEST_DIRNAME/../support" "$@" <<'PY'
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import pdu_sender
for path in sys.argv[2:]:
    one = pdu_sender.read_part10(path)
    print(one.sop_instance, one.transfer_syntax, hashlib.sha256(one.data).hexdigest())
PY
}

kept_hashes() {
    while read -r number _ instance transfer _; do
        echo "$instance $transfer $(sha256sum < "kept/$number.data" | cut -d' ' -f1)"
    done < kept/index
}

# The files whose meta header names SOP class, instance and transfer syntax.
sendable() {
    python3 - "$BATS_TEST_DIRNAME/../support" "$AURABRIDGE_DICOM" <<'PY'
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import pdu_sender
for path in sorted(pathlib.Path(sys.argv[2]).rglob("*.dcm")):
    try:
        pdu_sender.read_part10(path)
        print(path)
    except SystemExit:
        pass
PY
}

@test "echoscu is answered" {
    start_node
    echoscu -aec AURABRIDGE 127.0.0.1 "$PORT"
    stop_node
    [ "$(counter echoes)" -eq 1 ]
    [ "$(counter released)" -eq 1 ]
    [ "$(counter open)" -eq 0 ]
}

@test "raw data sets of all real files arrive byte for byte in their own transfer syntax" {
    sendable > files
    [ "$(wc -l < files)" -ge 30 ]
    for size in 4096 16384 131072; do
        start_node
        xargs -a files python3 "$SENDER" --port "$PORT" --pdu-size "$size" > answers
        ! grep -v ' 0000$' answers
        data_set_hashes $(cat files) | sort > wanted
        kept_hashes | sort > got
        diff wanted got
        stop_node
        rm kept/*
    done
}

@test "a file without meta header is sent with UIDs given" {
    start_node
    send --transfer-syntax 1.2.840.10008.1.2 --sop-class 1.2.840.10008.5.1.4.1.1.2 \
        --sop-instance 1.2.3.4 "$AURABRIDGE_DICOM/no_meta.dcm"
    cmp kept/1.data "$AURABRIDGE_DICOM/no_meta.dcm"
}

@test "private transfer syntax and private SOP class are taken, in the requestor's order" {
    start_node
    send --transfer-syntax 1.2.3.99.1 --sop-class 1.2.3.99.2 --sop-instance 1.2.3.4 "$CT"
    send --transfer-syntax 1.2.840.10008.1.2.4.201 --sop-instance 1.2.3.5 "$CT" # HTJ2K
    grep -q ' 1.2.3.99.2 1.2.3.4 1.2.3.99.1 ' kept/index
    grep -q ' 1.2.3.5 1.2.840.10008.1.2.4.201 ' kept/index
}

@test "unknown SOP classes are refused where the configuration says so" {
    start_node --set dicom.unknown_sop_classes=false
    fails send --sop-class 1.2.3.99.2 --sop-instance 1.2.3.4 "$CT"
    [ "$output" = "no accepted presentation context" ]
    send "$CT"
}

@test "known classes that are not for storage are refused" {
    start_node
    fails send --sop-class 1.2.840.10008.5.1.4.1.2.2.1 --sop-instance 1.2.3.4 "$CT" # Study Root FIND
    [ "$output" = "no accepted presentation context" ]
}

@test "dcmsend and storescu: the node keeps the data sets that storescp +B keeps" {
    start_node
    mkdir reference
    storescp_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    storescp +B +xa +uf -od reference "$storescp_port" > /dev/null 2>&1 3>&- &
    storescp_pid=$!
    OTHERS=$storescp_pid
    wait_until echoscu 127.0.0.1 "$storescp_port" 2> /dev/null
    : > sent
    for file in $(sendable); do
        case $(basename "$file") in
        MR_small_bigendian.dcm) option=-xb ;;
        MR_small_implicit.dcm | rt*.dcm | badVR.dcm) option=-xi ;;
        MR_small_RLE.dcm | SC_rgb_rle.dcm) option=-xr ;;
        MR_small_jp2klossless.dcm) option=-xv ;;
        JPEG2000.dcm) option=-xw ;;
        MR_small_jpeg_ls_lossless.dcm) option=-xt ;;
        JPEG-lossy.dcm | JPGExtended.dcm) option=-xx ;;
        SC_rgb_jpeg_dcmtk.dcm | examples_ybr_color.dcm) option=-xy ;;
        image_dfl.dcm) option=-xd ;;
        *) option=-xe ;;
        esac
        # What a sender refuses by itself goes to neither.
        if storescu $option -R -aec REFERENCE 127.0.0.1 "$storescp_port" "$file" > /dev/null 2>&1; then
            storescu $option -R -aec AURABRIDGE 127.0.0.1 "$PORT" "$file"
            echo "$file" >> sent
        fi
        if dcmsend -dn --no-uid-checks -aec REFERENCE 127.0.0.1 "$storescp_port" "$file" > /dev/null 2>&1; then
            dcmsend -dn --no-uid-checks -aec AURABRIDGE 127.0.0.1 "$PORT" "$file"
            echo "$file" >> sent
        fi
    done
    kill "$storescp_pid"
    echo "instances sent: $(wc -l < sent)" >&2
    [ "$(wc -l < sent)" -ge 55 ]
    [ "$(wc -l < kept/index)" -eq "$(wc -l < sent)" ]
    data_set_hashes reference/* | sort -u > wanted
    kept_hashes | sort -u > got
    diff wanted got
}

@test "dcmsend sends the whole folder over one association" {
    start_node
    dcmsend -dn --no-uid-checks +sd +r -aec AURABRIDGE 127.0.0.1 "$PORT" "$AURABRIDGE_DICOM/two-patients"
    [ "$(wc -l < kept/index)" -eq "$(find "$AURABRIDGE_DICOM/two-patients" -name '*.dcm' | wc -l)" ]
}

@test "an echo is answered at once while 50 silent peers and 50 half requests hang" {
    start_node --set dicom.association_timeout=60s
    for fault in silent half-rq; do
        python3 "$SENDER" --port "$PORT" --fault $fault --associations 50 --timeout 60 > /dev/null 2>&1 3>&- &
        OTHERS="${OTHERS:-} $!"
    done
    wait_until serves 100
    took=$(milliseconds_of echoscu -aec AURABRIDGE 127.0.0.1 "$PORT")
    echo "echo took $took ms" >&2
    [ "$took" -lt 5000 ] # a node that served one by one would take a minute for each
}

@test "a silent peer is dropped after association_timeout" {
    start_node --set dicom.association_timeout=1s
    took=$(milliseconds_of fails send --fault silent)
    [ "$took" -ge 900 ] && [ "$took" -lt 15000 ] # the sender would wait for 20 s
    fails send --fault half-rq
    [ "$output" = closed ]
    [ "$(grep -c 'sent no A-ASSOCIATE-RQ within 1.0 s' log)" -eq 1 ]
    [ "$(grep -c 'sent no whole A-ASSOCIATE-RQ within 1.0 s' log)" -eq 1 ]
}

@test "an idle association is aborted after idle_timeout" {
    start_node --set dicom.idle_timeout=1s
    fails send --echo --hold 4
    [[ $output == *"echo 0000"* && $output == *aborted* || $output == *closed* ]]
    grep -q 'see dicom.idle_timeout' log
}

@test "while places are short, idle associations are aborted after 60 s" {
    start_node --hasten --set dicom.max_associations=8 --set dicom.idle_timeout=1h \
        --set dicom.association_timeout=5m --set dicom.pdu_timeout=1h
    # Ten times as fast: one association may be idle for 80 s.
    send --echo --hold 8
    # Seven of eight places are taken: no association may be for longer than 60 s.
    send --echo --associations 7 --hold 60 > held 2>&1 3>&- &
    sender=$!
    wait_until grep -q 'aborted by us, nothing came for .* while slots are short.*1 echoes' log
    kill "$sender"
}

@test "a PDU that does not come to its end is given up after pdu_timeout" {
    start_node --set dicom.pdu_timeout=1s
    for fault in half-pdu slow; do
        fails send --fault $fault "$CT"
        [[ $output == aborted* || $output == closed ]]
    done
    [ "$(grep -c '^aborted' kept/events)" -eq 2 ]
    send "$CT"
}

@test "64 associations at once are served, more are told to come again" {
    start_node --no-files --set dicom.max_associations=64 --set dicom.max_associations_per_peer=200
    run send --echo --associations 80 --hold 0.1
    [ "$(grep -c '^echo 0000$' <<< "$output")" -eq 64 ]
    [ "$(grep -c '^rejected 2 3 2$' <<< "$output")" -eq 16 ]
    send --echo
    stop_node
    [ "$(counter rejected)" -eq 16 ]
    [ "$(counter open)" -eq 0 ]
    [ "$(grep -c 'all 64 associations are in use' log)" -eq 16 ]
}

@test "one peer gets no more than max_associations_per_peer" {
    start_node --set dicom.max_associations_per_peer=3
    run send --echo --associations 5 --hold 0.1
    [ "$(grep -c '^echo 0000$' <<< "$output")" -eq 3 ]
    [ "$(grep -c '^rejected 2 3 2$' <<< "$output")" -eq 2 ]
}

@test "concurrent associations store without mixing" {
    start_node
    send --associations 16 --repeat 5 "$CT" "$AURABRIDGE_DICOM/MR_small.dcm" > answers
    [ "$(grep -c ' 0000$' answers)" -eq 160 ]
    [ "$(cut -d' ' -f3 kept/index | sort -u | wc -l)" -eq 10 ]
    [ "$(kept_hashes | cut -d' ' -f3 | sort -u | wc -l)" -eq 2 ]
}

@test "called and calling AE titles and networks decide, and the log says what to do" {
    start_node
    fails send --echo --called AURA_BRIDGE
    [ "$output" = "rejected 1 1 7" ]
    grep -q 'called AE title AURA_BRIDGE is unknown here; configured: AURABRIDGE, CLINIC_A, FAR' log
    fails send --echo --called CLINIC_A --calling US1
    [ "$output" = "rejected 1 1 3" ]
    grep -q 'calling AE title US1 may not call CLINIC_A' log
    fails send --echo --called FAR
    [ "$output" = "rejected 1 1 3" ]
    grep -q 'address 127.0.0.1 may not call FAR' log
    fails send --echo --calling ""
    [ "$output" = "rejected 1 1 3" ]
    send --echo --called CLINIC_A --calling MR7
}

@test "associations are turned down while the spool is below its reserve" {
    start_node --full
    fails send --echo
    [ "$output" = "rejected 2 3 2" ]
    grep -q 'the spool is below its reserve; free some space' log
}

@test "user identity is answered when asked, and only then" {
    start_node
    [ "$(send --echo --identity | head -1)" = "identity answered" ]
    echoscu -aec AURABRIDGE 127.0.0.1 "$PORT"
}

@test "a refusal of the sink reaches the sender with its comment, before and inside the data set" {
    start_node --refuse-begin
    fails send "$CT"
    [ "$output" = "$CT_UID A700 storage is full, try again later" ]
    stop_node
    start_node --refuse-after 20000
    fails send "$CT" "$AURABRIDGE_DICOM/MR_small.dcm"
    [ "$(head -1 <<< "$output")" = "$CT_UID A700 disk became full" ]
    [[ $(tail -1 <<< "$output") == *" 0000" ]] # the association goes on
    grep -q '^aborted' kept/events
}

@test "requests that are wrong in themselves are answered, and the association goes on" {
    start_node
    while read -r fault code comment; do
        fails send --fault "$fault" "$CT"
        [ "$output" = "$CT_UID $code $comment" ]
    done <<'ROWS'
bad-uid 0117 Affected SOP Instance UID is not a UID
class-mismatch 0122 SOP class differs from the presentation context's
no-data-set 0212 C-STORE-RQ without a data set
unknown-command 0211 operation 0020 is not offered here
ROWS
    stop_node
    [ "$(counter stored)" -eq 0 ]
    [ "$(counter released)" -eq 4 ]
    [ "$(counter aborted)" -eq 0 ]
}

@test "odd but sound messages are served" {
    start_node
    for fault in cancel fragments one-pdu; do
        [ "$(send --fault $fault "$CT")" = "$CT_UID 0000" ]
    done
    [ "$(kept_hashes | cut -d' ' -f3 | sort -u | wc -l)" -eq 1 ]
}

@test "broken protocol: one line in the log, nothing kept, the slot comes back" {
    start_node --set dicom.max_associations=1 --set dicom.pdu_timeout=2s
    expected=0
    for fault in lying-pdv negative-pdv huge-pdu tiny-pdv empty-pdu too-long-pdu unknown-pdu \
        second-rq abort-mid close-mid reset release-mid nested-command other-group huge-command \
        data-first command-mid wrong-context response no-message-id; do
        fails send --fault $fault "$CT"
        echo "$fault: $output" >&2
        [[ $output == aborted* || $output == closed ]]
        expected=$((expected + 1))
        wait_until bash -c "[ \$(grep -c '^ended' kept/events) -eq $expected ]"
        [ "$(grep -c ' stored, ' log)" -eq "$expected" ]
        [ ! -s kept/index ]
    done
    grep -q 'a command came on a context that was not accepted' log
    grep -q 'it asked for release before its message was complete' log
    wait_until echoscu -aec AURABRIDGE 127.0.0.1 "$PORT"
    stop_node
    [ "$(counter aborted)" -eq "$expected" ]
    [ "$(counter released)" -eq 1 ]
    [ "$(counter open)" -eq 0 ]
}

@test "the nesting attack is refused by name" {
    start_node
    fails send --fault nested-command "$CT"
    grep -Eq 'command set has more than 16 KiB|undefined length' log
    fails send --fault nested-command --pdu-size 131072 "$CT"
    send "$CT"
}

@test "what is no A-ASSOCIATE-RQ is closed with one line" {
    start_node
    for fault in garbage http huge-rq lying-rq; do
        fails send --fault $fault
        [[ $output == aborted* || $output == closed ]]
    done
    [ "$(grep -c 'connection from 127.0.0.1 closed' log)" -eq 4 ]
    fails send --echo --fault bad-version
    [ "$output" = "rejected 1 2 2" ]
    send --echo
}

@test "on stop an open association may finish, then is aborted" {
    start_node --set dicom.shutdown_timeout=1s
    send --echo --hold 20 > held 2>&1 3>&- &
    sender=$!
    wait_until grep -q 'echo 0000' held
    from=$(date +%s%N)
    stop_node
    took=$((($(date +%s%N) - from) / 1000000))
    kill "$sender"
    echo "stopping took $took ms" >&2
    [ "$took" -ge 900 ] && [ "$took" -lt 15000 ] # the sender would wait for 20 s
    grep -q 'aborted by us, the node stops' log
}

@test "one after another, associations leave no thread, descriptor or memory behind" {
    start_node --no-files
    rounds=${NODE_ROUNDS:-300}
    python3 - "$BATS_TEST_DIRNAME/../support" "$PORT" "$NODE" "$rounds" <<'PY'
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pdu_sender import Sender, VERIFICATION, IMPLICIT_LITTLE
port, node, rounds = int(sys.argv[2]), sys.argv[3], int(sys.argv[4])

def one():
    sender = Sender("127.0.0.1", port)
    sender.associate([(VERIFICATION, [IMPLICIT_LITTLE])])
    assert sender.echo() == (0, "")
    sender.release()

def figures():
    resident = int(open(f"/proc/{node}/statm").read().split()[1]) * 4
    return len(os.listdir(f"/proc/{node}/task")), len(os.listdir(f"/proc/{node}/fd")), resident

for _ in range(rounds // 3):
    one()
before = figures()
for _ in range(rounds):
    one()
for _ in range(600):  # the last ones end after their release was answered
    after = figures()
    if after[0] <= before[0] and after[1] <= before[1]:
        break
    time.sleep(0.05)
print("threads, descriptors, KiB:", before, after, file=sys.stderr)
assert after[0] <= before[0] + 2 and after[1] <= before[1] + 2
assert os.environ.get("NODE_ROUNDS") is None or after[2] <= before[2] + 2048
PY
}

@test "peers that release and do not close hold no more threads than there are places" {
    start_node --no-files
    python3 - "$BATS_TEST_DIRNAME/../support" "$PORT" "$NODE" <<'PY'
import os, socket, struct, sys, threading
sys.path.insert(0, sys.argv[1])
from pdu_sender import Sender, VERIFICATION, IMPLICIT_LITTLE
port, node = int(sys.argv[2]), sys.argv[3]
model = Sender("127.0.0.1", port)
body = model.request_pdu([(VERIFICATION, [IMPLICIT_LITTLE])])
model.close()
request = struct.pack(">BBI", 1, 0, len(body)) + body
held, answers, threads = [], [0, 0], []

def associate():
    for _ in range(80):
        peer = socket.create_connection(("127.0.0.1", port), timeout=20)
        held.append(peer)
        try:
            peer.sendall(request)
            answer = peer.recv(4096)
            if answer[:1] == b"\x02":
                peer.sendall(b"\x05\0\0\0\0\x04\0\0\0\0")
                assert peer.recv(16)[:1] == b"\x06"
        except ConnectionResetError:
            answer = b""
        answers[answer[:1] == b"\x02"] += 1
        threads.append(len(os.listdir(f"/proc/{node}/task")))

senders = [threading.Thread(target=associate) for _ in range(8)]
for sender in senders:
    sender.start()
for sender in senders:
    sender.join()
print("served, turned away, threads:", answers[1], answers[0], max(threads), file=sys.stderr)
assert answers[1] >= 128 and max(threads) <= 128 + 64 + 8
PY
    wait_until echoscu -aec AURABRIDGE 127.0.0.1 "$PORT"
}

@test "one silent address does not use up the places for waiting; beyond its share it is turned away" {
    start_node --set dicom.association_timeout=60s
    python3 "$SENDER" --port "$PORT" --fault silent --associations 128 --timeout 60 > /dev/null 2>&1 3>&- &
    OTHERS=$!
    wait_until serves 128
    fails send --echo
    [ "$output" = "rejected 2 3 2" ]
    grep -q 'turned away' log
    kill $OTHERS
    wait_until echoscu -aec AURABRIDGE 127.0.0.1 "$PORT"
}

@test "dual stack: one socket for IPv4 and IPv6" {
    [ -e /proc/net/if_inet6 ] || skip "no IPv6 on this machine"
    start_node --set "dicom.listen=[::]:0"
    send --echo --called CLINIC_A --calling CT1
    send --echo --host ::1
    grep -q 'from ::1 (PDUSENDER' log
}

@test "new associations follow a reloaded configuration" {
    start_node
    fails send --echo --called CLINIC_B
    sed -i 's/    - AURABRIDGE/    - AURABRIDGE\n    - CLINIC_B/' bridge.yaml
    kill -HUP "$NODE"
    wait_until grep -q reloaded out
    send --echo --called CLINIC_B
}
