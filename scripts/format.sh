#!/bin/sh
# Formats every C and C++ file as .clang-format says; --check only tells which ones differ.
set -eu
cd -- "$(dirname -- "$0")/.."

case ${1-} in
--check) set -- --dry-run -Werror ;;
'') set -- -i ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
command -v clang-format >/dev/null || {
    echo "clang-format is missing; scripts/packages.sh test installs it" >&2
    exit 1
}
find src include tests \( -name node_modules -prune \) -o \
    \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 | xargs -0 -r clang-format "$@"
