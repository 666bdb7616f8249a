#!/usr/bin/env python3
"""What Python's zipfile makes of an archive: "NAME SIZE SHA256 METHOD" for each entry."""

import hashlib
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        if entry.flag_bits & 8:
            sys.exit(f"{entry.filename}: its sizes are behind its data")
        data = archive.read(entry)
        method = "stored" if entry.compress_type == zipfile.ZIP_STORED else "deflated"
        print(entry.filename, len(data), hashlib.sha256(data).hexdigest(), method)
