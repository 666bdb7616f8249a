#!/usr/bin/env python3
"""Senders that keep to the standard, beside which others misbehave: PORT NOTES

`steady` keeps one association and stores on it; `newcomer` makes one for each of its instances. A line
of JSON in NOTES tells what became of each: when it began, milliseconds, UID and digest, or the failure.
Commands on standard input: pause, resume (the newcomer), stop; each is answered on standard output.
"""
import hashlib
import json
import random
import sys
import threading
import time

import pdu_sender
from bad_peers import make_instance, new_uid

PAUSE_SECONDS = 0.05
STUDY_INSTANCES = 20
TIMEOUT_SECONDS = 60.0


class GoodSenders:
    def __init__(self, port, notes):
        self.port, self.notes = port, notes
        self.lock = threading.Lock()
        self.root, self.sent = new_uid(), {"steady": 0, "newcomer": 0}
        self.stopping = threading.Event()
        self.gate = threading.Lock()  # held while the newcomer is there, or must not come

    def note(self, who, begin, **what):
        line = json.dumps({"who": who, "begin": begin, "ms": (time.monotonic() - begin) * 1000, **what})
        with self.lock:
            self.notes.write(line + "\n")
            self.notes.flush()

    def study_of(self, who):
        """A new one after each STUDY_INSTANCES."""
        self.sent[who] += 1
        return f"{self.root}.{len(who)}.{self.sent[who] // STUDY_INSTANCES}"

    def store(self, who, begin, sender, instance):
        status, comment = sender.store(instance)
        if status:
            self.note(who, begin, failed=f"{status:04X} {comment}")
        else:
            self.note(who, begin, uid=instance.sop_instance,
                      digest=hashlib.sha256(instance.data).hexdigest())

    def open(self, source, instance):
        sender = pdu_sender.Sender("127.0.0.1", self.port, calling="GOOD", source=source,
                                   timeout=TIMEOUT_SECONDS)
        sender.associate(pdu_sender.proposed_contexts([instance], False))
        return sender

    def steady(self):
        sender = self.open("127.0.0.2", make_instance())
        while not self.stopping.wait(PAUSE_SECONDS):
            study = self.study_of("steady")
            begin = time.monotonic()
            self.store("steady", begin, sender, make_instance(study, random.choice((3000, 200000))))
        sender.release()

    def come_once(self):
        begin, instance = time.monotonic(), make_instance(self.study_of("newcomer"))
        try:
            sender = self.open("127.0.0.3", instance)
        except pdu_sender.Ended as ended:
            self.note("newcomer", begin, turned_away=str(ended))
            return
        self.store("newcomer", begin, sender, instance)
        sender.release()

    def newcomer(self):
        while not self.stopping.wait(PAUSE_SECONDS):
            with self.gate:
                self.come_once()

    def run(self, who):
        try:
            getattr(self, who)()
        except (OSError, pdu_sender.Ended) as error:
            self.note(who, time.monotonic(), failed=repr(error))

    def obey(self, command):
        if command == "pause":
            self.gate.acquire()
        elif command == "resume":
            self.gate.release()


def main():
    with open(sys.argv[2], "a") as notes:
        senders = GoodSenders(int(sys.argv[1]), notes)
        threads = [threading.Thread(target=senders.run, args=(who,)) for who in ("steady", "newcomer")]
        for thread in threads:
            thread.start()
        for line in sys.stdin:
            if line.strip() == "stop":
                break
            senders.obey(line.strip())
            print("done", flush=True)
        senders.stopping.set()
        for thread in threads:
            thread.join()
        print("done", flush=True)


if __name__ == "__main__":
    main()
