#!/usr/bin/env python3
"""Draws one figure of a benchmark's JSON as bars:

    plot.py FILE.json FIGURE OUT.svg [--title TEXT] [--without WORDS]

Figures are named as in the JSON (mb_per_second, cpu_per_gb, …). Each row is a group of bars, each
contender a bar at its median, with a line from the smallest to the largest run. Plain SVG, no library.
"""

import argparse
import json
import math
import sys
from xml.sax.saxutils import escape

UNITS = {"mb_per_second": "MB/s", "per_second": "instances/s", "cpu_per_gb": "CPU seconds per GB",
         "peak_mib": "MiB, peak resident", "seconds": "s", "p99_ms": "ms, 99th percentile"}
OURS, UNSYNCED, OTHERS, YARDSTICK = "#0b6e4f", "#9fcdb9", "#8a93a0", "#d9a441"
WIDTH, LABELS, VALUES = 860, 280, 120  # pixels
BAR, GAP, HEAD, TOP, FOOT = 16, 6, 30, 48, 34


def colour(name):
    lower = name.lower()
    if "limit" in lower or "curl" in lower:
        return YARDSTICK
    if "without its syncs" in lower:
        return UNSYNCED
    return OURS if lower.startswith("aurabridge") or "→ aurabridge" in lower else OTHERS


def text(x, y, words, size=12, anchor="start", weight="normal", fill="#1f2933"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{fill}">{escape(words)}</text>')


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def step_of(most):
    """A round step that makes three to seven lines."""
    raw = most / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= raw)


def bars_of(row, figure):
    return [(one["name"], one["summary"][figure]) for one in row["contenders"]
            if figure in one["summary"]]


def draw_row(row, bars, y):
    """One group, with its own scale; returns its lines and the y below it."""
    room = WIDTH - LABELS - VALUES
    most = max(summary["max"] for _, summary in bars) or 1
    height = len(bars) * (BAR + GAP)
    out = [text(16, y + 16, row["name"], 13, weight="bold")]
    y += HEAD
    step = step_of(most)
    for at in range(int(most / step + 1e-9) + 1):
        x = LABELS + room * at * step / most
        out.append(f'<line x1="{x:.1f}" y1="{y - 4}" x2="{x:.1f}" y2="{y + height}" '
                   'stroke="#e3e7eb"/>')
        out.append(text(x, y + height + 12, number(at * step), 10, "middle", fill="#67727e"))
    for name, summary in bars:
        middle = y + BAR / 2
        scale = room / most
        out.append(text(LABELS - 8, middle + 4, name, 12, "end"))
        out.append(f'<rect x="{LABELS}" y="{y}" width="{summary["median"] * scale:.1f}" '
                   f'height="{BAR}" fill="{colour(name)}"/>')
        low, high = LABELS + summary["min"] * scale, LABELS + summary["max"] * scale
        out.append(f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8'
                   f'M{high:.1f} {middle - 4}v8" stroke="#1f2933" fill="none"/>')
        out.append(text(max(high, LABELS) + 6, middle + 4, number(summary["median"]), 12))
        y += BAR + GAP
    return out, y + FOOT


def machine_line(where):
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items()
                         if version)
    return (f"{where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB, "
            f"{where['file_system'].split(' ')[0]}, Linux {where['kernel']}; {versions}; "
            f"{where['date']}")


def draw(content, figure, title):
    unit = UNITS.get(figure, figure)
    out, y = [], TOP
    for row in content["rows"]:
        bars = bars_of(row, figure)
        if bars:
            lines, y = draw_row(row, bars, y)
            out += lines
    if not out:
        raise SystemExit(f"no run has the figure {figure}")
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" '
            f'width="{WIDTH}" height="{y + 16}" font-family="sans-serif" role="img">',
            f"<title>{escape(title)}</title>", '<rect width="100%" height="100%" fill="#ffffff"/>',
            text(16, 28, f"{title} ({unit}; median, and smallest to largest)", 15, weight="bold")]
    return "\n".join(head + out + [text(16, y + 2, machine_line(content["machine"]), 10,
                                         fill="#67727e"), "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("json")
    parser.add_argument("figure")
    parser.add_argument("svg")
    parser.add_argument("--title")
    parser.add_argument("--without", metavar="WORDS", help="leaves out rows with these in their name")
    options = parser.parse_args()
    with open(options.json) as file:
        content = json.load(file)
    if options.without:
        content["rows"] = [row for row in content["rows"] if options.without not in row["name"]]
    drawing = draw(content, options.figure, options.title or content["part"].capitalize())
    with open(options.svg, "w") as file:
        file.write(drawing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
