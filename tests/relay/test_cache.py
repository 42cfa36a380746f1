# SPDX-License-Identifier: MIT
"""The filter "cache": blocks on disk, of the version that the account names, for whom it lets in."""

import hashlib
import http.client
import os
import random
import re
import socket
import subprocess
from pathlib import Path

import pytest

from blobclient import ACCOUNT, Client, md5
from daemon import binary
from fake import answer, ranged
from link import Link, head_of
from servers import Vspd, key_file, quiet_environment, relay_store

MIB = 1 << 20
CONTENT = random.Random(2).randbytes(3 * MIB + 12345)
OTHER = random.Random(3).randbytes(3 * MIB + 12345)
ONE_BYTE = "bytes=0-0"


class Metrics(http.client.HTTPConnection):
    """The daemon's, by a socket's path."""

    def __init__(self, path):
        super().__init__("metrics")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def of_cache(self):
        """{"bytes_total disk": n, ...}"""
        self.request("GET", "/metrics")
        text = self.getresponse().read().decode()
        self.close()
        return {"%s %s" % (name, label): int(value) for name, label, value in
                re.findall(r'^azblob_cache_(\w+)\{\w+="([^"]+)"\} (\d+)$', text, re.M)}


class Cached:
    """A relay with a cache, and a client of it."""

    def __init__(self, start, tmp_path, url, size="64M", block="64k", before=(), **options):
        folder = tmp_path / "cache"
        folder.mkdir(exist_ok=True)
        self.metrics = Metrics(tmp_path / "metrics")
        filters = [*before, "cache,path=%s,size=%s,block=%s" % (folder, size, block)]
        daemon_options = ["--metrics", str(tmp_path / "metrics")]
        for one in filters:
            daemon_options += ["--filter", one]
        self.relay = start(url, daemon_options=daemon_options, **options)
        self.client = Client(self.relay.port)
        self.get = self.client.get

    def counts(self):
        return self.metrics.of_cache()

    def file(self):
        """The cache's file, which has no name."""
        folder = Path("/proc/%d/fd" % self.relay.process.pid)
        [found] = [entry for entry in folder.iterdir()
                   if re.search(r"/cache/(#\d+|\.azblob-cache-\w+) \(deleted\)$",
                                os.readlink(entry))]
        return found


@pytest.fixture
def cached(start, tmp_path):
    made = []

    def make(server, **options):
        url = server if isinstance(server, str) else (
            "https://127.0.0.1:%d/%s" % (server.port, ACCOUNT))
        made.append(Cached(start, tmp_path, url, **options))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


def ranges(requests):
    return [request.headers.get("x-ms-range") for request in requests]


def stable(got):
    """Headers that are not of this one exchange."""
    return {name.lower(): value for name, value in got.headers.items()
            if name.lower() not in ("date", "x-ms-request-id")}


# --------------------------------------------------------------------- reading

