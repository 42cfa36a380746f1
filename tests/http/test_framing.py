# SPDX-License-Identifier: MIT
"""HTTP itself: keep-alive, pipelining, Expect, lengths, heads that must not be misread."""

import os
import socket

import pytest
from blobclient import Client, authorization, http_date
from daemon import Daemon, wait_for

MIB = 1024 * 1024


class Raw:
    """A socket, and answers read from it one by one."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def head(self):
        """Status and headers (lower case), or None at the end."""
        line = self.file.readline()
        if not line:
            return None
        headers = {}
        for field in iter(self.file.readline, b"\r\n"):
            name, _, value = field.decode().partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def answer(self, has_body=True):
        found = self.head()
        if found is None:
            return None
        status, headers = found
        length = int(headers.get("content-length", 0)) if has_body and status >= 200 else 0
        return status, headers, self.file.read(length)

    def ended(self):
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


def head_bytes(client, method, path, body=None, headers=None, **more):
    target, sent = client.head(method, path, body, headers, **more)
    sent.setdefault("Host", "127.0.0.1:%d" % client.port)
    lines = ["%s %s HTTP/1.1" % (method, target)]
    lines += ["%s: %s" % item for item in sent.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.fixture
def raw(daemon):
    return Raw(daemon.port)


def test_many_requests_on_one_connection(client, raw):
    for _ in range(20):
        raw.send(head_bytes(client, "GET", "/?comp=list"))
        status, headers, _ = raw.answer()
        assert status == 200
        assert headers["connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(client, raw, container):
    put = {"x-ms-blob-type": "BlockBlob"}
    everything = b""
    for i in range(10):
        path = "/%s/%d" % (container, i)
        everything += head_bytes(client, "PUT", path, b"body %d" % i, put) + b"body %d" % i
        everything += head_bytes(client, "GET", path)
    raw.send(everything)
    for i in range(10):
        assert raw.answer()[0] == 201
        status, _, body = raw.answer()
        assert (status, body) == (200, b"body %d" % i)


def test_a_request_byte_by_byte(client, raw, container):
    data = head_bytes(client, "PUT", "/%s/slow" % container, b"slow",
                      {"x-ms-blob-type": "BlockBlob"}) + b"slow"
    raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(data)):
        raw.send(data[i:i + 1])
    assert raw.answer()[0] == 201
    assert client.get("/%s/slow" % container).body == b"slow"


def test_connection_close_and_http_1_0(client, raw, daemon):
    raw.send(head_bytes(client, "GET", "/?comp=list", headers={"Connection": "close"}))
    status, headers, _ = raw.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert raw.ended()
    old = Raw(daemon.port)
    old.send(head_bytes(client, "GET", "/?comp=list").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert old.answer()[0] == 200
    assert old.ended()


def test_continue_comes_after_authentication_and_conditions(client, daemon, container):
    path = "/%s/expect" % container
    wants = {"x-ms-blob-type": "BlockBlob", "Expect": "100-continue"}
    body = os.urandom(100000)
    raw = Raw(daemon.port)
    raw.send(head_bytes(client, "PUT", path, body, wants))
    assert raw.head()[0] == 100
    raw.send(body)
    assert raw.answer()[0] == 201
    assert client.get(path).body == body
    refusals = [(dict(wants, Authorization="SharedKey devstoreaccount1:x"), 403),
                (dict(wants, **{"If-None-Match": "*"}), 409),
                (dict(wants, **{"If-Match": '"0x1"'}), 412),
                (dict(wants, **{"x-ms-blob-type": "Odd"}), 400)]
    for headers, status in refusals:
        raw = Raw(daemon.port)
        raw.send(head_bytes(client, "PUT", path, body, headers))
        got, answer_headers, _ = raw.answer()
        assert got == status
        # whether the body will be sent is not known: no further request can be found
        assert answer_headers["connection"] == "close"
        assert raw.ended()
    raw = Raw(daemon.port)
    raw.send(head_bytes(client, "PUT", "/absent-container/b", body, wants))
    assert raw.answer()[0] == 404


def test_a_write_without_content_length_is_411(client, raw, container):
    target = client.target("/%s/b" % container)
    headers = {"x-ms-date": http_date(), "x-ms-version": "2023-11-03", "Host": "h",
               "x-ms-blob-type": "BlockBlob"}
    headers["Authorization"] = authorization("PUT", target, headers)
    lines = ["PUT %s HTTP/1.1" % target] + ["%s: %s" % item for item in headers.items()]
    raw.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    status, answer, _ = raw.answer()
    assert (status, answer["x-ms-error-code"]) == (411, "MissingContentLengthHeader")
    # it brought no body, so the connection is as good as before
    raw.send(head_bytes(client, "GET", "/?comp=list"))
    assert raw.answer()[0] == 200


@pytest.mark.parametrize("method, query", [
    ("PUT", "?comp=metadata"), ("PUT", "?comp=snapshot"), ("POST", "?comp=query")])
def test_a_write_without_a_body_needs_its_length_too(client, raw, container, method, query):
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    data = head_bytes(client, method, "/%s/b%s" % (container, query), b"")
    cut = b"\r\n".join(line for line in data.split(b"\r\n")
                       if not line.lower().startswith(b"content-length"))
    assert cut != data
    raw.send(cut)
    status, answer, _ = raw.answer()
    assert (status, answer["x-ms-error-code"]) == (411, "MissingContentLengthHeader")
    raw.send(data)
    assert raw.answer()[0] != 411


def test_chunked_is_refused(client, raw, container):
    data = head_bytes(client, "GET", "/%s/b" % container, headers={"Transfer-Encoding": "chunked"})
    raw.send(data + b"5\r\nhello\r\n0\r\n\r\n")
    status, headers, _ = raw.answer()
    assert (status, headers["x-ms-error-code"]) == (411, "MissingContentLengthHeader")
    assert raw.ended()


@pytest.mark.parametrize("data, status", [
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET http://h/devstoreaccount1/c/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 70000, 431),
    (b"GET / HTTP/3.0\r\n\r\n", 505),
    (b"BREW / HTTP/1.1\r\n\r\n", 405)])
def test_heads_that_must_not_be_misread(raw, data, status):
    raw.send(data)
    got, headers, body = raw.answer()
    assert got == status
    assert headers["x-ms-error-code"]
    assert body.startswith(b"<?xml")
    if b"http://" not in data and data != b"GET / HTTP/1.1\r\n\r\n":
        assert headers["connection"] == "close"
        assert raw.ended()


def test_a_refused_short_body_keeps_the_connection(client, raw, container):
    body = b"x" * 30000
    bad = {"x-ms-blob-type": "BlockBlob", "Authorization": "SharedKey devstoreaccount1:x"}
    raw.send(head_bytes(client, "PUT", "/%s/b" % container, body, bad) + body)
    status, headers, _ = raw.answer()
    assert (status, headers["connection"]) == (403, "keep-alive")
    raw.send(head_bytes(client, "GET", "/?comp=list"))
    assert raw.answer()[0] == 200


def test_a_refused_long_body_gets_its_answer_all_the_same(client, raw, container):
    body = bytes(20 * MIB)
    bad = {"x-ms-blob-type": "BlockBlob", "Authorization": "SharedKey devstoreaccount1:x"}
    raw.send(head_bytes(client, "PUT", "/%s/b" % container, body, bad))
    raw.send(body)
    status, headers, _ = raw.answer()
    assert (status, headers["connection"]) == (403, "close")


@pytest.mark.parametrize("version, path, limit", [
    ("2023-11-03", "b", 5000 * MIB), ("2018-11-09", "b", 256 * MIB),
    ("2023-11-03", "b?comp=block&blockid=AAAA", 4000 * MIB),
    ("2018-11-09", "b?comp=block&blockid=AAAA", 100 * MIB)])
def test_limits_are_enforced_before_the_body(client, daemon, container, version, path, limit):
    # Room is set aside before the body is asked for; a small disk says so then.
    disk = os.statvfs(os.path.dirname(daemon.log))
    fits = 100 if disk.f_bavail * disk.f_frsize > limit + 64 * MIB else 507
    for size, status in ((limit + 1, 413), (limit, fits)):
        raw = Raw(daemon.port)
        headers = {"Content-Length": str(size), "Expect": "100-continue", "x-ms-version": version}
        if "comp" not in path:
            headers["x-ms-blob-type"] = "BlockBlob"
        raw.send(head_bytes(client, "PUT", "/%s/%s" % (container, path), None, headers))
        got = raw.head()
        assert got[0] == status
        if status == 413:
            assert got[1]["x-ms-error-code"] == "RequestBodyTooLarge"
        raw.socket.close()


def test_a_client_that_goes_away_leaves_nothing(client, daemon, container):
    path = "/%s/gone" % container
    raw = Raw(daemon.port)
    raw.send(head_bytes(client, "PUT", path, bytes(10 * MIB), {"x-ms-blob-type": "BlockBlob"}))
    raw.send(bytes(5 * MIB))
    raw.socket.close()
    raw.file.close()
    raw = Raw(daemon.port)
    raw.send(head_bytes(client, "PUT", path, b"1234", {"x-ms-blob-type": "BlockBlob"}) + b"12")
    raw.socket.close()
    raw.file.close()
    assert client.get(path).status == 404
    assert client.put_blob(path, b"now").status == 201


def test_many_clients_at_once(daemon, container):
    clients = [Client(daemon.port) for _ in range(50)]
    data = [os.urandom(150000) for _ in clients]
    for i, client in enumerate(clients):
        target, headers = client.head("PUT", "/%s/%d" % (container, i), data[i],
                                      {"x-ms-blob-type": "BlockBlob"})
        client.connection.request("PUT", target, body=data[i], headers=headers)
    for client in clients:
        response = client.connection.getresponse()
        response.read()
        assert response.status == 201
    for i, client in enumerate(clients):
        target, headers = client.head("GET", "/%s/%d" % (container, i))
        client.connection.request("GET", target, headers=headers)
    for i, client in enumerate(clients):
        assert client.connection.getresponse().read() == data[i]
        client.close()


@pytest.mark.door
def test_more_connections_than_allowed_are_told_so(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--max-connections", "2"])
    first, second = Raw(daemon.port), Raw(daemon.port)
    for raw in (first, second):
        raw.send(head_bytes(Client(daemon.port), "GET", "/?comp=list"))
        assert raw.answer()[0] == 200
    third = Raw(daemon.port)
    status, headers, _ = third.answer()
    assert (status, headers["x-ms-error-code"]) == (503, "ServerBusy")
    first.socket.close()
    first.file.close()

    def room():
        raw = Raw(daemon.port)
        try:
            raw.send(head_bytes(Client(daemon.port), "GET", "/?comp=list"))
            answer = raw.answer()
        except OSError:
            return False
        return answer is not None and answer[0] == 200

    wait_for(room)
    daemon.stop()
