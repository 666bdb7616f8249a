#!/bin/sh
# Installs the pinned servers of tests/integration/package-lock.json beside it, once.
# Does nothing when the installed versions are those of the lock file.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
integration=$here/../integration
stamp=$integration/node_modules/.aurabridge-lock

if [ -f "$stamp" ] && cmp -s "$stamp" "$integration/package-lock.json"; then
    exit 0
fi
cd "$integration"
npm ci --omit=optional --no-audit --no-fund --loglevel=error
cp package-lock.json "$stamp"
