# SPDX-License-Identifier: MIT
"""Page blobs: create, write, clear, resize, sequence numbers, ranges and what changed."""

import os
import random

import pytest
from blobclient import crc64, md5

PAGE = 512


def create(client, path, size, headers=None):
    sent = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
    sent.update(headers or {})
    return client.put(path, b"", sent)


def write(client, path, offset, body, headers=None):
    sent = {"x-ms-page-write": "update",
            "x-ms-range": "bytes=%d-%d" % (offset, offset + len(body) - 1)}
    sent.update(headers or {})
    return client.put(path + "?comp=page", body, sent)


def clear(client, path, offset, length, headers=None):
    sent = {"x-ms-page-write": "clear", "Range": "bytes=%d-%d" % (offset, offset + length - 1)}
    sent.update(headers or {})
    return client.put(path + "?comp=page", b"", sent)


def ranges(answer, kind="PageRange"):
    assert answer.status == 200, answer
    return [(int(part.findtext("Start")), int(part.findtext("End")) + 1)
            for part in answer.xml().findall(kind)]


def snapshot(client, path):
    answer = client.put(path + "?comp=snapshot")
    assert answer.status == 201
    return answer["x-ms-snapshot"]


@pytest.fixture
def path(client, container):
    name = "/%s/disk" % container
    assert create(client, name, 64 * PAGE).status == 201
    return name


def test_what_was_not_written_is_zero(client, container):
    path = "/%s/p" % container
    made = create(client, path, 10 * PAGE, {"x-ms-blob-sequence-number": "5", "x-ms-meta-k": "v"})
    assert made.status == 201
    head = client.request("HEAD", path)
    assert (head["x-ms-blob-type"], head["Content-Length"]) == ("PageBlob", str(10 * PAGE))
    assert (head["x-ms-blob-sequence-number"], head["x-ms-meta-k"]) == ("5", "v")
    body = os.urandom(2 * PAGE)
    answer = write(client, path, 3 * PAGE, body)
    assert (answer.status, answer["x-ms-blob-sequence-number"]) == (201, "5")
    assert answer["ETag"] != made["ETag"]
    want = bytearray(10 * PAGE)
    want[3 * PAGE:5 * PAGE] = body
    assert client.get(path).body == bytes(want)
    answer = clear(client, path, 4 * PAGE, PAGE)
    assert answer.status == 201
    want[4 * PAGE:5 * PAGE] = bytes(PAGE)
    assert client.get(path).body == bytes(want)
    part = client.get(path, {"x-ms-range": "bytes=1600-1700"})
    assert part.body == bytes(want[1600:1701])
    listed = client.list_blobs(container).xml().find(".//Blob/Properties")
    assert listed.findtext("BlobType") == "PageBlob"
    assert listed.findtext("x-ms-blob-sequence-number") == "5"


def test_a_terabyte_costs_nothing(client, container):
    path = "/%s/p" % container
    size = 1 << 40
    assert create(client, path, size).status == 201
    assert write(client, path, size - PAGE, b"z" * PAGE).status == 201
    answer = client.get(path, {"x-ms-range": "bytes=%d-" % (size - 2 * PAGE)})
    assert answer.body == bytes(PAGE) + b"z" * PAGE
    assert ranges(client.get(path + "?comp=pagelist")) == [(size - PAGE, size)]
    answer = client.get(path, {"x-ms-range": "bytes=0-5000000"})
    assert answer.body == bytes(5000001)


@pytest.mark.parametrize("size, status, code", [
    ("100", 400, "InvalidHeaderValue"), ("x", 400, "InvalidHeaderValue"),
    (str((8 << 40) + 512), 400, "InvalidHeaderValue"), (None, 400, "MissingRequiredHeader")])
def test_sizes_are_checked(client, container, size, status, code):
    answer = create(client, "/%s/p" % container, 0, {"x-ms-blob-content-length": size})
    assert (answer.status, answer.code) == (status, code)
    answer = client.put("/%s/p" % container, b"x" * PAGE, {"x-ms-blob-type": "PageBlob",
                                                           "x-ms-blob-content-length": "512"})
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")


