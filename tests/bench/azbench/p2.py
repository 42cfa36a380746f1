# SPDX-License-Identifier: MIT
"""P2: instructions that the guest executes for each MiB, which no host's speed or load changes.

The emulator's plugin counts them (emulator/plugins). Two runs of different length are compared, so that what
it takes to start and end a run is not counted, and what an idle guest executes in the time is taken off.
"""

import subprocess
import time

from azvm import paths

from .guests import MIB, bench, guest_note
from .load import Failed
from .report import Report, Row

COUNT = paths.ROOT / "scripts" / "count-instructions"


def _plugin():
    """The plugin, built when it is not there."""
    result = subprocess.run([paths.ROOT / "emulator" / "plugins" / "build"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise Failed(f"the plugin that counts is not built: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()


class Counter:
    """The guest's instructions so far, less those of an idle guest in the same time."""

    def __init__(self, socket, idle_seconds):
        self._socket = socket
        self.idle = 0.0
        begin = self.mark()
        time.sleep(idle_seconds)
        end = self.mark()
        self.idle = (end[0] - begin[0]) / (end[1] - begin[1])

    def mark(self):
        text = subprocess.run([COUNT, self._socket], stdout=subprocess.PIPE, text=True, check=True).stdout
        return int(text), time.monotonic()

    def of(self, run):
        """(instructions, bytes) of run(), which returns what vspbench printed."""
        begin = self.mark()
        seen = run()
        end = self.mark()
        return end[0] - begin[0] - self.idle * (end[1] - begin[1]), seen["bytes"]


def measure(context):
    report = Report("P2", "guest instructions for each MiB", "thousands",
                    "One process in a guest with 4 MiB at a time: the driver, and HTTP over virtio-net on a tap. "
                    "Reads are Get Blob, writes Put Block. In turns.", target=1 / 50, less=True)
    plugin = _plugin()
    with bench(context, extra=lambda rundir: ["-plugin", f"{plugin},socket={rundir}/count"]) as it:
        report.notes.append(guest_note(it.guest))
        counter = Counter(it.rundir / "count", context.pick(10, 3))
        report.notes.append(f"an idle guest: {counter.idle / 1e3:,.0f} thousand a second, taken off")
        for what, way_of in (("read", it.read), ("written", it.write)):
            found = {"device": [], "http": []}
            for way in found:
                way_of(way, 4 * MIB, 1, 1)
            for _ in range(context.rounds):
                for way, rates in found.items():
                    short, long = (counter.of(lambda n=n, way=way: way_of(way, 4 * MIB, 1, n))
                                   for n in (1, 1 + context.seconds))
                    if long[1] <= short[1]:
                        raise Failed(f"{way}: no more bytes in {1 + context.seconds} s than in 1 s; give it more "
                                     "with --seconds")
                    rates.append((long[0] - short[0]) / ((long[1] - short[1]) / MIB) / 1e3)
            report.rows.append(Row(f"a MiB {what}", found["device"], {"HTTP": found["http"]}))
            context.progress(report)
    return report
