"""The nodes that the benchmark holds against each other: AuraBridge, Orthanc, storescp, and the durable
limit. Each runs on a port of its own, on this machine, with a directory of its own; start() returns
when it listens. check() holds what it stored against what was sent.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]

import data_sets  # noqa: E402
from bench_table import Failed, Tree, read  # noqa: E402

META_MAX = 65536  # bytes of a file that hold its meta information, however long
PIECE = 1024 * 1024

CONFIGURATION = """\
dicom:
  listen: "127.0.0.1:0"
  ae_titles: [AURABRIDGE]
  max_associations: 128
  max_associations_per_peer: 128
spool:
  directory: {root}/spool
  reserve: 1MiB
study:
  quiet_period: 24h
  max_wait: 7d
upload:
  compression: store
destinations:
  nowhere:
    api_base_url: http://127.0.0.1:9/api
    app_id: file:{root}/secret
    app_secret: file:{root}/secret
    service_api_key: file:{root}/secret
ae_title_map:
  - name: all
    destination: nowhere
    context: {{patient_id: "{{PatientID}}"}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listened_on(port):
    """Without connecting: that would be an association to some."""
    wanted = f":{port:04X}"
    return any(fields[1].endswith(wanted) and fields[3] == "0A"
               for path in ("/proc/net/tcp", "/proc/net/tcp6")
               for fields in (line.split() for line in (read(path) or "").splitlines()[1:]))


def stored_digest(path):
    """SOP Instance UID, SHA-256 and size of the data set of a Part 10 file; None for others."""
    with open(path, "rb") as file:
        head = file.read(META_MAX)
        if head[128:132] != b"DICM":
            return None
        uid, _, rest = data_sets.split(head)
        digest, size = hashlib.sha256(rest), len(rest)
        while piece := file.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return uid, digest.hexdigest(), size


class Node:
    """One process that receives. `called` is its AE title, `pdu` the largest PDU it takes."""
    called = "AURABRIDGE"
    forks = False  # a child for each association: its memory is gone with it
    files = "."    # where it stores, below its directory

    def __init__(self, directory, pdu=131072):
        self.directory, self.pdu = directory, pdu
        self.process, self.port, self.seen = None, 0, set()
        os.makedirs(directory, mode=0o700)
        self.log = os.path.join(directory, "log")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def launch(self, command, environment=None, port_said=None):
        """Starts it on self.port, or on a port of its choice, which a pattern finds in its log."""
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=self.directory,
                                            env={**os.environ, **(environment or {})})
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failed(f"{command[0]} ended at its start: {read(self.log)[-2000:]}")
            found = port_said and re.search(port_said, read(self.log))
            if found:
                self.port = int(found.group(1))
            if self.port and is_listened_on(self.port):
                return
            time.sleep(0.02)
        raise Failed(f"{command[0]} does not listen: {read(self.log)[-2000:]}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tree(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.process.args[0]} ended: {read(self.log)[-2000:]}")
        return Tree(self.process.pid)

    def new_files(self):
        """Those that came since the last call."""
        for folder, _, names in os.walk(os.path.join(self.directory, self.files)):
            for name in names:
                path = os.path.join(folder, name)
                if path not in self.seen:
                    yield path

    def check(self, sent, seconds=120):
        """Every data set of `sent` (UID -> (SHA-256, size)) is stored as it was sent. Files may
        come behind the answers."""
        missing, end = dict(sent), time.monotonic() + seconds
        while missing:
            before = len(missing)
            for path in self.new_files():
                self.take(path, sent, missing)
            if missing and len(missing) == before:
                if time.monotonic() > end:
                    raise Failed(f"{len(missing)} of {len(sent)} instances were not stored, "
                                 f"{next(iter(missing))} for one")
                time.sleep(0.1)

    def take(self, path, sent, missing):
        try:
            found = stored_digest(path)
        except FileNotFoundError:  # it has moved since
            return
        if found is None:
            return
        uid, digest, size = found
        if uid in missing:
            if (digest, size) != sent[uid]:
                if size < sent[uid][1]:
                    return  # still being written; when it stays so, it is missing
                raise Failed(f"the bytes of {uid} differ from those that were sent: {path}")
            del missing[uid]
        self.seen.add(path)


