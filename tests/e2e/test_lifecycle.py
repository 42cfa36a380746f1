# SPDX-License-Identifier: MIT
"""Devices that come and go: several at once, over and over under load, with processors going too."""

import errno
import os
import signal

import pytest
from azvm.backend import Backend
from test_lifetime import DRIVER, vmbus_device
from vsp import (FEATURE_URING, MAX_PAGES, PAGE, STATUS_CANCELLED, call, get, info, load_argv,
                 load_result, pattern, pinned, uring, uring_argv)

MIB = 1 << 20
# Rounds of what is repeated: a slice here, thousands with make lifecycle.
ROUNDS = int(os.environ.get("AZBLOB_ROUNDS", "4"))
GONE = errno.ENODEV
# What a request may end with when its device goes.
ENDS = {(0, 0, 200), (0, STATUS_CANCELLED, 0), (GONE, 0, 0), (-GONE, 0, 0)}
THREADS = 4
DEPTH = 8
ENDLESS = 1 << 60
# The least that a limit of bytes can be: one largest request.
LEAST = MAX_PAGES * PAGE


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 95))
    return target("blob")


def unplug(guest):
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")


def plug(guest, protocol=2):
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp",
                      protocol=protocol)
    guest.wait_device()


def wait_unplugged(guest):
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")


def has_uring(guest):
    return info(guest).features & FEATURE_URING


def start_loads(guest, blob):
    """Threads on the ioctl and, where the kernel has them, commands: until the device goes.

    Nothing else ends them, so they are at it at that moment however slow or fast the guest is.
    """
    loads = [guest.start(load_argv(threads=THREADS, loops=0, last=GONE, data_len=MIB, expect=95,
                                   timeout=0), stdin=get(blob), timeout=300)]
    if has_uring(guest):
        loads.append(guest.start(uring_argv(depth=DEPTH, count=ENDLESS, last=GONE, data_len=MIB,
                                            expect=95, timeout=0), stdin=get(blob), timeout=300))
    for load, word in zip(loads, ("started", "submitted")):
        load.wait_output(word)
    return loads


def wait_progress(guest):
    seen = guest.counters()["completed"]
    guest.until(lambda: guest.counters()["completed"] > seen + 3, "progress")


def expect_ends(loads):
    """Each thread and the ring met the end of the device, and what they got before is right."""
    for number, load in enumerate(loads):
        out = load_result(load.wait())
        assert set(out["outcomes"]) <= ENDS, out
        assert out["wrong"] == 0
        if number:
            assert 1 <= out["outcomes"][-GONE, 0, 0] <= DEPTH
        else:
            assert out["outcomes"][GONE, 0, 0] == THREADS


def test_rescinds_under_load(guest, blob):
    """The host gives back what it has; every request ends, no page stays pinned."""
    before = pinned(guest)
    for number in range(ROUNDS):
        loads = start_loads(guest, blob)
        # In full run, and with the first ones only just on their way.
        if number % 2:
            wait_progress(guest)
        unplug(guest)
        wait_unplugged(guest)
        expect_ends(loads)
        guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
        plug(guest, 1 + number % 2)
        answer = call(guest, get(blob), data=MIB, expect=95)
        assert (answer.http, answer.data_wrong) == (200, -1)
    if info(guest).protocol != 2:
        unplug(guest)
        wait_unplugged(guest)
        plug(guest)


def test_unbinds_under_load(guest, blob):
    device = vmbus_device(guest)
    before = pinned(guest)
    for number in range(ROUNDS):
        loads = start_loads(guest, blob)
        if number % 2:
            wait_progress(guest)
        guest.sh(f"echo {device} >{DRIVER}/unbind")
        expect_ends(loads)
        guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
        guest.sh(f"echo {device} >{DRIVER}/bind")
        guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=95).data_wrong == -1
    if has_uring(guest):
        assert uring(guest, get(blob), data_len=MIB, expect=95)["outcomes"] == {(0, 0, 200): 1}


