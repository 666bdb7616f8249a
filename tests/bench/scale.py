#!/usr/bin/env python3
"""Whether a large ledger, many associations at once and many one after the other cost more than small
and few.

    scale.py [--program AURABRIDGE] [--tools DIRECTORY] [--directory WHERE] [--json FILE]
             [--rounds N] [--studies N] [--instances N] [--few N] [--associations N] [--quick]

Two spools are filled through the ledger's own calls, with the same number of instances in each study.
Ends with 1 when a run failed; a target that is not met is no failure.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from bench_options import Options
from bench_peers import Aurabridge
from bench_table import Column, Failed, Row, alternate, machine, table, write_json

CLAIMS = 200         # in a run
AT_ONCE = 64         # associations
CHURN_BYTES = 1024   # of pixel data: the associations are what is measured
CHURN_SENDERS = 8
MEMORY_GROWTH = 2    # MiB that allocators and caches may add after the first fifth


class Scale:
    def __init__(self, options):
        self.options, self.rows = options, []
        parent = os.path.abspath(options.directory)
        os.makedirs(parent, exist_ok=True)
        self.root = tempfile.mkdtemp(prefix="scale.", dir=parent)
        self.before = (lambda: None) if options.quick else None
        self.seed = int(time.time()) * 1000

    def tool(self, name, *arguments):
        path = os.path.join(os.path.abspath(self.options.tools), name)
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise Failed(f"{name}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout else None

    def node(self, name):
        return Aurabridge(os.path.join(self.root, name), os.path.abspath(self.options.program),
                          self.options.set)

    def show(self, row, columns):
        self.rows.append(row)
        print(table(row, columns), flush=True)

    # ---- a large ledger beside a small one ----

    def fill(self, studies):
        node = self.node(f"{studies}-studies")
        instances = studies * self.options.instances // self.options.studies
        self.tool("bench_ledger", "fill", os.path.join(node.directory, "spool"), studies, instances)
        return node

    def claims(self, node):
        def run(_):
            return self.tool("bench_ledger", "claim", os.path.join(node.directory, "spool"), CLAIMS)
        return run

    def command(self, node, *words):
        """How long it takes, in milliseconds, or None when there is no such command."""
        begun = time.monotonic()
        done = subprocess.run([node.program, words[0], "--config", node.configuration, *words[1:]],
                              capture_output=True, text=True, check=False)
        if "there is no command" in done.stderr:
            return None
        if done.returncode != 0:
            raise Failed(f"{' '.join(words)}: {done.stderr.strip()}")
        json.loads(done.stdout)
        return (time.monotonic() - begun) * 1e3

    def starts(self, node):
        def run(_):
            begun = time.monotonic()
            with node:
                started = time.monotonic() - begun
                node.tree().settle()  # it audits itself once it listens
                figures = {"start_ms": started * 1e3,
                           "status_ms": self.command(node, "status", "--json"),
                           "studies_ms": self.command(node, "studies", "--json"),
                           "peak_mib": node.tree().peak_kib() / 1024}
            return figures
        return run

    def ledger_rows(self):
        names = [f"{count} studies" for count in (self.options.few, self.options.studies)]
        nodes = [self.fill(count) for count in (self.options.few, self.options.studies)]
        row = Row(f"claim, {self.options.instances // self.options.studies} instances a study")
        for name, node in zip(names, nodes):
            row.add(name, self.claims(node))
        row.aim(f"claim with {names[1]} ÷ with {names[0]}", "p50_us", names[1], names[0],
                at_most=1.5)
        alternate(row, rounds=self.options.rounds, before=self.before)
        self.show(row, [Column("p50 µs", "p50_us", spread=True), Column("p99 µs", "p99_us"),
                        Column("CPU µs", "cpu_us")])

        row = Row("start-up and status")
        for name, node in zip(names, nodes):
            self.tool("bench_ledger", "park", os.path.join(node.directory, "spool"))
            row.add(name, self.starts(node))
        for text, figure in (("start-up", "start_ms"), ("status", "status_ms"),
                             ("list of studies", "studies_ms")):
            row.aim(f"{text} with {names[1]} ÷ with {names[0]}", figure, names[1], names[0])
        alternate(row, rounds=self.options.rounds, before=self.before)
        self.show(row, [Column("start ms", "start_ms", spread=True), Column("status ms", "status_ms"),
                        Column("studies ms", "studies_ms"), Column("peak MiB", "peak_mib")])

    # ---- associations ----

    def send(self, node, *options):
        self.seed += 1
        return self.tool("bench_sender", "--port", node.port, "--kind", "MR", "--seed", self.seed,
                         *options)

    def associations_row(self):
        """All at once, then one after the other; the first fifth is where growth begins."""
        row, node = Row("associations"), self.node("associations")
        fifth = self.options.associations // 5

        def run(_):
            said = self.send(node, "--associations", AT_ONCE, "--instances", 10 * AT_ONCE)
            counts = []
            for _ in range(5):
                churned = self.send(node, "--churn", "--associations", CHURN_SENDERS, "--size",
                                    CHURN_BYTES, "--instances", fifth)
                node.tree().settle()
                counts.append(node.tree().counts())
            first, last = counts[0], counts[-1]
            return {"at_once_per_second": said["instances"] / said["seconds"],
                    "associations_per_second": fifth / churned["seconds"],
                    "resident_mib": last["resident_kib"] / 1024,
                    "growth_mib": (last["resident_kib"] - first["resident_kib"]) / 1024,
                    "more_descriptors": last["descriptors"] - first["descriptors"],
                    "more_threads": last["threads"] - first["threads"]}
        name = f"{AT_ONCE} at once, {self.options.associations} in turn"
        row.add(name, run)
        for text, figure, most in (("memory grew by", "growth_mib", MEMORY_GROWTH),
                                   ("descriptors more", "more_descriptors", 0),
                                   ("threads more", "more_threads", 0)):
            row.aim(text, figure, name, at_most=most, unit=" MiB" * (figure == "growth_mib"))
        with node:
            alternate(row, rounds=1, warm_up=0)
        self.show(row, [Column("instances/s at once", "at_once_per_second"),
                        Column("associations/s", "associations_per_second"),
                        Column("resident MiB", "resident_mib")])


def parse(arguments):
    options = Options("scale", __doc__, "on the file system that is to be measured",
                      "few studies and associations, one round")
    options.add_program()
    options.add_argument("--studies", type=int, default=20000)
    options.add_argument("--instances", type=int, default=1000000, help="in all of them")
    options.add_argument("--few", type=int, default=20, help="studies of the small ledger")
    options.add_argument("--associations", type=int, default=10000)
    options.add_settings()
    given = options.given(arguments)
    if given.quick:
        given.studies, given.instances, given.associations = 80, 400, 200
    return given


def main():
    scale = Scale(parse(sys.argv[1:]))
    try:
        scale.ledger_rows()
        scale.associations_row()
        write_json(scale.options.json, "scale", scale.rows, machine(scale.root),
                   {name: getattr(scale.options, name)
                    for name in ("rounds", "studies", "instances", "few", "associations", "set")})
    finally:
        shutil.rmtree(scale.root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