class Aurabridge(Node):
    files = "spool/studies"

    def __init__(self, directory, program, options=(), preload=None):
        """`preload` is the path of a library that stands between it and the system."""
        super().__init__(directory)
        self.program, self.options, self.preload = program, options, preload
        with open(os.path.join(directory, "secret"), "w") as file:
            file.write("bench")
        os.chmod(file.name, 0o600)
        self.configuration = os.path.join(directory, "aurabridge.yaml")
        with open(self.configuration, "w") as file:
            file.write(CONFIGURATION.format(root=directory))

    def start(self):
        options = [word for option in self.options for word in ("--set", option)]
        self.launch([self.program, "serve", "--config", self.configuration, *options],
                    {"LD_PRELOAD": self.preload} if self.preload else None,
                    port_said=r"listening on \S*?:(\d+)\b")
        maps = read(f"/proc/{self.process.pid}/maps") or ""  # the loader goes on without a library
        if self.preload and os.path.realpath(self.preload) not in maps:
            raise Failed(f"{self.program} runs without {self.preload}")


class Orthanc(Node):
    """With its own defaults, which sync, but for addresses and PDUs. No HTTP."""
    called = "ORTHANC"
    files = "storage"

    def start(self):
        path = os.path.join(self.directory, "orthanc.json")
        storage = os.path.join(self.directory, self.files)
        os.makedirs(storage, exist_ok=True)
        self.port = free_port()
        with open(path, "w") as file:
            json.dump({"Name": "bench", "StorageDirectory": storage, "IndexDirectory": storage,
                       "HttpServerEnabled": False, "Plugins": [], "DicomAet": self.called,
                       "DicomPort": self.port, "DicomCheckCalledAet": False,
                       "DicomAlwaysAllowStore": True, "DicomScpTimeout": 600,
                       "MaximumPduLength": self.pdu}, file)
        self.launch(["Orthanc", path], {"TCP_NODELAY": "1"})


class Storescp(Node):
    """dcmtk's, which never syncs."""
    called = "STORESCP"
    files = "in"

    def __init__(self, directory, options=(), pdu=131072, no_delay=True):
        super().__init__(directory, pdu)
        self.options, self.no_delay = options, no_delay
        self.forks = "--fork" in options
        os.makedirs(os.path.join(directory, self.files))

    def start(self):
        self.port = free_port()
        self.launch(["storescp", *self.options, "--max-pdu", self.pdu, "-od",
                     os.path.join(self.directory, self.files), self.port],
                    {"TCP_NODELAY": "1"} if self.no_delay else None)


class Limit(Node):
    """The durable limit; it speaks a protocol of its own."""

    def __init__(self, directory, program, segment_bytes, options=()):
        super().__init__(directory)
        self.command = [program, "serve", "--directory", directory, "--segment-size",
                        segment_bytes, *options]

    def start(self):
        self.launch(self.command, port_said=r"listening on (\d+)")

    def check(self, sent, seconds=120):
        """It lists what it took; the bytes are read from its segments."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"\xff" * 8)
            lines = b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()
        found = []
        for line in lines:
            segment, offset, length, said = line.split()
            with open(os.path.join(self.directory, f"segment.{segment}"), "rb") as file:
                file.seek(int(offset))
                digest = hashlib.sha256(file.read(int(length))).hexdigest()
            if digest != said:
                raise Failed(f"the limit's own digest is not that of its bytes: {line}")
            found.append((digest, int(length)))
        if sorted(found) != sorted(sent.values()):
            raise Failed("the limit has other bytes than were sent")


def why_missing(program):
    """Why a peer's program cannot run, or ""."""
    return "" if shutil.which(program) else f"{program} is not installed"
