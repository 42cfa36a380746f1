# SPDX-License-Identifier: MIT
"""Faults on command: what a guest gets to see of each, and what QEMU says about them.

The guest's half is in fault_cases.c.  QEMU is started paused, so that the faults are there before
the first message; the backend answers every request with "R", in order.
"""

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from test_vsp import Machine, backend, build_program, start, until  # noqa: F401
# pylint: disable=unused-import,redefined-outer-name

import fake_backend as fb
from fuzz import fault_kinds
from azvm.qmp import QmpError

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 300
PAUSED = ["-S"]
# Longer than any test: what waits for it doesn't come, on no machine
NEVER = 60 * 60 * 1000


@pytest.fixture
def faulty(start, backend):
    """A paused machine with faults, set going, and a backend that answers."""
    def run(case, *faults, serve=True, **options):
        if serve:
            backend.serve_in_background()
        machine = start(case, extra=PAUSED, **options)
        for number, fault in enumerate(faults):
            machine.qmp.command("vmbus-fault-add", **{"id": f"f{number}", **fault})
        machine.qmp.command("cont")
        return machine
    return run


def usual(number, *, kind=11, size=16, words="12 0 1"):
    return f"type {kind} id {number} bytes {size} words {words}"


def seen(machine, last, count):
    """What the guest has told when it has told `last`, `count` lines."""
    machine.says(last)
    until(lambda: len(machine.lines) >= count or machine.process.poll() is not None)
    return machine.lines[:count]


ALL = [usual(i) for i in range(1, 7)]
ONES = 0xFFFFFFFF
# What a fault on the third of six completions makes of them
BURSTS = {
    "completion-drop": ({}, [*ALL[:2], *ALL[3:]]),
    "completion-duplicate": ({"value": 2}, [*ALL[:2], *[ALL[2]] * 3, *ALL[3:]]),
    "completion-reorder": ({"value": 2, "delay": NEVER},
                           [*ALL[:2], *ALL[3:5], ALL[2], ALL[5]]),
    "completion-wrong-id": ({"value": 77}, [*ALL[:2], usual(77), *ALL[2:]]),
    "completion-stale-id": ({"value": 2}, [*ALL[:2], usual(1), *ALL[2:]]),
    "completion-short": ({"value": 8}, [*ALL[:2], usual(3, size=8, words="12 0 0"), *ALL[3:]]),
    "completion-long": ({"value": 32}, [*ALL[:2], usual(3, size=32), *ALL[3:]]),
    "completion-response-length": ({}, [*ALL[:2], usual(3, words=f"12 0 {ONES}"), *ALL[3:]]),
    "completion-status": ({"value": 5}, [*ALL[:2], usual(3, words="12 5 1"), *ALL[3:]]),
    "completion-inband": ({}, [*ALL[:2], usual(3, kind=6), *ALL[3:]]),
    "completion-malformed": ({}, [*ALL[:2], f"type 11 id 3 bytes {0xffff * 8 - 16}"]),
    "packet-drop": ({}, [*ALL[:2], *ALL[3:]]),
}


@pytest.mark.parametrize("kind", BURSTS)
def test_fault_on_one_of_six(faulty, kind):
    more, expected = BURSTS[kind]
    machine = faulty("tells-what-comes", {"kind": kind, "skip": 2, **more})
    lines = seen(machine, expected[-1], len(expected))
    if kind == "completion-short":
        # What stands behind the short one is not part of it.
        assert lines[2].startswith("type 11 id 3 bytes 8 ")
        del lines[2], expected[2]
    assert lines == expected
    until(lambda: fault_counts(machine) == (6, 1))
    event = machine.qmp.wait_event("VMBUS_FAULT", timeout=LIMIT)["data"]
    assert event == {"id": "f0", "kind": kind, "channel": 1, "hit": 1}


def fault_counts(machine):
    fault = machine.qmp.command("query-vmbus-faults")[0]
    return fault["matched"], fault["hit"]


def test_others_pass_a_delayed_completion(faulty):
    machine = faulty("tells-what-comes", {"kind": "completion-delay", "delay": NEVER, "skip": 2})
    assert seen(machine, ALL[5], 5) == [*ALL[:2], *ALL[3:]]
    assert fault_counts(machine) == (6, 1)


