#!/usr/bin/env python3
"""Whether the emulated line is the line that was asked for: test_net_path.py NET_DELAY (root)."""

import hashlib
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import unittest

import net_path
from net_path import Path

PROGRAM = None

# Takes bytes until the end, and answers with their digest.
TAKE = """
import hashlib, socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    print(server.getsockname()[1], flush=True)
    peer, _ = server.accept()
    found = hashlib.sha256()
    while part := peer.recv(1 << 16):
        found.update(part)
    peer.sendall(found.digest())
    peer.close()
"""
# Sends standard input, and prints the digest that comes back and how long that took.
GIVE = """
import socket, sys, time
content = sys.stdin.buffer.read()
begun = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    peer.sendall(content)
    peer.shutdown(socket.SHUT_WR)
    print(peer.recv(32, socket.MSG_WAITALL).hex(), time.monotonic() - begun)
"""
# 500 datagrams at once; how many arrive before a silence of half a second?
CATCH = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    peer.bind((sys.argv[1], 0))
    print(peer.getsockname()[1], flush=True)
    count = 0
    try:
        while peer.recv(2000):
            count += 1
            peer.settimeout(0.5)
    except TimeoutError:
        print(count)
"""
THROW = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
    for _ in range(500):
        peer.sendto(bytes(1000), (sys.argv[1], int(sys.argv[2])))
"""


def transfer(path, size):
    """Sends bytes from left to right; returns whether they arrived, and the seconds."""
    content = random.Random(size).randbytes(size)
    server = path.popen("right", [sys.executable, "-c", TAKE, path.address["right"]],
                        stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    done = subprocess.run(path.inside("left", [sys.executable, "-c", GIVE, path.address["right"],
                                               port]),
                          input=content, capture_output=True, check=True, timeout=120)
    server.wait()
    server.stdout.close()
    digest, seconds = done.stdout.decode().split()
    return digest == hashlib.sha256(content).hexdigest(), float(seconds)


def counter(path, end, protocol, name):
    lines = subprocess.run(path.inside(end, ["cat", "/proc/net/snmp"]), capture_output=True,
                           text=True, check=True).stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith(protocol + ":"))
    return int(values[names.index(name)])


class NetPath(unittest.TestCase):
    def test_the_round_trip_is_twice_the_delay(self):
        with Path(PROGRAM, delay_ms=30) as path:
            found = path.measure()
        self.assertGreaterEqual(found, 60)
        self.assertLess(found, 120)  # a busy machine adds to it

    def test_no_faster_than_the_rate(self):
        with Path(PROGRAM, delay_ms=1, rate_mbit=50, queue_kib=64) as path:
            arrived, seconds = transfer(path, 2000000)
        self.assertTrue(arrived)
        self.assertGreater(seconds, 2000000 * 8 / 50e6)

    def test_lost_segments_are_single_ones_and_the_rest_arrives(self):
        size, loss, delivered = 3000000, 0.03, {}
        for offload in (True, False):
            with self.subTest(offload=offload), \
                    Path(PROGRAM, delay_ms=1, loss_percent=loss * 100, offload=offload) as path:
                arrived, _ = transfer(path, size)
                stats = path.stats()
                self.assertTrue(arrived)
                sent = stats["from_left"]["segments"]
                self.assertGreater(sent, size // 1448)  # counted by segments of the line
                self.assertLess(sent, 2 * size // 1448)
                self.assertAlmostEqual(stats["from_left"]["lost"] / sent, loss, delta=loss / 2)
                self.assertEqual(counter(path, "right", "Ip", "InHdrErrors"), 0)
                self.assertEqual(counter(path, "right", "Tcp", "InCsumErrors"), 0)
                self.assertEqual(stats["refused"] + stats["from_left"]["overflowed"], 0)
                delivered[offload] = stats["delivered"]
        # Otherwise many of them would never have travelled as one, to be taken apart.
        self.assertLess(delivered[True], delivered[False] * 0.8)

    def test_what_finds_no_room_in_the_queue_is_dropped(self):
        with Path(PROGRAM, delay_ms=1, rate_mbit=8, queue_kib=100) as path:
            catcher = path.popen("right", [sys.executable, "-c", CATCH, path.address["right"]],
                                 stdout=subprocess.PIPE, text=True)
            port = catcher.stdout.readline().strip()
            subprocess.run(path.inside("left", [sys.executable, "-c", THROW,
                                                path.address["right"], port]), check=True)
            with catcher.stdout:
                caught = int(catcher.stdout.read())
            stats = path.stats()["from_left"]
        # 1,066 bytes each on the line: 96 wait; while they were thrown a few went out.
        self.assertGreaterEqual(caught, 90)
        self.assertLess(caught, 300)
        self.assertEqual(caught + stats["dropped"], 500)
        self.assertLessEqual(stats["longest_queue"], 100 * 1024)

    def test_no_end_has_a_way_out(self):
        with Path(PROGRAM) as path:
            for end in ("left", "right"):
                routes = subprocess.run(path.inside(end, ["cat", "/proc/net/route"]),
                                        capture_output=True, text=True,
                                        check=True).stdout.splitlines()[1:]
                self.assertEqual([line.split()[:2] for line in routes], [["line", "000200C0"]])

    def test_nothing_is_left_when_its_user_is_killed(self):
        user = subprocess.Popen([sys.executable, "-c", f"""
import sys, time
sys.path.insert(0, {os.path.dirname(os.path.abspath(net_path.__file__))!r})
from net_path import Path
with Path({PROGRAM!r}) as path:
    print(path.process.pid, flush=True)
    time.sleep(600)
"""], stdout=subprocess.PIPE, text=True)
        with user.stdout:
            emulator = os.pidfd_open(int(user.stdout.readline()))
        try:
            user.send_signal(signal.SIGKILL)
            user.wait()
            ended, _, _ = select.select([emulator], [], [], 30)
            self.assertTrue(ended)
        finally:
            os.close(emulator)

    def test_without_root_it_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            program = os.path.join(folder, "net_delay")
            subprocess.run(["cp", PROGRAM, program], check=True)
            done = subprocess.run([program], user=65534, group=65534, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("needs root", done.stderr)


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
