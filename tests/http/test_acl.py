# SPDX-License-Identifier: MIT
"""Get and Set Container ACL: stored access policies, public access level."""

import pytest
from blobclient import http_date, md5


def identifiers(*policies):
    """Each one: id, start, expiry, permission; None leaves an element out."""
    text = ""
    for name, start, expiry, permission in policies:
        policy = "".join("<%s>%s</%s>" % (element, value, element) for element, value in (
            ("Start", start), ("Expiry", expiry), ("Permission", permission)) if value is not None)
        text += "<SignedIdentifier><Id>%s</Id><AccessPolicy>%s</AccessPolicy></SignedIdentifier>" \
            % (name, policy)
    return ("<?xml version='1.0' encoding='utf-8'?><SignedIdentifiers>%s</SignedIdentifiers>"
            % text).encode()


def acl(container):
    return "/%s?restype=container&comp=acl" % container


def stored(client, container):
    answer = client.get(acl(container))
    assert answer.status == 200, answer
    return [(found.findtext("Id"), found.findtext("AccessPolicy/Start"),
             found.findtext("AccessPolicy/Expiry"), found.findtext("AccessPolicy/Permission"))
            for found in answer.xml().iter("SignedIdentifier")]


def test_a_new_container_has_no_policies(client, container):
    answer = client.get(acl(container))
    assert answer.status == 200
    assert answer["Content-Type"] == "application/xml"
    assert answer["x-ms-blob-public-access"] is None
    assert answer.xml().tag == "SignedIdentifiers"
    assert stored(client, container) == []


def test_policies_come_back_in_order(client, container):
    policies = [("second", "2024-01-02T03:04:05.1234567Z", "2030-01-01", "rl"),
                ("first", None, "2031-02-03T04:05Z", "racwdl"), ("only-id", None, None, None)]
    before = client.get("/%s?restype=container" % container)
    body = identifiers(*policies)
    answer = client.put(acl(container), body, {"Content-MD5": md5(body)})
    assert answer.status == 200, answer
    assert answer["ETag"] != before["ETag"]
    assert client.get(acl(container))["ETag"] == answer["ETag"]
    assert stored(client, container) == policies


def test_setting_replaces_all_of_it(client, container):
    answer = client.put(acl(container), identifiers(("a", None, None, "r")),
                        {"x-ms-blob-public-access": "blob"})
    assert answer.status == 200
    assert client.get(acl(container))["x-ms-blob-public-access"] == "blob"
    assert client.put(acl(container), identifiers()).status == 200
    assert client.get(acl(container))["x-ms-blob-public-access"] is None
    assert stored(client, container) == []
    assert client.put(acl(container), identifiers(("a", None, None, "r"))).status == 200
    assert client.put(acl(container), None).status == 200
    assert stored(client, container) == []


def test_five_policies_and_no_more(client, container):
    five = [("p%d" % i, None, None, "r") for i in range(5)]
    assert client.put(acl(container), identifiers(*five)).status == 200
    answer = client.put(acl(container), identifiers(*five, ("p5", None, None, "r")))
    assert (answer.status, answer.code) == (400, "InvalidXmlDocument")
    assert stored(client, container) == five


@pytest.mark.parametrize("body, code", [
    (b"<SignedIdentifiers>", "InvalidXmlDocument"),
    (b"<Other/>", "InvalidXmlDocument"),
    (b"<!DOCTYPE a><SignedIdentifiers/>", "InvalidXmlDocument"),
    (b"<SignedIdentifiers><SignedIdentifier/></SignedIdentifiers>", "MissingRequiredXmlNode"),
    (identifiers(("x" * 65, None, None, None)), "InvalidXmlNodeValue"),
    (identifiers(("a", None, None, None), ("a", None, None, None)), "InvalidXmlNodeValue"),
    (identifiers(("a", "yesterday", None, None)), "InvalidXmlNodeValue"),
    (identifiers(("a", None, "2024-01-01T00:00:00", None)), "InvalidXmlNodeValue"),
    (identifiers(("a", None, None, "rq")), "InvalidXmlNodeValue")])
def test_bad_policies_are_refused_and_change_nothing(client, container, body, code):
    assert client.put(acl(container), identifiers(("kept", None, None, "r"))).status == 200
    answer = client.put(acl(container), body)
    assert (answer.status, answer.code) == (400, code)
    assert stored(client, container) == [("kept", None, None, "r")]


def test_conditions_are_the_two_dates(client, container):
    answer = client.put(acl(container), identifiers(), {"If-Unmodified-Since": http_date(-3600)})
    assert (answer.status, answer.code) == (412, "ConditionNotMet")
    assert client.put(acl(container), identifiers(),
                      {"If-Modified-Since": http_date(-3600)}).status == 200
    answer = client.put(acl(container), identifiers(), {"If-Match": "*"})
    assert (answer.status, answer.code) == (400, "ConditionHeadersNotSupported")


@pytest.mark.parametrize("level", ["blob", "container"])
def test_public_access_at_creation_is_shown(client, level):
    name = "acl-public-" + level
    assert client.create_container(name, {"x-ms-blob-public-access": level}).status == 201
    assert client.get(acl(name))["x-ms-blob-public-access"] == level
    assert client.get("/%s?restype=container" % name)["x-ms-blob-public-access"] == level
    found = client.get("/?comp=list&prefix=" + name).xml()
    assert [level_.text for level_ in found.iter("PublicAccess")] == [level]


def test_another_level_is_refused(client, container):
    answer = client.create_container("acl-odd", {"x-ms-blob-public-access": "everything"})
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")
    answer = client.put(acl(container), identifiers(), {"x-ms-blob-public-access": "on"})
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue")


def test_no_container_no_acl(client):
    assert client.get(acl("nowhere")).code == "ContainerNotFound"
    assert client.put(acl("nowhere"), identifiers()).code == "ContainerNotFound"