def test_delayed_completion_comes(faulty):
    """Before or after which others is up to the machine's speed."""
    machine = faulty("tells-what-comes", {"kind": "completion-delay", "delay": 20, "skip": 2})
    machine.says(ALL[2])
    assert sorted(seen(machine, ALL[5], 6)) == sorted(ALL)
    assert fault_counts(machine) == (6, 1)


def test_reordered_completion_comes_even_if_nothing_passes_it(faulty):
    machine = faulty("tells-what-comes",
                     {"kind": "completion-reorder", "value": 100, "delay": 50, "skip": 5})
    assert seen(machine, ALL[5], 6) == ALL


# A good packet of fault_cases.c in the ring: descriptor, ranges, pages, payload, trailer
PACKET_BYTES = 16 + 16 + 2 * 8 + 56 + 8


def test_packet_is_delayed_and_those_behind_it(faulty, backend):
    """Four stay in the ring; the two before them are requests, and are answered."""
    machine = faulty("tells-what-comes", {"kind": "packet-delay", "delay": NEVER, "skip": 2},
                     serve=False)
    link = backend.accept().greet()
    requests = [link.take_request() for _ in range(2)]

    def left_in_the_ring():
        channel, = machine.qmp.command("query-vmbus")["channels"]
        return channel["packets-in"], channel["to-host"]["used"]

    until(lambda: left_in_the_ring() == (2, 4 * PACKET_BYTES))
    for request in requests:
        link.answer(request)
    assert seen(machine, ALL[1], 2) == ALL[:2]
    assert left_in_the_ring() == (2, 4 * PACKET_BYTES) and link.is_silent()
    assert fault_counts(machine) == (3, 1)


def test_held_completions_are_not_more_than_enough(faulty, tmp_path):
    """The others wait in the device, and what it has no place for in the ring."""
    machine = faulty("more-completions-than-are-held",
                     {"kind": "completion-delay", "delay": NEVER, "count": 0},
                     device=",max-inflight=16")
    machine.says("sent")

    def waiting():
        channel, = machine.qmp.command("query-vmbus")["channels"]
        return channel["held"], channel["packets-in"], channel["to-host"]["used"]

    until(lambda: waiting() == (4096, 4096 + 16, 100 * PACKET_BYTES))
    # They go when the machine is stopped to be saved, which fails as the ring can't hold them all.
    machine.qmp.command("vmbus-fault-remove", id="f0")
    machine.qmp.command("migrate", uri=f"file:{tmp_path}/state")
    until(lambda: machine.qmp.command("query-migrate").get("status") == "failed")
    assert "a fault holds completions" in machine.log.read_text()
    machine.passes()


def test_delayed_packet_is_taken_in_its_turn(faulty):
    machine = faulty("tells-what-comes", {"kind": "packet-delay", "delay": 20, "skip": 2})
    assert seen(machine, ALL[5], 6) == ALL
    assert fault_counts(machine) == (6, 1)


def test_write_index_is_wild_until_the_next_completion(faulty, backend):
    machine = faulty("tells-what-comes", {"kind": "ring-write-index", "skip": 2}, serve=False)
    link = backend.accept().greet()
    requests = [link.take_request() for _ in range(6)]
    for request in requests[:3]:
        link.answer(request)
    machine.says("wild index")
    link.answer(requests[3])
    machine.says(ALL[3])
    assert [line for line in machine.lines if line != "wild index"] == ALL[:4]


def test_fault_is_meant_for_an_operation(faulty):
    machine = faulty("tells-what-comes",
                     {"kind": "completion-drop", "operation": 0x101, "count": 0},
                     {"kind": "completion-duplicate", "operation": 0x100, "skip": 5})
    assert seen(machine, ALL[5], 7) == [*ALL, ALL[5]]
    first, second = machine.qmp.command("query-vmbus-faults")
    assert (first["matched"], first["hit"], second["matched"]) == (0, 0, 6)


def test_fault_is_meant_for_a_device(faulty):
    machine = faulty("tells-what-comes",
                     {"kind": "completion-duplicate", "skip": 5,
                      "device": "/machine/peripheral/blob"})
    assert seen(machine, ALL[5], 7) == [*ALL, ALL[5]]


