# SPDX-License-Identifier: MIT
"""Snapshot Blob, what reads and deletes snapshots, and how they are listed."""

import urllib.parse

import pytest


def snapshot(client, path, headers=None):
    answer = client.put(path + "?comp=snapshot", headers=headers)
    assert answer.status == 201, answer
    return answer


def of(path, answer, more=""):
    return "%s?%ssnapshot=%s" % (path, more, urllib.parse.quote(answer["x-ms-snapshot"]))


def test_a_snapshot_keeps_content_properties_and_metadata(client, container):
    path = "/%s/b" % container
    put = client.put_blob(path, b"first", {"x-ms-meta-k": "v", "Content-Type": "a/b"})
    taken = snapshot(client, path)
    assert taken["ETag"] == put["ETag"]
    assert taken["Last-Modified"] == put["Last-Modified"]
    client.put_blob(path, b"second")
    assert client.get(path).body == b"second"
    found = client.get(of(path, taken))
    assert (found.status, found.body) == (200, b"first")
    assert found["x-ms-meta-k"] == "v"
    assert found["Content-Type"] == "a/b"
    assert found["ETag"] == put["ETag"]
    head = client.request("HEAD", of(path, taken))
    assert (head.status, head["Content-Length"]) == (200, "5")
    assert client.get(of(path, taken, "comp=metadata&"))["x-ms-meta-k"] == "v"
    part = client.get(of(path, taken), {"x-ms-range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"ir")


def test_a_snapshot_may_have_metadata_of_its_own(client, container):
    path = "/%s/b" % container
    put = client.put_blob(path, b"x", {"x-ms-meta-k": "v"})
    taken = snapshot(client, path, {"x-ms-meta-other": "w"})
    assert taken["ETag"] != put["ETag"]
    found = client.get(of(path, taken))
    assert (found["x-ms-meta-other"], found["x-ms-meta-k"]) == ("w", None)
    assert found["ETag"] == taken["ETag"]
    assert client.get(path)["ETag"] == put["ETag"]


def test_conditions_of_a_snapshot(client, container):
    path = "/%s/b" % container
    put = client.put_blob(path, b"x")
    refused = client.put(path + "?comp=snapshot", headers={"If-None-Match": put["ETag"]})
    assert (refused.status, refused.code) == (412, "ConditionNotMet")
    assert client.put(path + "?comp=snapshot", headers={"If-Match": put["ETag"]}).status == 201
    missing = client.put("/%s/none?comp=snapshot" % container)
    assert (missing.status, missing.code) == (404, "BlobNotFound")
    assert client.put("/none-%s/b?comp=snapshot" % container).code == "ContainerNotFound"


def test_delete_asks_about_snapshots(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"x")
    one, two = snapshot(client, path), snapshot(client, path)
    refused = client.delete(path)
    assert (refused.status, refused.code) == (409, "SnapshotsPresent")
    for value in ("include", "only"):
        refused = client.delete(of(path, one), {"x-ms-delete-snapshots": value})
        assert refused.status == 400
    deleted = client.delete(of(path, one))
    assert (deleted.status, deleted["x-ms-delete-type-permanent"]) == (202, "true")
    assert client.get(of(path, one)).code == "BlobNotFound"
    assert client.get(of(path, two)).status == 200
    assert client.delete(path, {"x-ms-delete-snapshots": "only"}).status == 202
    assert client.get(of(path, two)).status == 404
    assert client.get(path).status == 200
    snapshot(client, path)
    assert client.delete(path, {"x-ms-delete-snapshots": "include"}).status == 202
    assert client.get(path).status == 404
    assert client.list_blobs(container, include="snapshots").xml().findall(".//Blob") == []
    assert client.delete(path, {"x-ms-delete-snapshots": "all"}).code == "InvalidHeaderValue"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_snapshots_are_listed_before_their_blob(client, container, size):
    times = []
    for name in ("a", "b"):
        client.put_blob("/%s/%s" % (container, name), b"x")
        times += [snapshot(client, "/%s/%s" % (container, name))["x-ms-snapshot"]
                  for _ in range(2)] + [None]
    found, marker = [], ""
    while True:
        answer = client.list_blobs(container, include="snapshots", maxresults=size, marker=marker)
        assert answer.status == 200, answer
        blobs = answer.xml().findall(".//Blob")
        assert len(blobs) <= size
        found += [(blob.findtext("Name"), blob.findtext("Snapshot")) for blob in blobs]
        marker = answer.xml().findtext("NextMarker")
        if not marker:
            break
    assert found == list(zip("aaabbb", times))
    plain = client.list_blobs(container).xml()
    assert [blob.findtext("Name") for blob in plain.findall(".//Blob")] == ["a", "b"]
    assert plain.find(".//Snapshot") is None


def test_block_lists_of_snapshots_are_kept(client, container):
    path = "/%s/b" % container
    client.put_block(path, "one", b"1")
    client.put_block_list(path, ["one"])
    taken = snapshot(client, path)
    client.put_block(path, "two", b"22")
    client.put_block_list(path, ["two"])
    found = client.get(of(path, taken, "comp=blocklist&blocklisttype=all&"))
    assert [block.text for block in found.xml().findall(".//Size")] == ["1"]
    assert client.get(of(path, taken)).body == b"1"


@pytest.mark.parametrize("value", ["", "x", "2024-01-01", "2024-13-01T00:00:00.0000000Z",
                                   "2024-01-01T00:00:00.0000000"])
def test_a_bad_snapshot_time_is_refused(client, container, value):
    client.put_blob("/%s/b" % container, b"x")
    answer = client.get("/%s/b?snapshot=%s" % (container, value))
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")


def test_a_snapshot_is_never_written(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"x")
    taken = snapshot(client, path)
    for more in ("", "comp=metadata&", "comp=properties&", "comp=snapshot&"):
        answer = client.put(of(path, taken, more), b"", {"x-ms-blob-type": "BlockBlob"}
                            if not more else None)
        assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue"), more
    other = client.get("%s?snapshot=2020-01-01T00:00:00.0000000Z" % path)
    assert (other.status, other.code) == (404, "BlobNotFound")
