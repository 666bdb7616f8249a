"""A sandbox Aurabox, a bridge and senders on loopback, for the tests of faults, kills and power loss.

Instances are synthetic. Whoever sends notes which of them were answered 0000; check() then counts
those in what the sandbox took as complete.
"""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import data_sets  # noqa: E402
import pdu_sender  # noqa: E402
from make_instances import EXPLICIT_LITTLE_ENDIAN, SECONDARY_CAPTURE, header, new_uid  # noqa: E402

POLL_SECONDS = 0.02

CONFIGURATION = """\
dicom:
  listen: "127.0.0.1:0"
  ae_titles: [AURABRIDGE]
spool:
  directory: {spool}
  reserve: 1MiB
  journal: 16MiB
study:
  quiet_period: {quiet}ms
  association_hold: 5s
  max_wait: 60s
upload:
  workers: {workers}
  compression: {compression}
  retry: {{first: 100ms, ceiling: 500ms}}
destinations:
  main:
    api_base_url: {url}
    app_id: file:{root}/app_id
    app_secret: file:{root}/app_secret
    service_api_key: file:{root}/service_api_key
    limits: {{exchange: {limit}, config: {limit}, lifecycle: {limit}}}
    timeout: 5s
ae_title_map:
  - name: all
    called: AURABRIDGE
    destination: main
    context: {{patient_id: "{{PatientID}}"}}
"""


class Failed(Exception):
    """What was to be shown does not hold."""


def wait_for(what, question, seconds):
    """Polls until the question has a true answer, and returns that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(POLL_SECONDS)
    raise Failed(f"never came within {seconds} s: {what}")


def make_study(count, pixel_bytes=3000):
    """A list of instances of one new study; each has its study's UID in `study`."""
    study, series = new_uid(), new_uid()
    instances = []
    for index in range(1, count + 1):
        uid = new_uid()
        part10 = header(study, series, uid, index, pixel_bytes) + bytes(
            (index + at) & 0xFF for at in range(pixel_bytes))
        instance = pdu_sender.Instance(SECONDARY_CAPTURE, uid, EXPLICIT_LITTLE_ENDIAN,
                                       data_sets.split(part10)[2])
        instance.study = study
        instances.append(instance)
    return instances


def digest(data):
    return hashlib.sha256(data).hexdigest()


