# SPDX-License-Identifier: MIT
"""The relay by the VSP link: handles, requests sent again, trust, and guest pages."""

import os
import random
import re
import subprocess
import threading

import pytest

from blobclient import Client, block_id, crc64
from fake import answer, cut_in_body, early, hold, lost, ranged
from link import RESENT, Link, head_of, plain_head
from servers import KEY, build_folder, quiet_environment

DATA = random.Random(2).randbytes(3 << 20)


@pytest.fixture
def streaming(start, fake):
    """A relay that holds no body."""
    return start("https://127.0.0.1:%d/devstoreaccount1" % fake.port, hold_max=0)


def connect(vspd, **options):
    return Link(vspd.link, **options), Client(vspd.port)


def open_upload(link, client, path, length, first=b"", headers=None):
    made = link.call(head_of(client, "PUT", path, headers={
        "x-ms-blob-type": "BlockBlob", **(headers or {}), "Content-Length": str(length),
        "Azblob-Body": "open"}), first)
    assert made.status == 202, made
    return made["Azblob-Handle"]


def part(link, handle, offset, data, headers=None):
    return link.call(plain_head("PUT", "/.azblob/%s?offset=%d" % (handle, offset), {
        "Content-Length": len(data), **(headers or {})}), data)


def commit(link, handle, **options):
    return link.call(plain_head("POST", "/.azblob/%s?commit" % handle), **options)


def test_small_requests_both_ways(storage, container):
    link, client = connect(storage)
    put = link.call(head_of(client, "PUT", "/%s/b" % container, b"guest",
                            {"x-ms-blob-type": "BlockBlob"}), b"guest")
    assert (put.wire, put.status) == (0, 201)
    got = link.call(head_of(client, "GET", "/%s/b" % container), room=100)
    assert (got.status, got.data, got["ETag"]) == (200, b"guest", put["ETag"])
    missing = link.call(head_of(client, "GET", "/%s/none" % container), room=100)
    assert (missing.wire, missing.status, missing.code) == (0, 404, "BlobNotFound")
    link.close()


def test_a_list_is_shortened_to_fit_the_guest(storage, container):
    link, client = connect(storage)
    for number in range(60):
        client.put_blob("/%s/%s%03d" % (container, "n" * 200, number), b"x")
    names, marker = 0, ""
    for _ in range(60):
        page = link.call(head_of(client, "GET", "/%s?restype=container&comp=list&marker=%s" % (
            container, marker)), room=16 << 10)
        assert (page.wire, page.status) == (0, 200), page
        names += page.data.count(b"<Blob>")
        marker = page.data.partition(b"<NextMarker>")[2].partition(b"</NextMarker>")[0].decode()
        if not marker:
            break
    assert names == 60
    link.close()


def test_a_list_of_which_the_length_is_said_first_is_shortened(fake, relay):
    """One that is longer than what is taken at once: it is put back before it is read."""
    asked = []

    def act(exchange):
        found = re.search("maxresults=([0-9]+)", exchange.target)
        asked.append(int(found[1]) if found else 5000)
        blobs = b"".join(b"<Blob><Name>%0500d</Name></Blob>" % number
                         for number in range(min(asked[-1], 2000)))
        answer(200, {"Content-Type": "application/xml"}, b"<R>%s</R>" % blobs)(exchange)
    fake.default = act
    link, client = connect(relay)
    page = link.call(head_of(client, "GET", "/c?restype=container&comp=list"), room=300 << 10)
    assert (page.wire, page.status) == (0, 200), page
    assert page.data.count(b"<Blob>") == asked[-1]
    assert page.data.endswith(b"</R>")
    # as much as fits, and the relay is there for the next one
    assert 200 << 10 < len(page.data) <= 300 << 10
    assert len(asked) > 1 and asked == sorted(asked, reverse=True)
    link.close()


@pytest.mark.parametrize("held", ["held", "streamed"])
def test_parts_in_any_order_become_one_request(fake, relay, streaming, held):
    link, client = connect(relay if held == "held" else streaming)
    size = len(DATA) // 6
    handle = open_upload(link, client, "/c/b", len(DATA))
    for number in (1, 3, 0, 5, 2):
        piece = DATA[number * size:(number + 1) * size]
        assert part(link, handle, number * size, piece).status == 202
    missing = commit(link, handle)
    assert (missing.status, missing.code) == (400, "IncompleteBody")
    assert part(link, handle, 4 * size, DATA[4 * size:5 * size]).status == 202
    fake.script = []
    done = commit(link, handle)
    assert done.status == 200
    requests = fake.take()
    assert [request.body for request in requests] == [DATA]
    # the answer again for who asks again
    assert commit(link, handle).status == 200
    assert not fake.take()
    link.close()


