# SPDX-License-Identifier: MIT
"""Clients, the module, the device and the whole guest end while requests are under way."""

import errno
import signal
import threading

import pytest
from vsp import (STATUS_CANCELLED, call, get, load_argv, load_result, pattern, pinned,
                 pinned_at_rest, probe, settle)

MIB = 1 << 20
DRIVER = "/sys/bus/vmbus/drivers/hv_azure_blob"


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 71))
    return target("blob")


def vmbus_device(guest):
    """Name of our device on the guest's VMBus."""
    found = guest.sh("for d in /sys/bus/vmbus/devices/*; do "
                     "grep -q 0590b792-db64-45cc-81db-b8d70c577c9e $d/class_id && "
                     "echo ${d##*/}; done").text.split()
    assert len(found) == 1
    return found[0]


def in_flight(guest, blob, threads=4, **options):
    """Requests that the paused daemon does not answer; returns their vspload."""
    guest.backend.pause()
    load = guest.start(load_argv(threads=threads, data_len=MIB, timeout=0, **options),
                       stdin=get(blob))
    load.wait_output("started")
    guest.wait_in_flight(threads)
    return load


def test_killed_client_ends_at_once_and_its_request_later(guest, blob):
    load = in_flight(guest, blob)
    try:
        load.kill()
        # Ends although the host has not answered.
        assert load.wait().status == -signal.SIGKILL
        guest.until(lambda: guest.counters()["abandoned"] == 4, "4 abandoned requests")
    finally:
        guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_clients_killed_at_random_moments(guest, blob):
    for _ in range(10):
        load = guest.start(load_argv(procs=2, threads=8, loops=0, data_len=MIB, timeout=0),
                           stdin=get(blob))
        load.wait_output("started")
        load.kill()
        load.wait()
    guest.until(lambda: not any(guest.counters()[n] for n in ("abandoned", "queued", "outstanding")),
                "the end of all requests")
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_termination_signal_waits_for_the_answer(guest, blob):
    """Only a kill ends the wait: an answer that is under way is not lost to a handler."""
    load = in_flight(guest, blob)
    load.signal(signal.SIGTERM)
    guest.backend.resume()
    out = load_result(load.wait())
    assert out["outcomes"] == {(0, 0, 200): 4}


def test_unbind_and_bind(guest, blob):
    device = vmbus_device(guest)
    for _ in range(5):
        guest.sh(f"echo {device} >{DRIVER}/unbind; [ ! -e /dev/azure_blob ]")
        guest.sh(f"echo {device} >{DRIVER}/bind")
        guest.wait_device()
        assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_module_is_unloaded_and_loaded(guest, blob):
    for _ in range(3):
        guest.sh("rmmod hv_azure_blob; [ ! -e /dev/azure_blob ]")
        guest.sh("insmod /lib/modules/hv_azure_blob.ko")
        guest.wait_device()
        assert call(guest, get(blob), data=MIB, expect=71).http == 200


def unload(guest, meanwhile):
    """Unloads the module; meanwhile() is called when it waits for the host."""
    rmmod = guest.start(["rmmod", "hv_azure_blob"])
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    meanwhile()
    rmmod.wait().check()


def load_again(guest, blob):
    guest.sh("insmod /lib/modules/hv_azure_blob.ko")
    guest.wait_device()
    answer = call(guest, get(blob), data=MIB, expect=71)
    assert (answer.http, answer.data_wrong) == (200, -1)


def test_module_is_unloaded_with_abandoned_requests(guest, blob):
    """Nobody has the node open, but the host has pages of programs that were killed."""
    settle(guest)
    before = pinned(guest)
    load = in_flight(guest, blob)
    load.kill()
    load.wait()
    guest.until(lambda: guest.counters()["abandoned"] == 4, "4 abandoned requests")
    unload(guest, guest.backend.resume)
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    load_again(guest, blob)


def test_module_is_unloaded_while_a_buffer_ends(guest, blob):
    """Its teardown is code of the module, and has a host to wait for and much to unpin."""
    size = 1024 // guest.slow * MIB
    before = pinned_at_rest(guest)
    # The host's answer to the deregister, until it has sent another one.
    guest.qmp.command("vmbus-fault-add", id="held", kind="completion-reorder", device="vsp0",
                      operation=0x102, delay=600000)
    try:
        guest.run(["vspbuf", f"same={size}", f"register=@,{size}"], stdin=b"x")
        guest.until(lambda: guest.counters()["outstanding"] == 1, "the deregister")
        assert pinned(guest) >= before + size // 4096
        unload(guest, lambda: None)
    finally:
        guest.qmp.command("vmbus-fault-remove", id="held")
    assert pinned(guest) <= before
    load_again(guest, blob)


