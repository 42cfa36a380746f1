# SPDX-License-Identifier: MIT
"""Incremental Copy Blob: a page blob that follows another one's snapshots."""

import pytest
from blobclient import new_container

PAGE = 512
SIZE = 64 * PAGE


def write(client, path, offset, body):
    answer = client.put(path + "?comp=page", body, headers={
        "x-ms-page-write": "update", "x-ms-range": "bytes=%d-%d" % (offset, offset + len(body) - 1)})
    assert answer.status == 201, answer


def clear(client, path, offset, length):
    answer = client.put(path + "?comp=page", headers={
        "x-ms-page-write": "clear", "x-ms-range": "bytes=%d-%d" % (offset, offset + length - 1)})
    assert answer.status == 201, answer


def create(client, path, size=SIZE, **headers):
    answer = client.put(path, headers={"x-ms-blob-type": "PageBlob",
                                       "x-ms-blob-content-length": str(size), **headers})
    assert answer.status == 201, answer


def snapshot(client, path):
    return client.put(path + "?comp=snapshot")["x-ms-snapshot"]


def url(client, path, taken=None):
    return "http://127.0.0.1:%d/%s%s%s" % (client.port, client.account, path,
                                           "?snapshot=" + taken if taken else "")


def copy(client, path, source, taken, **headers):
    return client.put(path + "?comp=incrementalcopy", headers={
        "x-ms-copy-source": url(client, source, taken), **headers})


def copied(client, path, source, taken, **headers):
    """The snapshot that it made."""
    answer = copy(client, path, source, taken, **headers)
    assert (answer.status, answer["x-ms-copy-status"]) == (202, "success"), answer
    found = client.request("HEAD", path)
    assert (found["ETag"], found["x-ms-copy-id"]) == (answer["ETag"], answer["x-ms-copy-id"])
    assert found["x-ms-incremental-copy"] == "true"
    return found["x-ms-copy-destination-snapshot"]


def at(path, taken):
    return "%s?snapshot=%s" % (path, taken)


def changed(client, path, taken, before):
    """What Get Page Ranges Diff says: (kind, first, last)."""
    found = client.get("%s?comp=pagelist&snapshot=%s&prevsnapshot=%s" % (path, taken, before))
    assert found.status == 200, found
    return [(item.tag, int(item.findtext("Start")), int(item.findtext("End"))) for item in found.xml()
            if item.tag != "NextMarker"]


@pytest.fixture
def names(client, container):
    source, target = "/%s/source" % container, "/%s/target" % container
    create(client, source, **{"x-ms-meta-own": "source", "x-ms-blob-content-type": "a/b"})
    return source, target


def test_each_copy_is_a_snapshot_of_its_own(client, names):
    source, target = names
    write(client, source, 0, b"a" * 8 * PAGE)
    write(client, source, 16 * PAGE, b"b" * 4 * PAGE)
    taken, made, content = [], [], []
    for step in range(4):
        if step == 1:
            write(client, source, 2 * PAGE, b"c" * PAGE)
            write(client, source, 4 * PAGE, b"d" * PAGE)
            clear(client, source, 17 * PAGE, PAGE)
        if step == 2:  # larger than what stays in the journal
            write(client, source, PAGE, b"e" * 60 * PAGE)
        if step == 3:
            clear(client, source, 0, 32 * PAGE)
            assert client.put(source + "?comp=properties", headers={
                "x-ms-blob-content-length": str(SIZE * 2)}).status == 200
            write(client, source, SIZE, b"f" * PAGE)
        taken.append(snapshot(client, source))
        content.append(client.get(at(source, taken[-1])).body)
        made.append(copied(client, target, source, taken[-1]))
    assert len(set(made)) == 4
    for number in range(4):
        found = client.get(at(target, made[number]))
        assert found.body == content[number], number
        assert (found["Content-Type"], found["x-ms-meta-own"]) == ("a/b", "source")
        assert found["x-ms-incremental-copy"] == "true"
        assert found["x-ms-copy-destination-snapshot"] == made[number]
        assert found["x-ms-copy-source"] == url(client, source, taken[number])
        # the snapshots of the copy differ where those of the source do
        for before in range(number):
            assert (changed(client, target, made[number], made[before])
                    == changed(client, source, taken[number], taken[before])), (before, number)


def test_the_copy_needs_its_source_no_more(client, names):
    source, target = names
    write(client, source, 0, b"a" * PAGE)
    made = copied(client, target, source, snapshot(client, source))
    assert client.delete(source, headers={"x-ms-delete-snapshots": "include"}).status == 202
    assert client.get(at(target, made)).body == b"a" * PAGE + bytes(SIZE - PAGE)
    # a blob of the same name is another source
    create(client, source)
    refused = copy(client, target, source, snapshot(client, source))
    assert (refused.status, refused.code) == (409, "IncrementalCopyBlobMismatch")