class World:
    def __init__(self, program, preload=None, quiet=300, workers=2, compression="auto"):
        self.program, self.preload = program, preload
        self.root = tempfile.mkdtemp(prefix="aurabridge-faults.")
        os.chmod(self.root, 0o700)
        self.cloud = os.path.join(self.root, "cloud")
        self.spool = os.path.join(self.root, "spool")
        self.log = os.path.join(self.root, "bridge.log")
        self.configuration = os.path.join(self.root, "aurabridge.yaml")
        self.settings = {"quiet": quiet, "workers": workers, "compression": compression,
                         "limit": 6000}
        self.bridge = self.sandbox = None
        self.port = self.sandbox_port = 0
        self.acknowledged = {}  # SOP Instance UID -> digest of its data set
        for name in ("app_id", "app_secret", "service_api_key"):
            with open(os.path.join(self.root, name), "w") as file:
                file.write(f"sandbox-{name}")
            os.chmod(file.name, 0o600)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in (self.bridge, self.sandbox):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if kind and os.environ.get("KEEP_WORLD"):
            print(f"the world is kept: {self.root}", file=sys.stderr)
        else:
            shutil.rmtree(self.root, ignore_errors=True)

    # ---- the sandbox ----

    def start_sandbox(self, *options):
        log = os.path.join(self.root, "sandbox.log")
        with open(log, "w") as out:
            self.sandbox = subprocess.Popen(
                [self.program, "sandbox", "--listen", f"127.0.0.1:{self.sandbox_port}",
                 "--directory", self.cloud, "--app-id", "sandbox-app_id", "--app-secret",
                 "sandbox-app_secret", "--service-api-key", "sandbox-service_api_key",
                 "--limit-exchange", "100000", "--limit-config", "100000", "--limit-lifecycle",
                 "100000", *options], stdout=out, stderr=subprocess.STDOUT)
        found = wait_for("the sandbox listens", lambda: re.search(
            r"sandbox listening on (http://127\.0\.0\.1:(\d+)\S*)", open(log).read()), 20)
        self.url, self.sandbox_port = found.group(1), int(found.group(2))

    def stop_sandbox(self):
        self.sandbox.terminate()
        self.sandbox.wait()

    def requests(self):
        try:
            with open(os.path.join(self.cloud, "requests.jsonl")) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def uploaded(self):
        """SOP Instance UID -> the digests of its data sets in completed uploads."""
        found = {}
        for name in sorted(os.listdir(self.cloud)):
            if not name.endswith(".zip"):
                continue
            with zipfile.ZipFile(os.path.join(self.cloud, name)) as archive:
                for member in archive.namelist():
                    uid, _, data = data_sets.split(archive.read(member))
                    found.setdefault(uid, []).append(digest(data))
        return found

    # ---- the bridge ----

    def write_configuration(self):
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(root=self.root, spool=self.spool, url=self.url,
                                            **self.settings))

    def launch_bridge(self, faults=None, options=()):
        """Starts the bridge; `faults` are FAULT_… variables for the preloaded library."""
        if not os.path.exists(self.configuration):
            self.write_configuration()
        environment = dict(os.environ)
        if faults is not None:
            environment.update(faults, LD_PRELOAD=self.preload, FAULT_SCOPE=self.spool)
        self.log_begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "a") as log:
            self.bridge = subprocess.Popen(
                [self.program, "serve", "--config", self.configuration, *options], stderr=log,
                env=environment)

    def log_text(self):
        """What the running bridge has logged so far."""
        with open(self.log, errors="replace") as log:
            log.seek(self.log_begin)
            return log.read()

    def is_ready(self):
        """True, False while it starts, or None when it has ended."""
        text = self.log_text()
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", text)
        if found and "is ready" in text:
            self.port = int(found.group(1))
            return True
        return None if self.bridge.poll() is not None else False

    def wait_ready(self, seconds=30):
        """Whether the bridge came up; False when it ended instead."""
        state = wait_for("the bridge is ready or has ended",
                         lambda: self.is_ready() is not False and [self.is_ready()], seconds)
        return bool(state[0])

    def start_bridge(self, **arguments):
        self.launch_bridge(**arguments)
        if not self.wait_ready():
            raise Failed("the bridge ended at its start:\n" + self.log_text()[-3000:])

    def kill_bridge(self):
        if self.bridge.poll() is None:
            self.bridge.send_signal(signal.SIGKILL)
        self.bridge.wait()

    def stop_bridge(self):
        self.bridge.terminate()
        if self.bridge.wait(timeout=60) != 0:
            raise Failed(f"the bridge ended with {self.bridge.returncode}")

    def command(self, *arguments, check=True):
        done = subprocess.run([self.program, arguments[0], "--config", self.configuration,
                               *arguments[1:]], capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise Failed(f"aurabridge {' '.join(arguments)}: exit {done.returncode}: "
                         f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done

    def studies(self):
        done = self.command("studies", "--json", check=False)
        return json.loads(done.stdout)["studies"] if done.returncode == 0 else None

    def all_completed(self):
        studies = self.studies()
        return studies is not None and bool(studies) and all(
            study["state"] == "completed" for study in studies)

    # ---- senders ----

    def send(self, instances, calling="MODALITY", timeout=15.0):
        """Sends over one association; returns the instances that got no 0000."""
        left = list(instances)
        try:
            sender = pdu_sender.Sender("127.0.0.1", self.port, calling=calling, timeout=timeout)
            try:
                sender.associate(pdu_sender.proposed_contexts(left, False))
                for instance in instances:
                    status, _ = sender.store(instance)
                    if status == 0:
                        self.acknowledged[instance.sop_instance] = digest(instance.data)
                        left.remove(instance)
                sender.release()
            finally:
                sender.close()
        except (OSError, pdu_sender.Ended):
            pass
        return left

    # ---- the laws ----

    def check(self):
        """Every acknowledged instance is in exactly one completed upload, as it was sent."""
        uploaded = self.uploaded()
        lost = [uid for uid in self.acknowledged if uid not in uploaded]
        twice = [uid for uid, found in uploaded.items() if len(found) > 1]
        changed = [uid for uid, found in uploaded.items()
                   if uid in self.acknowledged and found[0] != self.acknowledged[uid]]
        if lost or twice or changed:
            raise Failed(f"{len(lost)} lost, {len(twice)} uploaded twice, {len(changed)} changed: "
                         f"{(lost + twice + changed)[:4]}")
        self.command("audit")
