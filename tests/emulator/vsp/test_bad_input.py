# SPDX-License-Identifier: MIT
"""Commands, their arguments, and properties, all of them wrong: an error, and nothing has changed.

What is wrong by its type is made from QEMU's own description of its commands, so that an argument
that is added is tried as well; what is out of range is in the tables here and in test_faults.py.
"""

import subprocess

import pytest

from test_vsp import backend, build_program, start, until  # noqa: F401
# pylint: disable=unused-import,redefined-outer-name

from azvm import paths
from azvm.qmp import QmpError

LIMIT = 300
BLOB, BRIDGE = "/machine/peripheral/blob", "/machine/peripheral/bus"


@pytest.fixture(name="machine")
def open_channel_and_a_fault(start, backend):
    """A guest with an open channel, a fault, and a device that can't end its requests."""
    backend.serve_in_background()
    machine = start("opens-and-idles", bridge=",id=bus", extra=["-device", "hv-balloon,id=balloon"])
    machine.says("ready")
    machine.qmp.command("vmbus-fault-add", id="there", kind="packet-drop", skip=1000)
    return machine


def state(machine):
    """All that a command might have changed, and the guest does not change by itself."""
    bus = machine.qmp.command("query-vmbus")
    counted = ("signals", "interrupts")
    return (machine.qmp.command("query-vmbus-faults"), bus["max-version"], bus.get("capture"),
            [{k: v for k, v in c.items() if k not in counted} for c in bus["channels"]],
            [machine.qmp.command("qom-get", path=BLOB, property=p) for p in BLOB_PROPERTIES],
            [machine.qmp.command("qom-get", path=BRIDGE, property=p) for p in BRIDGE_PROPERTIES])


BLOB_PROPERTIES = ["chardev", "max-inflight", "protocol", "x-inline", "instanceid"]
BRIDGE_PROPERTIES = ["irq", "max-version", "capture"]


# --- QMP

OURS = ("vmbus-", "query-vmbus", "query-azure-blob-vsp")
# A value of every type, and those that are wrong for it
GOOD = {"string": "there", "int": 1, "number": 1, "boolean": True}
WRONG = {"string": [7, True, None, [], {}], "int": ["1", 1.5, True, None, [], -(1 << 70)],
         "number": ["1", True, None, []], "boolean": [0, "on", None],
         "enum": ["none-of-them", "", 3, None]}


def described(machine):
    """Our commands and their arguments: name, type, whether there has to be one."""
    types = {t["name"]: t for t in machine.qmp.command("query-qmp-schema")}

    def kind(name):
        entry = types[name]
        return entry["json-type"] if entry["meta-type"] == "builtin" else entry["meta-type"]
    return {name: [(m["name"], kind(m["type"]), "default" not in m)
                   for m in types[entry["arg-type"]]["members"]]
            for name, entry in types.items()
            if entry["meta-type"] == "command" and name.startswith(OURS)}


def good_arguments(arguments):
    """Such that nothing is wrong with their types; what they name is there."""
    values = {"kind": "packet-drop", "device": "blob", "id": "new", "filename": "/dev/null"}
    return {name: values.get(name, GOOD.get(kind)) for name, kind, needed in arguments if needed}


def test_arguments_of_the_wrong_type(machine):
    commands = described(machine)
    assert len(commands) == 9
    before = state(machine)
    for command, arguments in commands.items():
        good = good_arguments(arguments)
        with pytest.raises(QmpError, match="'wat' is unexpected"):
            machine.qmp.command(command, **good, wat=1)
        for name, kind, needed in arguments:
            if needed:
                with pytest.raises(QmpError, match=f"'{name}' is missing"):
                    machine.qmp.command(command, **{k: v for k, v in good.items() if k != name})
            for value in WRONG[kind]:
                with pytest.raises(QmpError, match=f"'{name}'"):
                    machine.qmp.command(command, **{**good, name: value})
    assert state(machine) == before


