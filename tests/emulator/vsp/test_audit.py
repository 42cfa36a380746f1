# SPDX-License-Identifier: MIT
"""What emulator/AUDIT.md found: what a guest, a saved file or a command line could do to VMBus.

The guest's half is in audit_cases.c.
"""

import struct
import subprocess

import pytest

from test_vsp import (Machine, backend, build_program, case_names, start,  # noqa: F401
                      until)
# pylint: disable=unused-import,redefined-outer-name

import fake_backend as fb
from azvm import paths
from azvm.qmp import QmpError

LIMIT = 300
# Those in which the test is more than a backend that answers
SPECIAL = {"pages-for-a-gpadl-on-its-way-out", "two-packets-while-recorded",
           "guests-mistakes-are-its-own", "leaves-messages-in-the-queue", "opens-and-idles"}


@pytest.mark.parametrize("case", [c for c in case_names("audit_cases.c") if c not in SPECIAL])
def test_guest(start, backend, case):
    backend.serve_in_background()
    start(case, cpus=2).passes()


def test_pages_for_a_gpadl_on_its_way_out(start, backend):
    machine = start("pages-for-a-gpadl-on-its-way-out", extra=["-S"])
    # The request is the backend's as soon as it is read: then the teardown has to wait.
    link = backend.accept().greet().share_memory()
    until(lambda: machine.qmp.command("query-azure-blob-vsp")[0]["regions"] == 1)
    machine.qmp.command("cont")
    request = link.take_request()
    machine.says("sent")
    gpadls = {g["gpadl"]: g for g in machine.qmp.command("query-vmbus")["gpadls"]}
    assert gpadls[7]["seen"] == 26 and gpadls[7]["pages"] == 30
    link.complete(request)
    machine.passes()


def test_a_recording_does_not_change_what_is_read(start, backend, tmp_path):
    machine = start("two-packets-while-recorded", extra=["-S"])
    machine.qmp.command("vmbus-capture-start", filename=str(tmp_path / "bus.pcap"), snaplen=105)
    machine.qmp.command("cont")
    backend.serve_in_background()
    machine.passes()


def test_guests_mistakes_are_not_in_the_hosts_log(start, backend):
    backend.serve_in_background()
    machine = start("guests-mistakes-are-its-own")
    machine.passes()
    # That the bridge lacks features that TCG has not is said at the start, once; of coroutines, by a sanitizer.
    known = ("recommended set of Hyper-V features", "ASan doesn't fully support makecontext/swapcontext")
    assert [line for line in machine.log.read_text().splitlines()
            if not any(words in line for words in known)] == []


# --- a file of a saved machine is input as well

@pytest.fixture
def saved(start, backend, tmp_path):
    """The bytes of a machine that was saved when its guest was ready."""
    def run(case):
        backend.serve_in_background()
        machine = start(case)
        machine.says("ready")
        machine.qmp.command("stop")
        machine.qmp.command("migrate", uri=f"file:{tmp_path}/state")
        until(lambda: machine.qmp.command("query-migrate").get("status") in ("completed", "failed"))
        assert machine.qmp.command("query-migrate")["status"] == "completed"
        machine.process.kill()
        return bytearray((tmp_path / "state").read_bytes())
    return run


@pytest.fixture
def load(program, backend, tmp_path):
    """A machine that these bytes are loaded into."""
    machines = []

    def run(case, data, **options):
        place = tmp_path / f"loaded-{len(machines)}"
        place.mkdir()
        (place / "link").symlink_to(tmp_path / "link")
        (tmp_path / "changed").write_bytes(data)
        machines.append(Machine(program, case, place,
                                extra=["-S", "-incoming", f"file:{tmp_path}/changed"],
                                **options))
        return machines[-1]
    yield run
    for machine in machines:
        machine.close()


def change(data, pattern, offset, form, value):
    """A copy with another value at an offset from a pattern that is there once."""
    assert data.count(pattern) == 1
    out = bytearray(data)
    struct.pack_into(form, out, data.index(pattern) + offset, value)
    return out


# As in the stream: what vmstate_vmbus, vmstate_gpadl, vmstate_channel begin with
BUS = struct.pack(">BIIQ", 0, 5 << 16 | 3, 0, 0)
GPADL = struct.pack(">IIII", 0x1E1, 1, 18, 18)
CHANNEL = struct.pack(">IHIIII", 1, 0, 0x0BE1, 0, 0x1E1, 9)
QUEUE = b"vmbus/rx_queue" + struct.pack(">I", 0)

