# SPDX-License-Identifier: MIT
"""Put, Get, ranges, properties, metadata, checksums, Delete."""

import os

import pytest
from blobclient import crc64, md5

CONTENT = {
    "x-ms-blob-content-type": "text/plain; charset=utf-8",
    "x-ms-blob-content-encoding": "gzip",
    "x-ms-blob-content-language": "de",
    "x-ms-blob-content-disposition": 'attachment; filename="a b"',
    "x-ms-blob-cache-control": "no-cache",
}
NAMES = {"x-ms-blob-content-type": "Content-Type", "x-ms-blob-content-encoding": "Content-Encoding",
         "x-ms-blob-content-language": "Content-Language",
         "x-ms-blob-content-disposition": "Content-Disposition",
         "x-ms-blob-cache-control": "Cache-Control"}
MIB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 131072, 131073, 5 * MIB + 1, 40 * MIB])
def test_put_and_get(client, container, size):
    data = os.urandom(size)
    path = "/%s/blob" % container
    answer = client.put_blob(path, data)
    assert answer.status == 201
    assert answer["Content-MD5"] == md5(data)
    assert answer["x-ms-request-server-encrypted"] == "false"
    found = client.get(path)
    assert found.status == 200
    assert found.body == data
    assert found["Content-Length"] == str(size)
    assert found["ETag"] == answer["ETag"]
    assert found["Last-Modified"] == answer["Last-Modified"]
    assert found["Content-MD5"] == md5(data)
    assert found["Content-Type"] == "application/octet-stream"
    assert found["x-ms-blob-type"] == "BlockBlob"
    assert found["Accept-Ranges"] == "bytes"


def test_crc64_of_an_upload_is_answered(client, container):
    data = b"123456789" * 100
    answer = client.put_blob("/%s/b" % container, data)
    assert answer["x-ms-content-crc64"] == crc64(data)


def test_put_replaces(client, container):
    path = "/%s/b" % container
    first = client.put_blob(path, b"first", {"x-ms-meta-a": "1"})
    second = client.put_blob(path, b"second one")
    assert first["ETag"] != second["ETag"]
    found = client.get(path)
    assert found.body == b"second one"
    assert found["x-ms-meta-a"] is None


def test_head_says_what_get_would(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"0123456789", {"x-ms-meta-Case": "Kept", **CONTENT})
    head = client.request("HEAD", path)
    get = client.get(path)
    assert head.status == 200
    assert head.body == b""
    for name, value in get.headers.items():
        if name.lower() not in ("x-ms-request-id", "date"):
            assert head[name] == value, name
    assert head["x-ms-meta-case"] == "Kept"
    assert head["x-ms-access-tier"] == "Hot"


