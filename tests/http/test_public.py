# SPDX-License-Identifier: MIT
"""What requests without credentials may read, and what they are told otherwise."""

import pytest
from blobclient import VERSION, Client

BARE = {"x-ms-date": None, "x-ms-version": None}


def ask(client, path, method="GET", headers=None, body=None):
    return client.request(method, path, body, dict(BARE, **(headers or {})), sign=False)


@pytest.fixture
def public(client, container):
    """Sets the access of a container with a blob in it."""
    assert client.put_blob("/%s/b" % container, b"content", {"x-ms-meta-a": "1"}).status == 201

    def set_access(access):
        headers = {"x-ms-blob-public-access": access} if access else {}
        answer = client.put("/%s?restype=container&comp=acl" % container, b"", headers)
        assert answer.status == 200, answer
        return container
    return set_access


def reads(name):
    blob = ["/%s/b" % name, "/%s/b?comp=metadata" % name, "/%s/b?comp=blocklist" % name]
    container = ["/%s?restype=container" % name, "/%s?restype=container&comp=metadata" % name,
                 "/%s?restype=container&comp=list" % name]
    return blob, container


@pytest.mark.parametrize("access, blobs, lists", [
    (None, 401, 401), ("blob", 200, 401), ("container", 200, 200)])
def test_levels(client, public, access, blobs, lists):
    of_blob, of_container = reads(public(access))
    for path in of_blob:
        assert ask(client, path).status == blobs, path
    for path in of_container:
        assert ask(client, path).status == lists, path


def test_a_new_container_can_be_public(client, container):
    name = container + "-p"
    assert client.create_container(name, {"x-ms-blob-public-access": "blob"}).status == 201
    assert client.put_blob("/%s/b" % name, b"x").status == 201
    assert ask(client, "/%s/b" % name).body == b"x"
    assert client.put("/%s?restype=container&comp=acl" % name, b"").status == 200
    assert ask(client, "/%s/b" % name).status == 401


def test_nothing_else_is_public(client, public):
    name = public("container")
    for method, path in (("PUT", "/%s/b?comp=metadata"), ("DELETE", "/%s/b"),
                         ("GET", "/%s?restype=container&comp=acl"), ("GET", "/%s/b?comp=tags"),
                         ("DELETE", "/%s?restype=container")):
        assert ask(client, path % name, method).status == 401, path
    assert ask(client, "/?comp=list").status == 401
    assert ask(client, "/%s/new" % name, "PUT", {"x-ms-blob-type": "BlockBlob"}, b"x").status == 401
    assert ask(client, "/%s/b" % name, headers={"x-ms-if-tags": "a='b'"}).status == 401
    assert client.get("/%s/b" % name).status == 200


def test_what_is_not_there_looks_like_what_is_not_public(client, public, daemon):
    name = public("blob")
    answers = [ask(client, "/no-such-container/b"), ask(client, "/%s?restype=container" % name),
               ask(Client(daemon.port, "second"), "/%s/b" % name),
               ask(Client(daemon.port, "nobody"), "/%s/b" % name)]
    assert {(a.status, a.code) for a in answers} == {(401, "NoAuthenticationInformation")}
    # a blob that is not there in a container that is open is no secret
    assert ask(client, "/%s/none" % name).code == "BlobNotFound"


def test_the_refusal_by_version(client, container):
    new = ask(client, "/%s/b" % container, headers={"x-ms-version": VERSION})
    assert (new.status, new.code) == (401, "NoAuthenticationInformation")
    assert new["WWW-Authenticate"]
    old = ask(client, "/%s/b" % container, headers={"x-ms-version": "2019-07-07"})
    assert (old.status, old.code) == (404, "ResourceNotFound")


def test_a_read_without_a_version_has_the_oldest(client, public):
    answer = ask(client, "/%s/b" % public("blob"))
    assert (answer.status, answer["x-ms-version"]) == (200, "2018-11-09")
    assert (answer.body, answer["x-ms-meta-a"]) == (b"content", "1")
    assert ask(client, "/%s/b" % public("blob"), headers={"Range": "bytes=1-2"}).body == b"on"
    assert ask(client, "/%s/b" % public("blob"), "HEAD").status == 200
