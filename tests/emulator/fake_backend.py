# SPDX-License-Identifier: MIT
"""A backend for tests of the emulator: speaks include/azblob/vsp_link.h, well or badly.

A test drives it by hand (accept(), take(), complete()), or lets serve() answer everything.  The
process that the emulator watches is a child that does nothing, so that a test can end it.
"""

import mmap
import os
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field

HELLO, WELCOME, REGION_ADD, REGION_STATUS, REGION_DEL, REGION_GONE = 1, 2, 3, 4, 5, 6
REQUEST, COMPLETE, CANCEL, REFUSE, ACK, GOODBYE_BACKEND, GOODBYE_EMULATOR = 7, 8, 9, 10, 11, 12, 13
NAMES = {v: k for k, v in list(globals().items()) if k.isupper() and isinstance(v, int)}

HEADER = struct.Struct("<IHHQ")
HELLO_BODY = struct.Struct("<QIIQ16s16s")
WELCOME_BODY = struct.Struct("<IIIIQ")
REGION_ADD_BODY = struct.Struct("<QQ")
REQUEST_BODY = struct.Struct("<8I16s")
SEGMENT = struct.Struct("<IIQQ")
MAGIC = 0x4B4E494C425A41FF
REGIONS, RESEND = 1, 2
RESENT, INLINE = 1, 2
DATA_IN, DATA_OUT, RESPONSE = 1, 2, 3
STATUS_TIMEOUT, STATUS_CANCELLED, STATUS_FAILED = 0x80070102, 0x800703E3, 0x8007001F
CANCEL_TIMEOUT = 1
COMPLETE_ACK = 1
# What a broken emulator may take at most, in seconds
LIMIT = 120
MARK = b"R"


class Closed(Exception):
    """The emulator has closed the connection."""


@dataclass
class Message:
    """One message from the emulator."""
    type: int
    flags: int
    id: int
    body: bytes
    fds: list = field(default_factory=list)

    @property
    def name(self):
        return NAMES.get(self.type, self.type)


@dataclass
class Request:
    """A REQUEST, taken apart."""
    id: int
    flags: int
    operation: int
    timeout: int
    head: bytes
    response_length: int
    data_length: int
    data_valid: int
    segments: list
    payload: bytes


def pattern(length):
    """What packet_cases.c expects in a data buffer."""
    return bytes((i * 7 + 3) & 0xFF for i in range(length))


