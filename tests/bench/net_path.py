#!/usr/bin/env python3
"""A long line on this machine: two network namespaces and net_delay between them.

    with Path(net_delay, delay_ms=50, rate_mbit=1000, loss_percent=0.1) as path:
        print(path.measure())                       # the round trip, by TCP
        server = path.popen("right", [...])         # listens on path.address["right"]
        subprocess.run(path.inside("left", [...]))  # sends

Nothing has to be cleaned up after a crash: the namespaces, the devices and the emulator are gone
when this process is. It needs root, a kernel with TUN, and nsenter (util-linux).

By hand, for a look:  net_path.py NET_DELAY [--delay MS] [--rate MBIT] [--loss PERCENT] -- COMMAND…
runs COMMAND at the left end, with `iperf3 -s` or the like started by it at the right one through
$NET_PATH_RIGHT.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

# What Debian 12 has at an end that sends; Linux computes them from the memory, and with 1 GiB or
# more they are these.
DEBIAN = {
    "net/ipv4/tcp_wmem": "4096 16384 4194304",
    "net/ipv4/tcp_rmem": "4096 131072 6291456",
    "net/ipv4/tcp_congestion_control": "cubic",
    # Otherwise a connection begins with what the one before had learned: no two runs are alike.
    "net/ipv4/tcp_no_metrics_save": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
}
# A cloud's server on a long line is set up for it; what is measured is who sends.
SERVER = dict(DEBIAN, **{"net/ipv4/tcp_rmem": "4096 131072 67108864"})
# The variant: what an operator may give the sender.
LARGE_SEND_BUFFERS = {"net/ipv4/tcp_wmem": "4096 16384 67108864"}


class Unavailable(Exception):
    """This machine cannot have such a path; says why."""


class Broken(Exception):
    """The path was there and has ended."""


class Path:
    """One line. `sysctls` are for the left end, over those of Debian."""

    def __init__(self, program, delay_ms=50, rate_mbit=1000, loss_percent=0, seed=1, queue_kib=None,
                 mtu=1500, offload=True, sysctls=None):
        self.command = [program, "--delay", str(delay_ms), "--rate", str(rate_mbit),
                        "--loss", str(loss_percent), "--seed", str(seed), "--mtu", str(mtu)]
        if queue_kib is not None:
            self.command += ["--queue", str(queue_kib)]
        if not offload:
            self.command.append("--no-offload")
        self.sysctls = {"left": dict(DEBIAN, **(sysctls or {})), "right": dict(SERVER)}
        self.process, self.namespace, self.address = None, {}, {}
        self.children = []

    def __enter__(self):
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                            text=True)
        except OSError as failure:
            raise Unavailable(f"the emulator does not start: {failure}") from failure
        line = self.process.stdout.readline()
        if not line:
            said = self.process.stderr.read().strip()
            self.__exit__(None, None, None)
            raise Unavailable(said or "net_delay ended without a word")
        found = json.loads(line)
        try:
            with allowed_congestion_control("cubic"):
                for end in ("left", "right"):
                    self.namespace[end] = found[end]
                    self.address[end] = found[f"{end}_address"]
                    self.set(end, self.sysctls[end])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for child in self.children:
            end_process(child)
        if self.process:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()

    def inside(self, end, command):
        """The command line that runs `command` at this end."""
        return ["nsenter", f"--net={self.namespace[end]}", "--", *command]

    def popen(self, end, command, **options):
        """Starts a command that ends with the path."""
        child = subprocess.Popen(self.inside(end, command), **options)
        self.children.append(child)
        return child

    def set(self, end, values):
        """Sets sysctls, names and values; reads them back."""
        script = ('while [ $# -gt 0 ]; do echo "$2" >"/proc/sys/$1"; cat "/proc/sys/$1"; shift 2; '
                  "done")
        words = [word for pair in values.items() for word in pair]
        done = subprocess.run(self.inside(end, ["sh", "-ec", script, "sh", *words]),
                              capture_output=True, text=True, check=False)
        found = [line.split() for line in done.stdout.splitlines()]
        for at, (name, value) in enumerate(values.items()):
            if found[at:at + 1] != [value.split()]:
                raise Unavailable(f"{name} of the {end} end cannot be set to {value}: "
                                  f"{done.stderr.strip() or 'it stays as it is'}")

    def stats(self):
        """What went over the line so far, and how late the emulator was with it."""
        try:
            self.process.stdin.write("stats\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise Broken(f"net_delay has ended: {self.process.stderr.read().strip()}")
        found = json.loads(line)
        for end in ("left", "right"):
            found[f"device_dropped_{end}"] = self.device_dropped(end)
        return found

    def device_dropped(self, end):
        """Packets that the kernel dropped because the emulator did not read in time."""
        lines = subprocess.run(self.inside(end, ["cat", "/proc/net/dev"]), capture_output=True,
                               text=True, check=True).stdout.splitlines()
        fields = next(line for line in lines if line.strip().startswith("line:")).split(":")[1]
        return int(fields.split()[11])

    def measure(self, times=5):
        """Round trips of a byte over TCP, in milliseconds: the median."""
        echo = self.popen("right", [sys.executable, __file__, "--echo", self.address["right"]],
                          stdout=subprocess.PIPE, text=True)
        port = echo.stdout.readline().strip()
        done = subprocess.run(self.inside("left", [sys.executable, __file__, "--probe",
                                                   self.address["right"], port, str(times)]),
                              capture_output=True, text=True, check=True)
        end_process(echo)
        echo.stdout.close()
        self.children.remove(echo)
        return float(done.stdout)


@contextlib.contextmanager
def allowed_congestion_control(name):
    """For as long as it takes to choose it: a namespace's default must be among those that anyone
    may use, and where the machine's own default is another, cubic may not be."""
    path = "/proc/sys/net/ipv4/tcp_allowed_congestion_control"
    with open(path) as file:
        before = file.read().strip()
    if name in before.split():
        yield
        return
    try:
        write(path, f"{before} {name}")
        yield
    finally:
        write(path, before)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Loopback:
    """The same face on loopback, as it is."""

    namespace = {}
    address = {"left": "127.0.0.1", "right": "127.0.0.1"}

    def __init__(self):
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            end_process(child)

    def inside(self, _end, command):
        return list(command)

    def popen(self, _end, command, **options):
        child = subprocess.Popen(command, **options)
        self.children.append(child)
        return child


