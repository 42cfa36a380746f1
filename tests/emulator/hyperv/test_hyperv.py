# SPDX-License-Identifier: MIT
"""Hyper-V under TCG, seen by a bare program that touches each register itself.

Each case boots the program of this folder (a tenth of a second) with the case's name; it says
"pass" or the condition that did not hold.  Cases that only make sense with a second QEMU, an event
or a refused command line are below.
"""

import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

# pylint: disable=wrong-import-position
from azvm import paths  # noqa: E402
from azvm.qmp import Qmp  # noqa: E402

HYPERV = "qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time"
# What a broken guest may take at most, in seconds; QEMU is ended then.
LIMIT = 300
# isa-debug-exit makes QEMU exit with twice the guest's status (lib.c) and one more.
PASSED = 0x21

HOST_TSC_IS_STEADY = "nonstop_tsc" in Path("/proc/cpuinfo").read_text()

ACCELERATORS = {
    "threads": ["-accel", "tcg,thread=multi"],
    "one-thread": ["-accel", "tcg,thread=single"],
    "icount": ["-accel", "tcg,thread=single", "-icount", "shift=auto"],
}
TWO_CPUS = {"init-takes-the-processors-pages-away", "messages-reach-the-second-processor",
            "device-is-read-while-the-map-changes", "crash-of-the-second-cpu-is-reported"}
OTHER_CPU = {
    "without-hyperv-nothing-changes": "qemu64",
    "reset-register-resets": HYPERV + ",hv-reset",
    "reference-page-agrees-with-the-counter": HYPERV + ",x-hv-tsc-page",
    "reference-time-goes-on-elsewhere": HYPERV + ",x-hv-tsc-page",
    "crash-is-reported": HYPERV + ",hv-crash",
    "crash-of-the-second-cpu-is-reported": HYPERV + ",hv-crash",
}
ALONE = {"one-million-turns", "three-million-turns", "crash-is-reported", "crash-of-the-second-cpu-is-reported",
         "state-survives-migration", "reference-time-goes-on-elsewhere",
         "device-is-read-while-the-map-changes"}


def case_names():
    names = []
    for source in sorted(HERE.glob("*_cases.c")):
        names += re.findall(r'^\t\{ "([a-z-]+)",', source.read_text(), re.MULTILINE)
    return names


@pytest.fixture(scope="session", name="program")
def build_program(tmp_path_factory):
    out = tmp_path_factory.mktemp("hv-guest")
    subprocess.run(["make", "-s", "-C", HERE, f"OUT={out}"], check=True)
    return out / "hv-guest.elf"


