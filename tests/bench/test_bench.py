#!/usr/bin/env python3
"""That the benchmark itself measures what it says: test_bench.py TOOLS-DIRECTORY [unittest options]"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree
import zlib

import bench_peers
import bench_table
import ingest
import plot
import pdu_sender  # bench_peers knows where
from bench_table import Column, Failed, Row, Tree, alternate, table

TOOLS = ""


def tool(name, *arguments, **keywords):
    return subprocess.run([os.path.join(TOOLS, name), *map(str, arguments)], capture_output=True,
                          text=True, check=False, **keywords)


class Rounds(unittest.TestCase):
    def row(self, order):
        figures = {"a": iter([100.0, 9, 11, 10]), "b": iter([1.0, 2, 2, 4])}

        def contend(name):
            def run(number):
                order.append((name, number))
                return {"speed": next(figures[name])}
            return run
        row = Row("row")
        row.add("a", contend("a"))
        row.add("b", contend("b"))
        row.leave_out("c", "it is not here")
        return row

    def test_they_alternate_and_the_first_is_dropped(self):
        order = []
        row = self.row(order)
        alternate(row, rounds=3, before=lambda: order.append("sync"), log=lambda text: None)
        self.assertEqual([step for step in order if step != "sync"],
                         [(name, number) for number in range(4) for name in "ab"])
        self.assertEqual(order[::2], ["sync"] * 8)
        self.assertEqual(row.find("a").median("speed"), 10)
        self.assertEqual(row.find("a").summary()["speed"],
                         {"median": 10, "min": 9, "max": 11, "q1": 9.5, "q3": 10.5})

    def test_targets_hold_medians(self):
        row = self.row([])
        row.aim("÷ b", "speed", "a", "b", at_least=5)
        row.aim("÷ b or c", "speed", "a", ["b", "c"], at_least=5.1)
        row.aim("÷ c", "speed", "a", "c", at_least=1)
        row.aim("slow", "speed", "b", at_most=2, unit=" m")
        alternate(row, rounds=3, before=lambda: None, log=lambda text: None)
        self.assertEqual([one.is_met() for one in row.targets], [True, False, None, True])
        text = table(row, [Column("m/s", "speed", spread=True)])
        for part in ("10 (9–11)", "÷ b: 5 (≥ 5: met)", "NOT MET", "c: left out, it is not here",
                     "slow: 2 m (≤ 2: met)"):
            self.assertIn(part, text)

    def test_json_becomes_bars(self):
        row = self.row([])
        alternate(row, rounds=3, before=lambda: None, log=lambda text: None)
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "x.json")
            bench_table.write_json(path, "x", [row], bench_table.machine("/", ["dpkg"]))
            with open(path) as file:
                content = json.load(file)
        self.assertEqual(content["rows"][0]["contenders"][0]["runs"][1]["speed"], 11)
        for name in ("cpu", "kernel", "file_system", "memory_gib", "cores"):
            self.assertTrue(content["machine"][name], name)
        drawing = xml.etree.ElementTree.fromstring(plot.draw(content, "speed", "A <title>"))
        bars = [one for one in drawing.iter() if one.tag.endswith("rect") and one.get("x")]
        self.assertEqual(len(bars), 2)
        self.assertAlmostEqual(float(bars[0].get("width")) / float(bars[1].get("width")), 5,
                               places=1)


class Processes(unittest.TestCase):
    def test_children_count(self):
        burn = "import time\nwhile time.process_time() < %s: pass\n"
        script = (f"import subprocess, sys\nhog = b'x' * 40000000\n"
                  f"subprocess.run([sys.executable, '-c', {burn % 0.3!r}])\n"
                  f"child = subprocess.Popen([sys.executable, '-c', {burn % 0.2!r}"
                  " + 'hog = b\"y\" * 60000000\\nprint(1, flush=True)\\nimport time\\ntime.sleep(60)'],"
                  " stdout=subprocess.PIPE)\n"
                  "child.stdout.readline()\nprint(1, flush=True)\ninput()\nchild.kill()\n")
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            tree = Tree(process.pid)
            self.assertEqual(len(tree.pids()), 2)
            self.assertGreaterEqual(tree.cpu_seconds(), 0.5)
            self.assertGreaterEqual(tree.peak_kib(), 100000000 / 1024)
            self.assertLess(tree.settle(), 5)
            process.stdin.write(b"\n")

    def test_what_still_works_has_not_settled(self):
        script = "import time\nprint(1, flush=True)\nwhile time.process_time() < 0.6: pass\ninput()"
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            tree = Tree(process.pid)
            tree.settle()
            self.assertGreaterEqual(tree.cpu_seconds(), 0.6)
            process.stdin.write(b"\n")


class StoredBytes(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.node = bench_peers.Node(os.path.join(self.directory, "node"))
        self.node.files = "in"
        folder = os.path.join(self.node.directory, "in")
        digests = os.path.join(self.directory, "sent")
        done = tool("bench_sender", "--write", folder, "--kind", "MR", "--instances", 5,
                    "--associations", 2, "--digests", digests)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.sent = ingest.read_digests(digests)
        self.path = next(iter(self.node.new_files()))

    def test_the_same_bytes_pass_once(self):
        self.assertEqual(len(self.sent), 5)
        self.node.check(self.sent, seconds=0)
        self.assertEqual(list(self.node.new_files()), [])

    def test_a_changed_byte_fails(self):
        with open(self.path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        with self.assertRaisesRegex(Failed, "differ"):
            self.node.check(self.sent, seconds=0)

    def test_a_missing_byte_fails(self):
        os.truncate(self.path, os.path.getsize(self.path) - 1)
        with self.assertRaisesRegex(Failed, "1 of 5 instances were not stored"):
            self.node.check(self.sent, seconds=0)

    def test_a_missing_file_fails(self):
        os.unlink(self.path)
        with self.assertRaisesRegex(Failed, "1 of 5 instances were not stored"):
            self.node.check(self.sent, seconds=0)

    def test_they_deflate_like_real_ones(self):
        for kind, least, most in (("CT", 2.2, 2.5), ("MR", 1.8, 2.1)):
            folder = os.path.join(self.directory, kind)
            tool("bench_sender", "--write", folder, "--kind", kind, "--instances", 1)
            with open(os.path.join(folder, os.listdir(folder)[0]), "rb") as file:
                content = file.read()
            self.assertTrue(least < len(content) / len(zlib.compress(content, 6)) < most, kind)


class Acceptor:
    """Takes one association and answers each C-STORE with the next of the given statuses."""

    def __init__(self, statuses, max_pdu=131072):
        self.statuses, self.max_pdu = list(statuses), max_pdu
        self.data_sets, self.longest = [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.thread.join()
        self.listener.close()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError, EOFError):
            self.stream = connection.makefile("rb")
            kind, request = self.read_pdu()
            items = (pdu_sender.item(0x21, b"\x01\0\0\0" + pdu_sender.item(0x40, b"1.2"))
                     + pdu_sender.item(0x50, pdu_sender.item(0x51, struct.pack(">I", self.max_pdu))))
            self.write(connection, 2, request[:68] + items)
            data, command = b"", None
            while (pdu := self.read_pdu())[0] == 4:
                self.longest = max(self.longest, len(pdu[1]))
                control, value = pdu[1][5], pdu[1][6:]
                if control & 1:
                    command = pdu_sender.parse_command(value)
                    continue
                data += value
                if control & 2:
                    self.answer(connection, command)
                    self.data_sets.append(data)
                    data = b""
            self.write(connection, 6, bytes(4))

    def read_pdu(self):
        head = self.stream.read(6)
        if len(head) < 6:
            raise EOFError
        return head[0], self.stream.read(struct.unpack(">I", head[2:])[0])

    @staticmethod
    def write(connection, kind, body):
        connection.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)

    def answer(self, connection, command):
        body = b"".join(pdu_sender.element(number, struct.pack("<H", value)) for number, value in (
            (0x0100, 0x8001), (0x0120, struct.unpack("<H", command[0x0110])[0]), (0x0800, 0x0101),
            (0x0900, self.statuses.pop(0))))
        command_set = pdu_sender.element(0, struct.pack("<I", len(body))) + body
        self.write(connection, 4, struct.pack(">IBB", len(command_set) + 2, 1, 3) + command_set)


class Sender(unittest.TestCase):
    def send(self, acceptor, *options):
        with acceptor:
            return tool("bench_sender", "--port", acceptor.port, "--kind", "MR", *options,
                        stdin=subprocess.DEVNULL)

    def test_what_arrives_is_what_it_writes(self):
        acceptor = Acceptor([0, 0, 0])
        done = self.send(acceptor, "--instances", 3, "--pdu", 4096, "--seed", 7)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(acceptor.longest, 4096)
        with tempfile.TemporaryDirectory() as folder:
            tool("bench_sender", "--write", folder, "--kind", "MR", "--instances", 3, "--seed", 7)
            written = []
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), "rb") as file:
                    written.append(bench_peers.data_sets.split(file.read())[2])
        self.assertEqual(sorted(written), sorted(acceptor.data_sets))
        result = json.loads(done.stdout)
        self.assertEqual(result["instances"], 3)
        self.assertEqual(result["bytes"], sum(map(len, written)))
        self.assertGreater(result["seconds"], 0)

    def test_any_other_status_is_a_failure(self):
        for status, words in ((0xA700, "A700"), (0xB000, "B000"), (0x0001, "0001")):
            done = self.send(Acceptor([0, status]), "--instances", 2)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"answered {words}", done.stderr)

    def test_a_peer_of_smaller_pdus_is_named(self):
        done = self.send(Acceptor([], max_pdu=16384), "--instances", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("PDUs of 16384 bytes at most", done.stderr)

    def test_the_huge_instance_is_whole(self):
        acceptor = Acceptor([0])
        with tempfile.NamedTemporaryFile() as file:
            done = self.send(acceptor, "--huge", 5_000_000, "--digests", file.name)
            self.assertEqual(done.returncode, 0, done.stderr)
            (digest, size), = ingest.read_digests(file.name).values()
        self.assertEqual(size, len(acceptor.data_sets[0]))
        self.assertGreaterEqual(size, 5_000_000)
        self.assertEqual(digest, bench_peers.hashlib.sha256(acceptor.data_sets[0]).hexdigest())


class TheLimit(unittest.TestCase):
    def test_it_keeps_what_it_was_sent(self):
        for at, options in enumerate(ingest.LIMITS.values()):
            with tempfile.TemporaryDirectory() as directory:
                with ingest.limit_node(os.path.join(directory, "limit"),
                                       os.path.join(TOOLS, "bench_limit"), options, 2, 5,
                                       ingest.SIZES["CT"]) as node:
                    digests = os.path.join(directory, "sent")
                    for seed in range(3):  # the segment's end is passed
                        done = tool("bench_limit", "send", "--port", node.port, "--connections", 2,
                                    "--instances", 5, "--seed", 10 * at + seed + 1, "--digests",
                                    digests)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        sent = ingest.read_digests(digests)
                        node.check(sent)
                    with self.assertRaisesRegex(Failed, "other bytes"):
                        node.check(sent)  # it lists nothing twice


class Preloaded(unittest.TestCase):
    def start(self, library):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        program = os.path.join(TOOLS, "..", "..", "aurabridge")
        node = bench_peers.Aurabridge(os.path.join(folder, "node"), program, preload=library)
        self.addCleanup(node.stop)
        node.start()

    def test_without_its_syncs_it_starts(self):
        self.start(os.path.join(TOOLS, "bench_unsynced.so"))

    def test_a_library_that_is_not_loaded_is_noticed(self):
        with tempfile.NamedTemporaryFile() as no_library:
            with self.assertRaisesRegex(Failed, "runs without"):
                self.start(no_library.name)

    def test_a_library_that_is_not_there_is_noticed(self):
        with self.assertRaisesRegex(Failed, "runs without"):
            self.start("/nonexistent.so")


if __name__ == "__main__":
    TOOLS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
