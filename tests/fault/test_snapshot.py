# SPDX-License-Identifier: MIT
"""A stock guest under load whose machine is saved again and again while it runs.

Each time the daemon has to let go of every page, and what was under way is sent again: a blob that
may only be created where there is none answers 201, and 409 if its creation had been repeated.
"""

import signal

import pytest
from test_backend import BLOCK, create, created
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


@pytest.mark.long
def test_machine_is_saved_under_load(rig, guest, container, target):
    disk = Disk(guest)
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
    rig.works()
