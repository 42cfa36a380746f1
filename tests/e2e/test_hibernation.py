# SPDX-License-Identifier: MIT
"""Hibernation, for real but for the power: freeze, image on a disk, thaw, restore from the image.

The kernel's mode "test_resume" reads the image back at once, in the same boot.  The device is
closed and opened again twice on the way, and the memory afterwards is that of before.

Some stable kernels (Debian's 5.10.0-43 and 6.1.0-56) write the image and then end this mode without a word: later
ones had to learn again that the disk is open already, for swap.  There the device is closed and opened
once, and goes on in the kernel that wrote.
"""

import errno
import re
import signal
import time

import pytest
from test_lifetime import DRIVER, vmbus_device
from vsp import (FEATURE_URING, call, get, info, load_argv, load_result, pattern, probe, sharedkey,
                 uring_argv)

MIB = 1 << 20
HIBERNATE = "echo test_resume >/sys/power/disk && echo disk >/sys/power/state"
# Kernels before 6.4 say it in one line, "... (elapsed 0.001 seconds) done."
FROZEN = re.compile(r"Freezing remaining freezable tasks(?: completed|.*done)")
# Until it works: a host that is slow to answer what is in flight is a reason to try again.
UNTIL_IT_WORKS = f"until {HIBERNATE}; do :; done"
WRITTEN = "Image saving done"
UNTIL_IT_IS_WRITTEN = (f"images() {{ dmesg | grep -c '{WRITTEN}'; }}; before=$(images); "
                       f"while [ $(images) -eq $before ]; do {{ {HIBERNATE}; }}; done; true")


@pytest.fixture
def make_sleeper(make_guest, tmp_path):
    """A machine with a disk for the image."""
    def make(**options):
        disk = tmp_path / "swap"
        with open(disk, "wb") as file:
            file.truncate(2 << 30)
        guest = make_guest(disks=[(disk, "swap", False)], append="hibernate=nocompress", **options)
        guest.until(lambda: guest.run(["ls", "/dev/vda"], check=False).stdout, "the disk")
        guest.sh("mkswap /dev/vda >/dev/null && swapon /dev/vda && sync")
        # With nothing in flight only the kernel itself can be why it does not work.
        guest.restores = not Sleep(guest, HIBERNATE).wait().status
        assert guest.restores or WRITTEN in guest.guest.console()
        guest.backend.create_container("sleep")
        guest.backend.put_blob("sleep/blob", pattern(MIB, 61))
        return guest
    return make


BLOB = f"/{sharedkey.ACCOUNT}/sleep/blob"


def channel(guest):
    return next(c for c in guest.qmp.command("query-vmbus")["channels"]
                if c.get("device") == "vsp0")


class Sleep:
    """A hibernation that is under way."""

    def __init__(self, guest, script=None):
        self._guest = guest
        if not script:
            script = UNTIL_IT_WORKS if guest.restores else UNTIL_IT_IS_WRITTEN
        self._awake = self._times_awake()
        self._since = None
        self._command = guest.start(["sh", "-c", script], timeout=400)

    def _times_awake(self):
        return self._guest.guest.console().count("hibernation exit")

    def _ended(self):
        """Some kernels' virtio console is not told, afterwards, that the host listens."""
        if self._times_awake() > self._awake:
            self._awake, self._since = self._times_awake(), time.monotonic()
        if self._since and time.monotonic() > self._since + 20 and not self._command.done:
            self._guest.agent.reconnect()
            self._since = time.monotonic()
        return self._command.done

    def wait(self):
        """The command's Result."""
        self._guest.until(self._ended, "awake again", 400)
        return self._command.wait()


def was_reopened(guest, opens):
    """So often since then that the whole of a hibernation was gone through."""
    return channel(guest)["opens"] >= opens + (2 if guest.restores else 1)


def works(guest):
    answer = call(guest, get(BLOB), data=MIB, expect=61)
    assert (answer.http, answer.data_wrong) == (200, -1)


def test_what_is_in_line_is_done_once(make_sleeper):
    """It would be sent by the kernel that writes the image, and again by the restored one."""
    # A small ring, and a host that takes one at a time: most of them stand in line.
    guest = make_sleeper(vsp_options=",protocol=1,max-inflight=1")
    log, size, threads = f"/{sharedkey.ACCOUNT}/sleep/log", 4 * MIB, 24
    assert guest.backend.request("PUT", log, b"", {"x-ms-blob-type": "AppendBlob"})[0] == 201
    opens = channel(guest)["opens"]
    guest.backend.pause()
    load = guest.start(load_argv(threads=threads, data_len=size, data_valid=size, seed=62,
                                 timeout=0),
                       stdin=sharedkey.head("PUT", f"{log}?comp=appendblock", {}, size))
    load.wait_output("started")
    guest.until(lambda: guest.counters()["queued"] > 0 and
                sum(guest.counters()[n] for n in ("queued", "outstanding")) == threads,
                "all of them with the driver, some in line")
    def times_frozen():
        return len(FROZEN.findall(guest.guest.console()))

    frozen = times_frozen()
    sleep = Sleep(guest)
    guest.until(lambda: times_frozen() > frozen, "programs are frozen")
    guest.backend.resume()
    sleep.wait().check()
    out = load_result(load.wait())
    assert out["outcomes"] == {(0, 0, 201): threads}
    assert was_reopened(guest, opens)
    status, fields, _ = guest.backend.request("HEAD", log)
    assert (status, int(fields["content-length"])) == (200, threads * size)
    works(guest)


