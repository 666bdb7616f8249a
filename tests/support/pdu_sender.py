#!/usr/bin/env python3
"""A C-STORE and C-ECHO SCU that writes its own PDUs.

It sends the data set of a file byte for byte in the transfer syntax the file has, whatever that
is, and can break the protocol in named ways (--fault). One line is printed for each instance:
    <SOP Instance UID> <status> <Error Comment>
or, when it gets none:
    rejected <result> <source> <reason> | aborted <source> <reason> | closed | timeout
The exit status is 0 when every status was 0000. Importable: Sender, read_part10, Instance.
"""
import argparse
import random
import socket
import struct
import sys
import threading
import time

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
C_STORE, C_FIND, C_ECHO, C_CANCEL = 0x0001, 0x0020, 0x0030, 0x0FFF
NO_DATA_SET = 0x0101

FAULTS = {
    "silent": "connect and say nothing",
    "half-rq": "half an A-ASSOCIATE-RQ, then nothing",
    "garbage": "random bytes instead of an A-ASSOCIATE-RQ",
    "http": "an HTTP request instead of an A-ASSOCIATE-RQ",
    "huge-rq": "an A-ASSOCIATE-RQ that claims 2 GiB",
    "lying-rq": "an A-ASSOCIATE-RQ whose item lengths lie",
    "bad-version": "an A-ASSOCIATE-RQ of another protocol version",
    "half-pdu": "half a P-DATA-TF inside the data set, then nothing",
    "slow": "a P-DATA-TF one byte at a time",
    "lying-pdv": "a PDV that is longer than its PDU",
    "tiny-pdv": "a PDV of one byte",
    "empty-pdu": "a P-DATA-TF without a PDV",
    "too-long-pdu": "a P-DATA-TF longer than the acceptor allows",
    "negative-pdv": "a PDV whose length is negative to who takes it as signed",
    "huge-pdu": "a P-DATA-TF that claims 4 GiB",
    "unknown-pdu": "a PDU of type 0x42 inside the data set",
    "second-rq": "a second A-ASSOCIATE-RQ",
    "abort-mid": "A-ABORT inside the data set",
    "close-mid": "close inside the data set",
    "reset": "a TCP reset inside the data set",
    "release-mid": "A-RELEASE-RQ inside the data set",
    "nested-command": "a command set of 10,000 nested sequences",
    "other-group": "a command set with an element of group 0008",
    "huge-command": "a command set of 64 KiB",
    "data-first": "a data set without a command",
    "command-mid": "a command inside the data set",
    "wrong-context": "a command on a context that was not accepted",
    "response": "a response where a request belongs",
    "no-message-id": "a C-STORE-RQ without a message id",
    "bad-uid": "an Affected SOP Instance UID that is a path",
    "class-mismatch": "an Affected SOP Class UID that is not the context's",
    "no-data-set": "a C-STORE-RQ without a data set",
    "unknown-command": "a C-FIND-RQ with an identifier",
    "cancel": "a C-CANCEL-RQ before the instance",
    "fragments": "the command set in PDVs of one byte (no fault)",
    "one-pdu": "command and data set in one PDU (no fault)",
}


class Ended(Exception):
    """The association ended without the answer that was waited for."""


class Instance:
    def __init__(self, sop_class, sop_instance, transfer_syntax, data):
        self.sop_class, self.sop_instance = sop_class, sop_instance
        self.transfer_syntax, self.data = transfer_syntax, data


def read_part10(path, sop_class=None, sop_instance=None, transfer_syntax=None):
    """The file's data set with the UIDs of its meta header; the arguments go before those."""
    with open(path, "rb") as file:
        content = file.read()
    meta = {}
    if content[128:132] == b"DICM":
        content = content[132:]
        while content[:2] == b"\x02\x00":
            element, vr = struct.unpack_from("<H", content, 2)[0], content[4:6]
            if vr in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
                length, start = struct.unpack_from("<I", content, 8)[0], 12
            else:
                length, start = struct.unpack_from("<H", content, 6)[0], 8
            meta[element] = content[start:start + length]
            content = content[start + length:]

    def uid(given, element, name):
        value = given or meta.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")
        if not value:
            raise SystemExit(f"{path}: no {name}; give it with --{name}")
        return value

    return Instance(uid(sop_class, 0x0002, "sop-class"), uid(sop_instance, 0x0003, "sop-instance"),
                    uid(transfer_syntax, 0x0010, "transfer-syntax"), content)


