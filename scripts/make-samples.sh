#!/bin/sh
# Makes three sample studies with fresh UIDs, in seconds: CT (24 slices), MR (12 slices, a Japanese
# patient name in ISO 2022 IR 87) and ultrasound (8 JPEG baseline images).
#
#   scripts/make-samples.sh OUTDIR        → OUTDIR/ct, OUTDIR/mr, OUTDIR/us
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -eq 1 ] || {
    echo "usage: $0 OUTDIR" >&2
    exit 2
}
mkdir -p "$1/ct" "$1/mr" "$1/us"
out=$(CDPATH='' cd -- "$1" && pwd)
for tool in python3 dump2dcm dcmcjpeg; do
    command -v "$tool" >/dev/null || {
        echo "$tool is missing; scripts/packages.sh demo installs it" >&2
        exit 1
    }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
python3 "$here/samples.py" "$work"

for dump in "$work"/*.dump; do
    name=$(basename "$dump" .dump)
    case $name in
    CT-*) file=$out/ct/$name.dcm ;;
    MR-*) file=$out/mr/$name.dcm ;;
    US-*) file=$work/$name.dcm ;;
    esac
    dump2dcm -q +te "$dump" "$file"
done
for plain in "$work"/US-*.dcm; do
    dcmcjpeg -q +eb +q 85 +un "$plain" "$out/us/$(basename "$plain")"
done
