# SPDX-License-Identifier: MIT
"""P3: the backend against the memory limit. The program is tests/link/read_bench.c."""

import json
import subprocess
import tempfile
from pathlib import Path

from azvm import paths

from .load import Failed
from .report import Report, Row


def measure(context):
    program = paths.BUILD / "tests" / "link" / "link_read_bench"
    if not program.exists():
        raise Failed(f"{program} is not there; 'make build' builds it")
    with tempfile.TemporaryDirectory(dir=context.directory) as directory:
        result = Path(directory) / "p3.json"
        subprocess.run([program, paths.BUILD / "vsp-backend" / "azblob-vspd", directory,
                        str(max(context.rounds, 1)), result], check=True, stdout=subprocess.DEVNULL)
        found = json.loads(result.read_text(encoding="utf-8"))
    report = Report("P3", "32 MiB reads into shared memory", "MB/s",
                    "Requests on the link by a fake emulator, no guest; pread of the same bytes into the "
                    "same memory with as many threads. Page cache warm, in turns.", target=0.8)
    for row in found["rows"]:
        report.rows.append(Row(f"{row['outstanding']} outstanding", row["link_mb_s"],
                               {"pread": row["pread_mb_s"]}))
    report.notes.append(f"a 4 KiB read, one at a time: {found['read_4k_us']:.1f} us")
    report.notes.append(f"4 KiB reads, 64 at a time: {found['deep_4k_us']:.1f} us each, "
                        f"{found['deep_4k_cpu_us']:.1f} us of the daemon's CPU")
    return report
