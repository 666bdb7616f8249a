#!/usr/bin/env python3
"""Uploads: the bridge's Tus driver beside curl and tus-js-client, into the Tus project's server.

    upload.py [--tools DIRECTORY] [--directory WHERE] [--store WHERE] [--json FILE]
              [--rows loopback,…] [--rounds N] [--quick]

loopback  one archive of 1 GiB, all of them on loopback as it is
one       the others go over 100 ms round trip at 1 Gbit/s (net_path.py, needs root): one study
four      four studies at once
loss      one study, with 0.1 % loss
buffers   like `one`, with send buffers as an operator may allow them; not by default

Each program says itself how long it took, from its first request to the last answer, the creation
of the upload included; none is charged for its start. What the server stored is compared with what
was sent (SHA-256) after every run. Needs node, npm, curl; installs what package-lock.json pins.
"""

import contextlib
import os
import random
import sys

from bench_options import Options
from bench_table import (MIB, Column, Failed, Row, alternate, machine, read, table, touch_memory,
                         warm, write_json)
from net_path import DEBIAN, LARGE_SEND_BUFFERS, Broken, Loopback, Path, Unavailable
from tus_store import Store, install_peers, memory_file_system, tool
from upload_clients import Bridge, Curl, Peer

COLUMNS = [Column("MB/s", "mb_per_second", spread=True), Column("seconds", "seconds"),
           Column("CPU s/GB", "cpu_per_gb"), Column("peak RSS MiB", "peak_kib", scale=1 / 1024)]


def make_archive(directory, number, mib):
    """A file of bytes that nothing can compress, the same ones each time; kept between runs."""
    path = os.path.join(directory, f"upload-{number}-{mib}MiB")
    if not os.path.exists(path) or os.path.getsize(path) != mib * MIB:
        source = random.Random(number)
        with open(path, "wb") as file:
            for _ in range(mib):
                file.write(source.randbytes(MIB))
    return path


class Sizes:
    """MiB of what is uploaded, and the line. The slow peer takes half a minute at most."""

    def __init__(self, quick):
        self.loopback, self.one, self.four, self.lossy = (
            (6, 2, 1, 1) if quick else (1024, 256, 128, 48))
        self.line = ({"delay_ms": 5, "rate_mbit": 200} if quick
                     else {"delay_ms": 50, "rate_mbit": 1000})


def archives(given, count, mib):
    return [make_archive(given.directory, number, mib) for number in range(1, count + 1)]


def finish(given, row):
    alternate(row, given.rounds, given.warm_up, None if given.quick else warm)
    print(table(row, COLUMNS), flush=True)
    return row


def measure_loopback(given, sizes):
    files = archives(given, 1, sizes.loopback)
    row = Row(f"upload, loopback, {sizes.loopback} MiB")
    with Loopback() as path, Store(path, given.store, given.spoil) as store:
        row.add("aurabridge", Bridge(path, store, files, given))
        row.add("curl, one PATCH", Curl(path, store, files))
        row.add("tus-js-client, 5 MiB", Peer(path, store, files))
        row.add("tus-js-client, one PATCH", Peer(path, store, files, chunk=0))
        row.aim("÷ curl, one PATCH", "mb_per_second", "aurabridge", "curl, one PATCH",
                at_least=0.95)
        return finish(given, row)


@contextlib.contextmanager
def line(given, sizes, what, **options):
    """A row's name, a path that was seen to have its round trip, and a server at its end. Where the
    machine cannot have such a path, the row says so and nothing is measured."""
    path = Path(tool(given, "net_delay"), seed=given.seed, **sizes.line, **options)
    round_trip = 2 * sizes.line["delay_ms"]
    row = Row(f"upload, {round_trip:g} ms round trip at {sizes.line['rate_mbit']} Mbit/s, {what}")
    try:
        path.__enter__()
    except Unavailable as why:
        row.leave_out("all of them", str(why))
        yield row, None, None
        return
    with contextlib.ExitStack() as stack:
        stack.push(path)
        found = path.measure()
        print(f"round trip {found:.2f} ms", file=sys.stderr, flush=True)
        if found < round_trip:
            raise Failed(f"the line has a round trip of {found:.2f} ms instead of {round_trip}")
        yield row, path, stack.enter_context(Store(path, given.store, given.spoil))


def measure_one(given, sizes, sysctls=None):
    files = archives(given, 1, sizes.one)
    what = f"{sizes.one} MiB" + (", tcp_wmem 64 MiB" if sysctls else "")
    with line(given, sizes, what, sysctls=sysctls) as (row, path, store):
        if path:
            row.add("aurabridge", Bridge(path, store, files, given))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files))
            row.add("tus-js-client, one PATCH", Peer(path, store, files, chunk=0))
            row.add("curl, one PATCH", Curl(path, store, files))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge", "tus-js-client, 5 MiB",
                **({} if sysctls else {"at_least": 1.4}))
        return finish(given, row)


def measure_four(given, sizes):
    files = archives(given, 4, sizes.four)
    with line(given, sizes, f"four of {sizes.four} MiB") as (row, path, store):
        if path:
            row.add("aurabridge, four at once", Bridge(path, store, files, given))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files), "one after the other")
            row.add("tus-js-client, 5 MiB, four at once", Peer(path, store, files, at_once=4))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge, four at once",
                "tus-js-client, 5 MiB", at_least=3)
        row.aim("÷ tus-js-client, 5 MiB, four at once", "mb_per_second",
                "aurabridge, four at once", "tus-js-client, 5 MiB, four at once")
        return finish(given, row)


def measure_lossy(given, sizes):
    files = archives(given, 1, sizes.lossy)
    with line(given, sizes, f"0.1 % loss, {sizes.lossy} MiB",
              loss_percent=0.1) as (row, path, store):
        if path:
            row.add("aurabridge", Bridge(path, store, files, given))
            row.add("tus-js-client, 5 MiB", Peer(path, store, files))
        row.aim("÷ tus-js-client, 5 MiB", "mb_per_second", "aurabridge", "tus-js-client, 5 MiB",
                at_least=10)
        return finish(given, row)


MEASURES = {"loopback": measure_loopback, "one": measure_one, "four": measure_four,
            "loss": measure_lossy,
            "buffers": lambda given, sizes: measure_one(given, sizes, LARGE_SEND_BUFFERS)}


def parse(arguments):
    options = Options("upload", __doc__, "for what is sent; it stays for the next time",
                      "a few MiB, one round", MEASURES, list(MEASURES)[:-1])
    options.add_argument("--store", default=memory_file_system(),
                         help="for what the server stores; in memory, so that no disk is measured")
    options.add_argument("--seed", type=int, default=1, help="of the losses")
    options.add_settings()
    options.add_spoil("change a byte of what is stored")
    return options.given(arguments)


def main():
    given = parse(sys.argv[1:])
    os.makedirs(given.directory, exist_ok=True)
    install_peers()
    sizes, rows = Sizes(given.quick), []
    if not given.quick:
        touch_memory()
    for name in given.rows:
        rows.append(MEASURES[name](given, sizes))
        write_json(
            given.json, "upload", rows, machine(given.directory, ("nodejs", "curl")),
            {"rounds": given.rounds, "quick": given.quick, "seed": given.seed, "set": given.set,
             "line": DEBIAN,
             "loopback": {name: (read(f"/proc/sys/{name}") or "").strip() for name in DEBIAN}})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, Broken) as failed:
        sys.exit(f"FAILED: {failed}")
