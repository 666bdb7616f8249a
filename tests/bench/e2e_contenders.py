"""Who takes a study from C-STORE to a finished upload: the bridge, storescp with zip and
tus-js-client, Orthanc with its archive and tus-js-client. Each is up for a whole row; a call sends it
a study that it has not seen and returns the figures of this run.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

from bench_table import Failed, Tree
from net_path import Loopback, end_process
from tus_store import HERE, Store, tool

sys.path.insert(0, os.path.join(HERE, "..", "support"))

import data_sets  # noqa: E402

PATIENCE = 300  # seconds for what should take a few
TOUCH = 3 * 512  # KiB of memory for each instance: its file, its share of two archives, some more
POLL = 0.01

CONFIGURATION = """\
dicom:
  listen: "127.0.0.1:0"
  ae_titles: [AURABRIDGE]
spool:
  directory: {folder}/spool
study:
  quiet_period: {quiet_ms}ms
destinations:
  main:
    api_base_url: {api}
    app_id: file:{folder}/app_id
    app_secret: file:{folder}/app_secret
    service_api_key: file:{folder}/service_api_key
    limits: {{exchange: 600, config: 600, lifecycle: 600}}
ae_title_map:
  - name: all
    called: AURABRIDGE
    destination: main
    context: {{patient_id: "{{PatientID}}"}}
"""
CREDENTIALS = {"app_id": "sandbox-app", "app_secret": "sandbox-secret",
               "service_api_key": "sandbox-key"}


# ---- small things ----

def wait_until(what, found, alive=None):
    """Polls until found() is true, and returns it. `alive` is a process that must go on."""
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        if alive is not None and alive.poll() is not None:
            raise Failed(f"waiting for {what}: {os.path.basename(alive.args[0])} has ended")
        if time.monotonic() > deadline:
            raise Failed(f"{what} never came")
        time.sleep(POLL)
    return result


def text_of(path):
    with open(path, errors="replace") as file:
        return file.read()


def said(process, text):
    """The rest of the line in its log that has the text."""
    def look():
        return next((line.partition(text)[2] + " " for line in text_of(process.log).splitlines()
                     if text in line), None)
    try:
        return wait_until(f"{text!r} in {process.log}", look, process)
    except Failed as failure:
        raise Failed(f"{failure}: {text_of(process.log)[-2000:]}") from failure


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def available_kib():
    return next(int(line.split()[1]) for line in text_of("/proc/meminfo").splitlines()
                if line.startswith("MemAvailable"))


def clock():
    """The clock of the Tus server's events."""
    return time.monotonic_ns()


# ---- who is sent to ----

class World:
    """What all contenders of a row share: a folder, a Tus server, a sender. `study` counts up, so
    that no study is sent twice."""

    def __init__(self, given, instances, quiet):
        self.given, self.instances, self.quiet = given, instances, quiet
        self.folder = tempfile.mkdtemp(prefix="e2e-", dir=given.directory)
        self.seed = given.seed * 1000

    def __enter__(self):
        try:
            self.loopback = Loopback()
            self.store = Store(self.loopback, self.given.store, self.given.spoil).__enter__()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *failure):
        self.store.__exit__(*failure)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def send(self, port, called):
        """Sends a new study; returns when its last answer came, and its digests' file. The
        association may not be at its end yet: `sender` is to be waited for."""
        self.seed += 1
        digests = self.path(f"sent-{self.seed}")
        command = [tool(self.given, "bench_sender"), "--port", str(port), "--called", called,
                   "--one-study", "--instances", str(self.instances), "--kind", "CT",
                   "--seed", str(self.seed), "--digests", digests]
        if self.given.quick:
            command += ["--size", "16KiB"]
        else:
            command += ["--touch", f"{min(TOUCH * self.instances, available_kib() // 2)}KiB"]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with sender.stdout:
            line = sender.stdout.readline()
            answered = clock()
            if not line or json.loads(line)["instances"] != self.instances:
                end_process(sender)
                raise Failed(f"not all of {self.instances} instances were sent")
        return answered, sender, digests

    def finished(self, answered):
        """Waits for the one upload that follows; returns its figures and stored file."""
        event = self.store.wait(lambda event: event["event"] == "finished", PATIENCE)
        first = self.store.wait(lambda event: event["event"] == "first_byte")
        stored = os.path.join(self.store.folder, event["id"])
        return {"seconds": (event["at"] - answered) / 1e9,
                "first_byte_seconds": (first["at"] - answered) / 1e9,
                "archive_bytes": os.path.getsize(stored)}, stored

    def check(self, stored, digests, deflated):
        """What is in the stored archive is what was sent, and nothing else."""
        if self.store.spoil:
            spoil_archive(stored)
        sent = dict(line.split()[:2] for line in text_of(digests).splitlines())
        found = {}
        with zipfile.ZipFile(stored) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in members:
                instance, _, data_set = data_sets.split(archive.read(member))
                found[instance] = data_sets.hashlib.sha256(data_set).hexdigest()
        if deflated and any(one.compress_type != zipfile.ZIP_DEFLATED for one in members):
            raise Failed("the archive is not deflated")
        if len(sent) != self.instances or found != sent:
            raise Failed(f"the archive holds {len(found)} instances, of which "
                         f"{len(found.items() & sent.items())} are among the {len(sent)} sent")