def test_only_later_snapshots_follow(client, names):
    source, target = names
    first, second = snapshot(client, source), snapshot(client, source)
    copied(client, target, source, second)
    for taken in (first, second):
        refused = copy(client, target, source, taken)
        assert refused.status == 409
        assert refused.code == "IncrementalCopyOfEarlierVersionSnapshotNotAllowed"
    copied(client, target, source, snapshot(client, source))


def test_what_is_no_source(client, container, names):
    source, target = names
    refused = copy(client, target, source, None)
    assert (refused.status, refused.code) == (409, "IncrementalCopySourceMustBeSnapshot")
    assert client.put_blob("/%s/block" % container, b"x").status == 201
    refused = copy(client, target, "/%s/block" % container, snapshot(client, "/%s/block" % container))
    assert (refused.status, refused.code) == (409, "InvalidBlobType")
    refused = copy(client, target, source, "2020-01-01T00:00:00.0000000Z")
    assert (refused.status, refused.code) == (404, "CannotVerifyCopySource")
    refused = client.put(target + "?comp=incrementalcopy")
    assert (refused.status, refused.code) == (400, "MissingRequiredHeader")
    refused = copy(client, target, source, snapshot(client, source), **{"x-ms-source-if-match": "*"})
    assert (refused.status, refused.code) == (400, "UnsupportedHeader")
    refused = client.put(target + "?comp=incrementalcopy",
                         headers={"x-ms-copy-source": "http://elsewhere.example/a/b/c?snapshot=x"})
    assert (refused.status, refused.code) == (403, "CannotVerifyCopySource")
    assert client.get(target).status == 404


def test_a_blob_that_is_there_is_no_target(client, container, names):
    source, target = names
    create(client, target)
    refused = copy(client, target, source, snapshot(client, source))
    assert (refused.status, refused.code) == (409, "IncrementalCopyBlobMismatch")
    assert client.get(target).status == 200
    refused = copy(client, "/%s/new" % container, source, snapshot(client, source),
                   **{"If-Match": '"0x1"'})
    assert refused.status == 412


def test_nothing_else_is_done_with_the_copy(client, container, names):
    source, target = names
    made = copied(client, target, source, snapshot(client, source), **{"x-ms-meta-own": "copy"})
    assert client.request("HEAD", target)["x-ms-meta-own"] == "copy"
    page = {"x-ms-page-write": "clear", "x-ms-range": "bytes=0-511"}
    for method, query, body, headers in [
            ("GET", "", None, {}), ("GET", "?comp=pagelist", None, {}),
            ("PUT", "?comp=page", None, page), ("PUT", "?comp=metadata", None, {}),
            ("PUT", "?comp=properties", None, {"x-ms-blob-content-length": "512"}),
            ("PUT", "?comp=snapshot", None, {}),
            ("PUT", "", b"", {"x-ms-blob-type": "BlockBlob"}),
            ("PUT", "", None, {"x-ms-copy-source": url(client, source)}),
            ("PUT", "?comp=lease", None, {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"})]:
        refused = client.request(method, target + query, body, headers)
        assert (refused.status, refused.code) == (
            409, "OperationNotAllowedOnIncrementalCopyBlob"), (method, query, refused)
    refused = client.put("/%s/other" % container, headers={"x-ms-copy-source": url(client, target)})
    assert refused.code == "OperationNotAllowedOnIncrementalCopyBlob"
    # its snapshots are sources like any others
    assert client.put("/%s/other" % container,
                      headers={"x-ms-copy-source": url(client, target, made)}).status == 202
    assert client.get("/%s/other" % container).status == 200
    assert client.delete(target).code == "SnapshotsPresent"
    assert client.delete(target, headers={"x-ms-delete-snapshots": "include"}).status == 202


def test_lists_say_so(client, names):
    source, target = names
    made = copied(client, target, source, snapshot(client, source))
    container = target.split("/")[1]
    found = client.list_blobs(container, include="snapshots", prefix="target").xml().findall(".//Blob")
    assert [blob.findtext("Properties/IncrementalCopy") for blob in found] == ["true", "true"]
    assert [blob.findtext("Properties/CopyDestinationSnapshot") for blob in found] == [made, made]
    found = client.list_blobs(container, prefix="source").xml().find(".//Blob")
    assert found.findtext("Properties/IncrementalCopy") is None


def test_a_copy_into_another_container(client, names):
    source, _ = names
    write(client, source, 0, b"a" * PAGE)
    target = "/%s/target" % new_container(client, "other")
    made = copied(client, target, source, snapshot(client, source))
    write(client, source, PAGE, b"b" * PAGE)
    again = copied(client, target, source, snapshot(client, source))
    assert changed(client, target, again, made) == [("PageRange", PAGE, 2 * PAGE - 1)]
