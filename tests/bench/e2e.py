#!/usr/bin/env python3
"""From a study's last C-STORE-RSP to its finished upload: the bridge beside what people build.

    e2e.py [--program AURABRIDGE] [--tools DIRECTORY] [--directory WHERE] [--store WHERE]
           [--json FILE] [--rows study,…] [--rounds N] [--quick]

study       600 CT (316 MB) in one association; the quiet period of 2 s is not counted
            aurabridge              its default configuration; packs and sends to a Tus server
            storescp + zip + …      storescp --fork +B; the association's end says that the study is
                                    complete (no quiet period at all), zip -6 or -0, tus-js-client
            Orthanc                 StableAge 2 s; a poll of /changes; /studies/{id}/archive to a
                                    file; tus-js-client
first-byte  2,000 CT: to the first byte of the first PATCH, by the server's clock

All send to the Tus project's own server on loopback, tus-js-client in chunks of 5 MiB and running
already; all files are on one file system. What was uploaded is opened, and every data set compared
with the one that was sent. Needs node, npm, zip, dcmtk; Orthanc is left out where it is not there.
"""

import os
import shutil
import sys

from bench_options import Options
from bench_table import Column, Failed, Row, alternate, machine, table, touch_memory, warm, write_json
from e2e_contenders import Bridge, Orthanc, StoreScp, World
from tus_store import install_peers, memory_file_system

COLUMNS = [Column("seconds", "seconds", spread=True), Column("archive MB", "archive_bytes",
                                                             scale=1e-6),
           Column("last RSP → first PATCH byte, s", "first_byte_seconds"),
           Column("CPU s", "cpu_seconds"), Column("peak RSS MiB", "peak_kib", scale=1 / 1024)]
FIRST_BYTE_COLUMNS = [Column("last RSP + quiet → first PATCH byte, ms", "first_byte_seconds",
                             spread=True, scale=1000)] + COLUMNS[:2] + COLUMNS[3:]


def run_row(given, row, contenders, columns, before=None):
    """Runs the contenders, each of which is up for as long as the row takes."""
    started = []
    try:
        for name, contender in contenders:
            started.append(contender.__enter__())
            row.add(name, contender)
        alternate(row, given.rounds, given.warm_up, before or (None if given.quick else warm))
    finally:
        for contender in reversed(started):
            contender.__exit__(None, None, None)
    print(table(row, columns), flush=True)
    return row


def measure_study(given):
    instances, quiet = (8, 1) if given.quick else (600, 2)
    row = Row(f"end to end, {instances} CT, quiet period {quiet} s")
    with World(given, instances, quiet) as world:
        contenders = [("aurabridge", Bridge(world)),
                      ("storescp + zip -6 + tus-js-client", StoreScp(world, 6)),
                      ("storescp + zip -0 + tus-js-client", StoreScp(world, 0))]
        if Orthanc.program():
            contenders.append(("Orthanc + tus-js-client", Orthanc(world)))
        else:
            row.leave_out("Orthanc + tus-js-client", "it is not installed (Debian: orthanc)")
        for text, other, most in (("zip -6", "storescp + zip -6 + tus-js-client", 0.05),
                                  ("Orthanc", "Orthanc + tus-js-client", 0.05),
                                  ("zip -0", "storescp + zip -0 + tus-js-client", 0.5)):
            row.aim(f"time ÷ {text}", "seconds", "aurabridge", other, at_most=most)
        row.aim("archive ÷ zip -6", "archive_bytes", "aurabridge",
                "storescp + zip -6 + tus-js-client", at_most=1.03)
        return run_row(given, row, contenders, COLUMNS)


def measure_first_byte(given):
    instances, quiet = (8, 1) if given.quick else (2000, 2)
    row = Row(f"first PATCH byte, {instances} CT, quiet period {quiet} s")
    with World(given, instances, quiet) as world:
        row.aim("last RSP + quiet → first PATCH byte", "first_byte_seconds", "aurabridge",
                at_most=0.25, unit=" s")
        return run_row(given, row, [("aurabridge", Bridge(world))], FIRST_BYTE_COLUMNS)


MEASURES = {"study": measure_study, "first-byte": measure_first_byte}


def parse(arguments):
    options = Options("e2e", __doc__, "for spools, studies and archives",
                      "small studies, one round", MEASURES)
    options.add_program()
    options.add_argument("--store", default=memory_file_system(),
                         help="for what the server stores; in memory, so that no disk is measured")
    options.add_argument("--seed", type=int, default=1, help="of the studies")
    options.add_settings()
    options.add_spoil("take an instance from what is stored")
    return options.given(arguments)


def check_room(given):
    """Nothing is deleted while a row runs: ext4 punishes creating files after mass deletes."""
    free = shutil.disk_usage(given.directory).free
    needed = (given.rounds + given.warm_up) * 2e9 * 1.2  # a round of `study`: 1.9 GB
    if free < needed:
        raise Failed(f"{given.directory} has {free / 1e9:.0f} GB free and this takes up to "
                     f"{needed / 1e9:.0f} GB; use another --directory, or fewer --rounds")


def main():
    given = parse(sys.argv[1:])
    os.makedirs(given.directory, exist_ok=True)
    install_peers()
    rows = []
    if not given.quick:
        check_room(given)
        touch_memory()
    for name in given.rows:
        rows.append(MEASURES[name](given))
        write_json(given.json, "e2e", rows,
                   machine(given.directory, ("nodejs", "dcmtk", "orthanc", "zip")),
                   {"rounds": given.rounds, "quick": given.quick, "seed": given.seed,
                    "set": given.set})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
