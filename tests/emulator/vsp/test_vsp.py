# SPDX-License-Identifier: MIT
"""The VMBus device azure-blob-vsp between a bare guest and a backend made of Python.

The guest's half of each case is in packet_cases.c, buffer_cases.c, bus_cases.c and fence_cases.c; it
says "pass" or the condition that did not hold.  The other half is here: what the backend does, and
with what QEMU.
"""

import re
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(HERE.parent))

# pylint: disable=wrong-import-position
import fake_backend as fb  # noqa: E402
from azvm import paths  # noqa: E402
from azvm.qmp import Qmp, QmpError  # noqa: E402

LIMIT = 300
# What the guest ends with (../hyperv/lib.c), twice and one more, and what a sanitizer does
PASSED = 0x21
SANITIZER = 99


def case_names(source):
    return re.findall(r'^\t\{ "([a-z-]+)", \w+ \},$', (HERE / source).read_text(), re.MULTILINE)


@pytest.fixture(scope="session", name="program")
def build_program(tmp_path_factory):
    out = tmp_path_factory.mktemp("vsp-guest")
    subprocess.run(["make", "-s", "-C", HERE, f"OUT={out}"], check=True)
    return out / "vsp-guest.elf"


class Machine:
    """QEMU with one case."""

    def __init__(self, program, case, directory, *, shared=True, device="", bridge="", plugged=True,
                 cpus=1, extra=()):
        self.lines = []
        self._changed = threading.Condition()
        memory = "memory-backend-memfd,id=ram,size=64M,share=on" if shared else \
            "memory-backend-ram,id=ram,size=64M"
        line = [paths.qemu(), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg",
                "-cpu", "qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time",
                "-M", "q35,memory-backend=ram", "-object", memory, "-m", "64", "-smp", str(cpus),
                "-nodefaults", "-display", "none", "-debugcon", "stdio",
                "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-device", "vmbus-bridge" + bridge,
                "-chardev", f"socket,id=vsp,path={directory}/link,reconnect-ms=20",
                "-qmp", f"unix:{directory}/qmp,server=on,wait=off",
                "-trace", "azure_blob_vsp_*", "-D", directory / "trace.log",
                "-kernel", program, "-append", case]
        if plugged:
            # What the cases say is refused is so by a device of protocol 1.
            device += "" if "protocol=" in device else ",protocol=1"
            line += ["-device", f"azure-blob-vsp,id=blob,chardev=vsp{device}"]
        line += extra
        self.log = directory / "qemu.log"
        self.trace = directory / "trace.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in line], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        self._qmp_path = directory / "qmp"
        self._qmp = None

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append(None)
            self._changed.notify_all()

    @property
    def qmp(self):
        if not self._qmp:
            until(self._connect_qmp)
        return self._qmp

    def _connect_qmp(self):
        # The socket is there a moment before it listens.
        try:
            self._qmp = Qmp(self._qmp_path)
        except (FileNotFoundError, ConnectionRefusedError):
            assert self.process.poll() is None, self.log.read_text()
        return self._qmp

    def says(self, line):
        """Waits for a line of the guest's."""
        with self._changed:
            self._changed.wait_for(lambda: line in self.lines or None in self.lines, LIMIT)
            assert line in self.lines, f"{self.lines}\n{self.log.read_text()}"

    def get(self, name):
        return self.qmp.command("qom-get", path="/machine/peripheral/blob", property=name)

    def passes(self):
        status = self.process.wait(LIMIT)
        with self._changed:
            self._changed.wait_for(lambda: None in self.lines, LIMIT)
        assert (status, self.lines[-2]) == (PASSED, "pass"), \
            f"status {status}\n{self.lines}\n{self.log.read_text()}"

    def goes_on(self):
        """The guest has said nothing since "asked" and QEMU is alive and answers."""
        self.says("sent")
        self.qmp.command("query-status")
        assert self.process.poll() is None
        assert self.lines[-1] in ("asked", "sent")

    def close(self):
        """Ends it, and says how it was; pytest shows that where the test has failed."""
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        if self._qmp:
            self._qmp.close()
        print("QEMU was alive" if status is None else f"QEMU had ended with {status}")
        print(f"the guest said {self.lines}")
        for log in (self.log, self.trace):
            print(f"{log.name}:\n{log.read_text(errors='replace')}" if log.exists() else f"no {log.name}")
        assert status != SANITIZER


