#!/bin/sh
# Installs what a folder's package-lock.json pins beside it, once: npm_install.sh [FOLDER], the
# servers of tests/integration where none is given.
# Does nothing when the installed versions are those of the lock file.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/../integration}
stamp=$folder/node_modules/.aurabridge-lock

# Tests that begin together do not install over each other.
exec 9<"$folder/package.json"
flock 9
if [ -f "$stamp" ] && cmp -s "$stamp" "$folder/package-lock.json"; then
    exit 0
fi
cd "$folder"
npm ci --omit=optional --no-audit --no-fund --loglevel=error
cp package-lock.json node_modules/.aurabridge-lock
