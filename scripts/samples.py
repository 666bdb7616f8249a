#!/usr/bin/env python3
"""Writes the raw pixels and the dumps of three sample studies; make-samples.sh makes files of them.

usage: samples.py DIRECTORY

Each instance becomes NAME.raw and NAME.dump (the format of dump2dcm). The UIDs are fresh each time
(2.25.…, from a UUID, PS3.5 B.2). Invented patients, drawn pictures.
"""

import array
import math
import operator
import os
import random
import sys
import uuid

NOISE_ROWS = 61


def new_uid():
    return "2.25.%d" % uuid.uuid4().int


class Picture:
    """Rows of 16-bit grey values, drawn with ellipses and grained with noise."""

    def __init__(self, size, background):
        self.size = size
        self.rows = [array.array("H", [background]) * size for _ in range(size)]

    def ellipse(self, x, y, width, height, value):
        """Centre and half axes as parts of the picture, -1 … 1."""
        half = self.size / 2
        for row in range(self.size):
            reach = 1 - ((row - half - y * half) / (height * half)) ** 2
            if reach <= 0:
                continue
            span = width * half * math.sqrt(reach)
            left = max(0, round(half + x * half - span))
            right = min(self.size, round(half + x * half + span))
            if right > left:
                self.rows[row][left:right] = array.array("H", [value]) * (right - left)

    def grained(self, noise):
        start = random.randrange(NOISE_ROWS)
        return b"".join(
            array.array("H", map(operator.add, row, noise[(start + i) % NOISE_ROWS])).tobytes()
            for i, row in enumerate(self.rows))


def noise_rows(size, amount):
    return [array.array("H", (byte * amount >> 8 for byte in random.randbytes(size)))
            for _ in range(NOISE_ROWS)]


def chest(at, noise):
    """A thorax, stored as Hounsfield units + 1024; `at` runs from 0 to 1 through the body."""
    picture = Picture(256, 24)
    breath = math.sin(math.pi * (0.15 + 0.8 * at))
    picture.ellipse(0, 0, 0.86, 0.62, 930)                       # fat
    picture.ellipse(0, 0, 0.81, 0.57, 1070)                      # muscle
    for side in (-1, 1):
        picture.ellipse(side * 0.4, -0.03, 0.30 * breath, 0.44 * breath, 180)   # lung
        picture.ellipse(side * 0.42, 0.08, 0.03, 0.03, 1060)     # vessel
    picture.ellipse(0.12, -0.12, 0.24 * breath, 0.22 * breath, 1080)            # heart
    picture.ellipse(0, 0.30, 0.10, 0.10, 1500)                   # vertebra
    picture.ellipse(0, 0.31, 0.04, 0.04, 1050)                   # spinal canal
    picture.ellipse(-0.05, 0.13, 0.05, 0.05, 1180)               # aorta
    return picture.grained(noise)


def head(at, noise):
    picture = Picture(192, 10)
    girth = math.sqrt(max(0.15, 1 - (1.5 * at - 0.75) ** 2))
    picture.ellipse(0, 0, 0.72 * girth, 0.88 * girth, 900)       # scalp
    picture.ellipse(0, 0, 0.66 * girth, 0.82 * girth, 60)        # skull
    picture.ellipse(0, 0, 0.61 * girth, 0.77 * girth, 430)       # grey matter
    picture.ellipse(0, 0, 0.50 * girth, 0.66 * girth, 560)       # white matter
    for side in (-1, 1):
        picture.ellipse(side * 0.11, -0.05, 0.06 * girth, 0.24 * girth, 120)    # ventricle
    return picture.grained(noise)


