# SPDX-License-Identifier: MIT
"""Requests as io_uring commands: many from one thread, and every way to leave them behind."""

import errno
import os
import signal

import pytest
from conftest import LIMITS
from test_abi import ALL_ONES, BAD_ADDRESSES
from test_lifetime import DRIVER, vmbus_device
from vsp import (FEATURE_URING, FEATURE_URING_CANCEL, FEATURE_URING_FIXED, INFO, INFO_SIZE,
                 MAX_PAGES, PAGE, STATUS_CANCELLED, call, get, info, load_argv, load_result,
                 pattern, probe, put, uring, uring_argv)

MIB = 1 << 20
OK = (0, 0, 200)
# One largest request: the least that a limit can be.
LEAST = MAX_PAGES * PAGE


@pytest.fixture(autouse=True)
def needs_uring(guest):
    if not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 81))
    return target("blob")


@pytest.fixture
def small(guest, container, target):
    guest.backend.put_blob(f"{container}/small", pattern(PAGE, 82))
    return target("small")


def idle(guest):
    guest.until(lambda: not any(guest.counters()[n] for n in
                                ("queued", "outstanding", "abandoned", "bytes",
                                 "queued_for_bytes")), "the end of all requests")


def in_flight(guest, blob, depth=4, **options):
    """Commands that the paused daemon does not answer; returns their vspuring."""
    guest.backend.pause()
    load = guest.start(uring_argv(depth=depth, data_len=MIB, timeout=0, **options),
                       stdin=get(blob))
    load.wait_output("submitted")
    guest.wait_in_flight(depth)
    return load


def test_device_says_what_it_can_do(guest):
    said = info(guest)
    assert (said.size, said.flags, said.page_size, said.max_pages) == \
        (INFO_SIZE, 0, PAGE, MAX_PAGES)
    assert said.protocol in (1, 2)
    assert said.max_outstanding == (1024 if said.protocol == 1 else 1008)
    assert said.inflight_bytes >= LEAST and said.user_inflight_bytes >= LEAST
    assert said.features & FEATURE_URING_FIXED


@pytest.mark.parametrize("size, flags", [(0, 0), (INFO_SIZE - 1, 0), (PAGE + 1, 0), (ALL_ONES, 0),
                                         (INFO_SIZE, 1), (INFO_SIZE, ALL_ONES)])
def test_info_with_a_wrong_size_or_flags(guest, size, flags):
    said = call(guest, b"x", nr=hex(INFO),
                guid=(size.to_bytes(4, "little") + flags.to_bytes(4, "little")).hex())
    assert (said.result, said.errno) == (-1, errno.EINVAL)


@pytest.mark.parametrize("argp", ["0", "0xffffffffffffffff", "0xffffffff81000000"])
def test_info_at_a_bad_address(guest, argp):
    said = call(guest, b"x", nr=hex(INFO), argp=argp)
    assert (said.result, said.errno) == (-1, errno.EFAULT)


def test_info_zeroes_what_the_driver_does_not_know(guest):
    said = call(guest, b"x", nr=hex(INFO), timeout=ALL_ONES, reserved=ALL_ONES, request_len=ALL_ONES,
                guid=(72).to_bytes(4, "little").hex())
    assert said.result == 0
    assert said.struct[:4] == INFO_SIZE.to_bytes(4, "little")
    assert said.struct[INFO_SIZE:72] == bytes(72 - INFO_SIZE)


def test_larger_form_works_as_an_ioctl(guest, target):
    stored = call(guest, put(target("f4"), PAGE), nr="f4", data=PAGE, data_valid=PAGE, seed=3)
    assert (stored.result, stored.http) == (0, 201)
    back = call(guest, get(target("f4")), nr="f4", data=PAGE, expect=3)
    assert (back.result, back.http, back.data_wrong) == (0, 200, -1)


@pytest.mark.parametrize("field", ["reserved", "buffer_id", "reserved_2"])
@pytest.mark.parametrize("value", [1, ALL_ONES])
def test_unknown_fields_of_the_larger_form_must_be_zero(guest, field, value):
    answer = call(guest, probe(), nr="f4", **{field: value})
    assert (answer.result, answer.errno) == (-1, errno.EINVAL)


def test_one_command(guest):
    assert uring(guest, probe())["outcomes"] == {OK: 1}


@pytest.mark.parametrize("kind", [{}, {"defer": 1}, {"sqpoll": 1}, {"async": 1}, {"nonblock": 1},
                                  {"fixed": 1}], ids=lambda kind: "-".join(kind) or "plain")
def test_many_from_one_thread(guest, small, kind):
    out = uring(guest, get(small), count=600, depth=64, data_len=PAGE, offset=0 if "fixed" in kind
                else 77, expect=82, **kind)
    assert (out["outcomes"], out["wrong"]) == ({OK: 600}, 0)
    idle(guest)


