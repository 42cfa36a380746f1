# SPDX-License-Identifier: MIT
"""What the tests of azblob-gateway start.

The driver's place is taken by the backend's link socket (tests/client/link_device.c), so that all of
it runs on any machine: azblob-gateway-over-link in front of a real azblob-vspd.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import daemon as programs



def wait_for(condition, seconds=300):
    """Asks again until it is so; however busy the machine is."""
    programs.wait_for(condition, seconds)


def program(name):
    """What was built, with sanitizers where that was."""
    found = Path(programs.binary()).parents[1] / "client/gateway" / name
    assert found.exists(), f"{found} is not built"
    return str(found)


# A client may be as slow as a busy machine makes it; tests of what is too slow set times of their own.
PATIENT = [word for name in ("head", "idle", "body") for word in (f"--{name}-timeout", "3600")]


class Gateway:
    """A running gateway whose device is the link socket at @device."""

    def __init__(self, folder, device, options=(), http=("127.0.0.1:0",), environment=None):
        self.log = Path(folder) / "gateway.log"
        command = [program("azblob-gateway-over-link"), "--device", str(device), "--drain", "5",
                   "--log-level", "debug", *PATIENT, *map(str, options)]
        for address in http:
            command += ["--http", address]
        self.process, words = programs.start(command, self.log, environment)
        self.urls = words[1:]
        self.port = next((int(url.rsplit(":", 1)[1]) for url in self.urls
                          if not url.startswith("unix:")), None)

    def logged(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=120)
        assert status == 0, f"exit status {status}:\n{self.logged()}"


class Backend:
    """azblob-vspd with both doors, which can be killed and started again."""

    def __init__(self, folder, options=()):
        self.folder = Path(folder)
        self.sockets = tempfile.mkdtemp(prefix="azblob")
        self.link = os.path.join(self.sockets, "link")
        self.options = list(options)
        self.running = None
        self.start()

    def start(self):
        self.running = programs.Daemon(self.folder / "store", self.folder / "vspd.log",
                                       ["--link", self.link, *self.options])

    @property
    def port(self):
        return self.running.port

    def kill(self):
        self.running.kill()

    def stop(self):
        self.running.stop()

    def end(self):
        if self.running.process.poll() is None:
            self.stop()
        shutil.rmtree(self.sockets)
