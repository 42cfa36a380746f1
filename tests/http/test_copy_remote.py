# SPDX-License-Identifier: MIT
"""Copies from other hosts: those that are allowed, at addresses that are, and what they may do."""

import http.server
import random
import threading

import pytest

from blobclient import Client, block_list, crc64, md5
from daemon import Daemon

BIG = random.Random(4).randbytes(3 << 20)
KINDS = {"copy": {}, "copy-from-url": {"x-ms-requires-sync": "true"},
         "put-from-url": {"x-ms-blob-type": "BlockBlob"}}


class Elsewhere:
    """A server that is no Blob service, and does what a test tells it."""

    def __init__(self):
        self.requests = []
        self.act = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                outer.act(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="/file"):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def answers(self, status, body=b"", **headers):
        """Every request from now on; names of headers with "_" for "-"."""
        def act(handler):
            handler.send_response(status)
            for name, value in {"Content-Length": len(body), **headers}.items():
                if value is not None:
                    handler.send_header(name.replace("_", "-"), str(value))
            handler.end_headers()
            handler.wfile.write(body)
            handler.close_connection = True
        self.act = act
        self.requests.clear()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def elsewhere():
    server = Elsewhere()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another daemon, as a source."""
    folder = tmp_path_factory.mktemp("other")
    running = Daemon(folder / "store", folder / "log")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, elsewhere, other):
    """One that takes copies from both, and from one that is not there."""
    folder = tmp_path_factory.mktemp("daemon")
    running = Daemon(folder / "store", folder / "log",
                     ["--copy-from", "127.0.0.1:%d" % elsewhere.port,
                      "--copy-from", "127.0.0.1:%d" % other.port, "--copy-from", "127.0.0.1:1",
                      "--unsafe-copy-from-private"])
    yield running
    running.stop()


@pytest.fixture(scope="module")
def source(other):
    """The URL of a public blob at the other daemon, with headers and metadata."""
    client = Client(other.port)
    assert client.create_container("open", {"x-ms-blob-public-access": "blob"}).status == 201
    assert client.put_blob("/open/blob", BIG, {
        "x-ms-blob-content-type": "text/x-source", "x-ms-blob-cache-control": "no-store",
        "x-ms-blob-content-language": "la", "x-ms-meta-from": "source"}).status == 201
    client.close()
    return "http://127.0.0.1:%d/devstoreaccount1/open/blob" % other.port


def copy(client, target, url, **headers):
    return client.put(target, headers={"x-ms-copy-source": url, **headers})


def said(answer):
    return answer.status, answer.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_blob_of_another_host(client, container, source, kind):
    target = "/%s/target" % container
    answer = copy(client, target, source, **KINDS[kind])
    assert answer.status == (201 if kind == "put-from-url" else 202), answer
    seen = client.get(target)
    assert seen.body == BIG
    assert seen["ETag"] == answer["ETag"]
    assert seen["Content-Type"] == "text/x-source"
    assert seen["Cache-Control"] == "no-store"
    assert seen["Content-Language"] == "la"
    assert seen["Content-MD5"] == md5(BIG)
    assert seen["x-ms-meta-from"] == "source"
    if kind == "put-from-url":
        assert seen["x-ms-copy-id"] is None
    else:
        assert answer["x-ms-copy-status"] == seen["x-ms-copy-status"] == "success"
        assert answer["x-ms-copy-id"] == seen["x-ms-copy-id"]
        assert seen["x-ms-copy-source"] == source
        assert seen["x-ms-copy-progress"] == "%d/%d" % (len(BIG), len(BIG))
    if kind != "copy":
        assert answer["Content-MD5"] == md5(BIG)


@pytest.mark.parametrize("kind", KINDS)
def test_own_metadata_and_tags_take_the_place_of_the_sources(client, container, source, kind):
    target = "/%s/target" % container
    own = {"x-ms-meta-own": "yes", "x-ms-tags": "a=b"}
    assert copy(client, target, source, **KINDS[kind], **own).status in (201, 202)
    seen = client.get(target)
    assert (seen["x-ms-meta-own"], seen["x-ms-meta-from"]) == ("yes", None)
    assert seen["x-ms-tag-count"] == "1"


def test_properties_are_left_at_the_source_where_that_is_said(client, container, source):
    target = "/%s/target" % container
    assert copy(client, target, source, **KINDS["put-from-url"], **{
        "x-ms-copy-source-blob-properties": "false",
        "x-ms-blob-content-type": "text/own"}).status == 201
    seen = client.get(target)
    assert (seen["Content-Type"], seen["Cache-Control"], seen["x-ms-meta-from"]) == (
        "text/own", None, None)


def test_blocks_appended_blocks_and_pages(client, container, source):
    ranged = {"x-ms-source-range": "bytes=1000-2023"}
    part = BIG[1000:2024]
    path = "/%s/blocks" % container
    answer = copy(client, path + "?comp=block&blockid=YQ==", source, **ranged)
    assert answer.status == 201 and answer["x-ms-content-crc64"] == crc64(part)
    assert client.put(path + "?comp=block&blockid=Yg==", headers={
        "x-ms-copy-source": source}).status == 201
    assert client.put(path + "?comp=blocklist", block_list(["a", "b"])).status == 201
    assert client.get(path).body == part + BIG

    path = "/%s/appended" % container
    assert client.put(path, headers={"x-ms-blob-type": "AppendBlob"}).status == 201
    assert copy(client, path + "?comp=appendblock", source, **ranged).status == 201
    assert client.get(path).body == part

    path = "/%s/pages" % container
    assert client.put(path, headers={"x-ms-blob-type": "PageBlob",
                                     "x-ms-blob-content-length": "2048"}).status == 201
    assert copy(client, path + "?comp=page", source, **ranged, **{
        "x-ms-page-write": "update", "x-ms-range": "bytes=512-1535"}).status == 201
    assert client.get(path).body == bytes(512) + part + bytes(512)


def test_checksums_are_held_against_what_came(client, container, source):
    target = "/%s/target" % container
    for kind, sent in [("put-from-url", {"x-ms-source-content-md5": md5(b"other")}),
                       ("copy-from-url", {"x-ms-source-content-crc64": "AAAAAAAAAAE="})]:
        assert copy(client, target, source, **KINDS[kind], **sent).status == 400
    assert client.get(target).status == 404
    assert copy(client, target, source, **KINDS["put-from-url"], **{
        "x-ms-source-content-md5": md5(BIG)}).status == 201
    wrong = {"x-ms-source-content-md5": md5(b"other")}
    assert said(copy(client, target + "?comp=block&blockid=YQ==", source, **wrong)) == (
        400, "Md5Mismatch")


def test_conditions_of_the_source_go_with_the_request(client, container, source):
    target = "/%s/target" % container
    for kind in KINDS.values():
        got = copy(client, target, source, **kind, **{"x-ms-source-if-match": '"0x123"'})
        assert said(got) == (412, "SourceConditionNotMet"), got
    assert client.get(target).status == 404


def test_conditions_of_the_target_hold(client, container, source):
    target = "/%s/target" % container
    assert client.put_blob(target, b"there").status == 201
    assert said(copy(client, target, source, **{"If-None-Match": "*"})) == (409, "BlobAlreadyExists")
    assert client.get(target).body == b"there"


def test_what_the_source_says_of_rights_is_what_counts(client, container, other):
    """The key that signed the request here is not used there."""
    there = Client(other.port)
    assert there.create_container("closed").status == 201
    assert there.put_blob("/closed/b", b"x").status == 201
    there.close()
    url = "http://127.0.0.1:%d/devstoreaccount1/closed/b" % other.port
    answer = copy(client, "/%s/t" % container, url)
    assert answer.code == "CannotVerifyCopySource"
    assert answer.status in (403, 404)


def test_a_token_for_the_source_reaches_it_and_secrets_are_not_shown(client, container, elsewhere):
    elsewhere.answers(200, b"bytes")
    answer = copy(client, "/%s/t" % container, elsewhere.url("/file?sig=secret"),
                  **KINDS["copy-from-url"], **{"x-ms-copy-source-authorization": "Bearer token"})
    assert answer.status == 202, answer
    [(path, headers)] = elsewhere.requests
    assert path == "/file?sig=secret"
    assert headers["Authorization"] == "Bearer token"
    seen = client.get("/%s/t" % container)
    assert seen["x-ms-copy-source"] == elsewhere.url("/file")


@pytest.mark.parametrize("status,expected", [
    (403, (403, "CannotVerifyCopySource")), (401, (403, "CannotVerifyCopySource")),
    (404, (404, "CannotVerifyCopySource")), (410, (409, "CannotVerifyCopySource")),
    (500, (502, "CannotVerifyCopySource")), (503, (502, "CannotVerifyCopySource")),
    (304, (412, "SourceConditionNotMet")), (204, (409, "CannotVerifyCopySource"))])
def test_an_answer_that_is_no_blob(client, container, elsewhere, status, expected):
    elsewhere.answers(status)
    for kind in KINDS.values():
        assert said(copy(client, "/%s/t" % container, elsewhere.url(), **kind)) == expected
    assert client.get("/%s/t" % container).status == 404


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(client, container, elsewhere, source, status):
    elsewhere.answers(status, Location=elsewhere.url("/next"))
    answer = copy(client, "/%s/t" % container, elsewhere.url())
    assert said(answer) == (409, "CannotVerifyCopySource")
    assert "redirect" in answer.body.decode()
    assert [path for path, _ in elsewhere.requests] == ["/file"]


def test_a_source_without_a_length(client, container, elsewhere):
    elsewhere.answers(200, b"bytes", **{"Content-Length": None, "Connection": "close"})
    answer = copy(client, "/%s/t" % container, elsewhere.url())
    assert said(answer) == (409, "CannotVerifyCopySource")
    assert "how long" in answer.body.decode()


def test_a_source_that_breaks_off_leaves_what_was(client, container, elsewhere):
    target = "/%s/t" % container
    assert client.put_blob(target, b"before").status == 201
    elsewhere.answers(200, b"bytes", **{"Content-Length": 100000})
    for kind in KINDS.values():
        assert said(copy(client, target, elsewhere.url(), **kind)) == (502, "CannotVerifyCopySource")
    assert client.get(target).body == b"before"


def test_a_source_that_is_too_large_is_not_read(client, container, elsewhere):
    elsewhere.answers(200, b"bytes", **{"Content-Length": (256 << 20) + 1})
    answer = copy(client, "/%s/t" % container, elsewhere.url(), **KINDS["copy-from-url"])
    assert said(answer) == (409, "CannotVerifyCopySource")
    assert "larger" in answer.body.decode()


def test_a_host_without_ranges(client, container, elsewhere):
    elsewhere.answers(200, b"bytes")
    answer = copy(client, "/%s/t?comp=block&blockid=YQ==" % container, elsewhere.url(),
                  **{"x-ms-source-range": "bytes=1-3"})
    assert said(answer) == (409, "CannotVerifyCopySource")
    assert elsewhere.requests[0][1]["Range"] == "bytes=1-3"


def test_headers_that_could_not_be_given_on_are_dropped(client, container, elsewhere):
    elsewhere.answers(200, b"bytes", **{"Content-Language": "a\x01b", "Cache-Control": "kept",
                                        "x-ms-meta-bad": "\x7f", "x-ms-meta-good": "yes"})
    assert copy(client, "/%s/t" % container, elsewhere.url()).status == 202
    seen = client.get("/%s/t" % container)
    assert (seen["Content-Language"], seen["Cache-Control"]) == (None, "kept")
    assert (seen["x-ms-meta-bad"], seen["x-ms-meta-good"]) == (None, "yes")


def test_a_page_blob_elsewhere_is_refused(client, container, elsewhere):
    elsewhere.answers(200, bytes(512), **{"x-ms-blob-type": "PageBlob"})
    assert said(copy(client, "/%s/t" % container, elsewhere.url())) == (501, "NotImplemented")
    elsewhere.answers(200, bytes(512), **{"x-ms-blob-type": "PageBlob"})
    assert said(copy(client, "/%s/t" % container, elsewhere.url(),
                     **{"x-ms-requires-sync": "true"})) == (409, "InvalidBlobType")
    assert client.get("/%s/t" % container).status == 404


@pytest.mark.parametrize("header", ["x-ms-source-if-tags", "x-ms-source-lease-id"])
def test_what_another_host_cannot_be_asked_is_refused(client, container, source, header):
    value = "a = 'b'" if header.endswith("tags") else "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    answer = copy(client, "/%s/t" % container, source, **{header: value})
    assert (answer.status, answer.code) == (400, "UnsupportedHeader")


def test_a_host_that_is_not_there(client, container):
    answer = copy(client, "/%s/t" % container, "http://127.0.0.1:1/a/b/c")
    assert said(answer) == (502, "CannotVerifyCopySource")


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1", "127.0.0.1:{port}.example",
                                  "127.0.0.2:{port}", "[::1]:{port}"])
def test_a_host_of_another_name_is_refused_unasked(client, container, elsewhere, host):
    elsewhere.answers(200, b"bytes")
    url = "http://%s/a/b/c" % host.format(port=elsewhere.port)
    answer = copy(client, "/%s/t" % container, url)
    assert answer.status in (400, 403)
    assert not elsewhere.requests


def test_private_addresses_are_refused_after_the_name_was_resolved(tmp_path, elsewhere):
    hosts = ["127.0.0.1:%d" % elsewhere.port, "localhost:%d" % elsewhere.port]
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    [word for host in hosts for word in ("--copy-from", host)])
    client = Client(daemon.port)
    elsewhere.answers(200, b"bytes")
    assert client.create_container("cont").status == 201
    for host in hosts:
        answer = copy(client, "/cont/t", "http://%s/file" % host)
        assert said(answer) == (403, "CannotVerifyCopySource")
        assert "not of the public internet" in answer.body.decode()
    client.close()
    daemon.stop()
    assert not elsewhere.requests
