# SPDX-License-Identifier: MIT
"""The workload by azure-storage-blob, the SDK for Python, as its users would write it.

usage: client.py CONNECTION-STRING CONTAINER-PREFIX
Prints one line of JSON for each step; ../steps.py says what has to be in it.
"""

import datetime
import hashlib
import json
import sys
import time
import traceback

from azure.core.exceptions import HttpResponseError
from azure.core import MatchConditions
from azure.storage.blob import (AccessPolicy, AccountSasPermissions, BlobBlock, BlobClient,
                                BlobServiceClient, ContainerClient,
                                ContainerSasPermissions, ContentSettings, CorsRule, ResourceTypes,
                                RetentionPolicy, SequenceNumberAction, StandardBlobTier, generate_account_sas,
                                generate_blob_sas, generate_container_sas)

STEPS = []


def step(function):
    STEPS.append((function.__name__.replace("_", "-"), function))
    return function


def pattern(seed, length):
    """As steps.py has it."""
    base = bytes((i * 7 + seed * 13 + (i >> 8) * 29) & 255 for i in range(65521))
    return (base * (length // len(base) + 1))[:length]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def refusal(call, *args, **kwargs):
    """What the service refused it with."""
    try:
        call(*args, **kwargs)
    except HttpResponseError as error:
        code = error.error_code or ""
        return {"status": error.status_code, "code": getattr(code, "value", code)}
    return {"status": 0, "code": "not refused"}


def in_an_hour():
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)


class World:
    """What the steps share."""

    def __init__(self, connection, prefix):
        self.service = BlobServiceClient.from_connection_string(
            connection, max_single_put_size=4 << 20, max_block_size=4 << 20,
            max_single_get_size=4 << 20, max_chunk_get_size=4 << 20)
        self.prefix = prefix
        self.container = self.service.get_container_client(prefix + "main")
        self.account = self.service.account_name
        self.key = self.service.credential.account_key

    def blob(self, name):
        return self.container.get_blob_client(name)

    def put(self, name, data, **more):
        self.blob(name).upload_blob(data, overwrite=True, **more)
        return self.blob(name)

    def sas_url(self, blob, permission="r", **more):
        token = generate_blob_sas(self.account, blob.container_name, blob.blob_name,
                                  account_key=self.key, permission=permission, expiry=in_an_hour(),
                                  **more)
        return f"{blob.url}?{token}"


def read(blob, **more):
    return blob.download_blob(**more).readall()


# -- the account

@step
def account_info(w):
    info = w.service.get_account_information()
    return {"kind": info["account_kind"], "hns": bool(info.get("is_hns_enabled"))}


@step
def service_properties(w):
    w.service.set_service_properties(
        cors=[CorsRule(["https://example.org"], ["GET", "PUT"], max_age_in_seconds=60,
                       allowed_headers=["x-ms-*"], exposed_headers=["x-ms-*"])],
        delete_retention_policy=RetentionPolicy(enabled=True, days=7))
    found = w.service.get_service_properties()
    return {"origins": found["cors"][0].allowed_origins, "age": found["cors"][0].max_age_in_seconds,
            "retention": found["delete_retention_policy"].days}


@step
def service_stats(_):
    return {"absent": "of a path-style URL it replaces host and account by the secondary's, and keeps the path"}


# -- containers

@step
def container_create(w):
    w.container.create_container(metadata={"purpose": "conformance"})
    return {"exists": w.container.exists()}


@step
def container_create_again(w):
    return refusal(w.container.create_container)


@step
def container_metadata(w):
    before = w.container.get_container_properties()
    w.container.set_container_metadata({"first": "1", "second": "two words"})
    after = w.container.get_container_properties()
    return {"before": before.metadata, "after": after.metadata, "etag_changed": before.etag != after.etag}


@step
def container_acl(w):
    policy = AccessPolicy(permission=ContainerSasPermissions(read=True, list=True), expiry=in_an_hour(),
                          start=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1))
    w.container.set_container_access_policy({"readers": policy}, public_access="blob")
    found = w.container.get_container_access_policy()
    return {"public": found["public_access"], "policies": [p.id for p in found["signed_identifiers"]],
            "permission": str(found["signed_identifiers"][0].access_policy.permission)}


@step
def container_list(w):
    for n in ("x", "y", "z"):
        w.service.create_container(w.prefix + "list" + n)
    pages = [[c.name for c in page] for page in
             w.service.list_containers(name_starts_with=w.prefix + "list", results_per_page=2).by_page()]
    for n in ("x", "y", "z"):
        w.service.delete_container(w.prefix + "list" + n)
    return {"pages": [[name[len(w.prefix):] for name in page] for page in pages]}


