#!/usr/bin/env python3
"""Senders that never rest, until a file appears: PORT STOP-FILE [SENDERS]

Each sends one small generated study after the other, an association each, one instance of it twice.
A bridge that goes away is tried again with the next study. Prints how many instances were answered
0000.
"""
import os
import sys
import threading
import time

import make_instances
import pdu_sender

EACH = 3


def make_study(index):
    study, series = make_instances.new_uid(), make_instances.new_uid()
    instances = []
    for number in range(EACH):
        uid = make_instances.new_uid()
        part10 = make_instances.header(study, series, uid, number + 1, 64) + bytes([index % 256]) * 64
        data = part10[part10.index(b"\x08\x00\x16\x00UI", 132):]
        instances.append(pdu_sender.Instance(make_instances.SECONDARY_CAPTURE, uid,
                                             make_instances.EXPLICIT_LITTLE_ENDIAN, data))
    return instances


class Busy:
    def __init__(self, port, stop):
        self.port, self.stop = port, stop
        self.acknowledged, self.lock = 0, threading.Lock()

    def send_study(self, calling, index):
        instances = make_study(index)
        try:
            sender = pdu_sender.Sender("127.0.0.1", self.port, calling=calling)
        except OSError:
            time.sleep(0.1)
            return
        try:
            sender.associate(pdu_sender.proposed_contexts(instances, False))
            for instance in instances + instances[:1]:
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
        index = 0
        while not os.path.exists(self.stop):
            index += 1
            self.send_study(calling, index)


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
