# SPDX-License-Identifier: MIT
"""A server upstream that misbehaves: what the caller gets, and what is asked for again."""

import hashlib
import os
import random
import socket
import struct
import threading
import time

import pytest

from blobclient import Client
from servers import listener, quiet_environment
from fake import Fake, answer, early, head, hold, lost, ranged, raw, truncated

XML = {"Content-Type": "application/xml"}
BIG = random.Random(1).randbytes(9 << 20)


def url(server):
    return "https://127.0.0.1:%d/devstoreaccount1" % server.port


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_error_is_tried_again(fake, through, status):
    fake.script = [answer(status), answer(status), answer(200, {}, b"in the end")]
    got = through.get("/c/b")
    assert (got.status, got.body) == (200, b"in the end")
    assert len(fake.take()) == 3


@pytest.mark.parametrize("status,code", [(400, "InvalidInput"), (403, "AuthorizationFailure"),
                                         (404, "BlobNotFound"), (409, "LeaseIdMissing"),
                                         (416, "InvalidRange"), (501, "NotImplemented")])
def test_a_lasting_error_is_the_answer(fake, through, status, code):
    body = b"<?xml version='1.0'?><Error><Code>%s</Code></Error>" % code.encode()
    fake.script = [answer(status, {"x-ms-error-code": code, **XML}, body)]
    got = through.get("/c/b")
    assert (got.status, got.code, got.body) == (status, code, body)
    assert got["x-ms-request-id"] == "upstream-id"
    assert len(fake.take()) == 1


def test_attempts_end_and_the_last_answer_is_passed_on(fake, through):
    fake.default = answer(503, {"x-ms-error-code": "ServerBusy", "Retry-After": "0"})
    got = through.get("/c/b")
    assert (got.status, got.code, got["Retry-After"]) == (503, "ServerBusy", "0")
    assert len(fake.take()) == 4


def test_no_retries_when_there_should_be_none(fake, start):
    client = Client(start(url(fake), retries=0).port)
    fake.default = answer(503)
    assert client.get("/c/b").status == 503
    client.close()
    assert len(fake.take()) == 1


def test_retry_after_is_waited_for(fake, through):
    """The pause would be a millisecond: it can only be longer because it was asked for."""
    fake.script = [answer(503, {"Retry-After": "2"}), answer(200)]
    before = time.monotonic()
    assert through.get("/c/b").status == 200
    assert time.monotonic() - before >= 2
    fake.take()


def test_a_retry_after_beyond_the_budget_is_for_the_caller(fake, start):
    client = Client(start(url(fake), retry_budget=1000).port)
    fake.script = [answer(503, {"Retry-After": "3600", "x-ms-error-code": "ServerBusy"})]
    got = client.get("/c/b")
    client.close()
    assert (got.status, got["Retry-After"]) == (503, "3600")
    assert len(fake.take()) == 1


def test_an_account_in_trouble_gets_few_attempts_more(fake, start):
    """The purse of 1,000 coins is empty after 100 of them."""
    client = Client(start(url(fake), retries=10, retry_delay=0).port)
    fake.default = answer(503)
    for _ in range(30):
        assert client.get("/c/b").status == 503
    client.close()
    assert len(fake.take()) == 30 + 100


@pytest.mark.parametrize("length", [0, 1, 5000, 199999])
def test_a_short_body_that_breaks_off_is_asked_for_again(fake, through, length):
    body = BIG[:200000]
    fake.script = [truncated(200, {"ETag": '"0x1"'}, body, length), answer(200, {}, body)]
    assert through.get("/c/b").body == body
    assert len(fake.take()) == 2


def test_a_long_body_that_breaks_off_goes_on_where_it_was(fake, through):
    fake.default = ranged(BIG)
    fake.script = [ranged(BIG, limit=5000000), ranged(BIG, limit=1000000)]
    got = through.get("/c/b")
    assert hashlib.sha256(got.body).digest() == hashlib.sha256(BIG).digest()
    requests = fake.take()
    assert len(requests) > 2
    assert all(r.headers["if-match"] == '"0x1"' for r in requests[1:])
    assert requests[1].headers["x-ms-range"].startswith("bytes=")


