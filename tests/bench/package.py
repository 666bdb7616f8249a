#!/usr/bin/env python3
"""Archives: the bridge's package beside zip and bsdtar, of the same Part 10 files.

    package.py [--program AURABRIDGE] [--tools DIRECTORY] [--directory WHERE] [--json FILE]
               [--rows ct,mr] [--rounds N] [--quick]

ct  600 CT of 512 KiB        mr  3,000 MR of 20 KiB

A bridge receives the study once and stops. Then each makes an archive of its files, into a file:
the bridge's package with one thread, with as many as there are processors, and stored; zip at
levels 6, 1 and 0; bsdtar, which is libarchive with zlib. `known after` is what is left to do for
the bridge on the study's completion, when all members were compressed while it came: until the
archive's length and layout are known and durable; for the others it is all of it. Every archive is
opened by Python's zipfile and each member compared with what was received. bsdtar is left out
where it is not there (Debian: libarchive-tools).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

from bench_options import Options
from bench_peers import Aurabridge
from bench_table import Column, Failed, Row, alternate, machine, table, touch_memory, write_json

COLUMNS = [Column("MB/s", "mb_per_second", spread=True), Column("seconds", "seconds"),
           Column("known after, s", "known_seconds"),
           Column("archive MB", "archive_bytes", scale=1e-6),
           Column("CPU s/GB", "cpu_per_gb")]
ROWS = {"ct": ("CT", 600), "mr": ("MR", 3000)}
QUICK = {"ct": ("CT", 8), "mr": ("MR", 30)}


class Study:
    """What a bridge has received and let go of: a spool with one study."""

    def __init__(self, given, folder, kind, instances):
        self.given = given
        self.archive = os.path.join(folder, "archive.zip")
        node = Aurabridge(os.path.join(folder, "node"), given.program)
        with node:
            self.run("bench_sender", "--port", node.port, "--one-study", "--kind", kind,
                     "--instances", instances)
        self.spool = os.path.join(node.directory, "spool")
        (name,) = os.listdir(os.path.join(self.spool, "studies"))
        self.files = os.path.join(self.spool, "studies", name)
        self.digests = sorted(digest_of(os.path.join(self.files, name))
                              for name in os.listdir(self.files) if name.endswith(".dcm"))
        self.bytes = sum(entry.stat().st_size for entry in os.scandir(self.files)
                         if entry.name.endswith(".dcm"))
        if len(self.digests) != instances:
            raise Failed(f"{len(self.digests)} of {instances} instances are in the spool")

    def run(self, name, *arguments):
        done = subprocess.run([os.path.join(self.given.tools, name), *map(str, arguments)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise Failed(f"{name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def finish(self, figures, deflated):
        """Compares what is in the archive, and adds what follows from the figures."""
        if self.given.spoil:
            spoil_archive(self.archive)
        with zipfile.ZipFile(self.archive) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
            found = sorted(hashlib.sha256(archive.read(one)).digest() for one in members)
        if any((one.compress_type == zipfile.ZIP_DEFLATED) != deflated for one in members):
            raise Failed("not all of the archive is as compressed as it should be")
        if found != self.digests:
            raise Failed("the archive does not hold what was received")
        figures["archive_bytes"] = os.path.getsize(self.archive)
        figures["mb_per_second"] = self.bytes / figures["seconds"] / 1e6
        figures["cpu_per_gb"] = figures["cpu_seconds"] / self.bytes * 1e9
        return figures


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


def spoil_archive(path):
    """Changes an instance and leaves a good archive."""
    with zipfile.ZipFile(path) as archive:
        kept = [(name, archive.read(name)) for name in archive.namelist()]
        kinds = [one.compress_type for one in archive.infolist() if not one.is_dir()]
    with zipfile.ZipFile(path, "w", kinds[0]) as archive:
        for at, (name, content) in enumerate(kept):
            archive.writestr(name, content + b"\0" if at == len(kept) - 1 else content)


def package(study, threads):
    def run(_):
        figures = study.run("bench_package", study.spool, threads, study.archive)
        if figures["bytes"] != study.bytes:
            raise Failed(f"it packed {figures['bytes']} of {study.bytes} bytes")
        figures["known_seconds"] = figures["layout_seconds"]
        return study.finish(figures, threads > 0)
    return run


def peer(study, *command, deflates=True):
    """A program that is given the archive and the folder, which it is in."""
    def run(_):
        if os.path.exists(study.archive):
            os.unlink(study.archive)  # zip would add to it
        begun = time.monotonic()
        process = subprocess.Popen([*command, study.archive, "."], cwd=study.files,
                                   stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failed(f"{command[0]} ended with {process.returncode}")
        seconds = time.monotonic() - begun
        return study.finish({"seconds": seconds, "known_seconds": seconds,
                             "cpu_seconds": used.ru_utime + used.ru_stime}, deflates)
    return run


def measure(given, name):
    kind, instances = (QUICK if given.quick else ROWS)[name]
    processors = len(os.sched_getaffinity(0))
    row = Row(f"archive of {instances} {kind}")
    with tempfile.TemporaryDirectory(prefix="package-", dir=given.directory) as folder:
        study = Study(given, folder, kind, instances)
        row.add("aurabridge, 1 thread", package(study, 1))
        if processors > 1:
            row.add(f"aurabridge, {processors} threads", package(study, processors))
        row.add("aurabridge, stored", package(study, 0))
        for level in (6, 1, 0):
            row.add(f"zip -{level}", peer(study, "zip", f"-{level}", "-q", "-r",
                                              deflates=level > 0))
        if shutil.which("bsdtar"):
            row.add("bsdtar --format zip", peer(study, "bsdtar", "--format", "zip", "-cf"))
        else:
            row.leave_out("bsdtar --format zip", "it is not installed (Debian: libarchive-tools)")
        for text, figure, other in (("1 thread ÷ zip -1", "mb_per_second", "zip -1"),
                                    ("1 thread ÷ zip -6", "mb_per_second", "zip -6"),
                                    ("archive ÷ that of zip -6", "archive_bytes", "zip -6")):
            row.aim(text, figure, "aurabridge, 1 thread", other)
        row.aim("stored ÷ zip -0", "mb_per_second", "aurabridge, stored", "zip -0")
        alternate(row, given.rounds, given.warm_up)
    print(table(row, COLUMNS), flush=True)
    return row


def parse(arguments):
    options = Options("package", __doc__, "on the file system that is to be measured",
                      "small studies, one round", ROWS)
    options.add_program()
    options.add_spoil("change an instance in each archive")
    return options.given(arguments)


def main():
    given = parse(sys.argv[1:])
    os.makedirs(given.directory, exist_ok=True)
    if not given.quick:
        touch_memory()
    rows = []
    for name in given.rows:
        rows.append(measure(given, name))
        write_json(given.json, "package", rows,
                   machine(given.directory, ("zip", "libarchive-tools", "libdeflate0", "zlib1g")),
                   {"rounds": given.rounds, "quick": given.quick})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
