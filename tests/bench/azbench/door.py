# SPDX-License-Identifier: MIT
"""P6 and P7: the HTTP door beside nginx and Azurite, for each second of the server's CPU."""

import os
from contextlib import ExitStack

from . import load
from .load import blobclient
from .report import Report, Row
from .servers import Azurite, Nginx, Vspd, cpu_seconds

MIB = 1 << 20
BLOB = 256 * MIB
CONTAINER = "bench"


def _fill(servers, root, files):
    """The same bytes on every server: in a container, and as files of nginx's."""
    os.makedirs(root / CONTAINER)
    for name, content in files.items():
        (root / CONTAINER / name).write_bytes(content)
    for server in servers:
        client = blobclient.Client(server.port, timeout=300)
        answer = client.request("PUT", f"/{CONTAINER}?restype=container")
        assert answer.status == 201, answer
        for name, content in files.items():
            answer = client.request("PUT", f"/{CONTAINER}/{name}", body=content,
                                    headers={"x-ms-blob-type": "BlockBlob"})
            assert answer.status == 201, answer
        client.close()


def _requests(server, reads):
    """Reads are (name, headers); nginx gets the same bytes less the account in the path."""
    client = blobclient.Client(server.port, host_style=False)
    if isinstance(server, Nginx):
        client.target = lambda path: path
    return [load.raw(client, "GET", f"/{CONTAINER}/{name}", headers=headers)
            for name, headers in reads]


def _in_turns(context, servers, reads, connections, figure, unfinished=False):
    """One number for each server and round; figure makes it of a Load and CPU seconds.

    unfinished: the bytes of requests that had no time to end count as well; a slow server may
    end none of a hundred large ones."""
    found = {server.name: [] for server in servers}
    requests = {server.name: _requests(server, reads) for server in servers}
    for server in servers:  # connections are made, pages are in the cache
        load.run(server.port, requests[server.name], connections, 1, unfinished=True)
    for _ in range(context.rounds):
        for server in servers:
            before = cpu_seconds(server.pid)
            seen = load.run(server.port, requests[server.name], connections, context.seconds, unfinished)
            used = max(cpu_seconds(server.pid) - before, 0.01)
            found[server.name].append(figure(seen, used))
    ours = found.pop(Vspd.name)
    return ours, found


def _servers(context, stack, directory):
    servers = [Vspd(directory), Nginx(directory, directory / "root")]
    if context.azurite:
        servers.append(Azurite(directory))
    for server in servers:
        stack.callback(server.close)
    return servers


def measure_p6(context):
    report = Report("P6", "HTTP door, large reads", "MB for each CPU second of the server",
                    f"Ranges of a blob of {BLOB // MIB} MiB, page cache warm, signed with SharedKey "
                    "(nginx: no authentication), wrk with one thread, in turns.", target=0.8)
    with ExitStack() as stack:
        directory = context.scratch(stack)
        servers = _servers(context, stack, directory)
        _fill([s for s in servers if not isinstance(s, Nginx)], directory / "root",
              {"large": os.urandom(MIB) * (BLOB // MIB)})
        for size in (4 * MIB, 32 * MIB):
            reads = [("large", {"Range": f"bytes={at}-{at + size - 1}"})
                     for at in range(0, BLOB, size)]
            for connections in context.pick([1, 10, 100], [1, 100]):
                ours, peers = _in_turns(context, servers, reads, connections,
                                        lambda seen, used: seen.bytes / used / 1e6, unfinished=True)
                report.rows.append(Row(f"{size // MIB} MiB, {connections} connections", ours, peers))
                context.progress(report)
    return report


def measure_p7(context):
    report = Report("P7", "HTTP door, 4 KiB authenticated reads", "requests for each CPU second of the server",
                    "1,000 blobs of 4 KiB in turn, signed with SharedKey (nginx: no authentication), wrk "
                    "with one thread, in turns.", target=0.5)
    with ExitStack() as stack:
        directory = context.scratch(stack)
        servers = _servers(context, stack, directory)
        _fill([s for s in servers if not isinstance(s, Nginx)], directory / "root",
              {f"b{n:04}": os.urandom(4096) for n in range(1000)})
        reads = [(f"b{n:04}", {}) for n in range(1000)]
        for connections in context.pick([1, 64], [64]):
            ours, peers = _in_turns(context, servers, reads, connections,
                                    lambda seen, used: seen.requests / used)
            report.rows.append(Row(f"{connections} connections", ours, peers))
            context.progress(report)
            if Azurite.name in peers:
                report.notes.append(f"{connections} connections: {Row('', ours, {'a': peers[Azurite.name]}).ratio():.0f} "
                                    "times Azurite (wanted: 10)")
    return report
