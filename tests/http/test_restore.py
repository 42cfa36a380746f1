# SPDX-License-Identifier: MIT
"""Restore Container, and lists that show deleted containers.  Retention ends in unit store_restore."""

import pytest
from blobclient import Client
from daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daemon")
    running = Daemon(folder / "store", folder / "log", ["--container-retention", "7"])
    yield running
    running.stop()


def deleted(client, prefix):
    found = client.get("/?comp=list&include=deleted,metadata&prefix=" + prefix).xml()
    return [(item.findtext("Name"), item.findtext("Version")) for item in found.iter("Container")
            if item.findtext("Deleted") == "true"]


def restore(client, target, name, version):
    return client.put("/%s?restype=container&comp=undelete" % target, headers={
        "x-ms-deleted-container-name": name, "x-ms-deleted-container-version": version})


def said(answer):
    return answer.status, answer.code


def test_a_deleted_container_comes_back_whole(client, container):
    client.put("/%s?restype=container&comp=metadata" % container, headers={"x-ms-meta-a": "b"})
    client.put_blob("/%s/b" % container, b"kept", {"x-ms-tags": "restored=yes"})
    assert client.delete("/%s?restype=container" % container).status == 202
    assert client.get("/%s/b" % container).status == 404
    assert client.get("/?comp=list&prefix=" + container).xml().find(".//Container") is None
    (name, version), = deleted(client, container)
    shown = client.get("/?comp=list&include=deleted&prefix=" + container).xml()
    assert shown.findtext(".//RemainingRetentionDays") in ("6", "7")
    assert shown.findtext(".//DeletedTime").endswith("GMT")
    answer = restore(client, container, name, version)
    assert answer.status == 201, answer
    assert client.get("/%s/b" % container).body == b"kept"
    assert client.get("/%s?restype=container" % container)["x-ms-meta-a"] == "b"
    assert "<Name>b</Name>" in client.get("/?comp=blobs&where=restored='yes'").body.decode()
    assert deleted(client, container) == []


def test_the_name_is_free_and_each_deletion_is_kept(client, container):
    for i in range(3):
        client.put_blob("/%s/b" % container, b"%d" % i)
        assert client.delete("/%s?restype=container" % container).status == 202
        assert client.create_container(container).status == 201
    versions = [version for _, version in deleted(client, container)]
    assert len(set(versions)) == 3
    assert said(restore(client, container, container, versions[0])) == (
        409, "ContainerAlreadyExists")
    assert restore(client, container + "-old", container, versions[1]).status == 201
    assert client.get("/%s-old/b" % container).body == b"1"
    # one a page, each once
    seen, marker = [], ""
    for _ in range(10):
        page = client.get("/?comp=list&include=deleted&maxresults=1&prefix=%s&marker=%s" % (
            container, marker)).xml()
        seen += [(item.findtext("Name"), item.findtext("Version"))
                 for item in page.iter("Container")]
        marker = page.findtext("NextMarker")
        if not marker:
            break
    assert sorted(map(str, seen)) == sorted(map(str, [
        (container, versions[0]), (container, versions[2]), (container, None),
        (container + "-old", None)]))


def test_a_lease_does_not_come_back(client, container):
    path = "/%s?restype=container" % container
    lease = client.put(path + "&comp=lease", headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"})["x-ms-lease-id"]
    assert client.delete(path, {"x-ms-lease-id": lease}).status == 202
    (name, version), = deleted(client, container)
    assert restore(client, container, name, version).status == 201
    assert client.get(path)["x-ms-lease-state"] == "available"


def test_what_cannot_be_restored(client, container):
    assert said(restore(client, "restored", container, "0123456789ABCDEF")) == (
        404, "ContainerNotFound")
    assert said(restore(client, "restored", container, "short")) == (400, "InvalidHeaderValue")
    assert said(restore(client, "restored", container, "0123456789ABCDEX")) == (
        400, "InvalidHeaderValue")
    assert said(restore(client, "restored", "NOT GOOD", "0123456789ABCDEF")) == (
        400, "InvalidHeaderValue")
    answer = client.put("/restored?restype=container&comp=undelete")
    assert said(answer) == (400, "MissingRequiredHeader")
    assert client.get("/restored?restype=container").status == 404


def test_without_retention_nothing_is_kept(tmp_path):
    running = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(running.port)
    client.create_container("gone")
    assert client.delete("/gone?restype=container").status == 202
    assert deleted(client, "gone") == []
    running.stop()


@pytest.mark.parametrize("path, code", [
    ("/?comp=list&include=snapshots", "InvalidQueryParameterValue"),
    ("/%s?restype=container&comp=list&include=system", "InvalidQueryParameterValue")])
def test_words_that_another_list_has(client, container, path, code):
    assert client.get(path % container if "%s" in path else path).code == code


def test_start_from(client, container):
    for name in ("a", "b/1", "b/2", "c"):
        client.put_blob("/%s/%s" % (container, name), b"")
    found = client.list_blobs(container, startFrom="b/2").xml()
    assert [item.text for item in found.iter("Name")] == ["b/2", "c"]
    found = client.list_blobs(container, startFrom="b", maxresults=1).xml()
    assert [item.text for item in found.iter("Name")] == ["b/1"]
    found = client.list_blobs(container, startFrom="b", maxresults=2,
                              marker=found.findtext("NextMarker")).xml()
    assert [item.text for item in found.iter("Name")] == ["b/2", "c"]
    client.create_container(container + "-2")
    found = client.get("/?comp=list&prefix=%s&startFrom=%s-" % (container, container)).xml()
    assert [item.text for item in found.iter("Name")] == [container + "-2"]
