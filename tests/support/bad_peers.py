"""Peers of a bad week: each speaks to the bridge from an address of its own, misbehaves in one way, and
tells in a few words what it got.
"""
import fcntl
import functools
import os
import random
import signal
import socket
import struct
import time

import data_sets
import pdu_sender
from make_instances import EXPLICIT_LITTLE_ENDIAN, SECONDARY_CAPTURE, header, new_uid
from pdu_sender import IMPLICIT_LITTLE, VERIFICATION, Ended, Instance, Sender

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
SIOCOUTQ = 0x5411  # bytes that the other side has not acknowledged, linux/sockios.h
PATIENCE_SECONDS = 60.0  # for what the bridge has to do by its own timeouts
PIXEL_DATA = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 3000)


def make_instance(study=None, pixel_bytes=3000):
    """A sound one; `study` is an attribute of it too."""
    study, uid = study or new_uid(), new_uid()
    part10 = header(study, study + ".1", uid, 1, pixel_bytes) + bytes(
        at & 0xFF for at in range(pixel_bytes))
    instance = Instance(SECONDARY_CAPTURE, uid, EXPLICIT_LITTLE_ENDIAN, data_sets.split(part10)[2])
    instance.study = study
    return instance


def altered(change, transfer_syntax=EXPLICIT_LITTLE_ENDIAN):
    """An instance whose data set went through a function."""
    instance = make_instance()
    before = instance.data
    instance.data = change(before)
    instance.transfer_syntax = transfer_syntax
    if instance.data == before:
        raise AssertionError("the data set was to be altered")
    return instance


def nested_sequences(depth, closed):
    begin = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) \
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * (depth if closed else 0)


def with_nesting(depth, closed):
    """Behind the UIDs, before the pixel data."""
    return altered(lambda data: data.replace(PIXEL_DATA, nested_sequences(depth, closed)
                                             + PIXEL_DATA))


def nested_before_uids(depth):
    return altered(lambda data: nested_sequences(depth, False) + data)


def without_pixel_end():
    """Native pixel data whose last 1,000 bytes do not come."""
    return altered(lambda data: data[:-1000])


def without_fragments_end():
    """Encapsulated pixel data without its sequence delimiter."""
    opened = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, 3000)
    return altered(lambda data: data.replace(PIXEL_DATA, opened + fragments), JPEG_BASELINE)


def with_huge_element(before_uids, follow=0):
    """An element of 4 GiB, of which `follow` bytes come."""
    huge = struct.pack("<HH2sHI", 0x0008, 0x0001, b"UT", 0, 0xFFFFFFFE) + b"x" * follow
    if before_uids:
        return altered(lambda data: huge + data)
    return altered(lambda data: data.replace(PIXEL_DATA, PIXEL_DATA[:8] + b"\xfe\xff\xff\xff"))


class Peer:
    """One that misbehaves. `acknowledged` and `unanswered` are what it sent, by what it heard."""

    def __init__(self, port, number, pid):
        self.port, self.number, self.pid = port, number, pid
        self.address = f"127.1.{number // 250}.{number % 250 + 1}"
        self.calling = f"BAD{number}"
        self.acknowledged, self.unanswered = [], []

    def open(self, fault=None):
        return Sender("127.0.0.1", self.port, calling=self.calling, fault=fault,
                      source=self.address, timeout=PATIENCE_SECONDS)

    def associate(self, instances=(), fault=None):
        sender = self.open(fault)
        try:
            sender.associate(pdu_sender.proposed_contexts(instances, True))
        except Ended:
            sender.close()
            raise
        return sender

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS,
                                        source_address=(self.address, 0))

    def store(self, sender, instance):
        status, comment = sender.store(instance)
        if status == 0:
            self.acknowledged.append(instance)
        return f"{status:04X} {comment}".rstrip()


@functools.lru_cache
def request(contexts=1, syntaxes=1):
    """An A-ASSOCIATE-RQ; with many empty transfer syntaxes it is what a parser drowns in."""
    body = struct.pack(">HH16s16s32x", 1, 0, b"AURABRIDGE".ljust(16), b"BAD".ljust(16))
    body += pdu_sender.item(0x10, pdu_sender.APPLICATION_CONTEXT.encode())
    for number in range(contexts):
        body += pdu_sender.item(0x20, bytes((2 * number + 1, 0, 0, 0)) + pdu_sender.item(
            0x30, VERIFICATION.encode()) + pdu_sender.item(0x40, IMPLICIT_LITTLE.encode())
            + pdu_sender.item(0x40, b"") * (syntaxes - 1))
    body += pdu_sender.item(0x50, pdu_sender.item(0x51, struct.pack(">I", 16384))
                            + pdu_sender.item(0x52, b"1.2.3"))
    return struct.pack(">BBI", 1, 0, len(body)) + body