def item(kind, value):
    return struct.pack(">BBH", kind, 0, len(value)) + value


def element(number, value, group=0):
    return struct.pack("<HHI", group, number, len(value)) + value


def uid_value(uid):
    raw = uid.encode()
    return raw + b"\0" * (len(raw) % 2)


def command_set(command, message_id=1, sop_class=None, sop_instance=None, data_set=True, extra=b""):
    body = b""
    if sop_class:
        body += element(0x0002, uid_value(sop_class))
    body += element(0x0100, struct.pack("<H", command))
    if message_id is not None:
        body += element(0x0110, struct.pack("<H", message_id))
    body += element(0x0700, struct.pack("<H", 0))
    body += element(0x0800, struct.pack("<H", 1 if data_set else NO_DATA_SET))
    if sop_instance:
        body += element(0x1000, uid_value(sop_instance))
    body += extra
    return element(0x0000, struct.pack("<I", len(body))) + body


def parse_command(raw):
    out = {}
    while len(raw) >= 8:
        _, number, length = struct.unpack_from("<HHI", raw)
        out[number] = raw[8:8 + length]
        raw = raw[8 + length:]
    return out


class Sender:
    """One association. Raises Ended, whose text is the line to print."""

    def __init__(self, host, port, called="AURABRIDGE", calling="PDUSENDER", pdu_size=16384,
                 timeout=30.0, fault=None, source=None):
        self.called, self.calling, self.pdu_size, self.fault = called, calling, pdu_size, fault
        self.peer_max = 0
        self.contexts = {}
        self.accepted = {}
        self.message_id = 0
        self.byte_seconds = 0.05  # between the bytes of the fault "slow"
        self.socket = socket.create_connection((host, port), timeout=timeout,
                                               source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_pdu(self, kind, body):
        self.socket.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)

    def read_exactly(self, length):
        out = b""
        while len(out) < length:
            try:
                got = self.socket.recv(length - len(out))
            except socket.timeout:
                raise Ended("timeout") from None
            except OSError:
                got = b""
            if not got:
                raise Ended("closed")
            out += got
        return out

    def read_pdu(self):
        kind, _, length = struct.unpack(">BBI", self.read_exactly(6))
        body = self.read_exactly(length)
        if kind == 0x03:
            raise Ended(f"rejected {body[1]} {body[2]} {body[3]}")
        if kind == 0x07:
            raise Ended(f"aborted {body[2]} {body[3]}")
        return kind, body

    def request_pdu(self, contexts, identity=False, version=1):
        """contexts: (abstract syntax, [transfer syntaxes]) in order; ids are 1, 3, 5 …"""
        body = struct.pack(">HH16s16s32x", version, 0, self.called.encode().ljust(16),
                           self.calling.encode().ljust(16))
        body += item(0x10, APPLICATION_CONTEXT.encode())
        for index, (abstract, transfers) in enumerate(contexts):
            self.contexts[2 * index + 1] = abstract
            inner = bytes([2 * index + 1, 0, 0, 0]) + item(0x30, abstract.encode())
            inner += b"".join(item(0x40, transfer.encode()) for transfer in transfers)
            body += item(0x20, inner)
        user = item(0x51, struct.pack(">I", self.pdu_size)) + item(0x52, b"1.2.3.4.5")
        if identity:
            user += item(0x58, bytes([1, 1]) + struct.pack(">H4sH", 4, b"user", 0))
        return body + item(0x50, user)

    def associate(self, contexts, identity=False):
        self.request(contexts, identity)
        self.await_acceptance()

    def request(self, contexts, identity=False):
        version = 2 if self.fault == "bad-version" else 1
        self.send_pdu(0x01, self.request_pdu(contexts, identity, version))

    def await_acceptance(self):
        kind, answer = self.read_pdu()
        if kind != 0x02:
            raise Ended(f"unexpected PDU {kind}")
        self.read_acceptance(answer[68:])

    def read_acceptance(self, items):
        self.identity_answer = None
        while len(items) >= 4:
            kind, _, length = struct.unpack_from(">BBH", items)
            value, items = items[4:4 + length], items[4 + length:]
            if kind == 0x21 and value[2] == 0:
                size = struct.unpack_from(">H", value, 6)[0]
                self.accepted[value[0]] = value[8:8 + size].decode()
            elif kind == 0x50:
                items = value + items
            elif kind == 0x51:
                self.peer_max = struct.unpack(">I", value)[0]
            elif kind == 0x59:
                self.identity_answer = value

    def context_for(self, sop_class, transfer_syntax):
        for number, transfer in self.accepted.items():
            if self.contexts[number] == sop_class and transfer == transfer_syntax:
                return number
        raise Ended("no accepted presentation context")

    @staticmethod
    def pdv(context, raw, command, last):
        header = (1 if command else 0) | (2 if last else 0)
        return struct.pack(">IBB", len(raw) + 2, context, header) + raw

    def send_message_part(self, context, raw, command, size=None):
        limit = size or min(self.pdu_size, self.peer_max or self.pdu_size) - 6
        for at in range(0, max(len(raw), 1), limit):
            part = raw[at:at + limit]
            self.send_pdu(0x04, self.pdv(context, part, command, at + limit >= len(raw)))

    def receive_response(self):
        raw, last = b"", False
        while not last:
            kind, body = self.read_pdu()
            if kind != 0x04:
                raise Ended(f"unexpected PDU {kind}")
            while body:
                length, _, header = struct.unpack_from(">IBB", body)
                raw += body[6:4 + length]
                last = bool(header & 2)
                body = body[4 + length:]
        answer = parse_command(raw)
        status = struct.unpack("<H", answer[0x0900])[0]
        return status, answer.get(0x0902, b"").decode("ascii", "replace").strip()

    def echo(self):
        self.message_id += 1
        context = self.context_for(VERIFICATION, IMPLICIT_LITTLE)
        self.send_message_part(context, command_set(C_ECHO, self.message_id, VERIFICATION,
                                                    data_set=False), True)
        return self.receive_response()

    def store(self, instance):
        self.message_id += 1
        context = self.context_for(instance.sop_class, instance.transfer_syntax)
        command = command_set(C_STORE, self.message_id, instance.sop_class, instance.sop_instance)
        if self.fault:
            answer = self.break_store(context, command, instance)
            if answer is not None:
                return answer
        else:
            self.send_message_part(context, command, True)
            self.send_message_part(context, instance.data, False)
        return self.receive_response()

    def break_store(self, context, command, instance):
        """Sends the instance as the fault has it. Returns an answer, or None to wait for one."""
        fault, half = self.fault, len(instance.data) // 2
        replaced = {
            "nested-command": struct.pack("<HHI", 0, 0x0001, 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
            "other-group": command + element(0x0060, b"CT", 0x0008),
            "huge-command": command + element(0x1005, b"x" * 65536),
            "response": command_set(C_STORE | 0x8000, self.message_id, instance.sop_class),
            "no-message-id": command_set(C_STORE, None, instance.sop_class, instance.sop_instance),
            "bad-uid": command_set(C_STORE, self.message_id, instance.sop_class,
                                   "../../etc/passwd"),
            "class-mismatch": command_set(C_STORE, self.message_id, "1.2.840.10008.5.1.4.1.1.128",
                                          instance.sop_instance),
            "unknown-command": command_set(C_FIND, self.message_id, instance.sop_class),
            "no-data-set": command_set(C_STORE, self.message_id, instance.sop_class,
                                       instance.sop_instance, data_set=False),
        }
        if fault in replaced:
            raw = replaced[fault] * (10000 if fault == "nested-command" else 1)
            try:
                self.send_message_part(context, raw, True)
                if fault != "no-data-set":
                    self.send_message_part(context, instance.data, False)
            except OSError:
                pass
            return None
        if fault == "data-first":
            self.send_message_part(context, instance.data, False)
            return None
        if fault == "wrong-context":
            self.send_message_part(255, command, True)
            return None
        if fault == "second-rq":
            self.send_pdu(0x01, self.request_pdu([(VERIFICATION, [IMPLICIT_LITTLE])]))
            return None
        if fault == "one-pdu":
            self.send_pdu(0x04, self.pdv(context, command, True, True)
                          + self.pdv(context, instance.data, False, True))
            return None
        if fault == "cancel":
            self.send_message_part(context, command_set(C_CANCEL, None, data_set=False), True)
        self.send_message_part(context, command, True, 1 if fault == "fragments" else None)
        if fault in ("cancel", "fragments"):
            self.send_message_part(context, instance.data, False)
            return None
        if fault != "half-pdu" and fault != "slow":
            self.send_pdu(0x04, self.pdv(context, instance.data[:min(half, 4000)], False, False))
        return self.break_data_set(context, instance.data[half:])

    def break_data_set(self, context, rest):
        part = rest[:2000]
        whole = self.pdv(context, part, False, True)
        pdu = struct.pack(">BBI", 4, 0, len(whole)) + whole
        if self.fault == "half-pdu":
            self.socket.sendall(pdu[:len(pdu) // 2])
        elif self.fault == "slow":
            try:
                for at in range(len(pdu)):
                    self.socket.sendall(pdu[at:at + 1])
                    time.sleep(self.byte_seconds)
            except OSError:
                pass
        elif self.fault == "lying-pdv":
            self.send_pdu(0x04, struct.pack(">IBB", 0x7FFFFFF0, context, 0) + part)
        elif self.fault == "tiny-pdv":
            self.send_pdu(0x04, struct.pack(">IB", 1, context))
        elif self.fault == "empty-pdu":
            self.send_pdu(0x04, b"")
        elif self.fault == "too-long-pdu":
            try:
                self.send_pdu(0x04, self.pdv(context, b"x" * (self.peer_max + 100), False, True))
            except OSError:
                pass
        elif self.fault == "negative-pdv":
            self.send_pdu(0x04, struct.pack(">IBB", 0xFFFFFFFE, context, 0) + part)
        elif self.fault == "huge-pdu":
            self.socket.sendall(struct.pack(">BBI", 4, 0, 0xFFFFFFFF) + whole)
        elif self.fault == "unknown-pdu":
            self.send_pdu(0x42, b"1234")
        elif self.fault == "command-mid":
            self.send_message_part(context, command_set(C_ECHO, 99, data_set=False), True)
        elif self.fault == "release-mid":
            self.send_pdu(0x05, b"\0\0\0\0")
        elif self.fault == "abort-mid":
            self.send_pdu(0x07, b"\0\0\0\0")
        elif self.fault == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
            raise Ended("closed")
        elif self.fault == "close-mid":
            self.socket.close()
            raise Ended("closed")
        return None

    def release(self):
        self.send_pdu(0x05, b"\0\0\0\0")
        kind, _ = self.read_pdu()
        if kind != 0x06:
            raise Ended(f"unexpected PDU {kind}")
        self.close()

    def close(self):
        self.socket.close()

    def break_request(self):
        """The faults that come before any association."""
        body = self.request_pdu([(VERIFICATION, [IMPLICIT_LITTLE])])
        pdu = struct.pack(">BBI", 1, 0, len(body)) + body
        if self.fault == "half-rq":
            self.socket.sendall(pdu[:len(pdu) // 2])
        elif self.fault == "garbage":
            self.socket.sendall(bytes([0xFF]) + random.Random(7).randbytes(4000))
        elif self.fault == "http":
            self.socket.sendall(b"GET / HTTP/1.1\r\nHost: bridge\r\n\r\n")
        elif self.fault == "huge-rq":
            self.socket.sendall(struct.pack(">BBI", 1, 0, 0x7FFFFFFF) + body)
        elif self.fault == "lying-rq":
            at = pdu.index(b"\x20\x00", 74) + 2  # the first context, behind the fixed fields
            self.socket.sendall(pdu[:at] + b"\xff\xff" + pdu[at + 2:])
        raise Ended(self.wait_for_end())

    def wait_for_end(self):
        try:
            while True:
                self.read_pdu()
        except Ended as ended:
            return str(ended)


REQUEST_FAULTS = ("silent", "half-rq", "garbage", "http", "huge-rq", "lying-rq")


def proposed_contexts(instances, with_echo):
    pairs = [(VERIFICATION, IMPLICIT_LITTLE)] if with_echo else []
    for instance in instances:
        pair = (instance.sop_class, instance.transfer_syntax)
        if pair not in pairs:
            pairs.append(pair)
    return [(abstract, [transfer]) for abstract, transfer in pairs]


class Gathering:
    """Where associations wait for each other, so that all of them are open at once."""

    def __init__(self, expected):
        self.missing, self.changed = expected, threading.Condition()

    def arrive(self):
        with self.changed:
            self.missing -= 1
            self.changed.notify_all()

    def wait(self):
        with self.changed:
            self.changed.wait_for(lambda: self.missing <= 0, timeout=60)


def run_association(options, instances, say, gathering):
    """Sends the instances over one association. Returns whether all went well."""
    well = True
    arrived = False
    try:
        sender = Sender(options.host, options.port, options.called, options.calling,
                        options.pdu_size, options.timeout, options.fault)
    except OSError as error:
        say(f"unreachable {error}")
        gathering.arrive()
        return False
    try:
        if options.fault in REQUEST_FAULTS:
            sender.break_request()
        sender.associate(proposed_contexts(instances, options.echo or not instances),
                         options.identity)
        if options.identity:
            say(f"identity {'answered' if sender.identity_answer is not None else 'unanswered'}")
        if options.echo or not instances:
            status, comment = sender.echo()
            say(f"echo {status:04X} {comment}".rstrip())
            well = status == 0
        for instance in instances:
            status, comment = sender.store(instance)
            say(f"{instance.sop_instance} {status:04X} {comment}".rstrip())
            well = well and status == 0
        if options.hold:
            arrived = True
            gathering.arrive()
            gathering.wait()
            time.sleep(options.hold)
        sender.release()
    except Ended as ended:
        say(str(ended))
        well = False
    except OSError:
        say("closed")
        well = False
    finally:
        sender.close()
        if not arrived:
            gathering.arrive()
    return well


def load(options):
    instances = [read_part10(path, options.sop_class, options.sop_instance,
                             options.transfer_syntax) for path in options.files]
    if options.repeat == 1:
        return instances
    return [Instance(one.sop_class, f"{one.sop_instance[:50]}.{number}", one.transfer_syntax,
                     one.data) for number in range(options.repeat) for one in instances]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], epilog="faults: " +
                                     "; ".join(f"{name}: {what}" for name, what in FAULTS.items()))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--called", default="AURABRIDGE")
    parser.add_argument("--calling", default="PDUSENDER")
    parser.add_argument("--pdu-size", type=int, default=16384, help="bytes, largest either way")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for an answer")
    parser.add_argument("--fault", choices=sorted(FAULTS))
    parser.add_argument("--echo", action="store_true", help="C-ECHO first; alone without files")
    parser.add_argument("--identity", action="store_true", help="ask for user identity's answer")
    parser.add_argument("--associations", type=int, default=1, help="at once, each sends all files")
    parser.add_argument("--repeat", type=int, default=1, help="send so often, UIDs made distinct")
    parser.add_argument("--hold", type=float, default=0.0,
                        help="seconds to stay before release, once all have their answers")
    parser.add_argument("--sop-class")
    parser.add_argument("--sop-instance")
    parser.add_argument("--transfer-syntax")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    instances = load(options)
    lock, results = threading.Lock(), []
    gathering = Gathering(options.associations)

    def say(line):
        with lock:
            print(line, flush=True)

    def run():
        well = run_association(options, instances, say, gathering)
        with lock:
            results.append(well)

    threads = [threading.Thread(target=run) for _ in range(options.associations)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