def end_process(child):
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


# ---- the probe ----

def echo(address):
    with socket.create_server((address, 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            peer, _ = server.accept()
            threading.Thread(target=echo_one, args=(peer,), daemon=True).start()


def echo_one(peer):
    with peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while byte := peer.recv(1):
            peer.sendall(byte)


def probe(address, port, times):
    found = []
    with socket.create_connection((address, port), timeout=30) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(times):
            begun = time.perf_counter()
            peer.sendall(b"?")
            peer.recv(1)
            found.append((time.perf_counter() - begun) * 1000)
    print(statistics.median(found))


def main():
    if sys.argv[1:2] == ["--echo"]:
        return echo(sys.argv[2])
    if sys.argv[1:2] == ["--probe"]:
        return probe(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("net_delay")
    parser.add_argument("--delay", type=float, default=50, help="one way, ms")
    parser.add_argument("--rate", type=float, default=1000, help="Mbit/s; 0: none")
    parser.add_argument("--loss", type=float, default=0, help="percent")
    parser.add_argument("--no-offload", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    with Path(given.net_delay, given.delay, given.rate, given.loss,
              offload=not given.no_offload) as path:
        print(f"round trip {path.measure():.2f} ms", file=sys.stderr)
        environment = dict(os.environ, NET_PATH_RIGHT=" ".join(path.inside("right", [])),
                           NET_PATH_RIGHT_ADDRESS=path.address["right"])
        status = subprocess.run(path.inside("left", given.command), env=environment,
                                check=False).returncode
        print(json.dumps(path.stats()), file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main())