@pytest.mark.parametrize("first", ["daemon", "device"])
def test_device_goes_while_the_daemon_answers(guest, blob, first):
    """Who of both is told first; what the guest sees first is tests/fault's to order."""
    for _ in range(max(2, ROUNDS // 4)):
        commands = [uring_argv(depth=4, data_len=MIB, timeout=0)] if has_uring(guest) else []
        guest.backend.pause()
        loads = [guest.start(argv, stdin=get(blob), timeout=300) for argv in
                 [load_argv(threads=4, data_len=MIB, timeout=0), *commands]]
        for load, word in zip(loads, ("started", "submitted")):
            load.wait_output(word)
        guest.wait_in_flight(4 * len(loads))
        if first == "daemon":
            guest.backend.resume()
            unplug(guest)
        else:
            unplug(guest)
            guest.backend.resume()
        wait_unplugged(guest)
        for load in loads:
            out = load_result(load.wait())
            assert sum(out["outcomes"].values()) == 4
            assert set(out["outcomes"]) <= ENDS
        plug(guest)
        assert call(guest, get(blob), data=MIB, expect=95).http == 200


class Processors:
    """The guest's two, and which of them gets the channel's interrupts."""

    SYSFS = "/sys/devices/system/cpu"

    def __init__(self, guest):
        self.guest = guest

    def channel(self):
        return next(c for c in self.guest.qmp.command("query-vmbus")["channels"]
                    if c.get("device") == "vsp0")

    def bind(self, cpu):
        channel = self.channel()
        self.guest.sh(f"echo {cpu} >/sys/bus/vmbus/devices/{channel['instance-id']}/channels/"
                      f"{channel['channel']}/cpu")
        self.wait_bound(cpu)

    def wait_bound(self, cpu):
        self.guest.until(lambda: self.channel()["target-vp"] == cpu,
                         f"the host knows that processor {cpu} gets the interrupts")

    def switch(self, cpu, state):
        """Whether that was done, and what the shell said."""
        result = self.guest.sh(f"echo {state} >{self.SYSFS}/cpu{cpu}/online", check=False)
        return not result.status, result.stderr.decode().lower()

    def online(self):
        return self.guest.sh(f"cat {self.SYSFS}/online").text.strip()


def test_processors_go_offline_and_come_back_under_load(guest, blob):
    """The channel's own is refused, or its interrupts move; any other one goes, but CPU 0 never."""
    load = guest.start(load_argv(threads=8, loops=0, data_len=MIB, expect=95), stdin=get(blob),
                       timeout=600)
    load.wait_output("started")
    processors = Processors(guest)
    assert processors.online() == "0-1"
    for _ in range(2):
        processors.bind(1)
        wait_progress(guest)
        done, said = processors.switch(1, 0)
        if done:
            # Later kernels pick another one for the channel.
            processors.wait_bound(0)
            assert processors.online() == "0"
            wait_progress(guest)
            assert processors.switch(1, 1)[0]
        else:
            assert "busy" in said
            assert processors.channel()["target-vp"] == 1
        assert processors.online() == "0-1"
        wait_progress(guest)

        # With the channel on the other one nothing is in the way, once its last interrupt is over.
        processors.bind(0)
        guest.until(lambda: processors.switch(1, 0)[0], "processor 1 is offline")
        assert processors.online() == "0"
        wait_progress(guest)
        assert processors.switch(1, 1)[0]
        assert processors.online() == "0-1"
        wait_progress(guest)

        # By the bus, whose messages arrive there, or by a kernel that has no such file.
        assert not processors.switch(0, 0)[0]
        assert processors.online() == "0-1"
        wait_progress(guest)
    load.signal(signal.SIGTERM)
    out = load_result(load.wait())
    assert (set(out["outcomes"]), out["wrong"]) == ({(0, 0, 200)}, 0)


def test_two_devices_at_once(guest, blob):
    """The second is azure_blob1, with a daemon, limits and statistics of its own."""
    second = Backend()
    second.start()
    try:
        second.create_container("other")
        second.put_blob("other/blob", pattern(MIB, 96))
        guest.qmp.command("chardev-add", id="vsp1", backend={
            "type": "socket", "data": {"addr": {"type": "unix", "data": {"path": str(second.link)}},
                                       "server": False, "reconnect-ms": 100}})
        guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp1", chardev="vsp1")
        guest.until(lambda: guest.run(["ls", "/dev/azure_blob1"], check=False).stdout,
                    "the second node")
        other = get(f"{blob.rsplit('/', 2)[0]}/other/blob")
        nodes = ("azure_blob", "azure_blob1")

        def number(node, name):
            return int(guest.agent.get(f"/sys/class/azure_blob/{node}/{name}"))

        before = number(nodes[0], "statistics/completed")
        one = guest.start(load_argv(threads=4, loops=20, data_len=MIB, expect=95), stdin=get(blob))
        two = guest.start(load_argv(threads=4, loops=20, data_len=MIB, expect=96,
                                    dev="/dev/azure_blob1"), stdin=other)
        for load in (one, two):
            out = load_result(load.wait())
            assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 80}, 0)
        assert number(nodes[0], "statistics/completed") == before + 80
        assert number(nodes[1], "statistics/completed") == 80
        limits = [number(node, "limits/inflight_bytes") for node in nodes]
        assert limits[0] == limits[1] > LEAST
        guest.sh(f"echo {LEAST} >/sys/class/azure_blob/{nodes[1]}/limits/inflight_bytes")
        assert [number(node, "limits/inflight_bytes") for node in nodes] == [limits[0], LEAST]
        assert guest.agent.get("/sys/kernel/debug/hv_azure_blob/azure_blob1/counters")
        # The first goes, with requests in flight; the second does not notice.
        two = guest.start(load_argv(threads=4, loops=0, data_len=MIB, expect=96,
                                    dev="/dev/azure_blob1"), stdin=other)
        two.wait_output("started")
        loads = start_loads(guest, blob)
        unplug(guest)
        wait_unplugged(guest)
        expect_ends(loads)
        answer = call(guest, other, dev="/dev/azure_blob1", data=MIB, expect=96)
        assert (answer.http, answer.data_wrong) == (200, -1)
        two.signal(signal.SIGTERM)
        out = load_result(two.wait())
        assert (set(out["outcomes"]), out["wrong"]) == ({(0, 0, 200)}, 0)
        # The name that is free is taken again.
        plug(guest)
        assert call(guest, get(blob), data=MIB, expect=95).http == 200
        guest.qmp.forget()
        guest.qmp.command("device_del", id="vsp1")
        guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
        guest.until(lambda: not guest.run(["ls", "/dev/azure_blob1"], check=False).stdout,
                    "the second node is gone")
        assert call(guest, get(blob), data=MIB, expect=95).http == 200
    finally:
        second.stop()
        second.cleanup()
