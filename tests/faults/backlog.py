#!/usr/bin/env python3
"""A backlog: studies are received while Aurabox is away; when it is back, all of them are completed,
oldest first, within the rate limits as the server counts them, and memory stays flat.

    backlog.py PROGRAM [--studies N] [--limit CALLS-PER-MINUTE]
"""

import argparse
import sys
import time

from world import Failed, World, make_study, wait_for

WORKERS = 4
FLAT_KIB = 8192  # what a run of any length may add to the memory of its first tenth


def resident_kib(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def receive(world, count):
    """One instance a study; returns the Study Instance UIDs in the order of their receipt."""
    studies = [make_study(1, 2000)[0] for _ in range(count)]
    for at in range(0, count, 50):
        if world.send(studies[at:at + 50]):
            raise Failed("an instance was refused")
    return [instance.study for instance in studies]


def drain(world, count, seconds):
    """Waits for the end; returns the resident memory after the first tenth, and its peak since."""
    early = peak = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = sum(1 for request in world.requests()
                   if request["path"].endswith("/upload/complete") and request["status"] == 200)
        now = resident_kib(world.bridge)
        if done >= count / 10:
            early = early or now
            peak = max(peak, now)
        if done >= count:
            wait_for("all studies completed", world.all_completed, 20)
            return early, peak
        time.sleep(0.5)
    raise Failed(f"{done} of {count} studies completed in {seconds} s")


def check_order(world, received):
    """Workers run beside each other, so neighbours may change places, no more than that."""
    place = {study["upload_id"]: received.index(study["study_instance_uid"])
             for study in world.studies()}
    announced = [place[request["upload_id"]] for request in world.requests()
                 if request["path"].endswith("/upload/init") and request["status"] == 200]
    worst = max(abs(at - number) for at, number in enumerate(announced))
    if len(announced) != len(received) or worst > 2 * WORKERS:
        raise Failed(f"{len(announced)} announced, one {worst} places from its turn")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("program")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--limit", type=int, default=1200)
    options = parser.parse_args()
    with World(options.program, workers=WORKERS) as world:
        limits = ["--limit-exchange", str(options.limit), "--limit-config", str(options.limit),
                  "--limit-lifecycle", str(options.limit)]
        world.start_sandbox(*limits)
        world.settings["limit"] = options.limit
        world.stop_sandbox()
        world.start_bridge()
        received = receive(world, options.studies)
        wait_for("all studies wait", lambda: (studies := world.studies()) and all(
            study["state"] in ("ready", "packaging") for study in studies), 120)
        begun = time.monotonic()
        world.start_sandbox(*limits)
        early, peak = drain(world, options.studies, 60 + options.studies * 240 / options.limit)
        seconds = time.monotonic() - begun
        over = sum(1 for request in world.requests() if request["status"] == 429)
        worst = check_order(world, received)
        world.check()
        world.stop_bridge()
        print(f"backlog: {options.studies} studies completed in {seconds:.0f} s at "
              f"{options.limit} calls a minute; refused by the server's limits: {over}; at most "
              f"{worst} places from the order of receipt; memory {early} KiB after a tenth, peak "
              f"{peak} KiB")
        if over:
            raise Failed("the server's rate limits were exceeded")
        if peak - early > FLAT_KIB:
            raise Failed("memory grew with the backlog")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
