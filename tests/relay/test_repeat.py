# SPDX-License-Identifier: MIT
"""Every operation, its answer lost: what may be sent twice is, and nothing else.

The requests that arrive are counted by the server upstream.
"""

import base64
import re
import subprocess

import pytest

from fake import answer, cut_in_body, early, lost
from servers import ROOT, build_folder

GUID = "c0ffee00-0000-4000-8000-000000000001"
TAGS = b"<Tags><TagSet/></Tags>"
LIST = b"<BlockList/>"
BLOCK = base64.b64encode(b"block").decode()

# name: (method, target, headers, body); a header of None is for the condition to fill in
REQUESTS = {
    "Preflight Blob Request": ("OPTIONS", "/c/b", {
        "Origin": "http://x", "Access-Control-Request-Method": "GET"}, None),
    "Get Account Information": ("GET", "/?restype=account&comp=properties", {}, None),
    "List Containers": ("GET", "/?comp=list", {}, None),
    "Get Blob Service Properties": ("GET", "/?restype=service&comp=properties", {}, None),
    "Set Blob Service Properties": ("PUT", "/?restype=service&comp=properties", {}, b"<x/>"),
    "Get Blob Service Stats": ("GET", "/?restype=service&comp=stats", {}, None),
    "Get User Delegation Key": ("POST", "/?restype=service&comp=userdelegationkey", {}, b"<x/>"),
    "Find Blobs by Tags": ("GET", "/?comp=blobs&where=a%3D%27b%27", {}, None),
    "Create Container": ("PUT", "/c?restype=container", {}, None),
    "Get Container Properties": ("GET", "/c?restype=container", {}, None),
    "Get Container Metadata": ("HEAD", "/c?restype=container&comp=metadata", {}, None),
    "Set Container Metadata": ("PUT", "/c?restype=container&comp=metadata", {}, None),
    "Get Container ACL": ("GET", "/c?restype=container&comp=acl", {}, None),
    "Set Container ACL": ("PUT", "/c?restype=container&comp=acl", {}, b"<x/>"),
    "Delete Container": ("DELETE", "/c?restype=container", {}, None),
    "Restore Container": ("PUT", "/c?restype=container&comp=undelete", {
        "x-ms-deleted-container-name": "c", "x-ms-deleted-container-version": "1"}, None),
    "List Blobs": ("GET", "/c?restype=container&comp=list&prefix=a%2Fb", {}, None),
    "Find Blobs by Tags in Container": ("GET", "/c?restype=container&comp=blobs", {}, None),
    "Get Blob Properties": ("HEAD", "/c/b", {}, None),
    "Get Blob": ("GET", "/c/b?snapshot=2024-01-01T00%3A00%3A00.0000000Z", {}, None),
    "Get Blob Metadata": ("GET", "/c/b?comp=metadata", {}, None),
    "Get Blob Tags": ("GET", "/c/b?comp=tags", {}, None),
    "Get Block List": ("GET", "/c/b?comp=blocklist&blocklisttype=all", {}, None),
    "Get Page Ranges": ("GET", "/c/b?comp=pagelist", {}, None),
    "Query Blob Contents": ("POST", "/c/b?comp=query", {}, b"<x/>"),
    "Put Blob From URL": ("PUT", "/c/b", {"x-ms-blob-type": "BlockBlob", "x-ms-copy-source": "?"},
                          None),
    "Copy Blob From URL": ("PUT", "/c/b", {"x-ms-requires-sync": "true", "x-ms-copy-source": "?"},
                           None),
    "Copy Blob": ("PUT", "/c/b", {"x-ms-copy-source": "?"}, None),
    "Put Blob": ("PUT", "/c/b", {"x-ms-blob-type": "BlockBlob"}, b"bytes"),
    "Abort Copy Blob": ("PUT", "/c/b?comp=copy&copyid=" + GUID, {"x-ms-copy-action": "abort"},
                        None),
    "Incremental Copy Blob": ("PUT", "/c/b?comp=incrementalcopy", {"x-ms-copy-source": "?"}, None),
    "Put Block From URL": ("PUT", "/c/b?comp=block&blockid=" + BLOCK, {"x-ms-copy-source": "?"},
                           None),
    "Put Block": ("PUT", "/c/b?comp=block&blockid=" + BLOCK, {}, b"bytes"),
    "Put Block List": ("PUT", "/c/b?comp=blocklist", {}, LIST),
    "Append Block From URL": ("PUT", "/c/b?comp=appendblock", {"x-ms-copy-source": "?"}, None),
    "Append Block": ("PUT", "/c/b?comp=appendblock", {}, b"bytes"),
    "Append Blob Seal": ("PUT", "/c/b?comp=seal", {}, None),
    "Put Page From URL": ("PUT", "/c/b?comp=page", {"x-ms-copy-source": "?",
                                                    "x-ms-page-write": "update"}, None),
    "Clear Page": ("PUT", "/c/b?comp=page", {"x-ms-page-write": "clear"}, None),
    "Put Page": ("PUT", "/c/b?comp=page", {"x-ms-page-write": "update"}, b"p" * 512),
    "Set Blob Properties": ("PUT", "/c/b?comp=properties", {}, None),
    "Set Blob Metadata": ("PUT", "/c/b?comp=metadata", {}, None),
    "Set Blob Tags": ("PUT", "/c/b?comp=tags", {}, TAGS),
    "Set Blob Tier": ("PUT", "/c/b?comp=tier", {"x-ms-access-tier": "Cool"}, None),
    "Set Blob Expiry": ("PUT", "/c/b?comp=expiry", {"x-ms-expiry-option": "NeverExpire"}, None),
    "Set Immutability Policy": ("PUT", "/c/b?comp=immutabilityPolicies", {}, None),
    "Delete Immutability Policy": ("DELETE", "/c/b?comp=immutabilityPolicies", {}, None),
    "Set Blob Legal Hold": ("PUT", "/c/b?comp=legalhold", {"x-ms-legal-hold": "true"}, None),
    "Snapshot Blob": ("PUT", "/c/b?comp=snapshot", {}, None),
    "Delete Snapshot": ("DELETE", "/c/b?snapshot=2024-01-01T00%3A00%3A00.0000000Z", {}, None),
    "Delete Version": ("DELETE", "/c/b?versionid=2024-01-01T00%3A00%3A00.0000000Z", {}, None),
    "Delete Blob": ("DELETE", "/c/b", {}, None),
    "Undelete Blob": ("PUT", "/c/b?comp=undelete", {}, None),
}
for where, target in (("Container", "/c?restype=container&comp=lease"), ("Blob", "/c/b?comp=lease")):
    for action in ("acquire", "renew", "change", "release", "break"):
        REQUESTS["Lease %s, %s" % (where, action)] = ("PUT", target, {
            "x-ms-lease-action": action, "x-ms-lease-duration": "15"}, None)