def test_first_fault_takes_it_and_the_next_is_asked_when_it_does_not(faulty):
    machine = faulty("tells-what-comes",
                     {"kind": "completion-status", "value": 1},
                     {"kind": "completion-status", "value": 2, "count": 2})
    expected = [usual(i + 1, words=f"12 {s} 1") for i, s in enumerate([1, 2, 2, 0, 0, 0])]
    assert seen(machine, expected[-1], 6) == expected


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_the_same_seed_hits_the_same_ones(faulty, tmp_path, seed):
    """Half of them; which ones is fixed for all time, on any machine."""
    def hits(machine):
        machine.says(usual(6) if 5 not in expected else usual(6, words="12 5 1"))
        return [i for i, line in enumerate(machine.lines) if " 5 1" in line]

    expected = chosen(seed, 6, 0.5)
    machine = faulty("tells-what-comes", {"kind": "completion-status", "value": 5, "count": 0,
                                          "probability": 0.5, "seed": seed})
    assert hits(machine) == expected


def chosen(seed, count, probability):
    """The generator that docs/emulator.md describes, once more."""
    mask, out = (1 << 64) - 1, []
    for i in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
        if ((z ^ z >> 31) >> 11) / (1 << 53) < probability:
            out.append(i)
    return out


def test_removed_fault_strikes_no_more(faulty, backend):
    machine = faulty("tells-what-comes", {"kind": "completion-status", "value": 5, "count": 0},
                     serve=False)
    link = backend.accept().greet()
    requests = [link.take_request() for _ in range(6)]
    link.answer(requests[0])
    machine.says(usual(1, words="12 5 1"))
    machine.qmp.command("vmbus-fault-remove", id="f0")
    for request in requests[1:]:
        link.answer(request)
    assert seen(machine, ALL[5], 6)[1:] == ALL[1:]
    assert machine.qmp.command("query-vmbus-faults") == []


# --- what the guest checks by itself

CASES = {
    "interrupt-is-dropped": {"kind": "interrupt-drop"},
    "read-index-is-wild": {"kind": "ring-read-index"},
    "gpadl-is-refused": {"kind": "gpadl-refuse", "value": 0xC000009A},
    "open-is-refused": {"kind": "open-refuse", "value": 0xC0000001},
    "rescind-with-completion": {"kind": "rescind-before"},
    "rescind-with-silent-completion": {"kind": "rescind-during"},
    "rescind-after-completion": {"kind": "rescind-after"},
    "rescind-instead-of-completion": {"kind": "rescind-instead"},
}


@pytest.mark.parametrize("case", CASES)
def test_case(faulty, case):
    machine = faulty(case, CASES[case])
    machine.qmp.wait_event("VMBUS_FAULT", timeout=LIMIT)
    machine.passes()


@pytest.mark.parametrize("how", ["fault", "command"])
def test_interrupt_without_reason(faulty, backend, how):
    faults = [{"kind": "interrupt-spurious"}] if how == "fault" else []
    machine = faulty("interrupt-without-reason", *faults, serve=False)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    if how == "command":
        machine.qmp.command("vmbus-interrupt", device="blob")
    machine.says("told")
    link.complete(request)
    machine.passes()


def rescinded(faulty, backend, case):
    machine = faulty(case, serve=False)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("vmbus-rescind", device="blob")
    with pytest.raises(QmpError, match="is being rescinded already"):
        machine.qmp.command("vmbus-rescind", device="blob")
    # The fence holds here too.
    assert link.take(fb.CANCEL).id == request.id
    assert machine.get("in-flight") == 1
    link.complete(request, fb.STATUS_CANCELLED)
    link.close()
    backend.serve_in_background()
    return machine


def test_rescind_by_command(faulty, backend):
    machine = rescinded(faulty, backend, "rescind-gives-back")
    machine.qmp.wait_event("VMBUS_CHANNEL", timeout=LIMIT, count=7)
    machine.passes()
    states = [e["data"]["state"] for e in machine.qmp.events("VMBUS_CHANNEL")]
    assert states[:7] == ["offered", "open", "rescinding", "rescinded", "idle", "offered", "open"]


def test_rescinded_device_is_offered_again_after_a_reset(faulty, backend):
    rescinded(faulty, backend, "rescind-and-reset").passes()


def test_rescinded_device_can_be_unplugged(faulty, backend):
    machine = faulty("rescind-and-reset", serve=False)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    machine.qmp.command("vmbus-rescind", device="blob")
    machine.qmp.command("device_del", id="blob")
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    machine.qmp.wait_event("DEVICE_DELETED", timeout=LIMIT)


