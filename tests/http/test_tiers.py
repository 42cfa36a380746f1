# SPDX-License-Identifier: MIT
"""Access tiers; rehydration as time goes by is in tests/unit/store_lease_test.c."""

import pytest


@pytest.fixture
def path(client, container):
    name = "/%s/b" % container
    assert client.put_blob(name, b"bytes").status == 201
    return name


def set_tier(client, path, tier, **headers):
    sent = {"x-ms-access-tier": tier}
    sent.update({"x-ms-" + name.replace("_", "-"): value for name, value in headers.items()})
    return client.put(path + "?comp=tier", headers=sent)


def test_a_tier_that_nobody_set_is_inferred(client, path):
    answer = client.request("HEAD", path)
    assert answer["x-ms-access-tier"] == "Hot"
    assert answer["x-ms-access-tier-inferred"] == "true"
    assert answer["x-ms-access-tier-change-time"] is None


@pytest.mark.parametrize("tier", ["Hot", "Cool", "Cold"])
def test_set_tier(client, container, path, tier):
    before = client.request("HEAD", path)
    assert set_tier(client, path, tier).status == 200
    after = client.request("HEAD", path)
    assert after["x-ms-access-tier"] == tier
    assert after["x-ms-access-tier-inferred"] is None
    assert after["x-ms-access-tier-change-time"].endswith("GMT")
    assert after["ETag"] == before["ETag"]
    assert client.get(path).body == b"bytes"
    found = client.list_blobs(container).xml()
    assert [item.text for item in found.iter("AccessTier")] == [tier]
    assert len(list(found.iter("AccessTierChangeTime"))) == 1
    assert not list(found.iter("AccessTierInferred"))


def test_tier_comes_with_a_blob(client, path):
    assert client.put_blob(path, b"x", {"x-ms-access-tier": "cool"}).status == 201
    assert client.request("HEAD", path)["x-ms-access-tier"] == "Cool"
    assert client.put_block(path, "1", b"y").status == 201
    assert client.put_block_list(path, ["1"], {"x-ms-access-tier": "Cold"}).status == 201
    assert client.request("HEAD", path)["x-ms-access-tier"] == "Cold"
    assert client.put_blob(path, b"z").status == 201
    assert client.request("HEAD", path)["x-ms-access-tier-inferred"] == "true"


def test_an_archived_blob_is_not_read(client, container, path):
    assert set_tier(client, path, "Archive").status == 200
    answer = client.get(path)
    assert (answer.status, answer.code) == (409, "BlobArchived")
    assert client.request("HEAD", path)["x-ms-access-tier"] == "Archive"
    answer = client.put(path + "?comp=metadata")
    assert (answer.status, answer.code) == (409, "BlobArchived")
    assert set_tier(client, path, "Cool", rehydrate_priority="High").status == 202
    seen = client.request("HEAD", path)
    assert seen["x-ms-access-tier"] == "Archive"
    assert seen["x-ms-archive-status"] == "rehydrate-pending-to-cool"
    assert seen["x-ms-rehydrate-priority"] == "High"
    found = client.list_blobs(container).xml()
    assert [item.text for item in found.iter("ArchiveStatus")] == ["rehydrate-pending-to-cool"]
    answer = client.get(path)
    assert (answer.status, answer.code) == (409, "BlobBeingRehydrated")
    assert client.put_blob(path, b"again").status == 201
    assert client.get(path).body == b"again"


@pytest.mark.parametrize("headers, code", [
    ({"x-ms-access-tier": "Warm"}, "InvalidHeaderValue"),
    ({}, "MissingRequiredHeader"),
    ({"x-ms-access-tier": "Hot", "x-ms-rehydrate-priority": "Urgent"}, "InvalidHeaderValue"),
    ({"x-ms-access-tier": "Hot", "If-Match": "*"}, "ConditionHeadersNotSupported"),
    ({"x-ms-access-tier": "Cold", "x-ms-version": "2021-10-04"}, "InvalidHeaderValue")])
def test_bad_tiers_are_refused(client, path, headers, code):
    answer = client.put(path + "?comp=tier", headers=headers)
    assert (answer.status, answer.code) == (400, code)
    assert client.request("HEAD", path)["x-ms-access-tier-inferred"] == "true"


def test_tier_of_no_blob(client, container):
    assert set_tier(client, "/%s/none" % container, "Hot").code == "BlobNotFound"
