# SPDX-License-Identifier: MIT
"""A machine that is saved, loaded or migrated while the backend has a request of it.

The guest is the one of fence_cases.c and notices nothing; the backend is made of Python.
"""

import contextlib
import os
import socket
import struct
import threading

import pytest

from test_vsp import Machine, backend, build_program, start, until  # noqa: F401
# pylint: disable=unused-import,redefined-outer-name

import fake_backend as fb
from azvm.qmp import QmpError

LIMIT = 300


@pytest.fixture
def incoming(program, tmp_path):
    """A second machine, which waits for the first one's state, with the same backend."""
    machines = []

    def run(case, **options):
        place = tmp_path / "new"
        place.mkdir()
        (place / "link").symlink_to(tmp_path / "link")
        machines.append(Machine(program, case, place, extra=["-incoming", f"unix:{place}/state"],
                                **options))
        return machines[-1], f"unix:{place}/state"
    yield run
    for machine in machines:
        machine.close()


def held(machine):
    until(lambda: machine.get("link-state") == "held")


def migration(machine):
    """How it ended, once it has."""
    ends = ("completed", "failed", "cancelled")
    until(lambda: machine.qmp.command("query-migrate").get("status") in ends)
    return machine.qmp.command("query-migrate")["status"]


@pytest.fixture
def on_its_way(start, backend, incoming):
    """A request is with the backend, and the machine is on its way to another QEMU."""
    def run(case="ends-well", stopped=False, **options):
        # Its guest begins when all else is there: what it asks for may have a time-out.
        old = start(case, extra=["-S"], **options)
        link = backend.accept().greet()
        new, uri = incoming(case, **options)
        second = backend.accept()
        held(new)
        old.qmp.command("cont")
        request = link.take_request()
        old.says("sent")
        if stopped:
            old.qmp.command("stop")
        old.qmp.command("migrate", uri=uri)
        cancel = link.take(fb.CANCEL)
        assert cancel.id == request.id and cancel.flags == 0
        return old, link, request, new, second
    return run


@pytest.mark.parametrize("stopped", [False, True])
def test_unfinished_request_is_sent_again_by_the_other_one(on_its_way, stopped):
    old, link, request, new, second = on_its_way(stopped=stopped)
    link.complete(request, fb.STATUS_CANCELLED)
    assert migration(old) == "completed"
    # The old one has let go of its link, and begins no other conversation.
    with pytest.raises(fb.Closed):
        link.take()
    held(old)
    if stopped:
        until(lambda: new.qmp.command("query-status")["status"] == "paused")
        assert second.is_silent()
        new.qmp.command("cont")
    second.greet()
    assert second.hello["session"] == link.hello["session"]
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT and again.head == request.head
    second.complete(again)
    new.passes()


def test_request_that_was_done_first_is_answered_there(on_its_way):
    old, link, request, new, second = on_its_way()
    link.complete(request)
    assert migration(old) == "completed"
    # The guest finds the answer in its ring, and needs no backend for that.
    new.passes()


def test_backend_that_dies_meanwhile(on_its_way, backend):
    old, link, request, new, second = on_its_way()
    backend.die()
    link.close()
    backend.live()
    assert migration(old) == "completed"
    second.greet()
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT
    second.complete(again)
    new.passes()


@pytest.mark.parametrize("status", [0, fb.STATUS_CANCELLED])
def test_backend_that_does_not_let_go(on_its_way, backend, status):
    """Nothing is saved, and the machine goes on where it was."""
    old, link, request, new, second = on_its_way()
    assert migration(old) == "failed"
    assert "has not let go of 1 request(s)" in old.log.read_text()
    until(lambda: old.qmp.command("query-status")["status"] == "running")
    assert old.get("in-flight") == 1 and link.is_silent()
    link.complete(request, status)
    if status:
        again = link.take_request()
        assert again.id == request.id and again.flags & fb.RESENT
        link.complete(again)
    old.passes()


def test_time_out_goes_on_in_the_other_one(on_its_way):
    """The guest's clock stands still meanwhile, and its request ends by it."""
    old, link, request, new, second = on_its_way("times-out-later", stopped=True)
    link.complete(request, fb.STATUS_CANCELLED)
    assert migration(old) == "completed"
    until(lambda: new.qmp.command("query-status")["status"] == "paused")
    new.qmp.command("cont")
    # Nobody greets the new one: the request ends without a backend.
    new.passes()


