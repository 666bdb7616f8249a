#!/usr/bin/env python3
"""The network of a bad week: the whole bridge against every fault of the table in bad_week_rows.py.

usage: bad_week.py PROGRAM [--rows REGEX] [--all] [--watch SECONDS] [--list] [--keep]

Rows run side by side, each at a destination of its own. Each must show, in this order:
  - the operator is told the cause (`studies --json`, or the log where the fault passes by itself);
  - a second study (for a fault of one study), or a second destination, is not held up meanwhile;
  - the requests meanwhile are few: no hot loop;
  - once the fault is gone, all instances of both studies are in exactly one completed upload each,
    or the study failed for the reason named.
"""

import argparse
import collections
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

import bad_way  # noqa: E402
import bad_week_rows  # noqa: E402
import data_sets  # noqa: E402
import make_instances  # noqa: E402
import pdu_sender  # noqa: E402

KEY = "sandbox-key"
SETTINGS = ("skew:", "lift-ttl:", "retry-after:", "token-prefix:")  # for the sandbox's start
PATIENCE_SECONDS = 60  # of a busy machine under a sanitizer
BATCH = 25              # rows at one bridge
SIDE_BY_SIDE = 2        # bridges

CONFIGURATION = """\
dicom: {{listen: "127.0.0.1:0", ae_titles: [AURABRIDGE], idle_timeout: 5m}}
spool: {{directory: {root}/spool, reserve: 1MiB, journal: 16MiB}}
study: {{quiet_period: 300ms, association_hold: 5s, max_wait: 60s}}
upload: {{workers: 2, compression: store, chunk_size: 512KiB, retry: {{first: 100ms, ceiling: 1s}}}}
destinations:
{destinations}
ae_title_map:
{entries}
"""
DESTINATION = """\
  {name}:
    api_base_url: {url}
    app_id: file:{root}/app_id
    app_secret: file:{root}/app_secret
    service_api_key: file:{root}/service_api_key
    ca_file: {authority}
    limits: {{exchange: 9000, config: 9000, lifecycle: 9000}}
    timeout: {timeout}
"""
ENTRY = """\
  - {{name: {name}, called: AURABRIDGE, calling: {calling}, destination: {name}, context: {{patient_id: "{{PatientID}}"}}}}
"""


class Failed(Exception):
    """What was to be shown does not hold."""


