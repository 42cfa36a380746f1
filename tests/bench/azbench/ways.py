# SPDX-License-Identifier: MIT
"""PATHS: the ways out of a guest side by side, in one boot: the driver, HTTP by network and by vsock, a disk.

What docs/why.md argues with. All but the disk bring the same blobs from the same backend. Counting makes
the guest several times slower, so instructions are counted in a boot of their own.
"""

import contextlib

from .count import Counter, plugin
from .guests import MIB, bench, guest_note
from .report import Report, Row

PEERS = {"HTTP, virtio-net": "http", "HTTP, vsock": "vsock", "virtio-blk": "disk"}
WAYS = {"driver": "device", **PEERS}
HOW = ("vspbench in one guest: the driver's ioctl; HTTP by virtio-net on a tap; HTTP by vsock (vhost-device-vsock, to a "
       "unix socket of the backend); pread with O_DIRECT from a virtio-blk disk. In turns.")


def _row(what, found):
    ours = found.pop("driver")
    return Row(what, ours, found)


def _rounds(context, one):
    """{name: [one(way) of each round]}"""
    found = {name: [] for name in WAYS}
    for _ in range(context.rounds):
        for name, way in WAYS.items():
            found[name].append(one(way))
    return found


@contextlib.contextmanager
def _guest(context, **options):
    """A booted guest that has gone each way once."""
    with bench(context, memory="3G", vsock=True, **options) as it:
        for way in WAYS.values():
            it.read(way, 4 * MIB, 1, 1)
        yield it


def measure(context):
    rate = Report("PATHS-rate", "ways out of a guest: throughput of reads", "MB/s", HOW)
    time = Report("PATHS-time", "ways out of a guest: 4 KiB read, one at a time", "µs, median", HOW, less=True)
    work = Report("PATHS-work", "ways out of a guest: guest instructions for each MiB", "thousands",
                  HOW + " By the emulator's count, 4 MiB at a time.", less=True)
    with _guest(context) as it:
        seconds = context.seconds
        time.rows.append(_row("round trip", _rounds(
            context, lambda way: it.read(way, 4096, 1, seconds)["median_us"])))
        context.progress(time)
        for size, clients in context.pick([(4 * MIB, 1), (4 * MIB, 10), (64 << 10, 10)], [(4 * MIB, 1)]):
            def throughput(way, size=size, clients=clients):
                seen = it.read(way, size, clients, seconds)
                return seen["bytes"] / seen["seconds"] / 1e6
            rate.rows.append(_row(f"{clients} x {size >> 10:,} KiB", _rounds(context, throughput)))
            context.progress(rate)
        for report in (rate, time):
            report.notes.append(guest_note(it.guest))
    with _guest(context, extra=plugin) as it:
        counter = Counter(it.rundir / "count", context.pick(10, 3))
        work.rows.append(_row("a MiB read", _rounds(
            context, lambda way: counter.for_each_mib(lambda n: it.read(way, 4 * MIB, 1, n), seconds))))
        work.notes.append(guest_note(it.guest) + ", in a boot of its own, with a plugin that counts instructions")
    return [rate, time, work]
