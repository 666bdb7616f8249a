"""Who uploads: the bridge's Tus driver, tus-js-client, curl. Each sends files from the left end of
a path to a store at the right one; a call makes one run and returns its figures.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from bench_table import MIB, Failed, status_number
from net_path import Path
from tus_store import HERE, sha256, tool

CLIENT_SECONDS = 600  # then it hangs
LATE_MS = 2  # what the line may add to a delay on average, before it is worth a word

# Uploads need little of it: nothing here is received or announced.
CONFIGURATION = """\
dicom: {{listen: "127.0.0.1:0", ae_titles: [AURABRIDGE]}}
spool: {{directory: {folder}}}
destinations:
  main:
    api_base_url: http://127.0.0.1:9/api
    app_id: env:BENCH
    app_secret: env:BENCH
    service_api_key: env:BENCH
ae_title_map: []
"""


Used = collections.namedtuple("Used", "cpu_seconds peak_kib")


class Watch(threading.Thread):
    """Looks at a child's memory while it runs, and ends it when it hangs. (ru_maxrss would be that
    of this interpreter, from which the child was forked.)"""

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
        if "records" in found["uploads"][0]:  # what the ledger would have been told
            figures["records"] = sum(upload["records"] for upload in found["uploads"])
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
        late = (after["late_total_us"] - before["late_total_us"]) / 1e3 / max(1, more("delivered"))
        if late > LATE_MS:
            print(f"  the line was {late:.1f} ms late on average: is the machine idle?",
                  file=sys.stderr, flush=True)
        return {"line_lost": more("from_left", "lost"),
                "line_dropped": more("from_left", "dropped"),
                "line_late_ms": late, "emulator_cpu_seconds": more("cpu_seconds")}

    def printed(self, command):
        text, used = run_client(self.path.inside("left", command))
        return json.loads(text), used


class Bridge(Sender):
    """The Tus driver of the bridge with its default configuration."""

    def __init__(self, path, store, files, given):
        super().__init__(path, store, files)
        self.configuration = os.path.join(given.directory, "upload.yaml")
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(folder=given.directory))
        self.command = [tool(given, "upload_send")]
        for setting in given.set:
            self.command += ["--set", setting]

    def send(self, files):
        return self.printed([*self.command, self.configuration, self.store.endpoint, *files])


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
