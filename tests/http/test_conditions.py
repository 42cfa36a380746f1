# SPDX-License-Identifier: MIT
"""Conditional headers: what reads and writes answer when they are not met."""

import pytest
from blobclient import Client, block_list, http_date

PAST, FUTURE = -3600, 3600
OTHER = '"0x8D0000000000001"'


@pytest.fixture
def blob(client, container):
    path = "/%s/b" % container
    etag = client.put_blob(path, b"content")["ETag"]
    return path, etag


def test_reads(client, blob):
    path, etag = blob
    cases = [
        ({"If-Match": etag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": OTHER}, 412),
        ({"If-None-Match": OTHER}, 200), ({"If-None-Match": etag}, 304),
        ({"If-Modified-Since": http_date(PAST)}, 200),
        ({"If-Modified-Since": http_date(FUTURE)}, 304),
        ({"If-Unmodified-Since": http_date(FUTURE)}, 200),
        ({"If-Unmodified-Since": http_date(PAST)}, 412),
    ]
    for method in ("GET", "HEAD"):
        for headers, status in cases:
            answer = client.request(method, path, headers=headers)
            assert answer.status == status, (method, headers)
            if status == 200:
                assert answer.body == (b"content" if method == "GET" else b"")
            else:
                assert answer.code == "ConditionNotMet"
            if status == 304:
                assert answer["ETag"] == etag
                assert answer.body == b""
                assert answer["Last-Modified"] is not None


def test_a_condition_comes_before_a_range(client, blob):
    path, etag = blob
    assert client.get(path, {"If-None-Match": etag, "Range": "bytes=1-2"}).status == 304
    answer = client.get(path, {"If-Match": etag, "Range": "bytes=1-2"})
    assert (answer.status, answer.body) == (206, b"on")


def writes(client, path, headers):
    """Each write that has conditions, as functions that give the answer."""
    return {
        "Put Blob": lambda: client.put_blob(path, b"new", headers),
        "Put Block List": lambda: client.put(path + "?comp=blocklist", block_list([]), headers),
        "Set Metadata": lambda: client.put(path + "?comp=metadata",
                                           headers={"x-ms-meta-a": "b", **headers}),
        "Set Properties": lambda: client.put(path + "?comp=properties", headers=headers),
        "Delete": lambda: client.delete(path, headers),
    }


def test_writes_that_are_refused_change_nothing(client, blob):
    path, etag = blob
    refused = [{"If-Match": OTHER}, {"If-None-Match": etag},
               {"If-Modified-Since": http_date(FUTURE)}, {"If-Unmodified-Since": http_date(PAST)}]
    for headers in refused:
        for name, write in writes(client, path, headers).items():
            answer = write()
            assert (answer.status, answer.code) == (412, "ConditionNotMet"), (name, headers)
    found = client.get(path)
    assert (found.body, found["ETag"], found["x-ms-meta-a"]) == (b"content", etag, None)


@pytest.mark.parametrize("name", ["Put Blob", "Put Block List", "Set Metadata", "Set Properties",
                                  "Delete"])
def test_writes_that_are_let_through(client, blob, name):
    path, etag = blob
    answer = writes(client, path, {"If-Match": etag})[name]()
    assert answer.status in (200, 201, 202)


def test_create_only(client, container, blob):
    path, _ = blob
    only = {"If-None-Match": "*"}
    answer = client.put_blob(path, b"new", only)
    assert (answer.status, answer.code) == (409, "BlobAlreadyExists")
    answer = client.put(path + "?comp=blocklist", block_list([]), only)
    assert (answer.status, answer.code) == (409, "BlobAlreadyExists")
    assert client.put_blob("/%s/fresh" % container, b"new", only).status == 201


def test_match_on_what_is_not_there(client, container):
    answer = client.put_blob("/%s/none" % container, b"x", {"If-Match": "*"})
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    assert client.get("/%s/none" % container).status == 404


def test_pairs_that_are_allowed_and_not(client, blob):
    path, etag = blob
    assert client.get(path, {"If-Match": etag, "If-Unmodified-Since": http_date(FUTURE)}).status \
        == 200
    answer = client.get(path, {"If-Match": etag, "If-None-Match": OTHER})
    assert (answer.status, answer.code) == (400, "MultipleConditionHeadersNotSupported")


def test_one_of_two_concurrent_writers_wins(daemon, client, blob):
    path, etag = blob
    other = Client(daemon.port)
    # both send their heads, and bodies long enough to be looked at before they are complete
    data = bytes(300000)
    answers = []
    for who in (client, other):
        target, headers = who.head("PUT", path, data, {"x-ms-blob-type": "BlockBlob",
                                                       "If-Match": etag})
        who.connection.putrequest("PUT", target)
        for header in headers.items():
            who.connection.putheader(*header)
        who.connection.endheaders(data[:200000])
    for who in (client, other):
        who.connection.send(data[200000:])
        response = who.connection.getresponse()
        response.read()
        answers.append(response.status)
    assert sorted(answers) == [201, 412]
    other.close()


def test_a_lease_that_nobody_has(client, container, blob):
    path, _ = blob
    lease = {"x-ms-lease-id": "00000000-0000-0000-0000-000000000001"}
    for answer in (client.put_blob(path, b"new", lease), client.delete(path, lease),
                   client.get(path, lease)):
        assert (answer.status, answer.code) == (412, "LeaseNotPresentWithBlobOperation")
    answer = client.get("/%s?restype=container" % container, lease)
    assert (answer.status, answer.code) == (412, "LeaseNotPresentWithContainerOperation")
    assert client.get(path).body == b"content"
