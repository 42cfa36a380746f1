# SPDX-License-Identifier: MIT
"""Requests that their program cancels by name, wherever they are."""

import errno
import signal

import pytest
from test_abi import ALL_ONES
from test_lifetime import DRIVER, vmbus_device
from test_protocol2 import plug, results, split
from vsp import (FEATURE_CANCEL_CALL, FEATURE_URING, MAX_PAGES, PAGE, STATUS_CANCELLED, call, get,
                 info, pattern, settle)

MIB = 1 << 20
LEAST = MAX_PAGES * PAGE
OK = "0/0x0/200"
CANCELLED = f"0/{STATUS_CANCELLED:#x}/0"
UNSENT = f"{-errno.ECANCELED}/0x0/0"


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 97))
    return target("blob")


@pytest.fixture(params=["thread", "command"])
def kind(guest, request):
    if request.param == "command" and not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    return request.param


@pytest.fixture
def no_daemon(guest):
    """The host has requests, and nobody to answer them but itself."""
    guest.backend.terminate()
    yield
    guest.backend.start()
    settle(guest)


@pytest.fixture
def version_1(guest):
    plug(guest, 1)
    yield
    guest.backend.resume()
    plug(guest, 2)
    settle(guest)


def start(guest, blob, *argv):
    """A vspcancel that says "ready" and then waits for next_step()."""
    return guest.start(["vspcancel", *argv], stdin=get(blob))


def pause(guest, blob):
    """Stops a daemon that knows the guest's memory: before it does, it is given no request."""
    lines = call_it(guest, f"thread=1,{MIB}", f"thread=2,{MIB}", "join", stdin=get(blob))
    assert [result for name, result in lines if name in ("1", "2")] == [OK] * 2
    guest.backend.pause()


def next_step(program):
    program.signal(signal.SIGUSR1)


def finish(program):
    return split(program.wait().check().text)


def call_it(guest, *argv, check=True, stdin=b"x"):
    return split(guest.run(["vspcancel", *argv], stdin=stdin, check=check).text)


def cancelled(result=0, ended=0, told=0):
    return f"{result} {ended} {told}"


def test_device_says_that_it_can_cancel(guest):
    assert info(guest).features & FEATURE_CANCEL_CALL


def test_request_at_the_host_ends_with_the_hosts_word(guest, blob, kind, no_daemon):
    """Its buffers are the host's until then; there is no daemon, so it can be no other answer."""
    before = guest.counters()
    program = start(guest, blob, f"{kind}=7,{MIB}", "say=ready", "wait", "cancel=7", "join", "cancel=7")
    program.wait_output("ready")
    guest.until(lambda: guest.counters()["outstanding"] == 1, "the request at the host")
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(told=1), cancelled(-errno.ENOENT)]
    assert results(lines, "7") == [CANCELLED]
    # The host's answer to the cancel itself may come last.
    guest.until(lambda: guest.counters()["outstanding"] == 0, "the end of all that was sent")
    after = guest.counters()
    assert after["completed"] == before["completed"] + 1
    assert (after["abandoned"], after["bytes"]) == (0, 0)
    assert after["bad_packet"] == after["bad_id_unknown"] == 0


def test_several_of_one_name_and_none_of_another(guest, blob, kind, no_daemon):
    program = start(guest, blob, f"{kind}=1,{MIB}", f"{kind}=2,{MIB}", f"{kind}=1,{MIB}",
                    f"{kind}=1,{MIB}", "say=ready", "wait", "cancel=1", "say=cancelled", "wait",
                    "cancel=2", "join")
    program.wait_output("ready")
    guest.until(lambda: guest.counters()["outstanding"] == 4, "4 requests at the host")
    next_step(program)
    program.wait_output("cancelled")
    guest.until(lambda: guest.counters()["outstanding"] == 1, "the end of three")
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(told=3), cancelled(told=1)]
    assert results(lines, "1") == [CANCELLED] * 3
    assert results(lines, "2") == [CANCELLED]


def test_host_is_told_once(guest, blob, kind):
    """The daemon has it, and stands still: whoever asks again learns that it is on its way."""
    before = guest.device("stat-cancelled")
    pause(guest, blob)
    program = start(guest, blob, f"{kind}=7,{MIB}", "say=ready", "wait", "cancel=7", "cancel=7",
                    "cancel=7", "say=cancelled", "join")
    program.wait_output("ready")
    guest.wait_in_flight(1)
    next_step(program)
    program.wait_output("cancelled")
    guest.until(lambda: guest.device("stat-cancelled") == before + 1, "the host's word to the daemon")
    # The host does not write to its pages when that is over, and not before.
    assert guest.counters()["outstanding"] >= 1
    guest.backend.resume()
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(told=1)] * 3
    # Whichever came first.
    assert results(lines, "7")[0] in (OK, CANCELLED)
    assert guest.device("stat-cancelled") == before + 1
    assert guest.device("stat-bad-packets") == 0