class Link:
    """One connection."""

    def __init__(self, backend, sock):
        self.backend = backend
        self.socket = sock
        self.hello = None
        self.regions = {}
        self._buffer = b""
        self._fds = []

    def close(self):
        for fd in self._fds:
            os.close(fd)
        self._fds = []
        for region in self.regions.values():
            region.close()
        self.regions = {}
        self.socket.close()

    # -- messages

    def _fill(self, count, timeout):
        deadline = time.monotonic() + timeout
        while len(self._buffer) < count:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, 16)
            except ConnectionResetError:
                data, fds = b"", []
            self._fds += fds
            if not data:
                raise Closed
            self._buffer += data

    def take(self, want=None, timeout=LIMIT):
        """The next message, or with want the next of that type (others must not come before)."""
        self._fill(HEADER.size, timeout)
        length, kind, flags, ident = HEADER.unpack_from(self._buffer)
        assert HEADER.size <= length <= 33 << 20, length
        self._fill(length, timeout)
        body, self._buffer = self._buffer[HEADER.size:length], self._buffer[length:]
        message = Message(kind, flags, ident, body)
        if kind == REGION_ADD:
            message.fds = [self._fds.pop(0)]
        assert want is None or kind == want, f"{message.name} instead of {NAMES[want]}"
        return message

    def send(self, kind, body=b"", *, ident=0, flags=0, fds=(), length=None):
        data = HEADER.pack(HEADER.size + len(body) if length is None else length, kind, flags,
                           ident) + body
        self.socket.settimeout(LIMIT)
        if fds:
            data = data[socket.send_fds(self.socket, [data], fds):]
        if data:
            self.socket.sendall(data)

    def is_silent(self):
        """Whether nothing is in the socket now: for a state in which all that comes has come."""
        self.socket.setblocking(False)
        try:
            return not self._buffer and not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True

    # -- the conversation

    def greet(self, **welcome):
        """HELLO and WELCOME, then the regions."""
        self.expect_hello()
        self.welcome(**welcome)
        return self

    def expect_hello(self):
        message = self.take(HELLO)
        names = ("magic", "version_min", "version_max", "features", "session", "instance")
        self.hello = dict(zip(names, HELLO_BODY.unpack(message.body)))
        assert message.id == 0 and message.flags == 0
        assert self.hello["magic"] == MAGIC
        assert self.hello["version_min"] <= 1 <= self.hello["version_max"]
        return self.hello

    def welcome(self, *, version=1, max_head=65536, max_inflight=1024, reserved=0, features=None,
                pidfd=True):
        if features is None:
            features = self.hello["features"]
        body = WELCOME_BODY.pack(version, max_head, max_inflight, reserved, features)
        if pidfd is True:
            fd = os.pidfd_open(self.backend.process.pid)
            self.send(WELCOME, body, fds=[fd])
            os.close(fd)
        elif pidfd is None:
            self.send(WELCOME, body)
        else:
            self.send(WELCOME, body, fds=[pidfd])

    def add_region(self, message, error=0):
        offset, size = REGION_ADD_BODY.unpack(message.body)
        fd = message.fds[0]
        assert offset % 4096 == 0 and size % 4096 == 0 and size
        if not error:
            self.regions[message.id] = mmap.mmap(fd, size, offset=offset)
        os.close(fd)
        self.send(REGION_STATUS, struct.pack("<II", error, 0), ident=message.id)

    def share_memory(self):
        """Takes the one region that the bare guest's machine has."""
        self.add_region(self.take(REGION_ADD))
        return self

    def take_request(self, region_error=0):
        """The next REQUEST; regions are answered on the way."""
        while True:
            message = self.take()
            if message.type == REGION_ADD:
                self.add_region(message, region_error)
            elif message.type != ACK:
                break
        assert message.type == REQUEST, message.name
        return self.parse(message)

    @staticmethod
    def parse(message):
        (operation, timeout, head_length, response_length, data_length, data_valid, count, reserved,
         _) = REQUEST_BODY.unpack_from(message.body)
        at = REQUEST_BODY.size
        head = message.body[at:at + head_length]
        padded = (head_length + 7) // 8 * 8
        assert not any(message.body[at + head_length:at + padded])
        at += padded
        segments = [SEGMENT.unpack_from(message.body, at + i * SEGMENT.size) for i in range(count)]
        at += count * SEGMENT.size
        payload = message.body[at:]
        assert message.id and not reserved and data_valid <= data_length
        if message.flags & INLINE:
            assert not count and len(payload) == data_valid
        else:
            assert not payload
            length = {use: sum(s[3] for s in segments if s[1] == use) for use in (1, 2, 3)}
            assert length == {DATA_IN: data_valid, DATA_OUT: 0 if data_valid else data_length,
                              RESPONSE: response_length}
            assert [s[1] for s in segments] == sorted(s[1] for s in segments)
        return Request(message.id, message.flags, operation, timeout, head, response_length,
                       data_length, data_valid, segments, payload)

    # -- guest memory

    def read(self, request, use):
        if request.flags & INLINE:
            return request.payload
        return b"".join(self.regions[s[0]][s[2]:s[2] + s[3]] for s in request.segments
                        if s[1] == use)

    def write(self, request, use, data):
        for region, which, offset, length in request.segments:
            if which == use:
                part, data = data[:length], data[length:]
                self.regions[region][offset:offset + len(part)] = part
        assert not data

    def complete(self, request, status=0, response=MARK, data=b"", *, flags=0):
        """Writes the answer where it belongs and says COMPLETE."""
        body = struct.pack("<IIII", status, len(response), len(data), 0)
        if request.flags & INLINE:
            body += response + data
        else:
            self.write(request, RESPONSE, response)
            if data:
                self.write(request, DATA_OUT, data)
        self.send(COMPLETE, body, ident=request.id, flags=flags)

    def answer(self, request, **more):
        """What the cases in packet_cases.c expect."""
        if request.data_valid:
            self.complete(request, response=self.read(request, DATA_IN)[:request.response_length],
                          **more)
        else:
            self.complete(request, data=pattern(request.data_length), **more)

    def serve(self, region_error=0, flags=0):
        """Answers everything until the emulator leaves; returns what was asked."""
        asked = []
        try:
            while True:
                message = self.take()
                if message.type == REGION_ADD:
                    self.add_region(message, region_error)
                elif message.type == REQUEST:
                    asked.append(self.parse(message))
                    self.answer(asked[-1], flags=flags)
                elif message.type == GOODBYE_EMULATOR:
                    self.send(GOODBYE_BACKEND)
                    return asked
                else:
                    assert message.type in (ACK, CANCEL, REGION_DEL), message.name
        except (Closed, BrokenPipeError, ConnectionResetError):
            return asked


class FakeBackend:
    """The listening socket, and the process that is watched."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = None
        self.process = None
        self.asked = []
        self._thread = None
        self._stop = False
        self.links = []
        self.listen()
        self.live()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)

    def unlisten(self):
        self.listener.close()
        os.unlink(self.path)

    def live(self):
        """A process to give a pidfd of."""
        self.process = subprocess.Popen(["sleep", "infinity"])

    def die(self):
        self.process.kill()
        self.process.wait()

    def accept(self, timeout=LIMIT):
        self.listener.settimeout(timeout)
        link = Link(self, self.listener.accept()[0])
        self.links.append(link)
        return link

    def serve_in_background(self, *, features=None, **how):
        """Serves one connection after the other until close()."""
        def run():
            while not self._stop:
                try:
                    link = self.accept(0.1)
                except (TimeoutError, socket.timeout):
                    continue
                try:
                    self.asked += link.greet(features=features).serve(**how)
                except (Closed, BrokenPipeError, ConnectionResetError):
                    pass
                link.close()
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop = True
        for link in self.links:
            try:
                # wakes the thread that reads from it, which a close would not
                link.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self._thread:
            self._thread.join(LIMIT)
        for link in self.links:
            link.close()
        self.listener.close()
        self.die()
