#!/usr/bin/env python3
"""counting_relay.py PORT: forwards connections to 127.0.0.1:PORT byte by byte, and counts them.

Prints "listening PORT" once it does, then "connection N" for each one that comes.
"""

import socket
import sys
import threading

BLOCK = 65536


def forward(source, sink):
    try:
        while block := source.recv(BLOCK):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def main():
    server = socket.create_server(("127.0.0.1", 0))
    print("listening", server.getsockname()[1], flush=True)
    count = 0
    while True:
        client, _ = server.accept()
        count += 1
        print("connection", count, flush=True)
        target = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        for ends in ((client, target), (target, client)):
            threading.Thread(target=forward, args=ends, daemon=True).start()


main()
