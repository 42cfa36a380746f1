# SPDX-License-Identifier: MIT
"""Blobs that are deleted and kept for a while, by the account's delete retention policy."""

import pytest
from sasclient import account_sas

SERVICE = "/?restype=service&comp=properties"


def policy(client, days, permanent=False):
    inner = "<Enabled>true</Enabled><Days>%d</Days>" % days if days else "<Enabled>false</Enabled>"
    inner += "<AllowPermanentDelete>%s</AllowPermanentDelete>" % str(permanent).lower()
    body = ("<StorageServiceProperties><DeleteRetentionPolicy>%s</DeleteRetentionPolicy>"
            "</StorageServiceProperties>" % inner)
    assert client.put(SERVICE, body.encode()).status == 202


@pytest.fixture(autouse=True)
def retention(client):
    policy(client, 7)
    yield
    policy(client, 0)


def listed(client, container, *include):
    xml = client.list_blobs(container, include=",".join(include)).xml()
    return [(blob.findtext("Name"), blob.findtext("Deleted"), blob.findtext("Snapshot") is not None)
            for blob in xml.findall(".//Blob")]


def test_a_deleted_blob_comes_back(client, container):
    path = "/%s/b" % container
    put = client.put_blob(path, b"content", {"x-ms-meta-k": "v", "Content-Type": "a/b"})
    deleted = client.delete(path)
    assert (deleted.status, deleted["x-ms-delete-type-permanent"]) == (202, "false")
    assert client.get(path).code == "BlobNotFound"
    assert listed(client, container) == []
    assert listed(client, container, "deleted") == [("b", "true", False)]
    properties = client.list_blobs(container, include="deleted").xml().find(".//Properties")
    assert properties.findtext("DeletedTime").endswith("GMT")
    assert properties.findtext("RemainingRetentionDays") in ("6", "7")
    assert client.put(path + "?comp=undelete").status == 200
    found = client.get(path)
    assert (found.body, found["x-ms-meta-k"], found["Content-Type"]) == (b"content", "v", "a/b")
    assert found["ETag"] == put["ETag"]
    assert listed(client, container, "deleted") == [("b", None, False)]


def test_undelete_of_what_never_was(client, container):
    answer = client.put("/%s/none?comp=undelete" % container)
    assert (answer.status, answer.code) == (404, "BlobNotFound")
    client.put_blob("/%s/b" % container, b"x")
    assert client.put("/%s/b?comp=undelete" % container).status == 200


def test_snapshots_go_and_come_with_their_blob(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"one")
    taken = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    client.put_blob(path, b"two")
    assert client.delete(path).code == "SnapshotsPresent"
    assert client.delete(path, {"x-ms-delete-snapshots": "include"}).status == 202
    assert client.get("%s?snapshot=%s" % (path, taken)).status == 404
    # what was overwritten is a deleted snapshot as well
    assert listed(client, container, "deleted", "snapshots") == [
        ("b", "true", True), ("b", "true", True), ("b", "true", False)]
    assert client.put(path + "?comp=undelete").status == 200
    assert client.get(path).body == b"two"
    assert client.get("%s?snapshot=%s" % (path, taken)).body == b"one"


def test_one_snapshot_is_deleted_and_restored(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"one")
    taken = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    deleted = client.delete("%s?snapshot=%s" % (path, taken))
    assert (deleted.status, deleted["x-ms-delete-type-permanent"]) == (202, "false")
    assert listed(client, container, "snapshots") == [("b", None, False)]
    assert listed(client, container, "snapshots", "deleted") == [("b", "true", True),
                                                                 ("b", None, False)]
    assert client.put(path + "?comp=undelete").status == 200
    assert client.get("%s?snapshot=%s" % (path, taken)).body == b"one"


