# SPDX-License-Identifier: MIT
"""P1: many processes in a guest that read block blobs, each program through the driver and by HTTP."""

from azvm import sharedkey
from azvm.net import TAP_HOST

from .guests import BLOB, BLOBS, MIB, bench, guest_note
from .report import Report, Row

import sasclient  # tests/http, which load has put on the path

# No copy may come to the end of its list: half a terabyte.
ROUNDS_OF_LIST = 1000
GATEWAY = ("127.0.0.1", 10000)


def _bare(it, size, clients, context):
    """The same loop for both, which neither looks at nor checks what it reads: tests/guest/vspbench.c."""
    rates = {"driver": [], "HTTP": []}
    ways = {"driver": "device", "HTTP": "http"}
    for way in ways.values():
        it.read(way, size, clients, 1)
    for _ in range(context.rounds):
        for name, way in ways.items():
            seen = it.read(way, size, clients, context.seconds)
            rates[name].append(seen["bytes"] / seen["seconds"])
    return rates


def _library(it, size, clients, context, options=("--no-checksums",)):
    """The CLI, which is libazblob and a write. Without checksums, as the others have none."""
    names = [f"bench/b{n:02}" for n in range(BLOBS)]
    command = ["azblob", "cat", "--quiet", "--parallel", "1", "--block-size", size, *options]
    http = f"http://{TAP_HOST}:{it.backend.port}/{sharedkey.ACCOUNT}"
    environment = it.backend.environment
    return it.many(clients, context.seconds, context.rounds, {
        "driver": ([*command, "--transport", "driver"], environment, names, ROUNDS_OF_LIST),
        "HTTP": ([*command, "--transport", "http", "--endpoint", http], environment, names, ROUNDS_OF_LIST)})


def _curl(it, size, clients, context):
    """Debian's curl, to the gateway or to the host; a SAS, so that it has nothing to sign."""
    sas = sasclient.account_sas(se=sasclient.iso(4 * 3600))
    ways = {}
    for name, host, port in (("driver", *GATEWAY), ("HTTP", TAP_HOST, it.backend.port)):
        # One line stands for all blobs.
        line = (f'url = "http://{host}:{port}/{sharedkey.ACCOUNT}/bench/b[00-{BLOBS - 1}]?{sas}"\n'
                "output = /dev/null\n")
        it.guest.agent.put(f"/tmp/urls-{name}", (line * ROUNDS_OF_LIST).encode(), mode=0o644)
        ways[name] = (["curl", "-sSf", "-H", f"x-ms-range: bytes=0-{size - 1}", "-K", f"/tmp/urls-{name}"], {}, [], 0)
    return it.many(clients, context.seconds, context.rounds, ways)


def _checking(it, size, clients, context):
    """The same, as it is by default: each part is checked by its CRC, either way."""
    return _library(it, size, clients, context, ())


PROGRAMS = {"bare requests": _bare, "libazblob (azblob cat)": _library, "libazblob, with checksums": _checking,
            "curl, by the gateway": _curl}


def measure(context):
    report = Report("P1", "many clients reading block blobs", "MB/s",
                    f"Processes in one guest, each reading from {BLOBS} blobs of {BLOB // MIB} MiB of the same "
                    "backend: a program through the driver, and the same program by HTTP over virtio-net on a tap. "
                    "In turns.", target=10)
    with bench(context, memory="6G", debian=True) as it:
        report.notes.append(guest_note(it.guest))
        for size in context.pick([4 * MIB, 64 << 10], [4 * MIB]):
            for clients in context.pick([1, 10, 100], [10]):
                for what, program in PROGRAMS.items():
                    rates = {way: [rate / 1e6 for rate in found]
                             for way, found in program(it, size, clients, context).items()}
                    report.rows.append(Row(f"{clients} x {what}, {size >> 10:,} KiB", rates["driver"],
                                           {"HTTP": rates["HTTP"]}))
                    context.progress(report)
    return report
