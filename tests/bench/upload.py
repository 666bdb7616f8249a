#!/usr/bin/env python3
"""Uploads: the bridge's Tus driver beside curl and tus-js-client, into the Tus project's own server.

    upload.py [--tools DIRECTORY] [--directory WHERE] [--store WHERE] [--json FILE]
              [--rows loopback,…] [--rounds N] [--quick]

loopback  one archive of 1 GiB, all of them on loopback as it is
one       the others go over 100 ms round trip at 1 Gbit/s (net_path.py, needs root): one study
four      four studies at once
loss      one study, with 0.1 % loss
buffers   like `one`, with send buffers as an operator may allow them; not by default

Each program says itself how long it took, from its first request to the last answer, the creation of
the upload included; none is charged for its start. What the server stored is compared with what was
sent (SHA-256) after every run. Needs node, npm, curl; installs what package-lock.json pins.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from bench_table import (MIB, Column, Failed, Row, alternate, machine, read, status_number,
                         table, touch_memory, write_json)
from net_path import (DEBIAN, LARGE_SEND_BUFFERS, Broken, Loopback, Path, Unavailable,
                      end_process)

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT_SECONDS = 600  # then it hangs

COLUMNS = [Column("MB/s", "mb_per_second", spread=True), Column("seconds", "seconds"),
           Column("CPU s/GB", "cpu_per_gb"), Column("peak RSS MiB", "peak_kib", scale=1 / 1024)]

# Uploads need little of it: nothing here is received or announced.
CONFIGURATION = """\
dicom: {{listen: "127.0.0.1:0", ae_titles: [AURABRIDGE]}}
spool: {{directory: {folder}}}
upload: {{workers: {workers}}}
destinations:
  main:
    api_base_url: http://127.0.0.1:9/api
    app_id: env:BENCH
    app_secret: env:BENCH
    service_api_key: env:BENCH
ae_title_map: []
"""


# ---- what is sent, and where it goes ----

def make_archive(directory, number, mib):
    """A file of bytes that nothing can compress, the same ones each time; kept between runs."""
    path = os.path.join(directory, f"upload-{number}-{mib}MiB")
    if not os.path.exists(path) or os.path.getsize(path) != mib * MIB:
        source = random.Random(number)
        with open(path, "wb") as file:
            for _ in range(mib):
                file.write(source.randbytes(MIB))
    return path


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def change_a_byte(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


class Store:
    """The Tus server at the right end of a path, with a folder that is empty before each run."""

    def __init__(self, path, folder, spoil=False):
        self.path, self.spoil = path, spoil
        self.folder = tempfile.mkdtemp(prefix="aurabridge-bench-", dir=folder)
        self.events = collections.deque()
        self.changed = threading.Condition()
        self.process = None

    def __enter__(self):
        self.process = self.path.popen(
            "right", ["node", os.path.join(HERE, "tus_store.mjs"), "--folder", self.folder,
                      "--host", self.path.address["right"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.listen, daemon=True).start()
        try:
            self.endpoint = self.wait(lambda event: event["event"] == "listening")["url"]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        end_process(self.process)
        self.process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def listen(self):
        with self.process.stdout as lines:
            for line in lines:
                with self.changed:
                    self.events.append(json.loads(line))
                    self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "ended"})
            self.changed.notify_all()

    def wait(self, wanted, seconds=60):
        """The first event that is wanted, which may have happened already."""
        def look():
            return next((event for event in self.events
                         if wanted(event) or event["event"] == "ended"), None)
        with self.changed:
            found = self.changed.wait_for(look, seconds)
        if not found or found["event"] == "ended":
            raise Failed("the Tus server " + ("has ended" if found else "says nothing"))
        return found

    def clear(self):
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        with self.changed:
            self.events.clear()

    def check(self, uploads, digests):
        """Each file was stored once, as it is. `uploads` are what a client printed."""
        names = [os.path.basename(upload["url"]) for upload in uploads]
        stored = [name for name in os.listdir(self.folder) if not name.endswith(".json")]
        if sorted(stored) != sorted(names):
            raise Failed(f"{len(names)} uploads were reported, {len(stored)} are stored")
        if sorted(upload["file"] for upload in uploads) != sorted(digests):
            raise Failed("not every file was uploaded once")
        for upload, name in zip(uploads, names):
            if self.spoil:
                change_a_byte(os.path.join(self.folder, name))
            if sha256(os.path.join(self.folder, name)) != digests[upload["file"]]:
                raise Failed(f"{upload['file']}: the server stored other bytes")


# ---- who sends ----

Used = collections.namedtuple("Used", "cpu_seconds peak_kib")


class Watch(threading.Thread):
    """Looks at a child's memory while it runs, and ends it when it hangs. (ru_maxrss would be that of
    this interpreter, from which the child was forked.)"""

    def __init__(self, child):
        super().__init__(daemon=True)
        self.child, self.peak_kib, self.done = child, 0, threading.Event()

    def run(self):
        deadline = time.monotonic() + CLIENT_SECONDS
        while not self.done.wait(0.02):
            self.peak_kib = status_number(self.child.pid, "VmHWM") or self.peak_kib
            if time.monotonic() > deadline:
                self.child.kill()
                return


def run_client(command):
    """Runs a client; returns what it printed and what it used."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=out, stderr=errors)
        watch = Watch(child)
        watch.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.done.set()
            watch.join()
            if child.returncode is None:
                child.kill()
                child.wait()
        out.seek(0)
        errors.seek(0)
        if child.returncode != 0:
            raise Failed(f"{' '.join(command)}: status {child.returncode}: "
                         f"{errors.read().strip() or out.read().strip()}")
        return out.read(), Used(usage.ru_utime + usage.ru_stime, watch.peak_kib)