def test_request_in_line_for_bytes_is_never_sent(guest, blob, kind, limits):
    limits(inflight_bytes=LEAST)
    pause(guest, blob)
    large = LEAST - 16 * PAGE
    program = start(guest, blob, f"thread=1,{large}", "say=first", "wait", f"{kind}=2,{MIB}",
                    "say=ready", "wait", "cancel=2", "say=cancelled", "wait", "join")
    program.wait_output("first")
    guest.wait_in_flight(1)
    next_step(program)
    program.wait_output("ready")
    guest.until(lambda: guest.counters()["queued_for_bytes"] == 1, "a request over the budget")
    before = guest.counters()["cancelled"]
    next_step(program)
    program.wait_output("cancelled")
    guest.until(lambda: guest.counters()["queued_for_bytes"] == 0, "nobody in line")
    assert guest.counters()["cancelled"] == before + 1
    guest.backend.resume()
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(ended=1)]
    assert (results(lines, "1"), results(lines, "2")) == ([OK], [UNSENT])


def test_requests_of_another_file_are_not_found(guest, blob, kind):
    pause(guest, blob)
    program = start(guest, blob, f"{kind}=7,{MIB}", "say=ready", "wait", "file=1", "cancel=7",
                    "say=tried", "wait", "join")
    program.wait_output("ready")
    guest.wait_in_flight(1)
    # Nor by another program.
    assert results(call_it(guest, "cancel=7"), "cancel") == [cancelled(-errno.ENOENT)]
    next_step(program)
    program.wait_output("tried")
    guest.backend.resume()
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(-errno.ENOENT)]
    assert results(lines, "7") == [OK]


def test_version_1_host_cannot_cancel_what_it_has(guest, blob, kind, version_1):
    assert info(guest).features & FEATURE_CANCEL_CALL
    # The new device has its link to the daemon.
    assert call(guest, get(blob), data=MIB, expect=97).http == 200
    pause(guest, blob)
    program = start(guest, blob, f"{kind}=7,{MIB}", "say=ready", "wait", "cancel=7", "say=tried",
                    "wait", "join")
    program.wait_output("ready")
    guest.wait_in_flight(1)
    next_step(program)
    program.wait_output("tried")
    guest.backend.resume()
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(-errno.EOPNOTSUPP)]
    assert results(lines, "7") == [OK]
    assert guest.device("stat-bad-packets") == 0


BAD = {
    "flag_1": ("0,1", errno.EINVAL),
    "flag_31": (f"0,{1 << 31}", errno.EINVAL),
    "all_flags": (f"0,{ALL_ONES}", errno.EINVAL),
    "size_0": ("0,0,0", errno.EINVAL),
    "size_1": ("0,0,1", errno.EINVAL),
    "one_byte_less": ("0,0,31", errno.EINVAL),
    "more_than_a_page": (f"0,0,{PAGE + 1}", errno.EINVAL),
    "all_ones": (f"0,0,{ALL_ONES}", errno.EINVAL),
    "ended_1": ("0,0,32,1", errno.EINVAL),
    "ended_all_ones": (f"0,0,32,{ALL_ONES}", errno.EINVAL),
    "told_1": ("0,0,32,0,1", errno.EINVAL),
    "told_all_ones": (f"0,0,32,0,{ALL_ONES}", errno.EINVAL),
    "unknown_field": ("0,0,40,0,0,1", errno.E2BIG),
    "known_fields_of_a_later_one": ("0,0,40,0,0,0", errno.ENOENT),
    "name_all_ones": ("255", errno.ENOENT),
    "name_0": ("0", errno.ENOENT),
}


@pytest.mark.parametrize("which", BAD)
def test_bad_cancel(guest, which):
    text, error = BAD[which]
    (result,) = results(call_it(guest, f"cancel={text}"), "cancel")
    assert result.split()[0] == str(-error)


@pytest.mark.parametrize("address", ["0", "0xffffffffffffffff", "0xffffffff81000000", "0xfff",
                                     "0x8000000000000000", "0x7fffffffffff"])
def test_cancel_at_a_bad_address(guest, address):
    assert results(call_it(guest, f"cancel_at={address}"), "cancel") == [cancelled(-errno.EFAULT)]


