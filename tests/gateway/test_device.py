# SPDX-License-Identifier: MIT
"""The device is not there, goes, and comes back."""

import socket

import pytest

from blobclient import Client
from gateways import wait_for
from test_bodies import LARGE, content, head_of, raw, read_head


def ask(gateway, path="/box/b"):
    client = Client(gateway.port, timeout=300)
    answer = client.get(path)
    client.close()
    return answer


def test_a_device_that_comes_late_is_found(start, own):
    own.stop()
    gateway = start(own.link)
    answer = ask(gateway)
    assert (answer.status, answer.code) == (503, "ServerBusy")
    assert own.link in answer.body.decode()
    own.start()
    Client(own.port, timeout=300).create_container("box")
    wait_for(lambda: ask(gateway).status == 404)


def test_a_backend_that_was_killed_comes_back(start, own):
    gateway = start(own.link)
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/b", b"kept")
    assert ask(gateway).body == b"kept"
    own.kill()
    # safe to repeat, so the client is told that it may
    assert ask(gateway).status == 503
    own.start()
    wait_for(lambda: ask(gateway).status == 200)
    assert ask(gateway).body == b"kept"


def test_nobody_is_told_that_a_lost_write_did_not_happen(start, own):
    gateway = start(own.link)
    Client(own.port, timeout=300).create_container("box")
    own.kill()
    client = Client(gateway.port, timeout=300)
    # the first request after the end finds it out on its way
    answer = client.put("/box?restype=container&comp=metadata", None, {"x-ms-meta-a": "1"})
    assert (answer.status, answer.code) == (424, "OutcomeUnknown")
    answer = client.put("/box?restype=container&comp=metadata", None, {"x-ms-meta-a": "1"})
    assert (answer.status, answer.code) == (503, "ServerBusy")


# VSP_WIRE_STATUS_TIMEOUT and _NO_RESOURCES of include/azblob/vsp_wire.h
TIMEOUT, NO_RESOURCES = "80070102", "800705aa"
# the host says that it does not know the handle (tests/client/link_device.c)
NO_HANDLE = "404"


@pytest.mark.parametrize("lost, status", [
    # what may have happened at the first try is not undone by tries that did nothing
    ([TIMEOUT, NO_RESOURCES, NO_RESOURCES], 424),
    ([NO_RESOURCES, TIMEOUT, NO_RESOURCES], 424),
    # nor is what did nothing called unknown
    ([NO_RESOURCES, NO_RESOURCES, NO_RESOURCES], 503),
    # the host keeps its answer for who asks again
    ([TIMEOUT, NO_RESOURCES], 201),
    # a handle may be gone because the commit happened, however long ago that try was
    ([TIMEOUT, NO_HANDLE], 424),
    ([TIMEOUT, NO_RESOURCES, NO_HANDLE], 424),
    # but where no try can have happened, the body was lost before it
    ([NO_HANDLE], 503),
    ([NO_RESOURCES, NO_HANDLE], 503),
])
def test_a_commit_whose_answer_was_lost(start, own, lost, status):
    gateway = start(own.link, environment={"AZBLOB_LINK_COMMITS": " ".join(lost)})
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    assert direct.put("/box/b", b"", {"x-ms-blob-type": "AppendBlob"}).status == 201
    data = content(LARGE + 5)
    client = Client(gateway.port, timeout=300)
    answer = client.put("/box/b?comp=appendblock", data)
    assert answer.status == status
    assert answer.code == {424: "OutcomeUnknown", 503: "ServerBusy", 201: None}[status]
    # done once, or not at all
    assert direct.get("/box/b").body == (b"" if status == 503 else data)


def test_an_upload_whose_device_goes_has_not_happened(start, own):
    gateway = start(own.link)
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", "/box/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": 2 * LARGE + 5}))
        data = content(2 * LARGE + 5)
        connection.sendall(data[:LARGE + 5])
        own.kill()
        connection.sendall(data[LARGE + 5:])
        assert read_head(connection).startswith(b"HTTP/1.1 503 ")
    own.start()
    assert Client(own.port, timeout=300).get("/box/b").status == 404
    wait_for(lambda: ask(gateway).status == 404)


def test_an_upload_that_the_host_has_forgotten_has_not_happened(start, own):
    # the link comes back as it does for a guest, and a daemon that was started anew has no handles
    gateway = start(own.link, environment={"AZBLOB_LINK_RETURNS": "1"})
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(2 * LARGE + 5)
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", "/box/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": len(data),
            "Expect": "100-continue"}))
        assert read_head(connection).startswith(b"HTTP/1.1 100 ")
        own.kill()
        own.start()
        connection.sendall(data)
        head = read_head(connection)
        assert head.startswith(b"HTTP/1.1 503 "), head
        assert b"x-ms-error-code: ServerBusy\r\n" in head
    assert Client(own.port, timeout=300).get("/box/b").status == 404


def test_a_body_whose_device_goes_is_cut_off(start, own):
    gateway = start(own.link)
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(16 * LARGE)
    direct.put_blob("/box/b", data)
    with raw(gateway.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sendall(head_of(direct, "GET", "/box/b", {}))
        read_head(connection)
        own.kill()
        got = b""
        try:
            while piece := connection.recv(1 << 16):
                got += piece
        except ConnectionResetError:
            pass
    assert len(got) < len(data)
    assert data.startswith(got)
    own.start()
    wait_for(lambda: ask(gateway).body == data)
