"""Makes what a fuzzer of PDUs sends: sound associations, commands and data sets, then broken in a few
places, at the level where they mean something (items, elements, PDV flags, lengths) or as bytes.

make_exchange(rng) is a function of the generator it is given and of nothing else.
"""
import dataclasses
import struct
import zlib

from make_instances import EXPLICIT_LITTLE_ENDIAN, SECONDARY_CAPTURE, header, new_uid
from pdu_sender import (APPLICATION_CONTEXT, C_CANCEL, C_ECHO, C_FIND, C_STORE, IMPLICIT_LITTLE,
                        NO_DATA_SET, VERIFICATION, Instance, uid_value)

import data_sets

KNOWN_STATUS = (0x0000, 0x0117, 0x0122, 0x0124, 0x0211, 0x0212, 0xA700, 0xA900, 0xC000)
EXPLICIT_BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG, PRIVATE_CLASS = "1.2.840.10008.1.2.4.50", "1.2.3.99.2"
CLASSES = (SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4",
           "1.2.840.10008.5.1.4.1.1.88.11", PRIVATE_CLASS, "1.2.840.10008.5.1.4.1.2.2.1")
SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG, DEFLATED, JPEG, "1.2.3.99.1")
LENGTHS_16 = (0, 1, 2, 3, 4, 5, 63, 64, 65, 66, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LENGTHS_32 = LENGTHS_16 + (0x10000, 131072, 131073, 131078, 0xFFFFF, 0x100000, 0x7FFFFFFF,
                           0x80000000, 0xFFFFFFFA, 0xFFFFFFFE, 0xFFFFFFFF)
ANSWER_SECONDS = 0.3


@dataclasses.dataclass
class Step:
    data: bytes
    wait: float = 0.0  # seconds for an answer


@dataclasses.dataclass
class Script:
    steps: list
    ending: str  # close, reset, half-close, wait

    def __str__(self):
        lines = [f"{len(self.steps)} steps, then {self.ending}"]
        lines += [f"  {len(step.data):6} bytes, waits {step.wait}: {step.data[:160].hex(' ')}"
                  for step in self.steps]
        return "\n".join(lines)


def pick_uid(rng):
    return "2.25.%d" % rng.getrandbits(100)


# ---- items of the A-ASSOCIATE-RQ ----

@dataclasses.dataclass
class Item:
    kind: int
    value: object  # bytes, or a list of Items
    prefix: bytes = b""
    length: int = -1  # a lie, unless negative

    def encode(self):
        inner = self.prefix + (self.value if isinstance(self.value, bytes)
                               else b"".join(one.encode() for one in self.value))
        length = self.length if self.length >= 0 else len(inner) & 0xFFFF
        return struct.pack(">BBH", self.kind, 0, length) + inner


def user_items(rng):
    items = [Item(0x51, struct.pack(">I", rng.choice((0, 4096, 16384, 131072, 0xFFFFFFFF)))),
             Item(0x52, b"1.2.3.4.5")]
    more = (Item(0x53, struct.pack(">HH", rng.randrange(3), 1)), Item(0x55, b"FUZZ_1"),
            Item(0x54, struct.pack(">H", 5) + b"1.2.3" + bytes((1, 1))),
            Item(0x56, struct.pack(">H", 5) + b"1.2.3" + bytes(rng.randrange(40))),
            Item(0x57, struct.pack(">H3sH3sH", 3, b"1.2", 3, b"1.3", 0)),
            Item(0x58, bytes((rng.randrange(6), rng.randrange(2)))
                 + struct.pack(">H4sH3s", 4, b"user", 3, b"pwd")),
            Item(rng.randrange(256), rng.randbytes(rng.randrange(20))))
    return items + rng.sample(more, rng.choice((0, 0, 1, 2, 4)))


def request_items(rng, contexts):
    items = [Item(0x10, APPLICATION_CONTEXT.encode())]
    for number, (abstract, transfers) in contexts.items():
        items.append(Item(0x20, [Item(0x30, abstract.encode())]
                          + [Item(0x40, one.encode()) for one in transfers],
                          bytes((number, 0, 0, 0))))
    return items + [Item(0x50, user_items(rng))]


def all_lists(items):
    yield items
    for one in items:
        if isinstance(one.value, list):
            yield from all_lists(one.value)


def break_items(rng, items):
    chosen = rng.choice([one for one in all_lists(items) if one] or [[Item(0, b"")]])
    at = rng.randrange(len(chosen))
    how = rng.randrange(9)
    if how == 0:
        del chosen[at]
    elif how == 1:
        chosen[at:at] = [chosen[at]] * rng.choice((1, 2, 130, 1100))
    elif how == 2:
        rng.shuffle(chosen)
    elif how == 3:
        chosen[at] = dataclasses.replace(chosen[at], kind=rng.choice(
            (0x10, 0x20, 0x21, 0x30, 0x40, 0x50, 0x51, 0x52, 0x54, 0x56, 0x58, 0x59, 0xFF)))
    elif how == 4:
        chosen[at] = dataclasses.replace(chosen[at], length=rng.choice(LENGTHS_16))
    elif how == 5:
        chosen[at] = dataclasses.replace(chosen[at], value=rng.choice(
            (b"", b"\0", b"1" * 64, b"1" * 65, b"1.2.\0\0", rng.randbytes(rng.randrange(300)))))
    elif how == 6:
        chosen.insert(at, Item(rng.randrange(256), rng.randbytes(rng.randrange(64))))
    elif how == 7:
        chosen[at] = dataclasses.replace(chosen[at], prefix=rng.randbytes(rng.randrange(6)))
    else:
        chosen.insert(at, Item(0x20, [Item(0x40, b"")] * rng.choice((1, 3000, 14000)),
                               bytes((rng.randrange(256), 0, 0, 0))))


# ---- command sets ----

def encode_elements(elements):
    return b"".join(struct.pack("<HHI", group, number, len(value) if length < 0 else length)
                    + value for group, number, value, length in elements)


def command_elements(rng, command, number, sop_class, sop_instance, data_set):
    elements = [(0, 0x0002, uid_value(sop_class), -1),
                (0, 0x0100, struct.pack("<H", command), -1),
                (0, 0x0110, struct.pack("<H", number), -1)]
    if command == C_STORE:
        elements.append((0, 0x0700, struct.pack("<H", 0), -1))
    elements.append((0, 0x0800, struct.pack("<H", 1 if data_set else NO_DATA_SET), -1))
    if sop_instance:
        elements.append((0, 0x1000, uid_value(sop_instance), -1))
    if rng.random() < 0.1:
        elements.append((0, 0x1030, b"MOVER ", -1))
    return elements


def break_elements(rng, elements):
    at = rng.randrange(len(elements)) if elements else 0
    group, number, value, length = elements[at] if elements else (0, 0, b"", -1)
    how = rng.randrange(8)
    if how == 0:
        del elements[at:at + 1]
    elif how == 1:
        elements[at:at] = [(group, number, value, length)] * rng.choice((1, 2, 800))
    elif how == 2:
        rng.shuffle(elements)
    elif how == 3:
        elements[at:at + 1] = [(group, number, value, rng.choice(LENGTHS_32))]
    elif how == 4:
        elements[at:at + 1] = [(rng.choice((0, 2, 8, 0x7FE0, 0xFFFE)), number, value, length)]
    elif how == 5:
        elements[at:at + 1] = [(group, number, rng.choice(
            (b"", b"\0\0", b"../../../etc/passwd\0", b"1" * 66, rng.randbytes(rng.randrange(70)),
             struct.pack("<H", rng.choice((C_STORE, C_ECHO, C_FIND, C_CANCEL, 0x8001, 0xFFFF))))),
            -1)]
    elif how == 6:
        elements.insert(at, (0xFFFE, 0xE000, b"", 0xFFFFFFFF))
    else:
        elements.insert(at, (0, rng.randrange(65536), rng.randbytes(rng.randrange(40)), -1))


# ---- data sets ----

def good_data_set(study, instance, index, pixels):
    """Explicit little endian, with its SOP Instance UID."""
    return data_sets.split(header(study, study + ".1", instance, index, len(pixels)) + pixels)[2]


def good_instance():
    """One that nobody has broken, new each time."""
    uid = new_uid()
    return Instance(SECONDARY_CAPTURE, uid, EXPLICIT_LITTLE_ENDIAN,
                    good_data_set(new_uid(), uid, 1, b"\x55" * 3000))


def nested(depth, closed):
    opened = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) \
        + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ended = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return opened * depth + (ended * depth if closed else b"")