def test_parts_at_once(fake, streaming):
    link, client = connect(streaming)
    size = 64 << 10
    handle = open_upload(link, client, "/c/b", len(DATA))
    order = list(range(len(DATA) // size))
    random.Random(3).shuffle(order)
    waits = [link.submit(plain_head("PUT", "/.azblob/%s?offset=%d" % (handle, number * size), {
        "Content-Length": size}), DATA[number * size:(number + 1) * size]) for number in order]
    for _, event, box in waits:
        assert event.wait(120) and box[0].status == 202, box
    assert commit(link, handle).status == 200
    assert fake.take()[0].body == DATA
    link.close()


def test_a_part_sent_again(fake, streaming):
    link, client = connect(streaming)
    half = len(DATA) // 2
    handle = open_upload(link, client, "/c/b", len(DATA))
    # not yet sent on: the second form counts
    assert part(link, handle, half, bytes(half)).status == 202
    assert part(link, handle, half, DATA[half:]).status == 202
    assert part(link, handle, 0, DATA[:half]).status == 202
    # sent on: only the same bytes will do
    assert part(link, handle, 0, DATA[:half]).status == 202
    assert part(link, handle, 0, bytes(half)).code == "InvalidInput"
    assert part(link, handle, 10, DATA[:100]).code == "InvalidInput"
    assert commit(link, handle).status == 200
    assert fake.take()[0].body == DATA
    link.close()


def test_a_part_with_a_wrong_checksum_is_not_sent_on(fake, streaming):
    link, client = connect(streaming)
    body = DATA[:20000]
    handle = open_upload(link, client, "/c/b", len(body))
    wrong = part(link, handle, 0, bytes(len(body)), {"Azblob-Crc64": crc64(body)})
    assert (wrong.status, wrong.code) == (400, "Crc64Mismatch")
    assert part(link, handle, 0, body, {"Azblob-Crc64": crc64(body)}).status == 202
    assert commit(link, handle).status == 200
    assert fake.take()[0].body == body
    link.close()


def test_a_handle_that_is_forgotten_leaves_half_a_request(fake, streaming):
    link, client = connect(streaming)
    broken = threading.Event()

    def act(exchange):
        try:
            exchange.read_body()
        except (EOFError, OSError):
            broken.set()
            raise
    fake.script = [act]
    handle = open_upload(link, client, "/c/b", len(DATA), DATA[:1 << 20])
    assert part(link, handle, 1 << 20, DATA[1 << 20:]).status == 202
    assert link.call(plain_head("DELETE", "/.azblob/" + handle)).status == 202
    assert broken.wait(60)
    assert commit(link, handle).code == "HandleNotFound"
    assert len(fake.take()) == 1
    link.close()


def read_parts(link, handle, length, size, order=None):
    """The body by parallel reads, and what each gave."""
    offsets = list(range(0, length, size))
    if order:
        order.shuffle(offsets)
    waits = {offset: link.submit(plain_head("GET", "/.azblob/%s?offset=%d&length=%d" % (
        handle, offset, min(size, length - offset))), room=size) for offset in offsets}
    got = {}
    for offset, (_, event, box) in waits.items():
        assert event.wait(120) and box
        got[offset] = box[0]
    return got


def test_a_long_blob_is_read_in_any_order(fake, relay):
    blob = random.Random(4).randbytes(20 << 20)
    fake.default = ranged(blob)
    link, client = connect(relay)
    first = link.call(head_of(client, "GET", "/c/b", headers={"Azblob-Body": "open"}),
                      room=1 << 20)
    assert (first.status, first["Content-Length"]) == (200, str(len(blob)))
    assert first.data == blob[:1 << 20]
    got = read_parts(link, first["Azblob-Handle"], len(blob), 1 << 20, random.Random(5))
    assert b"".join(got[offset].data for offset in sorted(got)) == blob
    for request in fake.take()[1:]:
        assert request.headers["if-match"] == '"0x1"'
    link.close()


def test_a_signed_long_blob_is_read_in_any_order_from_one_exchange(fake, start):
    """The relay may not ask for pieces in the caller's name: what is skipped waits."""
    relay = start("https://127.0.0.1:%d/devstoreaccount1" % fake.port, key=False)
    blob = random.Random(6).randbytes(10 << 20)
    fake.default = ranged(blob)
    link, client = connect(relay)
    first = link.call(head_of(client, "GET", "/c/b", headers={"Azblob-Body": "open"}),
                      room=1 << 20)
    handle = first["Azblob-Handle"]
    size = 1 << 20
    for offset in (5 << 20, 2 << 20, 9 << 20, 1 << 20, 8 << 20, 3 << 20, 4 << 20, 6 << 20, 7 << 20):
        got = link.call(plain_head("GET", "/.azblob/%s?offset=%d&length=%d" % (
            handle, offset, size)), room=size)
        assert got.data == blob[offset:offset + size], offset
    assert len(fake.take()) == 1
    link.close()


def test_a_blob_that_changed_is_an_error_and_not_a_mixture(fake, relay):
    blob = bytes(8 << 20)
    fake.script = [ranged(blob, '"0x1"')]
    fake.default = ranged(blob, '"0x2"')
    link, client = connect(relay)
    first = link.call(head_of(client, "GET", "/c/b", headers={"Azblob-Body": "open"}), room=4096)
    got = link.call(plain_head("GET", "/.azblob/%s?offset=%d&length=100" % (
        first["Azblob-Handle"], 6 << 20)), room=100)
    assert got.status == 500
    fake.take()
    link.close()


# ------------------------------------------------------------------ sent again

def test_an_answer_is_kept_until_the_emulator_has_it(fake, relay):
    link, client = connect(relay)
    link.no_acks = True
    head = head_of(client, "PUT", "/c/b?comp=appendblock", b"once")
    first = link.call(head, b"once", number=77)
    assert first.status == 200
    link.close()
    again, _ = connect(relay, session=link.session)
    second = again.call(head, b"once", number=77, flags=RESENT)
    assert (second.status, second["x-ms-request-id"]) == (200, first["x-ms-request-id"])
    assert len(fake.take()) == 1
    again.close()


def test_after_a_restart_only_what_is_safe_is_sent_again(fake, relay, start):
    link, client = connect(relay)
    session = link.session
    requests = {
        1: (head_of(client, "PUT", "/c/b?comp=appendblock", b"x"), b"x"),
        2: (head_of(client, "PUT", "/c/b?comp=block&blockid=" + block_id("a"), b"x"), b"x"),
        3: (head_of(client, "DELETE", "/c/b"), b""),
        4: (head_of(client, "GET", "/c/b"), b""),
        5: (head_of(client, "PUT", "/c/b", b"x", {"x-ms-blob-type": "BlockBlob",
                                                  "If-None-Match": "*"}), b"x"),
    }
    link.close()
    other = start("https://127.0.0.1:%d/devstoreaccount1" % fake.port)
    again, _ = connect(other, session=session)
    fake.script = [answer(200), answer(200), answer(409)]
    room = lambda body: {} if body else {"room": 100}
    got = {number: again.call(head, body, number=number, flags=RESENT, **room(body))
           for number, (head, body) in requests.items()}
    assert [got[number].status for number in sorted(got)] == [424, 200, 424, 200, 424]
    assert got[1].code == got[3].code == got[5].code == "OutcomeUnknown"
    assert [request.method for request in fake.take()] == ["PUT", "GET", "PUT"]
    again.close()


CREATE = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}


@pytest.mark.parametrize("act", [answer(409), early(409), cut_in_body(1000), lost()],
                         ids=["refused", "refused-early", "cut", "lost"])
def test_a_streamed_body_that_is_sent_again_and_fails_is_unknown(fake, streaming, act):
    """It may be refused because the first time did it."""
    link, client = connect(streaming)
    fake.script = [act]
    got = link.call(head_of(client, "PUT", "/c/b", DATA, CREATE), DATA, number=9, flags=RESENT)
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    assert len(fake.take()) == 1
    # the first time there is no doubt
    fake.script = [answer(409)]
    assert link.call(head_of(client, "PUT", "/c/b", DATA, CREATE), DATA).status == 409
    fake.take()
    # and a second time that is done is an answer
    got = link.call(head_of(client, "PUT", "/c/b", DATA, CREATE), DATA, number=11, flags=RESENT)
    assert got.status == 200
    fake.take()
    link.close()


def test_a_streamed_body_that_cannot_be_sent_again_is_unknown(start):
    relay = start("https://127.0.0.1:1/devstoreaccount1", hold_max=0, retries=0)
    link, client = connect(relay)
    head = head_of(client, "PUT", "/c/b", DATA, CREATE)
    assert link.call(head, DATA).code == "UpstreamUnreachable"
    assert link.call(head, DATA, number=9, flags=RESENT).code == "OutcomeUnknown"
    link.close()


def test_a_lost_answer_is_an_ordinary_answer_on_the_link(fake, relay):
    link, client = connect(relay)
    fake.script = [lost()]
    got = link.call(head_of(client, "DELETE", "/c/b"))
    assert (got.wire, got.status, got.code) == (0, 424, "OutcomeUnknown")
    assert len(fake.take()) == 1
    link.close()


# ----------------------------------------------------------------------- trust

def test_without_trust_the_link_proves_nothing(fake, relay):
    link, client = connect(relay)
    fake.script = [answer(404, {"x-ms-error-code": "ResourceNotFound"})]
    got = link.call(head_of(client, "GET", "/c/b", sign=False), room=100)
    assert got.status == 404
    assert "authorization" not in fake.take()[0].headers
    stranger = Client(relay.port, key="QUJDREVGR0hJSktMTU5PUA==")
    assert link.call(head_of(stranger, "GET", "/c/b"), room=100).status == 403
    assert not fake.take()
    link.close()


def test_trust_is_for_the_link_only(fake, start):
    relay = start("https://127.0.0.1:%d/devstoreaccount1" % fake.port, trust_link="on")
    link, client = connect(relay)
    assert link.call(head_of(client, "GET", "/c/b", sign=False), room=100).status == 200
    (request,) = fake.take()
    assert request.headers["authorization"].startswith("SharedKey ")
    fake.script = [answer(404)]
    assert client.get("/c/b", sign=False).status == 404
    assert "authorization" not in fake.take()[0].headers
    assert "trust-link" in relay.logged()
    link.close()


# -------------------------------------------------------------- the real client

def test_the_command_through_guest_pages(storage, container, tmp_path):
    """azblob-over-link shares its memory with the daemon, as an emulator does."""
    source, back = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(48 << 20))
    command = [build_folder() / "client" / "azblob-over-link", "--transport", "driver",
               "--device", storage.link]
    env = quiet_environment(
        AZURE_STORAGE_CONNECTION_STRING="DefaultEndpointsProtocol=http;AccountName="
        "devstoreaccount1;AccountKey=%s;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
        % KEY)
    for arguments in (["put", source, container + "/big"], ["get", container + "/big", back]):
        subprocess.run([*command, *arguments], check=True, env=env, timeout=300)
    assert back.read_bytes() == source.read_bytes()