class Sender:
    """A client at the left end; a call makes one run and returns its figures."""

    def __init__(self, path, store, files):
        self.path, self.store = path, store
        self.digests = {file: sha256(file) for file in files}
        self.bytes = sum(map(os.path.getsize, files))

    def __call__(self, _round):
        self.store.clear()
        before = self.path.stats() if isinstance(self.path, Path) else None
        found, used = self.send(list(self.digests))
        self.store.check(found["uploads"], self.digests)
        figures = {"seconds": found["seconds"], "bytes": self.bytes,
                   "mb_per_second": self.bytes / 1e6 / found["seconds"],
                   "cpu_seconds": used.cpu_seconds,
                   "cpu_per_gb": used.cpu_seconds / (self.bytes / 1e9),
                   "peak_kib": used.peak_kib or None}
        if before:
            figures.update(self.of_line(before, self.path.stats()))
        return figures

    def of_line(self, before, after):
        """What happened on the line; a run that the emulator disturbed is none."""
        def more(*names):
            there, here = before, after
            for name in names:
                there, here = there[name], here[name]
            return here - there
        spoilt = {name: more(*name.split(".")) for name in (
            "device_dropped_left", "device_dropped_right", "refused", "from_left.overflowed",
            "from_right.overflowed")}
        if any(spoilt.values()):
            raise Failed(f"the emulator lost packets on its own account: {spoilt}")
        return {"line_lost": more("from_left", "lost"), "line_dropped": more("from_left", "dropped"),
                "line_late_ms": (after["late_total_us"] - before["late_total_us"]) / 1e3
                / max(1, more("delivered")), "emulator_cpu_seconds": more("cpu_seconds")}

    def printed(self, command):
        text, used = run_client(self.path.inside("left", command))
        return json.loads(text), used


class Bridge(Sender):
    """The Tus driver of the bridge with its default configuration."""

    def __init__(self, path, store, files, program, directory, workers=4):
        super().__init__(path, store, files)
        self.program = program
        self.configuration = os.path.join(directory, f"upload-{workers}.yaml")
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(folder=directory, workers=workers))

    def send(self, files):
        return self.printed([self.program, self.configuration, self.store.endpoint, *files])


class Peer(Sender):
    """tus-js-client. `chunk` 0: one PATCH."""

    def __init__(self, path, store, files, chunk=5 * MIB, at_once=1):
        super().__init__(path, store, files)
        self.options = ["--chunk", str(chunk), "--at-once", str(at_once)]

    def send(self, files):
        return self.printed(["node", os.path.join(HERE, "upload_peer.mjs"),
                             "--endpoint", self.store.endpoint, *self.options, *files])


