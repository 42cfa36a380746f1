# SPDX-License-Identifier: MIT
"""Bodies of any length, in bounded memory."""

import random
import socket
import threading

import pytest

from blobclient import Client
from gateways import Gateway, wait_for

SMALL = 256 << 10
LARGE = 4 << 20
SIZES = [0, 1, SMALL - 1, SMALL, SMALL + 1, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 77]


def content(length, seed=1):
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module", params=["128", "4", "0"])
def sized(request, tmp_path_factory, backend):
    """With much memory, with one large buffer, and with none."""
    running = Gateway(tmp_path_factory.mktemp("sized"), backend.link, ["--memory", request.param])
    yield running
    running.stop()


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_comes_back_as_it_went(sized, direct, box, size):
    client = Client(sized.port, timeout=300)
    data = content(size)
    assert client.put_blob(f"/{box}/b", data).status == 201
    assert direct.get(f"/{box}/b").body == data
    answer = client.get(f"/{box}/b")
    assert (answer.status, answer["Content-Length"]) == (200, str(size))
    assert answer.body == data
    assert client.request("HEAD", f"/{box}/b")["Content-Length"] == str(size)
    client.close()


@pytest.mark.parametrize("first,last", [(0, 0), (0, SMALL), (5, LARGE + 4), (5, LARGE + 5),
                                        (LARGE, 2 * LARGE + 3), (1, None), (0, 1 << 25)])
def test_ranges(sized, direct, box, first, last):
    data = content(3 * LARGE + 77)
    assert direct.put_blob(f"/{box}/b", data).status == 201
    client = Client(sized.port, timeout=300)
    answer = client.get(f"/{box}/b", {"x-ms-range": f"bytes={first}-{'' if last is None else last}"})
    assert answer.status == 206
    assert answer.body == data[first:None if last is None else last + 1]
    client.close()


def test_blocks_and_a_list_of_them(client, direct, box):
    parts = [content(n, n) for n in (1, SMALL + 1, LARGE + 1)]
    for i, part in enumerate(parts):
        assert client.put_block(f"/{box}/b", f"{i:04}", part).status == 201
    listed = client.get(f"/{box}/b?comp=blocklist&blocklisttype=all")
    assert [node.findtext("Size") for node in listed.xml().iter("Block")] == [
        str(len(part)) for part in parts]
    assert client.put_block_list(f"/{box}/b", ["0000", "0001", "0002"]).status == 201
    assert direct.get(f"/{box}/b").body == b"".join(parts)


def test_a_long_list_is_one_page_as_by_http(client, direct, box):
    for i in range(1500):
        direct.put_blob(f"/{box}/{i:04}-{'x' * 200}", b"")
    answer = client.list_blobs(box)
    assert len(answer.body) > 3 * SMALL
    assert len(list(answer.xml().iter("Blob"))) == 1500
    assert not answer.xml().findtext("NextMarker")


def raw(port):
    return socket.create_connection(("127.0.0.1", port), timeout=300)


def head_of(client, method, path, headers):
    target, sent = client.head(method, path, None, {n: str(v) for n, v in headers.items()})
    lines = [f"{method} {target} HTTP/1.1"] + [f"{n}: {v}" for n, v in sent.items()]
    if "Host" not in sent:
        lines.append("Host: localhost")
    return "\r\n".join(lines + ["", ""]).encode()


def read_head(connection):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    return head


@pytest.mark.parametrize("size", [5, 2 * LARGE + 5])
def test_who_expects_to_be_asked_hears_before_the_body(gateway, direct, box, size):
    data = content(size)
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", f"/{box}/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": size, "Expect": "100-continue"}))
        assert read_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(data)
        assert read_head(connection).startswith(b"HTTP/1.1 201 ")
    assert direct.get(f"/{box}/b").body == data
    direct.key = "bm9uZSBvZiBpdHMga2V5cw=="
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", f"/{box}/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": size, "Expect": "100-continue"}))
        assert read_head(connection).startswith(b"HTTP/1.1 403 ")


def test_a_long_body_without_credentials_is_refused_at_its_head(gateway, direct, box):
    direct.key = "bm9uZSBvZiBpdHMga2V5cw=="
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", f"/{box}/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": 3 * LARGE}))
        assert read_head(connection).startswith(b"HTTP/1.1 403 ")


def numbers(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        text = b""
        while piece := connection.recv(65536):
            text += piece
    lines = text.partition(b"\r\n\r\n")[2].decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("sent", [SMALL, 2 * LARGE + 5])
def test_a_client_that_goes_away_leaves_nothing(start, own, sent):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--metrics", metrics])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", "/box/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": 3 * LARGE}))
        connection.sendall(content(sent))
        wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 1)
    wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 0)
    wait_for(lambda: numbers(metrics)["azblob_gateway_buffer_bytes"] == 0)
    assert direct.get("/box/b").status == 404


