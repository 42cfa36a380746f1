# SPDX-License-Identifier: MIT
"""No operation is open without its permission, and each is open with all of them."""

import pytest
from sasclient import account_sas
from test_condition_audit import C, OPERATIONS, blobs, state  # noqa: F401, the fixture included

IDS = ["%s %s" % (o[0], o[1]) for o in OPERATIONS]
BARE = {"x-ms-date": None}


def ask(client, method, path, body, headers, credentials):
    separator = "&" if "?" in path else "?"
    full = path + separator + credentials if credentials else path
    return client.request(method, full, body, dict(headers, **BARE), sign=False)


@pytest.mark.parametrize("method, path, body, headers", OPERATIONS, ids=IDS)
def test_each_operation_asks_for_a_permission(client, blobs, method, path, body, headers):  # noqa: F811
    before = state(client, blobs)
    path = path % blobs
    nobody = ask(client, method, path, body, headers, None)
    assert nobody.status == 401, nobody
    # "o" and "p" mean something for other services only
    poor = ask(client, method, path, body, headers, account_sas(sp="op"))
    if "restype=account" not in path:
        assert poor.status == 403, poor
    other = ask(client, method, path, body, headers, account_sas(srt="c" if "/p" in path or
                                                                 "/b" in path or "/a" in path
                                                                 else "o", sp="op"))
    assert other.status == 403 or "restype=account" in path, other
    assert state(client, blobs) == before
    rich = ask(client, method, path, body, headers, account_sas())
    if "comp=acl" in path:
        assert rich.code == "AuthorizationFailure"
    else:
        assert rich.status < 300 or "undelete" in path, rich


@pytest.mark.parametrize("permission, opens", [
    ("r", {"GET /%s?restype=container", "GET /%s?restype=container&comp=metadata",
           "GET /?restype=service&comp=properties", "GET /%s/b", "HEAD /%s/b",
           "GET /%s/b?comp=metadata", "GET /%s/b?comp=blocklist", "GET /%s/p?comp=pagelist"}),
    ("l", {"GET /?comp=list", "GET /%s?restype=container&comp=list"}),
    ("t", {"GET /%s/b?comp=tags", "PUT /%s/b?comp=tags"}),
    ("a", {"PUT /%s/a?comp=appendblock"}),
    ("d", {"DELETE /%s?restype=container", "DELETE /%s/b"}),
    ("c", {"PUT /%s/b?comp=snapshot"})])
def test_what_one_permission_opens(client, blobs, permission, opens):  # noqa: F811
    found = set()
    # what deletes comes last, and the container after its blob
    order = sorted(OPERATIONS, key=lambda o: (o[0] == "DELETE") + (o[:2] == ("DELETE", C)))
    for method, path, body, headers in order:
        answer = ask(client, method, path % blobs, body, headers, account_sas(sp=permission))
        if answer.status < 300 and "restype=account" not in path:
            found.add("%s %s" % (method, path.replace("%.0s", "")))
    assert found == opens
