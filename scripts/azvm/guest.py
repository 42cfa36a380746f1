# SPDX-License-Identifier: MIT
"""One guest: its QEMU, console, QMP socket and agent."""

import copy
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import paths
from .agent import Agent, AgentError
from .qmp import Qmp, QmpError

# Hyper-V as the driver's kernels need it, and of what every CPU in Azure has, what checksums use.
# Both transports of a comparison run on the same CPU; with plain qemu64 the guest's own checksum
# hides more of the difference between them, and -cpu max made its copies several times slower.
CPU_TCG = ("qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+pclmulqdq,"
           "hv-relaxed,hv-vpindex,hv-synic,hv-time")
CPU_KVM = "host,hv-relaxed,hv-vpindex,hv-runtime,hv-time,hv-synic,hv-stimer"
FIRMWARE = ["/usr/share/seabios", "/usr/share/qemu"]
BOOT_TIMEOUT = 240

# What a healthy kernel never prints.
TROUBLE = re.compile(
    r"WARNING:|BUG:|KASAN|UBSAN|kmemleak: \d+ new|Oops|Kernel panic|hung task|blocked for more than"
    r"|general protection fault|possible (?:recursive|circular|irq) lock|inconsistent lock state"
    r"|suspicious RCU usage|rcu:.*(?:stall|detected)|soft lockup|Call Trace:")
PANIC = re.compile(r"Kernel panic|BUG: unable to handle|Oops:")


class GuestError(Exception):
    """The guest is lost or misbehaves."""


class KvmProbe:
    """Whether KVM can carry VMBus here, and why not."""

    # linux/kvm.h: KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_SYNIC2, KVM_CAP_HYPERV_SYNIC
    _CHECK, _SYNIC2, _SYNIC = 0xAE03, 148, 123

    def __init__(self, device="/dev/kvm"):
        self.usable = False
        try:
            fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            self.reason = f"{device}: {error.strerror}"
            return
        try:
            self.usable = any(fcntl.ioctl(fd, self._CHECK, cap) > 0
                              for cap in (self._SYNIC2, self._SYNIC))
            self.reason = ("KVM has Hyper-V's SynIC (this way is untested)" if self.usable else
                           "KVM here has no Hyper-V SynIC (KVM_CAP_HYPERV_SYNIC is 0)")
        except OSError as error:
            self.reason = f"{device}: {error.strerror}"
        finally:
            os.close(fd)


def pick_accelerator(wanted="auto"):
    """Returns ("kvm" or "tcg", why)."""
    if wanted == "tcg":
        return "tcg", "asked for"
    probe = KvmProbe()
    if wanted == "kvm":
        if not probe.usable:
            raise paths.Missing(f"KVM was asked for, but {probe.reason}")
        return "kvm", probe.reason
    return ("kvm" if probe.usable else "tcg"), probe.reason


