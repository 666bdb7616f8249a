#!/usr/bin/env bats
# What a newcomer does first: the demo, and the commands that README.md prints.

load world.bash

setup() {
    world_setup
    ROOT=$AURABRIDGE_SUPPORT/../..
    export TMPDIR="$WORLD/tmp" AURABRIDGE_PROGRAM="$WORLD/aurabridge"
    mkdir "$TMPDIR" "$WORLD/bin"
    # A path of our own, so that what is left running can be told from other tests' programs.
    ln -s "$AURABRIDGE" "$AURABRIDGE_PROGRAM"
    # Everything is installed when tests run: whoever asks for more has a name wrong.
    printf '#!/bin/sh\necho "apt-get $*" >&2\nexit 100\n' >"$WORLD/bin/apt-get"
    chmod +x "$WORLD/bin/apt-get"
    PATH="$WORLD/bin:$PATH"
}

# The programs of this world, by its own path; none before there is a world.
programs() {
    [ -n "${WORLD:-}" ] || return 0
    pgrep -f "^$WORLD/(tree/build/demo/)?aurabridge " || true
}

teardown() {
    local pid
    for pid in $(programs); do
        kill -9 "$pid" 2>/dev/null || true
    done
    world_teardown
}

nothing_is_left() {
    [ -z "$(programs)" ] && [ -z "$(ls -A "$TMPDIR")" ]
}

# demo_start [OPTION]: in a process group of its own, which a Ctrl-C can reach.
demo_start() {
    : >"$WORLD/demo.log" # the last demo's words are not this one's
    setsid env --default-signal=INT,TERM,HUP "$ROOT/scripts/demo.sh" "$@" \
        </dev/null >"$WORLD/demo.log" 2>&1 3>&- &
    DEMO_PID=$!
    EXTRA_PIDS=$DEMO_PID
}

@test "the demo shows three studies, ends with 0 and leaves nothing" {
    run "$ROOT/scripts/demo.sh"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c 'all equal to those sent' <<<"$output")" = 3 ]
    [[ "$output" == *"やまだ^たろう"*" 12 "* ]]
    [[ "$output" == *"3 of 3 studies seen, 44 instances: 3 completed"* ]]
    [[ "$output" == *"What to try next:"* ]]
    nothing_is_left
}

@test "the demo needs no UTF-8 terminal" {
    PYTHONIOENCODING=ascii run "$ROOT/scripts/demo.sh"
    echo "$output"
    [ "$status" -eq 0 ]
    nothing_is_left
}

@test "a demo that is interrupted leaves nothing" {
    local row signal line code status
    for row in "INT:Making three:130" "INT:The bridge listens:130" "TERM:The bridge listens:143" \
        "HUP:studies seen:129"; do
        IFS=: read -r signal line code <<<"$row"
        echo "$row"
        demo_start
        wait_until 60 grep -q "$line" "$WORLD/demo.log"
        kill -s "$signal" -- "-$DEMO_PID"
        kill -s "$signal" "$DEMO_PID" || true # as a shell does before the terminal
        status=0
        wait "$DEMO_PID" || status=$?
        cat "$WORLD/demo.log"
        [ "$status" -eq "$code" ]
        [ -z "$(pgrep -f "^$WORLD/aurabridge (serve|sandbox) ")" ]
        # The watcher's own `studies` command got the signal too, but nobody waits for its end.
        wait_until 10 nothing_is_left
    done
}

@test "demo --keep leaves both running, and its printed commands work" {
    demo_start --keep
    wait "$DEMO_PID"
    cat "$WORLD/demo.log"
    [ "$(programs | wc -l)" = 2 ]
    local commands
    commands=$(sed -n '/^Try:/,/^End it:/s/^  //p' "$WORLD/demo.log")
    [ "$(wc -l <<<"$commands")" = 2 ]
    (cd "$ROOT" && TMPDIR=$WORLD eval "${commands//\/tmp\/more/$WORLD/more}") >"$WORLD/studies"
    [ "$(grep -cE '^S[1-6] ' "$WORLD/studies")" = 6 ]
    eval "$(sed -n '/^End it:/,$s/^  //p' "$WORLD/demo.log")"
    wait_until 30 nothing_is_left
}

# A copy of the scripts, and a cmake that says what ninja would.
fake_build() {
    mkdir "$WORLD/tree"
    cp -r "$ROOT/scripts" "$WORLD/tree/"
    cat >"$WORLD/bin/cmake" <<SH
#!/bin/sh
[ "\$1" = --build ] || exit 0
echo "[1/2] Compiling it"
echo "[2/2] Linking it"
ln -s "$AURABRIDGE_PROGRAM" "$WORLD/tree/build/demo/aurabridge"
exit $1
SH
    chmod +x "$WORLD/bin/cmake"
    printf 'packages_install() { :; }\n' >>"$WORLD/tree/scripts/packages.sh"
    unset AURABRIDGE_PROGRAM
}

@test "the demo shows how far its build is, to those who look" {
    fake_build 0
    run script -qec "$WORLD/tree/scripts/demo.sh" /dev/null
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"Linking it"* ]]
    [ "$(grep -c 'all equal to those sent' <<<"$output")" = 3 ]
}

@test "the demo shows why its build failed" {
    fake_build 1
    run "$WORLD/tree/scripts/demo.sh"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"[2/2] Linking it"*"The build failed; all of its output is in $WORLD/tree/build/demo/"* ]]
    nothing_is_left
}

@test "the commands that the documents print are there" {
    local line
    while read -r line; do
        echo "$line"
        (cd "$ROOT" && bash -euc "$line")
    done < <(grep -hoE '^ *[^|`]*packages[^|`#]*' "$ROOT/README.md" "$ROOT/CONTRIBUTING.md")
    while read -r line; do
        echo "aurabridge $line"
        "$AURABRIDGE" "$line" --help
    done < <(grep -hoE '^ *((runuser|setpriv) .*)?aurabridge [a-z]+|`aurabridge [a-z]+' \
        "$ROOT/README.md" | sed 's/.*aurabridge //' | sort -u)
}
