# SPDX-License-Identifier: MIT
"""The guest of the measurements in one; P4 and P5: small reads, through the driver and by what else the guest has.

The clients are tests/guest/vspbench.c: the same loop for every way, which neither looks at nor
checks what it reads, so that what differs is the way of the bytes.
"""

import base64
import json
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from azvm import initramfs, paths, rootimage, sharedkey
from azvm.agent import AgentError
from azvm.backend import Backend, BackendError
from azvm.guest import CPU_TCG, Guest, GuestError
from azvm.net import TAP, TAP_GUEST, TAP_HOST
from azvm.vsock import MODULES as VSOCK_MODULES, Vsock

from .count import plugin
from .load import Failed
from .profile import Blocks, HostTime, lines
from .report import Report, Row

MIB = 1 << 20
BLOBS = 16
BLOB = 32 * MIB
# Of the host, for HTTP by vsock.
VSOCK_PORT = 8080


class Bench:
    """One guest with the driver, virtio-net on a tap and a virtio-blk disk; one backend."""

    def __init__(self, guest, backend, rundir):
        self.guest, self.backend, self.rundir = guest, backend, rundir
        self._files = 0
        self._many = False

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

    def _put_heads(self, size):
        """Put Block of size bytes, some blocks again and again."""
        heads = []
        for n in range(BLOBS):
            block = base64.b64encode(f"{n:04}".encode()).decode().replace("=", "%3D")
            heads.append(sharedkey.head("PUT", f"/{sharedkey.ACCOUNT}/bench/w?comp=block&blockid={block}",
                                        body_length=size))
        self.guest.agent.put("/tmp/put-heads", b"".join(heads), mode=0o644)
        return "/tmp/put-heads"

    def write(self, way, size, clients, seconds, options=()):
        """Runs vspbench in the guest to write; returns what it printed."""
        argv = ["vspbench", f"way={way}", f"clients={clients}", f"size={size}", f"seconds={seconds}", "write=1",
                f"heads={self._put_heads(size)}", *options]
        if way == "http":
            argv += [f"host={TAP_HOST}", f"port={self.backend.port}"]
        return self._run(argv, seconds)

    def read_deep(self, way, size, depth, seconds, options=()):
        """Runs vspdepth in the guest: as many reads outstanding from one thread."""
        argv = ["vspdepth", f"way={way}", f"depth={depth}", f"size={size}", f"seconds={seconds}", *options]
        if way == "disk":
            argv += ["dev=/dev/vda", f"span={BLOBS * BLOB}"]
        else:
            argv.append(f"heads={self._heads(size)}")
        return self._run(argv, seconds)

    def many(self, copies, seconds, rounds, ways):
        """Runs copies of unmodified programs in the guest by many.py, {way: (argv, environment, words, times)}.

        The words come behind argv, so many times over.
        Returns {way: [bytes for each second of a round]}.
        """
        if not self._many:
            self.guest.agent.put("/tmp/many.py", Path(__file__).with_name("many.py").read_bytes())
            self._many = True
        given = {name: {"argv": [str(word) for word in argv], "env": env, "words": words, "times": times}
                 for name, (argv, env, words, times) in ways.items()}
        found = self._run(["python3", "/tmp/many.py", copies, seconds, rounds, json.dumps(given)],
                          2000 + len(ways) * rounds * (seconds + 5))
        return {name: [one["bytes"] / one["seconds"] for one in seen] for name, seen in found.items()}

    def _run(self, argv, seconds):
        argv = [str(word) for word in argv]
        result = self.guest.agent.run(argv, timeout=seconds + 120, check=False)
        if result.status:
            raise Failed(f"{' '.join(argv)[:200]}: {result.stderr.decode(errors='replace').strip()}")
        return json.loads(result.stdout)

    def read(self, way, size, clients, seconds, threads=False, port=None, options=()):
        """Runs vspbench in the guest; returns what it printed.

        port: http from a server on the guest's loopback, in place of the backend over the tap.
        options: more of vspbench's."""
        argv = ["vspbench", f"way={way}", f"clients={clients}", f"size={size}", f"seconds={seconds}",
                f"threads={int(threads)}", *options]
        if way == "disk":
            argv += ["dev=/dev/vda", f"span={BLOBS * BLOB}"]
        else:
            argv.append(f"heads={self._heads(size)}")
        if way == "http":
            host, where = (TAP_HOST, self.backend.port) if port is None else ("127.0.0.1", port)
            argv += [f"host={host}", f"port={where}"]
        elif way == "vsock":
            argv.append(f"port={VSOCK_PORT}")
        return self._run(argv, seconds)

    def start(self, argv):
        """A program that goes on until the guest ends, and says when it is ready."""
        self.guest.agent.start(argv, timeout=3600).wait_output("ready")


