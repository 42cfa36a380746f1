# SPDX-License-Identifier: MIT
"""The host's end of tests/guest/agent.c, which describes the frames."""

import os
import shlex
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

FRAME = struct.Struct("<IIQII")
MAGIC = 0x47415A41
RUN, SIGNAL, PUT, PING = 1, 2, 3, 4
HELLO, STARTED, OUT, EXIT, DONE = 101, 102, 103, 104, 105
PUT_APPEND = 0x80000000
PUT_CHUNK = 8 << 20

# What the guest may be late by, on a busy machine under emulation.
GRACE = 60


class AgentError(Exception):
    """The guest does not answer, or could not do what it was told."""


class CommandFailed(AgentError):
    """A command ended with another status than was allowed."""


@dataclass
class Result:
    """How a command ended: status as subprocess has it (negative: the signal)."""
    argv: list
    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool

    @property
    def text(self):
        return self.stdout.decode(errors="replace")

    def check(self):
        if self.status or self.timed_out:
            how = "timed out" if self.timed_out else f"status {self.status}"
            raise CommandFailed(f"in the guest: {shlex.join(self.argv)}: {how}\n"
                                f"{self.text}{self.stderr.decode(errors='replace')}")
        return self


@dataclass
class Command:
    """One that runs in the guest."""
    agent: "Agent"
    number: int
    argv: list
    timeout: float
    pid: int = 0
    result: Result = None
    error: int = 0
    output: dict = field(default_factory=lambda: {1: bytearray(), 2: bytearray()})

    def signal(self, number=signal.SIGTERM):
        """Sends a signal to the command's whole process group."""
        self.agent.send(SIGNAL, self.number, number)

    def kill(self):
        self.signal(signal.SIGKILL)

    @property
    def stdout(self):
        with self.agent.changed:
            return bytes(self.output[1])

    @property
    def done(self):
        with self.agent.changed:
            return self.result is not None

    def wait_output(self, text, timeout=GRACE):
        """Waits until standard output holds text, or the command ends."""
        text = text.encode()
        self.agent.wait(lambda: text in self.output[1] or self.result, timeout,
                        f"{text!r} from {shlex.join(self.argv)}")
        if text not in self.output[1]:
            raise CommandFailed(f"{shlex.join(self.argv)} ended without saying {text!r}: "
                                f"{self.result}")

    def wait(self, timeout=None):
        """Waits for the end; returns a Result."""
        limit = timeout or self.timeout + GRACE
        self.agent.wait(lambda: self.result, limit, f"the end of {shlex.join(self.argv)}")
        return self.result