def test_unbind_with_an_open_file(guest, blob):
    """Removal waits for requests, never for files; the file then answers ENODEV."""
    device = vmbus_device(guest)
    holder = guest.start(["vsphold"], stdin=probe())
    holder.wait_output("open")
    guest.sh(f"echo {device} >{DRIVER}/unbind")
    # The module is in use by the file.
    assert guest.sh("rmmod hv_azure_blob", check=False).status != 0
    holder.signal(signal.SIGUSR1)
    assert holder.wait().check().text.splitlines()[-1] == f"errno {errno.ENODEV}"
    guest.sh(f"echo {device} >{DRIVER}/bind")
    guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_unbind_waits_for_the_host_to_let_go_of_pages(guest, blob):
    device = vmbus_device(guest)
    load = in_flight(guest, blob)
    unbind = guest.start(["sh", "-c", f"echo {device} >{DRIVER}/unbind"])
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    guest.backend.resume()
    unbind.wait().check()
    out = load_result(load.wait())
    # The host's answer where it came in time, else ENODEV; never silence.
    assert sum(out["outcomes"].values()) == 4
    assert set(out["outcomes"]) <= {(0, 0, 200), (errno.ENODEV, 0, 0)}
    guest.sh(f"echo {device} >{DRIVER}/bind")
    guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_unbind_and_bind_under_load(guest, blob):
    device = vmbus_device(guest)
    for _ in range(5):
        # Until the device goes: nothing else ends it.
        load = guest.start(load_argv(threads=8, loops=0, last=errno.ENODEV, data_len=MIB, expect=71,
                                     timeout=0), stdin=get(blob), timeout=300)
        load.wait_output("started")
        seen = guest.counters()["completed"]
        guest.until(lambda seen=seen: guest.counters()["completed"] > seen + 8, "progress")
        guest.sh(f"echo {device} >{DRIVER}/unbind")
        out = load_result(load.wait())
        assert set(out["outcomes"]) == {(0, 0, 200), (errno.ENODEV, 0, 0)}
        assert out["outcomes"][errno.ENODEV, 0, 0] == 8
        assert out["wrong"] == 0
        guest.sh(f"echo {device} >{DRIVER}/bind")
        guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_guest_reset_with_requests_in_flight(guest, blob):
    """The pages of the old guest's requests must not be written in the new one."""
    in_flight(guest, blob, threads=16)
    guest.agent.expect_reboot()
    # The reset waits for the daemon, which is told to go on at the same time.
    guest.backend.resume()
    guest.qmp.command("system_reset")
    guest.agent.wait_hello(240)
    guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_guest_reset_waits_for_a_stopped_daemon(guest, blob):
    in_flight(guest, blob, threads=4)
    old = guest.agent.boot_id
    guest.agent.expect_reboot()
    guest.qmp.forget()

    def complaints():
        return guest.guest.qemu_log.read_text(errors="replace").count("has not confirmed the end")

    before = complaints()
    # QEMU stands still in the reset, so the command is answered after it.
    reset = threading.Thread(target=guest.qmp.command, args=("system_reset", 300))
    reset.start()
    try:
        guest.until(lambda: complaints() > before, "the emulator's word that it waits")
        assert not guest.qmp.events("RESET")
    finally:
        guest.backend.resume()
        reset.join()
    guest.qmp.wait_event("RESET", 120)
    guest.agent.wait_hello(240)
    assert guest.agent.boot_id != old
    guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200


def test_device_removed_with_requests_in_flight(guest, blob):
    """A rescind: what is in flight gets an answer or ENODEV, and a new device works."""
    load = in_flight(guest, blob)
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.backend.resume()
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    out = load_result(load.wait())
    assert sum(out["outcomes"].values()) == 4
    assert set(out["outcomes"]) <= {(0, 0, 200), (0, STATUS_CANCELLED, 0), (errno.ENODEV, 0, 0)}
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()
    assert call(guest, get(blob), data=MIB, expect=71).http == 200
