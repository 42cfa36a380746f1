# SPDX-License-Identifier: MIT
"""Find Blobs by Tags in the account and in a container."""

import itertools
import urllib.parse

import pytest

KEY = ("find%d" % i for i in itertools.count())


def find(client, where, container=None, **more):
    query = dict(comp="blobs", where=where, **more)
    if container:
        query["restype"] = "container"
    return client.get("/%s?%s" % (container or "", urllib.parse.urlencode(
        query, quote_via=urllib.parse.quote)))


def names(answer):
    assert answer.status == 200, answer
    return [(blob.findtext("ContainerName"), blob.findtext("Name"))
            for blob in answer.xml().iter("Blob")]


def put(client, container, name, **tags):
    assert client.put_blob("/%s/%s" % (container, urllib.parse.quote(name)), b"x",
                           {"x-ms-tags": urllib.parse.urlencode(tags)}).status == 201


@pytest.fixture
def second(client, container):
    name = container + "-second"
    assert client.create_container(name).status == 201
    return name


def test_found_in_the_account_and_in_a_container(client, container, second):
    key = next(KEY)
    put(client, container, "a", **{key: "1", "other": "x"})
    put(client, container, "b", **{key: "2"})
    put(client, second, "c", **{key: "1"})
    put(client, second, "d", other="x")
    answer = find(client, "%s = '1'" % key)
    assert sorted(names(answer)) == [(container, "a"), (second, "c")]
    assert answer.xml().findtext("Where") == "%s = '1'" % key
    # only the tags that were asked about
    assert {tag.findtext("Key") for tag in answer.xml().iter("Tag")} == {key}
    assert names(find(client, "%s = '1'" % key, container)) == [(container, "a")]
    assert names(find(client, "%s = '1' AND @container = '%s'" % (key, second))) == [(second, "c")]
    assert names(find(client, "%s = '1' AND @container = 'no-such-one'" % key)) == []
    assert names(find(client, "%s >= '1' AND %s < '2'" % (key, key), container)) == [
        (container, "a")]
    assert names(find(client, "%s > '1'" % key)) == [(container, "b")]
    assert names(find(client, "%s <= '2' AND other = 'x'" % key)) == [(container, "a")]


def test_the_index_follows_the_blobs(client, container):
    key = next(KEY)
    where = "%s = 'v'" % key
    path = "/%s/b" % container
    put(client, container, "b", **{key: "v"})
    assert names(find(client, where)) == [(container, "b")]
    assert client.put(path + "?comp=metadata").status == 200
    assert names(find(client, where)) == [(container, "b")]
    body = b"<Tags><TagSet><Tag><Key>%s</Key><Value>w</Value></Tag></TagSet></Tags>" % key.encode()
    assert client.put(path + "?comp=tags", body).status == 204
    assert names(find(client, where)) == []
    assert names(find(client, "%s = 'w'" % key)) == [(container, "b")]
    assert client.put_blob(path, b"no tags").status == 201
    assert names(find(client, "%s = 'w'" % key)) == []
    put(client, container, "b", **{key: "v"})
    assert client.delete(path).status == 202
    assert names(find(client, where)) == []
    put(client, container, "b", **{key: "v"})
    assert client.delete("/%s?restype=container" % container).status == 202
    assert names(find(client, where)) == []


@pytest.mark.parametrize("scoped", [False, True])
def test_pages(client, container, second, scoped):
    key = next(KEY)
    everywhere = [container] if scoped else [container, second]
    wanted = [(where, "blob %d/\u00e4" % i) for where in everywhere for i in range(5)]
    for where, name in wanted:
        put(client, where, name, **{key: "v%d" % (len(name) % 2)})
    found, marker = [], ""
    for _ in range(20):
        answer = find(client, "%s >= 'v'" % key, container if scoped else None, maxresults=3,
                      marker=marker)
        page = names(answer)
        assert len(page) <= 3
        found += page
        marker = answer.xml().findtext("NextMarker")
        if not marker:
            break
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize("where, reason", [
    ("a = '1' OR b = '2'", "OR is not for finding"), ("a <> '1'", "<> is not for finding"),
    ("(a = '1')", "a key is expected"), ("@container = 'c'", "at least one tag"),
    ("@container > 'c'", "@container takes = only"), ("@other = 'c'", "only @container"),
    ("a = '1", "no closing quote"), ("a = 1", "a value in single quotes"),
    ("a '1'", "is expected"), ("a = '1' b", "AND or the end")])
def test_bad_expressions_say_what_is_wrong(client, where, reason):
    answer = find(client, where)
    assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")
    assert reason in answer.xml().findtext("Reason")


def test_other_bad_parameters(client):
    assert client.get("/?comp=blobs").code == "MissingRequiredQueryParameter"
    assert find(client, "a = '1'", maxresults=0).code == "OutOfRangeQueryParameterValue"
    assert find(client, "a = '1'", marker="nonsense").code == "InvalidQueryParameterValue"
    assert find(client, "a = '1'", "no-such-container").code == "ContainerNotFound"
