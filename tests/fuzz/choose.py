#!/usr/bin/env python3
"""Chooses what a fuzzer keeps: of many inputs the few that together reach most.

    choose.py CONTROL-FILE CORPUS MOST-FILES MOST-BYTES

CONTROL-FILE is that of libFuzzer's -merge=1 (-merge_control_file). Inputs that stand in CORPUS under
a name (and not under a digest) were written by a person and stay; the others are chosen anew.
"""
import hashlib
import pathlib
import re
import sys


def read_control(path):
    """The inputs with what they reach: [(path, size, set)]. A feature is an edge, and in its last
    three bits how often it is passed. (The COV lines name only what no input before has reached.)
    """
    lines = path.read_text().splitlines()
    count = int(lines[0])
    names = lines[2:2 + count]
    sizes, reached = {}, {}
    for line in lines[2 + count:]:
        word, index, *figures = line.split()
        index = int(index)
        if word == "STARTED":
            sizes[index] = int(figures[0])
        elif word == "FT":
            features = [int(figure) for figure in figures]
            reached.setdefault(index, set()).update(("FT", feature) for feature in features)
            reached[index].update(("COV", feature >> 3) for feature in features)
    return [(pathlib.Path(names[i]), sizes[i], reached.get(i, set())) for i in sizes]


def main():
    control, corpus, most_files, most_bytes = sys.argv[1:]
    corpus, files, room = pathlib.Path(corpus), int(most_files), int(most_bytes)
    digest = re.compile(r"[0-9a-f]{40}$")
    covered, kept = set(), set()
    left = []
    for path, size, reaches in read_control(pathlib.Path(control)):
        if path.parent.resolve() == corpus.resolve() and not digest.match(path.name):
            covered |= reaches
            kept.add(path.name)
            files, room = files - 1, room - size
        else:
            left.append((path, size, reaches))
    chosen = []
    while files > 0 and left:
        # Edges count more than how often they are passed; of equals the small one.
        best = max(left, key=lambda row: (sum(3 if kind == "COV" else 1 for kind, _ in
                                              row[2] - covered), -row[1]))
        left.remove(best)
        if not best[2] - covered:
            break
        if best[1] > room:
            continue
        chosen.append(best[0].read_bytes())
        covered |= best[2]
        files, room = files - 1, room - best[1]
    for path in corpus.iterdir():
        if digest.match(path.name):
            path.unlink()
    for content in chosen:
        (corpus / hashlib.sha1(content).hexdigest()).write_bytes(content)
    sizes = [path.stat().st_size for path in corpus.iterdir()]
    edges = sum(kind == "COV" for kind, _ in covered)
    print(f"{corpus.name}: {len(sizes)} inputs with {sum(sizes)} bytes are kept, {len(kept)} of them "
          f"written by hand; they reach {edges} edges")


if __name__ == "__main__":
    main()
