# SPDX-License-Identifier: MIT
"""A server upstream that does what a test tells it, and remembers what it was sent.

`script` is a list of acts; each request takes the first one.  Without any, every request gets a
plain success.  An act is a function of (exchange); what it returns does not count.
"""

import socket
import ssl
import struct
import threading

from servers import listener


class Exchange:
    """One request, as far as it was read."""

    def __init__(self, server, connection, stream, number):
        self.server = server
        self.connection = connection
        self.stream = stream
        self.number = number  # of the connection
        line = stream.readline(65536)
        if not line:
            raise EOFError
        self.method, self.target, _ = line.decode("latin-1").split(" ")
        self.headers = {}
        self.fields = []  # as they came, repetitions too
        while (line := stream.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            self.headers[name.lower()] = value.strip()
            self.fields.append((name, value.strip()))
        self.body = b""
        self.open = True

    def read_body(self):
        left = int(self.headers.get("content-length", "0")) - len(self.body)
        while left > 0:
            data = self.stream.read(min(left, 1 << 20))
            if not data:
                raise EOFError
            self.body += data
            left -= len(data)

    def send(self, data):
        self.connection.sendall(data)

    def close(self):
        self.open = False

    def reset(self):
        """The connection is gone at once, without TLS's goodbye."""
        self.open = False
        # the descriptor is the TLS object's: a reset in place of a FIN when it closes
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def head(status, headers, reason="Whatever"):
    lines = ["HTTP/1.1 %d %s" % (status, reason)]
    lines += ["%s: %s" % pair for pair in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(status, headers=None, body=b""):
    """The usual: the whole request is read, and answered."""
    def act(exchange):
        exchange.read_body()
        sent = {"x-ms-request-id": "upstream-id", "Content-Length": len(body), **(headers or {})}
        exchange.send(head(status, sent) + (b"" if exchange.method == "HEAD" else body))
    return act


def early(status, headers=None, body=b""):
    """Answered before the body was read, and closed."""
    def act(exchange):
        sent = {"Content-Length": len(body), "Connection": "close", **(headers or {})}
        exchange.send(head(status, sent) + body)
        exchange.server.drain(exchange)
        exchange.close()
    return act


def lost():
    """The whole request has come; then the connection is reset without an answer."""
    def act(exchange):
        exchange.read_body()
        exchange.reset()
    return act


def cut_in_body(length):
    """Reset when so much of the request's body has come."""
    def act(exchange):
        exchange.body = exchange.stream.read(length)
        exchange.reset()
    return act


def truncated(status, headers, body, length):
    """The head promises more than comes."""
    def act(exchange):
        exchange.read_body()
        exchange.send(head(status, {"Content-Length": len(body), **headers}) + body[:length])
        exchange.close()
    return act


def raw(data):
    def act(exchange):
        exchange.read_body()
        exchange.send(data)
        exchange.close()
    return act


def ranged(content, etag='"0x1"', limit=None):
    """Blob bytes as Get Blob gives them, by x-ms-range or Range; at most @limit of them come."""
    def act(exchange):
        exchange.read_body()
        wanted = exchange.headers.get("x-ms-range") or exchange.headers.get("range")
        match = exchange.headers.get("if-match")
        if match and match != etag:
            exchange.send(head(412, {"Content-Length": 0, "x-ms-error-code": "ConditionNotMet"}))
            return
        headers = {"ETag": etag, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
                   "x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        status, first, last = 200, 0, len(content) - 1
        if wanted:
            left, _, right = wanted.partition("=")[2].partition("-")
            status, first, last = 206, int(left), int(right or len(content) - 1)
            last = min(last, len(content) - 1)
            headers["Content-Range"] = "bytes %d-%d/%d" % (first, last, len(content))
        part = content[first:last + 1]
        headers["Content-Length"] = len(part)
        exchange.send(head(status, headers))
        if exchange.method != "HEAD":
            exchange.send(part if limit is None else part[:limit])
        if limit is not None and limit < len(part):
            exchange.close()
    return act


def hold(event, then):
    """Does nothing before the event is set."""
    def act(exchange):
        exchange.read_body()
        event.wait(120)
        then(exchange)
    return act


class Fake:
    """The server; one thread for each connection."""

    def __init__(self, certificates=None, port=0):
        self.context = certificates.server() if certificates else None
        self.server = listener(port)
        self.port = self.server.getsockname()[1]
        self.lock = threading.Lock()
        self.script = []
        self.default = answer(200)
        self.requests = []
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self.serve, args=(client, number), daemon=True).start()

    def serve(self, client, number):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True,
                                                  suppress_ragged_eofs=True)
            with client, client.makefile("rb") as stream:
                while True:
                    exchange = Exchange(self, client, stream, number)
                    with self.lock:
                        self.requests.append(exchange)
                        act = self.script.pop(0) if self.script else self.default
                    act(exchange)
                    if not exchange.open:
                        break
        except (EOFError, OSError, ssl.SSLError, ValueError):
            client.close()

    @staticmethod
    def drain(exchange):
        """So that a close does not overtake the answer as a reset."""
        try:
            exchange.read_body()
        except (EOFError, OSError):
            pass

    def take(self):
        """The requests since the last time; the script must have been used up."""
        with self.lock:
            assert not self.script, "%d acts were not asked for" % len(self.script)
            requests, self.requests = self.requests, []
            self.default = answer(200)
        return requests

    def stop(self):
        # a close alone would leave the socket to the accept() that is under way
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