class Curl(Sender):
    """One POST, then all of it in one PATCH."""

    def send(self, files):
        common = ["curl", "-sS", "--noproxy", "*", "-H", "Tus-Resumable: 1.0.0"]
        uploads, seconds, cpu, peak = [], 0.0, 0.0, 0
        for file in files:
            said, first = run_client(self.path.inside("left", common + [
                "-X", "POST", "-H", f"Upload-Length: {os.path.getsize(file)}", "-D", "-",
                "-w", "time %{time_total} %{http_code}\n", self.store.endpoint]))
            url = next((line.split(None, 1)[1].strip() for line in said.splitlines()
                        if line.lower().startswith("location:")), None)
            seconds += self.time_of(said, "201")
            said, second = run_client(self.path.inside("left", common + [
                "-X", "PATCH", "-H", "Upload-Offset: 0", "-H", "Expect:",
                "-H", "Content-Type: application/offset+octet-stream", "-T", file,
                "-w", "time %{time_total} %{http_code}\n", url]))
            seconds += self.time_of(said, "204")
            uploads.append({"file": file, "url": url})
            cpu += first.cpu_seconds + second.cpu_seconds
            peak = max(peak, second.peak_kib)
        return {"uploads": uploads, "seconds": seconds}, Used(cpu, peak)

    @staticmethod
    def time_of(said, status):
        _, seconds, answered = said.splitlines()[-1].split()
        if answered != status:
            raise Failed(f"curl was answered {answered}, not {status}")
        return float(seconds)


# ---- what is measured ----

def tool(given, name):
    path = os.path.join(given.tools, name)
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is not there: build Release, or name its directory with --tools")
    return path


class Sizes:
    """MiB of what is uploaded, and the line. The slow peer takes half a minute at most."""

    def __init__(self, quick):
        self.loopback, self.one, self.four, self.lossy = (
            (6, 2, 1, 1) if quick else (1024, 256, 128, 48))
        self.line = ({"delay_ms": 5, "rate_mbit": 200} if quick
                     else {"delay_ms": 50, "rate_mbit": 1000})


def bridge(given, path, store, files):
    return Bridge(path, store, files, tool(given, "upload_send"), given.directory)


def archives(given, count, mib):
    return [make_archive(given.directory, number, mib) for number in range(1, count + 1)]


def finish(given, row):
    alternate(row, given.rounds, given.warm_up)
    print(table(row, COLUMNS), flush=True)
    return row


def measure_loopback(given, sizes):
    files = archives(given, 1, sizes.loopback)
    row = Row(f"upload, loopback, {sizes.loopback} MiB")
    with Loopback() as path, Store(path, given.store, given.spoil) as store:
        row.add("aurabridge", bridge(given, path, store, files))
        row.add("curl, one PATCH", Curl(path, store, files))
        row.add("tus-js-client, 5 MiB", Peer(path, store, files))
        row.add("tus-js-client, one PATCH", Peer(path, store, files, chunk=0))
        row.aim("÷ curl, one PATCH", "mb_per_second", "aurabridge", "curl, one PATCH",
                at_least=0.95)
        return finish(given, row)


@contextlib.contextmanager
def line(given, sizes, what, **options):
    """A row's name, a path that was seen to have its round trip, and a server at its end. Where the
    machine cannot have such a path, the row says so and nothing is measured."""
    path = Path(tool(given, "net_delay"), seed=given.seed, **sizes.line, **options)
    round_trip = 2 * sizes.line["delay_ms"]
    row = Row(f"upload, {round_trip:g} ms round trip at {sizes.line['rate_mbit']} Mbit/s, {what}")
    try:
        path.__enter__()
    except Unavailable as why:
        row.leave_out("all of them", str(why))
        yield row, None, None
        return
    with contextlib.ExitStack() as stack:
        stack.push(path)
        found = path.measure()
        print(f"round trip {found:.2f} ms", file=sys.stderr, flush=True)
        if found < round_trip:
            raise Failed(f"the line has a round trip of {found:.2f} ms instead of {round_trip}")
        yield row, path, stack.enter_context(Store(path, given.store, given.spoil))