def test_content_headers_of_put_blob(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x", CONTENT).status == 201
    found = client.get(path)
    for sent, got in NAMES.items():
        assert found[got] == CONTENT[sent]
    # the plain headers count where the others are absent
    client.put_blob(path, b"x", {"Content-Type": "a/b", "Content-Language": "fr",
                                 "x-ms-blob-content-language": "es"})
    found = client.get(path)
    assert found["Content-Type"] == "a/b"
    assert found["Content-Language"] == "es"
    assert found["Cache-Control"] is None


def test_set_properties_replaces_all_of_them(client, container):
    path = "/%s/b" % container
    put = client.put_blob(path, b"x", CONTENT)
    answer = client.put(path + "?comp=properties",
                        headers={"x-ms-blob-content-type": "new/type",
                                 "x-ms-blob-content-md5": md5(b"whatever")})
    assert answer.status == 200
    assert answer["ETag"] != put["ETag"]
    found = client.get(path)
    assert found["Content-Type"] == "new/type"
    assert found["Content-MD5"] == md5(b"whatever")
    assert found["Content-Encoding"] is None
    assert found.body == b"x"


def test_set_metadata(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"x", {"x-ms-meta-old": "1"})
    answer = client.put(path + "?comp=metadata", headers={"x-ms-meta-New": "2",
                                                         "x-ms-meta-empty": ""})
    assert answer.status == 200
    for method in ("GET", "HEAD"):
        found = client.request(method, path + "?comp=metadata")
        assert found.status == 200
        assert found["ETag"] == answer["ETag"]
        assert found["x-ms-meta-new"] == "2"
        assert found["x-ms-meta-empty"] == ""
        assert found["x-ms-meta-old"] is None
        assert found.body == b""


@pytest.mark.parametrize("size", [1000, 3 * MIB])
@pytest.mark.parametrize("first, last", [(0, 0), (0, 9), (10, 19), (500, None), (999, 999),
                                         (990, 10 ** 9), (0, None)])
def test_ranges(client, container, size, first, last):
    data = os.urandom(size)
    path = "/%s/b" % container
    client.put_blob(path, data)
    text = "bytes=%d-%s" % (first, "" if last is None else last)
    end = size if last is None else min(last + 1, size)
    for name in ("Range", "x-ms-range"):
        found = client.get(path, {name: text})
        assert found.status == 206
        assert found.body == data[first:end]
        assert found["Content-Range"] == "bytes %d-%d/%d" % (first, end - 1, size)
        assert found["Content-Length"] == str(end - first)
        assert found["Content-MD5"] is None
        assert found["x-ms-blob-content-md5"] == md5(data)


def test_x_ms_range_wins(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"0123456789")
    found = client.get(path, {"Range": "bytes=0-1", "x-ms-range": "bytes=5-6"})
    assert (found.status, found.body) == (206, b"56")


def test_a_range_beyond_the_end_is_416(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"0123456789")
    found = client.get(path, {"Range": "bytes=10-"})
    assert (found.status, found.code) == (416, "InvalidRange")
    assert found["Content-Range"] == "bytes */10"
    client.put_blob(path, b"")
    assert client.get(path, {"x-ms-range": "bytes=0-0"}).status == 416
    assert client.get(path).status == 200


def test_checksums_of_ranges(client, container):
    data = os.urandom(300000)
    path = "/%s/b" % container
    client.put_blob(path, data)
    found = client.get(path, {"Range": "bytes=100-250099", "x-ms-range-get-content-md5": "true"})
    assert found["Content-MD5"] == md5(data[100:250100])
    assert found.body == data[100:250100]
    found = client.get(path, {"Range": "bytes=7-506", "x-ms-range-get-content-crc64": "true"})
    assert found["x-ms-content-crc64"] == crc64(data[7:507])


def test_checksums_of_ranges_are_limited(client, container):
    data = os.urandom(5 * MIB)
    path = "/%s/b" % container
    client.put_blob(path, data)
    for name in ("x-ms-range-get-content-md5", "x-ms-range-get-content-crc64"):
        most = client.get(path, {"Range": "bytes=0-%d" % (4 * MIB - 1), name: "true"})
        assert most.status == 206
        assert client.get(path, {"Range": "bytes=0-%d" % (4 * MIB), name: "true"}).status == 400
        assert client.get(path, {name: "true"}).status == 400


def test_a_wrong_checksum_stores_nothing(client, container):
    path = "/%s/b" % container
    for headers, code in [({"Content-MD5": md5(b"other")}, "Md5Mismatch"),
                          ({"x-ms-blob-content-md5": md5(b"other")}, "Md5Mismatch"),
                          ({"x-ms-content-crc64": crc64(b"other")}, "Crc64Mismatch"),
                          ({"Content-MD5": "nonsense"}, "InvalidMd5")]:
        answer = client.put_blob(path, b"this", headers)
        assert (answer.status, answer.code) == (400, code)
        assert client.get(path).status == 404


def test_a_right_checksum_is_taken(client, container):
    data = os.urandom(200000)
    path = "/%s/b" % container
    assert client.put_blob(path, data, {"Content-MD5": md5(data)}).status == 201
    assert client.put_blob(path, data, {"x-ms-blob-content-md5": md5(data)}).status == 201
    assert client.put_blob(path, b"abc", {"x-ms-content-crc64": crc64(b"abc")}).status == 201


def test_delete(client, container):
    path = "/%s/b" % container
    client.put_blob(path, b"x")
    assert client.delete(path, {"x-ms-delete-snapshots": "include"}).status == 202
    found = client.get(path)
    assert (found.status, found.code) == (404, "BlobNotFound")
    assert client.delete(path).code == "BlobNotFound"


def test_not_found_by_head_has_the_code_and_no_body(client, container):
    found = client.request("HEAD", "/%s/none" % container)
    assert (found.status, found.code, found.body) == (404, "BlobNotFound", b"")
    assert client.get("/no-such-container/b").code == "ContainerNotFound"
    assert client.put_blob("/no-such-container/b", b"x").code == "ContainerNotFound"


@pytest.mark.parametrize("name", [
    "a/b/c", "../../etc/passwd", "./x", "a//b", "/lead", "trail/", ".", "..", "%25", "%2F", "a%20b",
    "%C3%A9t%C3%A9", "plus+plus", "q%3Fm", "%23", "%F0%9F%98%80", "a%5Cb", "%01%1F", "a" * 1024])
def test_any_blob_name(client, container, name):
    path = "/%s/%s" % (container, name)
    data = name.encode()
    assert client.put_blob(path, data).status == 201
    assert client.get(path).body == data
    assert client.delete(path).status == 202
    assert client.get(path).status == 404


def test_names_are_compared_byte_by_byte(client, container):
    client.put_blob("/%s/Name" % container, b"upper")
    client.put_blob("/%s/name" % container, b"lower")
    client.put_blob("/%s/a/../name" % container, b"dots")
    assert client.get("/%s/Name" % container).body == b"upper"
    assert client.get("/%s/%%6eame" % container).body == b"lower"


@pytest.mark.parametrize("name, code", [("a" * 1025, "OutOfRangeInput"), ("%ff", "InvalidUri"),
                                        ("a%00b", "InvalidUri"), ("%zz", "InvalidUri")])
def test_bad_blob_names_are_refused(client, container, name, code):
    answer = client.put_blob("/%s/%s" % (container, name), b"x",
                             {"Authorization": "SharedKey devstoreaccount1:x"}
                             if "zz" in name else None)
    assert (answer.status, answer.code) == (400, code)


def test_the_root_container(client):
    assert client.create_container("$root").status == 201
    assert client.put_blob("/in-root.txt", b"root").status == 201
    assert client.get("/in-root.txt").body == b"root"
    assert client.get("/$root/in-root.txt").body == b"root"


def test_the_reader_of_a_replaced_blob_gets_the_old_one(client, container, daemon):
    from blobclient import Client
    data = os.urandom(60 * MIB)
    path = "/%s/b" % container
    client.put_blob(path, data)
    slow = Client(daemon.port)
    target, headers = slow.head("GET", path)
    slow.connection.request("GET", target, headers=headers)
    response = slow.connection.getresponse()
    start = response.read(100000)
    assert client.put_blob(path, b"new").status == 201
    assert client.get(path).body == b"new"
    assert client.delete(path).status == 202
    assert start + response.read() == data
    slow.close()


def test_empty_md5_of_a_blob_is_none(client, container):
    """AzCopy sends it so when it sets the headers of a blob whose MD5 it does not know."""
    path = "/%s/empty-md5" % container
    assert client.put_blob(path, b"x").status == 201
    answer = client.request("PUT", path + "?comp=properties",
                            headers={"x-ms-blob-content-md5": "", "x-ms-blob-content-type": "a/b"})
    assert answer.status == 200, answer
    found = client.request("HEAD", path)
    assert found["Content-MD5"] is None and found["Content-Type"] == "a/b"