BAD_FILES = {
    "state": (BUS, 0, ">B", 200, "state 200"),
    "state-without-a-processor": (BUS[1:], 4, ">I", 77, "there is no processor 77"),
    "gpadl-without-pages": (GPADL, 8, ">I", 0, "vmbus/gpadl"),
    "gpadl-of-many-pages": (GPADL, 8, ">I", 0xFFFFFFFF, "vmbus/gpadl"),
    "gpadl-with-more-pages-than-it-has": (GPADL, 12, ">I", 19, "vmbus/gpadl"),
    "gpadl-state": (GPADL, 16 + 18 * 8, ">B", 77, "vmbus:gpadl_list"),
    "channel-id": (CHANNEL, 0, ">I", 5000, "vmbus-dev:channels"),
    "channel-offer-state": (CHANNEL, len(CHANNEL), ">B", 77, "vmbus-dev:channels"),
    "channel-state": (CHANNEL, len(CHANNEL) + 1, ">B", 77, "vmbus-dev:channels"),
    "ring-in-another-gpadl": (CHANNEL, 14, ">I", 99, "the rings of channel 1 are not"),
}


def runs(machine):
    """Lets a machine run that was saved while it was stopped."""
    until(lambda: machine.qmp.command("query-migrate").get("status") == "completed")
    machine.qmp.command("cont")
    until(lambda: machine.qmp.command("query-status")["running"])


def fails_to_load(machine, error):
    assert machine.process.wait(LIMIT) == 1
    assert error in machine.log.read_text()


def test_bad_file_is_not_loaded(saved, load):
    """One by one, and in the end the file as it was."""
    data = saved("opens-and-idles")
    for what, (pattern, offset, form, value, error) in BAD_FILES.items():
        print(what)
        fails_to_load(load("opens-and-idles", change(data, pattern, offset, form, value)), error)
    machine = load("opens-and-idles", data)
    runs(machine)
    assert machine.qmp.command("query-vmbus")["channels"][0]["state"] == "open"


@pytest.mark.parametrize("state", [3, 4, 5, 8], ids=["create", "teardown", "open", "rescind"])
def test_state_without_a_message_is_put_right(saved, load, state):
    machine = load("opens-and-idles", change(saved("opens-and-idles"), BUS, 0, ">B", state))
    runs(machine)
    until(lambda: f"no message for state {state}" in machine.log.read_text())
    assert machine.qmp.command("query-vmbus")["channels"][0]["state"] == "open"
    # The bus works: it has something to say.
    machine.qmp.command("vmbus-rescind", device="blob")
    machine.qmp.wait_event("VMBUS_CHANNEL", timeout=LIMIT)


def test_bad_queue_is_not_loaded(saved, load):
    data = saved("leaves-messages-in-the-queue")
    for offset, form, value, error in [(0, ">B", 16, "from 16"), (1, ">B", 17, "with 17 messages"),
                                       (2, ">I", 241, "message 0 has 241 bytes")]:
        fails_to_load(load("leaves-messages-in-the-queue",
                           change(data, QUEUE, len(QUEUE) + offset, form, value)), error)


# What vsp_buffers_put() and put_requests() write of the guest of "buffer-outlives-a-pause": a buffer
# of two pages, and a request with a head of 100 bytes, no data, and one page for the response
BUFFER = struct.pack(">IIIB", 5, 2, 2, 0)
REQUEST = struct.pack(">BHQI", 1, 9, 1, 56)
# From the beginning of that
FIELDS = {"msglen": 11, "id": 84, "accepted": 97, "deadline": 105, "data-length": 113, "data-valid": 117,
          "response-length": 121, "head-length": 141, "data-maps": 245, "response-maps": 249,
          "block": 254}
BAD_REQUESTS = [
    ("msglen", ">I", 129), ("id", ">Q", 0), ("id", ">Q", 2), ("id", ">Q", (1 << 64) - 1),
    ("accepted", ">q", -1), ("deadline", ">q", -1), ("deadline", ">q", -1 << 63),
    ("data-length", ">I", (32 << 20) + 1), ("data-valid", ">I", 1), ("response-length", ">I", 0),
    ("response-length", ">I", 4097), ("head-length", ">I", 0), ("head-length", ">I", 65537),
    ("data-maps", ">I", 1), ("response-maps", ">I", 0), ("response-maps", ">I", 0xFFFFFFFF),
    ("block", ">B", 0x21)]
