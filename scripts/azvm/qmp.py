# SPDX-License-Identifier: MIT
"""A small client of QEMU's machine protocol."""

import json
import socket
import threading
import time


class QmpError(Exception):
    """QEMU refused a command; str() is its description."""


class Qmp:
    """Commands from any thread; events are kept until somebody waits for them."""

    def __init__(self, path, timeout=30):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("r", encoding="utf-8")
        greeting = json.loads(self._file.readline())
        if "QMP" not in greeting:
            raise QmpError(f"not a QMP server: {greeting}")
        self._socket.settimeout(None)
        self._changed = threading.Condition()
        self._answers = {}
        self._events = []
        self._next = 0
        self._closed = False
        threading.Thread(target=self._read, daemon=True).start()
        self.command("qmp_capabilities", timeout=timeout)

    def _read(self):
        try:
            for line in self._file:
                message = json.loads(line)
                with self._changed:
                    if "event" in message:
                        self._events.append(message)
                    else:
                        self._answers[message.get("id")] = message
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def command(self, name, timeout=60, **arguments):
        """Runs a command; underscores in argument names stand for hyphens."""
        with self._changed:
            self._next += 1
            number = self._next
        message = {"execute": name, "id": number}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            self._socket.sendall(json.dumps(message).encode())
        except OSError as error:
            raise QmpError(f"{name}: QEMU is gone") from error
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._closed, timeout)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise QmpError(f"{name}: no answer" + (", QEMU is gone" if self._closed else ""))
        if "error" in answer:
            raise QmpError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def hmp(self, line):
        """A command of the human monitor; returns what it prints."""
        return self.command("human-monitor-command", command_line=line)

    def events(self, name=None):
        with self._changed:
            return [e for e in self._events if name in (None, e["event"])]

    def wait_event(self, name, timeout=60, count=1):
        """Waits until the count-th event of that name has come since the last forget()."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [e for e in self._events if e["event"] == name]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    raise TimeoutError(f"no event {name} within {timeout} s")
                self._changed.wait(left)

    def forget(self):
        """Drops the events so far."""
        with self._changed:
            self._events.clear()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
