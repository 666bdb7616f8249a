#!/usr/bin/env python3
"""Prints "<SOP Instance UID> <SHA-256 of the data set>" for Part 10 files, and for those in zips.
With --transfer-syntax as the first argument, "<SHA-256> <Transfer Syntax UID>" instead.
"""

import hashlib
import struct
import sys
import zipfile

LONG_FORM = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT")


def split(part10):
    """SOP Instance UID, Transfer Syntax UID, and the bytes behind the file meta information."""
    if part10[128:132] != b"DICM":
        raise ValueError("no Part 10 file")
    at, uids = 132, {0x0003: "", 0x0010: ""}
    while part10[at : at + 2] == b"\x02\x00":
        element, vr = struct.unpack_from("<H", part10, at + 2)[0], part10[at + 4 : at + 6]
        if vr in LONG_FORM:
            length, head = struct.unpack_from("<I", part10, at + 8)[0], 12
        else:
            length, head = struct.unpack_from("<H", part10, at + 6)[0], 8
        value = part10[at + head : at + head + length]
        if element in uids:
            uids[element] = value.rstrip(b"\x00 ").decode("ascii")
        at += head + length
    return uids[0x0003], uids[0x0010], part10[at:]


def report(content, with_syntax):
    instance, syntax, data_set = split(content)
    digest = hashlib.sha256(data_set).hexdigest()
    print(*((digest, syntax) if with_syntax else (instance, digest)))


def main():
    with_syntax = sys.argv[1:2] == ["--transfer-syntax"]
    for path in sys.argv[2 if with_syntax else 1:]:
        if path.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    report(archive.read(name), with_syntax)
        else:
            with open(path, "rb") as file:
                report(file.read(), with_syntax)


if __name__ == "__main__":
    main()
