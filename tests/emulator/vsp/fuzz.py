#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A hostile guest: scripts of random bytes drive MSRs, hypercalls, messages and rings of the device.

usage: fuzz.py [--seconds N] [--seed N] [--size BYTES] [FILE...]

fuzz_cases.c says what a byte does.  The first byte also chooses faults of the emulator that strike
meanwhile.  Script number N of a seed is always the same.  With files it runs those, which is how a
finding is repeated.  A finding is QEMU dead by a signal or by a sanitizer, or
no longer answering; its script and log are left in test-results/fuzz/.  What becomes of the guest is
of no interest.  QEMU=PROGRAM runs another QEMU, such as one that emulator/build --asan has built.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(HERE.parent))

# pylint: disable=wrong-import-position
import fake_backend as fb  # noqa: E402
from azvm import paths  # noqa: E402
from azvm.qmp import Qmp, QmpError  # noqa: E402

RESULTS = ROOT / "test-results" / "fuzz"
# A guest that has got itself stuck is given up, in seconds
GUEST_LIMIT = 20
SANITIZER = 99
# Passed, a condition that did not hold (../hyperv/lib.c), the end of a guest that was reset.  Not 1: it is
# what QEMU ends with when it can't go on.
HARMLESS = {0x21, 0x23, 0}


def script(seed, number, size):
    """Bytes that are the same wherever they are made."""
    dice = random.Random(f"{seed}/{number}")
    return dice.randbytes(dice.randrange(2, size))


def fault_kinds():
    """All that there are, by the schema."""
    schema = (ROOT / "emulator/qemu/qapi/vmbus.json").read_text(encoding="utf-8")
    return re.findall(r"'([a-z-]+)'", schema.partition("'enum': 'VmbusFaultKind'")[2].
                      partition("[")[2].partition("]")[0])


KINDS = fault_kinds()


def faults(data):
    """Three faults, or none for half of the scripts."""
    dice = random.Random(data[:1])
    if dice.random() < 0.5:
        return []
    chosen = []
    for number, kind in enumerate(dice.sample(KINDS, 3)):
        fault = {"id": f"f{number}", "kind": kind, "count": 0, "probability": 0.2, "skip": 1,
                 "seed": dice.randrange(100)}
        if kind.endswith("delay"):
            fault["delay"] = dice.choice([1, 5, 50])
        chosen.append(fault)
    return chosen


def run(program, data, directory, case="runs-a-script", limit=GUEST_LIMIT):
    """Runs one script; returns what is wrong with QEMU, or None."""
    file = directory / "script"
    file.write_bytes(data)
    backend = fb.FakeBackend(directory / "link")
    backend.serve_in_background()
    command = [paths.qemu(), "-L", "/usr/share/seabios", "-L", "/usr/share/qemu", "-accel", "tcg",
               "-cpu", "qemu64,hv-relaxed,hv-vpindex,hv-synic,hv-time",
               "-M", "q35,memory-backend=ram",
               "-object", "memory-backend-memfd,id=ram,size=64M,share=on", "-m", "64",
               "-nodefaults", "-display", "none", "-debugcon", "null", "-no-reboot", "-S",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-device", "vmbus-bridge",
               "-chardev", f"socket,id=vsp,path={backend.path},reconnect-ms=20",
               "-device", "azure-blob-vsp,id=blob,chardev=vsp",
               "-qmp", f"unix:{directory}/qmp,server=on,wait=off",
               "-kernel", program, "-initrd", file, "-append", case]
    environment = {**os.environ,
                   "ASAN_OPTIONS": f"exitcode={SANITIZER}:detect_leaks=0:abort_on_error=0",
                   "UBSAN_OPTIONS": f"halt_on_error=1:exitcode={SANITIZER}"}
    with open(directory / "qemu.log", "wb") as log:
        qemu = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log, env=environment)
    try:
        qmp = connect(qemu, directory / "qmp")
        for fault in faults(data):
            qmp.command("vmbus-fault-add", **fault)
        qmp.command("cont")
        qmp.close()
        status = qemu.wait(limit)
        return None if status in HARMLESS else f"QEMU ended with status {status}"
    except subprocess.TimeoutExpired:
        try:
            qmp = Qmp(directory / "qmp")
            qmp.command("query-vmbus")
            qmp.command("query-azure-blob-vsp")
            qmp.close()
            return None
        except (OSError, QmpError) as error:
            return f"QEMU does not answer: {error}"
    finally:
        qemu.kill()
        qemu.wait()
        backend.close()


def connect(qemu, path):
    """QMP, as soon as QEMU listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return Qmp(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if qemu.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def build(directory):
    subprocess.run(["make", "-s", "-C", HERE, f"OUT={directory}"], check=True)
    return Path(directory) / "vsp-guest.elf"


def try_one(program, data, name):
    """Runs it, keeps what it found, and returns whether it found something."""
    with tempfile.TemporaryDirectory(prefix="azfuzz-") as place:
        place = Path(place)
        problem = run(program, data, place)
        if not problem:
            return False
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.script").write_bytes(data)
        (RESULTS / f"{name}.log").write_bytes((place / "qemu.log").read_bytes())
        print(f"{name}: {problem}; see {RESULTS}/{name}.log")
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--size", type=int, default=3000)
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    found = done = 0
    with tempfile.TemporaryDirectory(prefix="azfuzz-guest-") as place:
        program = build(place)
        for file in args.files:
            found += try_one(program, file.read_bytes(), file.stem)
        end = time.monotonic() + (0 if args.files else args.seconds)
        while time.monotonic() < end:
            found += try_one(program, script(args.seed, done, args.size), f"{args.seed}-{done}")
            done += 1
    print(f"seed {args.seed}: {done or len(args.files)} scripts, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
