#!/usr/bin/env python3
"""The DICOM side of a bad week, against the whole bridge: PROGRAM [CASE…]

Each row of PEERS is a peer that misbehaves, with what it sees and the one line that the log has for
it. Peers of one case are there at the same time, beside senders that keep to the standard. After each
case: the good senders were served in time, all associations are free again, no thread or descriptor is
left, memory stayed within its bound. At the end every acknowledged instance is in exactly one completed
upload, and nothing else was received but what stood between a commit and its response.
"""
import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "faults")]

import bad_peers as bad  # noqa: E402
from pdu_sender import Ended  # noqa: E402
from world import Failed, World, digest, wait_for  # noqa: E402

ASSOCIATIONS, PER_PEER = 64, 16
OPTIONS = {
    "dicom.max_associations": ASSOCIATIONS, "dicom.max_associations_per_peer": PER_PEER,
    "dicom.association_timeout": "4s", "dicom.idle_timeout": "6s", "dicom.pdu_timeout": "4s",
    "study.max_wait": "2s", "study.association_hold": "1s",
}
# By what the program is built with: KiB that its peak may grow by, milliseconds that a good sender may
# wait for a response.
BOUNDS = {"release": (48 << 10, 2000), "asan": (160 << 10, 8000), "tsan": (320 << 10, 8000)}
GOOD_INSTANCES = 3  # that each good sender has served while a case goes on, at least
WAIT_SECONDS = 120
KEPT = "compare it with the sender's copy, and send it again if that one is whole"
VENDOR = "a fault of the sender's software, tell its vendor"
BETWEEN = "look at the sender and at the network between"
NO_DICOM = "is the sender a DICOM application"
ADDRESS = re.compile(r"\b127\.1\.\d+\.\d+")  # of a peer that misbehaves
ABORTED, ENDED = r"aborted \d \d", r"aborted \d \d|closed"


@dataclasses.dataclass
class Row:
    case: str
    name: str
    act: object
    sees: str          # regular expressions, for the whole text
    says: str = ""     # within the line; "" when there must be none
    copies: int = 1    # peers that do it, each with its own line
    lines: int = 1     # for each of them; -1: one or more


def kept(where):
    return rf"kept: its data set {where}.*; {KEPT}"


def dropped(what, remedy):
    return rf"{what}.* within instance [\d.]+, which is not kept and has to come again: .*; {remedy}"