def test_a_range_that_breaks_off_goes_on_in_the_blobs_own_numbers(fake, through):
    fake.script = [ranged(BIG, limit=700000)]
    fake.default = ranged(BIG)
    got = through.get("/c/b", {"x-ms-range": "bytes=1000000-4999999", "If-None-Match": '"other"'})
    assert got.status == 206
    assert got.body == BIG[1000000:5000000]
    again = fake.take()[1]
    first = int(again.headers["x-ms-range"].partition("=")[2].partition("-")[0])
    assert 1000000 < first < 5000000
    # that condition was met; what counts now is that it is the same blob
    assert "if-none-match" not in again.headers


def test_a_blob_that_changes_while_it_is_read_is_not_mixed(fake, through):
    fake.script = [ranged(BIG, '"0x1"', limit=5000000)]
    fake.default = ranged(BIG[::-1], '"0x2"')
    with pytest.raises(Exception):
        through.get("/c/b")
    assert fake.take()[1].headers["if-match"] == '"0x1"'


def test_a_body_that_is_longer_than_its_length_is_cut(fake, through):
    fake.script = [raw(head(200, {"Content-Length": 5}) + b"hello and more")]
    got = through.get("/c/b")
    assert (got.status, got.body) == (200, b"hello")
    fake.take()


