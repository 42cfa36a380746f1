# SPDX-License-Identifier: MIT
"""The guest's instructions, by the emulator's plugin (emulator/plugins)."""

import subprocess
import time

from azvm import paths

from .load import Failed

MIB = 1 << 20
COUNT = paths.ROOT / "scripts" / "count-instructions"


def _built():
    """The plugin, built when it is not there."""
    result = subprocess.run([paths.ROOT / "emulator" / "plugins" / "build"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise Failed(f"the plugin that counts is not built: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()


def plugin(rundir, blocks=False):
    """Options of QEMU: it counts, and answers at rundir/count; blocks: and at rundir/blocks."""
    return ["-plugin", f"{_built()},socket={rundir}/count" + (f",blocks={rundir}/blocks" if blocks else "")]


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

    def for_each_mib(self, run, seconds):
        """Thousands of instructions; run(N) goes on for N seconds.  On a busy machine it takes longer ones."""
        short = self.of(lambda: run(1))
        for factor in (1, 4, 16):
            long = self.of(lambda factor=factor: run(1 + factor * seconds))
            if long[1] > short[1]:
                return (long[0] - short[0]) / ((long[1] - short[1]) / MIB) / 1e3
        raise Failed(f"no more bytes in {1 + factor * seconds} s than in 1 s; give it more with --seconds")