PEERS = (
    Row("stopping", "says nothing", bad.request_fault("silent"), "closed",
        r"sent no A-ASSOCIATE-RQ within 4.0 s; closed .*dicom.association_timeout\); look what connects"),
    Row("stopping", "half an A-ASSOCIATE-RQ", bad.request_fault("half-rq"), "closed",
        rf"sent no whole A-ASSOCIATE-RQ within 4.0 s; closed .*; {BETWEEN}", copies=8),
    Row("stopping", "an A-ASSOCIATE-RQ at a byte a second", bad.byte_by_byte_request, "closed",
        rf"sent no whole A-ASSOCIATE-RQ within 4.0 s; closed .*; {BETWEEN}"),
    Row("stopping", "half a PDU", bad.fault("half-pdu"), ABORTED,
        dropped("a PDU did not come to its end within 4.0 s .see dicom.pdu_timeout.", BETWEEN), copies=8),
    Row("stopping", "a PDU at a byte a second", bad.fault("slow"), ENDED,
        dropped("a PDU did not come to its end within 4.0 s .see dicom.pdu_timeout.", BETWEEN)),
    Row("stopping", "PDUs in time, of a byte each", bad.by_drops, ABORTED,
        dropped("its message came by drops .see dicom.idle_timeout.", BETWEEN)),
    Row("stopping", "an association that nobody uses", lambda peer: bad.end_of(peer.associate().socket),
        ABORTED, r"nothing came for 6.0 s.*see dicom.idle_timeout.*; a sender should release what it"),
    Row("stopping", "a study without an end", bad.without_end(5.5), "0000",
        r"receiving → validating .max_wait has passed and BAD\d+ .* did not stop sending; .*raise "
        r"study.max_wait", lines=-1),

    Row("noise", "random bytes", bad.request_fault("garbage"), ENDED, NO_DICOM, copies=4),
    Row("noise", "HTTP", bad.request_fault("http"), ENDED, NO_DICOM),
    Row("noise", "random bytes in an association", bad.noise_within(1), ENDED, VENDOR),
    Row("noise", "other random bytes there", bad.noise_within(2), ENDED, VENDOR),

    Row("lengths", "an A-ASSOCIATE-RQ of 2 GiB", bad.request_fault("huge-rq"), ENDED, NO_DICOM),
    Row("lengths", "items longer than their PDU", bad.request_fault("lying-rq"), ENDED, NO_DICOM),
    Row("lengths", "a PDV longer than its PDU", bad.fault("lying-pdv"), ENDED, dropped("claims", VENDOR)),
    Row("lengths", "a PDV of negative length", bad.fault("negative-pdv"), ENDED,
        dropped("claims 4294967294 bytes", VENDOR)),
    Row("lengths", "a PDV of one byte", bad.fault("tiny-pdv"), ENDED, dropped("PDV", VENDOR)),
    Row("lengths", "a P-DATA-TF without a PDV", bad.fault("empty-pdu"), ENDED, dropped("no PDV", VENDOR)),
    Row("lengths", "a PDU of 4 GiB", bad.fault("huge-pdu"), ENDED, dropped("agreed", VENDOR)),
    Row("lengths", "a PDU longer than agreed", bad.fault("too-long-pdu"), ENDED,
        dropped("agreed", VENDOR)),

    Row("large requests", "256,000 transfer syntaxes", bad.drown, "accepted",
        "closed by the peer without release|reset by the peer", copies=8),
    Row("large requests that stop", "1 MiB but for the last byte", bad.send_and_wait(
        lambda: bad.request(16, 16000)[:-1]), r"closed|rejected 2 3 2",
        rf"sent no whole A-ASSOCIATE-RQ .*; {BETWEEN}|turned away: too many A-ASSOCIATE-RQs of more "
        "than 64 KiB at once .*should try again", copies=80),

    Row("breaking off", "A-ABORT inside a data set", bad.fault("abort-mid"), "closed",
        dropped("aborted by the peer", "the sender's own log says why")),
    Row("breaking off", "close inside a data set", bad.fault("close-mid"), "closed",
        dropped("closed by the peer without release", "look whether the sender")),
    Row("breaking off", "a reset inside a data set", bad.fault("reset"), "closed",
        dropped("broken by the network or reset", "look at the network between")),
    Row("breaking off", "A-RELEASE-RQ inside a data set", bad.fault("release-mid"), ENDED,
        dropped("asked for release", VENDOR)),
    Row("breaking off", "a reset before the response", bad.reset_unanswered, "reset",
        r"before it had the response to instance [\d.]+, which is kept; sent again, it counts as a resend"
        r": 1 stored, .*; look "),

    Row("data sets", "pixel data cut off", bad.stores(bad.without_pixel_end), "0000",
        kept(r"ends inside \(7FE0,0010\), 1000 bytes missing")),
    Row("data sets", "fragments without an end", bad.stores(bad.without_fragments_end), "0000",
        kept(r"ends inside \(7FE0,0010\)")),
    Row("data sets", "1,000 nested sequences", bad.stores(lambda: bad.with_nesting(1000, True)), "0000",
        lines=0),
    Row("data sets", "1,000 of them that never end", bad.stores(lambda: bad.with_nesting(1000, False)),
        "0000", kept(r"ends inside \(0040,0275\)")),
    Row("data sets", "10,000 of them", bad.stores(lambda: bad.with_nesting(10000, True)), "0000",
        kept(r"is not understood from \(0040,0275\)")),
    Row("data sets", "10,000 of them before the UIDs", bad.stores(lambda: bad.nested_before_uids(10000)),
        "C000 No valid Study Instance UID in the data set",
        "refused instance .* with C000: No valid Study.*; the sender has to correct it"),
    Row("data sets", "4 GiB of pixel data announced",
        bad.stores(lambda: bad.with_huge_element(False)), "0000",
        kept(r"ends inside \(7FE0,0010\), 429496\d+ bytes missing")),
    Row("data sets", "4 GiB before the UIDs, 32 MiB of them there",
        bad.stores(lambda: bad.with_huge_element(True, 32 << 20)),
        "C000 No valid Study Instance UID in the data set",
        "refused instance .* with C000: No valid Study.*; the sender has to correct it"),
)