def test_each_kind_has_a_command_in_the_documents_and_meets_the_driver(faulty):
    kinds = fault_kinds()
    assert "completion-status" in kinds
    page = (ROOT / "docs/emulator.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\| `(kind=[^`]*)`", page, re.M)
    assert [re.split("[=,]", command)[1] for command in commands] == kinds
    driver = (ROOT / "tests/fault/test_host.py").read_text(encoding="utf-8")
    assert [k for k in kinds if f'"{k}"' not in driver] == []
    # And people can type them.
    machine = faulty("tells-what-comes")
    machine.says(ALL[5])
    for command in commands:
        assert machine.qmp.hmp(f"vmbus_fault_add id=f0,device=blob,{command}") == "", command
        assert machine.qmp.hmp("vmbus_fault_remove f0") == ""


# --- bad arguments: an error, and nothing has changed

BAD = {
    "no-id": ({"kind": "completion-drop"}, "Parameter 'id' is missing"),
    "empty-id": ({"id": "", "kind": "completion-drop"}, "'id' must not be empty"),
    "id-twice": ({"id": "there", "kind": "completion-drop"}, "There is a fault 'there' already"),
    "kind": ({"id": "f", "kind": "completion-eat"}, "does not accept value 'completion-eat'"),
    "device": ({"id": "f", "kind": "packet-drop", "device": "x"}, "There is no device 'x'"),
    "other-device": ({"id": "f", "kind": "packet-drop", "device": "/machine"},
                     "There is no device '/machine' on VMBus"),
    "operation": ({"id": "f", "kind": "open-refuse", "operation": 1},
                  "has no parameter 'operation'"),
    "wide-operation": ({"id": "f", "kind": "packet-drop", "operation": 1 << 32}, "operation"),
    "probability": ({"id": "f", "kind": "packet-drop", "probability": 1.01},
                    "'probability' must be 0 to 1"),
    "negative": ({"id": "f", "kind": "packet-drop", "probability": -0.1},
                 "'probability' must be 0 to 1"),
    "no-delay": ({"id": "f", "kind": "packet-delay"}, "needs parameter 'delay'"),
    "zero-delay": ({"id": "f", "kind": "packet-delay", "delay": 0}, "must be 1 to 3600000"),
    "long-delay": ({"id": "f", "kind": "packet-delay", "delay": 3600001}, "must be 1 to 3600000"),
    "unused-delay": ({"id": "f", "kind": "packet-drop", "delay": 1}, "has no parameter 'delay'"),
    "unused-value": ({"id": "f", "kind": "packet-drop", "value": 1}, "has no parameter 'value'"),
    "wide-value": ({"id": "f", "kind": "completion-status", "value": 1 << 32},
                   "must be 0 to 4294967295"),
    "status-0": ({"id": "f", "kind": "open-refuse", "value": 0}, "must be 1 to"),
    "unknown": ({"id": "f", "kind": "packet-drop", "wat": 1}, "Parameter 'wat' is unexpected"),
}


def test_bad_arguments(faulty):
    machine = faulty("tells-what-comes", {"id": "there", "kind": "packet-drop", "skip": 1000})
    machine.says(ALL[5])
    before = machine.qmp.command("query-vmbus-faults")
    for arguments, error in BAD.values():
        with pytest.raises(QmpError, match=error):
            machine.qmp.command("vmbus-fault-add", **arguments)
    for command, arguments, error in [
            ("vmbus-fault-remove", {"id": "f"}, "There is no fault 'f'"),
            ("vmbus-rescind", {"device": "x"}, "There is no device 'x' on VMBus"),
            ("vmbus-interrupt", {"device": "x"}, "There is no device 'x' on VMBus"),
            ("vmbus-capture-stop", {}, "VMBus is not being recorded"),
            ("vmbus-capture-start", {"filename": "/none/at/all"}, "Could not open '/none/at/all'"),
            ("vmbus-capture-start", {"filename": "/dev/null", "snaplen": 63}, "must be 64 to 65536"),
            ("vmbus-capture-start", {"filename": "/dev/null", "snaplen": 0}, "must be 64 to 65536"),
            ("vmbus-capture-start", {"filename": "/dev/full"}, "Can't write '/dev/full'")]:
        with pytest.raises(QmpError, match=error):
            machine.qmp.command(command, **arguments)
    assert machine.qmp.command("query-vmbus-faults") == before
    info = machine.qmp.command("query-vmbus")
    assert "capture" not in info and info["channels"][0]["state"] == "open"


