"""What every part of the bench is asked with: where things lie, which rows, how often."""

import argparse
import os

BUILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")


class Options(argparse.ArgumentParser):
    """`documentation` is the part's own, of which the first paragraph is shown; `rows` are the names
    of its rows, if it has some to choose from, and `by_default` those that run unasked."""

    def __init__(self, part, documentation, directory, quick, rows=(), by_default=None):
        super().__init__(description=documentation.split("\n\n", 1)[0])
        self.row_names, self.quick_rounds = tuple(rows), 1
        release = os.path.join(BUILD, "release")
        self.add_argument("--tools", default=os.path.join(release, "tests", "bench"))
        self.add_argument("--directory", default=os.path.join(BUILD, "bench", "data"),
                          help=directory)
        self.add_argument("--json", default=os.path.join(BUILD, "bench", part + ".json"))
        if rows:
            self.add_argument("--rows", default=",".join(by_default or rows),
                              help="of " + ",".join(rows))
        self.add_argument("--rounds", type=int, default=5, help="after one that warms up")
        self.add_argument("--quick", action="store_true",
                          help=f"{quick}: whether it works, no figures")

    def add_program(self):
        self.add_argument("--program", default=os.path.join(BUILD, "release", "aurabridge"))

    def add_settings(self):
        self.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                          help="for AuraBridge's configuration")

    def add_spoil(self, what):
        self.add_argument("--spoil", action="store_true", help=f"{what}: it must be noticed")

    def given(self, arguments):
        given = self.parse_args(arguments)
        for name in ("program", "tools", "directory"):
            if hasattr(given, name):
                setattr(given, name, os.path.abspath(getattr(given, name)))
        given.warm_up = 1
        if given.quick:
            given.rounds, given.warm_up = self.quick_rounds, 0
        if self.row_names:
            given.rows = given.rows.split(",")
            if unknown := set(given.rows) - set(self.row_names):
                self.error(f"no such row: {', '.join(unknown)}")
        return given
