# SPDX-License-Identifier: MIT
"""A guest's vsock on a machine that has no /dev/vhost-vsock: vhost-device-vsock, which QEMU talks to by vhost-user."""

import subprocess
import time

from . import paths
from .guest import die_with_parent

# What a guest's initramfs loads besides.
MODULES = ["vmw_vsock_virtio_transport"]
GUEST_CID = 3


class Vsock:
    """One program for one guest.  The guest's connections to the host's port N arrive at the unix socket port(N)."""

    def __init__(self, rundir):
        self._rundir = rundir
        self._socket = rundir / "vhost-vsock"
        self._process = None

    def port(self, number):
        return self._rundir / f"vsock_{number}"

    def options(self):
        """What QEMU has to be given besides; its memory has to be shared."""
        return ["-chardev", f"socket,id=vsock,path={self._socket}",
                "-device", "vhost-user-vsock-pci,chardev=vsock"]

    def start(self, timeout=60):
        script = paths.ROOT / "scripts" / "vhost-device-vsock"
        found = subprocess.run([script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if found.returncode:
            raise paths.Missing(f"{script.name} cannot be had: {found.stderr.strip()[-500:]}")
        log = self._rundir / "vhost-vsock.log"
        with open(log, "wb") as out:
            self._process = subprocess.Popen(
                [found.stdout.strip(), "--guest-cid", str(GUEST_CID), "--socket", self._socket,
                 "--uds-path", self._rundir / "vsock"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent)
        deadline = time.monotonic() + timeout
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise paths.Missing(f"vhost-device-vsock does not run: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)
        return self

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