def test_bridge_with_a_bad_capture_file(program, tmp_path):
    machine = Machine(program, "works", tmp_path, plugged=False, bridge=",capture=/none/at/all")
    assert machine.process.wait(LIMIT) == 1
    assert "Could not open '/none/at/all'" in machine.log.read_text()


# --- seeing inside

def test_query(faulty, backend):
    machine = faulty("idles-with-two-requests", serve=False)
    link = backend.accept().greet()
    first, second = link.take_request(), link.take_request()
    machine.says("sent")
    bus = machine.qmp.command("query-vmbus")
    assert bus["version"] == bus["max-version"] == "5.3" and bus["offers-delivered"]
    channel, = bus["channels"]
    for name, value in {"device": "blob", "type": "azure-blob-vsp", "state": "open", "opens": 1,
                        "class-id": "0590b792-db64-45cc-81db-b8d70c577c9e", "packets-in": 2,
                        "packets-out": 0, "index": 0, "target-vp": 0}.items():
        assert channel[name] == value, name
    assert channel["to-host"]["size"] == channel["to-guest"]["size"] == 8 * 4096
    assert channel["to-host"]["used"] == 0 and channel["to-host"]["read-index"] > 0
    assert [g["pages"] for g in bus["gpadls"]] == [18] and bus["gpadls"][0]["ready"]

    blob, = machine.qmp.command("query-azure-blob-vsp")
    assert blob["link-state"] == "up" and blob["in-flight"] == 2 and blob["regions"] >= 1
    one, two = blob["requests"]
    assert (one["id"], one["transaction"], two["transaction"]) == (first.id, 11, 12)
    assert one["state"] == "sent" and one["data-length"] == 5000 and one["operation"] == 0x100
    assert {c["name"]: c["value"] for c in blob["counters"]}["forwarded"] == 2
    assert "channel 1: azure-blob-vsp blob, open" in machine.qmp.hmp("info vmbus")
    assert "(transaction 12): sent" in machine.qmp.hmp("info azure-blob-vsp")
    link.answer(first)
    link.answer(second)
    machine.passes()


def test_commands_for_people(faulty, backend):
    machine = faulty("rescind-gives-back", serve=False)
    link = backend.accept().greet()
    request = link.take_request()
    machine.says("sent")
    assert machine.qmp.hmp("vmbus_fault_add id=x,kind=completion-status,value=5,skip=9") == ""
    assert "x: completion-status, value 0x5, skip 9, count 1" in machine.qmp.hmp(
        "info vmbus-faults")
    assert "needs parameter" in machine.qmp.hmp("vmbus_fault_add id=y,kind=packet-delay")
    assert "'kind' does not accept value" in machine.qmp.hmp("vmbus_fault_add id=y,kind=z")
    assert machine.qmp.hmp("vmbus_fault_remove x") == ""
    assert machine.qmp.hmp("info vmbus-faults") == ""
    assert machine.qmp.hmp("vmbus_interrupt blob") == ""
    assert machine.qmp.hmp("vmbus_rescind blob") == ""
    link.take(fb.CANCEL)
    link.complete(request, fb.STATUS_CANCELLED)
    link.close()
    backend.serve_in_background()
    machine.passes()


def test_capture_from_the_start(faulty, tmp_path):
    file = tmp_path / "bus.pcap"
    machine = faulty("rescind-with-completion", {"kind": "rescind-before"},
                     bridge=f",capture={file}")
    machine.passes()
    text = decode(file)
    for line in ["initiate contact: version 5.3", "version response: supported",
                 "offer: channel 1, azure-blob", "open channel: channel 1",
                 "open result: channel 1, status 0x0", "rescind: channel 1",
                 "relid released: channel 1", "fault: rescind-before f0",
                 "user request: transaction 1, 2 pages", "completion: transaction 1, status 0x0"]:
        assert line in text, text
    # In this order: that is what the fault is about.
    assert text.index("rescind: channel 1") < text.index("completion: transaction 1")


