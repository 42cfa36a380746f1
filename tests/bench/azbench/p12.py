# SPDX-License-Identifier: MIT
"""P12: how long somebody waits for an answer."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from azvm import initramfs, paths
from azvm.agent import AgentError
from azvm.backend import Backend, BackendError
from azvm.guest import Guest, GuestError

from .guests import guest_note
from .load import ROOT, Failed
from .report import Report, Row

CONTENT = b"the first blob\n" * 1000


def _first_blob(context):
    """Seconds from the start of QEMU until a blob has come through the driver, and the guest's note."""
    rundir = Path(tempfile.mkdtemp(dir=context.directory, prefix="azblob-bench."))
    backend = guest = None
    try:
        kernel = paths.kernel(os.environ.get("KERNEL", "6.12"))
        initrd = initramfs.make(rundir / "initrd", kernel, [paths.cli(), *paths.guest_programs().values()],
                                paths.driver(kernel))
        backend = Backend(rundir).start()
        backend.create_container("first")
        backend.put_blob("first/blob", CONTENT)
        begin = time.monotonic()
        guest = Guest(kernel, initrd, link=backend.link, rundir=rundir).start()
        guest.agent.sh("n=0; until [ -c /dev/azure_blob ]; do n=$((n+1)); [ $n -lt 6000 ] || exit 1; "
                       "usleep 10000; done", timeout=300)
        found = guest.agent.run(["azblob", "get", "--transport", "driver", "first/blob", "-"],
                                env=backend.environment).stdout
        took = time.monotonic() - begin
        if found != CONTENT:
            raise Failed("the blob that came is not the one that was put")
        return took, guest_note(guest)
    except (paths.Missing, GuestError, BackendError, AgentError, OSError) as error:
        raise Failed(str(error)) from error
    finally:
        for part in (guest, backend):
            if part:
                part.stop()
        shutil.rmtree(rundir, ignore_errors=True)


def measure(context):
    report = Report("P12", "turnaround", "seconds",
                    "From the start of QEMU to the bytes of a blob that came through the driver; the files are "
                    "built. With --whole-check also make check on the tree as it is built now.")
    found = [_first_blob(context) for _ in range(context.rounds)]
    report.notes.append(found[0][1])
    report.notes.append("wanted: boot to first blob in seconds, make check in minutes")
    report.rows.append(Row("boot to first blob", [took for took, _ in found]))
    context.progress(report)
    if context.whole_check:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(dir=context.directory) as results:
            done = subprocess.run([ROOT / "ci" / "check", "--results", results], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise Failed(f"ci/check: {done.stdout.strip().splitlines()[-1]}")
        report.rows.append(Row("make check on a built tree", [time.monotonic() - begin]))
    return report
