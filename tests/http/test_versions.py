# SPDX-License-Identifier: MIT
"""Versions, for an account that keeps them."""

import urllib.parse

import pytest
from blobclient import Client
from daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    running = Daemon(folder / "store", folder / "log", ["--versions", "devstoreaccount1"])
    yield running
    running.stop()


def of(path, version, more=""):
    return "%s?%sversionid=%s" % (path, more, urllib.parse.quote(version))


def listed(client, container, *include):
    xml = client.list_blobs(container, include=",".join(include)).xml()
    return [(blob.findtext("Name"), blob.findtext("VersionId"), blob.findtext("IsCurrentVersion"))
            for blob in xml.findall(".//Blob")]


def test_each_write_makes_a_version(client, container):
    path = "/%s/b" % container
    first = client.put_blob(path, b"one", {"x-ms-meta-k": "1"})
    second = client.put_blob(path, b"two")
    third = client.put(path + "?comp=metadata", headers={"x-ms-meta-k": "3"})
    ids = [answer["x-ms-version-id"] for answer in (first, second, third)]
    assert ids == sorted(set(ids))
    # properties make none
    assert client.put(path + "?comp=properties",
                      headers={"x-ms-blob-content-type": "a/b"})["x-ms-version-id"] == ids[2]
    assert [client.get(of(path, version)).body for version in ids] == [b"one", b"two", b"two"]
    found = client.get(path)
    assert (found["x-ms-version-id"], found["x-ms-is-current-version"]) == (ids[2], "true")
    found = client.get(of(path, ids[2]))
    assert (found["x-ms-is-current-version"], found["x-ms-meta-k"]) == ("true", "3")
    found = client.request("HEAD", of(path, ids[0]))
    assert (found["x-ms-is-current-version"], found["x-ms-meta-k"]) == (None, "1")
    assert found["x-ms-version-id"] == ids[0]
    assert found["ETag"] == first["ETag"]
    assert listed(client, container, "versions") == [
        ("b", ids[0], None), ("b", ids[1], None), ("b", ids[2], "true")]
    assert listed(client, container) == [("b", None, None)]


def test_a_deleted_blob_leaves_its_versions(client, container):
    path = "/%s/b" % container
    version = client.put_blob(path, b"one")["x-ms-version-id"]
    deleted = client.delete(path)
    assert (deleted.status, deleted["x-ms-delete-type-permanent"]) == (202, "false")
    assert client.get(path).code == "BlobNotFound"
    assert client.get(of(path, version)).body == b"one"
    assert listed(client, container) == []
    assert listed(client, container, "versions") == [("b", version, None)]
    # a copy of a version is how it becomes the blob again
    source = "http://127.0.0.1:%d%s" % (client.port, client.target(of(path, version)))
    copied = client.put(path, headers={"x-ms-copy-source": source})
    assert copied.status == 202, copied
    assert client.get(path).body == b"one"
    assert client.get(path)["x-ms-version-id"] == copied["x-ms-version-id"] != version
    deleted = client.delete(of(path, version))
    assert (deleted.status, deleted["x-ms-delete-type-permanent"]) == (202, "true")
    assert client.get(of(path, version)).code == "BlobNotFound"
    assert client.get(path).body == b"one"


def test_the_current_version_is_not_deleted_by_its_id(client, container):
    path = "/%s/b" % container
    version = client.put_blob(path, b"one")["x-ms-version-id"]
    refused = client.delete(of(path, version))
    assert (refused.status, refused.code) == (403, "OperationNotAllowedOnRootBlob")
    assert client.get(path).body == b"one"


def test_versions_of_block_lists(client, container):
    path = "/%s/b" % container
    client.put_block(path, "one", b"1")
    first = client.put_block_list(path, ["one"])
    client.put_block(path, "two", b"22")
    second = client.put_block_list(path, ["one", "two"])
    assert client.get(of(path, first["x-ms-version-id"])).body == b"1"
    assert client.get(of(path, second["x-ms-version-id"])).body == b"122"
    found = client.get(of(path, first["x-ms-version-id"], "comp=blocklist&blocklisttype=all&"))
    assert [block.text for block in found.xml().findall(".//Size")] == ["1"]


def test_a_snapshot_makes_a_version_too(client, container):
    path = "/%s/b" % container
    first = client.put_blob(path, b"one")["x-ms-version-id"]
    answer = client.put(path + "?comp=snapshot")
    assert answer.status == 201
    assert answer["x-ms-version-id"] > first
    assert client.get("%s?snapshot=%s" % (path, answer["x-ms-snapshot"])).body == b"one"
    assert client.get(of(path, first)).body == b"one"
    assert client.delete(path).code == "SnapshotsPresent"