def test_a_body_in_chunks_gets_a_length(fake, through):
    fake.script = [raw(head(200, {"Transfer-Encoding": "chunked", **XML}) +
                       b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: no\r\n\r\n")]
    got = through.get("/c?restype=container&comp=list")
    assert (got.status, got.body, got["Content-Length"]) == (200, b"hello world", "11")
    assert got["Transfer-Encoding"] is None and got["Trailer"] is None
    fake.take()


@pytest.mark.parametrize("bytes_", [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: %s\r\n" % (b"y" * 8000) * 12 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
], ids=["no-http", "status", "negative", "letters", "nul", "huge-head", "bad-chunk"])
def test_an_answer_that_is_none_is_an_error(fake, through, bytes_):
    fake.default = raw(bytes_)
    got = through.get("/c/b")
    assert got.status == 502, got
    fake.take()


def test_a_redirect_is_refused(fake, through):
    with_location = answer(307, {"Location": "https://127.0.0.1:1/elsewhere"})
    fake.script = [with_location]
    got = through.get("/c/b")
    assert (got.status, got.code, got["Location"]) == (502, "UpstreamRedirect", None)
    assert len(fake.take()) == 1


def test_a_slow_answer_is_waited_for(fake, through):
    event = threading.Event()
    fake.script = [hold(event, answer(200, {}, b"slow"))]
    got = []
    thread = threading.Thread(target=lambda: got.append(through.get("/c/b")))
    thread.start()
    assert not got
    event.set()
    thread.join(60)
    assert got[0].body == b"slow"
    assert len(fake.take()) == 1


def test_no_answer_at_all_is_given_up(fake, start):
    """How long a connection takes to be made is another matter, and may be longer."""
    relay = start(url(fake), timeout=2000, connect_timeout=120000, retries=1)
    client = Client(relay.port, timeout=300)
    never = threading.Event()
    fake.default = hold(never, answer(200))
    got = client.get("/c/b")
    assert (got.status, got.code) == (502, "UpstreamLost")
    got = client.delete("/c/b")
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    client.close()
    never.set()
    assert len([request for request in fake.take() if request.method == "DELETE"]) < 2


def test_a_connection_that_is_slow_to_be_made_is_waited_for(certificates, start):
    """As long as connect-timeout says, whatever the limit for a silent exchange is."""
    server = listener()
    relay = start("https://127.0.0.1:%d/devstoreaccount1" % server.getsockname()[1], timeout=1,
                  connect_timeout=120000, retries=0)
    client = Client(relay.port, timeout=300)
    got = []
    thread = threading.Thread(target=lambda: got.append(client.get("/c/b")))
    thread.start()
    connection, _ = server.accept()
    # a second goes by in which nothing moves after its first message
    connection.settimeout(1)
    with pytest.raises(TimeoutError):
        while True:
            assert connection.recv(65536), "it was given up"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    thread.join(120)
    client.close()
    server.close()
    assert got[0].code == "UpstreamUnreachable"
    assert b"nothing moved" not in got[0].body


def test_a_server_that_is_not_there(start):
    client = Client(start("https://127.0.0.1:1/devstoreaccount1", retries=1).port)
    got = client.put_blob("/c/b", b"x")
    client.close()
    assert (got.status, got.code) == (502, "UpstreamUnreachable")


def test_it_comes_back(fake, start, certificates):
    """Nothing was sent, so even an append may be tried again."""
    gone = Fake(certificates)
    relay = start("https://127.0.0.1:%d/devstoreaccount1" % gone.port, retries=100,
                  retry_delay=100, retry_max_delay=100)
    gone.stop()
    client = Client(relay.port, timeout=60)
    got = []
    thread = threading.Thread(
        target=lambda: got.append(client.put("/c/b?comp=appendblock", b"x")))
    thread.start()
    back = Fake(certificates, gone.port)
    thread.join(60)
    client.close()
    assert got[0].status == 200
    assert len(back.take()) == 1
    back.stop()


def test_a_certificate_of_nobody_is_refused(fake, start):
    """Without ca= the test's own authority is unknown."""
    client = Client(start(url(fake), ca=None, retries=0).port)
    got = client.get("/c/b")
    client.close()
    assert (got.status, got.code) == (502, "UpstreamUnreachable")
    assert b"certificate" in got.body
    assert not fake.take()


def test_a_certificate_for_another_name_is_refused(fake, start):
    client = Client(start("https://127.0.0.2:%d/devstoreaccount1" % fake.port, retries=0).port)
    got = client.get("/c/b")
    client.close()
    assert (got.status, got.code) == (502, "UpstreamUnreachable")
    assert not fake.take()


def test_connections_are_kept_and_a_closed_one_is_no_attempt(fake, relay, through):
    for _ in range(20):
        assert through.get("/c/b").status == 200
    assert fake.connections == 1
    # closed by the server while idle: an append on it must not be lost, nor done twice
    fake.script = [early(200)]
    assert through.get("/c/b").status == 200
    assert through.put("/c/b?comp=appendblock", b"x").status == 200
    assert len([r for r in fake.take() if r.method == "PUT"]) == 1
    assert fake.connections == 2


def test_there_are_never_more_connections_than_allowed(fake, start):
    relay = start(url(fake), connections=3)
    arrived, release = threading.Semaphore(0), threading.Event()

    def act(exchange):
        arrived.release()
        release.wait(60)
        answer(200)(exchange)
    fake.default = act
    clients = [Client(relay.port, timeout=60) for _ in range(8)]
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(c.get("/c/b").status))
               for c in clients]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert arrived.acquire(timeout=60)
    assert fake.connections == 3
    release.set()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 8
    assert fake.connections == 3
    for client in clients:
        client.close()
    fake.take()


def test_readers_that_pause_lend_their_connections(fake, start):
    """Two connections, and four readers in the middle of long blobs: all come to an end."""
    relay = start(url(fake), connections=2)
    fake.default = ranged(BIG)
    clients = [Client(relay.port, timeout=60) for _ in range(4)]
    responses = []
    for client in clients:
        target, sent = client.head("GET", "/c/b")
        client.connection.request("GET", target, headers=sent)
        responses.append(client.connection.getresponse())
    digests = [hashlib.sha256(response.read()).digest() for response in responses]
    assert digests == [hashlib.sha256(BIG).digest()] * 4
    for client in clients:
        client.close()
    fake.take()