def test_second_read_asks_the_account_for_one_byte_and_takes_the_rest_from_disk(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    first = relay.get("/c/b")
    assert (first.status, first.body) == (200, CONTENT)
    assert ranges(fake.take()) == [None]
    fake.default = ranged(CONTENT)
    again = relay.get("/c/b")
    assert (again.status, again.body) == (200, CONTENT)
    assert stable(again) == stable(first)
    assert ranges(fake.take()) == [ONE_BYTE]
    counts = relay.counts()
    assert counts["bytes_total disk"] == counts["bytes_total account"] == len(CONTENT)


@pytest.mark.parametrize("first,last", [(0, 0), (0, 65535), (70000, 2000000), (65536, 131071),
                                        (3 * MIB, 3 * MIB + 12344), (100, None),
                                        (3 * MIB, 9 * MIB)])
def test_ranges_of_what_is_there(fake, cached, first, last):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    fake.default = ranged(CONTENT)
    got = relay.get("/c/b", {"x-ms-range": "bytes=%d-%s" % (first, "" if last is None else last)})
    end = len(CONTENT) if last is None else min(last + 1, len(CONTENT))
    assert (got.status, got.body) == (206, CONTENT[first:end])
    assert got["Content-Range"] == "bytes %d-%d/%d" % (first, end - 1, len(CONTENT))
    assert got["Content-Length"] == str(end - first)
    assert ranges(fake.take()) == ["bytes=%d-%d" % (first, first)]


def test_only_what_is_missing_is_fetched(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    half = {"Range": "bytes=%d-%d" % (MIB, 2 * MIB - 1)}
    assert relay.get("/c/b", half).body == CONTENT[MIB:2 * MIB]
    fake.take()
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    asked = ranges(fake.take())
    assert asked[0] == ONE_BYTE
    assert len(asked) > 1
    counts = relay.counts()
    assert counts["bytes_total disk"] == MIB
    assert counts["bytes_total account"] == len(CONTENT)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    assert ranges(fake.take()) == [ONE_BYTE]


def test_a_body_that_begins_within_a_block_fills_blocks_too(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    some = {"Range": "bytes=1000-1100999"}
    assert relay.get("/c/b", some).body == CONTENT[1000:1101000]
    assert relay.get("/c/b", some).body == CONTENT[1000:1101000]
    assert relay.counts()["bytes_total disk"] == 15 * 65536  # blocks 1 to 15


def test_another_version_is_read_anew(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT, '"0x1"')
    assert relay.get("/c/b").body == CONTENT
    fake.default = ranged(OTHER, '"0x2"')
    got = relay.get("/c/b")
    assert (got.body, got["ETag"]) == (OTHER, '"0x2"')
    assert relay.counts()["bytes_total disk"] == 0
    # the one before has not been mixed up with it
    fake.default = ranged(CONTENT, '"0x1"')
    assert relay.get("/c/b").body == CONTENT


def test_a_blob_that_changes_under_a_read_ends_it(fake, cached):
    """What is missing can't be had of that version any more: no mixed bytes."""
    relay = cached(fake)
    fake.default = ranged(CONTENT, '"0x1"')
    relay.get("/c/b", {"Range": "bytes=0-%d" % (MIB - 1)})
    fake.take()
    fake.script = [ranged(CONTENT, '"0x1"')]
    fake.default = ranged(OTHER, '"0x2"')
    with pytest.raises(http.client.IncompleteRead) as short:
        relay.get("/c/b")
    assert short.value.partial == CONTENT[:len(short.value.partial)]
    assert len(short.value.partial) >= MIB // 2


def test_snapshots_and_versions_are_not_mixed_up(fake, cached):
    relay = cached(fake)
    for target, content in [("/c/b", CONTENT), ("/c/b?snapshot=2024-01-01T00:00:00.0000000Z", OTHER),
                            ("/c/b?versionid=2024-01-01T00:00:00.0000000Z", CONTENT[::-1]),
                            ("/c/bb", OTHER[::-1])]:
        for _ in range(2):
            fake.default = ranged(content)
            assert relay.get(target).body == content


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200000])
def test_small_blobs(fake, cached, size):
    relay = cached(fake)
    for _ in range(3):
        fake.default = answer(200, {"ETag": '"0x1"'}) if not size else ranged(CONTENT[:size])
        got = relay.get("/c/b")
        assert (got.status, got.body) == (200, CONTENT[:size])


def test_a_byte_too_many_is_not_the_callers_error(fake, cached):
    """The blob got empty: the one byte that was asked for is not there."""
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    fake.script = [answer(416, {"x-ms-error-code": "InvalidRange"}), answer(200, {"ETag": '"2"'})]
    got = relay.get("/c/b")
    assert (got.status, got.body) == (200, b"")
    assert ranges(fake.take()) == [ONE_BYTE, None]


def test_a_link_reads_through_it_as_well(fake, cached):
    relay = cached(fake)
    link = Link(relay.relay.link)
    for _ in range(2):
        fake.default = ranged(CONTENT)
        got = link.call(head_of(relay.client, "GET", "/c/b"), room=len(CONTENT))
        assert (got.status, got.data) == (200, CONTENT)
    assert relay.counts()["bytes_total disk"] == len(CONTENT)
    link.close()


# ---------------------------------------------------------------- who may, what

def test_nobody_is_given_a_byte_without_the_right_signature(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    stranger = Client(relay.relay.port, key="QUJDREVGR0hJSktMTU5PUA==")
    got = stranger.get("/c/b")
    stranger.close()
    assert (got.status, got.code) == (403, "AuthenticationFailed")
    assert not fake.take()


@pytest.mark.parametrize("status,code", [(403, "AuthorizationFailure"), (404, "BlobNotFound"),
                                         (412, "ConditionNotMet"), (304, None)])
def test_what_the_account_refuses_is_refused(fake, cached, status, code):
    relay = cached(fake, key=False)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    headers = {"x-ms-error-code": code} if code else {"ETag": '"0x1"'}
    fake.default = answer(status, headers)
    got = relay.get("/c/b", {"If-None-Match": '"0x1"'})
    assert (got.status, got.code, got.body) == (status, code, b"")


def test_callers_own_signature_is_not_touched(fake, cached):
    """It is over the request as it was made, so that is what goes on; bytes still come from disk."""
    relay = cached(fake, key=False)
    for _ in range(2):
        fake.default = ranged(CONTENT)
        assert relay.get("/c/b").body == CONTENT
        assert ranges(fake.take()) == [None]
    assert relay.counts()["bytes_total disk"] == len(CONTENT)


def test_a_byte_that_breaks_off_is_asked_for_again(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    fake.script = [ranged(CONTENT, limit=0), ranged(CONTENT, limit=0)]
    fake.default = ranged(CONTENT)
    got = relay.get("/c/b")
    assert (got.status, got.body) == (200, CONTENT)
    assert ranges(fake.take()) == [ONE_BYTE] * 3
    # not without end
    fake.default = ranged(CONTENT, limit=0)
    got = relay.get("/c/b")
    assert (got.status, got.code) == (502, "UpstreamLost")
    assert len(fake.take()) == 4


@pytest.mark.parametrize("header", ["x-ms-range-get-content-md5", "x-ms-range-get-content-crc64",
                                    "x-ms-structured-body", "x-ms-encryption-key"])
def test_what_brings_other_bytes_goes_past_it(fake, cached, header):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    fake.take()
    fake.default = ranged(OTHER)
    sent = {header: "true", "x-ms-range": "bytes=0-999"}
    assert relay.get("/c/b", sent).body == OTHER[:1000]
    (request,) = fake.take()
    assert request.headers[header] == "true"
    assert relay.counts()["bytes_total disk"] == 0


def test_other_operations_go_past_it(fake, cached):
    relay = cached(fake)
    assert relay.client.put_blob("/c/b", b"bytes").status == 200
    assert relay.get("/c/b?comp=metadata").status == 200
    assert relay.client.request("HEAD", "/c/b").status == 200
    assert relay.get("/c?restype=container&comp=list").status == 200
    assert [request.method for request in fake.take()] == ["PUT", "GET", "HEAD", "GET"]


# --------------------------------------------------------------------- the disk

def test_the_disk_that_it_takes_is_bounded(fake, cached):
    relay = cached(fake, size="1M")
    for name in "abc":
        fake.default = ranged(CONTENT)
        assert relay.get("/c/" + name).body == CONTENT
    counts = relay.counts()
    assert counts["blocks used"] == counts["blocks room"] == 16
    assert counts["dropped_total room"] == 3 * 49 - 16
    assert os.stat(relay.file()).st_size <= MIB


def test_damaged_blocks_are_fetched_again(fake, cached):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    with open(relay.file(), "r+b") as file:
        file.seek(5 * 65536 + 77)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    assert relay.get("/c/b").body == CONTENT
    counts = relay.counts()
    assert counts["dropped_total damaged"] == 1
    assert counts["bytes_total account"] == len(CONTENT) + 65536
    assert relay.get("/c/b").body == CONTENT
    assert relay.counts()["bytes_total account"] == len(CONTENT) + 65536


def test_it_leaves_nothing_behind(fake, cached, tmp_path):
    relay = cached(fake)
    fake.default = ranged(CONTENT)
    assert relay.get("/c/b").body == CONTENT
    assert not list((tmp_path / "cache").iterdir())


def test_it_works_among_other_filters(fake, cached):
    relay = cached(fake, before=["stats", "log"])
    for _ in range(2):
        fake.default = ranged(CONTENT)
        assert relay.get("/c/b").body == CONTENT
    assert relay.counts()["bytes_total disk"] == len(CONTENT)


@pytest.mark.parametrize("spec,line", [
    ("cache", "it needs path=DIRECTORY and size=BYTES"),
    ("cache,path=/tmp", "it needs path=DIRECTORY and size=BYTES"),
    ("cache,path=/tmp,size=5x", "size=5x: bytes are accepted, as 500M or 20G"),
    ("cache,path=/tmp,size=99999999999T", "size=99999999999T: bytes are accepted"),
    ("cache,path=/tmp,size=1M,block=5k", "block=5k: a power of two from 4k to 4M"),
    ("cache,path=/tmp,size=1M,block=8M", "block=8M: a power of two from 4k to 4M"),
    ("cache,path=/tmp,size=1k", "size is less than one block"),
    ("cache,path=/nowhere,size=1M", "path=/nowhere: no file can be made there"),
    ("cache,path=/tmp,size=1M,colour=red", "unknown option 'colour'; there are: path, size, block"),
])
def test_a_wrong_option_is_said_in_one_line(tmp_path, certificates, spec, line):
    store = relay_store("https://127.0.0.1:1/" + ACCOUNT, certificates,
                        key_file=key_file(tmp_path))
    ended = subprocess.run([binary(), "--store", store, "--filter", spec, "--http", "127.0.0.1:0"],
                           capture_output=True, text=True, env=quiet_environment(), check=False)
    assert ended.returncode in (1, 2)
    last = ended.stderr.strip().splitlines()[-1]
    assert "filter cache: " in last and line in last


def test_it_is_not_for_a_local_store(tmp_path):
    with pytest.raises(RuntimeError, match="it is for --store azure; what --store local has"):
        Vspd(tmp_path / "vspd", "local,path=%s" % (tmp_path / "store"),
             ["--filter", "cache,path=%s,size=1M" % tmp_path])


# --------------------------------------------------------------- a real account

def test_heads_are_those_of_the_account_itself(upstream, cached, client, container):
    """Also when only a byte was asked for: what a whole body's head and a range's differ in."""
    path = "/%s/blob" % container
    sent = {"x-ms-meta-colour": "red", "x-ms-blob-content-type": "text/x-tests",
            "x-ms-blob-content-md5": md5(CONTENT), "Content-MD5": md5(CONTENT)}
    assert client.put_blob(path, CONTENT, sent).status == 201
    relay = cached(upstream.url)
    for headers in ({}, {"x-ms-range": "bytes=100-1999999"}, {"Range": "bytes=5-"}):
        direct = client.get(path, headers)
        for _ in range(3):
            got = relay.get(path, headers)
            assert got.status == direct.status
            assert hashlib.sha256(got.body).digest() == hashlib.sha256(direct.body).digest()
            assert stable(got) == stable(direct)
    assert relay.counts()["bytes_total disk"] > len(CONTENT)