def spoil_archive(path):
    """Takes an instance away."""
    with zipfile.ZipFile(path) as archive:
        kept = [(name, archive.read(name)) for name in archive.namelist()[1:]]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in kept:
            archive.writestr(name, content)


class Contender:
    """A receiver that runs for the whole row; a call sends it a study and makes one run."""

    deflates = False  # its archive must be deflated

    def __init__(self, world):
        self.world, self.processes = world, []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            end_process(process)

    def run(self, command, log, **options):
        """Starts a process that ends with the contender; its output goes to a file."""
        with open(log, "w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
        process.log = log
        self.processes.append(process)
        return process

    def used(self):
        """CPU seconds so far, where they are counted."""

    def more(self, _before):
        """Figures of what it used since."""
        return {}

    def __call__(self, _round):
        world = self.world
        world.store.clear()
        before = self.used()
        answered, sender, digests = world.send(self.port, self.called)
        self.deliver(sender)
        figures, stored = world.finished(answered)
        self.conclude()
        if sender.wait(PATIENCE) != 0:
            raise Failed("the sender met a status that is not 0000")
        figures.update(self.more(before))
        world.check(stored, digests, self.deflates)
        figures["seconds"] -= self.quiet_seconds
        figures["first_byte_seconds"] -= self.quiet_seconds
        return figures

    def conclude(self):
        """What it does after the upload is not in the next one's time."""


class Bridge(Contender):
    """aurabridge serve; the sandbox is its Aurabox and names the Tus server."""

    called = "AURABRIDGE"
    deflates = True

    def __init__(self, world):
        super().__init__(world)
        self.quiet_seconds, self.studies = world.quiet, 0

    def start(self):
        folder, program = self.world.path("aurabridge"), self.world.given.program
        for name in ("spool", "cloud"):
            os.makedirs(os.path.join(folder, name), mode=0o700)
        for name, value in CREDENTIALS.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(value + "\n")
            os.chmod(file.name, 0o600)
        self.journal = os.path.join(folder, "cloud", "requests.jsonl")
        sandbox = self.run([program, "sandbox", "--listen", "127.0.0.1:0", "--directory",
                            os.path.join(folder, "cloud"), "--tus-endpoint",
                            self.world.store.endpoint, "--limit-exchange", "600",
                            "--limit-config", "600", "--limit-lifecycle", "600"],
                           os.path.join(folder, "sandbox.log"))
        api = said(sandbox, "sandbox listening on ").split()[0]
        configuration = os.path.join(folder, "aurabridge.yaml")
        with open(configuration, "w") as file:
            file.write(CONFIGURATION.format(folder=folder, api=api,
                                            quiet_ms=int(self.world.quiet * 1000)))
        command = [program, "serve", "--config", configuration]
        for setting in self.world.given.set:
            command += ["--set", setting]
        self.bridge = self.run(command,
                               os.path.join(folder, "bridge.log"))
        said(self.bridge, "is ready")
        self.port = int(said(self.bridge, "listening on ").split()[0].rpartition(":")[2])

    def used(self):
        return Tree(self.bridge.pid).cpu_seconds()

    def more(self, before):
        tree = Tree(self.bridge.pid)
        return {"cpu_seconds": tree.cpu_seconds() - before, "peak_kib": tree.peak_kib()}

    def deliver(self, _sender):
        self.studies += 1

    def conclude(self):
        wait_until("the study's completion", lambda: os.path.exists(self.journal) and text_of(
            self.journal).count("/uploader/upload/complete") >= self.studies, self.bridge)
        Tree(self.bridge.pid).settle()


class Uploading(Contender):
    """Whoever has an archive sent by tus-js-client, which runs already and waits for a file."""

    def start_uploader(self):
        self.uploader = subprocess.Popen(
            ["node", os.path.join(HERE, "upload_peer.mjs"), "--endpoint",
             self.world.store.endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(self.uploader)
        if self.uploader.stdout.readline().strip() != "ready":
            raise Failed("tus-js-client does not start")

    def upload(self, path):
        self.uploader.stdin.write(path + "\n")
        self.uploader.stdin.flush()
        if not self.uploader.stdout.readline():
            raise Failed("tus-js-client has ended")


class StoreScp(Uploading):
    """storescp into a folder, zip, tus-js-client: a script of ten lines."""

    called = "STORESCP"
    quiet_seconds = 0  # it waits for none

    def __init__(self, world, level):
        super().__init__(world)
        self.level, self.port, self.count = level, free_port(), 0
        self.folder = world.path(f"storescp-{level}")
        self.inbox = os.path.join(self.folder, "inbox")

    def start(self):
        os.makedirs(self.inbox)
        receiver = self.run(["storescp", "--fork", "+B", "--max-pdu", "131072", "-od", self.inbox,
                             str(self.port)], os.path.join(self.folder, "log"),
                            env=dict(os.environ, TCP_NODELAY="1"))
        wait_until("storescp", lambda: accepts(self.port), receiver)
        self.start_uploader()

    def deliver(self, sender):
        sender.wait(PATIENCE)  # the association has ended
        self.count += 1
        study = os.path.join(self.folder, f"study-{self.count}")
        os.rename(self.inbox, study)
        archive = os.path.join(self.folder, f"{self.count}.zip")
        subprocess.run(["zip", f"-{self.level}", "-q", "-r", archive, os.path.basename(study)],
                       cwd=self.folder, check=True)
        self.upload(archive)

    def conclude(self):
        os.mkdir(self.inbox)


class Orthanc(Uploading):
    """A stable study, its archive from the REST API, tus-js-client."""

    called = "ORTHANC"

    def __init__(self, world):
        super().__init__(world)
        self.quiet_seconds, self.seen = max(1, round(world.quiet)), 0  # it knows whole seconds
        self.port, self.http_port = free_port(), free_port()
        self.folder = world.path("orthanc")

    @staticmethod
    def program():
        return shutil.which("Orthanc", path=os.environ.get("PATH", "") + ":/usr/sbin")

    def start(self):
        os.makedirs(self.folder)
        configuration = os.path.join(self.folder, "orthanc.json")
        with open(configuration, "w") as file:
            json.dump({"Name": "bench", "StorageDirectory": os.path.join(self.folder, "storage"),
                       "IndexDirectory": os.path.join(self.folder, "storage"),
                       "DicomAet": self.called, "DicomPort": self.port, "HttpPort": self.http_port,
                       "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
                       "DicomCheckCalledAet": False, "DicomAlwaysAllowStore": True,
                       "MaximumPduLength": 131072, "TcpNoDelay": True,
                       "StableAge": self.quiet_seconds, "Plugins": []}, file)
        server = self.run([self.program(), configuration], os.path.join(self.folder, "log"),
                          env=dict(os.environ, TCP_NODELAY="1"))
        wait_until("Orthanc", lambda: accepts(self.http_port) and accepts(self.port), server)
        self.start_uploader()

    def get(self, path):
        peer = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=PATIENCE)
        peer.request("GET", path)
        answer = peer.getresponse()
        if answer.status != 200:
            raise Failed(f"Orthanc answers {answer.status} to {path}")
        return peer, answer

    def stable(self):
        """The next study that became stable, if one did."""
        peer, answer = self.get(f"/changes?since={self.seen}&limit=10000")
        found = json.load(answer)
        peer.close()
        self.seen = found["Last"]
        return next((change["ID"] for change in found["Changes"]
                     if change["ChangeType"] == "StableStudy"), None)

    def deliver(self, _sender):
        study = wait_until("a stable study", self.stable)
        archive = os.path.join(self.folder, f"{study}.zip")
        peer, answer = self.get(f"/studies/{study}/archive")
        with open(archive, "wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
        peer.close()
        self.upload(archive)
