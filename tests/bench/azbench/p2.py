# SPDX-License-Identifier: MIT
"""P2: instructions that the guest executes for each MiB, which no host's speed or load changes.

The emulator's plugin counts them (emulator/plugins). Two runs of different length are compared, so that what
it takes to start and end a run is not counted, and what an idle guest executes in the time is taken off.
"""

from .count import Counter, plugin
from .guests import MIB, bench, guest_note
from .profile import Blocks, lines
from .report import Report, Row

def _rows(it, quick):
    """(what, how ours, how HTTP), each called with a number of seconds."""
    registered = ["registered=1"]

    def reads(way, size, options=()):
        return lambda seconds: it.read(way, size, 1, seconds, options=options)

    def writes(way, options=()):
        return lambda seconds: it.write(way, 4 * MIB, 1, seconds, options=options)

    found = [("a MiB read", reads("device", 4 * MIB), reads("http", 4 * MIB)),
             ("a MiB read, registered buffer", reads("device", 4 * MIB, registered), reads("http", 4 * MIB)),
             ("a MiB written", writes("device"), writes("http")),
             ("a MiB written, registered buffer", writes("device", registered), writes("http"))]
    if not quick:
        found[1:1] = [("a MiB read, small pages", reads("device", 4 * MIB, ["pages=small"]), reads("http", 4 * MIB))]
        found[3:3] = [("a MiB read, registered buffer, 32 MiB at a time", reads("device", 32 * MIB, registered),
                       reads("http", 32 * MIB))]
    return found


def measure(context):
    report = Report("P2", "guest instructions for each MiB", "thousands",
                    "One process in a guest with 4 MiB at a time: the driver, and HTTP over virtio-net on a tap. "
                    "Reads are Get Blob, writes Put Block. Memory is as the system gives it, huge pages where it has "
                    "some; a registered buffer is what libazblob uses. In turns.", target=1 / 50, less=True)
    with bench(context, extra=lambda rundir: plugin(rundir, context.profile)) as it:
        report.notes.append(guest_note(it.guest))
        counter = Counter(it.rundir / "count", context.pick(10, 3))
        report.notes.append(f"an idle guest: {counter.idle / 1e3:,.0f} thousand a second, taken off")
        blocks = Blocks(it.rundir / "blocks", it.guest) if context.profile else None
        for what, ours, http in _rows(it, context.quick):
            found = ([], [])
            for run in (ours, http):
                run(1)
            for _ in range(context.rounds):
                for run, rates in zip((ours, http), found):
                    rates.append(counter.for_each_mib(run, context.seconds))
            report.rows.append(Row(what, found[0], {"HTTP": found[1]}))
            context.progress(report)
            for name, run in (("driver", ours), ("HTTP", http)) if blocks else ():
                seen, functions = blocks.of(lambda run=run: run(context.seconds))
                report.notes.append(lines(f"{what}, {name}", functions, "MiB", seen["bytes"] / MIB))
    return report
