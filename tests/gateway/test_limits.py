# SPDX-License-Identifier: MIT
"""Thousands of connections, slow clients, and more bodies at once than there is memory for."""

import os
import resource
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import gateways
import pytest
from blobclient import Client
from gateways import wait_for
from test_bodies import SMALL, content, head_of, numbers, raw, read_head

WANTED = 10000
# of the heap for a connection that waits for its next request
EACH = 4 << 10


@pytest.fixture
def many():
    """How many this process may have open, with some for the rest of it; the gateway may as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(WANTED, (1 << 20 if hard == resource.RLIM_INFINITY else hard) - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def plain(monkeypatch):
    """Gateways without sanitizers, which have memory of their own."""
    path = os.path.join(gateways.programs.ROOT, "build", "vsp-backend", "azblob-vspd")
    monkeypatch.setattr(gateways.programs, "binary", lambda: path)
    gateways.program("azblob-gateway-over-link")


def anonymous(gateway):
    for line in Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel does not tell RssAnon")


def ask(connection, head):
    connection.sendall(head)
    return read_head(connection)


@pytest.mark.usefixtures("plain")
def test_ten_thousand_connections_and_one_too_many(many, start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--max-connections", many, "--metrics", metrics])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/b", b"")
    head = head_of(direct, "HEAD", "/box/b", {})
    with ExitStack() as stack:
        before = anonymous(gateway)
        connections = [stack.enter_context(raw(gateway.port)) for _ in range(many)]
        wait_for(lambda: numbers(metrics)["azblob_http_connections"] == many)
        # each that has asked for something keeps no more than one that has not
        for connection in connections[::10]:
            assert ask(connection, head).startswith(b"HTTP/1.1 200 ")
        grown = anonymous(gateway) - before
        assert grown < many * EACH + (16 << 20), grown
        with raw(gateway.port) as one_more:
            refused = read_head(one_more)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"x-ms-error-code: ServerBusy\r\n" in refused
        assert numbers(metrics)["azblob_http_refused_total"] == 1
        # who was let in goes on, and who leaves makes room
        assert ask(connections[1], head).startswith(b"HTTP/1.1 200 ")
        connections[0].close()
        wait_for(lambda: numbers(metrics)["azblob_http_connections"] == many - 1)
        with raw(gateway.port) as another:
            assert ask(another, head).startswith(b"HTTP/1.1 200 ")


def let_in(gateway, head):
    """A connection that has been answered, and now has as long as --idle-timeout says."""
    for _ in range(100):
        # a new one has no longer than a slow one, and this machine may be too busy for that
        with suppress(OSError, AssertionError), ExitStack() as stack:
            connection = stack.enter_context(raw(gateway.port))
            answer = ask(connection, head)
            stack.pop_all()
            return connection, answer
    raise AssertionError("no connection has lived for as long as one request")


def test_who_is_slow_is_cut_off_and_the_others_are_not(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--head-timeout", "5", "--body-timeout", "5", "--metrics", metrics])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(64 * SMALL)
    direct.put_blob("/box/b", data)
    # comes with one packet, whole
    head = head_of(direct, "HEAD", "/box/b", {})
    with ExitStack() as stack:
        waiting, answer = let_in(gateway, head)
        stack.enter_context(waiting)
        assert answer.startswith(b"HTTP/1.1 200 ")
        slow = [stack.enter_context(raw(gateway.port)) for _ in range(150)]
        for i, connection in enumerate(slow):
            # who is here too late has been cut off, which is as good
            with suppress(ConnectionError):
                if i % 3 == 0:
                    connection.sendall(b"GET /half")
                elif i % 3 == 1:
                    connection.sendall(head_of(direct, "PUT", f"/box/half{i}", {
                        "x-ms-blob-type": "BlockBlob", "Content-Length": SMALL}) + b"only this")
                else:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    connection.sendall(head_of(direct, "GET", "/box/b", {}))
        wait_for(lambda: numbers(metrics)["azblob_http_connections"] == 1)
        wait_for(lambda: numbers(metrics)["azblob_gateway_buffer_bytes"] == 0)
        wait_for(lambda: numbers(metrics)["azblob_gateway_small_buffer_bytes"] == 0)
        wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 0)
        assert ask(waiting, head).startswith(b"HTTP/1.1 200 ")
    assert direct.get("/box/half1").status == 404


def test_more_bodies_than_there_is_memory_for_are_told_so(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--memory", "0", "--metrics", metrics])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    limit = (64 << 20) // SMALL
    data = content(1000)

    def begin(connection, name):
        connection.sendall(head_of(direct, "PUT", f"/box/{name}", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": len(data)}))

    with ExitStack() as stack:
        begun = [stack.enter_context(raw(gateway.port)) for _ in range(limit)]
        for i, connection in enumerate(begun):
            begin(connection, i)
        wait_for(lambda: numbers(metrics)["azblob_gateway_small_buffer_bytes"] == limit * SMALL)
        with raw(gateway.port) as one_more:
            begin(one_more, "late")
            one_more.sendall(data)
            refused = read_head(one_more)
            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"x-ms-error-code: ServerBusy\r\n" in refused
        assert numbers(metrics)["azblob_gateway_busy_total"] == 1
        # what has begun can end, and makes room
        for connection in begun:
            connection.sendall(data)
        for connection in begun:
            assert read_head(connection).startswith(b"HTTP/1.1 201 ")
        with raw(gateway.port) as another:
            begin(another, "late")
            another.sendall(data)
            assert read_head(another).startswith(b"HTTP/1.1 201 ")
    assert direct.get("/box/0").body == data
