# SPDX-License-Identifier: MIT
"""Operations of all kinds through the relay, in front of a real server."""

import http.client
import ssl
import urllib.parse

import pytest

from blobclient import Client
from servers import Vspd, key_file, relay_store

GUID = "c0ffee00-0000-4000-8000-000000000001"


def test_an_append_blob_grows(client, container):
    path = "/%s/log" % container
    assert client.put(path, b"", {"x-ms-blob-type": "AppendBlob"}).status == 201
    for number, text in enumerate((b"one ", b"two ", b"three")):
        got = client.put(path + "?comp=appendblock", text)
        assert (got.status, got["x-ms-blob-committed-block-count"]) == (201, str(number + 1))
    assert got["x-ms-blob-append-offset"] == "8"
    late = client.put(path + "?comp=appendblock", b"x", {"x-ms-blob-condition-appendpos": "0"})
    assert (late.status, late.code) == (412, "AppendPositionConditionNotMet")
    assert client.get(path).body == b"one two three"


def test_pages_are_written_and_cleared(client, container):
    path = "/%s/disk" % container
    assert client.put(path, b"", {"x-ms-blob-type": "PageBlob",
                                  "x-ms-blob-content-length": "4096"}).status == 201
    page = {"x-ms-page-write": "update", "x-ms-range": "bytes=512-1535"}
    assert client.put(path + "?comp=page", b"p" * 1024, page).status == 201
    page = {"x-ms-page-write": "clear", "x-ms-range": "bytes=512-1023"}
    assert client.put(path + "?comp=page", b"", page).status == 201
    ranges = client.get(path + "?comp=pagelist").xml()
    assert [(r.findtext("Start"), r.findtext("End")) for r in ranges.iter("PageRange")] == [
        ("1024", "1535")]
    assert client.get(path).body == bytes(1024) + b"p" * 512 + bytes(2560)


def test_a_lease_keeps_others_out(client, container):
    path = "/%s/leased" % container
    client.put_blob(path, b"1")
    got = client.put(path + "?comp=lease", headers={"x-ms-lease-action": "acquire",
                                                    "x-ms-lease-duration": "60"})
    assert got.status == 201
    lease = got["x-ms-lease-id"]
    assert client.put_blob(path, b"2").status == 412
    assert client.put_blob(path, b"2", {"x-ms-lease-id": lease}).status == 201
    changed = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "change", "x-ms-lease-id": lease, "x-ms-proposed-lease-id": GUID})
    assert (changed.status, changed["x-ms-lease-id"]) == (200, GUID)
    # what the table calls safe: a second change to the same id finds it done
    again = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "change", "x-ms-lease-id": lease, "x-ms-proposed-lease-id": GUID})
    assert (again.status, again["x-ms-lease-id"]) == (200, GUID)
    # and so does a second acquire with the id that was proposed
    taken = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "60",
        "x-ms-proposed-lease-id": GUID})
    assert (taken.status, taken["x-ms-lease-id"]) == (201, GUID)
    released = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "release", "x-ms-lease-id": GUID})
    assert released.status == 200


def test_a_snapshot_keeps_what_was(client, container):
    path = "/%s/shot" % container
    client.put_blob(path, b"before")
    got = client.put(path + "?comp=snapshot")
    assert got.status == 201
    client.put_blob(path, b"after")
    snapshot = urllib.parse.quote(got["x-ms-snapshot"], safe="")
    assert client.get(path + "?snapshot=" + snapshot).body == b"before"
    assert client.get(path).body == b"after"
    assert client.delete(path).status == 409
    assert client.delete(path, {"x-ms-delete-snapshots": "include"}).status == 202


def test_tags_and_tiers(client, container):
    path = "/%s/tagged" % container
    client.put_blob(path, b"x")
    tags = (b'<?xml version="1.0" encoding="utf-8"?><Tags><TagSet><Tag><Key>colour</Key>'
            b"<Value>blue</Value></Tag></TagSet></Tags>")
    assert client.put(path + "?comp=tags", tags, {"Content-Type": "application/xml"}).status == 204
    assert client.get(path + "?comp=tags").xml().find(".//Value").text == "blue"
    assert client.put(path + "?comp=tier", headers={"x-ms-access-tier": "Cool"}).status == 200
    assert client.request("HEAD", path)["x-ms-access-tier"] == "Cool"


