# SPDX-License-Identifier: MIT
"""A stock guest under load whose machine is saved again and again while it runs, or moved elsewhere.

Each time the daemon has to let go of every page, and what was under way is sent again: a blob that
may only be created where there is none answers 201, and 409 if its creation had been repeated; one
that is appended to has as many blocks as there were answers.
"""

import signal

import pytest
from conftest import BLOCK, Appends
from test_backend import create, created
from vsp import load_result, pattern

SAVES = 5
WRITERS = 4


class Disk:
    """An image that holds nothing but snapshots."""

    def __init__(self, machine):
        self.machine = machine
        path = str(machine.backend.directory / "snapshots")
        self.job("blockdev-create", options={"driver": "file", "filename": path, "size": 0})
        machine.qmp.command("blockdev-add", driver="file", node_name="file", filename=path)
        self.job("blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        machine.qmp.command("blockdev-add", driver="qcow2", node_name="disk", file="file")

    def job(self, command, **arguments):
        qmp = self.machine.qmp
        qmp.command(command, timeout=300, job_id="job", **arguments)

        def state():
            return next(j for j in qmp.command("query-jobs", timeout=300) if j["id"] == "job")
        self.machine.until(lambda: state()["status"] == "concluded", command, 300)
        assert "error" not in state(), state()["error"]
        qmp.command("job-dismiss", id="job")

    def save(self, tag):
        self.job("snapshot-save", tag=tag, vmstate="disk", devices=["disk"])

    def load(self, tag):
        self.job("snapshot-load", tag=tag, vmstate="disk", devices=["disk"])


@pytest.mark.long
def test_machine_is_saved_under_load(rig, guest, container, target):
    disk = Disk(guest)
    # However slow the guest is, the daemon mostly has something.
    guest.backend.extra = ["--filter", "delay,read=200ms"]
    guest.backend.kill()
    guest.backend.start()
    cancelled = guest.device("stat-cancelled")
    readers = rig.start(threads=4, loops=0, timeout=0, limit=1200)
    for number in range(SAVES):
        forwarded = guest.device("stat-forwarded")
        writers = [create(guest, target(f"w-{number}-{i}"), number + 1) for i in range(WRITERS)]
        guest.until(lambda: guest.device("stat-forwarded") > forwarded, "requests to the daemon")
        disk.save(f"t{number}")
        assert [created(w) for w in writers] == [b"201"] * WRITERS
    readers.signal(signal.SIGTERM)
    read = load_result(readers.wait())
    assert set(read["outcomes"]) == {(0, 0, 200)} and read["wrong"] == 0
    for number in range(SAVES):
        for i in range(WRITERS):
            assert guest.backend.get_blob(f"{container}/w-{number}-{i}") == pattern(BLOCK,
                                                                                   number + 1)
    # With four readers all the time a daemon that had nothing to let go of would be strange.
    assert guest.device("stat-cancelled") > cancelled
    assert guest.device("stat-violations") == 0
    guest.backend.extra = []
    guest.backend.kill()
    guest.backend.start()
    rig.works()


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.long)])
def test_machine_goes_to_another_emulator_under_load(make_rig, slow):
    """And to a third one, and no caller notices; of a slow daemon requests are under way each time."""
    rig = make_rig()
    machine = rig.machine
    if slow:
        machine.backend.extra = ["--filter", "delay,change=500ms"]
        machine.backend.kill()
        machine.backend.start()
    appends = [Appends(rig, f"machine/appends-{i}", i) for i in range(4)]
    readers = rig.start(threads=2, loops=0, timeout=120000, limit=1200)
    for _ in range(2):
        machine.wait_in_flight(1)
        left = machine.migrate()
        assert left["violations"] == 0 and (left["cancelled"] or not slow)
        # It goes on over there.
        machine.until(lambda: machine.device("stat-completed") > 50, "answers")
    for load in appends:
        assert load.end()
    readers.signal(signal.SIGTERM)
    read = load_result(readers.wait())
    assert set(read["outcomes"]) == {(0, 0, 200)} and read["wrong"] == 0
    assert machine.device("stat-violations") == 0
    rig.works()


def test_loaded_machine_finds_the_store_as_it_is(make_rig):
    """A request that waited in the snapshot is sent once more, and there its effect is known."""
    rig = make_rig()
    machine = rig.machine
    disk = Disk(machine)
    machine.backend.kill()
    writer = create(machine, "/devstoreaccount1/machine/once", 5)
    machine.until(lambda: [r["state"] for r in
                           machine.qmp.command("query-azure-blob-vsp")[0]["requests"]] == ["waiting"],
                  "the request in the device")
    disk.save("before")
    machine.backend.start()
    assert created(writer) == b"201"
    machine.agent.run_again(writer)
    disk.load("before")
    assert created(writer) == b"409"
    assert machine.backend.get_blob("machine/once") == pattern(BLOCK, 5)
    rig.works()