def until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def backend(tmp_path):
    it = fb.FakeBackend(tmp_path / "link")
    yield it
    it.close()


@pytest.fixture
def start(program, tmp_path):
    machines = []

    def run(case, **options):
        machines.append(Machine(program, case, tmp_path, **options))
        return machines[-1]
    yield run
    for machine in machines:
        machine.close()


# --- packets and messages: the backend answers whatever comes

@pytest.mark.parametrize("case", case_names("packet_cases.c"))
def test_packets(start, backend, case):
    backend.serve_in_background()
    start(case).passes()


# Those in which the test is the backend
HELD = {"deregistered-with-a-request", "cancelled-with-the-backend"}


@pytest.mark.parametrize("case", [c for c in case_names("buffer_cases.c") if c not in HELD])
def test_protocol_2(start, backend, case):
    backend.serve_in_background()
    start(case, device=",protocol=2").passes()


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "in-messages"])
def test_buffer_is_deregistered_with_a_request_in_it(start, backend, shared):
    machine = start("deregistered-with-a-request", device=",protocol=2", shared=shared)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("asked")
    assert machine.get("in-flight") == 1
    link.answer(request)
    machine.passes()


def test_cancel_waits_for_the_backend(start, backend):
    machine = start("cancelled-with-the-backend", device=",protocol=2")
    link = backend.accept().greet()
    request = link.take_request()
    cancel = link.take(fb.CANCEL)
    assert cancel.id == request.id
    machine.says("asked")
    machine.goes_on()
    assert machine.get("in-flight") == 1
    link.complete(request, fb.STATUS_CANCELLED)
    link.serve()
    machine.passes()


@pytest.mark.parametrize("case", [c for c in case_names("bus_cases.c")
                                  if c != "newest-version-is-capped"])
def test_bus(start, backend, case):
    backend.serve_in_background()
    start(case).passes()


def test_newest_version_is_capped(start, backend):
    backend.serve_in_background()
    start("newest-version-is-capped", bridge=",max-version=4.1").passes()


# Ways in which a request's bytes have to travel in messages
INLINE = {
    "memory-is-not-shared": ({"shared": False}, {}),
    "asked-for": ({"device": ",x-inline=on"}, {}),
    "backend-knows-no-regions": ({}, {"features": fb.RESEND}),
    "backend-refuses-the-region": ({}, {"region_error": 22}),
}


@pytest.mark.parametrize("why", INLINE)
@pytest.mark.parametrize("case", ["body-is-sent", "room-is-filled-and-nothing-else",
                                  "same-page-many-times", "new-code-is-run"])
def test_bytes_travel_in_messages(start, backend, why, case):
    machine, serving = INLINE[why]
    backend.serve_in_background(**serving)
    start(case, **machine).passes()
    assert backend.asked and all(r.flags & fb.INLINE for r in backend.asked)


def test_bytes_do_not_travel_where_memory_is_shared(start, backend):
    backend.serve_in_background()
    start("same-page-many-times").passes()
    assert not any(r.flags & fb.INLINE for r in backend.asked)


@pytest.mark.parametrize("limit", [1, 3])
def test_table_of_requests_is_full(start, backend, limit):
    """The ring is left alone while there is no place, and looked at again after."""
    backend.serve_in_background()
    start("ring-full-of-completions", device=f",max-inflight={limit}").passes()


def test_backend_takes_few_requests_at_once(start, backend):
    machine = start("ring-full-of-completions")
    link = backend.accept().greet(max_inflight=2)
    first, second = link.take_request(), link.take_request()
    # The others are there, and with nobody.
    until(lambda: states(machine).count("waiting") > 10)
    assert states(machine).count("sent") == 2 and link.is_silent()
    link.answer(second)
    link.answer(first)
    link.serve()
    machine.passes()


