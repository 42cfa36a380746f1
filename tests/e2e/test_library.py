# SPDX-License-Identifier: MIT
"""libazblob on the real device: queues by io_uring and by threads, registered buffers, cancelling.

The program is tests/client/api/queue.c, which the client's tests run without a driver.
"""

import signal

import pytest
from azvm import paths
from test_protocol2 import plug
from vsp import (FEATURE_BUFFERS, FEATURE_URING, FEATURE_URING_FIXED, MAX_PAGES, PAGE, get, info,
                 pattern, settle)

PROGRAM = paths.BUILD / "tests/client/api/api-queue-static"


@pytest.fixture
def queue(guest):
    """Runs the program; its libraries are those of the command."""
    if guest.sh("ls /usr/bin/api-queue", check=False).status:
        guest.agent.put("/usr/bin/api-queue", PROGRAM.read_bytes())

    def start(*argv):
        return guest.start(["api-queue", *argv], timeout=300,
                           env={"AZBLOB_TEST_DEVICE": "/dev/azure_blob"})
    return start


def best(guest):
    """The best queue and buffer of this kernel and host."""
    features = info(guest).features
    kind = "uring" if features & FEATURE_URING else "threads"
    if features & FEATURE_BUFFERS:
        return kind, "host"
    return kind, "uring" if features & FEATURE_URING_FIXED else "plain"


def test_queues_use_what_kernel_and_host_have(guest, container, queue):
    kind, buffers = best(guest)
    assert buffers == "host"
    before = guest.counters()["submitted"]
    queue(container, kind, buffers).wait().check()
    assert guest.counters()["submitted"] > before


def test_threads_do_the_same_where_there_is_no_ring(guest, container, queue):
    queue(container, "threads", "host").wait().check()


def test_a_cancelled_request_ends_when_the_host_is_done_with_it(guest, container, queue):
    guest.backend.put_blob(f"{container}/held", pattern(1 << 20, 5))
    for kind in {best(guest)[0], "threads"}:
        held = queue(container, "held", kind)
        held.wait_output("ready")
        guest.backend.pause()
        held.signal(signal.SIGUSR1)
        guest.wait_in_flight(4)
        held.signal(signal.SIGUSR1)
        # The program has seen that none has a completion.
        held.wait_output("cancelled")
        guest.backend.resume()
        held.wait().check()


@pytest.mark.parametrize("way", ["best", "threads"])
def test_the_host_ends_what_is_cancelled_without_an_answer(guest, container, queue, way):
    """There is no daemon: nothing but the cancellation can end them before their hour is over."""
    guest.backend.put_blob(f"{container}/held", pattern(1 << 20, 8))
    program = queue(container, "cancel", best(guest)[0] if way == "best" else way)
    program.wait_output("ready")
    guest.backend.terminate()
    program.signal(signal.SIGUSR1)
    guest.until(lambda: guest.counters()["outstanding"] == 5, "all of them at the host")
    program.signal(signal.SIGUSR1)
    program.wait_output("cancelled")
    # The host's answer to a cancel itself may come last.
    guest.until(lambda: guest.counters()["outstanding"] == 0, "the end of all that was sent")
    guest.backend.start()
    settle(guest)
    program.signal(signal.SIGUSR1)
    program.wait().check()


@pytest.mark.parametrize("way", ["best", "threads"])
def test_what_waits_in_the_driver_is_cancelled_unsent(guest, container, target, limits, queue, way):
    """One large request has all the bytes that may be pinned, so nothing of the others is sent."""
    guest.backend.put_blob(f"{container}/held", pattern(1 << 20, 9))
    program = queue(container, "cancel", best(guest)[0] if way == "best" else way, "unsent")
    program.wait_output("ready")
    limits(inflight_bytes=MAX_PAGES * PAGE)
    guest.backend.pause()
    large = guest.start(["vspcancel", f"thread=1,{(MAX_PAGES - 16) * PAGE}", "join"],
                        stdin=get(target("held")))
    guest.wait_in_flight(1)
    program.signal(signal.SIGUSR1)
    guest.until(lambda: guest.counters()["queued_for_bytes"] == 5, "all of them in line")
    program.signal(signal.SIGUSR1)
    program.wait_output("cancelled")
    guest.until(lambda: guest.counters()["queued_for_bytes"] == 0, "nobody in line")
    guest.backend.resume()
    large.wait().check()
    program.signal(signal.SIGUSR1)
    program.wait().check()


def test_a_request_whose_thread_has_ended_still_has_its_completion(guest, container, queue):
    guest.backend.put_blob(f"{container}/held", pattern(4096, 7))
    left = queue(container, "left")
    left.wait_output("ready")
    guest.backend.pause()
    left.signal(signal.SIGUSR1)
    guest.wait_in_flight(1)
    guest.backend.resume()
    left.wait().check()


def test_a_killed_daemon_costs_a_queue_only_time(guest, container, queue):
    guest.backend.put_blob(f"{container}/held", pattern(1 << 20, 6))
    held = queue(container, "held", best(guest)[0], "keep")
    held.wait_output("ready")
    guest.backend.pause()
    held.signal(signal.SIGUSR1)
    guest.wait_in_flight(4)
    guest.backend.kill()
    guest.backend.start()
    held.wait().check()


def test_a_host_of_protocol_1_leaves_io_uring_its_buffers(guest, container, queue):
    plug(guest, 1)
    kind, buffers = best(guest)
    assert buffers == ("uring" if kind == "uring" else "plain")
    queue(container, kind, buffers).wait().check()
    plug(guest, 2)
