# SPDX-License-Identifier: MIT
"""The emulator's side of the link (include/azblob/vsp_link.h), with bytes in the messages."""

import itertools
import os
import socket
import struct
import threading
import time

HELLO, WELCOME, REQUEST, COMPLETE, CANCEL, ACK = 1, 2, 7, 8, 9, 11
RESENT, INLINE = 1, 2
MAGIC = 0x4b4e494c425a41ff
FEATURE_RESEND = 2
USER_REQUEST = 0x100
HEADER = struct.Struct("<IHHQ")


class LinkAnswer:
    def __init__(self, status, response, data):
        self.wire = status
        self.data = data
        head, _, rest = response.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if response else None
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.body = data or rest

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    @property
    def code(self):
        return self["x-ms-error-code"]

    def __repr__(self):
        return "<%#x %s %s %r>" % (self.wire, self.status, self.headers, self.body[:300])


class Link:
    """One connection; requests may be made from many threads."""

    def __init__(self, path, session=None):
        self.session = session or os.urandom(16)
        self.lock = threading.Lock()
        self.ids = itertools.count(1)
        self.waiting = {}
        self.no_acks = False
        # a session is refused as long as the connection it had before is being ended
        deadline = time.monotonic() + 60
        while not self.hello(path):
            assert time.monotonic() < deadline, "refused"
            time.sleep(0.05)
        threading.Thread(target=self.receive, daemon=True).start()

    def hello(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        body = struct.pack("<QIIQ", MAGIC, 1, 1, FEATURE_RESEND) + self.session + bytes(16)
        self.socket.sendall(HEADER.pack(16 + len(body), HELLO, 0, 0) + body)
        kind, _, _, _ = self.read(with_fd=True)
        return kind == WELCOME

    def read(self, with_fd=False):
        if with_fd:
            data, fds, _, _ = socket.recv_fds(self.socket, 16, 1)
            for fd in fds:
                os.close(fd)
        else:
            data = b""
        while len(data) < 16:
            more = self.socket.recv(16 - len(data))
            if not more:
                raise EOFError
            data += more
        length, kind, flags, number = HEADER.unpack(data)
        body = bytearray()
        while len(body) < length - 16:
            more = self.socket.recv(min(1 << 20, length - 16 - len(body)))
            if not more:
                raise EOFError
            body += more
        return kind, flags, number, bytes(body)

    def receive(self):
        try:
            while True:
                kind, flags, number, body = self.read()
                if kind != COMPLETE:
                    continue
                if flags & 1 and not self.no_acks:
                    with self.lock:
                        self.socket.sendall(HEADER.pack(16, ACK, 0, number))
                event, box = self.waiting.pop(number)
                status, response, data, _ = struct.unpack_from("<IIII", body)
                box.append(LinkAnswer(status, body[16:16 + response],
                                      body[16 + response:16 + response + data]))
                event.set()
        except (EOFError, OSError):
            for event, _ in self.waiting.values():
                event.set()

    def submit(self, head, body=b"", room=0, response_room=64 << 10, flags=0, number=None):
        number = number or next(self.ids)
        event, box = threading.Event(), []
        self.waiting[number] = (event, box)
        head = head if isinstance(head, bytes) else head.encode("latin-1")
        pad = -len(head) % 8
        fixed = struct.pack("<IIIIIIII16x", USER_REQUEST, 0, len(head), response_room,
                            len(body) or room, len(body), 0, 0)
        payload = fixed + head + bytes(pad) + body
        with self.lock:
            self.socket.sendall(HEADER.pack(16 + len(payload), REQUEST, INLINE | flags, number)
                                + payload)
        return number, event, box

    def cancel(self, number):
        with self.lock:
            self.socket.sendall(HEADER.pack(16, CANCEL, 0, number))

    def call(self, *arguments, **options):
        number, event, box = self.submit(*arguments, **options)
        assert event.wait(120), "request %d has no answer" % number
        assert box, "the link ended"
        return box[0]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def head_of(client, method, path, body=None, headers=None, sign=True):
    """A request's head as `client` (blobclient.Client) would sign and send it."""
    target, sent = client.head(method, path, body, headers, sign=sign)
    sent = {"Host": "127.0.0.1:%d" % client.port, **sent}
    lines = ["%s %s HTTP/1.1" % (method, target)] + ["%s: %s" % pair for pair in sent.items()]
    return "\r\n".join(lines) + "\r\n\r\n"


def plain_head(method, target, headers=None):
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: vsp"]
    lines += ["%s: %s" % pair for pair in (headers or {}).items()]
    return "\r\n".join(lines) + "\r\n\r\n"