@contextmanager
def bench(context, memory="2G", debian=False, gateway=False, vsock=False, extra=lambda rundir: ()):
    """Boots it; whatever goes wrong in it becomes a Failed.

    debian: the guest that has other people's programs, with azblob-gateway serving on its loopback.
    gateway: azblob-gateway is among the programs.
    vsock: the guest reaches the backend's HTTP door by vsock too.
    extra: options of QEMU, given the folder for the run's files.
    """
    if not context.tap:
        raise Failed("it needs a tap in a network namespace: run it as root, or where users may make "
                     "namespaces")
    rundir = Path(tempfile.mkdtemp(dir=context.directory, prefix="azblob-bench."))
    backend = guest = socket = None
    try:
        kernel = paths.kernel(os.environ.get("KERNEL", "6.12"))
        programs, more = [paths.cli(), *paths.guest_programs().values()], {}
        if debian or gateway:
            programs.append(paths.gateway())
        if debian:
            more = {"root": rootimage.get(lambda text: print(f"bench: {text}", file=sys.stderr))}
        initrd = initramfs.make(rundir / "initrd", kernel, programs, paths.driver(kernel), rootimage.files(),
                                rootimage.MODULES + (VSOCK_MODULES if vsock else []))
        options, doors = list(extra(rundir)), []
        if vsock:
            socket = Vsock(rundir).start()
            options += socket.options()
            doors = ["--http", str(socket.port(VSOCK_PORT))]
        backend = Backend(rundir, host=TAP_HOST, extra=doors).start()
        backend.create_container("bench")
        content = os.urandom(MIB) * (BLOB // MIB)
        disk = rundir / "disk"
        with open(disk, "wb") as file:
            for n in range(BLOBS):
                backend.put_blob(f"bench/b{n:02}", content)
                file.write(content)
        guest = Guest(kernel, initrd, memory=memory, link=backend.link, rundir=rundir, network=TAP,
                      address=TAP_GUEST, gateway=TAP_HOST, disks=[(disk, "bench", True)],
                      lifetime=4 * 3600, extra=options, **more).start()
        guest.agent.sh("n=0; until [ -c /dev/azure_blob ] && [ -b /dev/vda ]; do n=$((n+1)); "
                       "[ $n -lt 1200 ] || exit 1; sleep 0.1; done", timeout=600)
        if debian:
            guest.agent.run([f"{rootimage.PLACE}/start-gateway"], timeout=600)
        yield Bench(guest, backend, rundir)
        trouble = guest.trouble()
        if trouble:
            raise Failed("the guest's kernel complained: " + trouble[0])
    except (paths.Missing, GuestError, BackendError, AgentError, OSError) as error:
        raise Failed(str(error)) from error
    finally:
        for part in (guest, backend, socket):
            if part:
                part.stop()
        shutil.rmtree(rundir, ignore_errors=True)


def guest_note(guest):
    """What a reader has to know of the guest."""
    if guest.accel != "tcg":
        return f"guest: {guest.kernel.release}, {guest.accel.upper()}"
    return (f"guest: {guest.kernel.release} under TCG, {CPU_TCG.split(',hv-', maxsplit=1)[0]}: an "
            "emulated, slow CPU flatters whatever saves guest work")


NAMES = {"device": "driver", "disk": "virtio-blk", "http": "HTTP"}


class Work:
    """What a read costs the host's processors, by part, while it is measured."""

    def __init__(self, it):
        self._time = HostTime(it)
        self._found = {}

    def of(self, name, run):
        seen, seconds = self._time.of(run)
        for part, taken in seconds.items():
            self._found.setdefault(name, {}).setdefault(part, []).append(taken / seen["reads"] * 1e6)
        return seen

    def notes(self):
        """A line for each way, with medians."""
        return [f"host's processors, µs for each read by {name}: " +
                ", ".join(f"{statistics.median(values):.0f} {part}" for part, values in parts.items())
                for name, parts in self._found.items()]


def measure_p4(context):
    report = Report("P4", "4 KiB reads, one at a time", "µs, median",
                    "One process in a guest, the ioctl; pread of 4 KiB with O_DIRECT from a virtio-blk disk; a "
                    "GET on one HTTP connection. In turns.", target=1.0, less=True)
    with bench(context) as it:
        report.notes.append(guest_note(it.guest))
        times = {"device": [], "disk": [], "http": []}
        work = Work(it)
        for way in times:
            it.read(way, 4096, 1, 1)
        for _ in range(context.rounds):
            for way, found in times.items():
                seen = work.of(NAMES[way], lambda way=way: it.read(way, 4096, 1, context.seconds))
                found.append(seen["median_us"])
        report.rows.append(Row("round trip", times["device"],
                               {"virtio-blk": times["disk"], "HTTP": times["http"]}))
        report.notes += work.notes()
    return report


def measure_p5(context):
    depth = 64
    report = Report("P5", f"4 KiB reads, {depth} outstanding", "reads/s",
                    f"One thread with {depth} io_uring commands; {depth} threads on the ioctl (wanted: half as "
                    "many or less); io_uring reads with O_DIRECT from all over a virtio-blk disk (wanted: no more); "
                    f"{depth} HTTP connections. In turns.", target=2.0)
    with bench(context, extra=lambda rundir: plugin(rundir, True) if context.profile else ()) as it:
        report.notes.append(guest_note(it.guest))
        ways = {
            "commands": lambda seconds: it.read_deep("device", 4096, depth, seconds),
            "commands, io_uring's buffers": lambda seconds: it.read_deep("device", 4096, depth, seconds, ["fixed=1"]),
            "commands, registered buffer": lambda seconds: it.read_deep("device", 4096, depth, seconds,
                                                                        ["registered=1"]),
            "threads": lambda seconds: it.read("device", 4096, depth, seconds, threads=True),
            "virtio-blk": lambda seconds: it.read_deep("disk", 4096, depth, seconds),
            "HTTP": lambda seconds: it.read("http", 4096, depth, seconds, threads=True),
        }
        rates = {name: [] for name in ways}
        work = Work(it)
        for run in ways.values():
            run(1)
        for _ in range(context.rounds):
            for name, run in ways.items():
                seen = work.of(name, lambda run=run: run(context.seconds))
                rates[name].append(seen["reads"] / seen["seconds"])
        peers = {name: rates[name] for name in ("threads", "virtio-blk", "HTTP")}
        for name in [name for name in ways if name.startswith("commands")]:
            report.rows.append(Row(name, rates[name], peers))
            against = Row("", rates[name], {"": rates["virtio-blk"]}).ratio()
            report.notes.append(f"{name}: {against:.2f} of virtio-blk (wanted: 1.0)")
        report.notes += work.notes()
        blocks = Blocks(it.rundir / "blocks", it.guest) if context.profile else None
        for name, run in ways.items() if blocks else ():
            seen, functions = blocks.of(lambda run=run: run(context.seconds))
            report.notes.append(lines(name, functions, "read", seen["reads"], 24))
    return report