def test_memory_does_not_grow_with_the_body(fake, start):
    """A body 20 times as long as what may be held, both ways."""
    # freed memory would be kept for a while by the sanitizer
    asan = quiet_environment()["ASAN_OPTIONS"] + ":quarantine_size_mb=1"
    relay = start(url(fake), hold_max=1, hold_total=2, env=quiet_environment(ASAN_OPTIONS=asan))
    client = Client(relay.port, timeout=120)
    assert client.get("/c/b").status == 200
    before = relay.memory()
    size = 200 << 20

    def swallow(exchange):
        left = int(exchange.headers["content-length"])
        while left:
            left -= len(exchange.stream.read(min(left, 1 << 20)))
        exchange.send(head(201, {"Content-Length": 0}))
    fake.script = [swallow]
    assert client.put_blob("/c/b", bytes(size)).status == 201

    def flood(exchange):
        exchange.send(head(200, {"Content-Length": size, "ETag": '"0x1"'}))
        for _ in range(size >> 20):
            exchange.send(bytes(1 << 20))
    fake.script = [flood]
    target, sent = client.head("GET", "/c/b")
    client.connection.request("GET", target, headers=sent)
    response = client.connection.getresponse()
    left = size
    while data := response.read(1 << 20):
        left -= len(data)
    client.close()
    assert left == 0
    assert relay.memory() - before < 60 << 20
    fake.take()


def test_a_streamed_body_whose_answer_is_lost(fake, start):
    relay = start(url(fake), hold_max=0)
    client = Client(relay.port)
    fake.script = [lost()]
    got = client.put_blob("/c/b", os.urandom(3 << 20), {"If-None-Match": "*"})
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    assert len(fake.take()) == 1
    # safe to repeat, but not by the relay, which has not got the body any more
    fake.script = [lost()]
    got = client.put_block("/c/b", "one", os.urandom(3 << 20))
    assert (got.status, got.code) == (502, "UpstreamLost")
    assert len(fake.take()) == 1
    client.close()


def test_a_streamed_body_waits_for_its_server(fake, start, certificates):
    """As long as nothing was sent the first bytes are still there."""
    gone = Fake(certificates)
    relay = start(url(gone), retries=100, retry_delay=100, retry_max_delay=100, hold_max=0)
    gone.stop()
    client = Client(relay.port, timeout=60)
    body, got = os.urandom(3 << 20), []
    thread = threading.Thread(target=lambda: got.append(client.put_blob("/c/b", body)))
    thread.start()
    back = Fake(certificates, gone.port)
    thread.join(60)
    client.close()
    assert got[0].status == 200
    assert [request.body for request in back.take()] == [body]
    back.stop()


def test_an_early_refusal_of_a_streamed_body_is_the_answer(fake, start):
    relay = start(url(fake), hold_max=0)
    client = Client(relay.port, timeout=60)
    fake.script = [early(404, {"x-ms-error-code": "ContainerNotFound"}, b"<Error/>")]
    got = client.put_blob("/c/b", bytes(6 << 20))
    client.close()
    assert (got.status, got.code, got.body) == (404, "ContainerNotFound", b"<Error/>")
    assert len(fake.take()) == 1


def test_a_write_whose_answer_broke_off_is_unknown(fake, through):
    fake.script = [truncated(201, {}, b"x" * 100, 10)]
    got = through.put("/c/b?comp=snapshot")
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    assert len(fake.take()) == 1


def test_a_client_that_gives_up_leaves_half_a_request(fake, start):
    relay = start(url(fake), hold_max=0)
    client = Client(relay.port)
    seen = threading.Event()

    def act(exchange):
        try:
            exchange.read_body()
        except (EOFError, OSError):
            seen.set()
            raise
    fake.script = [act]
    target, sent = client.head("PUT", "/c/b", headers={"x-ms-blob-type": "BlockBlob",
                                                       "Content-Length": str(4 << 20)})
    client.connection.putrequest("PUT", target, skip_accept_encoding=True)
    for name, value in sent.items():
        client.connection.putheader(name, value)
    client.connection.endheaders(bytes(2 << 20))
    client.close()
    assert seen.wait(60)
    fake.take()
