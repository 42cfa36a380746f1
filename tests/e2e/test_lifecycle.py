# SPDX-License-Identifier: MIT
"""Devices that come and go: several at once, over and over under load, with processors going too."""

import errno
import os
import signal

import pytest
from azvm.backend import Backend
from test_lifetime import DRIVER, vmbus_device
from vsp import (STATUS_CANCELLED, call, get, info, load_argv, load_result, pattern, uring,
                 uring_argv)

MIB = 1 << 20
# Rounds of what is repeated: a slice here, thousands with make lifecycle.
ROUNDS = int(os.environ.get("AZBLOB_ROUNDS", "4"))
# What a request may end with when its device goes.
ENDS = {(0, 0, 200), (0, STATUS_CANCELLED, 0), (errno.ENODEV, 0, 0), (-errno.ENODEV, 0, 0)}
PINS = ("nr_foll_pin_acquired", "nr_foll_pin_released")


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 95))
    return target("blob")


def pinned(guest):
    """Pages that are pinned by anybody right now."""
    # Processors add to the counts now and then; this makes them do it.
    guest.sh("cat /proc/sys/vm/stat_refresh", check=False)
    text = guest.agent.get("/proc/vmstat").decode()
    counts = dict(line.split() for line in text.splitlines())
    return int(counts[PINS[0]]) - int(counts[PINS[1]])


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


def start_loads(guest, blob, loops):
    """Threads on the ioctl and commands, for as long as the device is there."""
    loads = [guest.start(load_argv(threads=4, loops=loops, data_len=MIB, timeout=0),
                         stdin=get(blob), timeout=300),
             guest.start(uring_argv(depth=8, count=8 * loops, data_len=MIB, timeout=0),
                         stdin=get(blob), timeout=300)]
    loads[0].wait_output("started")
    loads[1].wait_output("submitted")
    return loads


def expect_ends(loads):
    for load in loads:
        out = load_result(load.wait())
        assert set(out["outcomes"]) <= ENDS, out
        assert out["wrong"] == 0


def test_rescinds_under_load(guest, blob):
    """The host gives back what it has; every request ends, no page stays pinned."""
    before = pinned(guest)
    for number in range(ROUNDS):
        loads = start_loads(guest, blob, 1000)
        if number % 2:
            seen = guest.counters()["completed"]
            guest.until(lambda seen=seen: guest.counters()["completed"] > seen + 3, "progress")
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
    for _ in range(ROUNDS):
        loads = start_loads(guest, blob, 1000)
        guest.sh(f"echo {device} >{DRIVER}/unbind")
        expect_ends(loads)
        guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
        guest.sh(f"echo {device} >{DRIVER}/bind")
        guest.wait_device()
    assert uring(guest, get(blob), data_len=MIB, expect=95)["outcomes"] == {(0, 0, 200): 1}


@pytest.mark.parametrize("first", ["completions", "rescind"])
def test_rescind_and_completions_in_both_orders(guest, blob, first):
    """The daemon answers before the device goes, or only while it does."""
    for _ in range(max(2, ROUNDS // 4)):
        guest.backend.pause()
        loads = [guest.start(load_argv(threads=4, data_len=MIB, timeout=0), stdin=get(blob)),
                 guest.start(uring_argv(depth=4, data_len=MIB, timeout=0), stdin=get(blob))]
        loads[0].wait_output("started")
        loads[1].wait_output("submitted")
        guest.wait_in_flight(8)
        if first == "completions":
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


def test_processors_go_offline_and_come_back_under_load(guest, blob):
    """The channel's interrupts move; CPU 0 is refused by the bus or the kernel, by design."""
    load = guest.start(load_argv(threads=8, loops=0, data_len=MIB, expect=95), stdin=get(blob),
                       timeout=300)
    load.wait_output("started")
    for _ in range(4):
        result = guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online", check=False)
        seen = guest.counters()["completed"]
        guest.until(lambda seen=seen: guest.counters()["completed"] > seen + 5, "progress")
        if result.status:
            # A channel is bound to it: the bus says so, and nothing has changed.
            assert "busy" in result.stderr.decode().lower()
        else:
            guest.sh("echo 1 >/sys/devices/system/cpu/cpu1/online")
        seen = guest.counters()["completed"]
        guest.until(lambda seen=seen: guest.counters()["completed"] > seen + 5, "progress")
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
        one = guest.start(load_argv(threads=4, loops=20, data_len=MIB, expect=95), stdin=get(blob))
        two = guest.start(load_argv(threads=4, loops=20, data_len=MIB, expect=96,
                                    dev="/dev/azure_blob1"), stdin=other)
        for load in (one, two):
            out = load_result(load.wait())
            assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 80}, 0)
        for name in ("statistics/completed", "limits/inflight_bytes"):
            assert int(guest.agent.get(f"/sys/class/azure_blob/azure_blob1/{name}")) >= 80
        assert guest.agent.get("/sys/kernel/debug/hv_azure_blob/azure_blob1/counters")
        # The first goes, with requests in flight; the second does not notice.
        two = guest.start(load_argv(threads=4, loops=0, data_len=MIB, expect=96,
                                    dev="/dev/azure_blob1"), stdin=other)
        two.wait_output("started")
        loads = start_loads(guest, blob, 1000)
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