def end_of(connection):
    """How the bridge ends a connection: `aborted S R`, `rejected R S R` or `closed`."""
    got = b""
    try:
        while True:
            part = connection.recv(4096)
            if not part:
                break
            got += part
    except socket.timeout:
        return "timeout"
    except OSError:
        pass
    if got[:1] == b"\x07":
        return f"aborted {got[8]} {got[9]}"
    if got[:1] == b"\x03":
        return f"rejected {got[7]} {got[8]} {got[9]}"
    return f"closed after {len(got)} bytes" if got else "closed"


def hears_something(connection, seconds):
    """Whether an answer, or the end, comes within the time."""
    connection.settimeout(seconds)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except socket.timeout:
        return False
    return True


def slowly(connection, raw, seconds):
    """A byte at a time, until the bridge has had enough."""
    try:
        for at in range(len(raw)):
            connection.sendall(raw[at:at + 1])
            if hears_something(connection, seconds):
                break
    except OSError:
        pass
    connection.settimeout(PATIENCE_SECONDS)


# ---- what they do; each returns what it saw ----

def send_and_wait(make):
    def act(peer):
        with peer.connect() as connection:
            try:
                connection.sendall(make())
            except OSError:
                pass
            return end_of(connection)
    return act


def drown(peer):
    """An A-ASSOCIATE-RQ of 1 MiB, of which a parser may make 256,000 objects."""
    with peer.connect() as connection:
        connection.sendall(request(16, 16000))
        return "accepted" if connection.recv(1) == b"\x02" else "not accepted"


def byte_by_byte_request(peer):
    with peer.connect() as connection:
        slowly(connection, request(), 1.0)
        return end_of(connection)


def fault(name):
    """What pdu_sender calls by this name, within an instance."""
    def act(peer):
        instance = make_instance()
        sender = peer.associate([instance], name)
        sender.byte_seconds = 1.0
        try:
            return peer.store(sender, instance)
        except Ended as ended:
            return str(ended)
        finally:
            sender.close()
    return act


def request_fault(name):
    def act(peer):
        sender = peer.open(name)
        try:
            sender.break_request()
        except Ended as ended:
            return str(ended)
        finally:
            sender.close()
    return act


def by_drops(peer):
    """Each PDU is whole and in time, and brings one byte."""
    instance = make_instance()
    sender = peer.associate([instance])
    context = sender.context_for(instance.sop_class, instance.transfer_syntax)
    command = pdu_sender.command_set(pdu_sender.C_STORE, 1, instance.sop_class,
                                     instance.sop_instance)
    with sender.socket:
        try:
            sender.send_message_part(context, command, True)
            for at in range(int(PATIENCE_SECONDS * 5)):
                sender.send_pdu(0x04, sender.pdv(context, instance.data[at:at + 1], False, False))
                if hears_something(sender.socket, 0.2):
                    break
        except OSError:
            pass
        sender.socket.settimeout(PATIENCE_SECONDS)
        return end_of(sender.socket)


def noise_within(seed):
    """Random bytes where a PDU belongs."""
    def act(peer):
        sender = peer.associate()
        with sender.socket:
            try:
                sender.socket.sendall(b"\xff" + random.Random(seed).randbytes(5000))
            except OSError:
                pass
            return end_of(sender.socket)
    return act


def reset_unanswered(peer):
    """The kernel has everything for the bridge, which stands still until the connection is gone."""
    instance = make_instance()
    sender = peer.associate([instance])
    context = sender.context_for(instance.sop_class, instance.transfer_syntax)
    command = pdu_sender.command_set(pdu_sender.C_STORE, 1, instance.sop_class,
                                     instance.sop_instance)
    os.kill(peer.pid, signal.SIGSTOP)
    try:
        sender.send_message_part(context, command, True)
        sender.send_message_part(context, instance.data, False)
        while struct.unpack("i", fcntl.ioctl(sender.socket, SIOCOUTQ, b"\0" * 4))[0]:
            time.sleep(0.001)
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sender.socket.close()
    finally:
        os.kill(peer.pid, signal.SIGCONT)
    peer.unanswered.append(instance)
    return "reset"


def stores(make, count=1):
    """Says what the status is, and releases as it should."""
    def act(peer):
        instances = [make() for _ in range(count)]
        sender = peer.associate(instances)
        answers = [peer.store(sender, instance) for instance in instances]
        sender.release()
        return ", ".join(answers)
    return act


def without_end(seconds):
    """A study whose instances keep coming, closer together than its quiet period."""
    def act(peer):
        first = make_instance()
        sender = peer.associate([first])
        answers = {peer.store(sender, first)}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answers.add(peer.store(sender, make_instance(first.study)))
            time.sleep(0.05)
        sender.release()
        return ", ".join(sorted(answers))
    return act