def states(machine):
    """Where the device's requests are."""
    return [r["state"] for r in machine.qmp.command("query-azure-blob-vsp")[0]["requests"]]


def test_answers_are_acknowledged_when_the_backend_wants_it(start, backend):
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    assert request.head == bytes(100) and request.operation == 0x100 and request.timeout == 0
    link.complete(request, flags=fb.COMPLETE_ACK)
    ack = link.take(fb.ACK)
    assert ack.id == request.id and not ack.body
    machine.passes()


# --- the fence: nothing is let out before the backend has let go

WAITING = ["close-waits", "teardown-waits", "open-after-close-waits", "unload-waits",
           "contact-waits"]


def release_by_complete(backend, link, request):
    link.complete(request, fb.STATUS_CANCELLED)
    return link


def release_by_goodbye(backend, link, request):
    link.write(request, fb.RESPONSE, fb.MARK)
    link.send(fb.GOODBYE_BACKEND)
    link.close()
    return None


def release_by_death(backend, link, request):
    # The mark is the last thing that the process does.
    link.write(request, fb.RESPONSE, fb.MARK)
    backend.die()
    link.close()
    backend.live()
    return None


RELEASES = [release_by_complete, release_by_goodbye, release_by_death]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("case", WAITING)
def test_fence(start, backend, case, release):
    machine = start(case)
    link = backend.accept().greet()
    request = link.take_request()
    cancel = link.take(fb.CANCEL)
    assert cancel.id == request.id and cancel.flags == 0
    machine.says("asked")
    machine.goes_on()
    assert machine.get("in-flight") == 1
    link = release(backend, link, request)
    if link:
        # With the requests of the channel its session has ended.
        link.take(fb.GOODBYE_EMULATOR)
        link.send(fb.GOODBYE_BACKEND)
    backend.serve_in_background()
    machine.passes()


@pytest.mark.parametrize("release", RELEASES)
def test_reset_of_the_machine_waits(start, backend, release):
    machine = start("reset-waits")
    link = backend.accept().greet()
    request = link.take_request()
    cancel = link.take(fb.CANCEL)
    assert cancel.id == request.id
    machine.says("asked")
    assert machine.lines[-1] == "asked"
    release(backend, link, request)
    backend.serve_in_background()
    machine.passes()


def test_new_session_after_a_reset(start, backend):
    machine = start("reset-waits")
    link = backend.accept().greet()
    request = link.take_request()
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    link.take(fb.GOODBYE_EMULATOR)
    link.send(fb.GOODBYE_BACKEND)
    second = backend.accept().greet()
    assert second.hello["session"] != link.hello["session"]
    assert second.hello["instance"] == link.hello["instance"]
    machine.passes()


def test_backend_that_does_not_say_goodbye_is_left(start, backend):
    machine = start("close-waits")
    link = backend.accept().greet()
    request = link.take_request()
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    link.take(fb.GOODBYE_EMULATOR)
    # Nothing of the guest's is with it any more, so nothing has to be proven.
    second = backend.accept().greet()
    second.serve()
    machine.passes()


# --- time-outs

def times_out(start, backend):
    """The guest begins when its request can go to the backend at once, however slow that is here."""
    machine = start("times-out", extra=["-S"])
    link = backend.accept().greet().share_memory()
    until(lambda: machine.qmp.command("query-azure-blob-vsp")[0]["regions"] == 1)
    machine.qmp.command("cont")
    return machine, link, link.take_request()


def test_timeout_waits_for_the_backend(start, backend):
    machine, link, request = times_out(start, backend)
    assert 1 <= request.timeout <= 1000
    cancel = link.take(fb.CANCEL)
    assert cancel.id == request.id and cancel.flags == fb.CANCEL_TIMEOUT
    # It is told to the outside, and to nobody inside.
    event = machine.qmp.wait_event("AZURE_BLOB_VSP_UNCONFIRMED", timeout=LIMIT)
    assert event["data"]["device"] == "blob"
    assert event["data"]["requests"] == 1 and event["data"]["first-request"] == request.id
    machine.goes_on()
    assert machine.get("stat-stuck") == 1 and machine.get("stat-timeouts") == 1
    link.complete(request, fb.STATUS_TIMEOUT)
    machine.passes()


