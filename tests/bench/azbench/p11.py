# SPDX-License-Identifier: MIT
"""P11: the gateway in a guest, beside what loopback can do and beside REST over the network."""

from . import guests
from .count import plugin
from .profile import Blocks, lines
from .report import Report, Row

MIB = 1 << 20
# Ports on the guest's loopback.
GATEWAY_PORT, NULL_PORT = 10000, 10001


def _profile(it, context, ways, size=64 << 10, clients=10):
    """Where the guest's instructions go, for each small read of several clients."""
    blocks = Blocks(it.rundir / "blocks", it.guest)
    for way, port in ways.items():
        it.read("http", size, clients, 1, port=port)
        seen, functions = blocks.of(
            lambda port=port: it.read("http", size, clients, context.seconds, port=port))
        yield lines(f"{way}, {clients} clients", functions, f"read of {size >> 10} KiB", seen["bytes"] / size, 24)


def measure(context):
    report = Report("P11", "the gateway", "MB/s",
                    "Processes in one guest, each with an HTTP connection to the gateway on loopback; to a server "
                    "on loopback that sends nothing but memory (tests/guest/nullhttp.c; wanted: 0.8 of it); to the "
                    "backend over virtio-net on a tap (wanted: twice that). In turns.", target=0.8)
    with guests.bench(context, memory="4G", gateway=True,
                      extra=lambda rundir: plugin(rundir, True) if context.profile else ()) as it:
        report.notes.append(guests.guest_note(it.guest))
        it.start(["azblob-gateway", "--http", f"127.0.0.1:{GATEWAY_PORT}", "--memory", "1024",
                  "--ready-fd", "1"])
        it.start(["nullhttp", str(NULL_PORT)])
        ways = {"gateway": GATEWAY_PORT, "null server": NULL_PORT, "REST over the tap": None}
        for size in context.pick([32 * MIB, 4 * MIB, 64 << 10], [4 * MIB]):
            for clients in context.pick([1, 10], [10]) if size > 4 * MIB else context.pick([1, 10, 100], [10]):
                # their buffers alone would be most of the guest
                if size * clients > 1 << 30:
                    continue
                rates = {way: [] for way in ways}
                for port in ways.values():
                    it.read("http", size, clients, 1, port=port)
                for _ in range(context.rounds):
                    for way, port in ways.items():
                        seen = it.read("http", size, clients, context.seconds, port=port)
                        rates[way].append(seen["bytes"] / seen["seconds"] / 1e6)
                what = f"{clients} clients, {size >> 10:,} KiB reads"
                ours = rates.pop("gateway")
                report.rows.append(Row(what, ours, rates))
                against = Row("", ours, {"": rates["REST over the tap"]}).ratio()
                report.notes.append(f"{what}: {against:.2f} of REST over the tap (wanted: 2)")
                context.progress(report)
        if context.profile:
            report.notes += _profile(it, context, ways)
    return report