def test_commands_are_at_the_host_at_the_same_time(guest, blob):
    load = in_flight(guest, blob, depth=48, expect=81)
    assert guest.counters()["outstanding"] == 48
    guest.backend.resume()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({OK: 48}, 0)


@pytest.mark.parametrize("fixed", [0, 1])
def test_data_is_sent(guest, container, target, fixed):
    size = 3 * PAGE + 5
    out = uring(guest, put(target("in"), size), data_len=size, data_valid=size, seed=83,
                offset=0 if fixed else 4095, fixed=fixed)
    assert out["outcomes"] == {(0, 0, 201): 1}
    assert guest.backend.get_blob(f"{container}/in") == pattern(size, 83)


def test_fixed_buffer_of_megabytes(guest, blob):
    out = uring(guest, get(blob), count=20, depth=4, data_len=MIB, fixed=1, expect=81)
    assert (out["outcomes"], out["wrong"]) == ({OK: 20}, 0)


@pytest.mark.parametrize("wrong", [{"set__data_len": PAGE + 1}, {"set__data_buffer": 0},
                                   {"set__data_buffer": ALL_ONES}, {"set__buf_index": 1},
                                   {"set__buf_index": 65535}], ids=str)
def test_outside_of_the_fixed_buffer(guest, wrong):
    out = uring(guest, probe(), data_len=PAGE, fixed=1, **wrong)
    assert out["outcomes"] == {(-errno.EFAULT, 0, 0): 1}


def test_fixed_buffer_without_data(guest):
    out = uring(guest, probe(), data_len=PAGE, fixed=1, set__data_len=0)
    assert out["outcomes"] == {(-errno.EINVAL, 0, 0): 1}


@pytest.mark.parametrize("small_one", ["sqe128", "cqe32"])
def test_ring_with_small_entries_is_refused(guest, small_one):
    out = uring(guest, probe(), **{small_one: 0})
    assert out["outcomes"] == {(-errno.EOPNOTSUPP, 0, 0): 1}


@pytest.mark.parametrize("op", ["0", "0xc04852f0", "0xc048520a", "0x52f1", "0xffffffff"])
def test_unknown_command(guest, op):
    assert uring(guest, probe(), op=op)["outcomes"] == {(-errno.ENOTTY, 0, 0): 1}


# Field, value, result; 0 means that it is accepted.
FIELDS = [
    ("guid", 0, 0), ("guid", (1 << 64) - 1, 0),
    ("timeout", 0, 0), ("timeout", 0x7FFFFFFF, 0), ("timeout", ALL_ONES, 0),
    ("request_len", 0, errno.EINVAL), ("request_len", LEAST, errno.EMSGSIZE),
    ("request_len", LEAST + 1, errno.EMSGSIZE), ("request_len", ALL_ONES, errno.EMSGSIZE),
    ("response_len", 0, errno.EINVAL), ("response_len", LEAST, errno.EMSGSIZE),
    ("response_len", LEAST + 1, errno.EMSGSIZE), ("response_len", ALL_ONES, errno.EMSGSIZE),
    ("data_len", 0, 0), ("data_len", 1, 0), ("data_len", LEAST, errno.EMSGSIZE),
    ("data_len", LEAST + 1, errno.EMSGSIZE), ("data_len", ALL_ONES, errno.EMSGSIZE),
    ("data_valid", 1, 0), ("data_valid", PAGE, 0), ("data_valid", PAGE + 1, errno.EINVAL),
    ("data_valid", ALL_ONES, errno.EINVAL),
    ("flags", 1, errno.EINVAL), ("flags", 1 << 31, errno.EINVAL), ("flags", ALL_ONES, errno.EINVAL),
    ("status", ALL_ONES, 0), ("response_out", ALL_ONES, 0),
    ("buffer_id", 1, errno.EINVAL), ("buffer_id", ALL_ONES, errno.EINVAL),
    ("reserved", 1, errno.EINVAL), ("reserved", ALL_ONES, errno.EINVAL),
    ("uring_flags", 2, errno.EINVAL), ("uring_flags", 1 << 31, errno.EINVAL),
    ("uring_flags", ALL_ONES, errno.EINVAL),
]


@pytest.mark.parametrize("field, value, error", FIELDS)
def test_field_of_a_command(guest, field, value, error):
    out = uring(guest, probe(), data_len=PAGE, **{f"set__{field}": value})
    assert len(out["outcomes"]) == 1
    (result, status, http), _ = out["outcomes"].popitem()
    assert (result, status) == (-error, 0)
    # The service minds a body that comes with a probe; the driver does not.
    assert http == (0 if error else 400 if field == "data_valid" else 200)


