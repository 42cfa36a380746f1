# SPDX-License-Identifier: MIT
"""SharedKey and SharedKeyLite: what is let in and what is not."""

import base64
import hashlib
import hmac

import pytest
from blobclient import ACCOUNT, Client, http_date, string_to_sign


def refused(answer, status=403, code="AuthenticationFailed"):
    assert (answer.status, answer.code) == (status, code), answer
    return answer.body.decode()


def test_lite(client, container):
    path = "/%s/lite" % container
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-meta-b": "2", "x-ms-meta-a": "1",
               "Content-Type": "a/b"}
    assert client.put(path, b"lite", headers, lite=True).status == 201
    assert client.get(path, lite=True).body == b"lite"
    assert client.get("/%s?restype=container&comp=list&prefix=l" % container,
                      lite=True).status == 200


def test_host_style(daemon, container):
    client = Client(daemon.port, host_style=True)
    assert client.put_blob("/%s/host" % container, b"host style").status == 201
    assert client.get("/%s/host" % container).body == b"host style"
    answer = client.list_blobs(container)
    # the link counts as https
    scheme = "https" if daemon.gateway else "http"
    assert answer.xml().get("ServiceEndpoint") == "%s://%s.blob.localhost:%d/" % (scheme, ACCOUNT,
                                                                                  daemon.port)
    assert Client(daemon.port).get("/%s/host" % container).body == b"host style"


def test_both_keys_of_an_account(daemon):
    for key in ("QUJDREVGR0hJSktMTU5PUA==", "c2Vjb25kIGtleSBvZiBpdA=="):
        client = Client(daemon.port, "second", key)
        assert client.get("/?comp=list").status == 200
    text = refused(Client(daemon.port, "second", "bm9uZSBvZiBpdHMga2V5cw==").get("/?comp=list"))
    assert "AuthenticationErrorDetail" in text


def test_accounts_are_apart(daemon, client, container):
    second = Client(daemon.port, "second", "QUJDREVGR0hJSktMTU5PUA==")
    assert second.get("/%s?restype=container" % container).code == "ContainerNotFound"
    # a good signature of one account is none for the other
    target, headers = client.head("GET", "/?comp=list")
    headers["Authorization"] = headers["Authorization"].replace(ACCOUNT, "second", 1)
    refused(client.get("/?comp=list", headers))


def test_no_credentials(client, container):
    answer = client.get("/%s/b" % container, sign=False)
    refused(answer, 401, "NoAuthenticationInformation")
    assert answer["WWW-Authenticate"]


@pytest.mark.parametrize("value", [
    "Bearer abc", "SharedKey", "SharedKey x", "SharedKey devstoreaccount1:", "SharedKey :x",
    "SharedKey devstoreaccount1:" + "A" * 43 + "=", "SharedKeyLite devstoreaccount1:x"])
def test_bad_authorization(client, value):
    refused(client.get("/?comp=list", {"Authorization": value}))


@pytest.mark.parametrize("change", [
    {"x-ms-version": "2021-08-06"}, {"x-ms-client-request-id": "more"}, {"Range": "bytes=0-1"},
    {"Content-Type": "a/b"}, {"If-Match": "*"}])
def test_what_is_signed_cannot_be_changed(client, container, change):
    target, headers = client.head("GET", "/%s/b" % container)
    headers.update(change)
    client.connection.request("GET", target, headers=headers)
    response = client.connection.getresponse()
    response.read()
    assert response.status == 403


def test_the_target_is_signed(client, container):
    _, headers = client.head("GET", "/%s/b" % container)
    client.connection.request("GET", "/%s/%s/c" % (ACCOUNT, container), headers=headers)
    response = client.connection.getresponse()
    response.read()
    assert response.status == 403


def test_the_answer_tells_what_was_signed(client):
    text = refused(client.get("/?comp=list", {"Authorization": "SharedKey devstoreaccount1:x"}))
    assert "/devstoreaccount1/devstoreaccount1/\ncomp:list" in text


@pytest.mark.parametrize("seconds, good", [(-800, True), (800, True), (-1000, False),
                                           (1000, False)])
@pytest.mark.parametrize("name", ["x-ms-date", "Date"])
def test_dates(client, seconds, good, name):
    headers = {"x-ms-date": None, name: http_date(seconds)}
    answer = client.get("/?comp=list", headers)
    if good:
        assert answer.status == 200
    else:
        refused(answer)


@pytest.mark.parametrize("date", [None, "yesterday", "2026-11-23T00:00:00Z"])
def test_bad_dates(client, date):
    refused(client.get("/?comp=list", {"x-ms-date": date}))


def test_odd_queries_are_signed_as_the_reference_says(client, container):
    for query in ("prefix=a%2Bb%26c", "Prefix=x", "prefix=%C3%A9", "timeout=30&prefix=",
                  "include=metadata&include=snapshots", "unknown&prefix=z", "prefix=a+b"):
        path = "/%s?restype=container&comp=list&%s" % (container, query)
        assert client.get(path).status == 200, query


