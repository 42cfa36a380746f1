# SPDX-License-Identifier: MIT
"""Lease Blob and Lease Container.  What happens as time goes by is in tests/unit/store_lease_test.c."""

import pytest

A = "11111111-2222-4333-8444-555555555555"
B = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


@pytest.fixture(params=["blob", "container"])
def leased(request, client, container):
    """A path and query to lease, and the path with which to look at it."""
    if request.param == "container":
        return "/%s?restype=container&comp=lease" % container, "/%s?restype=container" % container
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    return "/%s/b?comp=lease" % container, "/%s/b" % container


def lease(client, path, action, **headers):
    sent = {"x-ms-lease-action": action}
    sent.update({"x-ms-" + name.replace("_", "-"): str(value) for name, value in headers.items()})
    return client.put(path, headers=sent)


def state(client, path):
    answer = client.request("HEAD", path)
    assert answer.status == 200, answer
    return (answer["x-ms-lease-status"], answer["x-ms-lease-state"],
            answer["x-ms-lease-duration"])


def said(answer):
    return answer.status, answer.code


def test_a_life_of_a_lease(client, leased):
    path, seen = leased
    before = client.request("HEAD", seen)
    answer = lease(client, path, "acquire", lease_duration=-1)
    assert answer.status == 201, answer
    first = answer["x-ms-lease-id"]
    assert len(first) == 36
    assert state(client, seen) == ("locked", "leased", "infinite")
    answer = lease(client, path, "change", lease_id=first, proposed_lease_id=A)
    assert (answer.status, answer["x-ms-lease-id"]) == (200, A)
    answer = lease(client, path, "renew", lease_id=A.upper())
    assert (answer.status, answer["x-ms-lease-id"]) == (200, A)
    answer = lease(client, path, "release", lease_id=A)
    assert (answer.status, answer["x-ms-lease-id"]) == (200, None)
    assert state(client, seen) == ("unlocked", "available", None)
    answer = lease(client, path, "acquire", lease_duration=15, proposed_lease_id=B)
    assert (answer.status, answer["x-ms-lease-id"]) == (201, B)
    assert state(client, seen) == ("locked", "leased", "fixed")
    answer = lease(client, path, "break", lease_break_period=0)
    assert (answer.status, answer["x-ms-lease-time"]) == (202, "0")
    assert state(client, seen) == ("unlocked", "broken", None)
    after = client.request("HEAD", seen)
    assert (after["ETag"], after["Last-Modified"]) == (before["ETag"], before["Last-Modified"])


def test_conflicts(client, leased):
    path, seen = leased
    mismatch = (409, "LeaseIdMismatchWithLeaseOperation")
    none = (409, "LeaseNotPresentWithLeaseOperation")
    assert said(lease(client, path, "renew", lease_id=A)) == mismatch
    assert said(lease(client, path, "release", lease_id=A)) == mismatch
    assert said(lease(client, path, "break")) == none
    assert said(lease(client, path, "change", lease_id=A, proposed_lease_id=B)) == none
    assert lease(client, path, "acquire", lease_duration=60, proposed_lease_id=A).status == 201
    assert said(lease(client, path, "acquire", lease_duration=60)) == (409, "LeaseAlreadyPresent")
    assert lease(client, path, "acquire", lease_duration=-1, proposed_lease_id=A).status == 201
    assert said(lease(client, path, "renew", lease_id=B)) == mismatch
    assert said(lease(client, path, "change", lease_id=B, proposed_lease_id=B)) == mismatch
    answer = lease(client, path, "break", lease_break_period=60)
    assert (answer.status, answer["x-ms-lease-time"]) == (202, "60")
    assert state(client, seen) == ("locked", "breaking", None)
    assert said(lease(client, path, "acquire", lease_duration=15, proposed_lease_id=A)) == (
        409, "LeaseIsBreakingAndCannotBeAcquired")
    assert said(lease(client, path, "acquire", lease_duration=15)) == (409, "LeaseAlreadyPresent")
    assert said(lease(client, path, "change", lease_id=A, proposed_lease_id=B)) == (
        409, "LeaseIsBreakingAndCannotBeChanged")
    assert said(lease(client, path, "renew", lease_id=A)) == (
        409, "LeaseIsBrokenAndCannotBeRenewed")
    assert lease(client, path, "release", lease_id=A).status == 200
    assert state(client, seen) == ("unlocked", "available", None)


@pytest.mark.parametrize("action, headers, code", [
    ("acquire", {}, "MissingRequiredHeader"),
    ("acquire", {"lease_duration": 14}, "InvalidHeaderValue"),
    ("acquire", {"lease_duration": 61}, "InvalidHeaderValue"),
    ("acquire", {"lease_duration": "15s"}, "InvalidHeaderValue"),
    ("acquire", {"lease_duration": 15, "proposed_lease_id": "mine"}, "InvalidHeaderValue"),
    ("break", {"lease_break_period": 61}, "InvalidHeaderValue"),
    ("renew", {}, "MissingRequiredHeader"),
    ("change", {"lease_id": A}, "MissingRequiredHeader"),
    ("borrow", {}, "InvalidHeaderValue")])
def test_bad_lease_requests_are_refused(client, leased, action, headers, code):
    path, seen = leased
    assert said(lease(client, path, action, **headers)) == (400, code)
    assert state(client, seen) == ("unlocked", "available", None)