def test_a_slow_upstream_does_not_stop_others(fake, relay):
    link, client = connect(relay)
    event = threading.Event()
    fake.script = [hold(event, answer(200, {}, b"late"))]
    _, waits, box = link.submit(head_of(client, "GET", "/c/slow"), room=100)
    while not fake.requests:
        assert not waits.wait(0.02)
    for _ in range(3):
        assert link.call(head_of(client, "GET", "/c/b"), room=100).status == 200
    assert not waits.is_set()
    event.set()
    assert waits.wait(60) and box[0].data == b"late"
    fake.take()
    link.close()


@pytest.mark.parametrize("method,status", [("GET", 502), ("DELETE", 424)])
def test_a_cancelled_request_does_not_wait_for_upstream(fake, start, method, status):
    """Upstream would have ten minutes; the emulator gets its pages back at once."""
    link, client = connect(start("https://127.0.0.1:%d/devstoreaccount1" % fake.port,
                                 timeout=600000))
    never = threading.Event()
    fake.script = [hold(never, answer(200))]
    number, waits, box = link.submit(head_of(client, method, "/c/b"), room=100)
    while not fake.requests:
        assert not waits.wait(0.02)
    link.cancel(number)
    assert waits.wait(120)
    assert box[0].status in (None, status)
    never.set()
    assert len(fake.take()) == 1
    link.close()


def test_a_pause_between_attempts_ends_with_its_request(fake, start):
    relay = start("https://127.0.0.1:%d/devstoreaccount1" % fake.port, retry_budget=3600000)
    link, client = connect(relay)
    fake.script = [answer(503, {"Retry-After": "600"})]
    number, waits, _ = link.submit(head_of(client, "GET", "/c/b"), room=100)
    while not fake.requests:
        assert not waits.wait(0.02)
    link.cancel(number)
    assert waits.wait(120)
    assert len(fake.take()) == 1
    link.close()
