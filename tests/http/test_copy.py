# SPDX-License-Identifier: MIT
"""Copy Blob, Abort Copy Blob, Copy Blob From URL, Put Blob From URL, Put Block From URL."""

import os

import pytest
from blobclient import Client, block_id, crc64, http_date, md5
from sasclient import service_sas

BIG = os.urandom(3 * 1024 * 1024 + 17)


def url(client, path):
    return "http://127.0.0.1:%d%s" % (client.port, client.target(path))


def copy(client, path, source, **headers):
    sent = {"x-ms-copy-source": source if "://" in source else url(client, source)}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    return client.put(path, headers=sent)


def said(answer):
    return answer.status, answer.code


@pytest.fixture(params=[b"small", BIG, b""], ids=["small", "big", "empty"])
def source(request, client, container):
    """A path with content, headers, metadata and tags."""
    path = "/%s/source" % container
    assert client.put_blob(path, request.param, {
        "x-ms-blob-content-type": "text/x-source", "x-ms-blob-cache-control": "no-store",
        "x-ms-meta-from": "source", "x-ms-tags": "a=1"}).status == 201
    return path, request.param


def test_copy_blob(client, container, source):
    path, content = source
    target = "/%s/target" % container
    answer = copy(client, target, path)
    assert answer.status == 202, answer
    assert answer["x-ms-copy-status"] == "success"
    assert len(answer["x-ms-copy-id"]) == 36
    seen = client.get(target)
    assert seen.body == content
    assert seen["ETag"] == answer["ETag"]
    assert seen["Content-Type"] == "text/x-source"
    assert seen["Cache-Control"] == "no-store"
    assert seen["x-ms-meta-from"] == "source"
    assert seen["Content-MD5"] == md5(content)
    assert seen["x-ms-copy-id"] == answer["x-ms-copy-id"]
    assert seen["x-ms-copy-source"] == url(client, path)
    assert seen["x-ms-copy-status"] == "success"
    assert seen["x-ms-copy-progress"] == "%d/%d" % (len(content), len(content))
    assert seen["x-ms-copy-completion-time"].endswith("GMT")
    assert seen["x-ms-tag-count"] is None
    # the source may go
    assert client.delete(path).status == 202
    assert client.get(target).body == content
    found = client.list_blobs(container, include="copy").xml()
    assert [item.text for item in found.iter("CopyId")] == [answer["x-ms-copy-id"]]
    assert not list(client.list_blobs(container).xml().iter("CopyId"))
    # another write and it is a copy no more
    assert client.put_blob(target, b"new").status == 201
    assert client.get(target)["x-ms-copy-id"] is None


def test_copy_with_metadata_tags_and_tier_of_its_own(client, container, source):
    path, content = source
    target = "/%s/target" % container
    assert copy(client, target, path, x_ms_meta_own="yes", x_ms_tags="b=2",
                x_ms_access_tier="Cool").status == 202
    seen = client.request("HEAD", target)
    assert seen["x-ms-meta-from"] is None
    assert seen["x-ms-meta-own"] == "yes"
    assert seen["x-ms-tag-count"] == "1"
    assert seen["x-ms-access-tier"] == "Cool"
    assert client.get(target).body == content


def test_copy_onto_itself_changes_metadata(client, source):
    path, content = source
    assert copy(client, path, path, x_ms_meta_new="1").status == 202
    seen = client.get(path)
    assert (seen.body, seen["x-ms-meta-new"], seen["x-ms-meta-from"]) == (content, "1", None)


def test_copy_from_url(client, container, source):
    path, content = source
    target = "/%s/target" % container
    answer = copy(client, target, path, x_ms_requires_sync="true",
                  x_ms_source_content_md5=md5(content), x_ms_copy_source_tag_option="COPY")
    assert answer.status == 202, answer
    assert answer["x-ms-copy-status"] == "success"
    assert answer["Content-MD5"] == md5(content)
    seen = client.get(target)
    assert seen.body == content
    assert seen["x-ms-tag-count"] == "1"
    assert said(copy(client, target, path, x_ms_requires_sync="true",
                     x_ms_source_content_md5=md5(b"other"))) == (400, "Md5Mismatch")