@step
def container_lease(w):
    container = w.service.create_container(w.prefix + "lease")
    lease = container.acquire_lease(lease_duration=60)
    state = container.get_container_properties().lease.state
    refused = refusal(container.delete_container)
    lease.change("6f1a1f8c-3b0f-4a5e-9d0e-7c1f0a1b2c3d")
    renewed = refusal(lease.renew)["code"]
    lease.release()
    container.delete_container()
    return {"state": state, "delete": refused, "renew": renewed}


# -- block blobs

@step
def put_small(w):
    result = w.blob("small").upload_blob(
        pattern(1, 1000), overwrite=True, metadata={"color": "green"},
        content_settings=ContentSettings(content_type="text/x-test", content_language="en",
                                         cache_control="no-cache", content_encoding="identity",
                                         content_disposition="inline"))
    return {"etag": bool(result["etag"]), "md5": result["content_md5"] is not None}


@step
def get(w):
    download = w.blob("small").download_blob()
    data = download.readall()
    return {"sha256": sha(data), "size": download.size, "metadata": download.properties.metadata,
            "content_type": download.properties.content_settings.content_type}


@step
def get_range(w):
    return {"sha256": sha(read(w.blob("small"), offset=100, length=333)),
            "beyond": refusal(read, w.blob("small"), offset=5000, length=10)}


@step
def get_range_checked(w):
    return {"sha256": sha(read(w.blob("small"), offset=0, length=500, validate_content=True))}


@step
def properties(w):
    p = w.blob("small").get_blob_properties()
    s = p.content_settings
    return {"size": p.size, "type": p.blob_type.value, "content_type": s.content_type,
            "language": s.content_language, "cache": s.cache_control, "encoding": s.content_encoding,
            "disposition": s.content_disposition, "metadata": p.metadata, "lease": p.lease.state,
            "created": p.creation_time is not None}


@step
def set_metadata(w):
    before = w.blob("small").get_blob_properties().etag
    w.blob("small").set_blob_metadata({"a": "1", "b": "2"})
    p = w.blob("small").get_blob_properties()
    return {"metadata": p.metadata, "etag_changed": p.etag != before}


@step
def set_headers(w):
    w.blob("small").set_http_headers(ContentSettings(content_type="application/x-new"))
    s = w.blob("small").get_blob_properties().content_settings
    return {"content_type": s.content_type, "language": s.content_language}


@step
def put_empty(w):
    w.put("empty", b"")
    return {"size": w.blob("empty").get_blob_properties().size, "sha256": sha(read(w.blob("empty")))}


@step
def put_large(w):
    w.put("large", pattern(2, (17 << 20) + 3), max_concurrency=4)
    committed, uncommitted = w.blob("large").get_block_list("all")
    data = read(w.blob("large"), max_concurrency=4)
    return {"sha256": sha(data), "size": len(data), "blocks": len(committed),
            "uncommitted": len(uncommitted)}


@step
def put_checked(w):
    w.put("checked", pattern(3, 100000), validate_content=True)
    return {"sha256": sha(read(w.blob("checked"), validate_content=True))}


@step
def blocks(w):
    blob = w.blob("blocks")
    for n in range(3):
        blob.stage_block(f"block-{n}", pattern(10 + n, 1000 + n))
    before = blob.get_block_list("all")
    blob.commit_block_list([BlobBlock("block-2"), BlobBlock("block-0")])
    after = blob.get_block_list("all")
    bad = refusal(blob.commit_block_list, [BlobBlock("block-9")])
    return {"uncommitted": [b.size for b in before[1]], "committed": [b.size for b in after[0]],
            "left": len(after[1]), "sha256": sha(read(blob)), "bad": bad}


@step
def names(w):
    name = "ü ñ/%41 +&=?#~'\u65e5\u672c"
    w.put("names/" + name, b"odd")
    found = [b.name for b in w.container.list_blobs(name_starts_with="names/")]
    return {"listed": found == ["names/" + name], "content": read(w.blob("names/" + name)).decode()}