def test_ranges_of_writes_are_checked(client, container, path):
    page = bytes(PAGE)
    assert write(client, path, 1, page).code == "InvalidPageRange"
    assert write(client, path, 0, page[:100]).code == "InvalidPageRange"
    refused = write(client, path, 64 * PAGE, page)
    assert (refused.status, refused.code) == (416, "InvalidPageRange")
    assert write(client, path, 0, page, {"x-ms-range": "bytes=0-1023"}).code == "InvalidHeaderValue"
    assert write(client, path, 0, page, {"x-ms-range": None}).code == "MissingRequiredHeader"
    assert write(client, path, 0, page, {"x-ms-page-write": None}).code == "MissingRequiredHeader"
    assert write(client, path, 0, page, {"x-ms-page-write": "x"}).code == "InvalidHeaderValue"
    assert clear(client, path, 0, 100).code == "InvalidPageRange"
    large = bytes(4 * 1024 * 1024 + PAGE)
    refused = write(client, path, 0, large)
    assert (refused.status, refused.code) == (413, "RequestBodyTooLarge")
    client.put_blob("/%s/b" % container, page)
    assert write(client, "/%s/b" % container, 0, page).code == "InvalidBlobType"
    assert write(client, "/%s/none" % container, 0, page).code == "BlobNotFound"
    assert client.get("/%s/b?comp=pagelist" % container).code == "InvalidBlobType"


def test_checksums(client, path):
    page = os.urandom(PAGE)
    assert write(client, path, 0, page, {"Content-MD5": md5(b"x")}).code == "Md5Mismatch"
    assert write(client, path, 0, page, {"x-ms-content-crc64": crc64(b"x")}).code == "Crc64Mismatch"
    assert ranges(client.get(path + "?comp=pagelist")) == []
    answer = write(client, path, 0, page, {"Content-MD5": md5(page)})
    assert (answer.status, answer["Content-MD5"]) == (201, md5(page))
    answer = write(client, path, PAGE, page)
    assert answer["x-ms-content-crc64"] == crc64(page)


def test_sequence_numbers(client, path):
    page = bytes(PAGE)

    def action(what, number=None):
        sent = {"x-ms-sequence-number-action": what, "x-ms-blob-sequence-number": number}
        return client.put(path + "?comp=properties", headers=sent)

    assert action("update", "7")["x-ms-blob-sequence-number"] == "7"
    assert action("max", "3")["x-ms-blob-sequence-number"] == "7"
    assert action("max", "9")["x-ms-blob-sequence-number"] == "9"
    assert action("increment")["x-ms-blob-sequence-number"] == "10"
    assert action("increment", "3").code == "InvalidHeaderValue"
    assert action("update").code == "MissingRequiredHeader"
    assert action("other", "3").code == "InvalidHeaderValue"
    for name, good, bad in (("le", "10", "9"), ("lt", "11", "10"), ("eq", "10", "11")):
        name = "x-ms-if-sequence-number-" + name
        refused = write(client, path, 0, page, {name: bad})
        assert (refused.status, refused.code) == (412, "SequenceNumberConditionNotMet")
        assert clear(client, path, 0, PAGE, {name: bad}).status == 412
        assert write(client, path, 0, page, {name: good}).status == 201
        assert clear(client, path, 0, PAGE, {name: good}).status == 201
    last = str((1 << 63) - 1)
    assert action("update", last)["x-ms-blob-sequence-number"] == last
    refused = action("increment")
    assert (refused.status, refused.code) == (409, "SequenceNumberIncrementTooLarge")


def test_resize_keeps_headers_and_what_remains(client, path):
    client.put(path + "?comp=properties", headers={"x-ms-blob-content-type": "a/b"})
    body = os.urandom(4 * PAGE)
    write(client, path, 0, body)
    answer = client.put(path + "?comp=properties", headers={"x-ms-blob-content-length": "1024"})
    assert answer.status == 200
    found = client.get(path)
    assert (found.body, found["Content-Type"]) == (body[:1024], "a/b")
    client.put(path + "?comp=properties", headers={"x-ms-blob-content-length": "2048"})
    assert client.get(path).body == body[:1024] + bytes(1024)
    assert ranges(client.get(path + "?comp=pagelist")) == [(0, 1024)]
    refused = client.put(path + "?comp=properties", headers={"x-ms-blob-content-length": "1000"})
    assert refused.code == "InvalidHeaderValue"


def test_page_ranges(client, path):
    for first, count in ((2, 2), (4, 1), (10, 5), (60, 4)):
        write(client, path, first * PAGE, os.urandom(count * PAGE))
    clear(client, path, 12 * PAGE, PAGE)
    want = [(2, 5), (10, 12), (13, 15), (60, 64)]
    want = [(first * PAGE, last * PAGE) for first, last in want]
    answer = client.get(path + "?comp=pagelist")
    assert ranges(answer) == want
    assert answer["x-ms-blob-content-length"] == str(64 * PAGE)
    assert answer["ETag"] == client.get(path)["ETag"]
    part = client.get(path + "?comp=pagelist", {"Range": "bytes=%d-%d" % (3 * PAGE, 11 * PAGE)})
    assert ranges(part) == [(3 * PAGE, 5 * PAGE), (10 * PAGE, 12 * PAGE)]
    assert client.get(path + "?comp=pagelist", {"If-None-Match": answer["ETag"]}).status == 304
    beyond = client.get(path + "?comp=pagelist", {"Range": "bytes=%d-" % (64 * PAGE)})
    assert (beyond.status, beyond.code) == (416, "InvalidRange")


