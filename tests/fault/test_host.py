# SPDX-License-Identifier: MIT
"""A host that does what no host should: the driver counts it, and nobody else notices.

Each test runs many requests while the fault strikes; each answer has to be right or an error that
the documents name, and afterwards the device works and nothing is left behind.
"""

import errno
import os
import signal

import pytest
from vsp import STATUS_CANCELLED, STATUS_TIMEOUT, call, load_result, pinned, probe

# Rounds of what is repeated: a slice here, thousands with make lifecycle.
ROUNDS = int(os.environ.get("AZBLOB_ROUNDS", "3"))
OK = (0, 0, 200)
GONE = (errno.ENODEV, 0, 0)
CANCELLED = (0, STATUS_CANCELLED, 0)
BAD = (errno.EIO, 0, 0)
WORKERS = {"threads": 4, "loops": 25}
TOTAL = 100

# fault, its parameters, the driver's counter that moves as often as it hits, and what else than OK
# the callers may see
HARMLESS = {
    "late": ("completion-delay", {"delay": 20}, None),
    "twice": ("completion-duplicate", {}, "bad_id_stale"),
    "ten-times": ("completion-duplicate", {"value": 10}, "bad_id_stale"),
    "out-of-order": ("completion-reorder", {"value": 2, "delay": 50}, None),
    "unknown-id": ("completion-wrong-id", {}, "bad_id_unknown"),
    "id-zero": ("completion-wrong-id", {"value": 0}, "bad_id"),
    "id-of-a-kernel-pointer": ("completion-wrong-id", {"value": 0xFFFF888000001000},
                               "bad_id_unknown"),
    "finished-id": ("completion-stale-id", {}, "bad_id_stale"),
    "long": ("completion-long", {"value": 512}, None),
    "as-long-as-the-bus-copies": ("completion-long", {"value": 4000}, None),
    "packets-late": ("packet-delay", {"delay": 20}, None),
    "spurious-interrupts": ("interrupt-spurious", {}, None),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_callers_do_not_notice(rig, guest, name):
    kind, more, counter = HARMLESS[name]
    before = guest.counters()
    with rig.fault(kind, count=0, probability=0.3, seed=5, **more) as hits:
        assert rig.load(**WORKERS) == {OK: TOTAL}
        struck = hits()
        assert struck
    rig.works()
    after = guest.counters()
    grown = {n: after[n] - before[n] for n in after if n.startswith("bad_")}
    if not counter:
        assert not any(grown.values()), grown
        return
    counted = sum(v for n, v in grown.items() if n.startswith(counter))
    # The first completion of all has none before it that could be stale.
    least = struck - 1 if kind == "completion-stale-id" else struck
    extra = more.get("value", 1) if kind == "completion-duplicate" else 1
    assert least * extra <= counted <= struck * extra and sum(grown.values()) == counted, grown


# What the caller of the request that was hit is told: EIO, the outcome unknown
MALFORMED = {
    "empty": ("completion-short", {"value": 0}, "bad_short"),
    "short": ("completion-short", {"value": 8}, "bad_short"),
    "response-beyond-the-buffer": ("completion-response-length", {"value": 16385},
                                   "bad_response_len"),
    "response-all-ones": ("completion-response-length", {}, "bad_response_len"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_completion_is_an_error(rig, guest, name):
    kind, more, counter = MALFORMED[name]
    before = guest.counters()[counter]
    with rig.fault(kind, count=10, skip=5, **more):
        outcomes = rig.load(**WORKERS)
    assert outcomes == {OK: TOTAL - 10, BAD: 10}
    assert guest.counters()[counter] - before == 10
    rig.works()


def test_status_reaches_the_caller(rig):
    with rig.fault("completion-status", count=7, value=0x80004005):
        outcomes = rig.load(**WORKERS)
    assert outcomes == {OK: TOTAL - 7, (0, 0x80004005, 0): 7}
    rig.works()


def lost_and_killed(rig, guest, kind, **more):
    """A request that is never answered: its thread can be killed, its pages stay until a rescind."""
    with rig.fault(kind, **more) as hits:
        load = rig.start(threads=4, timeout=0)
        guest.until(lambda: hits() == 1, "the fault")
        load.kill()
        assert load.wait().status == -signal.SIGKILL
    guest.until(lambda: guest.counters()["abandoned"] == 1, "one request that is kept aside")
    rig.rescind()
    rig.works()


@pytest.mark.parametrize("kind", ["completion-drop", "packet-drop"])
def test_request_that_is_never_answered(rig, guest, kind):
    lost_and_killed(rig, guest, kind, skip=1)


@pytest.mark.parametrize("kind", ["completion-drop", "completion-inband"])
def test_unanswered_request_ends_with_a_rescind(rig, guest, kind):
    with rig.fault(kind, skip=1) as hits:
        load = rig.start(threads=4, timeout=0)
        # All four are there, and three answered: none is met by the rescind before it is sent.
        guest.until(lambda: rig.asked() == 4, "four completions")
        assert hits() == 1
        rig.rescind()
    outcomes = load_result(load.wait())["outcomes"]
    assert outcomes == {OK: 3, GONE: 1}
    rig.works()


def test_lost_interrupt_is_made_up_for_by_the_next(rig, guest):
    with rig.fault("interrupt-drop") as hits:
        load = rig.start(threads=1, loops=3, timeout=0)
        guest.until(lambda: hits() == 1, "the fault")
        # Nothing moves, whatever the guest does, until it is told.
        rig.qmp.command("vmbus-interrupt", device="vsp0")
        assert load_result(load.wait())["outcomes"] == {OK: 3}
    rig.works()


# --- a ring that makes no sense: the driver leaves it alone, and comes back with the next channel

# Fault, its parameters, threads.  Where a packet ends nowhere there is one request at a time, and the ring
# is new: among older packets the bus may find the right place again, by chance, and read on from there.
BROKEN = {
    "packet-longer-than-the-ring": ("completion-malformed", {}, 1),
    "packet-without-a-header": ("completion-malformed", {"value": 1}, 1),
    # Linux copies 4096 bytes of a packet and looks for the next one behind those.
    "packet-longer-than-the-bus-copies": ("completion-long", {"value": 16384}, 1),
    "write-index-beyond": ("ring-write-index", {}, 4),
    "write-index-at-the-end": ("ring-write-index", {"value": 126976}, 4),
    "write-index-odd": ("ring-write-index", {"value": 4093}, 4),
}
GIVEN_UP = "inbound ring corrupted, not read any more"


@pytest.mark.parametrize("name", BROKEN)
def test_broken_ring(rig, guest, name):
    kind, more, threads = BROKEN[name]
    rig.rescind()
    before = guest.guest.console().count(GIVEN_UP)
    bad = guest.counters()["bad_packet"]
    # All from the eleventh on: the guest may have looked before the index was made wrong.
    with rig.fault(kind, skip=10, count=0, **more):
        load = rig.start(threads=threads, loops=0, timeout=0)
        guest.until(lambda: guest.guest.console().count(GIVEN_UP) > before,
                    "the driver gives the ring up")
        # The guest lives, and its processor is not kept busy by the ring.
        guest.agent.ping()
        assert guest.counters()["bad_packet"] > bad
        load.signal(signal.SIGTERM)
    rig.rescind()
    assert guest.guest.console().count(GIVEN_UP) == before + 1
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {OK, GONE, CANCELLED, BAD} and out["wrong"] == 0
    rig.works()


@pytest.mark.parametrize("value", [0xFFFFFFFF, 126976, 3])
def test_read_index_that_makes_no_sense(rig, guest, value):
    """The driver believes that there is room, or none; what it overwrites is the host's loss."""
    # The index is wrong behind each packet from the eleventh on, so it stays wrong.
    with rig.fault("ring-read-index", skip=10, count=0, value=value):
        load = rig.start(threads=4, loops=25, timeout=0)
        guest.until(lambda: rig.channel()["to-host"]["read-index"] == value, "the wrong index")
        guest.agent.ping()
        assert rig.channel()["to-host"]["read-index"] == value
        rig.rescind()
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {OK, GONE, CANCELLED, BAD} and out["wrong"] == 0
    rig.works()


# --- rescinds

# What the guest is told first, or whether it is told of the completion at all
RESCINDS = ["rescind-before", "rescind-during", "rescind-after", "rescind-instead"]


@pytest.mark.parametrize("kind", RESCINDS)
def test_rescind_and_completion(rig, guest, kind):
    """In an order that the emulator sees to, with threads that go on until the device has gone."""
    before = pinned(guest)
    for number in range(2):
        opens = rig.channel()["opens"]
        # At the first requests, and when many have gone both ways.
        answered = number * 7 % 40
        with rig.fault(kind, skip=answered) as hits:
            outcomes = rig.load(threads=8, loops=0, last=errno.ENODEV, timeout=0)
            assert hits() == 1
            rig.wait_opened(opens + 1)
        assert set(outcomes) <= {OK, GONE, CANCELLED}
        # Each thread met the end, and a completion that is in the ring is not lost to the rescind.
        assert outcomes[GONE] == 8
        if kind != "rescind-instead":
            answered += 1
        assert outcomes.get(OK, 0) + outcomes.get(CANCELLED, 0) >= answered
        rig.works()
        guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


@pytest.mark.parametrize("kind", RESCINDS)
def test_rescinds_and_completions_under_load(rig, guest, kind):
    """Round after round; the same threads open each device as it comes and never stop asking."""
    before = pinned(guest)
    load = rig.start(threads=8, loops=0, again=errno.ENODEV, timeout=0, limit=300 + 60 * ROUNDS)
    for number in range(ROUNDS):
        opens = rig.channel()["opens"]
        with rig.fault(kind, skip=number * 7 % 40) as hits:
            rig.wait_opened(opens + 1)
            assert hits() == 1
    load.signal(signal.SIGTERM)
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {OK, GONE, CANCELLED} and out["wrong"] == 0
    # Whose completion it was held that device open, and met its end.
    assert out["outcomes"][GONE] >= ROUNDS
    assert out["outcomes"][OK] >= sum(number * 7 % 40 for number in range(ROUNDS))
    rig.works()
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


def test_rescind_again_and_again_under_load(rig, guest):
    load = rig.start(threads=8, loops=0, timeout=0, procs=1)
    for _ in range(3):
        rig.rescind()
    load.signal(signal.SIGTERM)
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {OK, GONE, CANCELLED} and out["wrong"] == 0
    rig.works()


# --- a channel that can't be had

@pytest.mark.parametrize("kind", ["gpadl-refuse", "open-refuse"])
def test_channel_is_refused_and_then_not(rig, guest, kind):
    device = guest.sh("for d in /sys/bus/vmbus/devices/*; do "
                      "grep -q 0590b792-db64-45cc-81db-b8d70c577c9e $d/class_id && "
                      "echo ${d##*/}; done").text.strip()
    driver = "/sys/bus/vmbus/drivers/hv_azure_blob"
    guest.sh(f"echo {device} >{driver}/unbind")
    with rig.fault(kind) as hits:
        assert guest.sh(f"echo {device} >{driver}/bind", check=False).status
        assert hits() == 1
        assert not guest.run(["ls", "/dev/azure_blob"], check=False).stdout
    guest.sh(f"echo {device} >{driver}/bind")
    rig.works()


# --- a backend that stands still

def test_pages_of_a_stopped_backend_are_not_used_again(rig, guest):
    """Requests are given up by their process; what the daemon writes later hits nobody."""
    guest.backend.pause()
    try:
        load = rig.start(threads=4, timeout=0)
        guest.wait_in_flight(4)
        load.kill()
        load.wait()
        holder = guest.start(["pattern", "hold", "300", "9"])
        holder.wait_output("holding")
    finally:
        guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    holder.signal(signal.SIGUSR1)
    assert "wrong pages: 0" in holder.wait().check().text
    rig.works()


@pytest.mark.long
def test_stopped_backend_past_every_time_out(rig, guest):
    """The host can't answer within the time-out, nor within the driver's patience."""
    guest.backend.pause()
    try:
        load = rig.start(threads=4, timeout=1000)
        out = load_result(load.wait())
        assert out["outcomes"] == {(errno.ETIMEDOUT, 0, 0): 4}
        holder = guest.start(["pattern", "hold", "300", "10"], timeout=300)
        holder.wait_output("holding")
    finally:
        guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    holder.signal(signal.SIGUSR1)
    assert "wrong pages: 0" in holder.wait().check().text
    rig.works()


def test_time_out_of_a_slow_backend_is_an_answer(rig, guest):
    before = guest.device("stat-timeouts")
    guest.backend.pause()
    load = rig.start(threads=4, timeout=500)
    try:
        guest.wait_in_flight(4)
        guest.until(lambda: guest.device("stat-timeouts") >= before + 4, "the time-outs")
    finally:
        guest.backend.resume()
    out = load_result(load.wait())
    assert set(out["outcomes"]) <= {OK, (0, STATUS_TIMEOUT, 0)}
    rig.works()


def test_probe_still_answers(guest):
    assert call(guest, probe()).http


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
def test_everything_at_once(rig, guest, seed):
    """Faults of many kinds, each at random, over a few thousand requests."""
    kinds = [("completion-delay", {"delay": 5}), ("completion-duplicate", {}),
             ("completion-reorder", {"value": 3, "delay": 20}), ("completion-wrong-id", {}),
             ("completion-stale-id", {"value": 8}), ("completion-long", {"value": 256}),
             ("packet-delay", {"delay": 3}), ("interrupt-spurious", {})]
    for number, (kind, more) in enumerate(kinds):
        rig.add(kind, name=f"f{number}", count=0, probability=0.03, seed=seed * 100 + number,
                **more)
    assert rig.load(threads=8, loops=300) == {OK: 2400}
    for number in range(len(kinds)):
        rig.qmp.command("vmbus-fault-remove", id=f"f{number}")
    rig.works()