def test_put_blob_from_url(client, container, source):
    path, content = source
    target = "/%s/target" % container
    answer = copy(client, target, path, x_ms_blob_type="BlockBlob",
                  x_ms_blob_content_type="text/own")
    assert answer.status == 201, answer
    assert answer["Content-MD5"] == md5(content)
    if len(content) < 100:
        assert answer["x-ms-content-crc64"] == crc64(content)
    seen = client.get(target)
    assert seen.body == content
    assert seen["Content-Type"] == "text/own"
    assert seen["Cache-Control"] == "no-store"
    assert seen["x-ms-copy-id"] is None
    assert copy(client, target, path, x_ms_blob_type="BlockBlob",
                x_ms_copy_source_blob_properties="false").status == 201
    seen = client.get(target)
    assert seen["Content-Type"] == "application/octet-stream"
    assert seen["Cache-Control"] is None
    assert seen["x-ms-meta-from"] is None
    assert seen.body == content


def test_put_block_from_url(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    assert client.put_blob(path, BIG).status == 201

    def put(block, **headers):
        return copy(client, "%s?comp=block&blockid=%s" % (target, block_id(block)), path, **headers)

    answer = put("1", x_ms_source_range="bytes=0-9", x_ms_source_content_crc64=crc64(BIG[:10]))
    assert (answer.status, answer["x-ms-content-crc64"]) == (201, crc64(BIG[:10]))
    answer = put("2", x_ms_source_range="bytes=1000000-", x_ms_source_content_md5=md5(BIG[1000000:]))
    assert (answer.status, answer["Content-MD5"]) == (201, md5(BIG[1000000:]))
    assert put("3").status == 201
    assert said(put("4", x_ms_source_range="bytes=0-9", x_ms_source_content_md5=md5(b""))) == (
        400, "Md5Mismatch")
    assert said(put("4", x_ms_source_range="bytes=%d-" % len(BIG))) == (416, "InvalidRange")
    assert said(put("4", x_ms_source_range="bytes=9-0")) == (400, "InvalidHeaderValue")
    assert said(put("4", x_ms_copy_source_tag_option="COPY")) == (400, "UnsupportedHeader")
    assert client.put_block_list(target, ["1", "2", "3"]).status == 201
    assert client.get(target).body == BIG[:10] + BIG[1000000:] + BIG


@pytest.mark.parametrize("kind", [{}, {"x_ms_requires_sync": "true"},
                                  {"x_ms_blob_type": "BlockBlob"}], ids=["copy", "sync", "put"])
def test_conditions_of_source_and_target(client, container, source, kind):
    path, _ = source
    target = "/%s/target" % container
    etag = client.request("HEAD", path)["ETag"]
    for name, value in (("x_ms_source_if_match", '"0x1"'), ("x_ms_source_if_none_match", etag),
                        ("x_ms_source_if_modified_since", http_date(3600)),
                        ("x_ms_source_if_unmodified_since", http_date(-3600)),
                        ("x_ms_source_if_tags", "a = '2'")):
        assert said(copy(client, target, path, **kind, **{name: value})) == (
            412, "SourceConditionNotMet"), name
    assert client.get(target).status == 404
    assert copy(client, target, path, x_ms_source_if_match=etag, x_ms_source_if_tags="a = '1'",
                If_None_Match="*", **kind).status // 100 == 2
    assert said(copy(client, target, path, If_None_Match="*", **kind)) == (409, "BlobAlreadyExists")
    assert said(copy(client, target, path, If_Match='"0x1"', **kind)) == (412, "ConditionNotMet")


def test_leases_of_source_and_target(client, container, source):
    path, _ = source
    target = "/%s/target" % container
    ids = []
    assert copy(client, target, path).status == 202
    for name in (path, target):
        answer = client.put(name + "?comp=lease", headers={
            "x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"})
        ids.append(answer["x-ms-lease-id"])
    assert said(copy(client, target, path)) == (412, "LeaseIdMissing")
    assert said(copy(client, target, path, x_ms_lease_id=ids[1], x_ms_source_lease_id=ids[1])) == (
        412, "LeaseIdMismatchWithBlobOperation")
    assert copy(client, target, path, x_ms_lease_id=ids[1], x_ms_source_lease_id=ids[0]).status \
        == 202


def test_snapshots_are_sources(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    client.put_blob(path, b"before")
    snapshot = client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    client.put_blob(path, b"after")
    answer = copy(client, target, path + "?snapshot=" + snapshot)
    assert answer.status == 202, answer
    assert client.get(target).body == b"before"
    assert client.get(target)["x-ms-copy-source"].endswith("?snapshot=" + snapshot)


def test_an_archived_source_is_rehydrated_by_a_copy(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    client.put_blob(path, b"cold", {"x-ms-access-tier": "Archive"})
    assert said(copy(client, target, path)) == (409, "BlobArchived")
    assert said(copy(client, target, path, x_ms_requires_sync="true")) == (409, "BlobArchived")
    assert copy(client, target, path, x_ms_access_tier="Hot",
                x_ms_rehydrate_priority="High").status == 202
    assert client.request("HEAD", target)["x-ms-archive-status"] == "rehydrate-pending-to-hot"
    assert client.request("HEAD", path)["x-ms-access-tier"] == "Archive"
    assert client.request("HEAD", path)["x-ms-archive-status"] is None


def test_sources_that_are_not_there(client, container):
    target = "/%s/target" % container
    for kind in ({}, {"x_ms_requires_sync": "true"}, {"x_ms_blob_type": "BlockBlob"}):
        assert said(copy(client, target, "/%s/none" % container, **kind)) == (
            404, "CannotVerifyCopySource")
        assert said(copy(client, target, "/no-container/none", **kind)) == (
            404, "CannotVerifyCopySource")
    client.put_blob(target, b"x")
    assert said(copy(client, "/no-container/target", target)) == (404, "ContainerNotFound")


@pytest.mark.parametrize("source_url", [
    "http://example.com/c/b", "http://169.254.169.254/metadata", "http://127.0.0.1:1/c/b",
    "http://localhost.example.com/a/c/b"])
def test_other_hosts_are_refused(client, container, source_url):
    for kind in ({}, {"x_ms_requires_sync": "true"}, {"x_ms_blob_type": "BlockBlob"}):
        answer = copy(client, "/%s/t" % container, source_url, **kind)
        assert said(answer) == (403, "CannotVerifyCopySource")
        assert "another host" in answer.body.decode()


@pytest.mark.parametrize("source_url", [
    "ftp://127.0.0.1/a/b", "nonsense://", "http://u:p@127.0.0.1/a/b/c", "http:///a/b",
    "http://h" + "x" * 2100])
def test_bad_urls_are_refused(client, container, source_url):
    assert said(copy(client, "/%s/t" % container, source_url)) == (400, "InvalidHeaderValue")


def test_another_account_needs_credentials_of_its_own(daemon, client, container):
    other = Client(daemon.port, "second", "c2Vjb25kIGtleSBvZiBpdA==")
    other.create_container("private")
    other.create_container("open", {"x-ms-blob-public-access": "blob"})
    other.put_blob("/private/b", b"secret")
    other.put_blob("/open/b", b"public")
    target = "/%s/t" % container
    assert said(copy(client, target, url(other, "/private/b"))) == (403, "CannotVerifyCopySource")
    assert client.get(target).status == 404
    assert copy(client, target, url(other, "/open/b")).status == 202
    assert client.get(target).body == b"public"


def test_headers_that_another_copy_has_are_refused(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    client.put_blob(path, b"x")
    for headers in ({"x_ms_source_content_md5": md5(b"x")}, {"x_ms_blob_content_type": "a/b"},
                    {"x_ms_blob_type": "BlockBlob", "x_ms_requires_sync": "true"},
                    {"x_ms_requires_sync": "true", "x_ms_source_range": "bytes=0-1"}):
        assert said(copy(client, target, path, **headers)) == (400, "UnsupportedHeader"), headers
    assert said(copy(client, target + "?comp=metadata", path)) == (400, "UnsupportedHeader")
    assert client.get(target).status == 404


def test_abort(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    client.put_blob(path, b"x")
    answer = copy(client, target, path)
    abort = target + "?comp=copy&copyid=" + answer["x-ms-copy-id"]
    assert said(client.put(abort, headers={"x-ms-copy-action": "abort"})) == (
        409, "NoPendingCopyOperation")
    assert said(client.put(abort)) == (400, "MissingRequiredHeader")
    assert said(client.put(abort, headers={"x-ms-copy-action": "stop"})) == (
        400, "InvalidHeaderValue")
    assert said(client.put(target + "?comp=copy", headers={"x-ms-copy-action": "abort"})) == (
        400, "MissingRequiredQueryParameter")
    assert client.get(target).body == b"x"


def test_append_block_from_url(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    assert client.put_blob(path, BIG).status == 201
    assert client.put(target, headers={"x-ms-blob-type": "AppendBlob"}).status == 201
    append = target + "?comp=appendblock"
    answer = copy(client, append, path, x_ms_source_range="bytes=0-9")
    assert (answer.status, answer["x-ms-blob-append-offset"]) == (201, "0")
    assert answer["x-ms-content-crc64"] == crc64(BIG[:10])
    answer = copy(client, append, path, x_ms_source_content_md5=md5(BIG),
                  x_ms_blob_condition_appendpos="10")
    assert (answer.status, answer["x-ms-blob-append-offset"]) == (201, "10")
    assert answer["x-ms-blob-committed-block-count"] == "2"
    seen = client.get(target)
    assert (seen.body, seen["ETag"]) == (BIG[:10] + BIG, answer["ETag"])
    assert said(copy(client, append, path, x_ms_blob_condition_appendpos="10")) == (
        412, "AppendPositionConditionNotMet")
    assert said(copy(client, append, path, x_ms_source_if_match='"0x1"')) == (
        412, "SourceConditionNotMet")
    assert said(copy(client, append, "/%s/none" % container)) == (404, "CannotVerifyCopySource")
    assert client.get(target).body == BIG[:10] + BIG


def test_put_page_from_url(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    assert client.put_blob(path, BIG).status == 201
    assert client.put(target, headers={"x-ms-blob-type": "PageBlob",
                                       "x-ms-blob-content-length": "4096"}).status == 201

    def put(**headers):
        return copy(client, target + "?comp=page", path, **headers)

    answer = put(x_ms_page_write="update", x_ms_range="bytes=512-1535",
                 x_ms_source_range="bytes=100-1123")
    assert answer.status == 201, answer
    assert answer["x-ms-blob-sequence-number"] == "0"
    seen = client.get(target)
    assert seen.body == bytes(512) + BIG[100:1124] + bytes(2560)
    assert seen["ETag"] == answer["ETag"]
    assert said(put(x_ms_page_write="update", x_ms_range="bytes=0-511",
                    x_ms_source_range="bytes=0-1023")) == (400, "InvalidHeaderValue")
    assert said(put(x_ms_page_write="update", x_ms_range="bytes=0-511")) == (
        400, "MissingRequiredHeader")
    assert said(put(x_ms_page_write="clear", x_ms_range="bytes=0-511",
                    x_ms_source_range="bytes=0-511")) == (400, "InvalidHeaderValue")
    assert client.get(target).body == seen.body


@pytest.fixture(params=["PageBlob", "AppendBlob"])
def changing(request, client, container):
    """A path of a kind that changes in place, and its content."""
    path, content = "/%s/changing" % container, BIG[:512 * 9]
    size = {"x-ms-blob-content-length": str(len(content))} if request.param == "PageBlob" else {}
    assert client.put(path, headers={"x-ms-blob-type": request.param, "x-ms-meta-from": "changing",
                                     "x-ms-blob-content-type": "a/b", **size}).status == 201
    if request.param == "PageBlob":
        assert client.put(path + "?comp=page", content, {
            "x-ms-page-write": "update", "x-ms-range": "bytes=0-%d" % (len(content) - 1)}).status == 201
    else:
        assert client.put(path + "?comp=appendblock", content).status == 201
    return path, content


def test_put_blob_from_the_url_of_another_kind_of_blob(client, container, changing):
    path, content = changing
    target = "/%s/target" % container
    refused = copy(client, target, path, x_ms_blob_type="BlockBlob",
                   x_ms_source_content_md5=md5(b"something else"))
    assert said(refused) == (400, "Md5Mismatch")
    answer = copy(client, target, path, x_ms_blob_type="BlockBlob", x_ms_source_content_md5=md5(content))
    assert answer.status == 201, answer
    assert (answer["Content-MD5"], answer["x-ms-content-crc64"]) == (md5(content), crc64(content))
    seen = client.get(target)
    assert (seen.body, seen["x-ms-blob-type"], seen["Content-MD5"]) == (content, "BlockBlob", md5(content))
    assert (seen["Content-Type"], seen["x-ms-meta-from"]) == ("a/b", "changing")
    assert seen["x-ms-copy-id"] is None
    # the copy stays as it was
    assert client.delete(path).status == 202
    assert client.get(target).body == content


def test_ranges_of_other_kinds_of_blobs(client, container, changing):
    path, content = changing
    part = {"x_ms_source_range": "bytes=512-1023"}
    blob = "/%s/blob" % container
    assert copy(client, blob + "?comp=block&blockid=" + block_id("1"), path, **part).status == 201
    assert client.put_block_list(blob, ["1"]).status == 201
    append = "/%s/append" % container
    assert client.put(append, headers={"x-ms-blob-type": "AppendBlob"}).status == 201
    assert copy(client, append + "?comp=appendblock", path, **part).status == 201
    page = "/%s/page" % container
    assert client.put(page, headers={"x-ms-blob-type": "PageBlob",
                                     "x-ms-blob-content-length": "512"}).status == 201
    assert copy(client, page + "?comp=page", path, x_ms_page_write="update", x_ms_range="bytes=0-511",
                **part).status == 201
    for target in (blob, append, page):
        assert client.get(target).body == content[512:1024]
    # one that shares its source's bytes is of its source's kind
    refused = copy(client, "/%s/sync" % container, path, x_ms_requires_sync="true")
    assert said(refused) == (409, "InvalidBlobType")


@pytest.mark.parametrize("asks", [
    {"x_ms_source_if_tags": "a = '1'"}, {"x_ms_source_if_tags": "a = '2'"},
    {"x_ms_requires_sync": "true", "x_ms_copy_source_tag_option": "COPY"}])
def test_tags_of_a_source_need_their_permission(daemon, client, container, asks):
    other = Client(daemon.port, "second", "c2Vjb25kIGtleSBvZiBpdA==")
    name = "tagged-" + container
    other.create_container(name, {"x-ms-blob-public-access": "blob"})
    other.put_blob("/%s/b" % name, b"x", {"x-ms-tags": "a=1"})
    source, target = url(other, "/%s/b" % name), "/%s/t" % container
    sas = lambda sp: "?" + service_sas(name + "/b", other.account, other.key, sp=sp)
    for credentials in ("", sas("r")):
        answer = copy(client, target, source + credentials, **asks)
        assert said(answer) == (403, "CannotVerifyCopySource"), credentials
    assert client.get(target).status == 404
    answer = copy(client, target, source + sas("rt"), **asks)
    if asks.get("x_ms_source_if_tags") == "a = '2'":
        assert said(answer) == (412, "SourceConditionNotMet")
    else:
        assert answer.status == 202, answer


def test_tags_that_come_with_a_copy_need_their_permission(client, container):
    path, target = "/%s/source" % container, "/%s/target" % container
    client.put_blob(path, b"x", {"x-ms-tags": "a=1"})
    headers = {"x-ms-copy-source": url(client, path) + "?" + service_sas(path[1:], sp="rt"),
               "x-ms-requires-sync": "true", "x-ms-copy-source-tag-option": "COPY",
               "x-ms-date": None}
    ask = lambda sp: client.request("PUT", target + "?" + service_sas(target[1:], sp=sp), b"",
                                    headers, sign=False)
    assert said(ask("cw")) == (403, "AuthorizationPermissionMismatch")
    assert client.get(target).status == 404
    assert ask("cwt").status == 202
    assert client.get(target)["x-ms-tag-count"] == "1"
