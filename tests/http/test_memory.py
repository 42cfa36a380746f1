# SPDX-License-Identifier: MIT
"""Memory stays bounded, whatever the number of connections and the size of what they move."""

import os
import re
import socket

import daemon as vspd
import pytest
from blobclient import connected, new_container

MIB = 1 << 20
BLOB = 64 * MIB
CONNECTIONS = 100
LIMIT = 32 * MIB


@pytest.fixture
def plain(tmp_path, monkeypatch):
    """A daemon without sanitizers, which have memory of their own."""
    path = os.path.join(vspd.ROOT, "build", "vsp-backend", "azblob-vspd")
    assert os.access(path, os.X_OK), "azblob-vspd is not built: make build"
    monkeypatch.setattr(vspd, "binary", lambda: path)
    running = vspd.Daemon(tmp_path / "store", tmp_path / "log", ["--drain", "1"],
                          store_options="unsafe-no-sync=on")
    yield running
    running.stop()


def own_memory(running):
    """Of the process alone: neither files nor what it shares."""
    with open("/proc/%d/status" % running.process.pid, encoding="ascii") as text:
        return int(re.search(r"RssAnon:\s+(\d+) kB", text.read()).group(1)) * 1024


def begin(running, client, method, path, **headers):
    """A connection that has sent the head."""
    target, sent = client.head(method, path, headers=headers)
    sent.setdefault("Host", "127.0.0.1:%d" % running.direct_port)
    made = socket.create_connection(("127.0.0.1", running.direct_port), timeout=120)
    lines = ["%s %s HTTP/1.1" % (method, target)] + ["%s: %s" % item for item in sent.items()]
    made.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return made


@pytest.mark.door
def test_many_large_bodies_at_once(plain):
    with connected(plain.port) as client:
        container = new_container(client, "test")
        assert client.put_blob("/%s/large" % container, bytes(BLOB)).status == 201
        before = own_memory(plain)
        open_ones, peak = [], 0
        part = os.urandom(MIB)
        try:
            for number in range(CONNECTIONS):
                # half of them send and stop in the middle, the others ask and take nothing but the start
                if number % 2:
                    made = begin(plain, client, "PUT", "/%s/%d" % (container, number),
                                 **{"x-ms-blob-type": "BlockBlob", "Content-Length": str(BLOB)})
                    made.sendall(part)
                else:
                    made = begin(plain, client, "GET", "/%s/large" % container)
                    assert made.recv(4096).startswith(b"HTTP/1.1 200 ")
                open_ones.append(made)
                peak = max(peak, own_memory(plain))
            assert len(open_ones) == CONNECTIONS
            assert peak < LIMIT, "%d MiB, %d MiB without them" % (peak / MIB, before / MIB)
            # and others are served meanwhile
            assert client.put_blob("/%s/small" % container, b"small").status == 201
            assert client.get("/%s/small" % container).body == b"small"
        finally:
            for made in open_ones:
                made.close()