def test_what_was_overwritten_comes_back_as_a_snapshot(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"one")
    client.put_blob(path, b"two")
    assert client.put(path + "?comp=undelete").status == 200
    found = client.list_blobs(container, include="snapshots").xml()
    times = [blob.findtext("Snapshot") for blob in found.findall(".//Blob")]
    assert times[1] is None
    assert client.get("%s?snapshot=%s" % (path, times[0])).body == b"one"
    assert client.get(path).body == b"two"


def test_a_new_blob_takes_the_name_of_a_deleted_one(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"one")
    client.delete(path)
    client.put_blob(path, b"two")
    assert listed(client, container, "deleted") == [("b", None, False)]
    assert listed(client, container, "deleted", "snapshots") == [("b", "true", True),
                                                                 ("b", None, False)]


def test_without_the_policy_nothing_is_kept(client, container):
    policy(client, 0)
    path = "/%s/b" % container
    client.put_blob(path, b"one")
    assert client.delete(path)["x-ms-delete-type-permanent"] == "true"
    assert client.put(path + "?comp=undelete").code == "BlobNotFound"
    assert listed(client, container, "deleted") == []


def test_pages_come_back_and_go_on(client, container):
    path = "/%s/p" % container
    client.put(path, b"", {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "1024"})
    write = {"x-ms-page-write": "update", "x-ms-range": "bytes=0-511"}
    client.put(path + "?comp=page", b"x" * 512, write)
    client.delete(path)
    assert client.put(path + "?comp=undelete").status == 200
    assert client.get(path).body == b"x" * 512 + bytes(512)
    assert client.put(path + "?comp=page", b"y" * 512, write).status == 201
    assert client.get(path).body == b"y" * 512 + bytes(512)


def permanently(client, path, query="", **headers):
    return client.delete("%s?%sdeletetype=permanent" % (path, query), headers=headers)


def test_a_deleted_snapshot_is_deleted_for_good(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"old").status == 201
    taken = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    refused = permanently(client, path, "snapshot=%s&" % taken)
    assert (refused.status, refused.code) == (409, "FeatureNotSupportedForAccount")
    policy(client, 7, permanent=True)
    refused = permanently(client, path, "snapshot=%s&" % taken)
    assert (refused.status, refused.code) == (409, "BlobSnapshotNotSoftDeleted")
    assert client.get("%s?snapshot=%s" % (path, taken)).body == b"old"
    assert client.delete("%s?snapshot=%s" % (path, taken)).status == 202
    gone = permanently(client, path, "snapshot=%s&" % taken)
    assert (gone.status, gone["x-ms-delete-type-permanent"]) == (202, "true")
    assert permanently(client, path, "snapshot=%s&" % taken).code == "BlobNotFound"
    assert client.put(path + "?comp=undelete").status == 200
    assert listed(client, container, "snapshots", "deleted") == [("b", None, False)]


def test_what_is_there_is_not_deleted_for_good(client, container):
    path = "/%s/b" % container
    policy(client, 7, permanent=True)
    assert client.put_blob(path, b"here").status == 201
    refused = permanently(client, path)
    assert (refused.status, refused.code) == (409, "OperationNotAllowedOnRootBlob")
    refused = client.delete(path + "?deletetype=forever")
    assert (refused.status, refused.code) == (400, "InvalidQueryParameterValue")
    assert client.get(path).body == b"here"


def test_deletion_for_good_has_a_permission_of_its_own(client, container):
    path = "/%s/b" % container
    policy(client, 7, permanent=True)
    assert client.put_blob(path, b"old").status == 201
    taken = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    assert client.delete("%s?snapshot=%s" % (path, taken)).status == 202

    def ask(permissions):
        return client.delete("%s?snapshot=%s&deletetype=permanent&%s" % (
            path, taken, account_sas(sp=permissions)), headers={"x-ms-date": None}, sign=False)

    refused = ask("dxw")
    assert (refused.status, refused.code) == (403, "AuthorizationPermissionMismatch")
    assert ask("y").status == 202
    assert listed(client, container, "snapshots", "deleted") == [("b", None, False)]