@pytest.mark.parametrize("kind", ["AppendBlob", "PageBlob"])
def test_versions_of_page_and_append_blobs(client, container, kind):
    path = "/%s/b" % container
    create = {"x-ms-blob-type": kind}
    if kind == "PageBlob":
        create["x-ms-blob-content-length"] = "1024"
    write = {"PageBlob": {"x-ms-page-write": "update", "x-ms-range": "bytes=0-511"},
             "AppendBlob": {}}[kind]
    query = {"PageBlob": "page", "AppendBlob": "appendblock"}[kind]
    first = client.put(path, b"", create)["x-ms-version-id"]
    # writes change the current version in place
    answer = client.put(path + "?comp=" + query, b"x" * 512, write)
    assert (answer.status, answer["x-ms-version-id"]) == (201, first)
    content = client.get(path).body
    assert content[:512] == b"x" * 512
    client.put(path, b"", create)
    client.put(path + "?comp=" + query, b"y" * 512, write)
    assert client.get(of(path, first)).body == content
    source = "http://127.0.0.1:%d%s" % (client.port, client.target(of(path, first)))
    copied = client.put(path, headers={"x-ms-copy-source": source})
    assert copied.status == 202, copied
    assert client.get(path)["x-ms-blob-type"] == kind
    assert client.get(path).body == content
    # the copy goes its own way
    client.put(path + "?comp=" + query, b"z" * 512, write)
    assert client.get(of(path, first)).body == content
    assert b"z" * 512 in client.get(path).body


def test_bad_ids(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"x")
    assert client.get(of(path, "x")).code == "InvalidQueryParameterValue"
    assert client.get(of(path, "2020-01-01T00:00:00.0000000Z")).code == "BlobNotFound"
    both = "%s&snapshot=2020-01-01T00:00:00.0000000Z" % of(path, "2020-01-01T00:00:00.0000000Z")
    assert client.get(both).code == "InvalidQueryParameterValue"
    answer = client.put(of(path, "2020-01-01T00:00:00.0000000Z"), b"",
                        {"x-ms-blob-type": "BlockBlob"})
    assert answer.code == "InvalidQueryParameterValue"


def test_other_accounts_keep_none(daemon, tmp_path):
    other = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(other.port)
    client.create_container("plain")
    assert client.put_blob("/plain/b", b"1")["x-ms-version-id"] is None
    client.put_blob("/plain/b", b"2")
    assert listed(client, "plain", "versions") == [("b", None, None)]
    client.close()
    other.stop()


def roots(client, container, *include, **query):
    """Names as include=deletedwithversions gives them, True where there are only versions."""
    xml = client.list_blobs(container, include=",".join(("deletedwithversions",) + include), **query).xml()
    return [(blob.findtext("Name"), blob.findtext("HasVersionsOnly") == "true")
            for blob in xml.findall(".//Blob")], xml.findtext("NextMarker")


def test_names_of_which_there_are_only_versions(client, container):
    for name, count in (("here", 2), ("gone", 3), ("dir/gone", 1)):
        for number in range(count):
            assert client.put_blob("/%s/%s" % (container, name), b"%d" % number).status == 201
    assert client.put_blob("/%s/plain" % container, b"x", {"x-ms-meta-k": "v"}).status == 201
    for name in ("gone", "dir/gone"):
        assert client.delete("/%s/%s" % (container, name)).status == 202
    assert roots(client, container)[0] == [
        ("dir/gone", True), ("gone", True), ("here", False), ("plain", False)]
    assert roots(client, container, prefix="go")[0] == [("gone", True)]
    grouped = client.list_blobs(container, include="deletedwithversions", delimiter="/").xml()
    assert [prefix.findtext("Name") for prefix in grouped.findall(".//BlobPrefix")] == ["dir/"]
    # one by one
    seen, marker = [], None
    while marker != "":
        page, marker = roots(client, container, maxresults=1, **({"marker": marker} if marker else {}))
        seen += page
    assert seen == roots(client, container)[0]
    # with the versions themselves
    assert [name for name, _ in roots(client, container, "versions")[0]] == (
        ["dir/gone"] * 2 + ["gone"] * 4 + ["here"] * 2 + ["plain"])
    found = client.list_blobs(container, include="deletedwithversions", prefix="gone").xml().find(".//Blob")
    assert found.findtext("Properties/Content-Length") == "1"
    assert [found.findtext(name) for name in ("VersionId", "Deleted", "Snapshot")] == [None] * 3
    # once the name is there again it is one like the others
    assert client.put_blob("/%s/gone" % container, b"again").status == 201
    assert roots(client, container, prefix="gone")[0] == [("gone", False)]


def test_a_deleted_version_is_deleted_for_good(client, container):
    path = "/%s/b" % container
    policy = ("<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>7</Days>"
              "<AllowPermanentDelete>true</AllowPermanentDelete></DeleteRetentionPolicy>"
              "</StorageServiceProperties>")
    assert client.put("/?restype=service&comp=properties", policy.encode()).status == 202
    old = client.put_blob(path, b"old")["x-ms-version-id"]
    new = client.put_blob(path, b"new")["x-ms-version-id"]
    refused = client.delete(of(path, new, "deletetype=permanent&"))
    assert (refused.status, refused.code) == (403, "OperationNotAllowedOnRootBlob")
    refused = client.delete(of(path, old, "deletetype=permanent&"))
    assert (refused.status, refused.code) == (409, "BlobSnapshotNotSoftDeleted")
    assert client.delete(of(path, old)).status == 202
    assert (old in [entry[1] for entry in listed(client, container, "versions", "deleted")]) is True
    gone = client.delete(of(path, old, "deletetype=permanent&"))
    assert (gone.status, gone["x-ms-delete-type-permanent"]) == (202, "true")
    assert listed(client, container, "versions", "deleted") == [("b", new, "true")]
    assert client.get(path).body == b"new"
    policy = policy.replace("<Enabled>true", "<Enabled>false").replace("<Days>7</Days>", "")
    assert client.put("/?restype=service&comp=properties", policy.encode()).status == 202