def die_with_parent():
    """For preexec_fn: no QEMU or daemon outlives a test run that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Guest:
    """Describe it, start() it, use .agent and .qmp, stop() it."""

    def __init__(self, kernel, initrd, *, memory="1G", cpus=2, link=None, accel="tcg",
                 network=None, address=None, gateway=None, disks=(), filesystem=None, image=None, root=None,
                 interactive=False, append="", extra=(), rundir=None, qemu=None, prefix=(),
                 console=None, lifetime=3600, vsp_options=""):
        """
        link: the backend's link socket; None leaves the device out.
        network: None, "user", or the name of a tap device.
        address, gateway: static address ("ADDR/BITS") in the guest, and its route.
        disks: [(path, serial, readonly)].
        filesystem: socket of a virtiofsd, mounted on /host; image: an ext4 image for that.
        root: the disk of a Debian guest (azvm.rootimage); its initramfs needs rootimage.MODULES.
        interactive: a shell on this terminal, no agent.
        prefix: put before QEMU's command, as "ip netns exec NAME".
        lifetime: seconds after which the guest is killed whatever happens.
        """
        self.kernel = kernel
        self.rundir = Path(rundir or tempfile.mkdtemp(prefix="azvm-"))
        self._own_rundir = rundir is None
        self.console_path = Path(console or self.rundir / "console.log")
        self.process = None
        self.agent = None
        self.qmp = None
        self.boot_seconds = None
        self.accel, self.accel_reason = pick_accelerator(accel)
        self._lifetime = lifetime
        self._scanned = 0
        binary = qemu or paths.qemu()
        words = ["azblob.mode=" + ("shell" if interactive else "agent"), "console=ttyS0",
                 "panic=0", "quiet" if interactive else "printk.devkmsg=on", append]
        # A run that is killed takes timeout with it (die_with_parent), and timeout takes QEMU.
        command = [*prefix, "timeout", "--foreground", "-k", "5", str(lifetime),
                   "setpriv", "--pdeathsig", "KILL"] if not interactive else [*prefix]
        command += [str(binary), "-nodefaults", "-display", "none", "-no-user-config"]
        for place in FIRMWARE:
            command += ["-L", place]
        command += ["-machine", "q35,memory-backend=ram,hpet=off,smbus=off,sata=off",
                    "-accel", self.accel + (",thread=multi" if self.accel == "tcg" else ""),
                    "-cpu", CPU_KVM if self.accel == "kvm" else CPU_TCG,
                    "-smp", str(cpus), "-m", memory,
                    "-object", f"memory-backend-memfd,id=ram,size={memory},share=on",
                    "-kernel", str(kernel.image), "-initrd", str(initrd),
                    "-device", "vmbus-bridge", "-device", "virtio-rng-pci",
                    "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        if interactive:
            # Control-C belongs to the guest; Control-A X ends it.
            command += ["-chardev", "stdio,id=con,mux=on,signal=off", "-serial", "chardev:con",
                        "-mon", "chardev=con,mode=readline"]
        else:
            command += ["-serial", f"file:{self.console_path}",
                        "-device", "virtio-serial-pci",
                        "-chardev", f"socket,id=agent,path={self.agent_path},server=on,wait=off",
                        "-device", "virtserialport,chardev=agent,name=azblob.agent"]
        if link:
            command += ["-chardev", f"socket,id=vsp,path={link},reconnect-ms=100",
                        "-device", f"azure-blob-vsp,id=vsp0,chardev=vsp{vsp_options}"]
        if network == "user":
            command += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
        elif network:
            command += ["-netdev", f"tap,id=net,ifname={network},script=no,downscript=no",
                        "-device", "virtio-net-pci,netdev=net,romfile="]
        if address:
            words.append(f"azblob.ip={address}")
        if gateway:
            words.append(f"azblob.gateway={gateway}")
        disks = list(disks)
        if image:
            disks.append((image, "host", True))
            words.append("azblob.host=image")
        if root:
            disks.append((root, "root", True))
            words.append("azblob.root=disk")
        for number, (path, serial, readonly) in enumerate(disks):
            command += ["-drive", f"if=none,id=disk{number},file={path},format=raw,"
                        f"cache=writeback,readonly={'on' if readonly else 'off'}",
                        "-device", f"virtio-blk-pci,drive=disk{number},serial={serial}"]
        if filesystem:
            command += ["-chardev", f"socket,id=fs,path={filesystem}",
                        "-device", "vhost-user-fs-pci,chardev=fs,tag=host"]
            words.append("azblob.host=fs")
        command += ["-append", " ".join(w for w in words if w), *extra]
        self.command = command

    @property
    def qmp_path(self):
        return self.rundir / "qmp"

    @property
    def agent_path(self):
        return self.rundir / "agent"

    @property
    def qemu_log(self):
        return self.rundir / "qemu.log"

    def start(self, timeout=BOOT_TIMEOUT):
        """Boots it until the agent answers; raises GuestError with the console's end."""
        begin = time.monotonic()
        try:
            self._launch()
            self.agent = Agent(self.agent_path, self.check_alive)
            self.agent.wait_hello(timeout)
        except (AgentError, QmpError, OSError, GuestError) as error:
            text = f"the guest did not come up: {error}\n{self.tail()}"
            self.stop()
            raise GuestError(text) from error
        self.boot_seconds = time.monotonic() - begin
        return self

    def _launch(self):
        with open(self.qemu_log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_parent,
                                            start_new_session=True)
        self._wait_socket(self.agent_path, 60)
        self.qmp = Qmp(self.qmp_path)

    def migrate(self, timeout=300):
        """Moves the guest to another QEMU, of the same devices; returns that, as a Guest.

        This one's QEMU stands still then, and can be asked by qmp until it is stop()ped.
        """
        other = copy.copy(self)
        other.rundir, other._own_rundir = Path(tempfile.mkdtemp(prefix="azvm-")), True
        other.console_path = other.rundir / "console.log"
        uri = f"unix:{other.rundir}/incoming"
        other.command = [word.replace(str(self.rundir), str(other.rundir))
                         for word in self.command] + ["-incoming", uri]
        other.process = other.qmp = None
        other._scanned = 0
        try:
            other._launch()
            self.agent.follow(other.agent_path, other.check_alive)
            self.qmp.command("migrate", uri=uri)
            deadline = time.monotonic() + timeout
            while (info := self.qmp.command("query-migrate", timeout=timeout)
                   )["status"] != "completed":
                other.check_alive()
                if info["status"] == "failed" or time.monotonic() > deadline:
                    raise GuestError(f"migration: {info['status']} {info.get('error-desc', '')}\n"
                                     f"{self.tail()}")
                time.sleep(0.05)
        except BaseException:
            other.agent = None
            other.stop()
            other.cleanup()
            raise
        self.agent = None
        return other

    def run_interactive(self):
        """Runs QEMU on this terminal; returns its status."""
        with open(self.qemu_log, "wb") as log:
            self.process = subprocess.Popen(self.command, stderr=log, preexec_fn=die_with_parent)
        status = self.process.wait()
        if status:
            raise GuestError(f"QEMU ended with status {status}:\n"
                             f"{self.qemu_log.read_text(errors='replace').strip()}")
        return status

    def _wait_socket(self, path, timeout):
        deadline = time.monotonic() + timeout
        while not path.exists():
            self.check_alive()
            if time.monotonic() > deadline:
                raise GuestError(f"QEMU made no {path.name} socket within {timeout} s")
            time.sleep(0.02)

    def console(self):
        try:
            return self.console_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines=40):
        parts = []
        log = self.qemu_log.read_text(errors="replace").strip() if self.qemu_log.exists() else ""
        if log:
            parts.append(f"--- QEMU ({self.qemu_log}):\n{log[-4000:]}")
        parts.append(f"--- console ({self.console_path}):\n" +
                     "\n".join(self.console().splitlines()[-lines:]))
        return "\n".join(parts)

    def check_alive(self):
        """Raises when QEMU has ended or the guest's kernel has given up."""
        status = self.process.poll()
        if status is not None:
            if status in (124, 137):
                raise GuestError(f"the guest lived longer than {self._lifetime} s and was killed")
            raise GuestError(f"QEMU ended with status {status}\n{self.tail()}")
        try:
            with open(self.console_path, "rb") as file:
                file.seek(max(0, self._scanned - 64))
                text = file.read()
                self._scanned = file.tell()
        except FileNotFoundError:
            return
        if PANIC.search(text.decode(errors="replace")):
            raise GuestError(f"the guest's kernel crashed\n{self.tail(60)}")

    def trouble(self, allowed=None):
        """Lines of the console that a healthy kernel never prints."""
        return [line for line in self.console().splitlines()
                if TROUBLE.search(line) and not (allowed and re.search(allowed, line))]

    def reboot(self, timeout=BOOT_TIMEOUT, how="system_reset"):
        """Resets the machine and waits for the new agent."""
        self.agent.expect_reboot()
        self.qmp.command(how)
        self.agent.wait_hello(timeout)

    def stop(self):
        """Ends it at once; nothing in a test guest is worth a shutdown."""
        if self.agent:
            self.agent.close()
        if self.process and self.process.poll() is None:
            if self.qmp:
                try:
                    self.qmp.command("quit", timeout=5)
                except QmpError:
                    pass
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self._kill()
        if self.qmp:
            self.qmp.close()

    def _kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # One on a terminal leads no group of its own.
            self.process.kill()
        self.process.wait()

    def keep(self, directory):
        """Copies console and QEMU's log to a directory, for who looks into a failure."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for path in (self.console_path, self.qemu_log):
            if path.exists():
                shutil.copy(path, directory / path.name)

    def cleanup(self):
        if self._own_rundir:
            shutil.rmtree(self.rundir, ignore_errors=True)