def fan(frame):
    """An ultrasound sector with a beating chamber and some colour, 320 × 240 RGB."""
    width, height = 320, 240
    speckle = bytes(min(255, byte * byte // 420 + 12) for byte in range(256))
    dark = bytes(byte // 9 for byte in range(256))
    beat = 1 + 0.25 * math.sin(2 * math.pi * frame / 8)
    grey, red = bytearray(width * height), bytearray(width * height)
    for y in range(height):
        span = int(18 + 0.62 * y)
        if y > 200:
            span = min(span, int(math.sqrt(max(0, 1 - ((y - 200) / 40) ** 2)) * 142))
        row = bytearray(random.randbytes(2 * span).translate(speckle))
        chamber = 1 - ((y - 125) / (38 * beat)) ** 2
        if chamber > 0:
            reach = min(span, int(30 * beat * math.sqrt(chamber)))
            row[span - reach:span + reach] = row[span - reach:span + reach].translate(dark)
            if abs(y - 125) < 14:
                red[y * width + 160 - reach // 2:y * width + 160 + reach // 2] = \
                    bytes([170]) * (reach // 2 * 2)
        grey[y * width + 160 - span:y * width + 160 + span] = row
    rgb = bytearray(3 * width * height)
    rgb[0::3] = bytes(map(max, grey, red))
    rgb[1::3] = grey
    rgb[2::3] = grey
    return bytes(rgb)


def write(folder, name, elements, pixels):
    """Elements are (tag, VR, bytes); UIDs and text stand in [], numbers as they are."""
    with open(os.path.join(folder, name + ".raw"), "wb") as out:
        out.write(pixels)
    with open(os.path.join(folder, name + ".dump"), "wb") as out:
        for tag, vr, value in sorted(elements):
            plain = vr in ("US", "AT")
            out.write(b"(%s) %s %s\n" % (tag.encode(), vr.encode(),
                                         value if plain else b"[" + value + b"]"))
        pixel_vr = "OB" if any(e[0] == "0028,0100" and e[2] == b"8" for e in elements) else "OW"
        out.write(b"(7fe0,0010) %s =%s\n" % (pixel_vr.encode(),
                                             os.path.join(folder, name + ".raw").encode()))


def text(value):
    return value.encode("ascii") if isinstance(value, str) else value


class Study:
    """What the instances of one study have in common."""

    def __init__(self, sop_class, modality, patient, description, series, character_set="ISO_IR 100"):
        self.sop_class, self.modality = sop_class, modality
        self.study_uid, self.series_uid, self.frame_uid = new_uid(), new_uid(), new_uid()
        name, patient_id, birth, sex = patient
        self.common = [
            ("0008,0005", "CS", text(character_set)), ("0008,0020", "DA", b"20260302"),
            ("0008,0021", "DA", b"20260302"), ("0008,0030", "TM", b"094500"),
            ("0008,0031", "TM", b"094630"), ("0008,0050", "SH", text("ACC-" + patient_id)),
            ("0008,0060", "CS", text(modality)), ("0008,0070", "LO", b"AuraBridge"),
            ("0008,0080", "LO", b"Sample Hospital"), ("0008,0090", "PN", b"Referrer^Rita"),
            ("0008,1030", "LO", text(description)), ("0008,103e", "LO", text(series)),
            ("0010,0010", "PN", text(name)), ("0010,0020", "LO", text(patient_id)),
            ("0010,0030", "DA", text(birth)), ("0010,0040", "CS", text(sex)),
            ("0020,000d", "UI", text(self.study_uid)), ("0020,000e", "UI", text(self.series_uid)),
            ("0020,0010", "SH", b"1"), ("0020,0011", "IS", b"1")]

    def instance(self, folder, number, extra, pixels):
        uid = new_uid()
        elements = self.common + [
            ("0008,0016", "UI", text(self.sop_class)), ("0008,0018", "UI", text(uid)),
            ("0020,0013", "IS", text(str(number)))] + [(t, v, text(x)) for t, v, x in extra]
        write(folder, "%s-%03d" % (self.modality, number), elements, pixels)


def grey_elements(size, bits, spacing, thickness, position, study):
    return [("0028,0002", "US", "1"), ("0028,0004", "CS", "MONOCHROME2"),
            ("0028,0010", "US", str(size)), ("0028,0011", "US", str(size)),
            ("0028,0030", "DS", "%g\\%g" % (spacing, spacing)), ("0028,0100", "US", "16"),
            ("0028,0101", "US", str(bits)), ("0028,0102", "US", str(bits - 1)),
            ("0028,0103", "US", "0"), ("0018,0050", "DS", "%g" % thickness),
            ("0020,0032", "DS", "0\\0\\%g" % position),
            ("0020,0037", "DS", "1\\0\\0\\0\\1\\0"),
            ("0020,0052", "UI", study.frame_uid), ("0020,1040", "LO", "")]


def make_ct(folder):
    study = Study("1.2.840.10008.5.1.4.1.1.2", "CT", ("Sample^Carla", "DEMO-1", "19680412", "F"),
                  "CT Thorax", "Thorax axial 5 mm")
    noise = noise_rows(256, 48)
    for i in range(24):
        extra = grey_elements(256, 12, 1.4, 5, 5 * i, study) + [
            ("0008,0008", "CS", "ORIGINAL\\PRIMARY\\AXIAL"), ("0018,0015", "CS", "CHEST"),
            ("0018,0060", "DS", "120"), ("0020,0012", "IS", "1"), ("0028,1050", "DS", "40"),
            ("0028,1051", "DS", "400"), ("0028,1052", "DS", "-1024"), ("0028,1053", "DS", "1")]
        study.instance(folder, i + 1, extra, chest(i / 23, noise))


def make_mr(folder):
    name = b"Yamada^Tarou=" + "山田^太郎".encode("iso2022_jp") + b"=" + \
        "やまだ^たろう".encode("iso2022_jp")
    # The codec goes back to ASCII before ^, as PS3.5 annex H.3 shows it.
    study = Study("1.2.840.10008.5.1.4.1.1.4", "MR", (name, "DEMO-2", "19750923", "M"),
                  "MR Head", "T1 axial", "\\ISO 2022 IR 87")
    noise = noise_rows(192, 60)
    for i in range(12):
        extra = grey_elements(192, 12, 1.2, 6, 6 * i, study) + [
            ("0008,0008", "CS", "ORIGINAL\\PRIMARY\\OTHER"), ("0018,0015", "CS", "HEAD"),
            ("0018,0020", "CS", "SE"), ("0018,0021", "CS", "NONE"), ("0018,0022", "CS", ""),
            ("0018,0023", "CS", "2D"), ("0018,0080", "DS", "500"), ("0018,0081", "DS", "12"),
            ("0018,0091", "IS", "1")]
        study.instance(folder, i + 1, extra, head(i / 11, noise))


def make_us(folder):
    study = Study("1.2.840.10008.5.1.4.1.1.6.1", "US", ("Beispiel^Jörg".encode("latin-1"), "DEMO-3",
                                                        "19811130", "M"),
                  "Echocardiography", "Apical view")
    for i in range(8):
        extra = [("0008,0008", "CS", "ORIGINAL\\PRIMARY"), ("0028,0002", "US", "3"),
                 ("0028,0004", "CS", "RGB"), ("0028,0006", "US", "0"), ("0028,0010", "US", "240"),
                 ("0028,0011", "US", "320"), ("0028,0100", "US", "8"), ("0028,0101", "US", "8"),
                 ("0028,0102", "US", "7"), ("0028,0103", "US", "0")]
        study.instance(folder, i + 1, extra, fan(i))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_ct(sys.argv[1])
    make_mr(sys.argv[1])
    make_us(sys.argv[1])
