# SPDX-License-Identifier: MIT
"""The secondary host and both URL forms, with each kind of credentials."""

import pytest
from blobclient import ACCOUNT, Client
from sasclient import account_sas, service_sas


def secondary(daemon, style):
    client = Client(daemon.port, host_style=style == "host")
    if style == "host":
        plain = client.head

        def head(*arguments, **more):
            target, sent = plain(*arguments, **more)
            sent["Host"] = "%s-secondary.blob.localhost:%d" % (ACCOUNT, daemon.port)
            return target, sent
        client.head = head
    else:
        client.target = lambda path: "/%s-secondary%s" % (ACCOUNT, path)
    return client


@pytest.fixture(params=["host", "path"])
def other(request, daemon):
    return secondary(daemon, request.param)


def test_reads_with_each_kind_of_credentials(client, other, container):
    assert client.put("/%s?restype=container&comp=acl" % container, b"",
                      {"x-ms-blob-public-access": "blob"}).status == 200
    assert client.put_blob("/%s/b" % container, b"content").status == 201
    path, bare = "/%s/b" % container, {"x-ms-date": None}
    assert other.get(path).body == b"content"
    assert other.get(path, lite=True).body == b"content"
    for sas in (account_sas(), service_sas(container + "/b", sp="r"),
                service_sas(container, sp="r")):
        assert other.get(path + "?" + sas, bare, sign=False).body == b"content"
    assert other.get(path, bare, sign=False).body == b"content"
    assert other.request("HEAD", path)["Content-Length"] == "7"
    assert other.list_blobs(container).status == 200


def test_writes_are_refused(client, other, container):
    assert client.put_blob("/%s/b" % container, b"content").status == 201
    answers = [other.put_blob("/%s/b" % container, b"other"), other.delete("/%s/b" % container),
               other.create_container(container + "-2"),
               other.put("/%s/b?comp=metadata" % container, b""),
               other.put("/%s/b?comp=snapshot" % container, b""),
               other.put("/?restype=service&comp=properties", b"<StorageServiceProperties/>"),
               other.put("/%s/b?%s" % (container, account_sas()), b"other",
                         {"x-ms-blob-type": "BlockBlob", "x-ms-date": None}, sign=False)]
    for answer in answers:
        assert (answer.status, answer.code) == (403, "InsufficientAccountPermissions"), answer
        assert b"Write operations are not allowed" in answer.body
    assert client.get("/%s/b" % container).body == b"content"


def test_the_account_is_checked_there_too(daemon, other, container):
    refused = other.get("/%s/b" % container, {"Authorization": "SharedKey %s-secondary:x" % ACCOUNT})
    assert refused.status == 403
    refused = other.get("/%s/b" % container, {"x-ms-date": None}, sign=False)
    assert refused.status == 401