def wait_for(what, question, seconds=PATIENCE_SECONDS):
    """Polls until the question has a true answer, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = question()
        if found:
            return found
        time.sleep(0.1)
    raise Failed(f"never came within {seconds} s: {what}")


# ---- studies ----

class Study:
    def __init__(self, count, pixel_bytes):
        self.uid, series = make_instances.new_uid(), make_instances.new_uid()
        self.instances, self.sent = [], {}
        for index in range(1, count + 1):
            uid = make_instances.new_uid()
            part10 = make_instances.header(self.uid, series, uid, index, pixel_bytes)
            part10 += os.urandom(pixel_bytes)
            data = data_sets.split(part10)[2]
            self.instances.append(pdu_sender.Instance(
                make_instances.SECONDARY_CAPTURE, uid, make_instances.EXPLICIT_LITTLE_ENDIAN, data))
            self.sent[uid] = hashlib.sha256(data).hexdigest()
        self.seen = {}  # the last picture of it


# ---- sandboxes ----

class Sandbox:
    def __init__(self, program, root, name, faults):
        self.program, self.folder = program, os.path.join(root, name)
        self.log, self.port = self.folder + ".log", 0
        self.start(faults)

    def start(self, faults):
        self.faults = faults
        arguments = [part for fault in faults if fault.startswith(SETTINGS)
                     for part in ("--fault", fault)]
        with open(self.log, "a") as log:
            self.begin = log.tell()
            self.process = subprocess.Popen(
                [self.program, "sandbox", "--listen", f"127.0.0.1:{self.port}", "--directory",
                 self.folder, "--app-id", "sandbox-app", "--app-secret", "sandbox-secret",
                 "--service-api-key", KEY, "--limit-exchange", "9000", "--limit-config", "9000",
                 "--limit-lifecycle", "9000", *arguments], stdout=log, stderr=subprocess.STDOUT)

    def wait(self):
        def listens():
            with open(self.log, errors="replace") as log:
                log.seek(self.begin)
                text = log.read()
            if self.process.poll() is not None:
                raise Failed(f"the sandbox ended: {text[-500:]}")
            return re.search(r"sandbox listening on http://[^:]*:(\d+)", text)
        self.port = int(wait_for("the sandbox listens", listens).group(1))
        faults = [fault for fault in self.faults if not fault.startswith(SETTINGS)]
        if faults:
            self.ask("POST", "/sandbox/faults", "\n".join(faults), 204)

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def ask(self, method, path, body, expected):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"X-Api-Key": KEY})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != expected:
                raise Failed(f"{method} {path} is answered {answer.status}: {text}")
        finally:
            connection.close()

    def clear(self):
        self.ask("DELETE", "/sandbox/faults", None, 204)

    def restart(self):
        self.stop()
        self.start([])
        self.wait()

    def requests(self):
        try:
            with open(os.path.join(self.folder, "requests.jsonl")) as lines:
                return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return []

    def received(self, uid):
        """How often it said that the study has arrived."""
        with open(self.log, errors="replace") as log:
            return log.read().count(f"received study {uid}:")

    def archive(self, upload_id):
        """SOP Instance UID -> digest of the data set, of a completed upload."""
        found = {}
        with zipfile.ZipFile(os.path.join(self.folder, f"{upload_id}.zip")) as archive:
            for member in archive.namelist():
                uid, _, data = data_sets.split(archive.read(member))
                found[uid] = hashlib.sha256(data).hexdigest()
        return found


# ---- a row in its run ----

class Case:
    def __init__(self, row, number):
        self.row, self.destination, self.calling = row, f"d{number:02}", f"D{number:02}"
        self.bad, self.good = Study(2, row.pixel_bytes), Study(1, 2000)
        self.faults = [fault.replace("@bad", "@" + self.bad.uid) for fault in row.faults]
        self.sandbox = self.way = self.failure = None
        self.rate, self.seconds = 0.0, 0.0

    @property
    def lasts(self):
        return self.row.reason is not None

    @property
    def of_study(self):
        return not self.row.own or any("@bad" in fault for fault in self.row.faults)

    def count(self):
        """Requests so far, as far as they can be told from those of other rows."""
        requests = self.sandbox.requests()
        if not self.row.own:
            ids = {self.bad.seen.get("upload_id"), self.good.seen.get("upload_id")}
            requests = [each for each in requests if each["upload_id"] in ids]
        return len(requests) + (self.way.count if self.way else 0)

    def expect(self, holds, what):
        if not holds and not self.failure:
            self.failure = what

    def is_told(self):
        seen = self.bad.seen
        return self.lasts and seen and re.search(self.row.reason, seen["reason"])


class Week:
    """A bridge, with the destinations of some rows and one at which nothing is wrong."""

    def __init__(self, options, rows, proxy, certificates):
        self.program, self.watch_seconds, self.proxy = options.program, options.watch, proxy
        self.certificates = certificates
        self.root = tempfile.mkdtemp(prefix="aurabridge-week.")
        self.cases = [Case(row, number) for number, row in enumerate(rows, 1)]
        self.control = Case(bad_week_rows.Row("control"), 0)
        self.log, self.bridge = os.path.join(self.root, "bridge.log"), None
        self.sandboxes = []
        self.healed = False
        for name, text in (("app_id", "sandbox-app"), ("app_secret", "sandbox-secret"),
                           ("service_api_key", KEY)):
            with open(os.path.join(self.root, name), "w") as file:
                file.write(text)
            os.chmod(file.name, 0o600)

    # ---- making it ----

    def set_up(self):
        shared = Sandbox(self.program, self.root, "shared",
                         [fault for case in self.cases if not case.row.own for fault in case.faults])
        self.sandboxes.append(shared)
        self.control.sandbox = shared
        for case in self.cases:
            case.sandbox = shared
            if case.row.own:
                case.sandbox = Sandbox(self.program, self.root, case.destination, case.faults)
                self.sandboxes.append(case.sandbox)
        for sandbox in self.sandboxes:
            sandbox.wait()
        for case in self.cases:
            if case.row.way:
                case.way = case.row.way(case.sandbox.port, self)
            if case.row.proxy:
                self.proxy.modes[self.port_of(case)] = case.row.proxy

    def port_of(self, case):
        return case.way.port if case.way else case.sandbox.port

    def write_configuration(self):
        def url_of(case):
            url = case.row.healed_url if self.healed and case.row.healed_url else case.row.url
            return url.format(port=self.port_of(case))
        cases = self.cases + [self.control]
        text = CONFIGURATION.format(
            root=self.root,
            destinations="".join(DESTINATION.format(
                name=case.destination, url=url_of(case), root=self.root,
                authority=self.certificates.path("ca.pem"), timeout=case.row.timeout)
                for case in cases),
            entries="".join(ENTRY.format(name=case.destination, calling=case.calling)
                            for case in cases))
        with open(os.path.join(self.root, "aurabridge.yaml"), "w") as file:
            file.write(text)

    def start_bridge(self):
        self.write_configuration()
        environment = dict(os.environ, no_proxy="127.0.0.1,.invalid")
        for name in ("http_proxy", "https_proxy"):
            environment[name] = f"http://127.0.0.1:{self.proxy.port}"
        with open(self.log, "w") as log:
            self.bridge = subprocess.Popen(
                [self.program, "serve", "--config", os.path.join(self.root, "aurabridge.yaml")],
                stderr=log, env=environment)

        def is_ready():
            text = self.log_text()
            if self.bridge.poll() is not None:
                raise Failed(f"the bridge ended at its start: {text[-2000:]}")
            return "is ready" in text and re.search(r"listening on 127.0.0.1:(\d+)", text)
        self.dicom_port = int(wait_for("the bridge is ready", is_ready).group(1))

    def log_text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def send(self, case):
        instances = case.bad.instances + case.good.instances
        sender = pdu_sender.Sender("127.0.0.1", self.dicom_port, calling=case.calling, timeout=120)
        try:
            sender.associate(pdu_sender.proposed_contexts(instances, False))
            for instance in instances:
                status, _ = sender.store(instance)
                if status != 0:
                    raise Failed(f"C-STORE answered {status:04x}")
            sender.release()
        finally:
            sender.close()

    # ---- looking at it ----

    def look(self):
        """Takes the picture of all studies, as `aurabridge studies --json` does, but without a new
        process each time."""
        pictures = {}
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(PATIENCE_SECONDS)
                control.connect(os.path.join(self.root, "spool", "control"))
                control.sendall(b'{"command":"studies"}\n')
                for line in control.makefile():
                    answer = json.loads(line)
                    if "study" in answer:
                        pictures[answer["study"]["study_instance_uid"]] = answer["study"]
        except ConnectionError:
            return  # we were too slow for it, on a busy machine: the next look will tell
        for case in self.cases + [self.control]:
            for study in (case.bad, case.good):
                study.seen = pictures.get(study.uid, study.seen)

    def wait_for_all(self, what, cases, question, seconds=PATIENCE_SECONDS):
        """Each case must come to a true answer; which ones did not is their failure."""
        end = time.monotonic() + seconds
        begun = time.monotonic()
        left = [case for case in cases if not case.failure]
        while left and time.monotonic() < end:
            self.look()
            for case in [case for case in left if question(case)]:
                case.seconds = time.monotonic() - begun
                left.remove(case)
            time.sleep(0.3)
        for case in left:
            case.expect(False, f"never came within {seconds} s: {what}; bad: {self.picture(case.bad)}, "
                               f"good: {self.picture(case.good)}")

    @staticmethod
    def picture(study):
        return f"{study.seen.get('state')} ({study.seen.get('reason')})"

    @staticmethod
    def has_state(study, *states):
        return study.seen.get("state") in states

    def has_ended(self, case):
        return (self.has_state(case.good, "completed") and
                self.has_state(case.bad, "completed", "failed"))

    # ---- the run ----

    def run(self):
        self.set_up()
        self.start_bridge()
        for case in self.cases:
            self.send(case)
        lasting = [case for case in self.cases if case.lasts]
        self.wait_for_all("the reason is told", lasting, Case.is_told)
        self.not_held_up(lasting)
        self.few_requests(lasting)
        self.wait_for_all("it passes by itself", [case for case in self.cases if not case.lasts],
                          self.has_ended)
        self.lift(lasting)
        self.wait_for_all("both studies end", lasting, self.has_ended)
        for case in self.cases:
            self.check(case)
        self.stop()

    def not_held_up(self, lasting):
        self.send(self.control)
        self.wait_for_all("the study is not held up", [self.control], lambda case: (
            self.has_state(case.bad, "completed") and self.has_state(case.good, "completed")))
        self.wait_for_all("the good study is not held up", [case for case in lasting if case.of_study],
                          lambda case: self.has_state(case.good, "completed"))
        for case in lasting:
            case.expect(not self.has_state(case.bad, "completed", "failed"),
                        f"it ended before the fault was gone: {self.picture(case.bad)}")

    def few_requests(self, lasting):
        before = {case: case.count() for case in lasting}
        time.sleep(self.watch_seconds)  # what is to be seen is that little happens
        for case in lasting:
            case.rate = (case.count() - before[case]) / self.watch_seconds
            case.expect(case.rate <= case.row.most, f"a hot loop: {case.rate:.0f} requests a second")

    def lift(self, lasting):
        self.healed = True
        self.sandboxes[0].clear()
        for case in lasting:
            if case.row.lift == "clear" and case.row.own:
                case.sandbox.clear()
            elif case.row.lift == "restart":
                case.sandbox.restart()
            elif case.row.lift == "heal" and case.way:
                case.way.heal()
            if case.row.proxy:
                self.proxy.modes.pop(self.port_of(case))
        if any(case.row.lift == "reload" for case in lasting):
            self.write_configuration()
            self.bridge.send_signal(signal.SIGHUP)

    # ---- what must have come of it ----

    def check(self, case):
        if case.failure:
            return
        row = case.row
        if row.end == "completed":
            self.check_completed(case, case.bad, row.extra.get("completes", 1))
        else:
            case.expect(self.has_state(case.bad, "failed"), f"it is {self.picture(case.bad)}")
            case.expect(re.search(row.end, case.bad.seen["reason"]),
                        f"it failed for another reason: {case.bad.seen['reason']}")
            case.expect(case.sandbox.received(case.bad.uid) == 0, "it failed, and is in Aurabox")
        self.check_completed(case, case.good, 1)
        self.check_requests(case)
        if row.told:
            case.expect(re.search(row.told, self.told_about(case)), f"the log does not say {row.told}")

    def check_completed(self, case, study, times):
        case.expect(self.has_state(study, "completed"), f"it is {self.picture(study)}")
        case.expect(case.sandbox.received(study.uid) == times,
                    f"it is {case.sandbox.received(study.uid)} times in Aurabox")
        if times and not case.failure:
            case.expect(case.sandbox.archive(study.seen["upload_id"]) == study.sent,
                        "the archive does not hold what was sent")

    def check_requests(self, case):
        upload_id = case.bad.seen["upload_id"]
        requests = [each for each in case.sandbox.requests() if each["upload_id"] == upload_id]
        errors = sum(each["path"].endswith("/error") and each["status"] == 200 for each in requests)
        case.expect(errors == 0 or case.row.end != "completed", "`error` was sent")
        creates = sum(each["method"] == "POST" and each["path"].startswith("/files") and
                      each["status"] == 201 for each in requests)
        case.expect(case.row.creates is None or creates == case.row.creates,
                    f"{creates} Tus uploads were made")

    def told_about(self, case):
        names = [rf"destination {case.destination}\b"]
        for study in (case.bad, case.good) if case.row.own else (case.bad,):
            if study.seen:
                names += [rf"study {study.seen['id']}\b", re.escape(study.seen["upload_id"] or "-")]
        told = re.compile("|".join(names))
        return "\n".join(line for line in self.log_text().split("\n") if told.search(line))

    def stop(self):
        self.bridge.send_signal(signal.SIGTERM)
        if self.bridge.wait(timeout=PATIENCE_SECONDS) != 0:
            raise Failed(f"the bridge ended with {self.bridge.returncode}: {self.log_text()[-3000:]}")
        for sandbox in self.sandboxes:
            if sandbox.stop() != 0:
                raise Failed(f"a sandbox ended with {sandbox.process.returncode}")

    def tear_down(self, keep):
        for case in self.cases:
            if case.way:
                case.way.close()
        for process in [self.bridge] + [sandbox.process for sandbox in self.sandboxes]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if keep:
            print(f"kept: {self.root}", file=sys.stderr)
        else:
            shutil.rmtree(self.root, ignore_errors=True)


# ---- all of them ----

class Runner:
    """Takes batches of rows until there is none left; several run side by side."""

    def __init__(self, options, rows):
        count = max(1, -(-len(rows) // BATCH))
        self.batches = collections.deque(rows[index::count] for index in range(count))
        self.options, self.lock = options, threading.Lock()
        self.failures = self.rows = 0
        self.proxy = bad_way.Proxy()
        self.folder = tempfile.TemporaryDirectory(prefix="aurabridge-week.")
        self.certificates = bad_way.Certificates(self.folder.name)

    def run_batch(self, rows):
        week = Week(self.options, rows, self.proxy, self.certificates)
        failure = None
        try:
            week.run()
        except Exception as error:  # whatever it is, the other batches go on
            failure = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        failed = failure or week.control.failure or any(case.failure for case in week.cases)
        with self.lock:
            for case in week.cases + [week.control]:
                case.failure = case.failure or failure
                self.report(week, case)
        week.tear_down(self.options.keep and failed)

    def report(self, week, case):
        self.rows += case is not week.control
        end = "completed" if case.row.end == "completed" else "failed as named"
        if not case.failure:
            rate = f", {case.rate:.1f} requests/s meanwhile" if case.lasts else ""
            print(f"ok      {case.row.name}: {end}{rate}", flush=True)
            return
        self.failures += 1
        print(f"NOT OK  {case.row.name}: {case.failure}", flush=True)
        if case.bad.seen.get("id"):
            print("\n".join("        " + line for line in week.told_about(case).split("\n")[-25:]),
                  flush=True)

    def work(self):
        while True:
            with self.lock:
                if not self.batches:
                    return
                batch = self.batches.popleft()
            self.run_batch(batch)

    def run(self):
        begun = time.monotonic()
        threads = [threading.Thread(target=self.work) for _ in range(SIDE_BY_SIDE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{self.rows} faults, {self.failures} not as they should be, "
              f"{time.monotonic() - begun:.0f} s")
        return 1 if self.failures else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rows", default="", help="those whose name matches")
    parser.add_argument("--all", action="store_true", help="the slow ones, too")
    parser.add_argument("--watch", type=float, default=3, help="seconds of each lasting fault in "
                        "which requests are counted (default 3)")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="the folder of a batch that failed")
    options = parser.parse_args()
    rows = [row for row in bad_week_rows.ROWS
            if re.search(options.rows, row.name) and (options.all or options.rows or not row.slow)]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    return Runner(options, rows).run()


if __name__ == "__main__":
    sys.exit(main())
