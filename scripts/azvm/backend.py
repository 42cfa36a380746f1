# SPDX-License-Identifier: MIT
"""azblob-vspd as a child process, and its HTTP door."""

import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import paths, sharedkey
from .guest import die_with_parent


class BackendError(Exception):
    """The daemon does not run, or refused what a test wanted to prepare."""


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


class Backend:
    """One daemon on one store; it can be killed and started again on the same store."""

    def __init__(self, directory=None, *, host="127.0.0.1", port=None, store=None, extra=(),
                 prefix=()):
        self._own = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="azvspd-"))
        self.host = host
        self.port = port or free_port()
        self.prefix = list(prefix)
        data = self.directory / "store"
        data.mkdir(parents=True, exist_ok=True)
        self.store = store or f"local,path={data}"
        self.extra = list(extra)
        self.link = self.directory / "link"
        self.log = self.directory / "vspd.log"
        self.process = None

    def start(self, timeout=60):
        """Runs it; returns when it serves, so that nobody has to try again."""
        ready, its_end = os.pipe()
        command = [*self.prefix, str(paths.daemon()), "--store", self.store,
                   "--http", f"{self.host}:{self.port}", "--link", str(self.link),
                   "--ready-fd", str(its_end), *self.extra]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_parent,
                                            pass_fds=[its_end])
        os.close(its_end)
        try:
            if not select.select([ready], [], [], timeout)[0]:
                self.kill()
                raise BackendError(f"azblob-vspd is not ready after {timeout} s:\n"
                                   f"{self.log_tail()}")
            if not os.read(ready, 100):
                raise BackendError(f"azblob-vspd ended with status {self.process.wait(60)}:\n"
                                   f"{self.log_tail()}")
        finally:
            os.close(ready)
        return self

    def log_tail(self, lines=30):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self, timeout=60):
        """SIGTERM, and its exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        return self.process.wait(60)

    def pause(self):
        """SIGSTOP; returns when the kernel says that it has stopped."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30
        stat = Path(f"/proc/{self.process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > deadline:
                raise BackendError("azblob-vspd does not stop")
            time.sleep(0.01)

    def resume(self):
        """SIGCONT, to one that still runs."""
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            try:
                self.terminate(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def cleanup(self):
        self.stop()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    # -- the HTTP door, as any client sees it

    def request(self, method, target, body=None, extra=None, timeout=120):
        """One signed request; returns (status, headers, body)."""
        length = len(body) if body is not None else (0 if method == "PUT" else None)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, target, body=body,
                               headers=sharedkey.headers(method, target, extra, length))
            answer = connection.getresponse()
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def _ok(self, method, target, *args, **kwargs):
        status, fields, body = self.request(method, target, *args, **kwargs)
        if status >= 300:
            raise BackendError(f"{method} {target}: {status} {body[:500]!r}\n{self.log_tail()}")
        return fields, body

    def create_container(self, name):
        self._ok("PUT", f"/{sharedkey.ACCOUNT}/{name}?restype=container")

    def put_blob(self, name, data):
        """name: CONTAINER/BLOB, percent-encoded."""
        self._ok("PUT", f"/{sharedkey.ACCOUNT}/{name}", data, {"x-ms-blob-type": "BlockBlob"})

    def create_append_blob(self, name):
        self._ok("PUT", f"/{sharedkey.ACCOUNT}/{name}", b"", {"x-ms-blob-type": "AppendBlob"})

    def get_blob(self, name):
        return self._ok("GET", f"/{sharedkey.ACCOUNT}/{name}")[1]

    @property
    def environment(self):
        """What the CLI needs to talk as the development account."""
        return {"AZURE_STORAGE_ACCOUNT": sharedkey.ACCOUNT, "AZURE_STORAGE_KEY": sharedkey.KEY}
