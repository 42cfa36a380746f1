# SPDX-License-Identifier: MIT
"""A daemon that is killed every few hundred milliseconds under load.

What was in flight is sent again to the next one, and nothing happens twice: a blob that may only be
created where there is none answers 201 once, and 409 if its creation had been repeated; one that
is appended to has as many blocks as there were answers.
"""

import json
import os
import random
import signal
import time

import pytest
from conftest import BLOCK, Appends
from vsp import load_result, pattern, settle
from azvm import sharedkey

READERS, WRITERS = 4, 4
# How long a daemon is killed again and again, for each of three seeds: by the hundred in one
MINUTES = float(os.environ.get("AZBLOB_FAULT_MINUTES", "1"))


def create(guest, path, seed):
    """A running vspcall that creates a blob if there is none."""
    head = sharedkey.head("PUT", path, {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}, BLOCK)
    return guest.start(["vspcall", "response=16384", "timeout=0", f"data={BLOCK}",
                        f"data_valid={BLOCK}", f"seed={seed}"], stdin=head)


def created(running):
    out = json.loads(running.wait().check().stdout)
    assert (out["result"], out["status"]) == (0, 0), out
    return bytes.fromhex(out["response"]).split()[1]


def kill_with_a_request(guest, path):
    """Kills a daemon that for certain has something to be sent again, which chance may not give it."""
    settle(guest)
    guest.backend.pause()
    forwarded = guest.device("stat-forwarded")
    writer = create(guest, path, 1)
    # What is sent to it from here on, the writer's or another one, it can't have answered.
    guest.until(lambda: guest.device("stat-forwarded") > forwarded, "a request to the daemon")
    resent = guest.device("stat-resent")
    guest.backend.kill()
    guest.backend.start()
    assert created(writer) == b"201"
    guest.until(lambda: guest.device("stat-resent") > resent, "a request that is sent again")


def killed_for(rig, guest, container, target, kills, seed):
    """Readers all the time, and writers whose daemon dies at a moment that the dice choose."""
    dice = random.Random(seed)
    readers = rig.start(threads=READERS, loops=0, timeout=0, limit=300 + 30 * kills)
    for number in range(kills):
        forwarded = guest.device("stat-forwarded")
        writers = [create(guest, target(f"w-{number}-{i}"), number + 1) for i in range(WRITERS)]
        guest.until(lambda: guest.device("stat-forwarded") > forwarded, "requests to the daemon")
        time.sleep(dice.uniform(0, 0.4))
        guest.backend.kill()
        guest.backend.start()
        assert [created(w) for w in writers] == [b"201"] * WRITERS
    kill_with_a_request(guest, target("last"))
    readers.signal(signal.SIGTERM)
    read = load_result(readers.wait())
    assert set(read["outcomes"]) == {(0, 0, 200)} and read["wrong"] == 0
    for number in range(kills):
        for i in range(WRITERS):
            assert guest.backend.get_blob(f"{container}/w-{number}-{i}") == pattern(BLOCK,
                                                                                   number + 1)
    assert guest.device("stat-violations") == 0
    rig.works()


def test_daemon_killed_ten_times(rig, guest, container, target):
    killed_for(rig, guest, container, target, kills=10, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
def test_daemon_killed_for_minutes(rig, guest, container, target, seed):
    """Every few hundred milliseconds; readers and appends by the thousand, and no caller notices."""
    dice = random.Random(seed)
    readers = rig.start(threads=READERS, loops=0, timeout=120000, limit=1200)
    appends = [Appends(rig, f"{container}/a-{i}", seed + i) for i in range(4)]
    end = time.monotonic() + MINUTES * 60
    kills = 0
    while time.monotonic() < end:
        forwarded = guest.device("stat-forwarded")
        guest.until(lambda: guest.device("stat-forwarded") > forwarded, "requests to the daemon")
        time.sleep(dice.uniform(0, 0.4))
        guest.backend.kill()
        guest.backend.start()
        kills += 1
    kill_with_a_request(guest, target("last"))
    done = [a.end() for a in appends]
    readers.signal(signal.SIGTERM)
    read = load_result(readers.wait())
    assert set(read["outcomes"]) == {(0, 0, 200)} and read["wrong"] == 0
    assert guest.device("stat-violations") == 0
    rig.works()
    print(f"{kills} kills, {sum(done)} appends, {read['outcomes'][0, 0, 200]} reads")


def test_daemon_killed_while_the_host_misbehaves(rig, guest):
    """Late and doubled completions on top of a daemon that dies."""
    rig.add("completion-delay", name="late", delay=10, count=0, probability=0.2, seed=3)
    rig.add("completion-duplicate", name="twice", count=0, probability=0.2, seed=4)
    load = rig.start(threads=8, loops=0, timeout=0)
    for _ in range(3):
        forwarded = guest.device("stat-forwarded")
        guest.until(lambda: guest.device("stat-forwarded") > forwarded + 20, "some requests")
        guest.backend.kill()
        guest.backend.start()
    load.signal(signal.SIGTERM)
    out = load_result(load.wait())
    assert set(out["outcomes"]) == {(0, 0, 200)} and out["wrong"] == 0
    for name in ("late", "twice"):
        guest.qmp.command("vmbus-fault-remove", id=name)
    rig.works()