def test_registered_buffer_goes_along(on_its_way):
    old, link, request, new, second = on_its_way("buffer-outlives-a-pause", device=",protocol=2")
    link.complete(request, fb.STATUS_CANCELLED)
    assert migration(old) == "completed"
    second.greet()
    second.serve()
    new.passes()


def test_memory_is_not_saved_while_the_machine_runs_on(start, backend, tmp_path):
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("migrate-set-capabilities",
                        capabilities=[{"capability": "postcopy-ram", "state": True}])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "state"))
        listener.listen()
        machine.qmp.command("migrate", uri=f"unix:{tmp_path}/state")
        assert migration(machine) == "failed"
    assert "can't be saved while the machine runs on" in \
        machine.qmp.command("query-migrate")["error-desc"]
    assert machine.get("link-state") == "up"
    link.complete(request)
    machine.passes()


# --- snapshots

def disk(machine, path):
    """A disk image for snapshots, in the machine as node "disk"."""
    def job(command, **arguments):
        machine.qmp.forget()
        machine.qmp.command(command, job_id="j", **arguments)

        def state():
            return machine.qmp.command("query-jobs")[0]
        until(lambda: state()["status"] == "concluded")
        assert "error" not in state(), state()["error"]
        machine.qmp.command("job-dismiss", id="j")

    file = {"driver": "file", "node-name": "file", "filename": str(path)}
    if not path.exists():
        job("blockdev-create", options={"driver": "file", "filename": str(path), "size": 0})
        machine.qmp.command("blockdev-add", **file)
        job("blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
    else:
        machine.qmp.command("blockdev-add", **file)
    machine.qmp.command("blockdev-add", driver="qcow2", node_name="disk", file="file")
    return job


def test_snapshot(program, start, backend, tmp_path):
    """The machine goes on after it was saved; loaded, it does the same once more, as somebody new."""
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    job = disk(machine, tmp_path / "disk")
    # QEMU has no ear for anybody else until the backend has let go.
    saving = threading.Thread(target=lambda: job("snapshot-save", tag="t", vmstate="disk",
                                                 devices=["disk"]))
    saving.start()
    assert link.take(fb.CANCEL).id == request.id
    link.complete(request, fb.STATUS_CANCELLED)
    saving.join(LIMIT)
    second = backend.accept().greet()
    assert second.hello["session"] == link.hello["session"]
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT
    second.complete(again)
    machine.passes()
    second.close()

    place = tmp_path / "later"
    place.mkdir()
    (place / "link").symlink_to(tmp_path / "link")
    later = Machine(program, "ends-well", place, extra=["-S"])
    try:
        third = backend.accept().greet()
        job = disk(later, tmp_path / "disk")
        job("snapshot-load", tag="t", vmstate="disk", devices=["disk"])
        assert later.get("in-flight") == 0
        later.qmp.command("cont")
        assert third.hello["session"] != link.hello["session"]
        once_more = third.take_request()
        # Whether the first one's effect is in the store is for the backend to find out.
        assert once_more.head == request.head and once_more.flags & fb.RESENT
        third.complete(once_more)
        later.passes()
    finally:
        later.close()


@pytest.mark.parametrize("late", [True, False], ids=["while-it-is-saved", "not-at-all"])
def test_snapshot_when_the_backend_does_not_let_go(start, backend, tmp_path, late):
    """An answer that comes when memory is being saved is in the ring and not in the snapshot."""
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    # What takes a while to save, above all that the guest uses
    memory, = link.regions.values()
    memory[16 << 20:60 << 20] = os.urandom(44 << 20)
    disk(machine, tmp_path / "disk")

    def save():
        # The guest may be through, and QEMU gone, before there is an answer.
        with contextlib.suppress(QmpError):
            machine.qmp.command("snapshot-save", job_id="j", tag="t", vmstate="disk",
                                devices=["disk"])
    saving = threading.Thread(target=save)
    saving.start()
    assert link.take(fb.CANCEL).id == request.id
    until(lambda: "has not confirmed the end of 1 cancelled" in machine.log.read_text())
    if late:
        until(lambda: (tmp_path / "disk").stat().st_size > 8 << 20)
        link.complete(request)
    until(lambda: "has not let go of 1 request(s)" in machine.log.read_text())
    if not late:
        link.complete(request)
    machine.passes()
    saving.join(LIMIT)
    # The number of snapshots in the image
    with open(tmp_path / "disk", "rb") as image:
        assert struct.unpack_from(">4s56xI", image.read(64)) == (b"QFI\xfb", 0)