@step
def conditions(w):
    blob = w.put("conditions", b"one")
    etag = blob.get_blob_properties().etag
    result = {
        "exists": refusal(blob.upload_blob, b"two"),
        "wrong_etag": refusal(blob.upload_blob, b"two", overwrite=True, etag='"0x1"',
                              match_condition=MatchConditions.IfNotModified),
        "not_modified": refusal(blob.download_blob, etag=etag,
                                match_condition=MatchConditions.IfModified),
        "missing": refusal(w.blob("missing").get_blob_properties),
        "no_container": refusal(w.service.get_blob_client(w.prefix + "none", "b").upload_blob, b"x")}
    blob.upload_blob(b"two", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
    result["content"] = read(blob).decode()
    return result


@step
def list_pages(w):
    for n in range(10):
        w.put(f"list/a{n}", b"x" * n)
    pages = [[(b.name, b.size) for b in page] for page in
             w.container.list_blobs(name_starts_with="list/", results_per_page=4).by_page()]
    return {"pages": [len(page) for page in pages],
            "names": [name for page in pages for name, _ in page],
            "sizes": [size for page in pages for _, size in page]}


@step
def list_hierarchy(w):
    for name in ("tree/a", "tree/b/1", "tree/b/2", "tree/c/d/3"):
        w.put(name, b"x")
    entries = list(w.container.walk_blobs(name_starts_with="tree/", delimiter="/"))
    return {"names": sorted(e.name for e in entries)}


@step
def list_include(w):
    w.put("include/one", b"x", metadata={"k": "v"}, tags={"t": "u"})
    w.blob("include/one").create_snapshot()
    w.blob("include/two").stage_block("b", b"x")
    found = list(w.container.list_blobs(
        name_starts_with="include/", include=["metadata", "tags", "snapshots", "uncommittedblobs"]))
    return {"names": [b.name for b in found], "snapshots": [bool(b.snapshot) for b in found],
            "metadata": found[0].metadata, "tags": found[1].tags}


# -- tags, tiers, snapshots, leases

@step
def tags(w):
    blob = w.put("tagged", b"x")
    blob.set_blob_tags({"project": w.prefix + "p", "state": "open"})
    found = blob.get_blob_tags()
    where = f"\"project\" = '{w.prefix}p' AND \"state\" = 'open'"
    hits = [b.name for b in w.service.find_blobs_by_tags(where)]
    return {"count": len(found), "state": found["state"], "hits": hits,
            "inside": [b.name for b in w.container.find_blobs_by_tags(where)],
            "condition": refusal(blob.delete_blob, if_tags_match_condition="\"state\" = 'shut'")}


@step
def tiers(w):
    blob = w.put("tier", b"x", standard_blob_tier=StandardBlobTier.COOL)
    first = blob.get_blob_properties().blob_tier
    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    refused = refusal(blob.download_blob)
    blob.set_standard_blob_tier(StandardBlobTier.HOT, rehydrate_priority="High")
    return {"first": first, "archived": refused, "status": blob.get_blob_properties().archive_status}


@step
def snapshots(w):
    blob = w.put("snap", b"one")
    snapshot = blob.create_snapshot(metadata={"of": "one"})
    blob.upload_blob(b"two", overwrite=True)
    old = w.container.get_blob_client("snap", snapshot=snapshot["snapshot"])
    result = {"old": read(old).decode(), "new": read(blob).decode(),
              "metadata": old.get_blob_properties().metadata,
              "write": refusal(blob.delete_blob)}
    blob.delete_blob(delete_snapshots="only")
    result["gone"] = refusal(old.get_blob_properties)
    blob.create_snapshot()
    blob.delete_blob(delete_snapshots="include")
    result["all_gone"] = refusal(blob.get_blob_properties)
    return result


@step
def leases(w):
    blob = w.put("lease", b"x")
    lease = blob.acquire_lease(lease_duration=-1)
    state = blob.get_blob_properties().lease
    result = {"state": state.state, "duration": state.duration,
              "write": refusal(blob.upload_blob, b"y", overwrite=True),
              "again": refusal(blob.acquire_lease, lease_duration=15)}
    blob.upload_blob(b"z", overwrite=True, lease=lease)
    left = lease.break_lease(lease_break_period=0)
    result.update(left=left, broken=blob.get_blob_properties().lease.state, content=read(blob).decode())
    return result


# -- copies

def wait_for_copy(blob):
    for _ in range(600):
        copy = blob.get_blob_properties().copy
        if copy.status != "pending":
            return copy.status
        time.sleep(0.1)
    return "pending"


@step
def copy(w):
    source = w.put("copy/source", pattern(4, 300000), metadata={"m": "1"})
    target = w.blob("copy/target")
    target.start_copy_from_url(w.sas_url(source))
    return {"status": wait_for_copy(target), "sha256": sha(read(target)),
            "metadata": target.get_blob_properties().metadata}


@step
def copy_sync(w):
    target = w.blob("copy/sync")
    answer = target.start_copy_from_url(w.sas_url(w.blob("copy/source")), requires_sync=True)
    return {"status": answer["copy_status"], "sha256": sha(read(target))}


@step
def copy_no_right(w):
    other = w.service.create_container(w.prefix + "private")
    source = other.get_blob_client("secret")
    source.upload_blob(b"x")
    refused = refusal(w.blob("copy/none").start_copy_from_url,
                      source.url + "?sv=2020-02-10&sr=b&sp=r&se=2099-01-01&sig=AAAA", requires_sync=True)
    other.delete_container()
    return {"status": refused["status"]}


@step
def put_from_url(w):
    w.blob("copy/put").upload_blob_from_url(w.sas_url(w.blob("copy/source")))
    return {"sha256": sha(read(w.blob("copy/put")))}


@step
def block_from_url(w):
    blob = w.blob("copy/blocks")
    blob.stage_block_from_url("b1", w.sas_url(w.blob("copy/source")), source_offset=1000,
                              source_length=2000)
    blob.commit_block_list([BlobBlock("b1")])
    return {"sha256": sha(read(blob))}


# -- append blobs

@step
def append(w):
    blob = w.blob("append")
    blob.create_append_blob()
    offsets = [int(blob.append_block(pattern(20 + n, 700))["blob_append_offset"]) for n in range(3)]
    p = blob.get_blob_properties()
    return {"offsets": offsets, "type": p.blob_type.value, "blocks": p.append_blob_committed_block_count,
            "sha256": sha(read(blob)),
            "position": refusal(blob.append_block, b"x", appendpos_condition=1),
            "too_long": refusal(blob.append_block, b"x", maxsize_condition=100)}


@step
def append_from_url(w):
    blob = w.blob("append-url")
    blob.create_append_blob()
    blob.append_block_from_url(w.sas_url(w.blob("copy/source")), source_offset=0, source_length=5000)
    return {"sha256": sha(read(blob))}


@step
def append_seal(w):
    blob = w.blob("append")
    blob.seal_append_blob()
    return {"sealed": blob.get_blob_properties().is_append_blob_sealed,
            "append": refusal(blob.append_block, b"x")}


# -- page blobs

@step
def pages(w):
    blob = w.blob("pages")
    blob.create_page_blob(1 << 20, sequence_number=7)
    blob.upload_page(pattern(30, 4096), offset=0, length=4096)
    blob.upload_page(pattern(31, 512), offset=65536, length=512)
    blob.clear_page(offset=512, length=1024)
    ranges = [(r.start, r.end) for r in blob.list_page_ranges()]
    p = blob.get_blob_properties()
    return {"ranges": ranges, "sequence": p.page_blob_sequence_number, "size": p.size,
            "sha256": sha(read(blob))}


@step
def pages_diff(w):
    blob = w.blob("pages")
    snapshot = blob.create_snapshot()
    blob.upload_page(pattern(32, 512), offset=131072, length=512)
    blob.clear_page(offset=65536, length=512)
    found = list(blob.list_page_ranges(previous_snapshot=snapshot))
    return {"written": [(r.start, r.end) for r in found if not r.cleared],
            "cleared": [(r.start, r.end) for r in found if r.cleared]}


@step
def pages_incremental(w):
    source, target = w.blob("followed"), w.blob("follower")
    source.create_page_blob(4096)
    for seed, offset in ((33, 0), (34, 1024)):
        source.upload_page(pattern(seed, 512), offset=offset, length=512)
        taken = source.create_snapshot()["snapshot"]
        target.start_copy_from_url(source.url + "?snapshot=" + taken, incremental_copy=True)
    copy = target.get_blob_properties().copy
    made = w.container.get_blob_client("follower", snapshot=copy.destination_snapshot)
    return {"incremental": copy.incremental_copy in (True, "true"),
            "sha256": sha(made.download_blob().readall()), "base": refusal(target.download_blob)}


@step
def pages_properties(w):
    blob = w.blob("pages")
    blob.resize_blob(2 << 20)
    blob.set_sequence_number(SequenceNumberAction.Increment)
    p = blob.get_blob_properties()
    return {"size": p.size, "sequence": p.page_blob_sequence_number,
            "condition": refusal(blob.upload_page, b"x" * 512, offset=0, length=512,
                                 if_sequence_number_lt=3)}


@step
def pages_from_url(w):
    blob = w.blob("pages")
    blob.upload_pages_from_url(w.sas_url(w.blob("copy/source")), offset=262144, length=1024,
                               source_offset=512)
    return {"sha256": sha(read(blob, offset=262144, length=1024))}


# -- many at once

@step
def batch(w):
    for n in range(5):
        w.put(f"batch/{n}", b"x")
    tiers_set = [r.status_code for r in w.container.set_standard_blob_tier_blobs(
        StandardBlobTier.COOL, "batch/0", "batch/1")]
    deleted = [r.status_code for r in w.container.delete_blobs(
        *[f"batch/{n}" for n in range(6)], raise_on_any_failure=False)]
    return {"tiers": tiers_set, "deleted": deleted,
            "left": [b.name for b in w.container.list_blobs(name_starts_with="batch/")]}


# -- shared access signatures

@step
def sas_blob(w):
    blob = w.put("sas", b"signed")
    client = BlobClient.from_blob_url(w.sas_url(blob, content_type="text/x-override"))
    download = client.download_blob()
    return {"content": download.readall().decode(),
            "content_type": download.properties.content_settings.content_type,
            "write": refusal(client.upload_blob, b"x", overwrite=True)}


@step
def sas_container(w):
    token = generate_container_sas(w.account, w.container.container_name, account_key=w.key,
                                   permission="rl", expiry=in_an_hour())
    client = ContainerClient.from_container_url(f"{w.container.url}?{token}")
    return {"names": [b.name for b in client.list_blobs(name_starts_with="sas")],
            "delete": refusal(client.delete_blob, "sas")}


@step
def sas_account(w):
    token = generate_account_sas(w.account, account_key=w.key, expiry=in_an_hour(),
                                 resource_types=ResourceTypes(service=True, object=True),
                                 permission=AccountSasPermissions(read=True, list=True))
    client = BlobServiceClient(w.service.url, credential=token)
    blob = client.get_blob_client(w.container.container_name, "sas")
    return {"content": read(blob).decode(),
            "listed": w.container.container_name in [c.name for c in client.list_containers()],
            "container": refusal(client.get_container_client(
                w.container.container_name).get_container_properties)}


@step
def sas_policy(w):
    token = generate_blob_sas(w.account, w.container.container_name, "sas", account_key=w.key,
                              policy_id="readers")
    client = BlobClient.from_blob_url(f"{w.blob('sas').url}?{token}")
    content = read(client).decode()
    w.container.set_container_access_policy({})
    return {"content": content, "revoked": refusal(client.download_blob)["status"]}


@step
def sas_expired(w):
    token = generate_blob_sas(
        w.account, w.container.container_name, "sas", account_key=w.key, permission="r",
        expiry=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1))
    client = BlobClient.from_blob_url(f"{w.blob('sas').url}?{token}")
    return refusal(client.download_blob)