def make_data_set(rng, sop_class, instance, syntax):
    study = "2.25.%d" % rng.randrange(1, 40)
    data = good_data_set(study, instance, rng.randrange(1, 9999),
                         rng.randbytes(2 * rng.choice((0, 1, 50, 2000, 40000))))
    if sop_class != SECONDARY_CAPTURE and rng.random() < 0.8:
        old, new = uid_value(SECONDARY_CAPTURE), uid_value(sop_class)
        data = data.replace(b"UI" + struct.pack("<H", len(old)) + old,
                            b"UI" + struct.pack("<H", len(new)) + new, 1)
    if rng.random() < 0.15:
        at = data.index(struct.pack("<HH", 0x0020, 0x0013))
        data = data[:at] + data[at:].replace(struct.pack("<HH", 0x7FE0, 0x0010), nested(
            rng.choice((1, 10, 1000, 2049, 5000)), rng.random() < 0.5)
            + struct.pack("<HH", 0x7FE0, 0x0010), 1)
    if syntax == DEFLATED and rng.random() < 0.9:
        packer = zlib.compressobj(wbits=-15)
        data = packer.compress(data) + packer.flush()
    return data


def break_data_set(rng, data):
    how = rng.randrange(5)
    if how == 0:
        return data[:rng.randrange(len(data) + 1)]
    if how == 1:  # the length of some element, or what lies there
        at = rng.randrange(max(len(data) - 8, 1))
        return data[:at] + struct.pack("<I", rng.choice(LENGTHS_32)) + data[at + 4:]
    if how == 2:
        at = rng.randrange(len(data) + 1)
        return data[:at] + nested(rng.choice((1, 3, 1000, 3000)), rng.random() < 0.5) + data[at:]
    if how == 3:
        at = rng.randrange(len(data) + 1)
        return data[at:] + data[:at]
    return break_bytes(rng, data)