def test_capture_from_the_middle(faulty, backend, tmp_path):
    file = tmp_path / "bus.pcap"
    machine = faulty("idles-with-two-requests", serve=False)
    link = backend.accept().greet()
    requests = [link.take_request() for _ in range(2)]
    machine.qmp.command("vmbus-capture-start", filename=str(file), snaplen=64)
    assert machine.qmp.command("query-vmbus")["capture"] == str(file)
    with pytest.raises(QmpError, match="is being recorded"):
        machine.qmp.command("vmbus-capture-start", filename=str(file))
    link.answer(requests[0])
    until(lambda: machine.qmp.command("query-vmbus")["channels"][0]["packets-out"] == 1)
    machine.qmp.command("vmbus-capture-stop")
    text = decode(file)
    assert "channel 1: azure-blob blob, open" in text
    assert "completion: transaction 11, status 0x0, response 1" in text
    link.answer(requests[1])
    machine.passes()


def test_capture_of_protocol_2(start, backend, tmp_path):
    file = tmp_path / "bus.pcap"
    machine = start("cancelled-with-the-backend", device=",protocol=2", bridge=f",capture={file}")
    link = backend.accept().greet()
    request = link.take_request()
    link.take(fb.CANCEL)
    machine.says("asked")
    machine.goes_on()
    link.complete(request, fb.STATUS_CANCELLED)
    link.serve()
    machine.passes()
    text = decode(file)
    for line in [r"register buffer: transaction \d+, buffer 1, pages 0 to 3 of 4\n",
                 rf"user request: transaction {0x4e1d}, 0 pages, request 100, response 4096, "
                 r"data 5000, valid 0, time-out 0 ms, in buffer 1: data at 16, request at 8192, "
                 r"response at 12288, guid ",
                 rf"cancel: transaction \d+, of transaction {0x4e1d}\n",
                 rf"completion: transaction {0x4e1d}, status 0x800703e3, "]:
        assert re.search(line, text), text


@pytest.mark.parametrize("change", ["nothing", "other-magic", "cut-short"])
def test_recording_that_is_none(tmp_path, change):
    """One line says so; what is left of a record that was being written is left out."""
    head = struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65536, 147)
    channel = struct.pack("<IIII", 1, 0, 26, 26) + struct.pack("<BBBBIQ", 1, 5, 0, 0, 1, 0) + b"x" * 10
    file = tmp_path / "file"
    file.write_bytes({"nothing": b"", "other-magic": b"x" + head, "cut-short": head + channel}[change])
    result = subprocess.run([sys.executable, ROOT / "scripts/vmbus-decode", file], check=False,
                            capture_output=True, text=True)
    assert result.returncode == 1 and result.stderr.startswith(f"vmbus-decode: {file}: ")
    assert result.stderr.count("\n") == 1


def test_capture_by_a_person(faulty, backend, tmp_path):
    file = tmp_path / "bus.pcap"
    machine = faulty("idles-with-two-requests", serve=False)
    link = backend.accept().greet()
    requests = [link.take_request() for _ in range(2)]
    assert "Could not open" in machine.qmp.hmp("vmbus_capture /none/at/all")
    assert "is not being recorded" in machine.qmp.hmp("vmbus_capture")
    assert machine.qmp.hmp(f"vmbus_capture {file}") == ""
    assert "is being recorded" in machine.qmp.hmp(f"vmbus_capture {file}")
    link.answer(requests[0])
    until(lambda: machine.qmp.command("query-vmbus")["channels"][0]["packets-out"] == 1)
    assert machine.qmp.hmp("vmbus_capture") == ""
    assert "completion: transaction 11, status 0x0, response 1" in decode(file)
    link.answer(requests[1])
    machine.passes()


def test_each_packet_has_a_line_in_the_trace(start, backend):
    backend.serve_in_background()
    machine = start("tells-what-comes", extra=["-trace", "vmbus_packet_*"])
    assert seen(machine, ALL[5], 6) == ALL
    lines = machine.trace.read_text()
    for number in range(1, 7):
        for line in (rf"vmbus_packet_in channel #1 type 9 transaction {number}, ",
                     rf"azure_blob_vsp_packet transaction {number}\b",
                     rf"vmbus_packet_out channel #1 type 11 transaction {number}, "):
            assert len(re.findall(line, lines)) == 1, (line, lines)


def decode(file):
    return subprocess.run([sys.executable, ROOT / "scripts/vmbus-decode", file], check=True,
                          capture_output=True, text=True).stdout
