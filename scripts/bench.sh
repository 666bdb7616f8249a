#!/usr/bin/env bash
# Measures AuraBridge beside its peers: builds Release, installs the peers from Debian, alternates
# their runs, prints a table and writes build/bench/<part>.json. docs/PERFORMANCE.md says what the
# parts show. Asks nothing; wants an otherwise idle machine.
#
#   scripts/bench.sh [ingest|package|upload|e2e|scale]… [OPTIONS]    default: all that are there
#
# OPTIONS go to each part, for example --quick (whether it works; no figures) or --rounds 9.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

parts=()
while [ $# -gt 0 ]; do
    case $1 in
    ingest | package | upload | e2e | scale) parts+=("$1") ;;
    -h | --help) usage ;;
    -*) break ;;
    *) usage ;;
    esac
    shift
done
if [ ${#parts[@]} -eq 0 ]; then
    for part in ingest package upload e2e scale; do
        [ ! -f "tests/bench/$part.py" ] || parts+=("$part")
    done
fi
for part in "${parts[@]}"; do
    [ -f "tests/bench/$part.py" ] || {
        echo "there is no tests/bench/$part.py" >&2
        exit 2
    }
done

orthanc_is_new=$(packages_missing orthanc)
# shellcheck disable=SC2086  # lists of words
packages_install $PACKAGES_BUILD $PACKAGES_TEST $PACKAGES_BENCH
if [ -n "$orthanc_is_new" ]; then
    # Debian starts it as a service; here it runs only while it is measured.
    systemctl disable --now orthanc >/dev/null 2>&1 ||
        { service orthanc stop && update-rc.d orthanc disable; } >/dev/null 2>&1 || true
fi
case " ${parts[*]} " in *" upload "* | *" e2e "*) tests/support/npm_install.sh ;; esac

cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/release -- --quiet

mkdir -p build/bench
failed=0
for part in "${parts[@]}"; do
    echo "== $part"
    python3 "tests/bench/$part.py" --json "build/bench/$part.json" "$@" || failed=1
done
exit $failed