# ---- PDVs and PDUs ----

@dataclasses.dataclass
class Pdu:
    kind: int
    body: bytes
    length: int = -1
    wait: float = 0.0

    def encode(self):
        return struct.pack(">BBI", self.kind, 0,
                           self.length if self.length >= 0 else len(self.body)) + self.body


def encode_pdv(pdv):
    context, flags, value, length = pdv
    return struct.pack(">IBB", len(value) + 2 if length < 0 else length, context, flags) + value


def cut_into_pdvs(rng, context, command, value):
    size = rng.choice((1, 7, 100, 4000, 16000, 100000)) if len(value) < 600 \
        else rng.choice((500, 4000, 16000, 120000))
    parts = [value[at:at + size] for at in range(0, len(value), size)] or [b""]
    if rng.random() < 0.1:
        parts.insert(rng.randrange(len(parts)), b"")
    return [(context, (1 if command else 0) | (2 if at + 1 == len(parts) else 0), part, -1)
            for at, part in enumerate(parts)]


def break_pdvs(rng, pdvs):
    at = rng.randrange(len(pdvs))
    context, flags, value, length = pdvs[at]
    how = rng.randrange(7)
    if how == 0:
        pdvs[at] = (context, rng.choice((0, 1, 2, 3, 4, 0x80, 0xFF)), value, length)
    elif how == 1:
        pdvs[at] = (rng.choice((0, 1, 2, 3, 5, 127, 255)), flags, value, length)
    elif how == 2:
        pdvs[at] = (context, flags, value, rng.choice(LENGTHS_32))
    elif how == 3:
        del pdvs[at]
    elif how == 4:
        pdvs.insert(at, pdvs[rng.randrange(len(pdvs))])
    elif how == 5:
        pdvs[at:at] = [(context, flags & 1, b"", -1)] * rng.choice((1, 50))
    else:
        other = rng.randrange(len(pdvs))
        pdvs[at], pdvs[other] = pdvs[other], pdvs[at]


def pack_pdus(rng, pdvs):
    """Some PDVs share a PDU."""
    pdus, body = [], b""
    for pdv in pdvs:
        raw = encode_pdv(pdv)
        if body and (len(body) + len(raw) > 131072 or rng.random() < 0.7):
            pdus.append(Pdu(4, body))
            body = b""
        body += raw
    return pdus + [Pdu(4, body)]


def break_pdus(rng, pdus):
    at = rng.randrange(len(pdus))
    how = rng.randrange(6)
    if how == 0:
        pdus[at] = dataclasses.replace(pdus[at], kind=rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 255)))
    elif how == 1:
        pdus[at] = dataclasses.replace(pdus[at], length=rng.choice(LENGTHS_32))
    elif how == 2:
        del pdus[at]
    elif how == 3:
        pdus.insert(at, pdus[rng.randrange(len(pdus))])
    elif how == 4:
        pdus.insert(at, Pdu(rng.randrange(10), rng.randbytes(rng.choice((0, 3, 4, 5, 68, 5000)))))
    else:
        other = rng.randrange(len(pdus))
        pdus[at], pdus[other] = pdus[other], pdus[at]


def break_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(4)
        if how == 0:
            data[at:at + 1] = bytes((rng.randrange(256),))
        elif how == 1:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 100)))
        elif how == 2:
            del data[at:at + rng.choice((1, 2, 4, 100))]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


# ---- the whole ----

