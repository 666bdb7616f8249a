#!/usr/bin/env python3
"""Kills the bridge at random instants while several senders send to it and it uploads, starts it
again each time, and counts in the end: nothing lost, nothing twice, nothing wedged.

    kills.py PROGRAM [--kills N] [--senders N] [--seed S]
"""

import argparse
import random
import sys
import threading
import time

from world import Failed, World, make_study, wait_for


class Sender(threading.Thread):
    """A modality: study after study, each instance again until it is acknowledged."""

    def __init__(self, world, number, source, stopped):
        super().__init__()
        self.world, self.number, self.stopped = world, number, stopped
        self.source = random.Random(source.random())
        self.sent = 0

    def run(self):
        while not self.stopped.is_set():
            left = make_study(self.source.randint(1, 6), self.source.choice((500, 20000, 200000)))
            self.sent += len(left)
            while left:
                left = self.world.send(left, calling=f"MODALITY{self.number}", timeout=5)
                if left:
                    time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    source = random.Random(options.seed)
    begun = time.monotonic()
    with World(options.program, quiet=100) as world:
        world.start_sandbox()
        world.start_bridge()
        stopped = threading.Event()
        senders = [Sender(world, number, source, stopped) for number in range(options.senders)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(options.kills):
                time.sleep(source.uniform(0.0, 0.6))
                world.kill_bridge()
                world.start_bridge(options=("--set", f"dicom.listen=127.0.0.1:{world.port}"))
        finally:
            stopped.set()
            for sender in senders:
                sender.join()
        wait_for("all studies completed", world.all_completed, 300)
        studies = world.studies()
        world.check()
        world.stop_bridge()
        print(f"kills survived: {options.kills} (seed {options.seed}, {options.senders} senders, "
              f"{time.monotonic() - begun:.0f} s); instances sent "
              f"{sum(sender.sent for sender in senders)}, acknowledged {len(world.acknowledged)}, "
              f"lost 0, uploaded twice 0; studies and supplements completed {len(studies)}, "
              "wedged 0")
        if not world.acknowledged:
            raise Failed("nothing was acknowledged")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
