# SPDX-License-Identifier: MIT
"""The claim of 2021 had a hundred clients: all at once, each with the largest request there is."""

import pytest
from conftest import LIMITS
from vsp import MAX_PAGES, PAGE, RESPONSE, get, load_argv, load_result, pattern

LARGEST = (MAX_PAGES - 1 - RESPONSE // PAGE) * PAGE


@pytest.mark.big
def test_hundred_processes_with_the_largest_request_at_once(make_guest):
    guest = make_guest(memory="6G")
    # 3.2 GB would wait for the bytes of others; here they shall all be there at once.
    guest.sh(f"cd {LIMITS} && echo {8 << 30} >inflight_bytes && echo {8 << 30} >user_inflight_bytes")
    guest.backend.create_container("hundred")
    guest.backend.put_blob("hundred/blob", pattern(LARGEST, 51))
    head = get("/devstoreaccount1/hundred/blob")
    # While the host does not answer, they are all in flight together, or queued for room.
    guest.backend.pause()
    try:
        load = guest.start(load_argv(procs=100, data_len=LARGEST, expect=51, timeout=0),
                           stdin=head, timeout=600)
        load.wait_output("started", 300)

        def all_there():
            counters = guest.counters()
            return counters["queued"] + counters["outstanding"] == 100

        guest.until(all_there, "100 requests in the driver", 300)
    finally:
        guest.backend.resume()
    out = load_result(load.wait(600))
    assert out["outcomes"] == {(0, 0, 200): 100}
    assert (out["wrong"], out["killed"]) == (0, 0)
    counters = guest.counters()
    assert counters["queued"] == counters["outstanding"] == counters["abandoned"] == 0