def writes(client, path, headers):
    """Every write there is to a blob, by name; a deletion last."""
    yield "metadata", client.put(path + "?comp=metadata", headers=headers)
    yield "properties", client.put(path + "?comp=properties", headers=headers)
    yield "tags", client.put(path + "?comp=tags", b"<Tags><TagSet/></Tags>", headers)
    yield "blob", client.put_blob(path, b"new", headers)
    yield "block", client.put_block(path, "1", b"block", headers)
    yield "blocklist", client.put_block_list(path, ["1"], headers)
    yield "delete", client.delete(path, headers)


def test_writes_to_a_leased_blob_need_its_id(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x").status == 201
    assert lease(client, path + "?comp=lease", "acquire", lease_duration=-1,
                 proposed_lease_id=A).status == 201
    for name, answer in writes(client, path, {}):
        assert said(answer) == (412, "LeaseIdMissing"), name
    for name, answer in writes(client, path, {"x-ms-lease-id": B}):
        assert said(answer) == (412, "LeaseIdMismatchWithBlobOperation"), name
    assert client.get(path).body == b"x"
    for name, answer in writes(client, path, {"x-ms-lease-id": A}):
        assert answer.status // 100 == 2, (name, answer)
        if name != "delete":
            assert state(client, path) == ("locked", "leased", "infinite"), name


def test_a_lease_id_where_there_is_no_lease(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x").status == 201
    for name, answer in writes(client, path, {"x-ms-lease-id": A}):
        assert said(answer) == (412, "LeaseNotPresentWithBlobOperation"), name
    for answer in (client.get(path, {"x-ms-lease-id": A}),
                   client.request("HEAD", path, headers={"x-ms-lease-id": A}),
                   client.get(path + "?comp=tags", {"x-ms-lease-id": A}),
                   client.get(path + "?comp=blocklist", {"x-ms-lease-id": A})):
        assert said(answer) == (412, "LeaseNotPresentWithBlobOperation")
    assert said(client.put_blob("/%s/new" % container, b"", {"x-ms-lease-id": A})) == (
        412, "LeaseNotPresentWithBlobOperation")


def test_reads_need_no_id_but_not_a_wrong_one(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x").status == 201
    assert lease(client, path + "?comp=lease", "acquire", lease_duration=-1,
                 proposed_lease_id=A).status == 201
    assert client.get(path).status == 200
    assert client.get(path, {"x-ms-lease-id": A}).status == 200
    assert said(client.get(path, {"x-ms-lease-id": B})) == (
        412, "LeaseIdMismatchWithBlobOperation")
    assert said(client.get(path, {"x-ms-lease-id": "nonsense"})) == (400, "InvalidHeaderValue")


def test_a_broken_lease_is_lost_and_the_next_write_clears_it(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x").status == 201
    assert lease(client, path + "?comp=lease", "acquire", lease_duration=-1,
                 proposed_lease_id=A).status == 201
    assert lease(client, path + "?comp=lease", "break").status == 202
    assert said(client.put(path + "?comp=metadata", headers={"x-ms-lease-id": A})) == (
        412, "LeaseLost")
    assert state(client, path) == ("unlocked", "broken", None)
    assert client.put(path + "?comp=metadata").status == 200
    assert state(client, path) == ("unlocked", "available", None)


def test_a_container_lease_guards_deletion_alone(client, container):
    path = "/%s?restype=container" % container
    assert lease(client, path + "&comp=lease", "acquire", lease_duration=-1,
                 proposed_lease_id=A).status == 201
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    assert client.put(path + "&comp=metadata").status == 200
    assert client.put(path + "&comp=acl").status == 200
    wrong = (412, "LeaseIdMismatchWithContainerOperation")
    assert said(client.get(path, {"x-ms-lease-id": B})) == wrong
    assert said(client.get(path + "&comp=acl", {"x-ms-lease-id": B})) == wrong
    assert said(client.put(path + "&comp=metadata", headers={"x-ms-lease-id": B})) == wrong
    assert said(client.delete(path)) == (412, "LeaseIdMissing")
    assert said(client.delete(path, {"x-ms-lease-id": B})) == wrong
    assert client.delete(path, {"x-ms-lease-id": A}).status == 202


def test_lists_show_leases(client, container):
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    lease(client, "/%s/b?comp=lease" % container, "acquire", lease_duration=20)
    lease(client, "/%s?restype=container&comp=lease" % container, "acquire", lease_duration=-1)
    blobs = client.list_blobs(container).xml()
    containers = client.get("/?comp=list&prefix=" + container).xml()
    for found, duration in ((blobs, "fixed"), (containers, "infinite")):
        assert [item.text for item in found.iter("LeaseStatus")] == ["locked"]
        assert [item.text for item in found.iter("LeaseState")] == ["leased"]
        assert [item.text for item in found.iter("LeaseDuration")] == [duration]


def test_conditions_of_lease_operations(client, container):
    path = "/%s/b" % container
    assert client.put_blob(path, b"x").status == 201
    answer = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "15", "If-Match": '"0x1"'})
    assert said(answer) == (412, "ConditionNotMet")
    assert state(client, path)[1] == "available"
    assert said(client.put("/%s/none?comp=lease" % container, headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "15"})) == (404, "BlobNotFound")
