# SPDX-License-Identifier: MIT
"""P11's other half: a file read in order through azblob-mount, beside virtiofs in the same guest."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

from azvm import initramfs, paths
from azvm.agent import AgentError
from azvm.backend import Backend, BackendError
from azvm.folder import Folder
from azvm.guest import Guest, GuestError

from .guests import guest_note
from .load import Failed
from .report import Report, Row

MIB = 1 << 20
OURS, CHECKED, PEER = "/tmp/m", "/tmp/checked", "/host"
PROGRAM = "client/mount/azblob-mount"
# Loaded by glibc when libfuse ends a thread; ldd does not show it.
LIBGCC = Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")


def boot(context, stack, data):
    """A guest with the same bytes in OURS/file, CHECKED/file (the mount) and /host/file (virtiofs)."""
    rundir = context.scratch(stack)
    share = rundir / "share"
    share.mkdir()
    (share / "file").write_bytes(data)
    kernel = paths.kernel(os.environ.get("KERNEL", "6.12"))
    backend = Backend()
    stack.callback(backend.cleanup)
    stack.callback(backend.stop)
    folder = Folder(str(share), rundir)
    stack.callback(folder.stop)
    programs = [*paths.guest_programs().values(), paths.cli(), paths.BUILD / PROGRAM]
    initrd = initramfs.make(rundir / "initrd", kernel, programs, paths.driver(kernel),
                            {str(LIBGCC): LIBGCC.read_bytes()})
    backend.start()
    backend.create_container("bench")
    backend.put_blob("bench/file", data)
    guest = Guest(kernel, initrd, memory="1G", cpus=2, link=backend.link, filesystem=folder.socket,
                  append="azblob.host=fs")
    stack.callback(guest.stop)
    guest.start()
    guest.agent.sh("until [ -c /dev/azure_blob ]; do usleep 50000; done", timeout=300)
    for place, more in ((OURS, ""), (CHECKED, ",checksums=always")):
        guest.agent.run(["sh", "-c", f"mkdir {place}; exec azblob-mount -o transport=driver,cache_size=64M{more} "
                         f"bench {place}"], timeout=300, env=backend.environment)
    return guest


def rate(guest, path, size):
    """MB/s of one reading that nothing was kept of in the guest."""
    guest.agent.sh("echo 3 >/proc/sys/vm/drop_caches")
    start = time.monotonic()
    guest.agent.sh(f"dd if={path} of=/dev/null bs=1M 2>/dev/null", timeout=600)
    return size / (time.monotonic() - start) / 1e6


def measure(context):
    size = 128 * MIB
    report = Report("P11M", "the mount", "MB/s",
                    "dd of 1 MiB at a time of one file in a guest, by azblob-mount through the driver (64 MiB of "
                    "cache, half of the file; no checksums of what is read, as virtiofs has none) and by virtiofs from "
                    "the same host; page caches of the guest dropped before each. In turns.", target=1.0)
    try:
        with ExitStack() as stack:
            guest = boot(context, stack, os.urandom(MIB) * (size // MIB))
            report.notes.append(guest_note(guest))
            rates = {OURS: [], CHECKED: [], PEER: []}
            for place in rates:
                rate(guest, f"{place}/file", size)
            for _ in range(context.rounds):
                for place, found in rates.items():
                    found.append(rate(guest, f"{place}/file", size))
            peer = {"virtiofs": rates[PEER]}
            report.rows.append(Row(f"{size // MIB} MiB in order", rates[OURS], peer))
            report.notes.append(f"with checksums=always: {Row('', rates[CHECKED], peer).ratio():.2f} of virtiofs")
    except (AgentError, BackendError, GuestError, paths.Missing, OSError) as error:
        raise Failed(str(error)) from error
    return report