def test_a_reader_that_goes_away_leaves_nothing(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--metrics", metrics])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(10 * LARGE)
    assert direct.put_blob("/box/b", data).status == 201
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "GET", "/box/b", {}))
        read_head(connection)
        assert connection.recv(1) == data[:1]
        assert numbers(metrics)["azblob_gateway_handles"] == 1
    wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 0)
    wait_for(lambda: numbers(metrics)["azblob_gateway_buffer_bytes"] == 0)


def test_a_slow_reader_gets_it_all(gateway, direct, box):
    data = content(4 * LARGE)
    direct.put_blob(f"/{box}/b", data)
    with raw(gateway.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.sendall(head_of(direct, "GET", f"/{box}/b", {"Connection": "close"}))
        read_head(connection)
        got = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert got == data


def test_the_host_is_reminded_of_what_is_read_slowly(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--metrics", metrics, "--touch", "1"])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(10 * LARGE)
    direct.put_blob("/box/b", data)
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "GET", "/box/b", {"Connection": "close"}))
        read_head(connection)
        wait_for(lambda: numbers(metrics)["azblob_gateway_touched_total"] >= 2)
        got = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert got == data


def test_one_that_the_host_is_stuck_at_keeps_no_others_waiting(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--metrics", metrics, "--touch", "1", "--timeout", "86400"],
                    environment={"AZBLOB_LINK_STUCK": "1"})
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/b", content(10 * LARGE))
    with raw(gateway.port) as one, raw(gateway.port) as another:
        for connection in one, another:
            connection.sendall(head_of(direct, "GET", "/box/b", {}))
            read_head(connection)
        wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 2)
        wait_for(lambda: numbers(metrics)["azblob_gateway_touched_total"] >= 3)
    # nor the end, which is in less than that time-out
    gateway.stop()


def test_what_is_sent_slowly_goes_in_smaller_parts(start, own):
    metrics = own.sockets + "/metrics"
    gateway = start(own.link, ["--metrics", metrics, "--touch", "1"])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/slow", content(10 * LARGE))
    data = content(LARGE + SMALL)

    with raw(gateway.port) as connection, raw(gateway.port) as reader:
        connection.sendall(head_of(direct, "PUT", "/box/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": len(data)}))
        connection.sendall(data[:SMALL])
        wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 1)
        # one who reads slowly is the clock: when his handle was touched twice, the other one, which is
        # older, has rested for longer than --touch
        reader.sendall(head_of(direct, "GET", "/box/slow", {}))
        wait_for(lambda: numbers(metrics)["azblob_gateway_touched_total"] >= 2)
        # the next bytes take what was there along
        connection.sendall(data[SMALL:2 * SMALL])
        wait_for(lambda: numbers(metrics)["azblob_gateway_parts_total"] >= 1)
        connection.sendall(data[2 * SMALL:])
        assert read_head(connection).startswith(b"HTTP/1.1 201 ")
    assert direct.get("/box/b").body == data


def test_a_body_in_small_pieces(gateway, direct, box):
    data = content(SMALL + 5000)
    with raw(gateway.port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head_of(direct, "PUT", f"/{box}/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": len(data)}))
        for at in range(0, len(data), 777):
            connection.sendall(data[at:at + 777])
        assert read_head(connection).startswith(b"HTTP/1.1 201 ")
    assert direct.get(f"/{box}/b").body == data


def test_requests_in_a_row_without_waiting(gateway, direct, box):
    direct.put_blob(f"/{box}/a", b"first")
    with raw(gateway.port) as connection:
        connection.sendall(
            head_of(direct, "GET", f"/{box}/a", {}) +
            head_of(direct, "PUT", f"/{box}/b", {"x-ms-blob-type": "BlockBlob",
                                                 "Content-Length": 6}) + b"second" +
            head_of(direct, "HEAD", f"/{box}/b", {}) +
            head_of(direct, "GET", f"/{box}/b", {}))
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(5, socket.MSG_WAITALL) == b"first"
        assert read_head(connection).startswith(b"HTTP/1.1 201 ")
        assert b"Content-Length: 6\r\n" in read_head(connection)
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(6, socket.MSG_WAITALL) == b"second"


def test_many_at_once(gateway, direct, box):
    wrong = []

    def work(number):
        client = Client(gateway.port, timeout=300)
        data = content((number % 5) * LARGE // 3 + number, number)
        if client.put_blob(f"/{box}/{number}", data).status != 201:
            wrong.append(("put", number))
        if client.get(f"/{box}/{number}").body != data:
            wrong.append(("get", number))
        client.close()
    threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