def test_answer_that_crosses_the_cancel_counts(start, backend):
    machine = start("ends-well")
    link = backend.accept().greet()
    link.complete(link.take_request())
    machine.passes()


def test_timeout_without_any_backend(start, backend):
    backend.unlisten()
    start("times-out-unseen").passes()
    backend.listen()


def test_timeout_over_a_lost_backend_waits_for_its_end(start, backend):
    machine, link, request = times_out(start, backend)
    region = link.regions.copy()
    link.regions = {}
    link.close()
    until(lambda: machine.get("stat-timeouts") == 1)
    machine.goes_on()
    assert machine.get("in-flight") == 1
    link.regions = region
    link.write(request, fb.RESPONSE, fb.MARK)
    backend.die()
    machine.passes()
    backend.live()


# --- a backend that comes and goes

def test_lost_connection_proves_nothing(start, backend):
    """The socket closes, the process lives: no HELLO, no request, until it is dead."""
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    link.close()
    second = backend.accept()
    until(lambda: machine.get("link-state") == "held")
    assert second.is_silent() and machine.get("in-flight") == 1
    backend.die()
    backend.live()
    second.greet()
    assert second.hello["session"] == link.hello["session"]
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT and again.head == request.head
    second.complete(again)
    machine.passes()


def test_killed_backend(start, backend):
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    backend.die()
    link.close()
    backend.live()
    second = backend.accept().greet()
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT
    second.complete(again)
    machine.passes()


def test_process_ends_and_its_socket_lives(start, backend):
    """Somebody else holds the socket: the pidfd alone is enough."""
    machine = start("ends-well")
    link = backend.accept().greet()
    link.take_request()
    backend.die()
    backend.live()
    second = backend.accept().greet()
    second.complete(second.take_request())
    machine.passes()


def test_last_words_of_a_dying_backend_count(start, backend):
    machine = start("ends-well")
    link = backend.accept().greet()
    link.complete(link.take_request())
    backend.die()
    link.close()
    backend.live()
    machine.passes()


def test_goodbye_of_the_backend(start, backend):
    """It has ended its work, so the next one may begin at once; its process may live on."""
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    link.send(fb.GOODBYE_BACKEND)
    with pytest.raises(fb.Closed):
        link.take()
    second = backend.accept().greet()
    again = second.take_request()
    assert again.id == request.id and again.flags & fb.RESENT
    second.complete(again)
    machine.passes()


@pytest.mark.parametrize("first, second", [(0, fb.RESEND), (fb.RESEND, 0)])
def test_request_is_not_repeated_where_answers_are_not_kept(start, backend, first, second):
    machine = start("ends-in-failure")
    link = backend.accept().greet(features=fb.REGIONS | first)
    link.take_request()
    link.send(fb.GOODBYE_BACKEND)
    link.close()
    if first:
        backend.accept().greet(features=fb.REGIONS | second).serve()
    machine.passes()
    assert not backend.asked


def test_request_is_made_before_there_is_a_backend(start, backend):
    backend.unlisten()
    machine = start("ends-well")
    machine.says("sent")
    assert machine.get("link-state") == "down" and machine.get("in-flight") == 0
    backend.listen()
    link = backend.accept().greet()
    request = link.take_request()
    assert not request.flags & fb.RESENT
    link.complete(request)
    machine.passes()


def test_refused(start, backend):
    machine = start("ends-well")
    for _ in range(3):
        link = backend.accept()
        link.expect_hello()
        link.send(fb.REFUSE, struct.pack("<II", 13, 0) + "not \x1b[1m you\n".encode())
        with pytest.raises(fb.Closed):
            link.take()
    link = backend.accept().greet()
    link.complete(link.take_request())
    machine.passes()
    log = machine.log.read_text()
    assert log.count("the backend refused: not ?[1m you? (Permission denied)") == 1


# --- a backend that breaks the protocol: cut off, and nothing else