@pytest.mark.parametrize("buffer", ["request", "response", "data"])
@pytest.mark.parametrize("where", [name for name, spec in BAD_ADDRESSES.items() if "addr" in spec])
def test_bad_address_of_a_command(guest, buffer, where):
    address = BAD_ADDRESSES[where].rpartition(":")[2]
    out = uring(guest, probe(), data_len=2 * PAGE, **{f"set__{buffer}_buffer": address})
    assert out["outcomes"] == {(-errno.EFAULT, 0, 0): 1}


@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("then", ["close", "munmap", "fork"])
def test_program_does_something_else_meanwhile(guest, blob, then, fixed):
    """The request keeps the file and the pages; the program keeps its ring."""
    load = in_flight(guest, blob, then=then, expect=81, fixed=fixed)
    guest.backend.resume()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({OK: 4}, 0)
    idle(guest)


@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("then, said", [("exit", None), ("exec", "executed"), ("ring", "ring gone")])
def test_program_leaves_with_commands_in_flight(guest, blob, then, said, fixed):
    cancels = info(guest).features & FEATURE_URING_CANCEL
    load = in_flight(guest, blob, then=then, fixed=fixed)
    try:
        load.signal(signal.SIGUSR1)
        if cancels:
            # Although the host has not answered; and its pages are kept.
            if said:
                load.wait_output(said)
            if then != "ring":
                load.wait().check()
            guest.until(lambda: guest.counters()["abandoned"] == 4, "4 abandoned requests")
            assert guest.counters()["bytes"] >= 4 * MIB
            assert guest.counters()["cancelled"] >= 4
    finally:
        guest.backend.resume()
    if not cancels and said:
        load.wait_output(said)
    if then == "ring":
        load.signal(signal.SIGUSR1)
    load.wait().check()
    idle(guest)
    assert uring(guest, get(blob), data_len=MIB, expect=81)["outcomes"] == {OK: 1}


def test_killed_program_leaves_nothing(guest, blob):
    # With more to do than it can: the answers may be there before the signal is.
    load = in_flight(guest, blob, count=1 << 40)
    load.kill()
    guest.backend.resume()
    assert load.wait().status == -signal.SIGKILL
    idle(guest)


def test_programs_killed_at_random_moments(guest, blob):
    for fixed in (0, 1) * 5:
        load = guest.start(uring_argv(depth=16, count=100000, data_len=MIB, timeout=0, fixed=fixed),
                           stdin=get(blob))
        load.wait_output("submitted")
        load.kill()
        load.wait()
    idle(guest)
    assert uring(guest, get(blob), data_len=MIB, expect=81)["outcomes"] == {OK: 1}


def test_more_commands_than_the_host_takes(guest, small):
    """They wait in the driver, also on a node that does not block."""
    guest.backend.pause()
    load = guest.start(uring_argv(depth=1500, data_len=PAGE, timeout=0, nonblock=1, expect=82),
                       stdin=get(small))
    load.wait_output("submitted")
    guest.until(lambda: guest.counters()["queued"] > 100, "commands waiting for room")
    guest.backend.resume()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({OK: 1500}, 0)
    idle(guest)


@pytest.mark.parametrize("which", ["inflight_bytes", "user_inflight_bytes"])
@pytest.mark.parametrize("how", ["commands", "threads"])
def test_requests_over_the_budget_wait(guest, limits, blob, which, how):
    limits(**{which: LEAST})
    assert getattr(info(guest), which) == LEAST
    guest.backend.pause()
    if how == "commands":
        load = guest.start(uring_argv(depth=64, data_len=MIB, timeout=0, expect=81),
                           stdin=get(blob))
        load.wait_output("submitted")
    else:
        load = guest.start(load_argv(threads=64, data_len=MIB, timeout=0, expect=81),
                           stdin=get(blob))
        load.wait_output("started")
    guest.until(lambda: guest.counters()["queued_for_bytes"] > 20, "requests over the budget")
    assert guest.counters()["bytes"] <= LEAST
    refused = call(guest, probe(), nonblock=1)
    assert (refused.result, refused.errno) == (-1, errno.EAGAIN)
    guest.backend.resume()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({OK: 64}, 0)
    idle(guest)


def test_abandoned_requests_stay_charged(guest, limits, blob):
    limits(user_inflight_bytes=LEAST)
    load = in_flight(guest, blob, depth=16)
    charged = guest.counters()["bytes"]
    threads = guest.start(load_argv(threads=16, data_len=MIB, timeout=0), stdin=get(blob))
    threads.wait_output("started")

    def settled():
        # A thread that still pins would pay nothing when it is killed.
        now = guest.counters()
        return now["queued_for_bytes"] and now["outstanding"] + now["queued_for_bytes"] == 32

    guest.until(settled, "all threads at the host or over the budget")
    before = guest.counters()["bytes"]
    assert before > charged
    threads.kill()
    threads.wait()
    guest.until(lambda: guest.counters()["queued_for_bytes"] == 0, "killed threads out of line")
    assert guest.counters()["bytes"] == before
    guest.backend.resume()
    load.wait().check()
    idle(guest)