@step
def anonymous(w):
    container = w.service.create_container(w.prefix + "public", public_access="container")
    container.upload_blob("open", b"for all")
    client = ContainerClient(w.service.url, w.prefix + "public")
    result = {"content": read(client.get_blob_client("open")).decode(),
              "names": [b.name for b in client.list_blobs()],
              "write": refusal(client.upload_blob, "x", b"x")["status"],
              "private": refusal(ContainerClient(w.service.url, w.prefix + "main")
                                 .get_container_properties)["status"]}
    container.delete_container()
    return result


@step
def wrong_key(w):
    client = BlobServiceClient(w.service.url, credential={
        "account_name": w.account, "account_key": "AAAA" + w.key[4:]})
    return refusal(client.get_account_information)


# -- what was deleted

@step
def undelete(w):
    blob = w.put("soft", b"back")
    blob.delete_blob()
    listed = [b.deleted for b in w.container.list_blobs(name_starts_with="soft", include=["deleted"])]
    gone = refusal(blob.get_blob_properties)["status"]
    blob.undelete_blob()
    return {"listed": listed, "gone": gone, "content": read(blob).decode()}


@step
def delete(w):
    w.blob("sas").delete_blob()
    again = refusal(w.blob("sas").delete_blob)
    w.container.delete_container()
    return {"again": again, "container": refusal(w.container.get_container_properties)}


def main():
    world = World(sys.argv[1], sys.argv[2])
    for name, function in STEPS:
        try:
            found = function(world)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            found = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps({"step": name, **found}), flush=True)


if __name__ == "__main__":
    main()
