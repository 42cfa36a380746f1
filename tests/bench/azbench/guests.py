# SPDX-License-Identifier: MIT
"""P1, P4 and P5: reads in a guest, through the driver and by what else the guest has.

The clients are tests/guest/vspbench.c: the same loop for every way, which neither looks at nor
checks what it reads, so that what differs is the way of the bytes.
"""

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from azvm import initramfs, paths, sharedkey
from azvm.agent import AgentError
from azvm.backend import Backend, BackendError
from azvm.guest import CPU_TCG, Guest, GuestError
from azvm.net import TAP, TAP_GUEST, TAP_HOST

from .load import Failed
from .report import Report, Row

MIB = 1 << 20
BLOBS = 16
BLOB = 32 * MIB


class Bench:
    """One guest with the driver, virtio-net on a tap and a virtio-blk disk; one backend."""

    def __init__(self, guest, backend):
        self.guest, self._backend = guest, backend
        self._files = 0

    def _heads(self, size):
        """Reads of size bytes all over the blobs, signed now: a signature lives 15 minutes."""
        heads = []
        for start in range(0, BLOB, max(size, BLOB // 16)):
            for n in range(BLOBS):
                heads.append(sharedkey.head(
                    "GET", f"/{sharedkey.ACCOUNT}/bench/b{n:02}",
                    {"x-ms-range": f"bytes={start}-{start + size - 1}"}))
        self._files += 1
        path = f"/tmp/heads{self._files}"
        self.guest.agent.put(path, b"".join(heads), mode=0o644)
        return path

    def read_deep(self, way, size, depth, seconds, fixed=False):
        """Runs vspdepth in the guest: as many reads outstanding from one thread."""
        argv = ["vspdepth", f"way={way}", f"depth={depth}", f"size={size}", f"seconds={seconds}"]
        if way == "disk":
            argv += ["dev=/dev/vda", f"span={BLOBS * BLOB}"]
        else:
            argv += [f"heads={self._heads(size)}", f"fixed={int(fixed)}"]
        return self._run(argv, seconds)

    def _run(self, argv, seconds):
        result = self.guest.agent.run(argv, timeout=seconds + 120, check=False)
        if result.status:
            raise Failed(f"{' '.join(argv)}: {result.stderr.decode(errors='replace').strip()}")
        return json.loads(result.stdout)

    def read(self, way, size, clients, seconds, threads=False):
        """Runs vspbench in the guest; returns what it printed."""
        argv = ["vspbench", f"way={way}", f"clients={clients}", f"size={size}", f"seconds={seconds}",
                f"threads={int(threads)}"]
        if way == "disk":
            argv += ["dev=/dev/vda", f"span={BLOBS * BLOB}"]
        else:
            argv.append(f"heads={self._heads(size)}")
        if way == "http":
            argv += [f"host={TAP_HOST}", f"port={self._backend.port}"]
        return self._run(argv, seconds)


@contextmanager
def bench(context, memory="2G"):
    """Boots it; whatever goes wrong in it becomes a Failed."""
    if not context.tap:
        raise Failed("it needs a tap in a network namespace: run it as root, or where users may make "
                     "namespaces")
    rundir = Path(tempfile.mkdtemp(dir=context.directory, prefix="azblob-bench."))
    backend = guest = None
    try:
        kernel = paths.kernel(os.environ.get("KERNEL", "6.12"))
        initrd = initramfs.make(rundir / "initrd", kernel,
                                [paths.cli(), *paths.guest_programs().values()], paths.driver(kernel))
        backend = Backend(rundir, host=TAP_HOST).start()
        backend.create_container("bench")
        content = os.urandom(MIB) * (BLOB // MIB)
        disk = rundir / "disk"
        with open(disk, "wb") as file:
            for n in range(BLOBS):
                backend.put_blob(f"bench/b{n:02}", content)
                file.write(content)
        guest = Guest(kernel, initrd, memory=memory, link=backend.link, rundir=rundir, network=TAP,
                      address=TAP_GUEST, gateway=TAP_HOST, disks=[(disk, "bench", True)],
                      lifetime=3600).start()
        guest.agent.sh("n=0; until [ -c /dev/azure_blob ] && [ -b /dev/vda ]; do n=$((n+1)); "
                       "[ $n -lt 1200 ] || exit 1; usleep 50000; done")
        yield Bench(guest, backend)
        trouble = guest.trouble()
        if trouble:
            raise Failed("the guest's kernel complained: " + trouble[0])
    except (paths.Missing, GuestError, BackendError, AgentError, OSError) as error:
        raise Failed(str(error)) from error
    finally:
        for part in (guest, backend):
            if part:
                part.stop()
        shutil.rmtree(rundir, ignore_errors=True)


def _guest_note(it):
    if it.guest.accel != "tcg":
        return f"guest: {it.guest.kernel.release}, {it.guest.accel.upper()}"
    return (f"guest: {it.guest.kernel.release} under TCG, {CPU_TCG.split(',hv-', maxsplit=1)[0]}: an "
            "emulated, slow CPU flatters whatever saves guest work")


def measure_p1(context):
    report = Report("P1", "many clients reading block blobs", "MB/s",
                    f"Processes in one guest, each reading ranges of {BLOBS} blobs of {BLOB // MIB} MiB from "
                    "the same backend: through the driver, and by HTTP over virtio-net on a tap. In turns.",
                    target=10)
    with bench(context, memory="4G") as it:
        report.notes.append(_guest_note(it))
        for size in context.pick([4 * MIB, MIB, 64 << 10], [4 * MIB]):
            for clients in context.pick([1, 10, 100], [100]):
                rates = {"device": [], "http": []}
                for way in rates:
                    it.read(way, size, clients, 1)
                for _ in range(context.rounds):
                    for way, found in rates.items():
                        seen = it.read(way, size, clients, context.seconds)
                        found.append(seen["bytes"] / seen["seconds"] / 1e6)
                report.rows.append(Row(f"{clients} clients, {size >> 10:,} KiB reads", rates["device"],
                                       {"HTTP": rates["http"]}))
                context.progress(report)
    return report


def measure_p4(context):
    report = Report("P4", "4 KiB reads, one at a time", "µs, median",
                    "One process in a guest, the ioctl; pread of 4 KiB with O_DIRECT from a virtio-blk disk; a "
                    "GET on one HTTP connection. In turns.", target=1.0, less=True)
    with bench(context) as it:
        report.notes.append(_guest_note(it))
        times = {"device": [], "disk": [], "http": []}
        for way in times:
            it.read(way, 4096, 1, 1)
        for _ in range(context.rounds):
            for way, found in times.items():
                found.append(it.read(way, 4096, 1, context.seconds)["median_us"])
        report.rows.append(Row("round trip", times["device"],
                               {"virtio-blk": times["disk"], "HTTP": times["http"]}))
    return report


def measure_p5(context):
    depth = 64
    report = Report("P5", f"4 KiB reads, {depth} outstanding", "reads/s",
                    f"One thread with {depth} io_uring commands; {depth} threads on the ioctl (wanted: half as "
                    "many or less); io_uring reads with O_DIRECT from a virtio-blk disk (wanted: no more); "
                    f"{depth} HTTP connections. In turns.", target=2.0)
    with bench(context) as it:
        report.notes.append(_guest_note(it))
        ways = {
            "commands": lambda seconds: it.read_deep("device", 4096, depth, seconds),
            "commands, registered buffers": lambda seconds: it.read_deep("device", 4096, depth, seconds, True),
            "threads": lambda seconds: it.read("device", 4096, depth, seconds, threads=True),
            "virtio-blk": lambda seconds: it.read_deep("disk", 4096, depth, seconds),
            "HTTP": lambda seconds: it.read("http", 4096, depth, seconds, threads=True),
        }
        rates = {name: [] for name in ways}
        for run in ways.values():
            run(1)
        for _ in range(context.rounds):
            for name, run in ways.items():
                seen = run(context.seconds)
                rates[name].append(seen["reads"] / seen["seconds"])
        peers = {name: rates[name] for name in ("threads", "virtio-blk", "HTTP")}
        for name in ("commands", "commands, registered buffers"):
            report.rows.append(Row(name, rates[name], peers))
            against = Row("", rates[name], {"": rates["virtio-blk"]}).ratio()
            report.notes.append(f"{name}: {against:.2f} of virtio-blk (wanted: 1.0)")
    return report
