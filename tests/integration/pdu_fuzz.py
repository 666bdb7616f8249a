#!/usr/bin/env python3
"""Fuzzes a running bridge at the level of PDUs: mutated and made-up A-ASSOCIATE-RQs, command sets and
data sets over real connections.

Each exchange is one connection, a function of the seed and its number alone:
    pdu_fuzz.py --program build/asan/aurabridge --seed 7 --seconds 3600
    pdu_fuzz.py --program build/asan/aurabridge --seed 7 --first 4711 --count 1 --print
After each batch a sender that keeps to the standard must be served. At the end the bridge must be
alive, stop with exit 0 and have reported nothing to the sanitizers; every instance that it answered
0000 must stand in the spool under its SOP Instance UID, nothing half-written beside it.
"""
import argparse
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import data_sets  # noqa: E402
import pdu_mutations as mutations  # noqa: E402
import pdu_sender  # noqa: E402

CONFIGURATION = """\
dicom:
  listen: "127.0.0.1:0"
  max_associations_per_peer: 64
  association_timeout: 500ms
  idle_timeout: 1s
  pdu_timeout: 500ms
  shutdown_timeout: 2s
spool: {{directory: {spool}, reserve: 1MiB, journal: 16MiB}}
study: {{quiet_period: 1h, max_wait: 12h}}
destinations:
  main:
    api_base_url: http://127.0.0.1:9/api
    app_id: env:FUZZ_CREDENTIAL
    app_secret: env:FUZZ_CREDENTIAL
    service_api_key: env:FUZZ_CREDENTIAL
ae_title_map:
  - {{called: "*", destination: main, context: {{patient_id: "{{PatientID}}"}}}}
"""
REPORT = re.compile(r"Sanitizer|runtime error|SUMMARY:")
EXCHANGE_SECONDS = 4.0  # more than any of the bridge's timeouts
SERVED_SECONDS = 30.0   # a good sender, on a busy machine and under sanitizers


class Failed(Exception):
    """What was to be shown does not hold."""


