# SPDX-License-Identifier: MIT
"""No operation ignores a conditional header: it is obeyed, or refused."""

import pytest
from blobclient import block_list, http_date

C, B = "/%s?restype=container", "/%s/b"
BLOCK = {"x-ms-blob-type": "BlockBlob"}
ACQUIRE = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "15"}
TAGS = b"<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>"
KEEP = b"<StorageServiceProperties><Cors/></StorageServiceProperties>"

OPERATIONS = [
    ("GET", "/?comp=list%.0s", None, {}), ("GET", "/?comp=blobs&where=a%%3D%%27b%%27%.0s", None, {}),
    ("GET", "/?restype=service&comp=properties%.0s", None, {}),
    ("PUT", "/?restype=service&comp=properties%.0s", KEEP, {}),
    ("GET", "/?restype=account&comp=properties%.0s", None, {}),
    ("GET", C, None, {}), ("GET", C + "&comp=metadata", None, {}),
    ("PUT", C + "&comp=metadata", b"", {}), ("GET", C + "&comp=acl", None, {}),
    ("PUT", C + "&comp=acl", b"", {}), ("GET", C + "&comp=list", None, {}),
    ("PUT", C + "&comp=lease", b"", ACQUIRE), ("DELETE", C, None, {}),
    ("GET", C + "&comp=blobs&where=a%%3D%%27b%%27", None, {}),
    ("GET", B, None, {}), ("HEAD", B, None, {}), ("GET", B + "?comp=metadata", None, {}),
    ("GET", B + "?comp=blocklist", None, {}), ("GET", B + "?comp=tags", None, {}),
    ("PUT", B, b"x", BLOCK), ("PUT", B + "?comp=metadata", b"", {}),
    ("PUT", B + "?comp=properties", b"", {}), ("PUT", B + "?comp=tags", TAGS, {}),
    ("PUT", B + "?comp=block&blockid=MQ==", b"x", {}),
    ("PUT", B + "?comp=blocklist", block_list([]), {}),
    ("PUT", B + "?comp=tier", b"", {"x-ms-access-tier": "Cool"}),
    ("PUT", B + "?comp=lease", b"", ACQUIRE), ("PUT", B + "?comp=snapshot", b"", {}),
    ("PUT", B + "?comp=undelete", b"", {}), ("DELETE", B, None, {}),
    ("PUT", "/%s/a?comp=appendblock", b"x", {}), ("PUT", "/%s/a?comp=seal", b"", {}),
    ("PUT", "/%s/p?comp=page", b"", {"x-ms-page-write": "clear", "x-ms-range": "bytes=0-511"}),
    ("GET", "/%s/p?comp=pagelist", None, {}),
    ("PUT", "/%s/p?comp=properties", b"", {"x-ms-blob-content-length": "1024"})]


@pytest.fixture
def blobs(client, container):
    assert client.put_blob(B % container, b"x").status == 201
    assert client.put("/%s/a" % container, b"", {"x-ms-blob-type": "AppendBlob"}).status == 201
    assert client.put("/%s/p" % container, b"", {"x-ms-blob-type": "PageBlob",
                                                 "x-ms-blob-content-length": "512"}).status == 201
    return container


def state(client, container):
    paths = [(C % container), (C + "&comp=acl") % container]
    paths += ["/%s/%s" % (container, name) for name in "bap"] + [(B + "?comp=tags") % container]
    return [(a["ETag"], a["x-ms-lease-state"], a["x-ms-access-tier"], a.body)
            for a in map(client.get, paths)]


@pytest.mark.parametrize("method, path, body, headers", OPERATIONS,
                         ids=["%s %s" % (o[0], o[1]) for o in OPERATIONS])
def test_a_condition_that_does_not_hold_is_not_passed_over(client, blobs, method, path, body,
                                                           headers):
    before = state(client, blobs)
    for condition in ({"If-Match": '"0x1"'}, {"If-Unmodified-Since": http_date(-86400)},
                      {"If-Modified-Since": http_date(86400)}, {"If-None-Match": "*"}):
        answer = client.request(method, path % blobs, body, dict(headers, **condition))
        refused = (answer.status == 400 and answer.code in (
            "ConditionHeadersNotSupported", "InvalidHeaderValue", None))
        failed = answer.status in (304, 412) or (answer.status, answer.code) == (
            409, "BlobAlreadyExists")
        # If-None-Match: * is true of nothing for a read, which the reference leaves open
        assert refused or failed, (condition, answer)
    assert state(client, blobs) == before
    # and without a condition it works, so that the refusals above mean something
    answer = client.request(method, path % blobs, body, headers)
    assert answer.status < 300 or "undelete" in path, answer
