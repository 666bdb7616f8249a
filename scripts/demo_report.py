#!/usr/bin/env python3
"""What the demo shows: a progress line while studies are under way, and a table of what arrived.

usage: demo_report.py watch SECONDS PROGRAM CONFIG SAMPLES
       demo_report.py table PROGRAM CONFIG SAMPLES AURABOX

`watch` ends with 1 when not every sample study is completed in time. `table` opens the zips that
the sandbox kept and ends with 1 when a data set differs from the one that was sent.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import time
import unicodedata
import zipfile

META_START = 128 + 4          # PS3.10 7.1: preamble, "DICM"
META_LENGTH = META_START + 8  # the value of (0002,0000), an UL
FINAL = ("completed", "failed", "quarantined", "unrouted", "cancelled", "discarded")
SAMPLE_STUDIES = 3


def studies(program, config):
    done = subprocess.run([program, "studies", "--config", config, "--json"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit("aurabridge studies: %s" % done.stderr.strip())
    return json.loads(done.stdout)["studies"]


def progress_line(found, started):
    counts = {}
    for study in found:
        counts[study["state"]] = counts.get(study["state"], 0) + 1
    words = ", ".join("%d %s" % (counts[state], state) for state in sorted(counts)) or "none yet"
    instances = sum(study["instances"] for study in found)
    return "%5.1f s  %d of %d studies seen, %d instances: %s" % (
        time.monotonic() - started, len(found), SAMPLE_STUDIES, instances, words)


def watch(seconds, program, config):
    started = time.monotonic()
    shown = None
    while True:
        found = studies(program, config)
        line = progress_line(found, started)
        if sys.stdout.isatty():
            print("\r\033[K" + line, end="", flush=True)
        elif line[8:] != shown:
            print(line, flush=True)
        shown = line[8:]
        ended = len(found) >= SAMPLE_STUDIES and all(s["state"] in FINAL for s in found)
        if ended or time.monotonic() - started > seconds:
            break
        time.sleep(0.3)
    if sys.stdout.isatty():
        print()
    completed = [s for s in found if s["state"] == "completed"]
    for study in found:
        if study["state"] != "completed":
            print("%s is %s: %s" % (study["id"], study["state"], study.get("reason") or ""))
    return len(completed) >= SAMPLE_STUDIES


def data_set(part10):
    """The bytes after the file meta information (PS3.10 7.1)."""
    length = int.from_bytes(part10[META_LENGTH:META_LENGTH + 4], "little")
    return part10[META_LENGTH + 4 + length:]


def digests_sent(samples):
    found = set()
    for folder, _, names in os.walk(samples):
        for name in names:
            if name.endswith(".dcm"):
                with open(os.path.join(folder, name), "rb") as file:
                    found.add(hashlib.sha256(data_set(file.read())).digest())
    return found


def equal_members(path, sent):
    """How many members of the zip hold a data set that was sent."""
    with zipfile.ZipFile(path) as archive:
        return sum(hashlib.sha256(data_set(archive.read(name))).digest() in sent
                   for name in archive.namelist())


def seconds_between(study):
    times = [datetime.datetime.fromisoformat(study[key].replace("Z", "+00:00"))
             for key in ("first_received", "completed")]
    return (times[1] - times[0]).total_seconds()


def padded(text, width):
    """To a width in columns; East Asian wide characters take two."""
    taken = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return text + " " * (width - taken)


def announced(aurabox, study):
    """Modality and name, from what the sandbox was told."""
    with open(os.path.join(aurabox, study["upload_id"] + ".json"), encoding="utf-8") as file:
        body = json.load(file)["studies"][study["study_instance_uid"]]
    return "%s %s" % ("/".join(body["modalities"]), body["patient_name"].split("=")[-1])


def table(program, config, samples, aurabox):
    sent = digests_sent(samples)
    good = True
    print("\nArrived in the sandbox Aurabox:")
    print("  %-4s %-24s %9s %10s  %-36s %7s  %s" % (
        "", "STUDY", "INSTANCES", "ZIP BYTES", "UPLOAD ID", "SECONDS", "DATA SETS"))
    for study in sorted(studies(program, config), key=lambda s: s["first_received"]):
        path = os.path.join(aurabox, study["upload_id"] + ".zip")
        equal = equal_members(path, sent)
        same = equal == study["instances"]
        good = good and same
        print("  %-4s %s %9d %10d  %-36s %7.1f  %s" % (
            study["id"], padded(announced(aurabox, study), 24), study["instances"], os.path.getsize(path),
            study["upload_id"], seconds_between(study),
            "all equal to those sent" if same else "%d of %d equal" % (equal, study["instances"])))
        print("       " + study["study_instance_uid"])
    return good


def main(arguments):
    # A terminal without UTF-8 shows question marks and is no reason to fail.
    sys.stdout.reconfigure(errors="replace")
    if len(arguments) == 5 and arguments[0] == "watch":
        return watch(float(arguments[1]), arguments[2], arguments[3])
    if len(arguments) == 5 and arguments[0] == "table":
        return table(*arguments[1:])
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
