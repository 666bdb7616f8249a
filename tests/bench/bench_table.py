"""What every part of the benchmark needs: rounds that alternate, medians and spreads, what a tree of
processes used, a table for people and JSON for programs.

A part makes Rows. A Row has contenders, each with a name and a function that makes one run and
returns its figures (a dict of numbers). alternate() runs them A B C A B C …; the first round warms
up and is dropped. Targets hold one contender's median against another's.

    row = Row("CT 512 KiB, 1 association")
    row.add("aurabridge", lambda number: {"mb_per_second": …, "cpu_seconds": …, "bytes": …})
    row.add("orthanc", …)
    row.aim("÷ Orthanc", "mb_per_second", "aurabridge", "orthanc", at_least=5)
    alternate(row, rounds=5)
    print(table(row, COLUMNS))
    write_json("build/bench/ingest.json", "ingest", [row], machine(directory, peers))
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time

GB = 1e9
MIB = 1024 * 1024


class Failed(Exception):
    """A run is no measurement: bytes differ, a status is not 0000, a peer ended."""


# ---- rows, contenders, rounds ----

class Contender:
    def __init__(self, name, run, note=""):
        self.name, self.run, self.note = name, run, note
        self.runs = []      # the figures of each measured run
        self.warm_up = []   # of those that were dropped
        self.left_out = ""  # why it did not run

    def median(self, figure):
        values = [run[figure] for run in self.runs if run.get(figure) is not None]
        return statistics.median(values) if values else None

    def summary(self):
        """figure -> median, min, max and the quartiles over the measured runs."""
        found = {}
        for figure in sorted({name for run in self.runs for name in run}):
            values = sorted(run[figure] for run in self.runs if run.get(figure) is not None)
            if values:
                low, _, high = (statistics.quantiles(values, n=4, method="inclusive")
                                if len(values) > 1 else values * 3)
                found[figure] = {"median": statistics.median(values), "min": values[0],
                                 "max": values[-1], "q1": low, "q3": high}
        return found


class Target:
    """A bound on one contender's median, or on its ratio to another's of the same row. `against` may
    be a list: then the best of those, the largest, or with `at_most` the smallest."""

    def __init__(self, row, text, figure, name, against=None, at_least=None, at_most=None,
                 unit=""):
        self.row, self.text, self.figure, self.name = row, text, figure, name
        self.against = [against] if isinstance(against, str) else against
        self.at_least, self.at_most, self.unit = at_least, at_most, unit

    def value(self):
        top = self.row.median(self.name, self.figure)
        if top is None or not self.against:
            return top
        below = [found for found in (self.row.median(name, self.figure) for name in self.against)
                 if found]
        if not below:
            return None
        return top / (max(below) if self.at_most is None else min(below))

    def is_met(self):
        value = self.value()
        if value is None:
            return None
        return ((self.at_least is None or value >= self.at_least)
                and (self.at_most is None or value <= self.at_most))

    def line(self):
        bound = f"≥ {self.at_least:g}" if self.at_least is not None else (
            f"≤ {self.at_most:g}" if self.at_most is not None else "no target")
        value, word = self.value(), {True: "met", False: "NOT MET", None: "not measured"}
        if value is None:
            return f"{self.text}: not measured ({bound})"
        if self.at_least is None and self.at_most is None:
            return f"{self.text}: {number(value)}{self.unit}"
        return f"{self.text}: {number(value)}{self.unit} ({bound}: {word[self.is_met()]})"


class Row:
    """One thing that is measured, and who does it."""

    def __init__(self, name):
        self.name, self.contenders, self.targets = name, [], []

    def add(self, name, run, note=""):
        contender = Contender(name, run, note)
        self.contenders.append(contender)
        return contender

    def leave_out(self, name, why):
        self.add(name, None).left_out = why

    def aim(self, text, figure, name, against=None, **bounds):
        self.targets.append(Target(self, text, figure, name, against, **bounds))

    def find(self, name):
        return next((one for one in self.contenders if one.name == name), None)

    def median(self, name, figure):
        contender = self.find(name)
        return contender.median(figure) if contender else None


def alternate(row, rounds=5, warm_up=1, before=None, log=None, shown=None):
    """Runs the row's contenders in turn, `warm_up` rounds and then `rounds`. `before()` is called
    ahead of each run, by default sync: what one wrote must not be written out in the next's time.
    `shown` names the figures that go to the log, by default all.
    """
    log = log or (lambda text: print(text, file=sys.stderr, flush=True))
    for at in range(warm_up + rounds):
        for contender in row.contenders:
            if contender.left_out:
                continue
            (before or os.sync)()
            figures = contender.run(at)
            (contender.warm_up if at < warm_up else contender.runs).append(figures)
            log(f"  {row.name}: {contender.name}, "
                f"{'warm-up' if at < warm_up else f'round {at - warm_up + 1}'}: "
                + ", ".join(f"{name} {number(value)}" for name, value in figures.items()
                            if shown is None or name in shown))


# ---- what processes use ----

class Tree:
    """A process and all that descend from it: what they used. For a process that is alive."""

    def __init__(self, pid):
        self.pid = pid

    def pids(self):
        children = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            stat = read(f"/proc/{name}/stat")
            if stat:
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu_seconds(self):
        """User and system time, in nanosecond steps while a process lives; children that ended
        count once their parent has waited for them."""
        total = 0.0
        for pid in self.pids():
            fields = (read(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
            if fields:
                total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
                total += process_clock(pid, (int(fields[11]) + int(fields[12]))
                                       / os.sysconf("SC_CLK_TCK"))
        return total

    def peak_kib(self):
        """VmHWM of those that live now, added up."""
        return sum(status_number(pid, "VmHWM") for pid in self.pids())

    def counts(self):
        """Resident memory in KiB, descriptors and threads, now."""
        pids = self.pids()
        descriptors = 0
        for pid in pids:
            try:
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                pass
        return {"resident_kib": sum(status_number(pid, "VmRSS") for pid in pids),
                "descriptors": descriptors,
                "threads": sum(status_number(pid, "Threads") for pid in pids)}

    def settle(self, seconds=30.0, quiet=0.25, busy=0.01):
        """Waits until the tree has used less than `busy` seconds of CPU in `quiet` seconds, and so
        is done with what it does behind its answers; returns how long that took."""
        begun = time.monotonic()
        used, since = self.cpu_seconds(), begun
        while time.monotonic() < begun + seconds:
            time.sleep(quiet / 5)
            now = self.cpu_seconds()
            if now - used > busy:
                used, since = now, time.monotonic()
            elif time.monotonic() - since >= quiet:
                return since - begun
        return time.monotonic() - begun


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return None


def process_clock(pid, otherwise):
    """CLOCK_PROCESS_CPUTIME_ID of another process (clock_getcpuclockid)."""
    try:
        return time.clock_gettime(((~pid) << 3) | 2)
    except OSError:
        return otherwise


def status_number(pid, name):
    for line in (read(f"/proc/{pid}/status") or "").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def touch_memory(spare=3 * 1024 * MIB, most=64 * 1024 * MIB):
    """Writes to the memory that is free, in a child, so that a virtual machine really has it. One
    that reports free pages to its host loses them again within seconds: then each run has to touch
    what it will need just before its clock starts (as load.c does)."""
    available = next(int(line.split()[1]) * 1024 for line in read("/proc/meminfo").splitlines()
                     if line.startswith("MemAvailable"))
    size = min(max(0, available - spare), most)
    subprocess.run([sys.executable, "-c", "import mmap, sys\n"
                    "size = int(sys.argv[1])\n"
                    "kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\n"
                    "with mmap.mmap(-1, size, flags=kind) as memory:\n"
                    "    memory.madvise(mmap.MADV_HUGEPAGE)\n"
                    "    for at in range(0, size, 4096): memory[at] = 1",
                    str(max(4096, size))], check=True)


def warm():
    """Ahead of a run: nothing is left to be written out, and there is memory for what will be."""
    os.sync()
    touch_memory(most=2 * 1024 * MIB)


# ---- the machine ----

def machine(directory, peers=()):
    """Where it was measured. `directory` is on the file system that was; `peers` are names of
    Debian packages."""
    cpu = next((line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").splitlines()
                if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in read("/proc/meminfo").splitlines()
                  if line.startswith("MemTotal"))
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory / 1024 / 1024, 1),
            "kernel": platform.release(), "file_system": file_system(directory),
            "system": (read("/etc/os-release") or "").partition('PRETTY_NAME="')[2].partition('"')[0],
            "versions": {name: package_version(name) for name in peers},
            "date": time.strftime("%Y-%m-%d")}


def file_system(directory):
    """Type and options of the mount that holds the directory."""
    best = ("", "unknown")
    path = os.path.realpath(directory)
    for line in (read("/proc/mounts") or "").splitlines():
        _, at, kind, options = line.split()[:4]
        if path == at or path.startswith(at.rstrip("/") + "/"):
            if len(at) >= len(best[0]):
                best = (at, f"{kind} ({options})")
    return best[1]


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or None


# ---- tables and JSON ----

def number(value):
    """Three digits that count, without an exponent."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