def command(program, case, accelerator):
    cpu = OTHER_CPU.get(case, HYPERV)
    line = [paths.qemu(), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", *accelerator,
            "-cpu", cpu, "-M", "q35", "-m", "64", "-nodefaults", "-display", "none",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-kernel", program, "-append", case]
    if "hv-synic" in cpu:
        line += ["-device", "vmbus-bridge"]
    if case in TWO_CPUS:
        line += ["-smp", "2"]
    return [str(word) for word in line]


# The last one is about two processors at the same moment, and would take them minutes in turn.
@pytest.mark.parametrize("case,accelerator", [
    *((c, a) for c in case_names() if c not in ALONE for a in ACCELERATORS),
    ("device-is-read-while-the-map-changes", "threads")])
def test_guest(program, case, accelerator):
    run = subprocess.run(command(program, case, ACCELERATORS[accelerator]) + ["-debugcon", "stdio"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=LIMIT, check=False)
    said = run.stdout
    if accelerator != "icount" and not HOST_TSC_IS_STEADY:
        # There is nothing to compute the time with, and the guest was told so.
        said = said.replace("no-steady-tsc\n", "")
    assert run.returncode == PASSED and said == "pass\n", \
        f"status {run.returncode}\n{run.stdout}{run.stderr}"


@pytest.mark.parametrize("case", ["crash-is-reported", "crash-of-the-second-cpu-is-reported"])
def test_crash_is_reported_with_its_parameters(program, tmp_path, case):
    line = command(program, case, ACCELERATORS["threads"])
    # Stopped until QMP is there to hear of it
    line += ["-S", "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=on", "-debugcon", "null"]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as qemu:
        try:
            qmp = connect(tmp_path / "qmp", qemu)
            qmp.command("cont")
            event = qmp.wait_event("GUEST_PANICKED", timeout=LIMIT)
        finally:
            qemu.kill()
    info = event["data"]["info"]
    assert info["type"] == "hyper-v"
    assert [info[f"arg{i}"] for i in range(1, 6)] == [0x1000, 0x1001, 0x1002, 0x1003, 0x1004]


@pytest.fixture(scope="session", name="plugin")
def build_plugin():
    return subprocess.run([ROOT / "emulator/plugins/build"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def test_instructions_are_counted_one_by_one(program, plugin, tmp_path):
    """Two programs that differ in two million turns of two instructions, and in nothing else."""
    counts = {}
    for case in ("one-million-turns", "three-million-turns"):
        log = tmp_path / case
        # With -icount time goes by instructions, so the firmware's waits are the same too.
        line = command(program, case, ["-accel", "tcg", "-icount", "shift=0"])
        run = subprocess.run(line + ["-plugin", plugin, "-d", "plugin", "-D", log, "-debugcon", "null"],
                             stdin=subprocess.DEVNULL, timeout=LIMIT, check=False)
        assert run.returncode == PASSED
        counts[case] = int(re.search(r"instructions (\d+)", log.read_text()).group(1))
    grown = counts["three-million-turns"] - counts["one-million-turns"]
    # Reading the longer name, and the firmware's clock, take or give a few hundred; a turn that is
    # counted as one instruction, or a block that is, makes a million.
    assert abs(grown - 4000000) < 40000, counts


def test_instructions_are_told_while_the_guest_runs(program, plugin, tmp_path):
    line = command(program, "one-million-turns", ACCELERATORS["threads"])
    line += ["-S", "-plugin", f"{plugin},socket={tmp_path}/count", "-debugcon", "null",
             "-qmp", f"unix:{tmp_path}/qmp,server=on,wait=off", "-no-shutdown"]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as qemu:
        try:
            until((tmp_path / "count").exists)

            def count(*more):
                return int(subprocess.run(
                    [sys.executable, ROOT / "scripts/count-instructions", f"{tmp_path}/count", *more],
                    check=True, stdout=subprocess.PIPE, text=True).stdout)
            assert count() == 0
            # It has not begun, so a command takes none of its instructions.
            assert count("true") == 0
        finally:
            qemu.kill()


def move(program, tmp_path, case, accelerator, change=None, word=b"x"):
    """The same machine goes on in a second QEMU, with what change has made of its state, and passes."""
    line = command(program, case, ACCELERATORS[accelerator])

    def start(name, *more):
        return subprocess.Popen(
            line + ["-qmp", f"unix:{tmp_path}/{name}.qmp,server=on,wait=on",
                    "-chardev", f"pipe,id=debug,path={tmp_path}/{name}.debug",
                    "-device", "isa-debugcon,iobase=0xe9,chardev=debug",
                    "-chardev", f"pipe,id=com,path={tmp_path}/{name}.com",
                    "-device", "isa-serial,chardev=com", *more], stdin=subprocess.DEVNULL)

    for name in ("old", "new"):
        for part in ("debug", "com"):
            for way in ("in", "out"):
                os.mkfifo(tmp_path / f"{name}.{part}.{way}")
    # Opened both ways, so that neither side waits for the other
    old_debug = os.open(tmp_path / "old.debug.out", os.O_RDWR)
    new_debug = os.open(tmp_path / "new.debug.out", os.O_RDWR)
    new_com = os.open(tmp_path / "new.com.in", os.O_RDWR)
    old = new = None
    try:
        old = start("old")
        old_qmp = connect(tmp_path / "old.qmp", old)
        assert os.read(old_debug, 100) == b"."
        old_qmp.command("stop")
        old_qmp.command("migrate", uri=f"file:{tmp_path}/state")
        assert migrated(old_qmp) == "completed"
        if change:
            state = tmp_path / "state"
            state.write_bytes(change(state.read_bytes()))
        new = start("new", "-incoming", "defer")
        new_qmp = connect(tmp_path / "new.qmp", new)
        new_qmp.command("migrate-incoming", uri=f"file:{tmp_path}/state")
        assert migrated(new_qmp) == "completed"
        new_qmp.command("cont")
        os.write(new_com, word)
        assert new.wait(LIMIT) == PASSED, os.read(new_debug, 1000)
    finally:
        for qemu in (old, new):
            if qemu:
                qemu.kill()
                qemu.wait()
        for descriptor in (old_debug, new_debug, new_com):
            os.close(descriptor)


def test_state_survives_migration(program, tmp_path):
    """Registers, pages, and messages after it."""
    move(program, tmp_path, "state-survives-migration", "threads")


# The section that has the reference time: its kind and number, name, instance, version, the time in
# units of 100 ns, and what ends it
TIME_NAME = b"\x15hv-tcg-reference-time"
TIME_SECTION = struct.Struct(f">BI{len(TIME_NAME)}sIIQBI")


def change_time(data, into):
    """The state with another section in place of the one with the reference time."""
    assert data.count(TIME_NAME) == 1
    at = data.index(TIME_NAME) - 5
    kind, number, name, instance, version, now, end, again = TIME_SECTION.unpack_from(data, at)
    assert (kind, end) == (4, 0x7E) and number == again
    return data[:at] + into(TIME_SECTION, (kind, number, name, instance, version), now,
                            (end, again)) + data[at + TIME_SECTION.size:]


TIMES = {
    # With the time there is none that steps back.
    b"x": None,
    b"h": lambda data: change_time(data, lambda form, head, now, tail:
                                   form.pack(*head, now + 3600 * 10 ** 7, *tail)),
    # As an older QEMU has saved it
    b"o": lambda data: change_time(data, lambda *_: b""),
}


@pytest.mark.parametrize("word", TIMES, ids=["as-saved", "an-hour-later", "not-saved"])
def test_reference_time_goes_on_elsewhere(program, tmp_path, word):
    # With -icount every host has a page of reference time.
    move(program, tmp_path, "reference-time-goes-on-elsewhere", "icount", TIMES[word], word)


def connect(path, qemu):
    """The QMP server at path, once QEMU has made it."""
    until(lambda: path.exists() or qemu.poll() is not None)
    assert qemu.poll() is None
    return Qmp(path)


def migrated(qmp):
    """How the migration ended."""
    def status():
        now = qmp.command("query-migrate").get("status")
        return now if now in ("completed", "failed", "cancelled") else None
    return until(status)


def until(condition):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError(f"not within {LIMIT} s")


def test_properties_that_tcg_lacks_are_refused():
    for name in ("hv-stimer", "hv-vapic", "hv-passthrough", "hv-spinlocks=0x1fff"):
        error = refused(HYPERV + "," + name)
        assert f"CPU property {name.split('=')[0]} is not available with TCG" in error


def test_synic_needs_vpindex():
    assert "hv-synic needs hv-vpindex" in refused("qemu64,hv-synic")


def refused(cpu):
    run = subprocess.run([str(paths.qemu()), "-M", "q35", "-accel", "tcg", "-cpu", cpu, "-nodefaults",
                          "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-display", "none"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
                         check=False)
    assert run.returncode == 1
    return run.stderr