def raw(data):
    return lambda link, request: link.socket.sendall(data)


def complete(**change):
    def send(link, request):
        values = {"status": 0, "response": 0, "data": 0, "reserved": 0, "id": request.id,
                  "flags": 0, "length": None, "more": b""}
        values.update(change)
        link.send(fb.COMPLETE, struct.pack("<IIII", values["status"], values["response"],
                                           values["data"], values["reserved"]) + values["more"],
                  ident=values["id"], flags=values["flags"], length=values["length"])
    return send


def message(kind, body=b"", **more):
    return lambda link, request: link.send(kind, body, **more)


def welcome_again(link, request):
    link.welcome()


def descriptors(link, request):
    link.send(fb.REGION_GONE, ident=1, fds=[0, 1, 2])


def twice(link, request):
    link.complete(request)
    complete()(link, request)


VIOLATIONS = {
    "type-unknown": message(77),
    "type-of-the-emulator": message(fb.HELLO, bytes(56)),
    "length-zero": message(fb.GOODBYE_BACKEND, length=0),
    "length-short": message(fb.COMPLETE, bytes(16), length=31),
    "length-long": message(fb.GOODBYE_BACKEND, bytes(8)),
    "length-huge": message(fb.COMPLETE, bytes(16), length=0xFFFFFFFF),
    "flags": message(fb.GOODBYE_BACKEND, flags=1),
    "id-of-nothing": message(fb.GOODBYE_BACKEND, ident=1),
    "welcome-twice": welcome_again,
    "refuse-late": message(fb.REFUSE, bytes(8)),
    "complete-unknown": complete(id=999),
    "complete-id-zero": complete(id=0),
    "complete-twice": twice,
    "complete-flags": complete(flags=2),
    "complete-reserved": complete(reserved=1),
    "response-too-long": complete(response=4097),
    "response-all-ones": complete(response=0xFFFFFFFF),
    "data-without-a-buffer": complete(data=1),
    "lengths-wrap-around": complete(response=0xFFFFFFFF, data=1),
    "bytes-that-are-not-inline": complete(response=4, more=b"abcd"),
    "region-status-unknown": message(fb.REGION_STATUS, bytes(8), ident=200),
    "region-status-beyond": message(fb.REGION_STATUS, bytes(8), ident=1 << 40),
    "region-status-twice": message(fb.REGION_STATUS, bytes(8), ident=0),
    "region-gone-unasked": message(fb.REGION_GONE, ident=0),
    "descriptors": descriptors,
    "noise": raw(bytes(range(256)) * 64),
}


@pytest.mark.parametrize("what", VIOLATIONS)
def test_backend_that_breaks_the_protocol_is_cut_off(start, backend, what):
    machine = start("ends-well")
    link = backend.accept().greet()
    request = link.take_request()
    VIOLATIONS[what](link, request)
    if what == "complete-twice":
        # The first one counted.
        machine.passes()
        return
    with pytest.raises(fb.Closed):
        while True:
            link.take()
    assert machine.get("stat-violations") == 1
    # It may have lied about everything: its process has to end.
    machine.goes_on()
    assert machine.get("in-flight") == 1
    backend.die()
    backend.live()
    second = backend.accept().greet()
    second.complete(second.take_request())
    machine.passes()


WELCOMES = {
    "version-0": {"version": 0},
    "version-2": {"version": 2},
    "features-not-asked-for": {"features": 4},
    "no-head": {"max_head": 0},
    "head-too-long": {"max_head": 65537},
    "nothing-in-flight": {"max_inflight": 0},
    "too-many-in-flight": {"max_inflight": 1025},
    "reserved": {"reserved": 1},
    "no-pidfd": {"pidfd": None},
    "another-descriptor": {"pidfd": 0},
}


@pytest.mark.parametrize("what", WELCOMES)
def test_bad_welcome(start, backend, what):
    machine = start("ends-well")
    link = backend.accept()
    link.expect_hello()
    link.welcome(**WELCOMES[what])
    with pytest.raises(fb.Closed):
        link.take()
    # It was given nothing of the guest's, so the next one may come at once.
    second = backend.accept().greet()
    second.complete(second.take_request())
    machine.passes()