class Breaker:
    """Which levels of an exchange are broken, and how often each."""

    LEVELS = ("items", "elements", "data set", "pdvs", "pdus", "bytes")

    def __init__(self, rng):
        self.rng = rng
        levels = rng.choices(self.LEVELS, (3, 3, 3, 3, 2, 1), k=rng.choice((0, 1, 1, 1, 2, 3)))
        self.times = {one: rng.choice((1, 1, 2, 5)) for one in levels}

    def apply(self, level, change, value):
        """Changes the list in place, as often as the level is to be broken."""
        for _ in range(self.times.get(level, 0)):
            if self.rng.random() < 0.6 and value:
                change(self.rng, value)


def make_contexts(rng):
    pairs = [(VERIFICATION, IMPLICIT_LITTLE)] + [
        (rng.choice(CLASSES), rng.choice(SYNTAXES)) for _ in range(rng.choice((1, 1, 2, 5, 127)))]
    return {2 * at + 1: (abstract, [transfer] + rng.sample(SYNTAXES, rng.randrange(3)))
            for at, (abstract, transfer) in enumerate(pairs)}


def make_message(rng, breaker, contexts, number):
    """PDVs of a command and perhaps a data set."""
    context = rng.choice(list(contexts))
    sop_class, transfers = contexts[context]
    command = C_ECHO if sop_class == VERIFICATION else rng.choices(
        (C_STORE, C_ECHO, C_FIND, C_CANCEL), (20, 1, 1, 1))[0]
    with_data = command in (C_STORE, C_FIND) and rng.random() < 0.97
    instance = pick_uid(rng) if command == C_STORE else None
    elements = command_elements(rng, command, number, sop_class, instance, with_data)
    breaker.apply("elements", break_elements, elements)
    raw = encode_elements(elements)
    if rng.random() < 0.9:
        raw = struct.pack("<HHII", 0, 0, 4, len(raw)) + raw
    pdvs = cut_into_pdvs(rng, context, True, raw)
    if with_data:
        data = make_data_set(rng, sop_class, instance or pick_uid(rng), transfers[0])
        for _ in range(breaker.times.get("data set", 0)):
            data = break_data_set(rng, data)
        pdvs += cut_into_pdvs(rng, context, False, data)
    return pdvs


def make_pdus(rng, breaker):
    contexts = make_contexts(rng)
    items = request_items(rng, contexts)
    breaker.apply("items", break_items, items)
    titles = rng.choices((b"AURABRIDGE", b"", b"AURA\0BRIDGE", b"\xff" * 16), (30, 1, 1, 1))[0]
    body = struct.pack(">HH16s16s32x", rng.choices((1, 0, 2, 0xFFFF), (30, 1, 1, 1))[0], 0,
                       titles.ljust(16), b"FUZZER".ljust(16))
    pdus = [Pdu(1, body + b"".join(one.encode() for one in items), wait=ANSWER_SECONDS)]
    for number in range(1, rng.choice((1, 2, 2, 3, 6)) + 1):
        pdvs = make_message(rng, breaker, contexts, number)
        breaker.apply("pdvs", break_pdvs, pdvs)
        if not pdvs:
            continue
        message = pack_pdus(rng, pdvs)
        message[-1].wait = rng.choice((0.0, ANSWER_SECONDS, ANSWER_SECONDS))
        pdus += message
    if rng.random() < 0.5:
        pdus.append(Pdu(rng.choice((5, 5, 7)), b"\0\0\0\0", wait=ANSWER_SECONDS))
    breaker.apply("pdus", break_pdus, pdus)
    return pdus


def split_steps(rng, pdus):
    """Mostly a write for each PDU; at times all in one, or one in pieces."""
    steps = []
    for pdu in pdus:
        raw = pdu.encode()
        if steps and not steps[-1].wait and rng.random() < 0.3:
            steps[-1] = Step(steps[-1].data + raw, pdu.wait)
        elif rng.random() < 0.1 and len(raw) > 2:
            at = rng.randrange(1, len(raw))
            steps += [Step(raw[:at], rng.choice((0.0, 0.01))), Step(raw[at:], pdu.wait)]
        else:
            steps.append(Step(raw, pdu.wait))
    return steps


def make_exchange(rng):
    breaker = Breaker(rng)
    if rng.random() < 0.01:
        steps = [Step(rng.randbytes(rng.choice((1, 5, 6, 100, 70000))), 0.0)]
    else:
        steps = split_steps(rng, make_pdus(rng, breaker))
    for _ in range(breaker.times.get("bytes", 0)):
        chosen = rng.choice(steps) if steps else Step(b"")
        chosen.data = break_bytes(rng, chosen.data)
    if rng.random() < 0.15 and steps:  # it stops somewhere
        del steps[rng.randrange(len(steps)) + 1:]
        steps[-1].data = steps[-1].data[:rng.randrange(len(steps[-1].data) + 1)]
    return Script(steps, rng.choices(("close", "reset", "half-close", "wait"), (6, 2, 2, 1))[0])