OUT_OF_RANGE = [
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "skip": -1}, "'skip' must be 0 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "count": -1}, "'count' must be 0 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "count": 1 << 63}, "'count' must be"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "count": 1 << 64}, "count"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "operation": -1}, "operation"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "seed": 1 << 64}, "seed"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-delay", "delay": -1}, "delay"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-delay", "delay": 1 << 32}, "delay"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-duplicate", "value": 101}, "must be 1 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-duplicate", "value": 0}, "must be 1 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-reorder", "value": 1025}, "must be 1 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-stale-id", "value": 65}, "must be 1 to 64"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-long", "value": 16385}, "to 16384"),
    ("vmbus-fault-add", {"id": "f", "kind": "completion-malformed", "value": 65536}, "to 65535"),
    ("vmbus-fault-add", {"id": "f", "kind": "ring-write-index", "value": 1 << 32}, "must be 0 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "ring-read-index", "value": 1 << 32}, "must be 0 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "gpadl-refuse", "value": 0}, "must be 1 to"),
    ("vmbus-fault-add", {"id": "f", "kind": "packet-drop", "device": ""}, "There is no device ''"),
    ("vmbus-fault-remove", {"id": ""}, "There is no fault ''"),
    ("vmbus-rescind", {"device": ""}, "There is no device ''"),
    ("vmbus-rescind", {"device": "balloon"}, "can't be rescinded"),
    ("vmbus-rescind", {"device": "/machine/peripheral/bus"}, "on VMBus"),
    ("vmbus-interrupt", {"device": "balloon"}, "No channel of device 'balloon' is open"),
    ("vmbus-capture-start", {"filename": ""}, "Could not open ''"),
    ("vmbus-capture-start", {"filename": "/"}, "Could not open '/'"),
    ("vmbus-capture-start", {"filename": "/dev/null", "snaplen": 65537}, "must be 64 to 65536"),
    ("vmbus-capture-start", {"filename": "/dev/null", "snaplen": -1}, "snaplen"),
    ("device_del", {"id": "balloon"}, "unplug"),
    ("device_del", {"id": "bus"}, "."),
    ("device_add", {"driver": "azure-blob-vsp"}, "'chardev' is not set"),
    ("device_add", {"driver": "azure-blob-vsp", "chardev": "vsp"}, "already in use"),
    ("device_add", {"driver": "azure-blob-vsp", "id": "blob"}, "Duplicate device ID 'blob'"),
    ("device_add", {"driver": "vmbus-bridge"}, "."),
]


def test_arguments_out_of_range(machine):
    before = state(machine)
    for command, arguments, error in OUT_OF_RANGE:
        with pytest.raises(QmpError, match=error):
            # Hyphens are written as they are: these have none.
            machine.qmp.command(command, **arguments)
            print(command, arguments)
    assert state(machine) == before


# --- the human monitor

LINES = [
    ("vmbus_fault_add", 'Try "help'),
    ("vmbus_fault_add id=f", "'kind' is missing"),
    ("vmbus_fault_add kind=packet-drop", "'id' is missing"),
    ("vmbus_fault_add id=f,kind=packet-eat", "does not accept value 'packet-eat'"),
    ("vmbus_fault_add id=f,kind=packet-drop,skip=x", "'skip'"),
    ("vmbus_fault_add id=f,kind=packet-drop,count=-1", "count"),
    ("vmbus_fault_add id=f,kind=packet-drop,operation=0x100000000", "operation"),
    ("vmbus_fault_add id=f,kind=packet-drop,probability=2", "'probability' must be 0 to 1"),
    ("vmbus_fault_add id=f,kind=packet-drop,probability=nan", "probability"),
    ("vmbus_fault_add id=f,kind=packet-drop,device=x", "There is no device 'x'"),
    ("vmbus_fault_add id=f,kind=packet-drop,wat=1", "'wat' is unexpected"),
    ("vmbus_fault_add id=there,kind=packet-drop", "There is a fault 'there' already"),
    ("vmbus_fault_add =,", "'"),
    ("vmbus_fault_remove", 'Try "help'),
    ("vmbus_fault_remove f", "There is no fault 'f'"),
    ("vmbus_rescind", 'Try "help'),
    ("vmbus_rescind x", "There is no device 'x'"),
    ("vmbus_rescind balloon", "can't be rescinded"),
    ("vmbus_interrupt", 'Try "help'),
    ("vmbus_interrupt x", "There is no device 'x'"),
    ("vmbus_interrupt balloon", "No channel of device 'balloon' is open"),
    ("vmbus_capture", "VMBus is not being recorded"),
    ("vmbus_capture /none/at/all", "Could not open '/none/at/all'"),
    ("vmbus_capture a b", 'Try "help'),
    ("info vmbus x", 'Try "help'),
    ("info vmbus-faults x", 'Try "help'),
    ("info azure-blob-vsp x", 'Try "help'),
]


