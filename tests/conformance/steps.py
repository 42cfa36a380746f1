# SPDX-License-Identifier: MIT
"""The workload: its steps, and what each has to bring, whoever runs it.

A client program runs the steps in this order and prints for each a line of JSON, {"step": NAME, ...}.
A field holds what the service said, in the words below; a client that cannot learn a field leaves it
out, and one whose library lacks a whole operation prints {"step": NAME, "absent": "why"}.  What may be
absent or left out is listed for each client in clients.py: a test fails when it is anything else.

Contents are pattern(SEED, LENGTH) and are compared by SHA-256.  A refusal is {"status": HTTP STATUS,
"code": AZURE'S CODE}; a HEAD has no body, and some libraries have no code for what they got.
"""

import hashlib

LARGE = (17 << 20) + 3


def pattern(seed, length):
    """Bytes that differ everywhere within 64 KiB and are easy to make in any language."""
    base = bytes((i * 7 + seed * 13 + (i >> 8) * 29) & 255 for i in range(65521))
    return (base * (length // len(base) + 1))[:length]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def refused(status, code):
    return {"status": status, "code": code}


SMALL = pattern(1, 1000)
SOURCE = pattern(4, 300000)
PAGES = bytearray(1 << 20)
PAGES[0:4096] = pattern(30, 4096)
PAGES[65536:66048] = pattern(31, 512)
PAGES[512:1536] = bytes(1024)

FOLLOWED = bytearray(4096)
FOLLOWED[0:512] = pattern(33, 512)
FOLLOWED[1024:1536] = pattern(34, 512)

# A tree for programs that move files.
FILES = {"big": pattern(40, (9 << 20) + 5), "sub/one": pattern(41, 100000), "sub/empty": b"",
         "sub/deeper/ü b+c": pattern(42, 77)}

EXPECTED = {
    "account-info": {"kind": "StorageV2", "hns": False},
    "service-properties": {"origins": "https://example.org", "age": 60, "retention": 7},
    "service-stats": {"status": "live"},
    "container-create": {"exists": True},
    "container-create-again": refused(409, "ContainerAlreadyExists"),
    "container-metadata": {"before": {"purpose": "conformance"},
                           "after": {"first": "1", "second": "two words"}, "etag_changed": True},
    "container-acl": {"public": "blob", "policies": ["readers"], "permission": "rl"},
    "container-list": {"pages": [["listx", "listy"], ["listz"]]},
    "container-lease": {"state": "leased", "delete": refused(412, "LeaseIdMissing"),
                        "renew": "not refused"},
    "put-small": {"etag": True, "md5": True},
    "get": {"sha256": sha(SMALL), "size": 1000, "metadata": {"color": "green"},
            "content_type": "text/x-test"},
    "get-range": {"sha256": sha(SMALL[100:433]), "beyond": refused(416, "InvalidRange")},
    "get-range-checked": {"sha256": sha(SMALL[:500])},
    "properties": {"size": 1000, "type": "BlockBlob", "content_type": "text/x-test", "language": "en",
                   "cache": "no-cache", "encoding": "identity", "disposition": "inline",
                   "metadata": {"color": "green"}, "lease": "available", "created": True},
    "set-metadata": {"metadata": {"a": "1", "b": "2"}, "etag_changed": True},
    "set-headers": {"content_type": "application/x-new", "language": None},
    "put-empty": {"size": 0, "sha256": sha(b"")},
    "put-large": {"sha256": sha(pattern(2, LARGE)), "size": LARGE, "blocks": 5, "uncommitted": 0},
    "put-checked": {"sha256": sha(pattern(3, 100000))},
    "blocks": {"uncommitted": [1000, 1001, 1002], "committed": [1002, 1000], "left": 0,
               "sha256": sha(pattern(12, 1002) + pattern(10, 1000)),
               "bad": refused(400, "InvalidBlockList")},
    "names": {"listed": True, "content": "odd"},
    "conditions": {"exists": refused(409, "BlobAlreadyExists"),
                   "wrong_etag": refused(412, "ConditionNotMet"),
                   "not_modified": refused(304, "ConditionNotMet"),
                   "missing": refused(404, "BlobNotFound"),
                   "no_container": refused(404, "ContainerNotFound"), "content": "two"},
    "list-pages": {"pages": [4, 4, 2], "names": [f"list/a{n}" for n in range(10)],
                   "sizes": list(range(10))},
    "list-hierarchy": {"names": ["tree/a", "tree/b/", "tree/c/"]},
    "list-include": {"names": ["include/one", "include/one", "include/two"],
                     "snapshots": [True, False, False], "metadata": {"k": "v"}, "tags": {"t": "u"}},
    "tags": {"count": 2, "state": "open", "hits": ["tagged"], "inside": ["tagged"],
             "condition": refused(412, "ConditionNotMet")},
    "tiers": {"first": "Cool", "archived": refused(409, "BlobArchived"),
              "status": "rehydrate-pending-to-hot"},
    "snapshots": {"old": "one", "new": "two", "metadata": {"of": "one"},
                  "write": refused(409, "SnapshotsPresent"), "gone": refused(404, "BlobNotFound"),
                  "all_gone": refused(404, "BlobNotFound")},
    "leases": {"state": "leased", "duration": "infinite", "write": refused(412, "LeaseIdMissing"),
               "again": refused(409, "LeaseAlreadyPresent"), "left": 0, "broken": "broken",
               "content": "z"},
    "copy": {"status": "success", "sha256": sha(SOURCE), "metadata": {"m": "1"}},
    "copy-sync": {"status": "success", "sha256": sha(SOURCE)},
    "copy-no-right": {"status": 403},
    "put-from-url": {"sha256": sha(SOURCE)},
    "block-from-url": {"sha256": sha(SOURCE[1000:3000])},
    "append": {"offsets": [0, 700, 1400], "type": "AppendBlob", "blocks": 3,
               "sha256": sha(pattern(20, 700) + pattern(21, 700) + pattern(22, 700)),
               "position": refused(412, "AppendPositionConditionNotMet"),
               "too_long": refused(412, "MaxBlobSizeConditionNotMet")},
    "append-from-url": {"sha256": sha(SOURCE[:5000])},
    "append-seal": {"sealed": True, "append": refused(409, "BlobIsSealed")},
    "pages": {"ranges": [[0, 511], [1536, 4095], [65536, 66047]], "sequence": 7, "size": 1 << 20,
              "sha256": sha(PAGES), "unaligned": 416},
    "pages-diff": {"written": [[131072, 131583]], "cleared": [[65536, 66047]]},
    "pages-incremental": {"incremental": True, "sha256": sha(FOLLOWED),
                          "base": refused(409, "OperationNotAllowedOnIncrementalCopyBlob")},
    "pages-properties": {"size": 2 << 20, "sequence": 8,
                         "condition": refused(412, "SequenceNumberConditionNotMet")},
    "pages-from-url": {"sha256": sha(SOURCE[512:1536])},
    "batch": {"tiers": [200, 200], "deleted": [202, 202, 202, 202, 202, 404], "left": []},
    "sas-blob": {"content": "signed", "content_type": "text/x-override",
                 "write": refused(403, "AuthorizationPermissionMismatch")},
    "sas-container": {"names": ["sas"], "delete": refused(403, "AuthorizationPermissionMismatch")},
    "sas-account": {"content": "signed", "listed": True,
                    "container": refused(403, "AuthorizationResourceTypeMismatch")},
    "sas-policy": {"content": "signed", "revoked": 403},
    "sas-expired": refused(403, "AuthenticationFailed"),
    "anonymous": {"content": "for all", "names": ["open"], "write": 401, "private": 401},
    "wrong-key": refused(403, "AuthenticationFailed"),
    "undelete": {"listed": [True], "gone": 404, "content": "back"},
    "delete": {"again": refused(404, "BlobNotFound"), "container": refused(404, "ContainerNotFound")},
}
