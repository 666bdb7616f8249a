#!/usr/bin/env python3
"""Power loss: replays the recorded writes and syncs of a run, and shows that an instance which was
answered 0000 is on stable storage in every state that the disk may have been left in.

    power_loss.py PROGRAM PRELOAD [--states N] [--seed S] [--forget files|directories]

With --forget the syncs of files, or of directories, are taken out of the record, and the test has to
find that instances are lost: it shows that it would notice.

What survives a power loss is modelled harsher than any file system in use is:
 - file contents: what a sync of that file covered; of later writes any pages, each by itself; the
   file may be as long as any of them made it, the gaps zero;
 - names: what a sync of that directory covered; of later creations, renames and removals any
   subset, the two halves of a rename each by itself;
 - a sync covers nothing but its own file or directory.
A state is a moment of the run and a choice of what survives. `aurabridge audit` recovers it; then
each instance acknowledged before the moment must have its record, and its bytes or the cloud's
confirmation.
"""

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import struct
import sys
import threading
import time

from world import Failed, World, data_sets, digest, make_study, wait_for

PAGE = 4096
STORE_RESPONSE = re.compile(rb"\x00\x00\x00\x10(..)\x00\x00([0-9.]+)", re.S)
STATUS_SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"


def read_record(path):
    """The changes, with the bytes of writes and sends as `bytes`."""
    changes = []
    with open(path, "rb") as file:
        while line := file.readline():
            change = json.loads(line)
            if change["op"] in ("write", "send"):
                change["bytes"] = file.read(change["length"])
            changes.append(change)
    return changes


def acknowledged_by(change):
    """The SOP Instance UID that a sent C-STORE-RSP acknowledges, or None."""
    sent = change["bytes"]
    if sent[:1] != b"\x04" or STATUS_SUCCESS not in sent:
        return None
    found = STORE_RESPONSE.search(sent)
    if not found:
        return None
    return found.group(2)[: struct.unpack("<H", found.group(1))[0]].rstrip(b"\0").decode()


class File:
    def __init__(self):
        self.synced, self.later = b"", []

    def sync(self):
        self.synced, self.later = self.content(lambda: True), []

    def content(self, survives):
        content = bytearray(self.synced)
        for change in self.later:
            if change["op"] == "truncate":
                if survives():
                    size = change["size"]
                    content = content[:size] + bytes(max(0, size - len(content)))
                continue
            at, data = change["offset"], change["bytes"]
            while data:
                part = data[: PAGE - at % PAGE]
                if survives():
                    if len(content) < at:
                        content.extend(bytes(at - len(content)))
                    content[at:at + len(part)] = part
                at, data = at + len(part), data[len(part):]
        return bytes(content)


class Directory:
    def __init__(self):
        self.synced, self.later = {}, []

    def sync(self):
        self.synced, self.later = self.names(lambda: True), []

    def names(self, survives):
        names = dict(self.synced)
        for name, target in self.later:
            if survives():
                if target is None:
                    names.pop(name, None)
                else:
                    names[name] = target
        return names


class Disk:
    """A directory tree with what is synced and what is not. `apply` takes a recorded change."""

    def __init__(self, root):
        self.root = root
        self.directories = {root: Directory()}
        self.directory_inodes = {os.stat(root).st_ino: self.directories[root]}
        self.files = {}
        self.inode_of = {}  # as the run sees it

    def parent(self, path):
        return self.directories[os.path.dirname(path)]

    def apply(self, change):
        getattr(self, change["op"])(change)

    def create(self, change):
        inode = self.files[change["inode"]] = File()  # a number used again is a new file
        self.inode_of[change["path"]] = inode
        self.parent(change["path"]).later.append((os.path.basename(change["path"]), inode))

    def mkdir(self, change):
        path = change["path"]
        directory = self.directories[path] = Directory()
        self.directory_inodes[change["inode"]] = directory
        self.parent(path).later.append((os.path.basename(path), directory))

    def write(self, change):
        self.files[change["inode"]].later.append(change)

    truncate = write

    def sync(self, change):
        known = self.directory_inodes.get(change["inode"]) or self.files.get(change["inode"])
        if known:
            known.sync()

    def sync_all(self, _):
        for known in list(self.files.values()) + list(self.directories.values()):
            known.sync()

    def rename(self, change):
        file = self.inode_of.pop(change["from"])
        self.inode_of[change["to"]] = file
        self.parent(change["to"]).later.append((os.path.basename(change["to"]), file))
        self.parent(change["from"]).later.append((os.path.basename(change["from"]), None))

    def unlink(self, change):
        self.inode_of.pop(change["path"], None)
        self.parent(change["path"]).later.append((os.path.basename(change["path"]), None))

    def rmdir(self, change):
        self.directories.pop(change["path"], None)
        self.parent(change["path"]).later.append((os.path.basename(change["path"]), None))

    def send(self, change):
        pass

    def survive(self, target, survives):
        """Writes a tree that the power loss may leave."""
        contents = {}
        def put(directory, path):
            os.makedirs(path, mode=0o700)
            for name, entry in directory.names(survives).items():
                if name.endswith("-shm"):
                    continue  # memory that SQLite shares; it makes it anew
                inner = os.path.join(path, name)
                if isinstance(entry, Directory):
                    put(entry, inner)
                    continue
                if entry not in contents:
                    contents[entry] = entry.content(survives)
                with open(inner, "wb") as file:
                    file.write(contents[entry])
                os.chmod(inner, 0o600)
        put(self.directories[self.root], target)


