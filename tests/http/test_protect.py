# SPDX-License-Identifier: MIT
"""Immutability policies and legal holds.  Policies end on a turned clock in unit store_lease."""

import pytest
from blobclient import http_date

UNTIL = "x-ms-immutability-policy-until-date"
MODE = "x-ms-immutability-policy-mode"
HOLD = "x-ms-legal-hold"


@pytest.fixture
def path(client, container):
    name = "/%s/b" % container
    assert client.put_blob(name, b"kept").status == 201
    return name


def policy(client, path, seconds, mode=None, **more):
    headers = {UNTIL: http_date(seconds)}
    if mode:
        headers[MODE] = mode
    headers.update(more)
    return client.put(path + "?comp=immutabilityPolicies", headers=headers)


def unprotect(client, path):
    assert client.put(path + "?comp=legalhold", headers={HOLD: "false"}).status == 200
    assert client.delete(path + "?comp=immutabilityPolicies").status == 200


def said(answer):
    return answer.status, answer.code


def refused(client, path, code):
    """Every way to change the bytes or to delete them."""
    container = path.split("/")[1]
    client.put_block(path, "1", b"block")
    source = path + "-source"
    client.put_blob(source, b"other")
    for answer in (client.put_blob(path, b"new"), client.delete(path),
                   client.put_block_list(path, ["1"]),
                   client.put(path + "?comp=metadata"), client.put(path + "?comp=properties"),
                   client.put(path, headers={"x-ms-copy-source": "http://127.0.0.1:%d%s" % (
                       client.port, client.target(source))}),
                   client.delete("/%s?restype=container" % container)):
        assert said(answer) == (409, code)
    assert client.get(path).body == b"kept"


def test_a_policy_protects(client, path):
    before = client.request("HEAD", path)
    assert before[UNTIL] is None
    answer = policy(client, path, 3600)
    assert answer.status == 200, answer
    assert answer[MODE] == "unlocked"
    seen = client.request("HEAD", path)
    assert (seen[UNTIL], seen[MODE]) == (answer[UNTIL], "unlocked")
    assert client.get(path)[UNTIL] == answer[UNTIL]
    assert seen["ETag"] == before["ETag"]
    refused(client, path, "BlobImmutableDueToPolicy")
    # reading, tags and tiers change no bytes
    assert client.put(path + "?comp=tier", headers={"x-ms-access-tier": "Cool"}).status == 200
    assert client.put(path + "?comp=tags", b"<Tags><TagSet/></Tags>").status == 204
    assert policy(client, path, 1800).status == 200
    unprotect(client, path)
    assert client.request("HEAD", path)[UNTIL] is None
    assert client.delete(path).status == 202


def test_a_hold_protects(client, path):
    answer = client.put(path + "?comp=legalhold", headers={HOLD: "true"})
    assert (answer.status, answer[HOLD]) == (200, "true")
    assert client.request("HEAD", path)[HOLD] == "true"
    refused(client, path, "BlobImmutableDueToLegalHold")
    assert client.delete(path + "?comp=immutabilityPolicies").status == 200
    refused(client, path, "BlobImmutableDueToLegalHold")
    answer = client.put(path + "?comp=legalhold", headers={HOLD: "false"})
    assert (answer.status, answer[HOLD]) == (200, "false")
    assert client.delete(path).status == 202


def test_a_locked_policy_only_grows(client, path):
    assert policy(client, path, 3600, "Locked").status == 200
    locked = (409, "ImmutabilityPolicyLocked")
    assert said(policy(client, path, 1800, "locked")) == locked
    assert said(policy(client, path, 7200, "unlocked")) == locked
    assert said(client.delete(path + "?comp=immutabilityPolicies")) == locked
    assert policy(client, path, 7200, "locked").status == 200
    assert client.request("HEAD", path)[MODE] == "locked"
    refused(client, path, "BlobImmutableDueToPolicy")


def test_protection_comes_with_a_blob(client, container):
    headers = {UNTIL: http_date(3600), MODE: "unlocked", HOLD: "true"}
    path = "/%s/b" % container
    assert client.put_blob(path, b"kept", headers).status == 201
    assert client.request("HEAD", path)[HOLD] == "true"
    refused(client, path, "BlobImmutableDueToLegalHold")
    listed = "/%s/list" % container
    client.put_block(listed, "1", b"x")
    assert client.put_block_list(listed, ["1"], headers).status == 201
    assert client.request("HEAD", listed)[UNTIL] == headers[UNTIL]
    found = client.list_blobs(container, include="immutabilitypolicy,legalhold").xml()
    by_name = {blob.findtext("Name"): blob for blob in found.iter("Blob")}
    assert by_name["b"].findtext(".//LegalHold") == "true"
    assert by_name["b-source"].findtext(".//LegalHold") == "false"
    assert by_name["list"].findtext(".//ImmutabilityPolicyUntilDate") == headers[UNTIL]
    assert by_name["list"].findtext(".//ImmutabilityPolicyMode") == "unlocked"
    plain = client.list_blobs(container).body.decode()
    assert "LegalHold" not in plain and "Immutability" not in plain
    for name in (path, listed):
        unprotect(client, name)
    assert client.delete("/%s?restype=container" % container).status == 202


def test_snapshots_have_protection_of_their_own(client, path):
    snapshot = path + "?snapshot=" + client.put(path + "?comp=snapshot")["x-ms-snapshot"]
    assert client.put(snapshot + "&comp=legalhold", headers={HOLD: "true"}).status == 200
    assert client.request("HEAD", path)[HOLD] is None
    assert client.request("HEAD", snapshot)[HOLD] == "true"
    assert said(client.delete(snapshot)) == (409, "BlobImmutableDueToLegalHold")
    assert client.put(snapshot + "&comp=legalhold", headers={HOLD: "false"}).status == 200
    assert client.delete(snapshot).status == 202


@pytest.mark.parametrize("headers, code", [
    ({}, "MissingRequiredHeader"), ({UNTIL: "tomorrow"}, "InvalidHeaderValue"),
    ({UNTIL: http_date(-60)}, "InvalidHeaderValue"),
    ({UNTIL: http_date(3600), MODE: "firm"}, "InvalidHeaderValue")])
def test_bad_policies_are_refused(client, path, headers, code):
    assert said(client.put(path + "?comp=immutabilityPolicies", headers=headers)) == (400, code)
    if headers:
        assert said(client.put_blob(path, b"new", headers)) == (400, code)
    assert client.get(path).body == b"kept"
    assert client.delete(path).status == 202


def test_other_bad_requests(client, container, path):
    assert said(client.put(path + "?comp=legalhold")) == (400, "MissingRequiredHeader")
    assert said(client.put(path + "?comp=legalhold", headers={HOLD: "maybe"})) == (
        400, "InvalidHeaderValue")
    assert said(policy(client, "/%s/none" % container, 60)) == (404, "BlobNotFound")
    assert said(policy(client, path, 60, **{"If-Unmodified-Since": http_date(-3600)})) == (
        412, "ConditionNotMet")
    assert client.delete(path).status == 202
