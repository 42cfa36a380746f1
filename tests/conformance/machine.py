# SPDX-License-Identifier: MIT
"""A Debian guest with the clients in it, and the daemon that its driver leads to."""

import shutil
import tempfile
from pathlib import Path

import clients
import sdkimage
from azvm import initramfs, paths, rootimage
from azvm.backend import Backend
from azvm.guest import Guest
from azvm.net import USER_GUEST, USER_HOST

RESULTS = paths.ROOT / "test-results" / "conformance"
GATEWAY, SECURE = 10000, 10443
# Where the guest has the gateway's certificate, and its authority's.
TLS = "/etc/azblob-gateway"
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
            except (clients.NotHad, clients.NotBuilt) as why:
                self.missing[client.name] = why
        try:
            self._commands["azcopy"] = [clients.azcopy()]
        except clients.NotHad as why:
            self.missing["azcopy"] = why
        try:
            kern = paths.kernel(kernel)
            programs = [*paths.guest_programs().values(), paths.cli()]
            if door == "gateway":
                programs.append(paths.gateway())
            initrd = initramfs.make(self.rundir / "initrd", kern, programs, paths.driver(kern),
                                    rootimage.files(), rootimage.MODULES)
            self.backend = Backend(self.rundir, extra=["--oauth", "basic"]).start()
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
        """Starts the gateway, with https beside http; returns when it serves."""
        self.host, self.port = "127.0.0.1", GATEWAY
        self.agent.run(["azblob-gateway", "cert", "--out", TLS], timeout=600)
        self.agent.run([f"{rootimage.PLACE}/start-gateway", "--http", f"127.0.0.1:{GATEWAY}",
                        "--https", f"127.0.0.1:{SECURE}", "--cert", f"{TLS}/gateway.pem",
                        "--key", f"{TLS}/gateway.key"], timeout=600)

    def counters(self):
        """The driver's."""
        text = self.agent.get("/sys/kernel/debug/hv_azure_blob/azure_blob/counters").decode()
        return {name: int(value) for name, value in map(str.split, text.splitlines())}

    def command(self, name):
        """How the client of that name is called in the guest."""
        if name in self.missing:
            raise self.missing[name]
        return sdkimage.in_guest(self._commands[name])

    def run(self, client, *arguments):
        """Runs a client to its end; a Result."""
        command = self.command(client.name) + list(arguments)
        folder = f"/tmp/{client.name}"
        self.agent.run(["mkdir", "-p", folder])
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
