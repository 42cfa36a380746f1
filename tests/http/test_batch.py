# SPDX-License-Identifier: MIT
"""Blob Batch in the account and in a container, with both forms of paths."""

import pytest
from blobclient import ACCOUNT, KEY, authorization, http_date

BOUNDARY = "batch_357de4f7"


def part(number, method, path, headers=None, sign=True, key=KEY):
    """One request, as SDKs write it: signed over its own path, without version and Host."""
    sent = {"x-ms-date": http_date(), "Content-Length": "0"}
    sent.update(headers or {})
    if sign:
        sent["Authorization"] = authorization(method, path, sent, ACCOUNT, key)
    lines = ["--" + BOUNDARY, "Content-Type: application/http",
             "Content-Transfer-Encoding: binary", "Content-ID: %s" % number, "",
             "%s %s HTTP/1.1" % (method, path)]
    lines += ["%s: %s" % pair for pair in sent.items()]
    return "\r\n".join(lines) + "\r\n\r\n"


def body_of(parts):
    return ("".join(parts) + "--%s--\r\n" % BOUNDARY).encode()


def send(client, parts, container=None, **more):
    path = "/%s?restype=container&comp=batch" % container if container else "/?comp=batch"
    body = parts if isinstance(parts, bytes) else body_of(parts)
    return client.request("POST", path, body, {
        "Content-Type": "multipart/mixed; boundary=" + BOUNDARY,
        "Content-Length": str(len(body))}, **more)


def answers(answer):
    """By Content-ID: status and error code."""
    assert answer.status == 202, answer
    kind, _, boundary = answer["Content-Type"].partition("; boundary=")
    assert kind == "multipart/mixed"
    pieces = answer.body.decode().split("--" + boundary)
    assert pieces[0] == "" and pieces[-1] == "--\r\n"
    found = {}
    for piece in pieces[1:-1]:
        outer, inner = piece.strip("\r\n").split("\r\n\r\n", 1)
        assert "Content-Type: application/http" in outer
        number = [line.split(": ")[1] for line in outer.split("\r\n") if "Content-ID" in line]
        head = inner.split("\r\n\r\n")[0].split("\r\n")
        code = [line.split(": ")[1] for line in head if line.startswith("x-ms-error-code")]
        assert any(line.startswith("x-ms-request-id: ") for line in head)
        found[number[0]] = (int(head[0].split()[1]), code[0] if code else None)
    return found


@pytest.fixture
def blobs(client, container):
    for name in "abc":
        assert client.put_blob("/%s/%s" % (container, name), b"x").status == 201
    return container


@pytest.mark.parametrize("prefix", ["", "/" + ACCOUNT], ids=["without", "with"])
@pytest.mark.parametrize("scoped", [False, True], ids=["account", "container"])
def test_deletions_and_tiers(client, blobs, prefix, scoped):
    path = prefix + "/" + blobs
    answer = send(client, [
        part(0, "DELETE", path + "/a"), part(1, "DELETE", path + "/none"),
        part(2, "PUT", path + "/b?comp=tier", {"x-ms-access-tier": "Cool"}),
        part(3, "DELETE", path + "/c", {"If-Match": '"0x1"'})], blobs if scoped else None)
    assert answers(answer) == {"0": (202, None), "1": (404, "BlobNotFound"), "2": (200, None),
                               "3": (412, "ConditionNotMet")}
    assert client.get("/%s/a" % blobs).status == 404
    assert client.request("HEAD", "/%s/b" % blobs)["x-ms-access-tier"] == "Cool"
    assert client.get("/%s/c" % blobs).status == 200


def test_each_request_has_credentials_of_its_own(client, blobs):
    path = "/%s/" % blobs
    other = "c29tZSBvdGhlciBrZXk="
    found = answers(send(client, [part(0, "DELETE", path + "a", sign=False),
                                  part(1, "DELETE", path + "b", key=other),
                                  part(2, "DELETE", path + "c")]))
    assert found == {"0": (401, "NoAuthenticationInformation"),
                     "1": (403, "AuthenticationFailed"), "2": (202, None)}
    assert client.get(path + "a").status == client.get(path + "b").status == 200


