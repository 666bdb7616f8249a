#!/usr/bin/env python3
"""Senders that go on until a file appears: PORT STOP-FILE [SENDERS]

Each sends one small generated study after the other, an association each: one instance of it twice,
and another once more with other pixels. A bridge that goes away is tried again with the next study.
A pause between studies keeps a fast bridge from having ten thousands of them before the test is over.
Prints how many instances were answered 0000.
"""
import os
import sys
import threading
import time

import make_instances
import pdu_sender

EACH = 3
PAUSE = 0.1  # seconds


def make_instance(study, series, uid, number, pixel):
    part10 = make_instances.header(study, series, uid, number, 64)
    data = part10[part10.index(b"\x08\x00\x16\x00UI", 132):] + bytes([pixel]) * 64
    return pdu_sender.Instance(make_instances.SECONDARY_CAPTURE, uid,
                               make_instances.EXPLICIT_LITTLE_ENDIAN, data)


def make_study():
    study, series = make_instances.new_uid(), make_instances.new_uid()
    instances = [make_instance(study, series, make_instances.new_uid(), number, 1)
                 for number in range(1, EACH + 1)]
    changed = make_instance(study, series, instances[1].sop_instance, 2, 2)
    return instances + [instances[0], changed]


class Busy:
    def __init__(self, port, stop):
        self.port, self.stop = port, stop
        self.acknowledged, self.lock = 0, threading.Lock()

    def send_study(self, calling):
        instances = make_study()
        try:
            sender = pdu_sender.Sender("127.0.0.1", self.port, calling=calling)
        except OSError:
            time.sleep(0.1)
            return
        try:
            sender.associate(pdu_sender.proposed_contexts(instances, False))
            for instance in instances:
                status, _ = sender.store(instance)
                if status == 0:
                    with self.lock:
                        self.acknowledged += 1
            sender.release()
        except (OSError, pdu_sender.Ended):
            time.sleep(0.1)
        finally:
            sender.close()

    def run(self, calling):
        while not os.path.exists(self.stop):
            self.send_study(calling)
            time.sleep(PAUSE)


def main():
    busy = Busy(int(sys.argv[1]), sys.argv[2])
    senders = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    threads = [threading.Thread(target=busy.run, args=(f"BUSY{n}",)) for n in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(busy.acknowledged)


if __name__ == "__main__":
    main()