def test_structure_that_cannot_be_filled(guest, blob, no_daemon):
    """The caller learns of it; the request has been cancelled."""
    program = start(guest, blob, f"thread=7,{MIB}", "say=ready", "wait", "cancel_ro=8",
                    "cancel_ro=7", "join")
    program.wait_output("ready")
    guest.until(lambda: guest.counters()["outstanding"] == 1, "the request at the host")
    next_step(program)
    lines = finish(program)
    assert results(lines, "cancel") == [cancelled(-errno.ENOENT), cancelled(-errno.EFAULT)]
    assert results(lines, "7") == [CANCELLED]


def test_file_whose_device_has_gone(guest, blob):
    device = vmbus_device(guest)
    program = start(guest, blob, "file=0", "say=ready", "wait", "cancel=7")
    program.wait_output("ready")
    guest.sh(f"echo {device} >{DRIVER}/unbind")
    next_step(program)
    assert results(finish(program), "cancel") == [cancelled(-errno.ENODEV)]
    guest.sh(f"echo {device} >{DRIVER}/bind")
    guest.wait_device()


def test_killed_after_a_cancel_leaves_nothing(guest, blob):
    before = guest.device("stat-cancelled")
    pause(guest, blob)
    program = start(guest, blob, f"thread=7,{MIB}", f"thread=8,{MIB}", "say=ready", "wait",
                    "cancel=7", "say=cancelled", "wait")
    program.wait_output("ready")
    guest.wait_in_flight(2)
    next_step(program)
    program.wait_output("cancelled")
    program.kill()
    assert program.wait().status == -signal.SIGKILL
    # One is told of by name, and one because nobody waits for it any more.
    guest.until(lambda: guest.device("stat-cancelled") == before + 2, "2 cancelled requests")
    guest.backend.resume()
    guest.until(lambda: not any(guest.counters()[n] for n in ("abandoned", "outstanding", "bytes")),
                "the end of all requests")
    assert guest.counters()["bad_packet"] == guest.counters()["bad_id_unknown"] == 0


def check_storm(lines, requests):
    """Each request has ended once, with one of the three ends that there are, and not all in peace."""
    counts = {end: int(n) for end, n in lines}
    assert counts.pop("calls") > 0
    assert set(counts) <= {OK, CANCELLED, UNSENT}
    assert sum(counts.values()) == requests
    # Each of hundreds can be found for most of its life.
    assert counts.get(CANCELLED, 0) + counts.get(UNSENT, 0) > 0


def test_cancelled_at_random_moments_under_load(guest, blob):
    """Each request ends once, with one of the three ends that there are."""
    if not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    loops = 40
    lines = split(guest.run(["vspcancel", f"storm=8,{loops},{MIB}"], stdin=get(blob),
                            timeout=300).text)
    check_storm(lines, 16 * loops)
    guest.until(lambda: not any(guest.counters()[n] for n in
                                ("queued", "outstanding", "abandoned", "bytes", "queued_for_bytes")),
                "the end of all requests")
    assert guest.counters()["bad_packet"] == guest.counters()["bad_id_unknown"] == 0
    assert guest.device("stat-bad-packets") == 0
    assert call(guest, get(blob), data=MIB, expect=97).data_wrong == -1


def test_numbers_limits_and_buffers_at_the_same_time(guest, blob, limits):
    """All that looks at a device or changes it, while requests come, go and are cancelled."""
    if not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    limits(inflight_bytes=2 * LEAST)
    path = "/sys/class/azure_blob/azure_blob"
    others = guest.start(["sh", "-c", f"""
        while [ ! -e /tmp/enough ]; do
            cat {path}/statistics/* {path}/limits/* /sys/kernel/debug/hv_azure_blob/*/counters
            echo {LEAST} >{path}/limits/inflight_bytes
            echo {4 * LEAST} >{path}/limits/user_inflight_bytes
            echo {2 * LEAST} >{path}/limits/inflight_bytes
        done >/dev/null"""], timeout=300)
    buffers = guest.start(["vspbuf", f"map={PAGE}", *["limit=40", "open"] * 20], stdin=b"x",
                          timeout=300)
    storm = guest.start(["vspcancel", f"storm=8,30,{MIB}"], stdin=get(blob), timeout=300)
    try:
        lines = split(storm.wait().check().text)
        registered = [line.split() for line in results(split(buffers.wait().check().text), "limit")]
        assert len(registered) == 20
        assert all(int(n) == 40 and int(last) > 0 for n, last in registered)
    finally:
        # Later tests have the guest to themselves, whatever came of this one.
        guest.sh("touch /tmp/enough")
        ended = others.wait()
        guest.sh("rm /tmp/enough")
    ended.check()
    check_storm(lines, 16 * 30)