def test_bad_lines_of_the_human_monitor(machine):
    before = state(machine)
    for line, error in LINES:
        assert error in machine.qmp.hmp(line), line
    assert state(machine) == before


# --- properties

def test_properties_stay_as_they_are(machine):
    """Each of them, when the device is there already; and those that are read-only at any time."""
    before = state(machine)
    for path, names in ((BLOB, BLOB_PROPERTIES), (BRIDGE, BRIDGE_PROPERTIES)):
        for name in names:
            for value in ("x", 1, True):
                with pytest.raises(QmpError):
                    machine.qmp.command("qom-set", path=path, property=name, value=value)
    listed = [p["name"] for p in machine.qmp.command("qom-list", path=BLOB)]
    read_only = [n for n in listed if n.startswith("stat-")] + ["link-state", "in-flight"]
    assert len(read_only) > 10
    for name in read_only:
        with pytest.raises(QmpError):
            machine.qmp.command("qom-set", path=BLOB, property=name, value=1)
    assert state(machine) == before


@pytest.mark.parametrize("options, error", [
    ("max-inflight=-1", "max-inflight"),
    ("max-inflight=4294967296", "max-inflight"),
    ("max-inflight=many", "max-inflight"),
    ("protocol=0", "'protocol' is 0; it can be 1 or 2"),
    ("protocol=3", "'protocol' is 3; it can be 1 or 2"),
    ("protocol=one", "protocol"),
    ("x-inline=maybe", "x-inline"),
    ("instanceid=0590b792-db64-45cc-81db", "instanceid"),
    ("link-state=up", "link-state"),
    ("in-flight=1", "in-flight"),
    ("stat-timeouts=1", "stat-timeouts"),
    ("wat=1", "Property 'azure-blob-vsp.wat' not found"),
])
def test_bad_property_of_the_device(options, error, tmp_path):
    assert error in refused("-device", "vmbus-bridge", "-chardev",
                            f"socket,id=vsp,path={tmp_path}/none,reconnect-ms=1000",
                            "-device", f"azure-blob-vsp,chardev=vsp,{options}")


@pytest.mark.parametrize("options, error", [
    ("irq=-1", "irq"), ("irq=16", "'irq' is 16; it can be 0 to 15"), ("irq=256", "irq"),
    ("irq=x", "irq"), ("max-version=6.0", "'max-version' can't be '6.0'"),
    ("capture=", "Could not open ''"), ("capture=/none/at/all", "Could not open '/none/at/all'"),
    ("wat=1", "Property 'vmbus-bridge.wat' not found"),
])
def test_bad_property_of_the_bridge(options, error):
    assert error in refused("-device", f"vmbus-bridge,{options}")


def refused(*options):
    run = subprocess.run(
        [str(paths.qemu()), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg",
         "-M", "q35", "-cpu", "qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time", "-nodefaults",
         "-display", "none", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert run.returncode == 1, run.stderr
    return run.stderr
