#!/usr/bin/env python3
"""How fast instances are received: AuraBridge beside Orthanc, storescp and the durable limit.

    ingest.py [--program AURABRIDGE] [--tools DIRECTORY] [--directory WHERE] [--json FILE]
              [--rows ct1,…] [--peers aurabridge,…] [--rounds N] [--instances N] [--quick] [--huge]
              [--set KEY=VALUE]…

Every run sends instances that none has seen, and the stored bytes are held against them. Nothing is
deleted before the end: ext4 punishes creating files after mass deletes. Ends with 1 when a run failed;
a target that is not met is no failure.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from bench_options import Options
from bench_peers import Aurabridge, Limit, Orthanc, Storescp, why_missing
from bench_table import GB, Column, Failed, Row, alternate, machine, table, write_json


SIZES = {"CT": 512 * 1024, "MR": 20 * 1024}
TOUCH = 2  # bytes of memory for each that is sent: where it is stored, and what comes with that
QUICK_INSTANCES, FEW = 60, 60
TRIALS = 4  # rounds to choose a variant of the limit
HUGE = 4 * 1024 ** 3
STOCK_PDU, STOCK_TIMES = 16384, 5
PROGRAMS = {"orthanc": "Orthanc", "storescp": "storescp", "fork": "storescp"}
TITLES = {"aurabridge": "AuraBridge",
          "unsynced": "AuraBridge without its syncs (not durable)",
          "orthanc": "Orthanc, default (syncs)", "storescp": "storescp, default (no sync)", "fork": "storescp --fork +B (no sync)"}
LIMITS = {"limit, one segment": [],
          "limit, one segment, early 128": ["--early", "128KiB"],
          "limit, one segment, early 512": ["--early", "512KiB"],
          "limit, a segment each, early 128": ["--each", "--early", "128KiB"],
          "limit, one segment, direct": ["--direct"],
          "limit, a segment each, direct": ["--each", "--direct"]}
PEERS = [*TITLES, "limit"]
OURS = ("aurabridge", "unsynced")
QUICK_LIMITS = ["limit, one segment, early 128", "limit, a segment each, direct"]
STORESCU, DCMSEND = "storescu", "dcmsend"

# kind, associations, largest PDU, and at least: ÷ Orthanc, ÷ storescp, ÷ --fork +B, ÷ the limit
ROWS = {
    "ct1": ("CT", 1, 131072, (5, 1, 0.5, 0.85)),
    "ct4": ("CT", 4, 131072, (5, 1.7, 0.5, 0.85)),
    "mr1": ("MR", 1, 131072, (5, 1, 0.5, 0.85)),
    "mr4": ("MR", 4, 131072, (6, 2, 0.5, 0.85)),
    "pdu16": ("CT", 4, 16384, (None, None, 1, None)),
}

COLUMNS = [Column("MB/s", "mb_per_second", spread=True), Column("instances/s", "per_second"),
           Column("p99 ms", "p99_ms"), Column("CPU s/GB", "cpu_per_gb"),
           Column("peak MiB", "peak_mib"), Column("settled s", "settle_seconds")]
STOCK_COLUMNS = [Column("instances/s", "per_second", spread=True),
                 Column("one sync then, µs", "sync_us", spread=True)]


class Bench:
    def __init__(self, options):
        self.options, self.rows = options, []
        self.before = (lambda: None) if options.quick else None
        self.quiet = 0.05 if options.quick else 0.25
        self.limits = QUICK_LIMITS if options.quick else list(LIMITS)
        parent = os.path.abspath(options.directory)
        os.makedirs(parent, exist_ok=True)
        self.root = tempfile.mkdtemp(prefix="ingest.", dir=parent)
        self.seeds = int(time.time()) * 1000

    def tool(self, name):
        return os.path.join(os.path.abspath(self.options.tools), name)

    def next_seed(self):
        self.seeds += 1
        return self.seeds

    # ---- nodes ----

    def make(self, peer, row_name, instances, folder="", **differently):
        """A node with a new directory, in `folder` of the row's."""
        directory = os.path.join(self.root, row_name, folder,
                                 peer.replace(" ", "-").replace(",", ""))
        if peer in OURS:
            preload = self.tool("bench_unsynced.so") if peer == "unsynced" else None
            return Aurabridge(directory, os.path.abspath(self.options.program), self.options.set,
                              preload)
        if peer == "orthanc":
            return Orthanc(directory)
        if peer in LIMITS:
            kind, associations = ROWS[row_name][:2]
            return limit_node(directory, self.tool("bench_limit"), LIMITS[peer], associations,
                              instances, SIZES[kind])
        return Storescp(directory, ["--fork", "+B"] if peer == "fork" else [], **differently)

    def why_not(self, peer):
        """Why a peer is left out, or ""."""
        family = "limit" if peer in LIMITS else peer
        if family not in self.options.peers:
            return "not asked for"
        return why_missing(PROGRAMS[peer]) if peer in PROGRAMS else ""

    # ---- one run ----

    def run(self, node, kind, associations, pdu, instances, seed, extra=()):
        """Sends, and returns the figures once the node is done and its bytes are checked."""
        is_limit = isinstance(node, Limit)
        digests = os.path.join(node.directory, "sent")
        command = ([self.tool("bench_limit"), "send", "--connections"] if is_limit else
                   [self.tool("bench_sender"), "--called", node.called, "--pdu", pdu,
                    *extra, "--associations"])
        if not self.options.quick:
            at = 2 if is_limit else 1
            command[at:at] = ["--touch", TOUCH * instances * SIZES[kind]]
        command += [associations, "--instances", instances, "--kind", kind, "--seed", seed,
                    "--port", node.port, "--digests", digests]
        tree = node.tree()
        cpu = tree.cpu_seconds()
        sender = subprocess.Popen([str(word) for word in command]
                                  + (["--hold"] if node.forks else []), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = sender.stdout.readline()  # the last answer is there
        peak = tree.peak_kib()
        sender.stdin.close()
        sender.stdout.close()
        if sender.wait() != 0 or not line:
            raise Failed(f"the sender failed at {type(node).__name__}")
        settled = tree.settle(quiet=self.quiet)
        node.check(read_digests(digests))
        tree.settle(quiet=self.quiet)  # what it does behind its answers costs, too
        cpu = tree.cpu_seconds() - cpu
        return figures(json.loads(line), cpu, max(peak, tree.peak_kib()), settled)

    def run_stock(self, node, tool, folder, count):
        """What dcmtk's own sender takes, from its start to its end, and the disk for one sync just
        before."""
        sync = sync_us(os.path.join(self.root, "synced"))
        begun = time.monotonic()
        done = subprocess.run([tool, "-aet", "BENCH", "-aec", node.called, "--max-send-pdu",
                               str(STOCK_PDU), "127.0.0.1", str(node.port), "+sd", folder],
                              capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
        if done.returncode != 0:
            raise Failed(f"{tool} failed: {done.stdout[-500:]}{done.stderr[-1000:]}")
        node.check(read_digests(folder + ".sent"))
        return {"seconds": seconds, "instances": count, "per_second": count / seconds,
                "sync_us": sync}

    # ---- rows ----

    def measure(self, row, nodes, columns, **rounds):
        try:
            for node in nodes:
                node.start()
            alternate(row, **{"rounds": self.options.rounds, "warm_up": self.options.warm_up,
                              **rounds}, before=self.before,
                      shown=[column.figure for column in columns])
        finally:
            for node in nodes:
                node.stop()
        self.rows.append(row)
        print(table(row, columns), flush=True)

    def fill_row(self, row, name, peers, kind, associations, pdu, instances, extra=(),
                 folder=""):
        """A contender for each peer; all get the same instances in the same round."""
        nodes, seeds = [], {}

        def contend(node):
            return lambda number: self.run(node, kind, associations, pdu, instances,
                                           seeds.setdefault(number, self.next_seed()), extra)
        for peer in peers:
            why = self.why_not(peer)
            if why:
                row.leave_out(TITLES.get(peer, peer), why)
                continue
            nodes.append(self.make(peer, name, instances, folder))
            row.add(TITLES.get(peer, peer), contend(nodes[-1]))
        return nodes

    def best_limit(self, name):
        """The variant of the limit that is the fastest here, in rounds of their own: the largest of
        six medians would be the luckiest as well. All of them where the limit is not asked for."""
        kind, associations, pdu, _ = ROWS[name]
        if "limit" not in self.options.peers:
            return self.limits
        row = Row(f"{kind} {SIZES[kind] // 1024} KiB × {associations}: variants of the limit")
        nodes = self.fill_row(row, name, self.limits, kind, associations, pdu,
                              self.options.instances, folder="variants")
        self.measure(row, nodes, COLUMNS, rounds=1 if self.options.quick else TRIALS)
        return [max(self.limits, key=lambda limit: row.median(limit, "mb_per_second"))]

    def main_row(self, name):
        kind, associations, pdu, least = ROWS[name]
        row = Row(f"{kind} {SIZES[kind] // 1024} KiB, {associations} association"
                  + "s" * (associations > 1) + f", PDUs of {pdu // 1024} KiB")
        limits = self.best_limit(name) if least[3] else []
        nodes = self.fill_row(row, name, [*TITLES, *limits], kind, associations, pdu,
                              self.options.instances)
        ours = TITLES["aurabridge"]
        for words, peer, bound in zip(("Orthanc", "storescp", "storescp --fork +B"),
                                      ("orthanc", "storescp", "fork"), least):
            if bound:
                row.aim(f"÷ {words}", "mb_per_second", ours, TITLES[peer], at_least=bound)
                row.aim(f"without its syncs ÷ {words}", "mb_per_second", TITLES["unsynced"],
                        TITLES[peer])
        if limits:
            row.aim("÷ the durable limit", "mb_per_second", ours, limits, at_least=least[3])
            row.aim("CPU seconds per GB ÷ Orthanc", "cpu_per_gb", ours, TITLES["orthanc"],
                    at_most=0.2)
        self.measure(row, nodes, COLUMNS)

    def memory_row(self):
        row = Row("CT 512 KiB, 8 associations: memory")
        nodes = self.fill_row(row, "memory", ["aurabridge", "orthanc", "storescp", "fork"], "CT",
                              8, 131072, self.options.instances)
        row.aim("peak resident memory", "peak_mib", TITLES["aurabridge"], at_most=48, unit=" MiB")
        self.measure(row, nodes, COLUMNS, rounds=2, warm_up=0)

    def huge_row(self):
        row = Row(f"one instance of {HUGE // 1024 ** 3} GiB: memory")
        nodes = self.fill_row(row, "huge", ["aurabridge", "fork"], "CT", 1, 131072, 1,
                              ("--huge", HUGE))
        row.aim("peak resident memory", "peak_mib", TITLES["aurabridge"], at_most=48, unit=" MiB")
        self.measure(row, nodes, COLUMNS, rounds=1, warm_up=0)

    def make_files(self, name, count):
        """A folder of MR files that no node has seen."""
        folder = os.path.join(self.root, "files", name)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.run([self.tool("bench_sender"), "--write", folder, "--kind", "MR",
                        "--instances", str(count), "--seed", str(self.next_seed()), "--digests",
                        folder + ".sent"], check=True)
        return folder

    def stock_row(self):
        """dcmtk's senders, as Debian ships them, into AuraBridge and storescp."""
        row = Row(f"stock senders, MR, PDUs of {STOCK_PDU // 1024} KiB")
        targets = {"AuraBridge": "aurabridge", TITLES["unsynced"]: "unsynced",
                   "storescp as shipped": "shipped", "storescp with TCP_NODELAY": "tuned"}
        nodes = {}
        for title, peer in targets.items():
            ours = peer in OURS
            why = self.why_not(peer if ours else "storescp")
            why = why or why_missing(STORESCU)
            if why:
                row.leave_out(title, why)
                continue
            nodes[title] = self.make(peer, "stock", FEW, **(
                {} if ours else {"pdu": STOCK_PDU, "no_delay": peer == "tuned"}))
        # So many that a sender's own start is a small share of its time, as it is with storescp.
        count = dict.fromkeys((TITLES[peer] for peer in OURS), STOCK_TIMES * self.options.instances)

        # All of them ahead: a disk that has just taken files takes syncs more slowly for a while.
        numbers = range(self.options.warm_up + self.options.rounds)
        folders = {(tool, title, number): self.make_files(
            f"{tool}.{title.replace(' ', '-')}.{number}", count.get(title, FEW))
                   for number in numbers for tool in (STORESCU, DCMSEND) for title in nodes}
        os.sync()

        def contend(title, tool):
            return lambda number: self.run_stock(nodes[title], tool, folders[tool, title, number],
                                                 count.get(title, FEW))
        for tool in (STORESCU, DCMSEND):
            for title in nodes:
                row.add(f"{tool} → {title}", contend(title, tool))
            for title, least in (("storescp as shipped", 150), ("storescp with TCP_NODELAY", 70)):
                row.aim(f"{tool} into AuraBridge ÷ {title}", "per_second",
                        f"{tool} → AuraBridge", f"{tool} → {title}", at_least=least)
                row.aim(f"{tool}, without its syncs ÷ {title}", "per_second",
                        f"{tool} → {TITLES['unsynced']}", f"{tool} → {title}")
        self.measure(row, list(nodes.values()), STOCK_COLUMNS)

    def run_rows(self):
        """A row that fails does not take the others with it. Returns how many did."""
        failures = 0
        for name in self.options.rows:
            try:
                if name in ROWS:
                    self.main_row(name)
                else:
                    getattr(self, name + "_row")()
            except Failed as failed:
                failures += 1
                print(f"FAILED: {name}: {failed}\n", file=sys.stderr, flush=True)
        return failures


def limit_node(directory, program, words, associations, instances, size):
    """With room for one run in its segments, which the next one writes over."""
    shares = associations if "--each" in words else 1
    options = [word for option in words
               for word in ([option, str(associations)] if option == "--each" else [option])]
    return Limit(directory, program, -(-instances // shares) * (size + 8192) + (1 << 20), options)


def sync_us(path, count=200, size=24576):
    """What the disk takes for one sync at the moment: the median of fdatasync after what an MR
    instance and its record come to was written over, in microseconds."""
    taken, instance = [], os.urandom(size)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size == 0:
            os.pwrite(descriptor, instance * count, 0)
            os.fsync(descriptor)
        for at in range(count):
            os.pwrite(descriptor, instance, at * size)
            begun = time.perf_counter()
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
    return statistics.median(taken) * 1e6


def read_digests(path):
    with open(path) as file:
        return {uid: (digest, int(size)) for uid, digest, size in map(str.split, file)}


def figures(timing, cpu, peak_kib, settled):
    seconds, sent = timing["seconds"], timing["bytes"]
    return {"seconds": seconds, "instances": timing["instances"], "bytes": sent,
            "mb_per_second": sent / seconds / 1e6, "per_second": timing["instances"] / seconds,
            "p50_ms": timing["latency_us"]["p50"] / 1e3,
            "p99_ms": timing["latency_us"]["p99"] / 1e3,
            "cpu_seconds": cpu, "cpu_per_gb": cpu / (sent / GB), "peak_mib": peak_kib / 1024,
            "settle_seconds": settled}


def check_room(bench):
    """All that is stored stays until the end."""
    large = sum(1 for name in bench.options.rows if ROWS.get(name, ("",))[0] == "CT")
    runs = large * len(TITLES) * (bench.options.rounds + 1) + 8 * ("memory" in bench.options.rows)
    stock = 8 * STOCK_TIMES * (bench.options.rounds + 1) * ("stock" in bench.options.rows)
    needed = runs * bench.options.instances * (SIZES["CT"] + 8192) + large * (len(LIMITS) + 1) * (
        bench.options.instances * SIZES["CT"]) + stock * bench.options.instances * (
            SIZES["MR"] + 8192) + 3 * HUGE * ("huge" in bench.options.rows)
    free = shutil.disk_usage(bench.root).free
    if free < needed * 1.1:
        raise Failed(f"{bench.root} has {free / GB:.0f} GB free and this takes up to "
                     f"{needed * 1.1 / GB:.0f} GB; use another --directory, or fewer --rounds")


def parse(arguments):
    names = [*ROWS, "stock", "memory", "huge"]
    options = Options("ingest", __doc__, "on the file system that is to be measured",
                      f"two rounds of {QUICK_INSTANCES}", names, names[:-1])
    options.quick_rounds = 2
    options.add_program()
    options.add_argument("--peers", default=",".join(PEERS))
    options.add_argument("--instances", type=int, default=600)
    options.add_argument("--huge", action="store_true", help="also the instance of 4 GiB")
    options.add_settings()
    given = options.given(arguments)
    given.peers = given.peers.split(",")
    if given.huge and "huge" not in given.rows:
        given.rows.append("huge")
    if given.quick:
        given.instances = QUICK_INSTANCES
    if unknown := set(given.peers) - set(PEERS):
        options.error(f"no such peer: {', '.join(unknown)}")
    return given


def main():
    bench = Bench(parse(sys.argv[1:]))
    try:
        check_room(bench)
        failures = bench.run_rows()
        write_json(bench.options.json, "ingest", bench.rows,
                   machine(bench.root, ("orthanc", "dcmtk")),
                   {"rounds": bench.options.rounds, "instances": bench.options.instances,
                    "set": bench.options.set})
    finally:
        shutil.rmtree(bench.root, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
