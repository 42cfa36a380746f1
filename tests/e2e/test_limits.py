# SPDX-License-Identifier: MIT
"""The largest request, one page more, and more requests than fit into the ring."""

import errno

import pytest
from vsp import (FEATURE_URING, MAX_PAGES, PAGE, RESPONSE, call, get, info, load_argv, load_result,
                 pattern, probe, put, uring)

RESPONSE_PAGES = RESPONSE // PAGE
# One page for the head, four for the response.
LARGEST = (MAX_PAGES - 1 - RESPONSE_PAGES) * PAGE


WAYS = {
    "ioctl": {},
    "larger_ioctl": {"nr": "f4"},
    "command": {"nr": "f4", "way": "command"},
}


def needs_uring(guest):
    if not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")


@pytest.fixture(params=WAYS)
def way(guest, request):
    if request.param == "command":
        needs_uring(guest)
    return WAYS[request.param]


@pytest.fixture
def largest(guest, container, target):
    guest.backend.put_blob(f"{container}/largest", pattern(LARGEST, 41))
    return target("largest")


def test_largest_request_receives(guest, largest, way):
    answer = call(guest, get(largest), data=LARGEST, expect=41, **way)
    assert (answer.result, answer.status, answer.http, answer.data_wrong) == (0, 0, 200, -1)


def test_largest_request_sends(guest, container, target, way):
    answer = call(guest, put(target("up"), LARGEST), data=LARGEST, data_valid=LARGEST, seed=42,
                  **way)
    assert (answer.result, answer.status, answer.http) == (0, 0, 201)
    assert guest.backend.get_blob(f"{container}/up") == pattern(LARGEST, 42)


@pytest.mark.parametrize("nr", ["f0", "legacy", "v1", "f4"])
def test_one_page_more_is_refused(guest, nr):
    answer = call(guest, probe(), nr=nr, data=LARGEST + 1)
    assert (answer.result, answer.errno) == (-1, errno.EMSGSIZE)


@pytest.mark.parametrize("fixed", [0, 1])
def test_largest_command_and_one_page_more(guest, largest, fixed):
    needs_uring(guest)
    out = uring(guest, get(largest), data_len=LARGEST, fixed=fixed, expect=41)
    assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 1}, 0)
    out = uring(guest, get(largest), data_len=LARGEST + PAGE, fixed=fixed)
    assert out["outcomes"] == {(-errno.EMSGSIZE, 0, 0): 1}


def test_buffers_of_one_byte(guest, way):
    """For the driver as good as any; the service says what it thinks of them."""
    for fields, http in (({"request_len": 1}, 400), ({"response": 1}, 0)):
        answer = call(guest, probe(), data=PAGE, **fields, **way)
        assert answer.result == 0
        assert answer.status or answer.http == http
        assert answer.response_len <= fields.get("response", RESPONSE)
        assert answer.guards["response"]


@pytest.mark.parametrize("which", ["request", "response", "data"])
def test_offset_in_the_page_counts_as_a_page(guest, which):
    """8192 pages when aligned, 8193 when one buffer starts a byte later."""
    fit = {"request": f"{PAGE}", "response": f"{RESPONSE}", "data": f"{LARGEST}"}
    ok = call(guest, probe().ljust(PAGE), **fit, request_len=PAGE)
    assert (ok.result, ok.errno) == (0, 0)
    fit[which] += "@1"
    answer = call(guest, probe().ljust(PAGE), **fit, request_len=PAGE)
    assert (answer.result, answer.errno) == (-1, errno.EMSGSIZE)


def test_response_of_eight_thousand_pages(guest):
    answer = call(guest, probe(), response=(MAX_PAGES - 1) * PAGE)
    assert (answer.result, answer.http) == (0, 200)


def test_ring_full_of_large_packets_makes_callers_wait(guest, container, target):
    """Page numbers of 1 MiB take 2 KiB: 300 such packets do not fit a ring of 128 KiB."""
    size = 1 << 20
    guest.backend.put_blob(f"{container}/mib", pattern(size, 43))
    result = guest.run(load_argv(procs=3, threads=100, loops=2, data_len=size, offset=512,
                                 expect=43), stdin=get(target("mib")), timeout=300)
    out = load_result(result)
    assert out["outcomes"] == {(0, 0, 200): 600}
    assert out["wrong"] == 0
    counters = guest.counters()
    assert counters["queued"] == counters["outstanding"] == counters["abandoned"] == 0


def test_ring_full_while_the_host_does_not_answer(guest, container, target, limits):
    """What does not fit waits in the driver, and all of it is answered in the end."""
    # It is the ring that has to be full, not the budget.
    limits(inflight_bytes=1 << 30, user_inflight_bytes=1 << 30)
    size = 256 << 10
    guest.backend.put_blob(f"{container}/quarter", pattern(size, 44))
    guest.backend.pause()
    try:
        load = guest.start(load_argv(threads=1200, data_len=size, expect=44, timeout=0),
                           stdin=get(target("quarter")), timeout=300)
        load.wait_output("started", 60 * guest.slow)
        guest.until(lambda: guest.counters()["queued"] > 100, "requests waiting for room")
        # A packet that would have to wait is refused to who does not want to.
        answer = call(guest, probe(), nonblock=1)
        assert (answer.result, answer.errno) == (-1, errno.EAGAIN)
    finally:
        guest.backend.resume()
    out = load_result(load.wait())
    assert out["outcomes"] == {(0, 0, 200): 1200}
    assert out["wrong"] == 0


def test_nonblocking_call_works_while_there_is_room(guest):
    answer = call(guest, probe(), nonblock=1)
    assert (answer.result, answer.http) == (0, 200)
