# SPDX-License-Identifier: MIT
"""Create, Delete, Get Properties, Set Metadata, List Containers."""

import email.utils
import time

import pytest
from blobclient import http_date


def test_create_answers_201_with_etag_and_time(client):
    # whole seconds in the header, of a clock that may be a tick (10 ms) behind
    before = int(time.time() - 0.01)
    answer = client.create_container("create-1")
    after = time.time()
    assert answer.status == 201
    assert answer["ETag"].startswith('"0x')
    made = email.utils.parsedate_to_datetime(answer["Last-Modified"]).timestamp()
    assert before <= made <= after
    assert answer["x-ms-version"] == "2023-11-03"
    assert answer["Content-Length"] == "0"
    assert len(answer["x-ms-request-id"]) == 36
    assert answer["Server"].startswith("azblob-vspd/")


def test_create_again_is_409(client, container):
    answer = client.create_container(container)
    assert (answer.status, answer.code) == (409, "ContainerAlreadyExists")


@pytest.mark.parametrize("name, code", [
    ("ab", "OutOfRangeInput"), ("a" * 64, "OutOfRangeInput"), ("Upper", "InvalidResourceName"),
    ("two--hyphens", "InvalidResourceName"), ("-start", "InvalidResourceName"),
    ("under_score", "InvalidResourceName")])
def test_bad_names_are_refused(client, name, code):
    answer = client.create_container(name)
    assert (answer.status, answer.code) == (400, code)


def test_properties_and_metadata(client, container):
    answer = client.put("/%s?restype=container&comp=metadata" % container,
                        headers={"x-ms-meta-One": "first", "x-ms-meta-two": "2"})
    assert answer.status == 200
    for method in ("GET", "HEAD"):
        for comp in ("", "&comp=metadata"):
            found = client.request(method, "/%s?restype=container%s" % (container, comp))
            assert found.status == 200
            assert found.body == b""
            assert found["ETag"] == answer["ETag"]
            assert found["x-ms-meta-one"] == "first"
            assert found["x-ms-meta-two"] == "2"
            assert found["x-ms-lease-state"] == (None if comp else "available")


def test_metadata_at_creation(client):
    assert client.create_container("with-metadata", {"x-ms-meta-a": "b"}).status == 201
    assert client.get("/with-metadata?restype=container")["x-ms-meta-a"] == "b"


def test_delete_takes_the_blobs_along(client, container):
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    assert client.delete("/%s?restype=container" % container).status == 202
    assert client.get("/%s?restype=container" % container).code == "ContainerNotFound"
    assert client.get("/%s/b" % container).status == 404
    assert client.delete("/%s?restype=container" % container).code == "ContainerNotFound"


def test_delete_under_a_date_condition(client, container):
    path = "/%s?restype=container" % container
    answer = client.delete(path, {"If-Modified-Since": http_date(3600)})
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    answer = client.delete(path, {"If-Unmodified-Since": http_date(-3600)})
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    answer = client.delete(path, {"If-Match": "*"})
    assert (answer.status, answer.code) == (400, "ConditionHeadersNotSupported")
    assert client.delete(path, {"If-Unmodified-Since": http_date(3600)}).status == 202


def test_list_containers(client):
    for name in ("list-c", "list-a", "list-b", "other"):
        client.create_container(name, {"x-ms-meta-name": name})
    answer = client.get("/?comp=list&prefix=list-")
    assert answer.status == 200
    assert answer["Content-Type"] == "application/xml"
    names = [found.text for found in answer.xml().iter("Name")]
    assert names == ["list-a", "list-b", "list-c"]
    assert answer.xml().find("Prefix").text == "list-"
    assert not list(answer.xml().iter("Metadata"))
    with_metadata = client.get("/?comp=list&prefix=list-&include=metadata").xml()
    assert [found.find("name").text for found in with_metadata.iter("Metadata")] == names


def test_list_containers_in_pages(client):
    for i in range(5):
        client.create_container("page-%d" % i)
    names, marker = [], ""
    while True:
        page = client.get("/?comp=list&prefix=page-&maxresults=2&marker=" + marker).xml()
        here = [found.text for found in page.iter("Name")]
        assert 1 <= len(here) <= 2
        names += here
        marker = page.find("NextMarker").text
        if not marker:
            break
    assert names == ["page-%d" % i for i in range(5)]


@pytest.mark.parametrize("query, code", [
    ("maxresults=0", "OutOfRangeQueryParameterValue"),
    ("maxresults=x", "InvalidQueryParameterValue"),
    ("include=nonsense", "InvalidQueryParameterValue"),
    ("marker=nonsense", "InvalidQueryParameterValue")])
def test_bad_list_parameters_are_refused(client, query, code):
    answer = client.get("/?comp=list&" + query)
    assert (answer.status, answer.code) == (400, code)