def test_odd_names_are_signed_as_they_are_sent(client, container):
    for name in ("a%20b", "a+b", "%E2%82%AC", "a%2fb", "a//b/../c", "(x)!*'"):
        path = "/%s/%s" % (container, name)
        assert client.put_blob(path, b"x").status == 201, name
        assert client.get(path).status == 200
    assert client.get("/%s/a%%2Fb" % container).status == 200


def test_headers_sorted_as_the_newest_sdks_do(client, container):
    """They put hyphens last: x-ms-meta-a_b before x-ms-meta-a1 before x-ms-meta-ab."""
    path = "/%s/sorted" % container
    target, headers = client.head("PUT", path, b"x", {
        "x-ms-blob-type": "BlockBlob", "x-ms-meta-ab": "1", "x-ms-meta-a_b": "2",
        "x-ms-meta-a1": "3"}, sign=False)
    text = string_to_sign("PUT", target, headers, ACCOUNT)
    lines = ["x-ms-meta-a1:3", "x-ms-meta-a_b:2", "x-ms-meta-ab:1"]
    assert "\n".join(lines) in text
    text = text.replace("\n".join(lines), "\n".join([lines[1], lines[0], lines[2]]))
    mac = hmac.new(base64.b64decode(client.key), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = "SharedKey %s:%s" % (ACCOUNT, base64.b64encode(mac).decode())
    assert client.put(path, b"x", headers).status == 201


def test_an_unknown_account(daemon):
    refused(Client(daemon.port, "nobody").get("/?comp=list"))


def test_versions(client):
    assert client.get("/?comp=list", {"x-ms-version": "2018-11-09"}).status == 200
    assert client.get("/?comp=list", {"x-ms-version": "2099-12-31"}).status == 200
    refused(client.get("/?comp=list", {"x-ms-version": "2017-11-09"}), 400, "InvalidHeaderValue")
    refused(client.get("/?comp=list", {"x-ms-version": "newest"}), 400, "InvalidHeaderValue")
    refused(client.get("/?comp=list", {"x-ms-version": None}), 400, "MissingRequiredHeader")


def test_an_answer_repeats_the_clients_id(client):
    answer = client.get("/?comp=list", {"x-ms-client-request-id": "my id 1"})
    assert answer["x-ms-client-request-id"] == "my id 1"
    assert client.get("/none/none")["x-ms-client-request-id"] is None


@pytest.mark.parametrize("header, status, code", [
    ("x-ms-encryption-key", 501, "NotImplemented"),
    ("x-ms-no-such-thing", 400, "UnsupportedHeader"),
    ("x-ms-range", 400, "UnsupportedHeader"), ("Azblob-Body", 400, "UnsupportedHeader")])
def test_headers_that_change_the_meaning_are_refused(client, container, header, status, code):
    path = "/%s/b" % container
    answer = client.put_blob(path, b"x", {header: "1"})
    assert (answer.status, answer.code) == (status, code)
    assert header in answer.body.decode()
    assert client.get(path).status == 404


@pytest.mark.parametrize("method, path", [
    ("POST", "/c-c/b?comp=query"), ("PUT", "/c-c/b?comp=expiry"), ("PUT", "/c-c/b?resource=file"),
    ("PUT", "/c-c?resource=filesystem")])
def test_other_operations_are_a_clean_501(client, method, path):
    answer = client.request(method, path)
    assert (answer.status, answer.code) == (501, "NotImplemented"), answer
    assert answer.xml().find("Code").text == "NotImplemented"


def test_the_type_of_a_blob_is_required(client, container):
    assert client.put("/%s/b" % container, b"").code == "MissingRequiredHeader"
    answer = client.put("/%s/b" % container, b"", {"x-ms-blob-type": "Odd"})
    assert answer.code == "InvalidHeaderValue"


def test_the_secondary_host_only_reads(daemon, client, container):
    client.put_blob("/%s/b" % container, b"x")
    secondary = Client(daemon.port)
    secondary.target = lambda path: "/%s-secondary%s" % (ACCOUNT, path)
    assert secondary.get("/%s/b" % container).body == b"x"
    answer = secondary.put_blob("/%s/b" % container, b"y")
    assert (answer.status, answer.code) == (403, "InsufficientAccountPermissions")


def test_targets_of_the_link_are_not_served(client):
    client.connection.request("GET", "/.azblob")
    response = client.connection.getresponse()
    response.read()
    assert response.status == 400


def test_repeated_parameters_and_headers(client):
    _, headers = client.head("GET", "/?comp=list&comp=list")
    assert client.get("/?comp=list&comp=list").code == "InvalidQueryParameterValue"
    connection = client.connection
    connection.putrequest("GET", client.target("/?comp=list"))
    for name, value in {**headers, "Authorization": "x"}.items():
        connection.putheader(name, value)
    connection.putheader("X-Ms-Version", "2021-08-06")
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    assert response.status == 400