def kind_of(program):
    with open(program, "rb") as file:
        content = file.read()
    return "asan" if b"__asan_init" in content else "tsan" if b"__tsan_init" in content else "release"


class Good:
    """The good senders, in a process of their own."""

    def __init__(self, world):
        self.path = os.path.join(world.root, "good.notes")
        open(self.path, "w").close()
        self.read = 0
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "..", "support", "good_sender.py"), str(world.port),
             self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "done":
            raise Failed(f"the good senders did not {command}")

    @contextlib.contextmanager
    def newcomer_away(self):
        self.tell("pause")
        try:
            yield
        finally:
            self.tell("resume")

    def notes(self):
        with open(self.path) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Week:
    def __init__(self, world, kind):
        self.world, self.kind = world, kind
        self.growth_kib, self.wait_ms = BOUNDS[kind]
        self.peers, self.unanswered = 0, []
        self.good = None

    # ---- what the process holds ----

    def process_file(self, name):
        return f"/proc/{self.world.bridge.pid}/{name}"

    def threads(self):
        return len(os.listdir(self.process_file("task")))

    def connections(self):
        """Those of the DICOM port that the bridge has not closed."""
        local, open_states = f":{self.world.port:04X}", ("01", "08")  # established, close-wait
        with open("/proc/net/tcp") as file:
            rows = [line.split() for line in file]
        return sum(row[1].endswith(local) and row[3] in open_states for row in rows)

    def peak_kib(self):
        with open(self.process_file("status")) as file:
            return int(re.search(r"VmHWM:\s*(\d+)", file.read()).group(1))

    def reset_peak(self):
        with open(self.process_file("clear_refs"), "w") as file:
            file.write("5")

    # ---- the log ----

    def lines_of(self, peers, says):
        """What the log has for each of the peers, beside the ordinary."""
        found = {peer.address: [] for peer in peers}
        for line in self.world.log_text().splitlines():
            address = ADDRESS.search(line)
            if address and address.group() in found and (
                    re.search(r"Z (warning|error) ", line) or (says and re.search(says, line))):
                found[address.group()].append(line)
        return list(found.values())

    # ---- a case ----

    def new_peer(self):
        self.peers += 1
        return bad.Peer(self.world.port, self.peers, self.world.bridge.pid)

    def run_row(self, row, peer, seen):
        try:
            seen[peer] = row.act(peer)
        except (Ended, OSError) as error:
            seen[peer] = f"unexpected: {error!r}"

    def act(self, rows):
        """All peers of the rows at once. Returns (row, peer, what it saw)."""
        pairs = [(row, self.new_peer()) for row in rows for _ in range(row.copies)]
        seen = {}
        threads = [threading.Thread(target=self.run_row, args=(row, peer, seen)) for row, peer in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _, peer in pairs:
            self.take(peer)
        return [(row, peer, seen[peer]) for row, peer in pairs]

    def take(self, peer):
        for instance in peer.acknowledged:
            self.world.acknowledged[instance.sop_instance] = digest(instance.data)
        self.unanswered += peer.unanswered

    def check_rows(self, rows, results):
        for row, peer, seen in results:
            if not re.fullmatch(row.sees, seen):
                raise Failed(f"{row.name}: the peer saw “{seen}”, not “{row.sees}”; the log has of it "
                             f"{self.lines_of([peer], row.says)}")
        peers = {row.name: [peer for one, peer, _ in results if one is row] for row in rows}
        for row in rows:
            if row.lines:
                wait_for(f"a line for “{row.name}”",
                         lambda: all(self.lines_of(peers[row.name], row.says)), WAIT_SECONDS)
        with self.good.newcomer_away():
            self.wait_for_places()
        for row in rows:
            for lines in self.lines_of(peers[row.name], row.says):
                wrong = [line for line in lines if not re.search(row.says, line)]
                if wrong or (row.lines >= 0 and len(lines) != row.lines):
                    raise Failed(f"{row.name}: {len(lines)} lines, expected {row.lines} with "
                                 f"“{row.says}”:\n" + "\n".join(lines))

    def play(self, case):
        rows = [row for row in PEERS if row.case == case]
        self.check_rows(rows, self.act(rows))

    def wait_for_places(self):
        """All associations can be had at once, and nothing is left of those that were."""
        wait_for("all associations are free again", self.fill_up, WAIT_SECONDS)
        wait_for("one connection is left, and no thread more than at first", lambda: (
            self.connections() == 1 and self.threads() <= self.first_threads), WAIT_SECONDS)

    def fill_up(self):
        """One is the steady sender's."""
        open_ones = []
        try:
            for number in range(ASSOCIATIONS - 1):
                sender = bad.Sender("127.0.0.1", self.world.port, calling="COUNTER",
                                    source=f"127.2.0.{1 + number // PER_PEER}", timeout=WAIT_SECONDS)
                open_ones.append(sender)
                sender.request([(bad.VERIFICATION, [bad.IMPLICIT_LITTLE])])
            for sender in open_ones:
                sender.await_acceptance()
            for sender in open_ones:
                sender.release()
        except Ended:
            return False
        finally:
            for sender in open_ones:
                sender.close()
        return True

    def check_good(self, begin, may_be_turned_away):
        notes = [note for note in self.good.notes() if note["begin"] >= begin]
        trouble = [note for note in notes if "failed" in note or (
            "turned_away" in note and not may_be_turned_away)]
        served = {who: sum("uid" in note and note["who"] == who for note in notes)
                  for who in ("steady", "newcomer")}
        slowest = max((note["ms"] for note in notes), default=0)
        if trouble or slowest > self.wait_ms:
            raise Failed(f"a good sender noticed: slowest {slowest:.0f} ms, {trouble[:3]}")
        return served, slowest

    def wait_for_good(self, begin, may_be_turned_away):
        def enough():
            served, _ = self.check_good(begin, may_be_turned_away)
            return min(served.values()) >= GOOD_INSTANCES
        wait_for("the good senders are served", enough, WAIT_SECONDS)
        return self.check_good(begin, may_be_turned_away)

    def run(self, name, action, may_be_turned_away=False):
        self.reset_peak()
        begin = time.monotonic()
        action()
        served, slowest = self.wait_for_good(begin, may_be_turned_away)
        growth = self.peak_kib() - self.baseline_kib
        if growth > self.growth_kib:
            raise Failed(f"{name}: the peak grew by {growth} KiB, more than {self.growth_kib}")
        print(f"{name}: {time.monotonic() - begin:.1f} s, good senders {sum(served.values())} instances, "
              f"slowest {slowest:.0f} ms, peak {growth:+} KiB", flush=True)

    # ---- crowds ----

    def crowd(self, count, addresses, served, says):
        """Peers at once that stay until each has its answer; those that are not served hear so."""
        different = [self.new_peer() for _ in range(addresses)]
        answers, all_answered, study = [], threading.Event(), bad.new_uid()

        def answer(what):
            answers.append(what)
            if len(answers) == count:
                all_answered.set()

        def come(peer):
            instance = bad.make_instance(study)
            try:
                sender = peer.associate([instance])
                answer(peer.store(sender, instance))
                while not all_answered.wait(1):
                    sender.echo()  # so that it is not idle
                sender.release()
            except (Ended, OSError) as ended:
                answer(str(ended))

        threads = [threading.Thread(target=come, args=(different[number % addresses],))
                   for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for peer in different:
            self.take(peer)
        counted = {answer: answers.count(answer) for answer in answers}
        if counted != {"0000": served, "rejected 2 3 2": count - served}:
            raise Failed(f"{count} associations at once: {counted}, not {served} served")
        lines = [line for of_one in self.lines_of(different, says) for line in of_one]
        if len(lines) != count - served or not all(re.search(says, line) for line in lines):
            raise Failed(f"{len(lines)} lines for {count - served} rejections:\n" + "\n".join(lines[:3]))

    def crowd_of_many(self):
        with self.good.newcomer_away():  # it would have one of the places
            self.crowd(200, 20, ASSOCIATIONS - 1,
                       f"rejected: all {ASSOCIATIONS} associations are in use .*the sender should try "
                       "again, or raise dicom.max_associations")
            self.wait_for_places()

    def crowd_of_one(self):
        self.crowd(200, 1, PER_PEER,
                   f"rejected: this address has {PER_PEER} associations open already .*raise "
                   "dicom.max_associations_per_peer|turned away: too many connections wait")
        with self.good.newcomer_away():
            self.wait_for_places()

    # ---- the whole ----

    def warm_up(self):
        """What the bridge holds once it has served as many as it may."""
        peers = [self.new_peer() for _ in range(ASSOCIATIONS - 1)]
        study = bad.new_uid()
        act = bad.stores(lambda: bad.make_instance(study, 200000))
        threads = [threading.Thread(target=act, args=(peer,)) for peer in peers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for peer in peers:
            self.take(peer)
        wait_for("the first study is completed", self.world.all_completed, WAIT_SECONDS)
        self.baseline_kib = self.peak_kib()

    def resend_unanswered(self):
        """What stood between commit and response is taken as a resend."""
        for instance in self.unanswered:
            peer = self.new_peer()
            sender = peer.associate([instance])
            if peer.store(sender, instance) != "0000":
                raise Failed("an instance whose response was lost is not taken again")
            sender.release()
            self.take(peer)

    def check_laws(self):
        world = self.world
        wait_for("all studies are completed", world.all_completed, WAIT_SECONDS)
        uploaded, acknowledged = world.uploaded(), world.acknowledged
        wrong = [uid for uid, one in acknowledged.items() if uploaded.get(uid) != [one]]
        unasked = [uid for uid in uploaded if uid not in acknowledged]
        studies = world.studies()
        counts = {key: sum(study[key] for study in studies)
                  for key in ("instances", "resends", "swallowed_resends", "truncated")}
        if wrong or unasked or counts["instances"] != len(acknowledged):
            raise Failed(f"{len(acknowledged)} acknowledged: {len(wrong)} not uploaded once and as "
                         f"sent, {len(unasked)} uploaded but not acknowledged, {counts}")
        if counts["resends"] + counts["swallowed_resends"] != len(self.unanswered):
            raise Failed(f"{len(self.unanswered)} instances came again: {counts}")
        world.check()
        print(f"{len(acknowledged)} instances acknowledged, each uploaded once, in {len(studies)} "
              f"uploads; {counts}", flush=True)

    def check_end(self):
        self.world.stop_bridge()
        text = self.world.log_text()
        if os.listdir(os.path.join(self.world.spool, "incoming")):
            raise Failed("half-written instances are left")
        for pattern in ("Sanitizer", "runtime error", "Synthetic", "SYN-1"):
            if pattern in text:
                raise Failed(f"“{pattern}” is in the log:\n" + text[-4000:])

    def go(self, wanted):
        self.warm_up()
        self.good = Good(self.world)
        try:
            with self.good.newcomer_away():
                wait_for("the steady sender is there", self.good.notes, WAIT_SECONDS)
                wait_for("it alone is there", lambda: self.connections() == 1, WAIT_SECONDS)
                self.first_threads = self.threads()
            crowds = {"200 at once": self.crowd_of_many, "200 of one address": self.crowd_of_one}
            cases = list(dict.fromkeys(row.case for row in PEERS))
            for name in [*crowds, *cases]:
                if not wanted or name in wanted:
                    self.run(name, crowds.get(name) or (lambda: self.play(name)))
            self.good.tell("stop")
            self.good.process.wait()
        finally:
            self.good.end()
        for note in self.good.notes():
            self.world.acknowledged[note["uid"]] = note["digest"]
        self.resend_unanswered()
        self.check_laws()
        self.check_end()


def main():
    program = sys.argv[1]
    kind = kind_of(program)
    if kind == "asan":  # freed memory is kept to find its users: within the bound, please
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
    settings = [f"{key}={value}" for key, value in OPTIONS.items()]
    try:
        with World(program, quiet=300) as world:
            world.start_sandbox()
            world.start_bridge(options=[word for one in settings for word in ("--set", one)])
            try:
                Week(world, kind).go(sys.argv[2:])
            except Failed:
                print(world.log_text()[-4000:])
                raise
    except Failed as failure:
        print(f"FAILED: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
