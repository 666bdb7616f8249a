#!/usr/bin/env python3
"""Makes a synthetic study as Part 10 files: DIRECTORY COUNT BYTES-OF-PIXEL-DATA [STUDY-UID]

Pixel data is written sparsely, so an instance of gigabytes costs neither time nor disk.
"""

import os
import struct
import sys
import uuid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def new_uid():
    return "2.25.%d" % uuid.uuid4().int


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode("ascii")
    if len(value) % 2:
        value += b"\x00" if vr == "UI" else b" "
    return struct.pack("<HH2sH", group, number, vr.encode("ascii"), len(value)) + value


def number(value):
    return struct.pack("<H", value)


def header(study, series, instance, index, pixel_bytes):
    meta = element(2, 0x0002, "UI", SECONDARY_CAPTURE)
    meta += element(2, 0x0003, "UI", instance)
    meta += element(2, 0x0010, "UI", EXPLICIT_LITTLE_ENDIAN)
    meta += element(2, 0x0012, "UI", "2.25.1")
    data = element(8, 0x0016, "UI", SECONDARY_CAPTURE)
    data += element(8, 0x0018, "UI", instance)
    data += element(8, 0x0020, "DA", "20260101")
    data += element(8, 0x0060, "CS", "OT")
    data += element(0x10, 0x0010, "PN", "Synthetic^Sample")
    data += element(0x10, 0x0020, "LO", "SYN-1")
    data += element(0x20, 0x000D, "UI", study)
    data += element(0x20, 0x000E, "UI", series)
    data += element(0x20, 0x0013, "IS", str(index))
    data += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, pixel_bytes)
    length = element(2, 0, "UL", struct.pack("<I", len(meta)))
    return b"\x00" * 128 + b"DICM" + length + meta + data


def main():
    directory, count, pixel_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    study = sys.argv[4] if len(sys.argv) > 4 else new_uid()
    series = new_uid()
    os.makedirs(directory, exist_ok=True)
    for index in range(1, count + 1):
        with open(os.path.join(directory, "%06d.dcm" % index), "wb") as file:
            file.write(header(study, series, new_uid(), index, pixel_bytes))
            file.truncate(file.tell() + pixel_bytes)
    print(study)


if __name__ == "__main__":
    main()
