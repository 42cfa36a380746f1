# SPDX-License-Identifier: MIT
"""Blobs through the relay, in front of a real server: what goes in comes out."""

import hashlib
import os

from blobclient import Client, block_list


def test_a_small_blob_comes_back_with_its_head(client, container):
    put = client.put_blob("/%s/a%%20name" % container, b"hello", {
        "x-ms-meta-colour": "blue", "x-ms-blob-content-type": "text/plain",
        "x-ms-blob-cache-control": "no-cache"})
    assert put.status == 201, put
    got = client.get("/%s/a%%20name" % container)
    assert (got.status, got.body) == (200, b"hello")
    assert got["x-ms-meta-colour"] == "blue"
    assert got["Content-Type"] == "text/plain"
    assert got["Cache-Control"] == "no-cache"
    assert got["ETag"] == put["ETag"]


def test_a_large_blob_is_streamed_both_ways(client, container):
    data = os.urandom(20 << 20)
    assert client.put_blob("/%s/big" % container, data).status == 201
    got = client.get("/%s/big" % container)
    assert got.status == 200
    assert hashlib.sha256(got.body).digest() == hashlib.sha256(data).digest()
    part = client.get("/%s/big" % container, {"x-ms-range": "bytes=1000000-12000000"})
    assert part.status == 206
    assert part.body == data[1000000:12000001]
    assert part["Content-Range"] == "bytes 1000000-12000000/%d" % len(data)


def test_blocks_are_committed(client, container):
    path = "/%s/blocks" % container
    for name in ("one", "two"):
        assert client.put_block(path, name, name.encode() * 1000).status == 201
    assert client.put_block_list(path, ["two", "one"]).status == 201
    assert client.get(path).body == b"two" * 1000 + b"one" * 1000
    listed = client.get(path + "?comp=blocklist")
    assert len(listed.xml().findall("CommittedBlocks/Block")) == 2


def test_names_with_dots_and_slashes_arrive_as_they_are(client, container):
    for name in ("a/../b", "./x", "a//b", "%2e%2e/c", "d%C3%A4/e%3Ff"):
        assert client.put_blob("/%s/%s" % (container, name), name.encode()).status == 201, name
        assert client.get("/%s/%s" % (container, name)).body == name.encode()


def test_lists_are_paged(client, container):
    for number in range(7):
        client.put_blob("/%s/blob%d" % (container, number), b"x")
    names, marker = [], ""
    while True:
        page = client.list_blobs(container, maxresults="3", marker=marker).xml()
        names += [blob.findtext("Name") for blob in page.iter("Blob")]
        marker = page.findtext("NextMarker")
        if not marker:
            break
    assert names == ["blob%d" % number for number in range(7)]


def test_properties_metadata_and_delete(client, container):
    path = "/%s/thing" % container
    client.put_blob(path, b"abc")
    assert client.put(path + "?comp=metadata", headers={"x-ms-meta-a": "b"}).status == 200
    head = client.request("HEAD", path)
    assert (head.status, head["x-ms-meta-a"], head["Content-Length"]) == (200, "b", "3")
    assert client.delete(path).status == 202
    assert client.request("HEAD", path).status == 404


def test_an_error_is_the_other_servers_own(client, container):
    missing = client.get("/%s/missing" % container)
    assert (missing.status, missing.code) == (404, "BlobNotFound")
    assert missing.xml().findtext("Code") == "BlobNotFound"
    client.put_blob("/%s/once" % container, b"1")
    again = client.put_blob("/%s/once" % container, b"2", {"If-None-Match": "*"})
    assert (again.status, again.code) == (409, "BlobAlreadyExists")
    changed = client.put_blob("/%s/once" % container, b"2", {"If-Match": '"0x0"'})
    assert changed.status == 412
    same = client.get("/%s/once" % container, {"If-None-Match": client.get(
        "/%s/once" % container)["ETag"]})
    assert (same.status, same.body) == (304, b"")


def test_a_wrong_signature_never_leaves_the_relay(storage, container):
    stranger = Client(storage.port, key="QUJDREVGR0hJSktMTU5PUA==")
    refused = stranger.put_blob("/%s/x" % container, b"x")
    stranger.close()
    assert (refused.status, refused.code) == (403, "AuthenticationFailed")


def test_a_block_list_error_keeps_the_connection(client, container):
    bad = client.put("/%s/x?comp=blocklist" % container, block_list(["none"]))
    assert bad.status == 400
    assert client.put_blob("/%s/x" % container, b"fine").status == 201
