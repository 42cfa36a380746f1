# SPDX-License-Identifier: MIT
"""Starts azblob-vspd and waits until it says that it is ready."""

import os
import signal
import subprocess
import tempfile
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


def start(command, log, environment=None):
    """A program that knows --ready-fd: the process, and the words that it wrote there."""
    ready, ready_end = os.pipe()
    with open(log, "ab") as stderr:
        process = subprocess.Popen(command + ["--ready-fd", str(ready_end)], stderr=stderr,
                                   stdin=subprocess.DEVNULL, pass_fds=[ready_end],
                                   env=dict(os.environ, **(environment or {})))
    os.close(ready_end)
    with os.fdopen(ready, "r", encoding="utf-8") as pipe:
        words = pipe.readline().split()
    if not words:
        process.wait()
        with open(log, encoding="utf-8", errors="replace") as text:
            raise RuntimeError("%s did not start:\n%s" % (os.path.basename(command[0]), text.read()))
    return process, words


class Daemon:
    """A running daemon; stop() says whether it ended well.

    With AZBLOB_THROUGH (a path of azblob-gateway-over-link) there is a gateway in front of it,
    which is what @port then is of: the same tests, by the other door and one more program.
    """

    def __init__(self, store, log, options=(), http=("127.0.0.1:0",),
                 store_options="", environment=None):
        """Without --store when @store is None."""
        self.log = log
        self.gateway = None
        command = [binary()]
        if store is not None:
            spec = "local,path=%s" % store + ("," + store_options if store_options else "")
            command += ["--store", spec]
        for address in http:
            command += ["--http", address]
        self.link = None
        if os.environ.get("AZBLOB_THROUGH") and http:
            # a folder of pytest may be too long for the name of a socket
            self.link = os.path.join(tempfile.mkdtemp(prefix="azblob"), "link")
            command += ["--link", self.link, "--link-address", "127.0.0.1"]
        self.process, self.ready = start(command + list(options), log, environment)
        self.addresses = [url.split(":", 1)[1].removeprefix("//") for url in self.ready[1:]]
        self.port = int(self.addresses[0].rsplit(":", 1)[1]) if self.addresses else None
        self.direct_port = self.port
        if self.link:
            self.start_gateway()

    def start_gateway(self):
        self.gateway, words = start([os.path.abspath(os.environ["AZBLOB_THROUGH"]), "--device", self.link, "--http",
                                     "127.0.0.1:0", "--drain", "1"], str(self.log) + "-gateway")
        self.port = int(words[1].rsplit(":", 1)[1])

    def stop_gateway(self):
        self.gateway.send_signal(signal.SIGTERM)
        status = self.gateway.wait(timeout=60)
        self.gateway = None
        os.rmdir(os.path.dirname(self.link))
        with open(str(self.log) + "-gateway", encoding="utf-8", errors="replace") as text:
            assert status == 0, "the gateway's exit status %d:\n%s" % (status, text.read())

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def kill(self):
        self.process.kill()
        self.process.wait()
        if self.gateway:
            os.unlink(self.link)
            self.stop_gateway()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=60):
        """Ends it, and fails if it had not ended well."""
        if self.process.poll() is None:
            self.terminate()
        status = self.process.wait(timeout=seconds)
        if self.gateway:
            self.stop_gateway()
        assert status == 0, "exit status %d:\n%s" % (status, self.logged())


def wait_for(condition, seconds=120):
    """Asks again until it is so; for what has no event."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in %d s" % seconds
        time.sleep(0.02)
