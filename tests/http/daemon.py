# SPDX-License-Identifier: MIT
"""Starts azblob-vspd and waits until it says that it is ready."""

import os
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def binary():
    """AZBLOB_VSPD, or what was built with sanitizers, or what was built without."""
    candidates = [os.environ.get("AZBLOB_VSPD")]
    candidates += [os.path.join(ROOT, build, "vsp-backend", "azblob-vspd")
                   for build in ("build-asan", "build")]
    for path in filter(None, candidates):
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError("azblob-vspd is not built: make build-asan")


class Daemon:
    """A running daemon; stop() says whether it ended well."""

    def __init__(self, store, log, options=(), http=("127.0.0.1:0",),
                 store_options="", environment=None):
        """Without --store when @store is None."""
        self.log = log
        command = [binary()]
        if store is not None:
            spec = "local,path=%s" % store + ("," + store_options if store_options else "")
            command += ["--store", spec]
        for address in http:
            command += ["--http", address]
        ready, ready_end = os.pipe()
        command += ["--ready-fd", str(ready_end)]
        command += list(options)
        with open(log, "ab") as stderr:
            self.process = subprocess.Popen(command, stderr=stderr, stdin=subprocess.DEVNULL,
                                            pass_fds=[ready_end],
                                            env=dict(os.environ, **(environment or {})))
        os.close(ready_end)
        with os.fdopen(ready, "r", encoding="utf-8") as pipe:
            self.ready = pipe.readline().split()
        if not self.ready:
            self.process.wait()
            raise RuntimeError("azblob-vspd did not start:\n" + self.logged())
        self.addresses = [url.split("://")[1] for url in self.ready[1:]]
        self.port = int(self.addresses[0].rsplit(":", 1)[1]) if self.addresses else None

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=60):
        """Ends it, and fails if it had not ended well."""
        if self.process.poll() is None:
            self.terminate()
        status = self.process.wait(timeout=seconds)
        assert status == 0, "exit status %d:\n%s" % (status, self.logged())


def wait_for(condition, seconds=30):
    """Asks again until it is so; for what has no event."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in %d s" % seconds
        time.sleep(0.02)
