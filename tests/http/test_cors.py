# SPDX-License-Identifier: MIT
"""Pages of other origins: preflight requests, and headers on answers."""

import pytest
from blobclient import Client

RULES = [
    ("http://one.test,http://two.test", "GET,HEAD,PUT", "x-ms-meta-a*,content-type", "x-ms-*,ETag", 60),
    ("https://*.wild.test", "GET", "*", "", 0),
    ("http://one.test", "DELETE", "", "", 5),
]


def set_rules(client, rules):
    xml = "".join(
        "<CorsRule><AllowedOrigins>%s</AllowedOrigins><AllowedMethods>%s</AllowedMethods>"
        "<AllowedHeaders>%s</AllowedHeaders><ExposedHeaders>%s</ExposedHeaders>"
        "<MaxAgeInSeconds>%d</MaxAgeInSeconds></CorsRule>" % rule for rule in rules)
    answer = client.put("/?restype=service&comp=properties",
                        ("<StorageServiceProperties><Cors>%s</Cors></StorageServiceProperties>"
                         % xml).encode())
    assert answer.status == 202, answer


@pytest.fixture(autouse=True)
def rules(client):
    set_rules(client, RULES)
    yield
    set_rules(client, [])


def preflight(client, origin, method, headers=None, path="/none/of/it"):
    sent = {"Origin": origin, "Access-Control-Request-Method": method, "x-ms-date": None,
            "x-ms-version": None, "Access-Control-Request-Headers": headers}
    return client.request("OPTIONS", path, headers=sent, sign=False)


@pytest.mark.parametrize("origin, method, headers, age", [
    ("http://one.test", "GET", None, "60"), ("http://two.test", "PUT", "X-Ms-Meta-A1", "60"),
    ("http://one.test", "GET", "content-type, x-ms-meta-abc", "60"),
    ("https://a.wild.test", "GET", "anything,at-all", "0"),
    ("http://one.test", "DELETE", None, "5")])
def test_a_preflight_that_fits_a_rule(client, origin, method, headers, age):
    answer = preflight(client, origin, method, headers)
    assert answer.status == 200, answer
    assert answer["Access-Control-Allow-Origin"] == origin
    assert answer["Access-Control-Allow-Methods"] == method
    assert answer["Access-Control-Allow-Headers"] == headers
    assert answer["Access-Control-Max-Age"] == age
    assert answer["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("origin, method, headers", [
    ("http://three.test", "GET", None), ("HTTP://one.test", "GET", None),
    ("http://one.test", "POST", None), ("http://one.test", "get", None),
    ("http://one.test", "GET", "x-ms-meta-b"), ("http://one.test", "DELETE", "x"),
    ("https://wild.test", "GET", None), ("https://a.wild.test", "PUT", None)])
def test_a_preflight_that_fits_none(client, origin, method, headers):
    answer = preflight(client, origin, method, headers)
    assert (answer.status, answer.code) == (403, "CorsPreflightFailure")
    assert answer["Access-Control-Allow-Origin"] is None


def test_a_preflight_that_asks_for_too_much(client):
    few, many = ",".join(["x"] * 128), ",".join(["x"] * 129)
    assert preflight(client, "https://a.wild.test", "GET", few).status == 200
    assert preflight(client, "https://a.wild.test", "GET", many).code == "CorsPreflightFailure"


def test_a_preflight_says_what_it_wants(client, daemon):
    for name in ("origin", "method"):
        sent = {"origin": "http://one.test", "method": "GET"}
        sent[name] = None
        assert preflight(client, **sent).code == "MissingRequiredHeader"
    for account in ("second", "nobody"):
        answer = preflight(Client(daemon.port, account), "http://one.test", "GET")
        assert answer.code == "CorsPreflightFailure"


def test_answers_name_the_origin(client, container):
    path = "/%s/b" % container
    origin = {"Origin": "http://one.test"}
    for body in (b"x", b"y" * 100000):
        answer = client.put_blob(path, body, dict(origin, **{"x-ms-meta-a": "1"}))
        assert answer.status == 201
        assert answer["Access-Control-Allow-Origin"] == "http://one.test"
        assert answer["Vary"] is None
    for method in ("GET", "HEAD"):
        answer = client.request(method, path, headers=origin)
        assert answer["Access-Control-Allow-Origin"] == "http://one.test"
        assert answer["Access-Control-Allow-Credentials"] == "true"
        assert answer["Vary"] == "Origin"
        exposed = answer["Access-Control-Expose-Headers"].split(",")
        assert "ETag" in exposed and "x-ms-meta-a" in exposed and "x-ms-request-id" in exposed
        assert "Content-Length" not in exposed
    # also where it fails, so that the page may see why
    answer = client.get("/%s/none" % container, origin)
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (404, "http://one.test")


@pytest.mark.parametrize("origin, vary", [(None, "Origin"), ("http://three.test", "Origin")])
def test_answers_to_others_name_none(client, container, origin, vary):
    client.put_blob("/%s/b" % container, b"x")
    answer = client.get("/%s/b" % container, {"Origin": origin})
    assert answer.status == 200
    assert answer["Access-Control-Allow-Origin"] is None
    assert answer["Vary"] == vary


def test_a_rule_for_everybody(client, container):
    set_rules(client, [("*", "GET,PUT", "*", "*", 7)])
    client.put_blob("/%s/b" % container, b"x")
    answer = client.get("/%s/b" % container, {"Origin": "http://any.test"})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Credentials"] is None
    assert answer["Vary"] is None
    answer = preflight(client, "http://any.test", "PUT", "a,b")
    assert (answer["Access-Control-Allow-Origin"], answer["Access-Control-Max-Age"]) == ("*", "7")
