#!/bin/sh
# The law of the rooms, checked by their #include lines: a room uses only rooms of lower rank,
# stages never use each other, and a library's headers stay in the room that owns the library.
# Prints the offending lines and ends with 1.
set -eu
cd -- "$(dirname -- "$0")/.."

# shellcheck disable=SC2016  # the dollar signs are awk's
find include src -name '*.[ch]' -o -name '*.cc' -o -name '*.hh' | sort | xargs awk '
BEGIN {
    # Lower ranks first; rooms on one line have one rank and do not know each other.
    order[0] = "base"
    order[1] = "model"
    order[2] = "dataset"
    order[3] = "config"
    order[4] = "ledger journal"
    order[5] = "net"
    order[6] = "dicom spool study validate route package aurabox tus"
    order[7] = "pipeline"
    order[8] = "admin"
    order[9] = "sandbox"
    order[10] = "cli"
    order[11] = "main"
    for (rank = 0; rank in order; rank++) {
        count = split(order[rank], names, " ")
        for (i = 1; i <= count; i++)
            rank_of[names[i]] = rank
    }
    # The room of each contract header, where it is not the name of the header.
    rooms = "error:base log:base clock:base buffer:base json:base fs:base digest:base " \
        "identifier:base text:base units:base uid:model ae_title:model attribute:model network:model " \
        "study_state:model instance:model stored_instance:dataset charset:dataset part10:dataset " \
        "ledger_audit:ledger ledger_due:ledger ledger_receipt:ledger " \
        "http:net press:package node:dicom bridge:pipeline control:admin operate:admin"
    count = split(rooms, pairs, " ")
    for (i = 1; i <= count; i++) {
        split(pairs[i], pair, ":")
        room_of[pair[1]] = pair[2]
    }
    allowed["package spool"] = 1 # the archive reads what the spool keeps
    # Headers of libraries: a pattern and the one room for it.
    owner["^cjson/"] = "base"
    owner["^curl/"] = "net"
    owner["^sqlite3"] = "ledger"
    owner["^dcmtk/"] = "dicom"
    owner["^microhttpd"] = "sandbox"
    owner["^yaml\\.h"] = "config"
}

function room_of_header(name) {
    return name in room_of ? room_of[name] : name
}

function complain(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, why, $0
    bad = 1
}

FNR == 1 {
    split(FILENAME, part, "/")
    if (part[1] == "src")
        room = part[2] == "main.c" ? "main" : part[2]
    else {
        room = part[3]
        sub(/\.h$/, "", room)
        room = room_of_header(room)
    }
    if (!(room in rank_of)) {
        printf "%s: room %s has no rank; add it to scripts/ranks.sh\n", FILENAME, room
        bad = 1
    }
}

/^[ \t]*#[ \t]*include/ {
    name = $0
    sub(/^[^"<]*["<]/, "", name)
    sub(/[">].*$/, "", name)
    for (pattern in owner)
        if (name ~ pattern && room != owner[pattern])
            complain("only " owner[pattern] " knows this library")
    if (name ~ /\.\./)
        complain("a path out of the room")
    if (name !~ /^aurabridge\//)
        next
    used = name
    sub(/^aurabridge\//, "", used)
    sub(/\.h$/, "", used)
    used = room_of_header(used)
    if (!(used in rank_of))
        complain("room " used " has no rank")
    else if (used != room && rank_of[used] >= rank_of[room] && !((room " " used) in allowed))
        complain(room " may not use " used)
}

END { exit bad }
' || exit 1