BAD_BUFFERS = [(0, ">I", 1025), (4, ">I", 0), (4, ">I", 1), (4, ">I", 0x7FFFFFFF), (8, ">I", 3)]


def test_bad_request_is_not_loaded(start, backend, load, tmp_path):
    """Nor a bad buffer; the file as it was has both, and the guest goes on with them."""
    case, options = "buffer-outlives-a-pause", {"device": ",protocol=2"}
    machine = start(case, **options)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("stop")
    machine.qmp.command("migrate", uri=f"file:{tmp_path}/state")
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    until(lambda: machine.qmp.command("query-migrate").get("status") == "completed")
    machine.process.kill()
    link.close()
    data = (tmp_path / "state").read_bytes()
    backend.serve_in_background()

    # Where the response is in the block, behind the block's name
    place = FIELDS["block"] + data[data.index(REQUEST) + FIELDS["block"] - 1]
    bad = [(REQUEST, FIELDS[name], *value, "requests") for name, *value in BAD_REQUESTS]
    bad += [(REQUEST, place, ">Q", 1 << 40, "requests"), (REQUEST, place, ">q", -4096, "requests"),
            (REQUEST, place + 8, ">Q", 0, "requests")]
    bad += [(BUFFER, *value, "buffers") for value in BAD_BUFFERS]
    for pattern, *how, what in bad:
        print(what, how)
        fails_to_load(load(case, change(data, pattern, *how), **options), f"azure-blob-vsp:{what}")
    machine = load(case, data, **options)
    runs(machine)
    machine.passes()


# --- command lines and commands

def refused(*options, cpu="qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time"):
    run = subprocess.run(
        [str(paths.qemu()), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg",
         "-M", "q35", "-cpu", cpu, "-nodefaults", "-display", "none", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert run.returncode == 1, run.stderr
    return run.stderr


def test_bridge_needs_a_synic():
    assert "requires usable Hyper-V SynIC" in refused("-device", "vmbus-bridge", cpu="qemu64")


@pytest.mark.parametrize("irq", [16, 255])
def test_bridge_has_one_of_sixteen_interrupts(irq):
    assert f"'irq' is {irq}; it can be 0 to 15" in refused("-device", f"vmbus-bridge,irq={irq}")


def test_there_is_one_bridge():
    assert "at most one vmbus-bridge" in refused("-device", "vmbus-bridge", "-device", "vmbus-bridge")


@pytest.mark.parametrize("version", ["", "4", "2.4", "4.2", "5.4", "6.0", "x"])
def test_versions_that_there_are_not(version):
    assert f"'max-version' can't be '{version}'; it can be 3.0, 4.0, 4.1" in \
        refused("-device", f"vmbus-bridge,max-version={version}")


def test_instance_of_all_zeros_is_refused():
    assert "'instanceid' can't be all zeros" in refused(
        "-device", "vmbus-bridge", "-device",
        "hv-balloon,instanceid=00000000-0000-0000-0000-000000000000")


def test_more_devices_than_have_names():
    """The last byte of the instance counts them."""
    devices = []
    for number in range(257):
        devices += ["-chardev", f"socket,id=c{number},path=/none/at/all,reconnect-ms=3600000",
                    "-device", f"azure-blob-vsp,chardev=c{number}"]
    assert "'instanceid' has to be set for more than 256 of them" in \
        refused("-device", "vmbus-bridge", *devices)


def test_cpu_with_a_synic_is_not_unplugged(start, backend):
    """Nor does asking for it do anything: the guest of the channel goes on."""
    backend.serve_in_background()
    machine = start("opens-and-idles", cpus="1,maxcpus=2")
    machine.says("ready")
    slot, = [c for c in machine.qmp.command("query-hotpluggable-cpus") if "qom-path" not in c]
    machine.qmp.command("device_add", driver=slot["type"], id="cpu1", **slot["props"])
    with pytest.raises(QmpError, match="hv-synic is in use can't be unplugged"):
        machine.qmp.command("device_del", id="cpu1")
    assert len(machine.qmp.command("query-cpus-fast")) == 2
    assert machine.qmp.command("query-vmbus")["channels"][0]["state"] == "open"