class Agent:
    """Talks to one guest.  alive is called while waiting; it raises when the guest is lost."""

    def __init__(self, path, alive=lambda: None):
        self.changed = threading.Condition()
        self.boot_id = None
        self._alive = alive
        self._commands = {}
        self._acks = {}
        self._next = 0
        self._lost = None
        self._rebooting = False
        self._send_lock = threading.Lock()
        self._reconnecting = False
        self._next_socket = None
        self._path = str(path)
        self._socket = self._connect()
        threading.Thread(target=self._read, daemon=True).start()

    def _connect(self):
        port = socket.socket(socket.AF_UNIX)
        port.connect(self._path)
        return port

    def reconnect(self):
        """Unplugs the port and plugs it in again, which the guest is told.

        What the guest sends in between is lost: for a guest that believes that nobody listens.
        """
        with self.changed:
            self._reconnecting = True
        with self._send_lock:
            self._socket.shutdown(socket.SHUT_RDWR)
            self.wait(lambda: not self._reconnecting, GRACE, "the port's other end")

    def follow(self, path, alive):
        """Before the guest moves to another QEMU, whose end of the port is path.

        The guest would be told of a port that nobody has opened there.  What it has said before is
        read first: that ends when the QEMU here does.
        """
        with self.changed:
            self._path = str(path)
            self._alive = alive
            self._next_socket = self._connect()

    def wait_followed(self, timeout=GRACE):
        """After the QEMU that the guest has left was ended."""
        self.wait(lambda: self._next_socket is None, timeout, "the port's end here")

    def run_again(self, command):
        """The guest is back where it still runs a command that has ended already."""
        with self.changed:
            command.result = None
            command.output = {1: bytearray(), 2: bytearray()}
            self._commands[command.number] = command

    def wait(self, condition, timeout, what):
        """Waits for a condition under self.changed."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not condition():
                if self._lost:
                    raise AgentError(f"{self._lost} while waiting for {what}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AgentError(f"no {what} within {timeout:.0f} s")
                self.changed.wait(min(left, 0.5))
                self._alive()

    def wait_hello(self, timeout):
        self.wait(lambda: self.boot_id, timeout, "agent in the guest")

    def expect_reboot(self):
        """Call before a reset: what runs is given up, the stream starts anew at HELLO."""
        with self.changed:
            self._rebooting = True
            self.boot_id = None
            self._commands.clear()
            self._acks.clear()

    def send(self, kind, number, arg=0, payload=b""):
        with self._send_lock:
            try:
                self._socket.sendall(FRAME.pack(MAGIC, kind, number, len(payload), arg) + payload)
            except OSError as error:
                raise AgentError(f"the guest's agent is gone: {error}") from error

    def start(self, argv, stdin=b"", timeout=120, env=None):
        """Starts a command; returns a Command."""
        argv = [os.fspath(a) for a in argv]
        strings = argv + [f"{k}={v}" for k, v in (env or {}).items()]
        payload = struct.pack("<IIII", len(argv), len(env or {}), len(stdin), int(timeout * 1000))
        payload += b"".join(os.fsencode(s) + b"\0" for s in strings) + stdin
        with self.changed:
            self._next += 1
            command = Command(self, self._next, argv, timeout)
            self._commands[command.number] = command
        self.send(RUN, command.number, 0, payload)
        self.wait(lambda: command.pid or command.error, GRACE, f"start of {shlex.join(argv)}")
        if command.error:
            raise AgentError(f"{shlex.join(argv)}: {os.strerror(command.error)}")
        return command

    def run(self, argv, stdin=b"", timeout=120, env=None, check=True):
        """Runs a command to its end; check raises when its status is not 0."""
        result = self.start(argv, stdin, timeout, env).wait()
        return result.check() if check else result

    def sh(self, script, timeout=120, check=True):
        """Runs a piece of shell."""
        return self.run(["sh", "-c", script], timeout=timeout, check=check)

    def _acked(self, kind, arg, payload, what, timeout=GRACE):
        with self.changed:
            self._next += 1
            number = self._next
        self.send(kind, number, arg, payload)
        self.wait(lambda: number in self._acks, timeout, what)
        error = self._acks.pop(number)
        if error:
            raise AgentError(f"{what}: {os.strerror(error)}")

    def ping(self, timeout=GRACE):
        self._acked(PING, 0, b"", "answer to a ping", timeout)

    def put(self, path, data, mode=0o755):
        """Writes a file in the guest."""
        name = os.fsencode(path) + b"\0"
        append = 0
        view = memoryview(data)
        while True:
            self._acked(PUT, mode | append, name + bytes(view[:PUT_CHUNK]), f"file {path}")
            view = view[PUT_CHUNK:]
            append = PUT_APPEND
            if not view:
                return

    def get(self, path, timeout=120):
        """Reads a file in the guest."""
        return self.run(["cat", path], timeout=timeout).stdout

    # -- the reading thread

    def _receive(self, count):
        data = bytearray()
        while len(data) < count:
            chunk = self._socket.recv(min(count - len(data), 1 << 20))
            if not chunk:
                with self.changed:
                    if not self._reconnecting and not self._next_socket:
                        raise EOFError("the guest's agent port was closed")
                    self._socket.close()
                    self._socket = self._next_socket or self._connect()
                    self._next_socket = None
                    self._reconnecting = False
                    self.changed.notify_all()
            data += chunk
        return bytes(data)

    def _resync(self):
        """After a reset there may be half a frame: skip to the next HELLO."""
        start = struct.pack("<IIQ", MAGIC, HELLO, 0)
        window = b""
        while not window.endswith(start):
            window = window[-(len(start) - 1):] + self._receive(1)
        length, arg = struct.unpack("<II", self._receive(8))
        return HELLO, 0, length, arg

    def _read(self):
        try:
            while True:
                with self.changed:
                    rebooting = self._rebooting
                if rebooting:
                    kind, number, length, arg = self._resync()
                else:
                    magic, kind, number, length, arg = FRAME.unpack(self._receive(FRAME.size))
                    if magic != MAGIC:
                        with self.changed:
                            if self._rebooting:
                                continue
                        raise AgentError("the agent's frames are out of step")
                self._handle(kind, number, arg, self._receive(length))
        except (OSError, EOFError, AgentError) as error:
            with self.changed:
                self._lost = str(error)
                self.changed.notify_all()

    def _handle(self, kind, number, arg, payload):
        with self.changed:
            command = self._commands.get(number)
            if kind == HELLO:
                if self.boot_id and not self._rebooting:
                    raise AgentError("the guest has restarted by itself")
                self._rebooting = False
                self.boot_id = payload.decode().strip()
            elif kind == DONE and command:
                command.error = arg
                del self._commands[number]
            elif kind == DONE:
                self._acks[number] = arg
            elif command and kind == STARTED:
                command.pid = arg
            elif command and kind == OUT:
                command.output[arg] += payload
            elif command and kind == EXIT:
                status = -(arg & 0x7F) if arg & 0x7F else arg >> 8
                command.result = Result(command.argv, status, bytes(command.output[1]),
                                        bytes(command.output[2]),
                                        bool(struct.unpack("<I", payload)[0]))
                del self._commands[number]
            self.changed.notify_all()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