class Bridge:
    """`aurabridge serve` with a spool of its own and no way to the cloud."""

    def __init__(self, program):
        self.root = tempfile.mkdtemp(prefix="aurabridge-pdu-fuzz.")
        self.spool = os.path.join(self.root, "spool")
        self.log = os.path.join(self.root, "log")
        configuration = os.path.join(self.root, "aurabridge.yaml")
        with open(configuration, "w") as file:
            file.write(CONFIGURATION.format(spool=self.spool))
        # A small quarantine for what was freed, so that memory that is lost shows.
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=16"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--config", configuration], stderr=log,
                env=dict(os.environ, FUZZ_CREDENTIAL="none", ASAN_OPTIONS=sanitizer))
        self.port = self.wait_for_port()

    def log_text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def wait_for_port(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log_text())
            if found and "is ready" in self.log_text():
                return int(found.group(1))
            time.sleep(0.05)
        raise Failed("the bridge did not start:\n" + self.log_text()[-3000:])

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024

    def cpu_seconds(self):
        """Of this bridge, while it runs."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def check_alive(self):
        if self.process.poll() is not None or REPORT.search(self.log_text()):
            raise Failed(f"the bridge ended with {self.process.poll()} or a sanitizer spoke:\n"
                         + self.log_text()[-6000:])

    def stop(self):
        """Ends it. What is left must be whole: see check_spool."""
        self.process.send_signal(signal.SIGTERM)
        try:
            result = self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            raise Failed("the bridge did not stop within 120 s") from None
        text = self.log_text()
        if result != 0 or REPORT.search(text):
            raise Failed(f"exit {result} at the end:\n" + text[-6000:])

    def check_spool(self, acknowledged):
        kept, parts = set(), []
        for folder, _, names in os.walk(self.spool):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(".part"):
                    parts.append(path)
                elif name.endswith(".dcm"):
                    with open(path, "rb") as file:
                        kept.add(data_sets.split(file.read())[0])
        lost = acknowledged - kept
        if lost or parts:
            raise Failed(f"{len(lost)} acknowledged instances are not in the spool: "
                         f"{sorted(lost)[:3]}; half-written: {parts[:3]}")
        return len(kept)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["rm", "-rf", self.root], check=True)


class Conversation:
    """What one exchange sends, and what may come back."""

    def __init__(self, port, acknowledged):
        self.acknowledged = acknowledged
        self.unread = b""
        self.command = b""
        self.ended = False
        self.until = time.monotonic() + EXCHANGE_SECONDS
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SERVED_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self, wait_seconds):
        """Takes what comes within the time, or up to the end."""
        end = min(time.monotonic() + wait_seconds, self.until)
        while not self.ended and time.monotonic() < end:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                got = self.socket.recv(65536)
            except socket.timeout:
                return
            except OSError:
                got = b""
            self.ended = not got
            self.unread += got
            if self.take_pdus() and wait_seconds < EXCHANGE_SECONDS:
                return

    def take_pdus(self):
        """Whether a whole PDU has come. What the bridge sends is sound, whatever it got."""
        some = False
        while len(self.unread) >= 6:
            kind, _, length = struct.unpack(">BBI", self.unread[:6])
            if kind not in (2, 3, 4, 6, 7) or length > 1 << 20:
                raise Failed(f"the bridge sent a PDU of type {kind:02X} and {length} bytes")
            if len(self.unread) < 6 + length:
                break
            body, self.unread = self.unread[6:6 + length], self.unread[6 + length:]
            some = True
            if kind == 4:
                self.take_pdvs(body)
            elif kind != 2 and length != 4:
                raise Failed(f"the bridge sent a PDU of type {kind:02X} with {length} bytes")
        return some

    def take_pdvs(self, body):
        while body:
            if len(body) < 6:
                raise Failed("the bridge sent a PDV that is cut off")
            length, _, header = struct.unpack_from(">IBB", body)
            if length < 2 or 4 + length > len(body) or not header & 1:
                raise Failed(f"the bridge sent a PDV of {length} bytes, header {header:02X}")
            self.command += body[6:4 + length]
            body = body[4 + length:]
            if header & 2:
                self.take_response(pdu_sender.parse_command(self.command))
                self.command = b""

    def take_response(self, response):
        field = struct.unpack("<H", response.get(0x0100, b"\0\0"))[0]
        status = struct.unpack("<H", response.get(0x0900, b"\xff\xff"))[0]
        if not field & 0x8000 or status not in mutations.KNOWN_STATUS:
            raise Failed(f"the bridge answered with command {field:04X}, status {status:04X}")
        if field == 0x8001 and status == 0:
            self.acknowledged.add(response[0x1000].rstrip(b"\0").decode("ascii"))

    def send(self, data):
        try:
            self.socket.settimeout(max(self.until - time.monotonic(), 0.001))
            self.socket.sendall(data)
        except OSError:
            self.receive(0.001)
            self.ended = True

    def end(self, how):
        if how == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "wait" or how == "half-close":
            if how == "half-close":
                try:
                    self.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            self.receive(EXCHANGE_SECONDS)
            if not self.ended and time.monotonic() >= self.until:
                raise Failed("the bridge kept a connection beyond all of its timeouts")
        self.socket.close()


def exchange(port, seed, number, acknowledged):
    script = mutations.make_exchange(random.Random(f"{seed}:{number}"))
    conversation = Conversation(port, acknowledged)
    try:
        for step in script.steps:
            if conversation.ended:
                break
            if step.data:
                conversation.send(step.data)
            if step.wait:
                conversation.receive(step.wait)
        conversation.end(script.ending)
    finally:
        conversation.socket.close()


def serve_good_sender(port, instance, acknowledged):
    """A C-ECHO and a C-STORE by the book."""
    try:
        sender = pdu_sender.Sender("127.0.0.1", port, timeout=SERVED_SECONDS)
        sender.associate(pdu_sender.proposed_contexts([instance], True))
        answers = sender.echo(), sender.store(instance)
        sender.release()
    except (OSError, pdu_sender.Ended) as error:
        raise Failed(f"a good sender was not served: {error}") from None
    if answers != ((0, ""), (0, "")):
        raise Failed(f"a good sender was answered {answers}")
    acknowledged.add(instance.sop_instance)


def cpu_seconds_of(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def cpu_seconds(bridge=None):
    """Of the fuzzer, of the bridges that have ended, and of the one that runs."""
    return (cpu_seconds_of(resource.RUSAGE_SELF) + cpu_seconds_of(resource.RUSAGE_CHILDREN)
            + (bridge.cpu_seconds() if bridge else 0.0))


class Run:
    """Exchanges over several threads, in batches."""

    def __init__(self, bridge, options):
        self.bridge, self.options = bridge, options
        self.acknowledged, self.lock = set(), threading.Lock()
        self.next, self.failures = options.first, []

    def work(self, last):
        while True:
            with self.lock:
                if self.next >= last or self.failures:
                    return
                number, self.next = self.next, self.next + 1
            acknowledged = set()
            try:
                exchange(self.bridge.port, self.options.seed, number, acknowledged)
            except (Failed, OSError) as error:
                with self.lock:
                    self.failures.append(f"exchange {number}: {error}")
            with self.lock:
                self.acknowledged |= acknowledged

    def batch(self, size):
        threads = [threading.Thread(target=self.work, args=(self.next + size,))
                   for _ in range(self.options.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.bridge.check_alive()
        if self.failures:
            raise Failed("; ".join(self.failures[:3]))
        serve_good_sender(self.bridge.port, mutations.good_instance(), self.acknowledged)

    def run(self):
        options = self.options
        end = time.monotonic() + options.seconds
        while (self.next < options.first + options.count and time.monotonic() < end
               and cpu_seconds(self.bridge) < options.cpu_seconds):
            left = options.first + options.count - self.next
            self.batch(min(options.batch, left))
        peak = self.bridge.resident_kib()
        self.bridge.stop()
        kept = self.bridge.check_spool(self.acknowledged)
        return kept, peak


def fuzz(options):
    """One bridge after the other, so that neither spool nor log grows for hours."""
    begin, totals = time.monotonic(), [0, 0, 0]
    seconds, count = options.seconds, options.count
    while True:
        options.seconds = min(seconds - (time.monotonic() - begin), options.bridge_seconds)
        options.count = count - totals[0]
        if options.seconds <= 0 or options.count <= 0 or cpu_seconds() >= options.cpu_seconds:
            return totals
        bridge = Bridge(options.program)
        try:
            run = Run(bridge, options)
            try:
                kept, resident = run.run()
            finally:
                totals[0] += run.next - options.first
                options.first = run.next
        finally:
            if os.environ.get("KEEP_WORLD"):
                print(f"kept: {bridge.root}", file=sys.stderr)
            else:
                bridge.kill()
        totals[1] += kept
        totals[2] = max(totals[2], resident)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True, help="aurabridge, built with sanitizers")
    parser.add_argument("--seed", type=int, default=None, help="default: the time")
    parser.add_argument("--first", type=int, default=0, help="number of the first exchange")
    parser.add_argument("--count", type=int, default=1 << 62, help="exchanges at most")
    parser.add_argument("--seconds", type=float, help="default: 30, or no end with --cpu-seconds")
    parser.add_argument("--cpu-seconds", type=float, default=float("inf"),
                        help="of this program and the bridge together")
    parser.add_argument("--batch", type=int, default=400, help="exchanges between good senders")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--bridge-seconds", type=float, default=600, help="then a new bridge")
    parser.add_argument("--print", action="store_true", help="what the exchanges are; sends none")
    options = parser.parse_args()
    if options.seconds is None:
        options.seconds = 30 if options.cpu_seconds == float("inf") else float("inf")
    if options.seed is None:
        options.seed = int(time.time())
    if options.print:
        for number in range(options.first, options.first + min(options.count, 1000)):
            print(number, mutations.make_exchange(random.Random(f"{options.seed}:{number}")))
        return 0
    first = options.first
    try:
        exchanges, kept, resident = fuzz(options)
    except Failed as failure:
        print(f"seed {options.seed}, exchanges {first}–{options.first - 1}: {failure}")
        return 1
    print(f"seed {options.seed}: {exchanges} exchanges, {kept} instances kept, "
          f"{resident} KiB resident, {cpu_seconds():.0f} s of CPU, "
          f"{cpu_seconds_of(resource.RUSAGE_CHILDREN):.0f} of them the bridge's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
