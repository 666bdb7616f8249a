"""What can stand between the bridge and Aurabox: a way that misbehaves on the wire, until it is healed
and forwards every request to a sandbox; and a proxy that refuses.

Standard library and the openssl command only; everything is on 127.0.0.1.
"""

import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

BLOCK = 65536
HOLD_SECONDS = 600


# ---- bytes ----

def read_head(connection):
    """The request line and headers, byte by byte, so that nothing of the body is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) > BLOCK:
            raise ConnectionError("no whole request came")
        head += byte
    return head


def body_length(head):
    found = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    return int(found.group(1)) if found else 0


def copy(source, sink, length=None):
    """So many bytes, or all."""
    while length is None or length > 0:
        block = source.recv(BLOCK if length is None else min(BLOCK, length))
        if not block:
            return
        sink.sendall(block)
        if length is not None:
            length -= len(block)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hold(connection):
    """Reads what comes and says nothing, until the peer gives up."""
    connection.settimeout(HOLD_SECONDS)
    while connection.recv(BLOCK):
        pass


def answer(connection, status, body=b"", content_type="text/plain"):
    connection.sendall(b"HTTP/1.1 %d Scripted\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
                       b"Connection: close\r\n\r\n%s"
                       % (status, content_type.encode(), len(body), body))
    try:  # what is not read would make the end a reset, and the answer may be lost
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        while connection.recv(BLOCK):
            pass
    except OSError:
        pass


# ---- misbehaviours: each takes a connection; those of HTTP take the head of the request, too ----

def silent(connection):
    hold(connection)


def reset_at_once(connection):
    reset(connection)


def no_http(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    hold(connection)


def closed(connection, head):
    del connection, head


def silent_http(connection, head):
    del head
    hold(connection)


def cut_header(connection, head):
    status = b"201 Created" if head.startswith(b"POST") else b"200 OK"
    copy(connection, Nowhere(), body_length(head))
    connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nX-Cut: he")


def endless_header(connection, head):
    copy(connection, Nowhere(), body_length(head))
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def dripping_header(connection, head):
    copy(connection, Nowhere(), body_length(head))
    connection.sendall(b"HTTP/1.1 204 No Content\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.1)


class Nowhere:
    def sendall(self, block):
        pass


# ---- certificates ----

class Certificates:
    """A certificate authority, and server certificates of several sorts, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("other-ca")
        self.server("good", "ca", "IP:127.0.0.1,DNS:localhost", 30)
        self.server("expired", "ca", "IP:127.0.0.1,DNS:localhost", -1)
        self.server("name", "ca", "DNS:other.example", 30)
        self.server("untrusted", "other-ca", "IP:127.0.0.1,DNS:localhost", 30)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                     f"/CN={name}", "-keyout", self.path(f"{name}.key"), "-out",
                     self.path(f"{name}.pem"))

    def server(self, name, authority, names, days):
        with open(self.path("names"), "w") as file:
            file.write(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=server", "-keyout",
                     self.path(f"{name}.key"), "-out", self.path("request"))
        self.openssl("x509", "-req", "-in", self.path("request"), "-CA",
                     self.path(f"{authority}.pem"), "-CAkey", self.path(f"{authority}.key"),
                     "-CAcreateserial", "-days", str(days), "-extfile", self.path("names"),
                     "-out", self.path(f"{name}.pem"))

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context


# ---- servers ----

class Listener:
    """Accepts on a port of its own, a thread for each connection."""

    def __init__(self, listens=True):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.count = 0  # of connections
        self.thread = threading.Thread(target=self.accept, daemon=True)
        if listens:
            self.listen()

    def listen(self):
        self.socket.listen(64)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with connection:
            try:
                self.serve(connection)
            except (OSError, ValueError):  # the peer gave up, or TLS failed
                pass

    def close(self):
        self.socket.close()


