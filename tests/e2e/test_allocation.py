# SPDX-License-Identifier: MIT
"""Every allocation and every copy of user memory fails once, in each call that there is.

Needs a kernel with fault injection, so the file is collected for the debug kernel only.  That
nothing stays behind is for KASAN, kmemleak and the counts of bytes and pins to say.
"""

import errno
import signal

import pytest
from test_lifetime import DRIVER, vmbus_device
from test_protocol2 import split
from vsp import call, get, pattern, pinned

pytestmark = pytest.mark.fault_injection

DATA = 16 * 4096
# Allocations that may sleep fail too, those of the debugging aids' own caches do not (ids are in
# trees of radix_tree_node), and of pages only what stands for a large kmalloc().  A marked task
# that says how many times has more of them fail.
SETUP = """
set -e
cd /sys/kernel/debug
for fault in failslab fail_page_alloc; do
    echo N >$fault/ignore-gfp-wait
    echo 0 >$fault/verbose
done
echo 0 >fail_usercopy/verbose
echo Y >failslab/cache-filter
for cache in /sys/kernel/slab/kmalloc-* /sys/kernel/slab/radix_tree_node; do
    echo 1 >$cache/failslab
done
echo 2 >fail_page_alloc/min-order
echo Y >failslab/task-filter
echo 0 >failslab/times
echo 100 >failslab/probability
"""
# Only what a function does, itself or by another, has a failure.  The symbols are in order.
WITHIN = """
set -e
range=$({symbols} | awk -v name={name} '$3 == name {{ start = $1; next }}
                                        start && $1 != start {{ print "0x" start, "0x" $1; exit }}')
for fault in failslab fail_page_alloc fail_usercopy; do
    echo ${{range% *}} >/sys/kernel/debug/$fault/require-start
    echo ${{range#* }} >/sys/kernel/debug/$fault/require-end
done
"""
OF_KERNEL = "cat /proc/kallsyms"
OF_DRIVER = "grep 'hv_azure_blob.$' /proc/kallsyms | sort"
ANYWHERE = """
for fault in failslab fail_page_alloc fail_usercopy; do
    echo 0 >/sys/kernel/debug/$fault/require-start
    echo 0xffffffffffffffff >/sys/kernel/debug/$fault/require-end
done
"""
BUS = "/sys/bus/vmbus"


@pytest.fixture(autouse=True)
def injection(guest):
    guest.sh(SETUP)


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(DATA, 45))
    return target("blob")


def numbers(text):
    """What vspfail printed: injected, refused, {errno: times}."""
    lines = split(text)
    values = dict((name, value) for name, value in lines if name != "errno")
    errors = dict(map(int, value.split()) for name, value in lines if name == "errno")
    return int(values["injected"]), int(values["refused"]), errors


def works(guest, blob):
    answer = call(guest, get(blob), data=DATA, expect=45)
    assert (answer.result, answer.http, answer.data_wrong) == (0, 200, -1)
    guest.until(lambda: not any(guest.counters()[n] for n in
                                ("queued", "outstanding", "abandoned", "bytes", "queued_for_bytes")),
                "the end of all requests")


# The call, and how many of its failures it has to report at least: of a request the copy in, the
# request itself, its user, its pages, its packet, the copy out; to register, the copy in, the
# buffer, its pages, its id, the packet and its list of pages, and the copy in to deregister.
CALLS = {"open": 0, "info": 1, "f0": 6, "legacy": 6, "v1": 6, "f4": 6, "register": 7,
         "registered": 6, "command": 4, "fixed": 4}


@pytest.mark.parametrize("name", CALLS)
def test_each_failure_in_a_call(guest, blob, name):
    before = pinned(guest)
    # Now and then the allocator itself needs memory and gets over it when there is none: a run in
    # which that happens reports a failure less.  One that is swallowed is so in each run.
    for _ in range(5):
        result = guest.run(["vspfail", name], stdin=get(blob), timeout=300)
        injected, refused, errors = numbers(result.text)
        # Of memory, or of a copy; nothing else.
        assert set(errors) <= {errno.ENOMEM, errno.EFAULT}
        if refused >= CALLS[name]:
            break
    assert injected >= refused >= CALLS[name], result.text
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    works(guest, blob)