# Relayed only with its callers' own signatures: test_passing.py counts these.
BATCHES = {"Blob Batch", "Blob Batch in Container"}

CONDITIONS = {
    "If-Match": {"If-Match": '"0x1"'},
    "If-None-Match: *": {"If-None-Match": "*"},
    "x-ms-lease-id": {"x-ms-lease-id": GUID},
    "x-ms-blob-condition-appendpos": {"x-ms-blob-condition-appendpos": "7"},
    "x-ms-proposed-lease-id": {"x-ms-proposed-lease-id": GUID},
}


def table():
    """{name: "safe", "never", "by itself", or a list of headers}, from the program."""
    lines = subprocess.run([build_folder() / "tests" / "relay" / "relay-operations"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    rows = dict(line.split("\t") for line in lines)
    assert len(rows) == len(lines)
    return rows


TABLE = table()
SAFE = sorted(name for name, when in TABLE.items() if when == "safe")
ITSELF = sorted(name for name, when in TABLE.items() if when == "by itself")
NEVER = sorted(name for name, when in TABLE.items() if when == "never" and name not in BATCHES)
CONDITIONAL = sorted((name, header) for name, when in TABLE.items() if name not in ITSELF
                     for header in when.split(", ") if header in CONDITIONS)
# the relay adds x-ms-proposed-lease-id, so there is no request without it
UNCONDITIONAL = sorted({name for name, header in CONDITIONAL
                        if header != "x-ms-proposed-lease-id"})


def send(through, name, more=None):
    method, target, headers, body = REQUESTS[name]
    headers = {**headers, **(more or {})}
    if headers.get("x-ms-copy-source") == "?":
        headers["x-ms-copy-source"] = "http://127.0.0.1:%d/devstoreaccount1/c/source" % through.port
    return through.request(method, target, body, headers)


def test_the_table_in_the_documentation_is_the_programs():
    text = (ROOT / "docs" / "relay.md").read_text()
    rows = {}
    for line in text.split("| operation | again? |")[1].split("\n\n")[0].splitlines()[2:]:
        name, when = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = when
    assert rows.pop("any other GET or HEAD") == "safe"
    assert rows.pop("anything else") == "not"
    said = {"not": "never", "by its nature": "by itself"}
    assert {name: said.get(when, when.replace("`", "")) for name, when in rows.items()} == TABLE


def test_every_row_has_a_request_here():
    assert set(REQUESTS) | BATCHES == set(TABLE)


def test_every_operation_of_the_service_is_in_the_table():
    """What the service knows to permit, the relay knows to repeat or not."""
    text = (ROOT / "vsp-backend" / "blob" / "permit.c").read_text()
    comps = {match.lower() for match in re.findall(
        r'\{ "\w+", \w+, (?:NULL|"\w+"), "(\w+)",', text)}
    known = {match.lower() for _, target, _, _ in REQUESTS.values()
             for match in re.findall(r"comp=(\w+)", target)} | {"batch"}
    assert comps and comps <= known


@pytest.mark.parametrize("name", SAFE)
def test_safe_is_sent_again(fake, through, name):
    fake.script = [lost()]
    got = send(through, name)
    assert got.status == 200
    requests = fake.take()
    assert len(requests) == 2
    assert requests[0].target == requests[1].target
    assert requests[0].body == requests[1].body == (REQUESTS[name][3] or b"")


@pytest.mark.parametrize("name", NEVER + UNCONDITIONAL)
def test_unsafe_is_never_sent_again_and_its_outcome_is_unknown(fake, through, name):
    fake.script = [lost()]
    got = send(through, name)
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    assert len(fake.take()) == 1


@pytest.mark.parametrize("name", NEVER + UNCONDITIONAL)
def test_unsafe_is_not_sent_again_after_an_error_either(fake, through, name):
    fake.script = [answer(500, {"x-ms-error-code": "InternalError"})]
    got = send(through, name)
    assert (got.status, got.code) == (500, "InternalError")
    assert len(fake.take()) == 1


@pytest.mark.parametrize("name,header", CONDITIONAL)
def test_a_condition_makes_it_safe(fake, through, name, header):
    fake.script = [lost()]
    got = send(through, name, CONDITIONS[header])
    assert got.status == 200
    requests = fake.take()
    assert len(requests) == 2
    sent = next(iter(CONDITIONS[header])).lower()
    assert requests[0].headers[sent] == requests[1].headers[sent]


@pytest.mark.parametrize("name", ITSELF)
def test_what_fails_by_itself_is_sent_again(fake, through, name):
    fake.script = [lost()]
    assert send(through, name).status == 200
    assert len(fake.take()) == 2


@pytest.mark.parametrize("name,header,status", [
    ("Put Blob", "If-None-Match: *", 409), ("Put Blob", "If-Match", 412),
    ("Append Block", "x-ms-blob-condition-appendpos", 412), ("Delete Blob", "If-Match", 404)])
def test_a_repetition_that_fails_says_that_nobody_knows(fake, through, name, header, status):
    fake.script = [lost(), answer(status, {"x-ms-error-code": "Whatever"})]
    got = send(through, name, CONDITIONS[header])
    assert (got.status, got.code) == (424, "OutcomeUnknown")
    assert len(fake.take()) == 2


def test_a_refusal_to_begin_leaves_no_doubt(fake, through):
    fake.script = [answer(503, {"x-ms-error-code": "ServerBusy"}),
                   answer(409, {"x-ms-error-code": "ContainerAlreadyExists"})]
    got = send(through, "Create Container")
    assert (got.status, got.code) == (409, "ContainerAlreadyExists")
    assert len(fake.take()) == 2


def test_the_relay_proposes_a_lease_id(fake, through):
    fake.script = [lost()]
    assert send(through, "Lease Blob, acquire").status == 200
    first, second = fake.take()
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                        first.headers["x-ms-proposed-lease-id"])
    assert second.headers["x-ms-proposed-lease-id"] == first.headers["x-ms-proposed-lease-id"]


def test_two_etags_are_no_condition(fake, through):
    fake.script = [lost()]
    got = send(through, "Put Blob", {"If-Match": '"0x1", "0x2"'})
    assert got.code == "OutcomeUnknown"
    assert len(fake.take()) == 1


def test_an_unknown_operation_goes_on_and_is_never_repeated(fake, through):
    fake.script = [answer(200), lost()]
    assert through.put("/c/b?comp=novelty", headers={"x-ms-novel": "1"}).status == 200
    assert through.put("/c/b?comp=novelty").code == "OutcomeUnknown"
    requests = fake.take()
    assert len(requests) == 2
    assert requests[0].target.endswith("/c/b?comp=novelty")
    assert requests[0].headers["x-ms-novel"] == "1"


def test_an_incomplete_body_has_not_happened_and_is_sent_again(fake, through):
    """Even what is never repeated: half a request was not done."""
    body = b"x" * (7 << 20)  # more than sockets hold
    fake.script = [cut_in_body(1000)]
    got = through.put("/c/b?comp=appendblock", body)
    assert got.status == 200
    requests = fake.take()
    assert len(requests) == 2
    assert requests[1].body == body


def test_an_early_refusal_of_a_body_is_the_answer(fake, through):
    fake.script = [early(403, {"x-ms-error-code": "AuthorizationFailure"})]
    got = through.put("/c/b?comp=appendblock", b"x" * (4 << 20))
    assert (got.status, got.code) == (403, "AuthorizationFailure")
    assert len(fake.take()) == 1


@pytest.mark.parametrize("name", ["Append Block", "Delete Blob", "Snapshot Blob"])
def test_a_kept_connection_that_dies_does_not_repeat_by_itself(fake, through, name):
    """HTTP libraries send again on a connection that was used before; this one must not."""
    assert through.get("/c/b").status == 200
    fake.script = [lost()]
    assert send(through, name).code == "OutcomeUnknown"
    # it may have connected anew for that, but no second request came
    first, second = fake.take()
    assert second.number == first.number
