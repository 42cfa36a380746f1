# SPDX-License-Identifier: MIT
"""Get and Set Blob Tags, x-ms-tags, x-ms-if-tags."""

import urllib.parse

import pytest


def tag_xml(tags):
    return ("<?xml version='1.0' encoding='utf-8'?><Tags><TagSet>%s</TagSet></Tags>" % "".join(
        "<Tag><Key>%s</Key><Value>%s</Value></Tag>" % pair for pair in tags)).encode()


def tags_of(client, path):
    answer = client.get(path + "?comp=tags")
    assert answer.status == 200, answer
    assert answer.xml().tag == "Tags"
    return {tag.findtext("Key"): tag.findtext("Value") for tag in answer.xml().iter("Tag")}


@pytest.fixture
def path(client, container):
    name = "/%s/b" % container
    assert client.put_blob(name, b"x").status == 201
    return name


def test_tags_are_set_and_replaced(client, path):
    before = client.request("HEAD", path)
    assert before["x-ms-tag-count"] is None
    assert tags_of(client, path) == {}
    tags = {"Project": "one + two", "a.b/c:d=e_f-g": "", "n": "x" * 256, "k" * 128: "1"}
    assert client.put(path + "?comp=tags", tag_xml(tags.items())).status == 204
    assert tags_of(client, path) == tags
    after = client.request("HEAD", path)
    assert after["x-ms-tag-count"] == "4"
    assert client.get(path)["x-ms-tag-count"] == "4"
    assert after["ETag"] == before["ETag"]
    assert client.put(path + "?comp=tags", tag_xml([("z", "1")])).status == 204
    assert tags_of(client, path) == {"z": "1"}
    assert client.put(path + "?comp=tags", tag_xml([])).status == 204
    assert tags_of(client, path) == {}


def test_tags_come_with_a_blob_and_go_with_it(client, path):
    tags = {"key one": "a+b", "z": "1"}
    header = {"x-ms-tags": urllib.parse.urlencode(tags)}
    assert client.put_blob(path, b"y", header).status == 201
    assert tags_of(client, path) == tags
    assert client.put(path + "?comp=metadata", headers={"x-ms-meta-a": "b"}).status == 200
    assert tags_of(client, path) == tags
    assert client.put_block(path, "1", b"block").status == 201
    assert client.put_block_list(path, ["1"], {"x-ms-tags": "list=yes"}).status == 201
    assert tags_of(client, path) == {"list": "yes"}
    assert client.put_blob(path, b"z").status == 201
    assert tags_of(client, path) == {}


@pytest.mark.parametrize("tags, code", [
    ([("k%d" % i, "v") for i in range(11)], "TagsTooLarge"),
    ([("k" * 129, "v")], "TagsTooLarge"),
    ([("k", "v" * 257)], "TagsTooLarge"),
    ([("", "v")], "EmptyTagName"),
    ([("k", "v"), ("k", "w")], "DuplicateTagNames"),
    ([("k!", "v")], "InvalidTag"),
    ([("k", "ä")], "InvalidTag")])
def test_bad_tags_are_refused(client, path, tags, code):
    assert client.put(path + "?comp=tags", tag_xml([("kept", "1")])).status == 204
    answer = client.put(path + "?comp=tags", tag_xml(tags))
    assert (answer.status, answer.code) == (400, code)
    if len(dict(tags)) == len(tags):
        answer = client.put_blob(path, b"", {"x-ms-tags": urllib.parse.urlencode(tags)})
        assert (answer.status, answer.code) == (400, code)
    assert tags_of(client, path) == {"kept": "1"}


@pytest.mark.parametrize("body", [b"", b"<Tags/>", b"<Other/>", b"<Tags><TagSet><X/></TagSet></Tags>",
                                  b"<Tags><TagSet><Tag><Key>a</Key></Tag></TagSet></Tags>"])
def test_bad_xml_is_refused(client, path, body):
    answer = client.put(path + "?comp=tags", body)
    assert (answer.status, answer.code) == (400, "InvalidXmlDocument")


def test_lists_show_tags_when_asked(client, container, path):
    assert client.put(path + "?comp=tags", tag_xml([("a", "1"), ("b", "<2")])).status == 400
    assert client.put(path + "?comp=tags", tag_xml([("a", "1"), ("b", "2")])).status == 204
    found = client.list_blobs(container, include="tags").xml()
    assert [tag.findtext("Key") for tag in found.iter("Tag")] == ["a", "b"]
    assert [count.text for count in found.iter("TagCount")] == ["2"]
    assert not list(client.list_blobs(container).xml().iter("Tag"))


@pytest.mark.parametrize("expression, holds", [
    ("a = '1'", True), ("a='1' AND b >= '2'", True), ("a = '2' OR b = '2'", True),
    ("a = '2' or b = '3'", False), ("\"a\" <> '1'", False), ("c <> '1'", True), ("c = ''", False),
    ("a = '1' OR a = '2' AND b = '9'", True), ("(a = '1' OR a = '2') AND b = '9'", False),
    ("b < '10'", False), ("b > '10'", True), ("b <= '2'", True)])
def test_if_tags(client, path, expression, holds):
    assert client.put(path + "?comp=tags", tag_xml([("a", "1"), ("b", "2")])).status == 204
    condition = {"x-ms-if-tags": expression}
    expected = (200, None) if holds else (412, "ConditionNotMet")
    for answer in (client.get(path, condition), client.get(path + "?comp=tags", condition),
                   client.get(path + "?comp=blocklist", condition),
                   client.put(path + "?comp=metadata", headers=condition),
                   client.put(path + "?comp=properties", headers=condition),
                   client.put(path + "?comp=tier",
                              headers=dict(condition, **{"x-ms-access-tier": "Cool"}))):
        assert (answer.status, answer.code) == expected
    answer = client.put_blob(path, b"y", dict(condition, **{"x-ms-tags": "a=1&b=2"}))
    assert answer.status == (201 if holds else 412)
    assert client.delete(path, condition).status == (202 if holds else 412)


@pytest.mark.parametrize("expression", [
    "", "a", "a =", "a = 1", "a = '1", "a = '1' AND", "(a = '1'", "a = '1' b = '2'", "'a' = '1'",
    "@container = 'c'", "a ! '1'", "a = '%s'" % ("x" * 257)])
def test_bad_expressions_say_what_is_wrong(client, path, expression):
    answer = client.get(path, {"x-ms-if-tags": expression})
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
    assert "at character" in answer.xml().findtext("Reason")


def test_tags_of_no_blob(client, container):
    assert client.get("/%s/none?comp=tags" % container).code == "BlobNotFound"
    answer = client.put("/%s/none?comp=tags" % container, tag_xml([("a", "1")]))
    assert (answer.status, answer.code) == (404, "BlobNotFound")