class Column:
    """A figure's median, or with `spread` its smallest and largest."""

    def __init__(self, title, figure, spread=False, scale=1.0):
        self.title, self.figure, self.spread, self.scale = title, figure, spread, scale

    def text(self, summary):
        found = summary.get(self.figure)
        if not found:
            return "–"
        text = number(found["median"] * self.scale)
        if self.spread:
            text += f" ({number(found['min'] * self.scale)}–{number(found['max'] * self.scale)})"
        return text


def table(row, columns):
    """The row's contenders, a line each, and its targets."""
    titles = [column.title for column in columns]
    lines, left_out = [[row.name, *titles]], []
    for contender in row.contenders:
        if contender.left_out:
            left_out.append(f"{contender.name}: left out, {contender.left_out}")
        else:
            summary = contender.summary()
            lines.append([contender.name] + [column.text(summary) for column in columns])
    widths = [max(len(line[at]) for line in lines) for at in range(len(titles) + 1)]
    out = ["  ".join([line[0].ljust(widths[0])]
                     + [text.rjust(width) for text, width in zip(line[1:], widths[1:])])
           for line in lines]
    out.insert(1, "-" * len(out[0]))
    return "\n".join(out + left_out + ["  " + target.line() for target in row.targets]) + "\n"


def write_json(path, part, rows, where, options=None):
    """Writes all rows with each run's figures, their summaries and the targets."""
    content = {"part": part, "machine": where, "options": options or {}, "rows": [{
        "name": row.name,
        "contenders": [{"name": one.name, "note": one.note, "left_out": one.left_out,
                        "runs": one.runs, "warm_up": one.warm_up, "summary": one.summary()}
                       for one in row.contenders],
        "targets": [{"text": one.text, "figure": one.figure, "value": one.value(),
                     "at_least": one.at_least, "at_most": one.at_most, "unit": one.unit,
                     "met": one.is_met()} for one in row.targets],
    } for row in rows]}
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as file:
        json.dump(content, file, indent=1, ensure_ascii=False)
        file.write("\n")
