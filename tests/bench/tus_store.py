"""The Tus project's own server, where the benchmark's uploads go, and what the parts that upload have
in common.
"""

import collections
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading

from bench_table import Failed
from net_path import end_process

HERE = os.path.dirname(os.path.abspath(__file__))


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


def tool(given, name):
    path = os.path.join(given.tools, name)
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is not there: build Release, or name its directory with --tools")
    return path


def memory_file_system():
    """Where files lie in memory; elsewhere, where temporary ones do."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def install_peers():
    subprocess.run([os.path.join(HERE, "..", "support", "npm_install.sh"), HERE], check=True)
