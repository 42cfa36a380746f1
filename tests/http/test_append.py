# SPDX-License-Identifier: MIT
"""Append blobs: create, Append Block and its conditions, seal."""

import threading

import pytest
from blobclient import Client, crc64, md5


def create(client, path, headers=None):
    sent = {"x-ms-blob-type": "AppendBlob"}
    sent.update(headers or {})
    answer = client.put(path, b"", sent)
    assert answer.status == 201, answer
    return answer


def append(client, path, body, headers=None):
    return client.put(path + "?comp=appendblock", body, headers)


@pytest.fixture
def path(client, container):
    name = "/%s/log" % container
    create(client, name)
    return name


def test_blocks_go_to_the_end(client, container):
    path = "/%s/a" % container
    made = create(client, path, {"x-ms-meta-k": "v", "x-ms-blob-content-type": "text/x",
                                 "x-ms-tags": "a=b"})
    head = client.request("HEAD", path)
    assert head["x-ms-blob-type"] == "AppendBlob"
    assert (head["Content-Length"], head["x-ms-blob-committed-block-count"]) == ("0", "0")
    assert (head["x-ms-meta-k"], head["Content-Type"]) == ("v", "text/x")
    assert head["x-ms-tag-count"] == "1"
    assert head["x-ms-access-tier"] is None
    first = append(client, path, b"abc")
    assert first.status == 201
    assert first["x-ms-blob-append-offset"] == "0"
    assert first["x-ms-blob-committed-block-count"] == "1"
    assert first["ETag"] != made["ETag"]
    second = append(client, path, b"x" * 100000)
    assert second["x-ms-blob-append-offset"] == "3"
    assert second["x-ms-blob-committed-block-count"] == "2"
    found = client.get(path)
    assert found.body == b"abc" + b"x" * 100000
    assert found["ETag"] == second["ETag"]
    part = client.get(path, {"x-ms-range": "bytes=1-4"})
    assert (part.status, part.body) == (206, b"bcxx")
    # a new one of the same name is empty
    create(client, path)
    assert client.get(path).body == b""


def test_positions_and_sizes(client, path):
    append(client, path, b"abc")
    refused = append(client, path, b"x", {"x-ms-blob-condition-appendpos": "2"})
    assert (refused.status, refused.code) == (412, "AppendPositionConditionNotMet")
    assert append(client, path, b"def", {"x-ms-blob-condition-appendpos": "3"}).status == 201
    refused = append(client, path, b"ghi", {"x-ms-blob-condition-maxsize": "8"})
    assert (refused.status, refused.code) == (412, "MaxBlobSizeConditionNotMet")
    assert append(client, path, b"gh", {"x-ms-blob-condition-maxsize": "8"}).status == 201
    assert client.get(path).body == b"abcdefgh"
    for value in ("", "x", "-1", "1.5", "99999999999999999999"):
        refused = append(client, path, b"x", {"x-ms-blob-condition-appendpos": value})
        assert (refused.status, refused.code) == (400, "InvalidHeaderValue")


def test_conditions(client, path):
    etag = append(client, path, b"a")["ETag"]
    assert append(client, path, b"b", {"If-None-Match": etag}).code == "ConditionNotMet"
    assert append(client, path, b"b", {"If-Match": etag}).status == 201
    assert append(client, path, b"c", {"If-Match": etag}).status == 412
    assert client.get(path).body == b"ab"


def test_checksums(client, path):
    body = b"some bytes"
    assert append(client, path, body, {"Content-MD5": md5(b"other")}).code == "Md5Mismatch"
    assert append(client, path, body, {"x-ms-content-crc64": crc64(b"x")}).code == "Crc64Mismatch"
    answer = append(client, path, body, {"Content-MD5": md5(body)})
    assert (answer.status, answer["Content-MD5"]) == (201, md5(body))
    answer = append(client, path, body, {"x-ms-content-crc64": crc64(body)})
    assert (answer.status, answer["x-ms-content-crc64"]) == (201, crc64(body))
    assert client.get(path).body == body + body


def test_limits(client, path):
    assert append(client, path, b"").code == "InvalidHeaderValue"
    old = {"x-ms-version": "2021-12-02"}
    refused = append(client, path, b"x" * (4 * 1024 * 1024 + 1), old)
    assert (refused.status, refused.code) == (413, "RequestBodyTooLarge")
    assert append(client, path, b"x" * (4 * 1024 * 1024), old).status == 201
    assert append(client, path, b"y" * (5 * 1024 * 1024)).status == 201
    assert len(client.get(path).body) == 9 * 1024 * 1024


def test_only_append_blobs_take_blocks(client, container, path):
    other = "/%s/b" % container
    client.put_blob(other, b"x")
    refused = append(client, other, b"x")
    assert (refused.status, refused.code) == (409, "InvalidBlobType")
    assert append(client, "/%s/none" % container, b"x").code == "BlobNotFound"
    assert client.put_block(path, "id", b"x").code == "InvalidBlobType"
    assert client.put_block_list(path, []).code == "InvalidBlobType"
    assert client.get(path + "?comp=blocklist").code == "InvalidBlobType"
    refused = client.put(path, b"x", {"x-ms-blob-type": "AppendBlob"})
    assert (refused.status, refused.code) == (400, "InvalidHeaderValue")
    refused = client.put(path, b"", {"x-ms-blob-type": "AppendBlob", "x-ms-access-tier": "Hot"})
    assert (refused.status, refused.code) == (400, "InvalidHeaderValue")


def test_a_sealed_blob_takes_no_more(client, container, path):
    append(client, path, b"abc")
    refused = client.put(path + "?comp=seal", headers={"x-ms-blob-condition-appendpos": "2"})
    assert refused.code == "AppendPositionConditionNotMet"
    answer = client.put(path + "?comp=seal", headers={"x-ms-blob-condition-appendpos": "3"})
    assert (answer.status, answer["x-ms-blob-sealed"]) == (200, "true")
    head = client.request("HEAD", path)
    assert (head["x-ms-blob-sealed"], head["ETag"]) == ("true", answer["ETag"])
    refused = append(client, path, b"d")
    assert (refused.status, refused.code) == (409, "BlobIsSealed")
    assert client.put(path + "?comp=seal").status == 200
    assert client.get(path)["x-ms-blob-sealed"] == "true"
    listed = client.list_blobs(container).xml().find(".//Blob/Properties")
    assert listed.findtext("BlobType") == "AppendBlob"
    assert listed.findtext("Sealed") == "true"
    client.put_blob("/%s/b" % container, b"x")
    assert client.put("/%s/b?comp=seal" % container).code == "InvalidBlobType"


def test_appends_of_many_clients_are_whole(daemon, container, path):
    def run(mark):
        client = Client(daemon.port)
        for _ in range(20):
            assert append(client, path, bytes([mark]) * 37).status == 201
        client.close()

    threads = [threading.Thread(target=run, args=(mark,)) for mark in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = Client(daemon.port)
    body = client.get(path).body
    parts = [body[at:at + 37] for at in range(0, len(body), 37)]
    assert all(part == part[:1] * 37 for part in parts)
    assert sorted(part[0] for part in parts) == sorted(list(range(8)) * 20)
    client.close()


def test_snapshots_and_readers_keep_what_they_saw(client, path):
    append(client, path, b"first")
    taken = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    append(client, path, b"second")
    assert client.get("%s?snapshot=%s" % (path, taken)).body == b"first"
    assert client.get(path).body == b"firstsecond"