def cancel_failures(guest, blob):
    """The numbers of one run, in which a request of its own is at a host that does not answer."""
    guest.backend.terminate()
    try:
        program = guest.start(["vspfail", "cancel=7"], stdin=get(blob), timeout=300)
        program.wait_output("ready")
        guest.until(lambda: guest.counters()["outstanding"] == 1, "the request at the host")
        program.signal(signal.SIGUSR1)
        return numbers(program.wait().check().text)
    finally:
        guest.backend.start()


def test_each_failure_while_the_host_is_told_of_a_cancel(guest, blob):
    # The copy in, the packet, the copy out; with the last one it is done all the same.
    for _ in range(5):
        injected, refused, errors = cancel_failures(guest, blob)
        assert set(errors) <= {errno.ENOMEM, errno.EFAULT}
        works(guest, blob)
        if refused >= 3:
            break
    assert injected >= refused >= 3
    assert set(errors) == {errno.ENOMEM, errno.EFAULT}


@pytest.fixture
def loose_device(guest):
    """The device with no driver, until the test is over."""
    device = vmbus_device(guest)
    guest.sh(f"echo {device} >{DRIVER}/unbind")
    yield device
    guest.sh(f"[ -e /dev/azure_blob ] || echo {device} >{DRIVER}/bind")
    guest.wait_device()


def test_each_failure_while_a_device_is_bound(guest, loose_device):
    """All of probe, the channel and the node's files; what of it worked is taken back."""
    bind, unbind = (f"{DRIVER}/{name},{loose_device}" for name in ("bind", "unbind"))
    result = guest.run(["vspfail", f"write={bind},{unbind}"], stdin=b"x", timeout=900)
    injected, refused, errors = numbers(result.text)
    assert injected > refused > 20, result.text
    # The bus says of some of its own that there is no device.
    assert set(errors) <= {errno.ENOMEM, errno.EFAULT, errno.ENODEV, errno.EINVAL, errno.EAGAIN}


# The kernel reports by itself a large table that cannot be had either way.
@pytest.mark.console_allows("Call Trace:")
def test_a_new_device_without_its_table_of_ids(guest, loose_device):
    """It has two ways to that memory.  Elsewhere two in a row are too much for the bus: when it
    cannot tell the host to let go of a ring it rather loses it."""
    bind, unbind = (f"{DRIVER}/{name},{loose_device}" for name in ("bind", "unbind"))
    try:
        guest.sh(WITHIN.format(name="azb_queue_init", symbols=OF_DRIVER))
        result = guest.run(["vspfail", "--twice", f"write={bind},{unbind}"], stdin=b"x", timeout=900)
    finally:
        guest.sh(ANYWHERE)
    assert numbers(result.text) == (1, 1, {errno.ENOMEM: 1})


def test_each_failure_while_the_module_is_loaded(guest, loose_device):
    """All of its init, with no device to bind; a module that was refused leaves nothing behind."""
    guest.sh(f"echo 0 >{BUS}/drivers_autoprobe && rmmod hv_azure_blob")
    try:
        guest.sh(WITHIN.format(name="do_one_initcall", symbols=OF_KERNEL))
        result = guest.run(["vspfail", "insmod=/lib/modules/hv_azure_blob.ko"], stdin=b"x",
                           timeout=900)
        left = guest.sh(f"grep azure_blob /proc/devices /proc/modules; ls -d {DRIVER} "
                        "/sys/class/azure_blob /sys/kernel/debug/hv_azure_blob 2>/dev/null; true").text
    finally:
        guest.sh(f"{ANYWHERE} insmod /lib/modules/hv_azure_blob.ko; echo 1 >{BUS}/drivers_autoprobe")
    injected, refused, errors = numbers(result.text)
    # The workqueue, the numbers of nodes, the class, the driver at the bus, each with more than one;
    # debugfs is done without.
    assert injected >= refused > 10, result.text
    # EINVAL is the kernel's word for a module without a directory for its drivers.
    assert set(errors) <= {errno.ENOMEM, errno.EINVAL}
    assert not left
