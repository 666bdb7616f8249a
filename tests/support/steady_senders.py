#!/usr/bin/env python3
"""Several senders at once, study after study, until the bridge listens no more.

Prints "<SOP Instance UID> <SHA-256 of the data set>" of each instance that was answered 0000, as
soon as it was. Any other status is an error. The exit status is 0 when every sender met the end of
the bridge and nothing else.
"""

import argparse
import hashlib
import sys
import threading

import data_sets
import pdu_sender
from make_instances import EXPLICIT_LITTLE_ENDIAN, SECONDARY_CAPTURE, header, new_uid


def make_study(count, pixel_bytes):
    study, series = new_uid(), new_uid()
    for index in range(1, count + 1):
        uid = new_uid()
        pixels = bytes((index + at) & 0xFF for at in range(pixel_bytes))
        part10 = header(study, series, uid, index, pixel_bytes) + pixels
        yield pdu_sender.Instance(SECONDARY_CAPTURE, uid, EXPLICIT_LITTLE_ENDIAN,
                                  data_sets.split(part10)[2])


class Senders:
    def __init__(self, options):
        self.options, self.lock, self.wrong = options, threading.Lock(), []

    def say(self, line):
        with self.lock:
            print(line, flush=True)

    def send_study(self):
        """Whether the bridge took it to its end."""
        instances = list(make_study(self.options.instances, self.options.pixel_bytes))
        try:
            sender = pdu_sender.Sender("127.0.0.1", self.options.port, timeout=60.0)
        except OSError:
            return False
        try:
            sender.associate(pdu_sender.proposed_contexts(instances, False))
            for instance in instances:
                status, comment = sender.store(instance)
                if status != 0:
                    self.wrong.append(f"{status:04X} {comment}")
                    return False
                digest = hashlib.sha256(instance.data).hexdigest()
                self.say(f"{instance.sop_instance} {digest}")
            sender.release()
        except (pdu_sender.Ended, OSError):
            return False
        finally:
            sender.close()
        return True

    def run(self):
        while self.send_study():
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--instances", type=int, default=6, help="of a study")
    parser.add_argument("--pixel-bytes", type=int, default=20000)
    senders = Senders(parser.parse_args())
    threads = [threading.Thread(target=senders.run) for _ in range(senders.options.senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for line in senders.wrong:
        print(line, file=sys.stderr)
    return 1 if senders.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
