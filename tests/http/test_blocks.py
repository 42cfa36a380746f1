# SPDX-License-Identifier: MIT
"""Put Block, Put Block List, Get Block List."""

import os

import pytest
from blobclient import block_id, block_list, crc64, md5


def blocks_of(answer, kind):
    found = answer.xml().find(kind)
    return [(block.find("Name").text, int(block.find("Size").text)) for block in found]


def test_a_blob_of_blocks(client, container):
    path = "/%s/b" % container
    data = [os.urandom(100000), os.urandom(3), os.urandom(200000)]
    for i, part in enumerate(data):
        answer = client.put_block(path, "block-%d" % i, part)
        assert answer.status == 201
        assert answer["ETag"] is None
        assert answer["Content-MD5"] is None
    assert answer["x-ms-content-crc64"] is not None
    assert client.get(path).status == 404
    answer = client.put_block_list(path, ["block-2", "block-0", "block-1"],
                                   {"x-ms-blob-content-type": "a/b", "x-ms-meta-k": "v",
                                    "Content-Type": "application/xml"})
    assert answer.status == 201
    found = client.get(path)
    assert found.body == data[2] + data[0] + data[1]
    assert found["ETag"] == answer["ETag"]
    assert found["Content-Type"] == "a/b"
    assert found["x-ms-meta-k"] == "v"
    assert found["Content-MD5"] is None


def test_block_lists_are_told(client, container):
    path = "/%s/b" % container
    client.put_block(path, "one", b"1")
    client.put_block(path, "two", b"22")
    answer = client.get(path + "?comp=blocklist&blocklisttype=all")
    assert answer.status == 200
    assert answer["ETag"] is None
    assert blocks_of(answer, "CommittedBlocks") == []
    assert blocks_of(answer, "UncommittedBlocks") == [(block_id("one"), 1), (block_id("two"), 2)]
    put = client.put_block_list(path, ["two", "one"])
    client.put_block(path, "new", b"333")
    answer = client.get(path + "?comp=blocklist&blocklisttype=all")
    assert answer["ETag"] == put["ETag"]
    assert answer["x-ms-blob-content-length"] == "3"
    assert blocks_of(answer, "CommittedBlocks") == [(block_id("two"), 2), (block_id("one"), 1)]
    assert blocks_of(answer, "UncommittedBlocks") == [(block_id("new"), 3)]
    committed = client.get(path + "?comp=blocklist")
    assert committed.xml().find("UncommittedBlocks") is None
    uncommitted = client.get(path + "?comp=blocklist&blocklisttype=uncommitted")
    assert uncommitted.xml().find("CommittedBlocks") is None
    assert client.get(path + "?comp=blocklist&blocklisttype=x").code == "InvalidQueryParameterValue"


def test_committed_uncommitted_and_latest(client, container):
    path = "/%s/b" % container
    client.put_block(path, "id", b"old")
    client.put_block_list(path, ["id"])
    client.put_block(path, "id", b"newer")
    assert client.put_block_list(path, ["id"], where="Committed").status == 201
    assert client.get(path).body == b"old"
    client.put_block(path, "id", b"newer")
    assert client.put_block_list(path, ["id"], where="Latest").status == 201
    assert client.get(path).body == b"newer"
    client.put_block(path, "id", b"newest")
    assert client.put_block_list(path, ["id"], where="Uncommitted").status == 201
    assert client.get(path).body == b"newest"
    answer = client.put_block_list(path, ["id"], where="Uncommitted")
    assert (answer.status, answer.code) == (400, "InvalidBlockList")
    assert client.get(path).body == b"newest"


def test_an_unknown_block_changes_nothing(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"before")
    client.put_block(path, "known", b"x")
    answer = client.put_block_list(path, ["known", "other"])
    assert (answer.status, answer.code) == (400, "InvalidBlockList")
    assert client.get(path).body == b"before"
    assert client.put_block_list(path, ["known", "known"]).status == 201
    assert client.get(path).body == b"xx"