def test_the_account_and_the_service(client):
    got = client.get("/?restype=account&comp=properties")
    assert got.status == 200 and got["x-ms-sku-name"]
    assert client.get("/?restype=service&comp=properties").status == 200
    assert client.get("/?comp=list").status == 200


def test_a_container_has_metadata_and_policies(client, container):
    path = "/%s?restype=container" % container
    assert client.put(path + "&comp=metadata", headers={"x-ms-meta-a": "b"}).status == 200
    assert client.request("HEAD", path)["x-ms-meta-a"] == "b"
    acl = (b"<SignedIdentifiers><SignedIdentifier><Id>one</Id><AccessPolicy>"
           b"<Start>2020-01-01T00:00:00.0000000Z</Start><Expiry>2099-01-01T00:00:00.0000000Z"
           b"</Expiry><Permission>r</Permission></AccessPolicy></SignedIdentifier>"
           b"</SignedIdentifiers>")
    assert client.put(path + "&comp=acl", acl).status == 200
    assert client.get(path + "&comp=acl").xml().findtext(".//Id") == "one"


def test_a_public_blob_is_read_without_credentials(client, container):
    client.put_blob("/%s/open" % container, b"for all")
    path = "/%s/open" % container
    assert client.get(path, sign=False).status in (401, 403, 404, 409)
    assert client.put("/%s?restype=container&comp=acl" % container, b"", {
        "x-ms-blob-public-access": "blob"}).status == 200
    assert client.get(path, sign=False).body == b"for all"


def test_the_callers_own_signature_is_good_upstream(upstream, start, container):
    """Nothing that it covers is changed on the way, whatever the headers are."""
    relay = start(upstream.url, key=False)
    own = Client(relay.port)
    path = "/%s/own%%20name" % container
    put = own.put_blob(path, b"bytes", {"x-ms-meta-Mixed": "a  b", "Content-Type": "text/plain",
                                        "If-None-Match": "*"})
    assert put.status == 201, put
    assert own.get(path, {"Range": "bytes=1-2"}).body == b"yt"
    listed = own.list_blobs(container, prefix="own n", include="metadata")
    assert listed.xml().findtext(".//Name") == "own name"
    own.key = "QUJDREVGR0hJSktMTU5PUA=="
    # Azurite says 400
    assert own.get(path).status in (400, 403)
    own.close()


def test_through_two_relays_and_tls(upstream, certificates, tmp_path):
    """A relay is a server like another one, so it can be upstream itself."""
    first = Vspd(tmp_path / "first", relay_store(upstream.url, certificates,
                                                 key_file=key_file(tmp_path / "first")),
                 certificates=certificates)
    second = Vspd(tmp_path / "second", relay_store(
        "https://localhost:%d/devstoreaccount1" % first.tls_port, certificates,
        key_file=key_file(tmp_path / "second")), certificates=certificates)
    client = Client(second.tls_port)
    context = ssl.create_default_context(cafile=certificates.ca)
    client.connection = http.client.HTTPSConnection("localhost", second.tls_port, timeout=60,
                                                    context=context)
    data = bytes(range(256)) * 40000
    assert client.create_container("relayed").status in (201, 409)
    assert client.put_blob("/relayed/b", data).status == 201
    assert client.get("/relayed/b").body == data
    client.close()
    second.stop()
    first.stop()


@pytest.mark.parametrize("size", [0, 1, 262144, 262145])
def test_sizes_at_the_border_between_whole_and_streamed(client, container, size):
    path = "/%s/size%d" % (container, size)
    data = bytes(i % 251 for i in range(size))
    assert client.put_blob(path, data).status == 201
    got = client.get(path)
    assert (got.status, got.body, got["Content-Length"]) == (200, data, str(size))