def measure_one(given, sizes, sysctls=None):
    files = archives(given, 1, sizes.one)
    what = f"{sizes.one} MiB" + (", tcp_wmem 64 MiB" if sysctls else "")
    with line(given, sizes, what, sysctls=sysctls) as (row, path, store):
        if path:
            row.add("aurabridge", bridge(given, path, store, files))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files))
            row.add("tus-js-client, one PATCH", Peer(path, store, files, chunk=0))
            row.add("curl, one PATCH", Curl(path, store, files))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge", "tus-js-client, 5 MiB",
                **({} if sysctls else {"at_least": 1.4}))
        return finish(given, row)


def measure_four(given, sizes):
    files = archives(given, 4, sizes.four)
    with line(given, sizes, f"four of {sizes.four} MiB") as (row, path, store):
        if path:
            row.add("aurabridge, four at once", bridge(given, path, store, files))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files), "one after the other")
            row.add("tus-js-client, 5 MiB, four at once", Peer(path, store, files, at_once=4))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge, four at once",
                "tus-js-client, 5 MiB", at_least=3)
        row.aim("÷ tus-js-client, 5 MiB, four at once", "mb_per_second",
                "aurabridge, four at once", "tus-js-client, 5 MiB, four at once")
        return finish(given, row)


def measure_lossy(given, sizes):
    files = archives(given, 1, sizes.lossy)
    with line(given, sizes, f"0.1 % loss, {sizes.lossy} MiB",
              loss_percent=0.1) as (row, path, store):
        if path:
            row.add("aurabridge", bridge(given, path, store, files))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge", "tus-js-client, 5 MiB",
                at_least=10)
        return finish(given, row)


MEASURES = {"loopback": measure_loopback, "one": measure_one, "four": measure_four,
            "loss": measure_lossy,
            "buffers": lambda given, sizes: measure_one(given, sizes, LARGE_SEND_BUFFERS)}


def parse(arguments):
    build = os.path.join(HERE, "..", "..", "build")
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--tools", default=os.path.join(build, "release", "tests", "bench"))
    parser.add_argument("--directory", default=os.path.join(build, "bench", "data"),
                        help="for what is sent; it stays for the next time")
    parser.add_argument("--store", default=memory_file_system(),
                        help="for what the server stores; in memory, so that no disk is measured")
    parser.add_argument("--json", default=os.path.join(build, "bench", "upload.json"))
    parser.add_argument("--rows", default=",".join(list(MEASURES)[:-1]),
                        help="of " + ",".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=5, help="after one that warms up")
    parser.add_argument("--seed", type=int, default=1, help="of the losses")
    parser.add_argument("--quick", action="store_true",
                        help="a few MiB, one round: whether it works, no figures")
    parser.add_argument("--spoil", action="store_true",
                        help="change a byte of what is stored: it must be noticed")
    given = parser.parse_args(arguments)
    given.tools, given.directory = map(os.path.abspath, (given.tools, given.directory))
    given.rows, given.warm_up = given.rows.split(","), 1
    if given.quick:
        given.rounds, given.warm_up = 1, 0
    if unknown := set(given.rows) - set(MEASURES):
        parser.error(f"no such row: {', '.join(unknown)}")
    return given


def memory_file_system():
    """Where files lie in memory; elsewhere, where temporary ones do."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def install_peers():
    subprocess.run([os.path.join(HERE, "..", "support", "npm_install.sh"), HERE], check=True)


def main():
    given = parse(sys.argv[1:])
    os.makedirs(given.directory, exist_ok=True)
    install_peers()
    sizes, rows = Sizes(given.quick), []
    if not given.quick:
        touch_memory()
    for name in given.rows:
        rows.append(MEASURES[name](given, sizes))
        write_json(
            given.json, "upload", rows, machine(given.directory, ("nodejs", "curl")),
            {"rounds": given.rounds, "quick": given.quick, "seed": given.seed, "line": DEBIAN,
             "loopback": {name: (read(f"/proc/sys/{name}") or "").strip() for name in DEBIAN}})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, Broken) as failed:
        sys.exit(f"FAILED: {failed}")
