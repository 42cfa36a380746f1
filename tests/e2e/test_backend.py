# SPDX-License-Identifier: MIT
"""The daemon goes away, comes back, or stands still; the guest's memory is nobody's meanwhile."""

import signal

import pytest
from vsp import PAGE, STATUS_TIMEOUT, call, get, load_argv, load_result, pattern, probe, put

MIB = 1 << 20


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 61))
    return target("blob")


def restart(guest, how):
    """Ends the daemon and starts it again on the same store."""
    if how == "terminate":
        assert guest.backend.terminate() == 0
    else:
        assert guest.backend.kill() == -signal.SIGKILL
    guest.backend.start()


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_idle_daemon_is_restarted(guest, blob, how):
    assert call(guest, get(blob), data=MIB, expect=61).http == 200
    restart(guest, how)
    answer = call(guest, get(blob), data=MIB, expect=61)
    assert (answer.result, answer.status, answer.http, answer.data_wrong) == (0, 0, 200, -1)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_requests_made_while_there_is_no_daemon_wait_for_it(guest, blob, how):
    if how == "terminate":
        guest.backend.terminate()
    else:
        guest.backend.kill()
    load = guest.start(load_argv(threads=8, data_len=MIB, expect=61, timeout=0), stdin=get(blob))
    load.wait_output("started")
    guest.until(lambda: guest.counters()["outstanding"] == 8, "8 requests at the host")
    assert not load.done
    guest.backend.start()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 8}, 0)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_readers_never_notice_restarts(guest, blob, how):
    load = guest.start(load_argv(threads=8, loops=0, data_len=MIB, expect=61, timeout=0),
                       stdin=get(blob), timeout=300)
    load.wait_output("started")
    for _ in range(3):
        before = guest.counters()["completed"]
        guest.until(lambda seen=before: guest.counters()["completed"] > seen + 20, "progress")
        restart(guest, how)
    before = guest.counters()["completed"]
    guest.until(lambda: guest.counters()["completed"] > before + 20, "progress after restarts")
    load.signal(signal.SIGTERM)
    out = load_result(load.wait())
    assert list(out["outcomes"]) == [(0, 0, 200)]
    assert out["wrong"] == 0


def test_write_in_flight_over_a_kill_is_done_once(guest, container, target):
    """An If-None-Match put that ran twice would answer 409 the second time."""
    from azvm import sharedkey  # pylint: disable=import-outside-toplevel

    for number in range(5):
        name = f"once-{number}"
        head = sharedkey.head("PUT", target(name), {"x-ms-blob-type": "BlockBlob",
                                                    "If-None-Match": "*"}, 4 * MIB)
        load = guest.start(load_argv(data_len=4 * MIB, data_valid=4 * MIB, seed=62, timeout=0),
                           stdin=head)
        load.wait_output("started")
        restart(guest, "kill")
        out = load_result(load.wait())
        assert out["outcomes"] == {(0, 0, 201): 1}
        assert guest.backend.get_blob(f"{container}/{name}") == pattern(4 * MIB, 62)


def test_timeout_of_a_request_that_waits_for_a_daemon(guest, blob):
    """Nobody has the pages then, so the time-out may be answered."""
    guest.backend.kill()
    answer = call(guest, get(blob), data=MIB, timeout=500)
    guest.backend.start()
    assert (answer.result, answer.status) == (0, STATUS_TIMEOUT)


def test_stopped_daemon_holds_back_the_timeout(guest, blob):
    """A time-out is answered only when the daemon has confirmed that it writes no more."""
    assert call(guest, probe()).http == 200
    timeouts = guest.device("stat-timeouts")
    guest.backend.pause()
    try:
        load = guest.start(load_argv(threads=4, data_len=MIB, timeout=200), stdin=get(blob))
        load.wait_output("started")
        guest.wait_in_flight(4)
        guest.until(lambda: guest.device("stat-timeouts") >= timeouts + 4, "time-outs at the host")
        assert not load.done
        assert guest.counters()["outstanding"] == 4
    finally:
        guest.backend.resume()
    out = load_result(load.wait())
    assert sum(out["outcomes"].values()) == 4
    # Each was either done before the cancel came, or is a time-out.
    assert set(out["outcomes"]) <= {(0, 0, 200), (0, STATUS_TIMEOUT, 0)}


def test_pages_of_a_killed_client_are_not_reused_while_the_host_may_write(guest, blob, limits):
    """The memory of killed clients must stay theirs until the stopped daemon has answered."""
    limits(inflight_bytes=1 << 30, user_inflight_bytes=1 << 30)
    clients = 24
    size = 8 * MIB
    container = blob.split("/")[2]
    guest.backend.put_blob(f"{container}/large", pattern(size, 63))
    guest.backend.pause()
    try:
        load = guest.start(load_argv(threads=clients, data_len=size, timeout=100),
                           stdin=get(blob.replace("/blob", "/large")))
        load.wait_output("started")
        guest.wait_in_flight(1)
        guest.until(lambda: sum(guest.counters()[n] for n in ("outstanding", "queued")) == clients,
                    f"{clients} requests in the driver")
        load.kill()
        assert load.wait().status == -signal.SIGKILL
        abandoned = guest.counters()["abandoned"]
        assert abandoned > 0
        # Whatever memory is left, in the hands of somebody who would notice.
        free = int(guest.sh("awk '/MemAvailable/{print int($2/1024)}' /proc/meminfo").text)
        hold = guest.start(["pattern", "hold", str(free * 3 // 4), "64"], timeout=300)
        hold.wait_output("holding", 200)
    finally:
        guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    hold.signal(signal.SIGUSR1)
    result = hold.wait()
    assert result.text.splitlines()[-1] == "wrong pages: 0"
    assert call(guest, get(blob), data=MIB, expect=61).http == 200


def test_daemon_killed_while_stopped_gives_the_requests_to_the_next(guest, blob):
    guest.backend.pause()
    load = guest.start(load_argv(threads=4, data_len=MIB, expect=61, timeout=0), stdin=get(blob))
    load.wait_output("started")
    guest.wait_in_flight(4)
    guest.backend.kill()
    guest.backend.start()
    out = load_result(load.wait())
    assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 4}, 0)


def test_acknowledged_write_survives_a_kill(guest, container, target):
    answer = call(guest, put(target("kept"), 3 * PAGE), data=3 * PAGE, data_valid=3 * PAGE, seed=65)
    assert answer.http == 201
    restart(guest, "kill")
    assert guest.backend.get_blob(f"{container}/kept") == pattern(3 * PAGE, 65)
