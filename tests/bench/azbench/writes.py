# SPDX-License-Identifier: MIT
"""P8: durable small writes, beside as many writers that append and fdatasync."""

import itertools
import json
import os
import subprocess
from contextlib import ExitStack

from . import load
from .load import Failed, blobclient
from .report import Report, Row
from .servers import Azurite, Vspd

SIZE = 4096


def _appends(directory, writers, seconds):
    """Writes of SIZE bytes a second, each followed by fdatasync, by fio."""
    result = subprocess.run(
        ["fio", "--name=append", f"--directory={directory}", "--ioengine=sync", "--rw=write",
         f"--bs={SIZE}", "--fdatasync=1", f"--numjobs={writers}", "--thread", "--size=64m",
         "--fallocate=none", "--time_based", f"--runtime={seconds}", "--group_reporting",
         "--output-format=json"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise Failed(f"fio: {result.stderr.strip()}")
    out = json.loads(result.stdout[result.stdout.index("{"):])
    for name in os.listdir(directory):
        if name.startswith("append."):
            os.unlink(directory / name)
    return out["jobs"][0]["write"]["iops"]


def measure(context):
    report = Report("P8", "durable writes of 4 KiB", "writes/s",
                    "Put Blob of new names by wrk, each answered after data and metadata are on disk; fio: "
                    "as many writers, each appending 4 KiB to a file of its own and calling fdatasync. Same "
                    "file system, in turns. Azurite does not sync.", target=0.5)
    body = os.urandom(SIZE)
    with ExitStack() as stack:
        directory = context.scratch(stack)
        (directory / "fio").mkdir()
        servers = [Vspd(directory)] + ([Azurite(directory)] if context.azurite else [])
        clients = {}
        for server in servers:
            stack.callback(server.close)
            clients[server] = blobclient.Client(server.port, timeout=60)
            assert clients[server].request("PUT", "/bench?restype=container").status == 201
        names = itertools.count()

        def puts(server, connections):
            # more than are sent in that time, so that no name comes twice
            requests = [load.raw(clients[server], "PUT", f"/bench/b{next(names):08}", body,
                                 {"x-ms-blob-type": "BlockBlob"})
                        for _ in range(15000 * context.seconds)]
            seen = load.run(server.port, requests, connections, context.seconds)
            return seen.requests / seen.seconds

        for connections in (1, 100):
            ours, peers = [], {"append+fdatasync": []}
            for _ in range(context.rounds):
                ours.append(puts(servers[0], connections))
                peers["append+fdatasync"].append(
                    _appends(directory / "fio", connections, context.seconds))
                for other in servers[1:]:
                    peers.setdefault(other.name, []).append(puts(other, connections))
            report.rows.append(Row(f"{connections} clients", ours, peers))
            context.progress(report)
    return report
