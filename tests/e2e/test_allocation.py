# SPDX-License-Identifier: MIT
"""Every allocation and every copy of user memory fails once, in each call that there is.

Needs a kernel with fault injection, so the file is collected for the debug kernel only.  That
nothing stays behind is for KASAN, kmemleak and the counts of bytes and pins to say.
"""

import errno
import signal

import pytest
from test_lifetime import DRIVER, vmbus_device
from test_protocol2 import pinned, split
from vsp import call, get, pattern

pytestmark = pytest.mark.fault_injection

DATA = 16 * 4096
# Allocations that may sleep fail too, those of the debugging aids' own caches do not, and of pages
# only what stands for a large kmalloc().
SETUP = """
cd /sys/kernel/debug
for fault in failslab fail_page_alloc; do
    echo N >$fault/ignore-gfp-wait && echo 0 >$fault/verbose || exit 1
done
echo 0 >fail_usercopy/verbose
echo Y >failslab/cache-filter
for cache in /sys/kernel/slab/kmalloc-*; do echo 1 >$cache/failslab || exit 1; done
echo 2 >fail_page_alloc/min-order
"""


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
# buffer, its pages, the packet and its list of pages, and the copy in to deregister.
CALLS = {"open": 0, "info": 1, "f0": 6, "legacy": 6, "v1": 6, "f4": 6, "register": 6,
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


def test_each_failure_while_the_host_is_told_of_a_cancel(guest, blob):
    guest.backend.terminate()
    try:
        program = guest.start(["vspfail", "cancel=7"], stdin=get(blob), timeout=300)
        program.wait_output("ready")
        guest.until(lambda: guest.counters()["outstanding"] == 1, "the request at the host")
        program.signal(signal.SIGUSR1)
        injected, refused, errors = numbers(program.wait().check().text)
    finally:
        guest.backend.start()
    # The copy in, the packet, the copy out; with the last one it is done all the same.
    assert injected >= refused >= 3
    assert set(errors) == {errno.ENOMEM, errno.EFAULT}
    works(guest, blob)


def test_each_failure_while_a_device_is_bound(guest, blob):
    """All of probe, the channel and the node's files; what of it worked is taken back."""
    device = vmbus_device(guest)
    guest.sh(f"echo {device} >{DRIVER}/unbind")
    result = guest.run(["vspfail", f"write={DRIVER}/bind,{device},{DRIVER}/unbind,{device}"],
                       stdin=b"x", timeout=900)
    injected, refused, errors = numbers(result.text)
    assert injected > refused > 20, result.text
    # The bus says of some of its own that there is no device.
    assert set(errors) <= {errno.ENOMEM, errno.EFAULT, errno.ENODEV, errno.EINVAL, errno.EAGAIN}
    guest.sh(f"[ -e /dev/azure_blob ] || echo {device} >{DRIVER}/bind")
    guest.wait_device()
    works(guest, blob)