def record_run(world, studies):
    """A run with concurrent senders that goes through to the end of its files."""
    record = os.path.join(world.root, "record")
    os.mkdir(world.spool, 0o700)
    arguments = {"faults": {"FAULT_RECORD": record}, "options": ("--set", "retention.completed=0s")}
    world.start_bridge(**arguments)
    senders = [threading.Thread(target=world.send, args=(study,)) for study in studies]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    late = [study[0] for study in studies]  # resends, whose files go at once
    world.send(late)
    wait_for("all studies completed", world.all_completed, 60)
    world.stop_bridge()
    world.start_bridge(**arguments)  # cleans up
    wait_for("the files are gone", lambda: not any(
        files for _, _, files in os.walk(os.path.join(world.spool, "studies"))), 60)
    world.stop_bridge()
    return read_record(record)


def check_state(world, tree, acknowledged):
    """Recovers the tree and asks for each acknowledged instance."""
    done = world.command("audit", "--set", f"spool.directory={tree}", check=False)
    if done.returncode != 0:
        raise Failed(f"audit: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    ledger = sqlite3.connect(f"file:{tree}/ledger.sqlite?mode=ro", uri=True)
    rows = ledger.execute(
        "SELECT i.sop_instance_uid, i.data_set_sha256, i.file_name, s.state "
        "FROM instance i JOIN study s ON s.id = i.study_id").fetchall()
    ledger.close()
    safe = set()
    for uid, sha256, name, state in rows:
        if state == "completed":
            safe.add((uid, sha256.hex()))
        elif name and os.path.exists(os.path.join(tree, "studies", name)):
            with open(os.path.join(tree, "studies", name), "rb") as file:
                safe.add((uid, digest(data_sets.split(file.read())[2])))
    missing = [uid for uid in acknowledged if (uid, world.acknowledged[uid]) not in safe]
    if missing:
        raise Failed(f"{len(missing)} of {len(acknowledged)} acknowledged instances are lost: "
                     f"{missing[:3]}")


def sample_moments(changes, states, random_source):
    """Moments to cut at: each reply, and any others."""
    replies = [at + 1 for at, change in enumerate(changes)
               if change["op"] == "send" and acknowledged_by(change)]
    moments = [random_source.choice(replies) if turn % 2 else random_source.randint(1, len(changes))
               for turn in range(states)]
    return sorted(moments)


def forget_syncs(changes, what, disk_root):
    """The record as if the bridge did not sync its files, or its directories."""
    directories = {os.stat(disk_root).st_ino}
    directories.update(change["inode"] for change in changes if change["op"] == "mkdir")
    return [change for change in changes if change["op"] not in ("sync", "sync_all")
            or (what == "files") == (change.get("inode") in directories)]


def replay(world, changes, states, source):
    """Returns how many acknowledgements there were, and how many states lost one."""
    disk, acknowledged, at, failures = Disk(world.spool), [], 0, 0
    for turn, moment in enumerate(sample_moments(changes, states, source)):
        while at < moment:
            change = changes[at]
            disk.apply(change)
            uid = acknowledged_by(change) if change["op"] == "send" else None
            if uid:
                acknowledged.append(uid)
            at += 1
        # All, none, or a share of what was not synced; the state is a function of the seed.
        share = source.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        tree = os.path.join(world.root, f"state-{turn}")
        disk.survive(tree, lambda: source.random() < share)
        try:
            check_state(world, tree, acknowledged)
        except Failed as failed:
            failures += 1
            print(f"LOST at change {moment} of {len(changes)}, share {share}: {failed}")
        shutil.rmtree(tree, ignore_errors=True)
    return len(acknowledged), failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("preload")
    parser.add_argument("--states", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--forget", choices=("files", "directories"))
    options = parser.parse_args()
    source = random.Random(options.seed)
    with World(options.program, options.preload) as world:
        world.start_sandbox()
        changes = record_run(world, [make_study(3) for _ in range(4)])
        if options.forget:
            changes = forget_syncs(changes, options.forget, world.spool)
        acknowledged, failures = replay(world, changes, options.states, source)
        print(f"power loss: seed {options.seed}, {len(changes)} changes recorded, {acknowledged} "
              f"acknowledgements, {options.states} states, {failures} that lose one"
              + (f", with the syncs of {options.forget} forgotten" if options.forget else ""))
        if acknowledged < 12:
            raise Failed("the record shows fewer acknowledgements than were given")
    return 0 if (failures > 0) == bool(options.forget) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