def test_answer_before_the_end_of_the_request(start, backend):
    """A body that is still being written can't have been read."""
    machine = start("large-body", device=",x-inline=on")
    link = backend.accept().greet()
    header = link.socket.recv(16)
    _, kind, _, ident = fb.HEADER.unpack(header)
    assert kind == fb.REQUEST
    link.send(fb.COMPLETE, bytes(16), ident=ident)
    until(lambda: machine.get("stat-violations") == 1)
    backend.die()
    backend.live()
    backend.accept().greet().serve()
    machine.passes()


# --- plug and unplug

def test_unplug_and_plug(start, backend):
    machine = start("unplug")
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("device_del", id="blob")
    cancel = link.take(fb.CANCEL)
    assert cancel.id == request.id and cancel.flags == 0
    with pytest.raises(QmpError, match="being unplugged"):
        machine.qmp.command("device_del", id="blob")
    machine.goes_on()
    link.complete(request, fb.STATUS_CANCELLED)
    machine.says("rescinded")
    machine.qmp.wait_event("DEVICE_DELETED", timeout=LIMIT)
    link.close()
    machine.qmp.command("device_add", driver="azure-blob-vsp", id="blob", chardev="vsp")
    backend.serve_in_background()
    machine.passes()


def test_unplug_when_the_guest_never_releases(start, backend):
    """A reset does it."""
    machine = start("unplug-and-reset")
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("device_del", id="blob")
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    machine.qmp.wait_event("DEVICE_DELETED", timeout=LIMIT)
    machine.passes()


def test_plug_after_the_offers(start, backend):
    machine = start("plug", plugged=False)
    machine.says("ready")
    machine.qmp.command("device_add", driver="azure-blob-vsp", id="blob", chardev="vsp")
    backend.serve_in_background()
    machine.passes()


def test_second_device_has_an_instance_of_its_own(start, backend):
    machine = start("idle", plugged=False)
    machine.says("ready")
    with pytest.raises(QmpError, match="duplicate vmbus device instance id"):
        for name in ("a", "b"):
            machine.qmp.command("chardev-add", id=name, backend={
                "type": "socket", "data": {"server": False, "reconnect-ms": 20, "addr": {
                    "type": "unix", "data": {"path": backend.path}}}})
            machine.qmp.command("device_add", driver="azure-blob-vsp", id=name, chardev=name,
                                instanceid="00000000-0000-0000-0000-000000000001")
    machine.qmp.command("device_add", driver="azure-blob-vsp", id="c", chardev="b")
    machine.qmp.command("device_add", driver="azure-blob-vsp", id="blob", chardev="vsp")
    names = {machine.qmp.command("qom-get", path=f"/machine/peripheral/{n}", property="instanceid")
             for n in ("a", "c", "blob")}
    assert len(names) == 3


# --- what a person can get wrong

@pytest.mark.parametrize("options, error", [
    ("", "'chardev' is not set"),
    (",chardev=null", "chardev 'null' is not of the socket type"),
    (",chardev=tcp", "chardev 'tcp' is not a plain Unix socket"),
    (",chardev=vsp,max-inflight=0", "'max-inflight' is 0; it can be 1 to 1024"),
    (",chardev=vsp,max-inflight=1025", "'max-inflight' is 1025; it can be 1 to 1024"),
    (",chardev=vsp,instanceid=x", "doesn't take value 'x'"),
])
def test_bad_options(tmp_path, options, error):
    run = subprocess.run(
        [str(paths.qemu()), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg",
         "-M", "q35", "-cpu", "qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time", "-nodefaults",
         "-display", "none", "-device", "vmbus-bridge", "-chardev", "null,id=null",
         "-chardev", "socket,id=tcp,host=127.0.0.1,port=1,reconnect-ms=1000",
         "-chardev", f"socket,id=vsp,path={tmp_path}/none,reconnect-ms=1000",
         "-device", "azure-blob-vsp" + options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert run.returncode == 1
    assert error in run.stderr