def test_user_of_the_personality_pays(guest, limits, blob):
    """Whose credentials a command has, and not who submits it nor who opened the file."""
    nobody = 65534
    limits(user_inflight_bytes=LEAST)
    guest.backend.pause()
    load = guest.start(uring_argv(depth=64, data_len=MIB, timeout=0, personality=nobody),
                       stdin=get(blob))
    load.wait_output("submitted")
    guest.until(lambda: guest.counters()["queued_for_bytes"] > 20, "requests over the budget")
    guest.until(lambda: sum(guest.counters()[n] for n in ("queued_for_bytes", "outstanding")) == 64,
                "the others at the host")
    at_host = guest.counters()["outstanding"]
    # The share of that user is used up, for its other programs too.
    guest.sh("chmod 666 /dev/azure_blob")
    refused = guest.run(["su", "-s", "/bin/sh", "-c",
                         "vspcall nonblock=1 response=16384", "nobody"], stdin=probe())
    guest.sh("chmod 600 /dev/azure_blob")
    assert f'"errno": {errno.EAGAIN},' in refused.text
    # And root's is not, although all of them are root's commands.
    own = guest.start(load_argv(threads=4, data_len=MIB, timeout=0, expect=81), stdin=get(blob))
    guest.until(lambda: guest.counters()["outstanding"] == at_host + 4, "root's requests at the host")
    assert guest.counters()["queued_for_bytes"] == 64 - at_host
    guest.backend.resume()
    assert load_result(own.wait())["outcomes"] == {OK: 4}
    assert load_result(load.wait())["outcomes"] == {OK: 64}
    idle(guest)


def test_limit_raised_lets_waiting_requests_go(guest, limits, blob):
    limits(inflight_bytes=LEAST)
    guest.backend.pause()
    load = guest.start(uring_argv(depth=64, data_len=MIB, timeout=0), stdin=get(blob))
    load.wait_output("submitted")
    guest.until(lambda: guest.counters()["queued_for_bytes"] > 0, "requests over the budget")
    limits(inflight_bytes=4 * LEAST)
    guest.until(lambda: guest.counters()["outstanding"] == 64, "all at the host")
    guest.backend.resume()
    load.wait().check()
    idle(guest)


@pytest.mark.parametrize("value, error", [
    *((value, errno.EINVAL) for value in ("0", "1", str(LEAST - 1), "-1", "x", "")),
    ("99999999999999999999", errno.ERANGE)])
@pytest.mark.parametrize("which", ["inflight_bytes", "user_inflight_bytes"])
def test_impossible_limit_is_refused(guest, limits, which, value, error):
    before = guest.run(["cat", f"{LIMITS}/{which}"]).text
    refused = guest.sh(f"echo '{value}' >{LIMITS}/{which}", check=False)
    assert refused.status and os.strerror(error) in refused.stderr.decode()
    assert guest.run(["cat", f"{LIMITS}/{which}"]).text == before


def test_unbind_with_commands_waiting_everywhere(guest, limits, blob):
    """At the host, and in line for bytes: an answer or ENODEV, never silence."""
    limits(inflight_bytes=LEAST)
    device = vmbus_device(guest)
    guest.backend.pause()
    load = guest.start(uring_argv(depth=64, data_len=MIB, timeout=0), stdin=get(blob))
    load.wait_output("submitted")
    guest.until(lambda: guest.counters()["queued_for_bytes"] > 0, "requests over the budget")
    unbind = guest.start(["sh", "-c", f"echo {device} >{DRIVER}/unbind"])
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    guest.backend.resume()
    unbind.wait().check()
    out = load_result(load.wait())
    assert sum(out["outcomes"].values()) == 64
    assert set(out["outcomes"]) <= {OK, (-errno.ENODEV, 0, 0)}
    assert out["outcomes"][-errno.ENODEV, 0, 0] > 0
    guest.sh(f"echo {device} >{DRIVER}/bind")
    guest.wait_device()
    assert uring(guest, get(blob), data_len=MIB, expect=81)["outcomes"] == {OK: 1}


def test_device_removed_with_commands_in_flight(guest, blob):
    load = in_flight(guest, blob)
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.backend.resume()
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    out = load_result(load.wait())
    assert sum(out["outcomes"].values()) == 4
    assert set(out["outcomes"]) <= {OK, (0, STATUS_CANCELLED, 0), (-errno.ENODEV, 0, 0)}
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()
    assert uring(guest, get(blob), data_len=MIB, expect=81)["outcomes"] == {OK: 1}
