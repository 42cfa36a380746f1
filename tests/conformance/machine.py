# SPDX-License-Identifier: MIT
"""A Debian guest with the clients in it, and the daemon that its driver leads to."""

import shutil
import tempfile
import time
from pathlib import Path

import clients
import sdkimage
from azvm import initramfs, paths, rootimage
from azvm.agent import AgentError
from azvm.backend import Backend
from azvm.guest import Guest
from azvm.net import USER_GUEST, USER_HOST

RESULTS = paths.ROOT / "test-results" / "conformance"
GATEWAY = 10000
# A client that hangs fails; the slowest needs some minutes under emulation on a busy machine.
LIMIT = 1800


class Machine:
    """Boots with these clients.

    door: "gateway", which is started on the guest's loopback, or "network", QEMU's user network with
    the daemon's HTTP door behind it; host and port are how the guest reaches it.
    """

    def __init__(self, wanted, kernel, door):
        self.missing, self._commands = {}, {}
        self.rundir = Path(tempfile.mkdtemp(prefix="azconf-"))
        self.backend = self.guest = None
        for client in wanted:
            try:
                self._commands[client.name] = client.prepare()
            except clients.NotHad as why:
                self.missing[client.name] = why
        try:
            kern = paths.kernel(kernel)
            programs = [*paths.guest_programs().values(), paths.cli()]
            if door == "gateway":
                programs.append(paths.gateway())
            initrd = initramfs.make(self.rundir / "initrd", kern, programs, paths.driver(kern),
                                    extra_modules=rootimage.MODULES)
            self.backend = Backend(self.rundir).start()
            self.guest = Guest(kern, initrd, memory="4G", link=self.backend.link, root=rootimage.get(),
                               disks=[(sdkimage.make(self._commands), "sdk", True)],
                               network="user", address=USER_GUEST, gateway=USER_HOST,
                               rundir=self.rundir, lifetime=4 * 3600).start()
            self.host, self.port = USER_HOST, self.backend.port
            if door == "gateway":
                self._serve()
        except BaseException:
            self.stop()
            raise

    agent = property(lambda self: self.guest.agent)

    def _serve(self):
        """Starts the gateway; returns when it answers."""
        self.host, self.port = "127.0.0.1", GATEWAY
        self.agent.sh("n=0; until [ -c /dev/azure_blob ]; do n=$((n+1)); [ $n -lt 1200 ] || exit 1; "
                      "sleep 0.1; done", timeout=600)
        self.gateway = self.agent.start(["azblob-gateway", "--listen", f"127.0.0.1:{GATEWAY}"],
                                        timeout=4 * 3600)
        deadline = time.monotonic() + 120
        while self.agent.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{GATEWAY}/"],
                             check=False).status:
            if self.gateway.done or time.monotonic() > deadline:
                raise AgentError(f"azblob-gateway does not serve: {self.gateway.result}")
            time.sleep(0.2)

    def counters(self):
        """The driver's."""
        text = self.agent.get("/sys/kernel/debug/hv_azure_blob/azure_blob/counters").decode()
        return {name: int(value) for name, value in map(str.split, text.splitlines())}

    def run(self, client, *arguments):
        """Runs a client to its end; a Result."""
        if client.name in self.missing:
            raise self.missing[client.name]
        folder = f"/tmp/{client.name}"
        self.agent.run(["mkdir", "-p", folder])
        command = sdkimage.in_guest(self._commands[client.name]) + list(arguments)
        return self.agent.run(["env", "-C", folder, *command], timeout=LIMIT, check=False)

    def keep(self, what):
        """Leaves the consoles and the daemon's log for who looks into a failure."""
        if self.guest:
            self.guest.keep(RESULTS / what)
        if self.backend and self.backend.log.exists():
            shutil.copy(self.backend.log, RESULTS / what)
        return RESULTS / what

    def stop(self):
        for part in (self.guest, self.backend):
            if part:
                part.stop()
        shutil.rmtree(self.rundir, ignore_errors=True)