def test_only_what_a_batch_may_have(client, blobs):
    path = "/%s/" % blobs
    found = answers(send(client, [
        part(0, "PUT", path + "d", {"x-ms-blob-type": "BlockBlob"}), part(1, "GET", path + "a"),
        part(2, "DELETE", "/%s?restype=container" % blobs),
        part(3, "PUT", path + "a?comp=metadata"),
        part(4, "POST", "/?comp=batch"), part(5, "DELETE", "/second/private/b"),
        part(6, "DELETE", path + "a", {"Host": "elsewhere"})]))
    assert {number: status for number, (status, _) in found.items()} == {
        "0": 400, "1": 400, "2": 400, "3": 400, "4": 400, "5": 404, "6": 400}
    assert client.get(path + "a").status == 200
    assert client.get(path + "d").status == 404


def test_a_container_batch_stays_in_its_container(client, blobs):
    client.create_container(blobs + "-other")
    client.put_blob("/%s-other/a" % blobs, b"x")
    found = answers(send(client, [part(0, "DELETE", "/%s-other/a" % blobs),
                                  part(1, "DELETE", "/%s/a" % blobs)], blobs))
    assert found == {"0": (400, "InvalidInput"), "1": (202, None)}
    assert client.get("/%s-other/a" % blobs).status == 200


def test_256_requests_and_no_more(client, container):
    for count in (256, 257):
        for i in range(count):
            client.put_blob("/%s/%d" % (container, i), b"")
        answer = send(client, [part(i, "DELETE", "/%s/%d" % (container, i)) for i in range(count)])
        if count == 257:
            assert (answer.status, answer.code) == (400, "ExceedsMaxBatchRequestCount")
        else:
            assert set(answers(answer).values()) == {(202, None)}
    assert len(list(client.list_blobs(container).xml().iter("Blob"))) == 257


@pytest.mark.parametrize("body", [
    b"", b"nonsense", b"--batch_357de4f7--\r\n", b"--batch_357de4f7\r\n",
    b"--batch_357de4f7\r\nContent-Type: text/plain\r\n\r\nDELETE /c/a HTTP/1.1\r\n\r\n"
    b"--batch_357de4f7--\r\n"])
def test_malformed_bodies(client, body):
    answer = send(client, body)
    assert (answer.status, answer.code) == (400, "InvalidInput")


def test_malformed_requests_in_a_good_body(client, blobs):
    bad = "--%s\r\nContent-Type: application/http\r\nContent-ID: 7\r\n\r\nnonsense\r\n\r\n" % BOUNDARY
    found = answers(send(client, [bad, part(8, "DELETE", "/%s/a" % blobs)]))
    assert found == {"7": (400, "InvalidInput"), "8": (202, None)}


def test_the_batch_itself(client, container):
    answer = client.request("POST", "/?comp=batch", b"x", {"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
    answer = send(client, [part(0, "DELETE", "/%s/a" % container)], sign=False)
    assert answer.status == 401
    answer = send(client, b"x" * (4 * 1024 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "RequestBodyTooLarge")


def test_an_account_taken_for_a_container(client, blobs):
    """As the SDK for JavaScript sends it where URLs have the account in their path."""
    body = body_of([part(0, "DELETE", "/%s/%s/a" % (ACCOUNT, blobs))])
    answer = client.request("POST", "?restype=container&comp=batch", body, {
        "Content-Type": "multipart/mixed; boundary=" + BOUNDARY, "Content-Length": str(len(body))})
    assert answers(answer) == {"0": (202, None)}


def test_nothing_follows_the_head_of_one_that_went_well(client, blobs):
    """The SDK for Java takes what follows for the text of an error."""
    answer = send(client, [part(0, "DELETE", "/%s/%s/a" % (ACCOUNT, blobs))])
    boundary = answer["Content-Type"].partition("boundary=")[2]
    _, one, end = answer.body.decode().split("--" + boundary)
    assert end == "--\r\n"
    assert one.endswith("\r\n\r\n") and one.count("\r\n\r\n") == 2
