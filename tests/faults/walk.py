#!/usr/bin/env python3
"""Walks the fault points: lets the n-th call that can fail do so, or kill the bridge, for n upward,
while a study is received, handed over, zipped, uploaded, completed and cleaned up. After each the
bridge is started again on the same spool and has to bring everything to its end.

    walk.py PROGRAM PRELOAD [--every N] [--from N] [--kinds open,write,…] [--actions kill,EIO,…]

Prints a line for each case that fails, and the figures.
"""

import argparse
import os
import struct
import sys
import time

from world import Failed, World, make_study, wait_for

KINDS = ("any alloc open write sync rename unlink mkdir statvfs sqlite connect send "
         "receive").split()
ERRORS = {"alloc": "ENOMEM", "open": "EMFILE", "write": "ENOSPC", "sync": "EIO", "rename": "EIO",
          "unlink": "EIO", "mkdir": "ENOSPC", "statvfs": "EIO", "sqlite": "EIO",
          "connect": "ECONNREFUSED", "send": "ECONNRESET", "receive": "ECONNRESET"}
INSTANCES = 2
# Files of completed studies go at the next start, so that cleaning up is walked through too.
OPTIONS = ("--set", "retention.completed=0s")


class Walk:
    def __init__(self, world):
        self.world = world
        self.hit = os.path.join(world.root, "hit")
        self.counts = os.path.join(world.root, "counts")
        self.cases = self.struck = self.kills = self.refused = 0

    def was_hit(self):
        return os.path.exists(self.hit)

    def counted(self):
        with open(self.counts, "rb") as file:
            return dict(zip(KINDS, struct.unpack(f"{len(KINDS)}Q", file.read())))

    def fresh(self):
        for path in (self.hit, self.counts):
            if os.path.exists(path):
                os.remove(path)
        os.system(f"rm -rf '{self.world.spool}'")
        self.world.acknowledged.clear()
        for name in os.listdir(self.world.cloud):
            if name.endswith(".zip"):
                os.remove(os.path.join(self.world.cloud, name))

    def files_left(self):
        return any(files for _, _, files in os.walk(os.path.join(self.world.spool, "studies")))

    def run_until(self, is_over, seconds):
        """Whether it came to that; False when the bridge died first, or the fault is in its way."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.world.bridge.poll() is None:
            if is_over():
                return True
            time.sleep(0.05)
        return False

    def run_with_fault(self, fault, study):
        """Receives and delivers the study, then starts once more, which cleans up. Returns what the
        sender still holds."""
        world, patience = self.world, 6 if fault else 60
        faults = {"FAULT_COUNTS": self.counts, "FAULT_HIT": self.hit}
        if fault:
            faults["FAULT_AT"] = fault
        left = list(study)

        def delivered():
            if left:  # sent again after a while, as a PACS does
                left[:] = world.send(left)
            return not left and world.all_completed()

        world.launch_bridge(faults, OPTIONS)
        if not world.wait_ready() or not self.run_until(delivered, patience):
            return left
        world.kill_bridge()
        world.launch_bridge(faults, OPTIONS)
        if world.wait_ready():
            self.run_until(lambda: not self.files_left(), patience)
        return left

    def finish(self, left, what):
        """Without faults now: all goes through, as after a restart on any day."""
        world = self.world
        world.kill_bridge()
        world.start_bridge(options=OPTIONS)
        for _ in range(20):
            if not left:
                break
            left = world.send(left)
        if left:
            raise Failed(f"{what}: after the restart the sender is still refused")
        # A rate limit whose file was torn counts as full for a minute.
        wait_for(f"{what}: all studies completed", world.all_completed, 120)
        world.check()
        world.stop_bridge()
        world.start_bridge(options=OPTIONS)
        wait_for(f"{what}: the files of completed studies are gone",
                 lambda: not self.files_left(), 20)
        world.stop_bridge()

    def case(self, kind, number, action):
        """Whether the fault was reached."""
        self.fresh()
        fault = f"{kind}:{number}:{action}"
        study = make_study(INSTANCES)
        left = self.run_with_fault(fault, study)
        reached = self.was_hit()
        self.finish(left, fault)
        self.cases += 1
        self.struck += reached
        self.kills += reached and action in ("kill", "torn")
        return reached

    def measure(self):
        """How often each kind is called in a run without faults."""
        self.fresh()
        left = self.run_with_fault(None, make_study(INSTANCES))
        counts = self.counted()
        self.finish(left, "without a fault")
        return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("preload")
    parser.add_argument("--every", type=int, default=1, help="of each kind walk every n-th point")
    parser.add_argument("--first", type=int, default=1, help="begin with this point")
    parser.add_argument("--kinds", default=",".join(KINDS[1:]))
    parser.add_argument("--actions", default="kill,fail", help="kill, fail, torn")
    options = parser.parse_args()
    failures, begun = [], time.monotonic()
    with World(options.program, options.preload) as world:
        world.start_sandbox()
        walk = Walk(world)
        counts = walk.measure()
        print("calls in one run:", ", ".join(f"{kind} {counts[kind]}" for kind in KINDS))
        for kind in options.kinds.split(","):
            for action in options.actions.split(","):
                if action == "torn" and kind not in ("write", "send"):
                    continue
                verb = ERRORS[kind] if action == "fail" else action
                for number in range(options.first, counts[kind] + 1, options.every):
                    try:
                        walk.case(kind, number, verb)
                    except Failed as failed:
                        failures.append(f"{kind}:{number}:{verb}")
                        print(f"FAILED {kind}:{number}:{verb}: {failed}\n{world.log_text()[-1500:]}",
                              flush=True)
                        world.kill_bridge()
        seconds = time.monotonic() - begun
        print(f"fault points walked: {walk.cases} cases, {walk.struck} struck, {walk.kills} kills, "
              f"{len(failures)} failed, {seconds:.0f} s")
    return 1 if failures or walk.struck == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
