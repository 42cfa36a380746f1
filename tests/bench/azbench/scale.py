# SPDX-License-Identifier: MIT
"""P9 and P10: what the daemon needs and does as blobs and clients grow in number."""

import os
import statistics
import threading
from contextlib import ExitStack

from . import load
from .load import blobclient
from .report import Report, Row
from .servers import Vspd, anonymous_bytes

MIB = 1 << 20
BATCH = 50000


class Watch:
    """The most anonymous memory that a process had while the block ran, in MiB."""

    def __init__(self, pid):
        self._pid, self.peak = pid, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, anonymous_bytes(self._pid) / MIB)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def _populate(server, client, first, last):
    """Blobs first to last - 1 of 4 KiB, by 100 connections; a pass sends each request once."""
    body = os.urandom(4096)
    for start in range(first, last, BATCH):
        stop = min(start + BATCH, last)
        done = start
        while done < stop:
            requests = [load.raw(client, "PUT", f"/bench/b{n:08}", body, {"x-ms-blob-type": "BlockBlob"})
                        for n in range(done, stop)]
            seconds = max(1, min(20, (stop - done) // 4000))
            seen = load.run(server.port, requests, min(100, len(requests)), seconds)
            # answers may lack for requests that were sent last: those are sent again
            done = min(stop, done + max(0, seen.requests))


def measure_p9(context):
    report = Report("P9", "anonymous memory of the daemon at 100 connections", "MiB, peak",
                    "RssAnon sampled every 20 ms while wrk reads or writes; the heap is what counts, not the "
                    "page cache.", limit=32)
    with ExitStack() as stack:
        directory = context.scratch(stack)
        server = Vspd(directory)
        stack.callback(server.close)
        client = blobclient.Client(server.port, timeout=600)
        assert client.request("PUT", "/bench?restype=container").status == 201
        report.notes.append(f"at rest: {anonymous_bytes(server.pid) / MIB:.1f} MiB")
        for size in (4096, 4 * MIB, 256 * MIB):
            body = os.urandom(min(size, MIB)) * max(1, size // MIB)
            name = f"/bench/s{size}"
            peaks = []
            with Watch(server.pid) as alone:
                answer = client.request("PUT", name, body=body, headers={"x-ms-blob-type": "BlockBlob"})
                assert answer.status == 201, answer
            report.rows.append(Row(f"one client writing {size >> 10:,} KiB", [alone.peak]))
            for _ in range(context.rounds):
                with Watch(server.pid) as watch:
                    load.run(server.port, [load.raw(client, "GET", name)], 100, context.seconds,
                             unfinished=True)
                peaks.append(watch.peak)
            report.rows.append(Row(f"reading a blob of {size >> 10:,} KiB", peaks))
            if size > 4 * MIB:
                continue
            peaks = []
            requests = [load.raw(client, "PUT", f"/bench/w{n}", body, {"x-ms-blob-type": "BlockBlob"})
                        for n in range(min(1000, 256 * MIB // size))]
            for _ in range(context.rounds):
                with Watch(server.pid) as watch:
                    load.run(server.port, requests, 100, context.seconds, unfinished=True)
                peaks.append(watch.peak)
            report.rows.append(Row(f"writing blobs of {size >> 10:,} KiB", peaks))
            context.progress(report)
    return report


def measure_p10(context):
    report = Report("P10", "the cost of many blobs and of many clients", "requests/s",
                    "Blobs of 4 KiB in one container; 16 connections; the peer is the same at 1,000 blobs. "
                    "Then 4 KiB reads by more and more clients; the peer is the best of those.", target=0.8)
    with ExitStack() as stack:
        directory = context.scratch(stack)
        server = Vspd(directory)
        stack.callback(server.close)
        client = blobclient.Client(server.port, timeout=600)
        assert client.request("PUT", "/bench?restype=container").status == 201
        base = {}
        count = 0
        scale = [n for n in (1000, 10000, 100000, 1000000) if n <= context.blobs]
        for goal in scale:
            _populate(server, client, count, goal)
            count = goal
            step = max(1, goal // 1000)
            kinds = {
                "read 4 KiB": [load.raw(client, "GET", f"/bench/b{n:08}") for n in range(0, goal, step)],
                "write 4 KiB": [load.raw(client, "PUT", f"/bench/b{n:08}", bytes(4096),
                                         {"x-ms-blob-type": "BlockBlob"}) for n in range(0, goal, step)],
                "list page of 1,000": [load.raw(client, "GET", "/bench?restype=container&comp=list"
                                                f"&maxresults=1000&prefix=b{n // 1000:05}")
                                       for n in range(0, goal, max(1000, goal // 50))],
                "list page by delimiter": [load.raw(client, "GET", "/bench?restype=container&comp=list"
                                                    "&delimiter=00&prefix=b")],
            }
            for kind, requests in kinds.items():
                rates = []
                for _ in range(context.rounds):
                    seen = load.run(server.port, requests, 16, context.seconds)
                    rates.append(seen.requests / seen.seconds)
                base.setdefault(kind, rates)
                report.rows.append(Row(f"{kind}, {goal:,} blobs", rates, {"first": base[kind]}))
            report.notes.append(f"{goal:,} blobs: {anonymous_bytes(server.pid) / MIB:.1f} MiB of "
                                "anonymous memory")
            context.progress(report)
        reads = [load.raw(client, "GET", f"/bench/b{n:08}") for n in range(0, count, count // 1000)]
        rates = {}
        for clients in (1, 10, 100, 1000):
            rates[clients] = [0.0] * context.rounds
            for n in range(context.rounds):
                seen = load.run(server.port, reads, clients, context.seconds)
                rates[clients][n] = seen.requests / seen.seconds
        best = max(rates.values(), key=statistics.median)
        for clients, found in rates.items():
            report.rows.append(Row(f"{clients:,} clients", found, {"first": best}))
    return report