def start_loads(guest, commands):
    """vspload and, where the kernel has what it needs, vspuring"""
    if not info(guest).features & FEATURE_URING:
        commands = commands[:1]
    loads = [guest.start(argv, stdin=get(BLOB), timeout=400) for argv in commands]
    for load, word in zip(loads, ("started", "submitted")):
        load.wait_output(word)
    return loads


def test_requests_and_buffers(make_sleeper):
    guest = make_sleeper()
    blob = get(BLOB)
    # The host keeps something for longer than it may: the machine does not hibernate.
    guest.backend.pause()
    loads = start_loads(guest, [load_argv(threads=4, data_len=MIB, timeout=0, expect=61),
                                uring_argv(depth=4, data_len=MIB, timeout=0, expect=61)])
    held = 4 * len(loads)
    guest.wait_in_flight(held)
    opens = channel(guest)["opens"]
    sleep = Sleep(guest, HIBERNATE).wait()
    assert sleep.status and b"busy" in sleep.stderr.lower()
    assert channel(guest)["opens"] == opens
    assert guest.counters()["outstanding"] == held
    guest.backend.resume()
    for load in loads:
        out = load_result(load.wait())
        assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 4}, 0)

    # Then it can, with requests coming all the time and a buffer registered.
    buf = guest.start(["vspbuf", f"map={2 * MIB}", f"register=@,{2 * MIB}", "id=last",
                       f"layout=8192,16384,65536,{MIB}", "in=7", "call=0", "say=ready", "wait",
                       "call=0", f"register=@,{2 * MIB}", "id=last", "call=0", "check=61"],
                      stdin=blob, timeout=300)
    buf.wait_output("ready")
    loads = start_loads(guest, [load_argv(threads=8, loops=0, data_len=MIB, expect=61),
                                uring_argv(depth=8, count=400, data_len=MIB, expect=61)])
    Sleep(guest).wait().check()
    assert was_reopened(guest, opens)
    loads[0].signal(signal.SIGTERM)
    for load in loads:
        out = load_result(load.wait())
        assert (set(out["outcomes"]), out["wrong"]) == ({(0, 0, 200)}, 0)
    # The host has forgotten the buffer, and its number is free again.
    buf.signal(signal.SIGUSR1)
    lines = [line.partition(" ")[::2] for line in buf.wait().check().text.splitlines()]
    assert [r for n, r in lines if n == "call"] == ["0/0x0/200", f"{-errno.ENOENT}/0x0/0",
                                                    "0/0x0/200"]
    assert [r for n, r in lines if n == "check"] == ["-1"]
    works(guest)


def test_corrupted_ring(make_sleeper):
    """What the host has is never answered: the machine stays awake until the device is unbound."""
    guest = make_sleeper()
    device = vmbus_device(guest)
    guest.qmp.command("vmbus-fault-add", id="f0", kind="ring-write-index", device="vsp0", skip=10,
                      count=0)
    load = guest.start(load_argv(threads=4, loops=0, data_len=MIB, timeout=0, expect=61,
                                 last=errno.ENODEV), stdin=get(BLOB), timeout=400)
    guest.until(lambda: "inbound ring corrupted" in guest.guest.console(), "the ring is given up")
    guest.qmp.command("vmbus-fault-remove", id="f0")
    assert guest.counters()["outstanding"]
    sleep = Sleep(guest, HIBERNATE).wait()
    assert sleep.status and b"busy" in sleep.stderr.lower()
    guest.sh(f"echo {device} >{DRIVER}/unbind")
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {(0, 0, 200), (errno.ENODEV, 0, 0)} and out["wrong"] == 0
    assert out["outcomes"][errno.ENODEV, 0, 0] == 4
    guest.sh(f"echo {device} >{DRIVER}/bind")
    guest.wait_device()
    Sleep(guest).wait().check()
    works(guest)


def test_host_is_another_one_afterwards(make_sleeper):
    """What was read from the offer before does not count any more, nor that there was one."""
    guest = make_sleeper()
    if not guest.restores:
        pytest.skip("this kernel cannot read the image back that it has written")
    assert info(guest).protocol == 2

    def throttle(rate):
        """The disk's bytes a second; 0: as fast as it can."""
        line = f"block_set_io_throttle disk0 {rate} 0 0 0 0 0"
        assert not guest.qmp.command("human-monitor-command", command_line=line)

    def hibernate(meanwhile):
        """Takes the device away while the image is written, which waits for that."""
        opens = channel(guest)["opens"]
        throttle(1024)
        sleep = Sleep(guest)
        guest.until(lambda: channel(guest)["opens"] > opens and channel(guest)["state"] == "open",
                    "the kernel that writes the image")
        guest.qmp.forget()
        guest.qmp.command("device_del", id="vsp0")
        guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
        meanwhile()
        throttle(0)
        sleep.wait().check()

    def another():
        guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp",
                          protocol=1)
        guest.until(lambda: channel(guest)["state"] == "open", "the other device")

    hibernate(another)
    said = info(guest)
    assert (said.protocol, said.max_buffers) == (1, 0)
    works(guest)

    # None at all: whoever has the node is told so.
    hibernate(lambda: None)
    device = vmbus_device(guest)
    answer = call(guest, probe())
    assert (answer.opened, answer.errno) == (False, errno.ENODEV)
    # It comes back, and the driver is told to look again.
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.until(lambda: guest.sh(f"cat /sys/bus/vmbus/devices/{device}/id").text.strip()
                not in ("-1", "4294967295"), "the offer")
    guest.sh(f"echo {device} >{DRIVER}/unbind; echo {device} >{DRIVER}/bind")
    guest.wait_device()
    assert info(guest).protocol == 2
    works(guest)