def test_an_empty_list_is_an_empty_blob(client, container):
    path = "/%s/b" % container
    assert client.put_block_list(path, []).status == 201
    assert client.get(path).body == b""


def test_checksums_of_blocks(client, container):
    path = "/%s/b" % container
    data = os.urandom(1000)
    answer = client.put_block(path, "a", data, {"Content-MD5": md5(data)})
    assert answer.status == 201
    assert answer["Content-MD5"] == md5(data)
    answer = client.put_block(path, "a", data, {"x-ms-content-crc64": crc64(data)})
    assert answer["x-ms-content-crc64"] == crc64(data)
    for headers, code in [({"Content-MD5": md5(b"?")}, "Md5Mismatch"),
                          ({"x-ms-content-crc64": crc64(b"?")}, "Crc64Mismatch")]:
        answer = client.put_block(path, "a", b"worse", headers)
        assert (answer.status, answer.code) == (400, code)
    body = block_list(["a"])
    answer = client.put(path + "?comp=blocklist", body, {"Content-MD5": md5(b"?")})
    assert answer.code == "Md5Mismatch"
    assert client.put(path + "?comp=blocklist", body, {"Content-MD5": md5(body)}).status == 201
    assert client.get(path).body == data


@pytest.mark.parametrize("query, code", [
    ("comp=block", "MissingRequiredQueryParameter"),
    ("comp=block&blockid=", "InvalidQueryParameterValue"),
    ("comp=block&blockid=nonsense!", "InvalidQueryParameterValue"),
    ("comp=block&blockid=" + "A" * 88, "InvalidQueryParameterValue")])
def test_bad_block_ids_are_refused(client, container, query, code):
    answer = client.put("/%s/b?%s" % (container, query), b"x")
    assert (answer.status, answer.code) == (400, code)


def test_ids_of_one_blob_have_one_length(client, container):
    path = "/%s/b" % container
    assert client.put_block(path, "aa", b"x").status == 201
    answer = client.put_block(path, "bbb", b"x")
    assert (answer.status, answer.code) == (400, "InvalidBlobOrBlock")


def test_an_empty_block_is_refused(client, container):
    answer = client.put_block("/%s/b" % container, "a", b"")
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")


@pytest.mark.parametrize("body, code", [
    (b"", "InvalidXmlDocument"), (b"<BlockList>", "InvalidXmlDocument"),
    (b"<Blocks/>", "InvalidXmlDocument"),
    (b"<BlockList><Latest>?</Latest></BlockList>", "InvalidBlockId"),
    (b'<!DOCTYPE a [<!ENTITY x "y">]><BlockList/>', "InvalidXmlDocument")])
def test_bad_lists_are_refused(client, container, body, code):
    answer = client.put("/%s/b?comp=blocklist" % container, body)
    assert (answer.status, answer.code) == (400, code)


def test_a_list_of_more_than_50000_is_refused(client, container):
    path = "/%s/b" % container
    client.put_block(path, "a", b"x")
    answer = client.put_block_list(path, ["a"] * 50001)
    assert (answer.status, answer.code) == (400, "BlockListTooLong")
    assert client.put_block_list(path, ["a"] * 50000).status == 201
    assert client.get(path).body == b"x" * 50000
    assert client.get(path, {"Range": "bytes=49990-"}).body == b"x" * 10


def test_put_block_has_no_conditions(client, container):
    answer = client.put_block("/%s/b" % container, "a", b"x", {"If-Match": "*"})
    assert (answer.status, answer.code) == (400, "ConditionHeadersNotSupported")


def test_put_blob_drops_uncommitted_blocks(client, container):
    path = "/%s/b" % container
    client.put_block(path, "a", b"x")
    client.put_blob(path, b"whole")
    assert client.put_block_list(path, ["a"]).code == "InvalidBlockList"


def test_a_block_in_an_absent_container(client):
    assert client.put_block("/no-such-one/b", "a", b"x").code == "ContainerNotFound"
    assert client.put_block_list("/no-such-one/b", []).code == "ContainerNotFound"
