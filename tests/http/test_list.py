# SPDX-License-Identifier: MIT
"""List Blobs: order, prefix, delimiter, pages, properties."""

import urllib.parse

import pytest
from blobclient import md5

NAMES = ["a/1", "a/2", "a/b/3", "b", "c/4", "d"]


@pytest.fixture
def filled(client, container):
    for name in NAMES:
        assert client.put_blob("/%s/%s" % (container, name), name.encode(),
                               {"x-ms-meta-name": name}).status == 201
    return container


def names_of(page):
    return [blob.find("Name").text for blob in page.iter("Blob")]


def prefixes_of(page):
    return [prefix.find("Name").text for prefix in page.iter("BlobPrefix")]


def test_flat_in_the_order_of_names(client, filled):
    answer = client.list_blobs(filled)
    assert answer.status == 200
    page = answer.xml()
    assert page.get("ContainerName") == filled
    assert page.get("ServiceEndpoint").endswith("/devstoreaccount1")
    assert names_of(page) == NAMES
    assert page.find("NextMarker").text is None


def test_properties_of_an_entry(client, container):
    put = client.put_blob("/%s/b" % container, b"12345",
                          {"x-ms-blob-content-type": "t/t", "x-ms-blob-cache-control": "no-store"})
    properties = client.list_blobs(container).xml().find("Blobs/Blob/Properties")
    found = {item.tag: item.text for item in properties}
    assert '"%s"' % found["Etag"] == put["ETag"]
    assert found["Last-Modified"] == put["Last-Modified"]
    assert found["Content-Length"] == "5"
    assert found["Content-Type"] == "t/t"
    assert found["Cache-Control"] == "no-store"
    assert found["Content-Encoding"] is None
    assert found["Content-MD5"] == md5(b"12345")
    assert found["BlobType"] == "BlockBlob"
    assert found["LeaseState"] == "available"


def test_prefix(client, filled):
    assert names_of(client.list_blobs(filled, prefix="a/").xml()) == NAMES[:3]
    assert names_of(client.list_blobs(filled, prefix="nothing").xml()) == []


def test_delimiter(client, filled):
    page = client.list_blobs(filled, delimiter="/").xml()
    assert names_of(page) == ["b", "d"]
    assert prefixes_of(page) == ["a/", "c/"]
    assert page.find("Delimiter").text == "/"
    page = client.list_blobs(filled, delimiter="/", prefix="a/").xml()
    assert names_of(page) == ["a/1", "a/2"]
    assert prefixes_of(page) == ["a/b/"]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("delimiter", [None, "/"])
def test_pages_are_the_whole_cut_up(client, filled, size, delimiter):
    query = {"delimiter": delimiter} if delimiter else {}
    whole = client.list_blobs(filled, **query).xml()
    names, prefixes, marker = [], [], ""
    for _ in range(20):
        page = client.list_blobs(filled, maxresults=size, marker=marker, **query).xml()
        assert len(names_of(page)) + len(prefixes_of(page)) <= size
        assert page.find("MaxResults").text == str(size)
        names += names_of(page)
        prefixes += prefixes_of(page)
        marker = page.find("NextMarker").text
        if not marker:
            break
    assert not marker
    assert names == names_of(whole)
    assert prefixes == prefixes_of(whole)


def test_metadata_on_request(client, filled):
    page = client.list_blobs(filled).xml()
    assert page.find("Blobs/Blob/Metadata") is None
    page = client.list_blobs(filled, include="metadata").xml()
    assert [blob.find("Metadata/name").text for blob in page.iter("Blob")] == NAMES
    # a word each, and what can't exist here
    answer = client.get("/%s?restype=container&comp=list&include=metadata&include=snapshots,copy"
                        % filled)
    assert answer.status == 200
    assert len(list(answer.xml().iter("Metadata"))) == len(NAMES)


@pytest.mark.parametrize("include", ["uncommittedblobs", "uncommittedblobs,snapshots"])
def test_names_with_uncommitted_blocks_alone(client, container, include):
    for name in ("b", "d/1"):
        client.put_blob("/%s/%s" % (container, name), b"x")
    for name in ("a", "b", "c", "d/2", "e/1"):
        client.put_block("/%s/%s" % (container, name), "1", b"block")
    assert [found.text for found in client.list_blobs(container).xml().iter("Name")] == [
        "b", "d/1"]
    names, marker = [], ""
    for _ in range(10):
        page = client.list_blobs(container, include=include, maxresults=2, marker=marker).xml()
        names += [(blob.findtext("Name"), blob.findtext("Properties/Content-Length"),
                   blob.find("Properties/Etag") is None) for blob in page.iter("Blob")]
        marker = page.findtext("NextMarker")
        if not marker:
            break
    assert names == [("a", "0", True), ("b", "1", False), ("c", "0", True), ("d/1", "1", False),
                     ("d/2", "0", True), ("e/1", "0", True)]
    found = client.list_blobs(container, include=include, delimiter="/").xml()
    assert [item.findtext("Name") for item in found.find("Blobs")] == ["a", "b", "c", "d/", "e/"]
    assert client.put_block_list("/%s/a" % container, ["1"]).status == 201
    found = client.list_blobs(container, include=include, prefix="a").xml()
    assert found.findtext(".//Content-Length") == "5"


def test_unknown_includes_are_refused(client, filled):
    assert client.list_blobs(filled, include="nonsense").status == 400


def test_names_that_xml_must_escape(client, container):
    names = ["<&>\"'", "é", "blank s", "\x01"]
    for name in names:
        client.put_blob("/%s/%s" % (container, urllib.parse.quote(name)), b"x")
    listed = []
    for blob in client.list_blobs(container).xml().iter("Blob"):
        name = blob.find("Name")
        encoded = name.get("Encoded") == "true"
        listed.append(urllib.parse.unquote(name.text) if encoded else name.text)
    assert listed == sorted(names, key=lambda name: name.encode())


def test_pages_over_names_that_xml_cannot_hold(client, container):
    names = ["%02X" % i for i in range(1, 6)]
    for name in names:
        client.put_blob("/%s/%%%s" % (container, name), b"x")
    seen, marker = [], ""
    while True:
        page = client.list_blobs(container, maxresults=1, marker=marker).xml()
        seen += [name.lstrip("%") for name in names_of(page)]
        marker = page.find("NextMarker").text
        if not marker:
            break
    assert seen == names


def test_an_absent_container(client):
    assert client.list_blobs("no-such-one").code == "ContainerNotFound"