class Way(Listener):
    """Misbehaves until heal(), then forwards to the sandbox at `target`.

    at: what is done with each connection, or None.
    http: what is done with each request that matches `where`, at most `times` times, or None.
    certificate: with TLS, by this certificate, and by the good one when healed.
    tus_host: what the sandbox is told to have been asked as, in the config call alone: there it says
    that its Tus server is.
    """

    def __init__(self, target, at=None, http=None, where=".", times=None, certificate=None,
                 certificates=None, refuse=False, most_body=None, tus_host=None):
        self.target, self.at, self.http = target, at, http
        self.where, self.times, self.most_body = re.compile(where.encode()), times, most_body
        self.tls = certificates.context(certificate) if certificate else None
        self.certificates, self.lock = certificates, threading.Lock()
        self.tus_host = tus_host
        super().__init__(listens=not refuse)
        self.refuses = refuse

    def heal(self):
        self.at = self.http = self.tus_host = None
        if self.tls:
            self.tls = self.certificates.context("good")
        if self.refuses:
            self.listen()

    def serve(self, connection):
        if self.at:
            self.at(connection)
            return
        if self.tls:
            connection.settimeout(HOLD_SECONDS)
            connection = self.tls.wrap_socket(connection, server_side=True)
        head = read_head(connection)
        if self.is_due(head):
            self.http(connection, head)
        elif self.most_body is not None and body_length(head) > self.most_body:
            copy(connection, Nowhere(), self.most_body)  # and nobody gets it
        else:
            self.forward(connection, head)

    def is_due(self, head):
        if not self.http or not self.where.search(head.split(b"\r\n")[0]):
            return False
        with self.lock:
            if self.times is not None:
                self.times -= 1
                return self.times >= 0
        return True

    def forward(self, connection, head):
        line, rest = head.split(b"\r\n", 1)
        added = b"Connection: close\r\n"
        if self.tls:
            added += b"X-Forwarded-Proto: https\r\n"
        if self.tus_host and b"/uploader/config" in line:
            rest = re.sub(rb"(?im)^host:.*$", b"Host: " + self.tus_host.encode() + b"\r", rest)
        with socket.create_connection(("127.0.0.1", self.target), timeout=60) as server:
            server.sendall(line + b"\r\n" + added + rest)
            copy(connection, server, body_length(head))
            copy(server, connection)


class SilentPort(Listener):
    """Answers no SYN: its queue is full. Healed, it is a Way to the target."""

    def __init__(self, target):
        super().__init__(listens=False)
        self.target = target
        self.socket.listen(0)
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(filler)

    def heal(self):
        for filler in self.fillers:
            filler.close()
        self.socket.listen(64)
        self.thread.start()

    def serve(self, connection):
        head = read_head(connection)
        Way.forward(self, connection, head)

    tls = tus_host = None


class Proxy(Listener):
    """An HTTP proxy. `modes` says for the port of a target what is done: a function of the
    connection and the head, or a status; ports that are not there are let through."""

    def __init__(self):
        self.modes = {}
        super().__init__()

    def serve(self, connection):
        head = read_head(connection)
        line, rest = head.split(b"\r\n", 1)
        method, target, version = line.split(b" ")
        port = int(re.search(rb":(\d+)", target.split(b"//")[-1]).group(1))
        mode = self.modes.get(port)
        if callable(mode):
            mode(connection, head)
        elif isinstance(mode, int):
            answer(connection, mode, b"<html>no</html>", "text/html")
        elif method == b"CONNECT":
            self.tunnel(connection, port)
        else:
            path = b"/" + target.split(b"//", 1)[1].split(b"/", 1)[1]
            with socket.create_connection(("127.0.0.1", port), timeout=60) as server:
                server.sendall(b" ".join((method, path, version)) +
                               b"\r\nConnection: close\r\n" + rest)
                copy(connection, server, body_length(head))
                copy(server, connection)

    def tunnel(self, connection, port):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as server:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=self.copy_back, args=(server, connection), daemon=True)
            back.start()
            copy(connection, server)
            server.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def copy_back(server, connection):
        try:
            copy(server, connection)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def sign_in_page(connection, head):
    copy(connection, Nowhere(), body_length(head))
    answer(connection, 200, b"<html>Please sign in</html>", "text/html")