@pytest.mark.parametrize("size", [1, 3, 7])
def test_page_ranges_in_pages(client, path, size):
    want = [(i * PAGE, (i + 1) * PAGE) for i in range(0, 64, 2)]
    for first, _ in want:
        write(client, path, first, b"x" * PAGE)
    found, marker = [], ""
    while True:
        answer = client.get("%s?comp=pagelist&maxresults=%d&marker=%s" % (path, size, marker))
        page = ranges(answer)
        assert 0 < len(page) <= size
        found += page
        marker = answer.xml().findtext("NextMarker")
        if not marker:
            break
    assert found == want
    for more in ("maxresults=x", "maxresults=0", "marker=x", "marker=7"):
        assert client.get("%s?comp=pagelist&%s" % (path, more)).status == 400


def model_of(changes, pages):
    """What a list of changes makes: for each page the number of its last write, or None."""
    state = [None] * pages
    for number, (what, first, count) in enumerate(changes):
        state[first:first + count] = [number if what == "write" else None] * count
    return state


def join(flags):
    """Page numbers that are set, as ranges of bytes."""
    found = []
    for page, flag in enumerate(flags):
        if flag and found and found[-1][1] == page * PAGE:
            found[-1] = (found[-1][0], (page + 1) * PAGE)
        elif flag:
            found.append((page * PAGE, (page + 1) * PAGE))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_what_changed_since_a_snapshot(client, path, seed):
    rng = random.Random(seed)
    changes, marks = [], []
    for step in range(40):
        if step % 10 == 5:
            marks.append((snapshot(client, path), len(changes)))
        first = rng.randrange(64)
        count = min(rng.randrange(1, 8), 64 - first)
        what = rng.choice(["write", "write", "clear"])
        if what == "write":
            assert write(client, path, first * PAGE, os.urandom(count * PAGE)).status == 201
        else:
            assert clear(client, path, first * PAGE, count * PAGE).status == 201
        changes.append((what, first, count))
    states = marks + [(None, len(changes))]
    for i, (before, cut_before) in enumerate(marks):
        for now, cut_now in states[i:]:
            old, new = model_of(changes[:cut_before], 64), model_of(changes[:cut_now], 64)
            query = "%s?comp=pagelist&prevsnapshot=%s" % (path, before)
            answer = client.get(query + ("&snapshot=%s" % now if now else ""))
            assert ranges(answer) == join(
                b is not None and b >= cut_before for a, b in zip(old, new))
            assert ranges(answer, "ClearRange") == join(
                b is None and a is not None for a, b in zip(old, new))


def test_the_same_bytes_written_again_are_a_change(client, path):
    write(client, path, 0, b"x" * PAGE)
    before = snapshot(client, path)
    write(client, path, 0, b"x" * PAGE)
    answer = client.get("%s?comp=pagelist&prevsnapshot=%s" % (path, before))
    assert ranges(answer) == [(0, PAGE)]


def test_what_can_not_be_compared_is_refused(client, container, path):
    first = snapshot(client, path)
    second = snapshot(client, path)
    answer = client.get("%s?comp=pagelist&snapshot=%s&prevsnapshot=%s" % (path, first, second))
    assert (answer.status, answer.code) == (400, "PreviousSnapshotCannotBeNewer")
    answer = client.get("%s?comp=pagelist&prevsnapshot=2020-01-01T00:00:00.0000000Z" % path)
    assert (answer.status, answer.code) == (409, "PreviousSnapshotNotFound")
    create(client, path, 64 * PAGE)
    answer = client.get("%s?comp=pagelist&prevsnapshot=%s" % (path, first))
    assert (answer.status, answer.code) == (409, "BlobOverwritten")
    assert client.get("%s?prevsnapshot=%s" % (path, first)).code == "InvalidQueryParameterValue"


def test_snapshots_keep_their_pages(client, path):
    body = os.urandom(8 * PAGE)
    write(client, path, 0, body)
    taken = snapshot(client, path)
    write(client, path, 2 * PAGE, bytes(PAGE))
    clear(client, path, 5 * PAGE, PAGE)
    found = client.get("%s?snapshot=%s" % (path, taken)).body
    assert found[:8 * PAGE] == body
    assert ranges(client.get("%s?comp=pagelist&snapshot=%s" % (path, taken))) == [(0, 8 * PAGE)]
    client.delete(path, {"x-ms-delete-snapshots": "include"})
    assert client.get(path).status == 404
