# SPDX-License-Identifier: MIT
"""The azblob command by https against servers: every verb, with Azurite as the other side too."""

import json
import os
import random
import ssl
import subprocess
import time
import urllib.request

import pytest
from blobclient import ACCOUNT, KEY
from servers import build_folder, quiet_environment

LEASE = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"
MIB = 1 << 20


class Azblob:
    def __init__(self, upstream, certificates):
        self.base = [str(build_folder() / "client/cli/azblob"), "--transport", "http", "--endpoint", upstream.url,
                     "--ca-file", str(certificates.ca)]
        self.env = {**quiet_environment(), "AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}

    def run(self, *arguments, stdin=b""):
        done = subprocess.run([*self.base, *map(str, arguments)], input=stdin, capture_output=True,
                              env=self.env, timeout=300, check=False)
        assert b"Sanitizer" not in done.stderr, done.stderr
        return done

    def ok(self, *arguments, stdin=b""):
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments, stdin=b""):
        return [json.loads(line) for line in self.ok("--json", *arguments, stdin=stdin).splitlines()]

    def fails(self, code, *arguments, stdin=b""):
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == code, (done.returncode, done.stderr)
        return done.stderr.decode()


@pytest.fixture
def azblob(upstream, certificates):
    return Azblob(upstream, certificates)


@pytest.fixture
def box(azblob):
    name = f"cli{time.time_ns():x}"
    azblob.ok("container", "create", name)
    yield name
    azblob.ok("container", "rm", name)


def test_put_get_cat_ls_stat_rm(azblob, box, tmp_path):
    data = random.Random(1).randbytes(3 * MIB + 7)
    (tmp_path / "in").write_bytes(data)
    for options in ([], ["--block-size", "1M"], ["--block-size", "256K", "--resume"]):
        azblob.ok(*options, "put", "--metadata", "k=v", "--content-type", "text/x", tmp_path / "in",
                  f"{box}/a b/c")
        azblob.ok(*options, "get", f"{box}/a b/c", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == data
    shown = azblob.json("stat", f"{box}/a b/c")[0]
    assert (shown["bytes"], shown["content_type"], shown["metadata"]) == (len(data), "text/x", {"k": "v"})
    assert azblob.ok("cat", "--offset", "1M", "--length", "5", f"{box}/a b/c") == data[MIB:MIB + 5]
    azblob.ok("put", "-", f"{box}/b", stdin=b"")
    assert azblob.ok("ls", "--delimiter", "/", box) == b"a b/\nb\n"
    assert "BlobNotFound" in azblob.fails(3, "get", f"{box}/none", tmp_path / "none")
    azblob.fails(6, "put", "--no-clobber", "-", f"{box}/b", stdin=b"x")
    azblob.ok("rm", f"{box}/b")
    azblob.ok("rm", "-r", f"{box}/a b")
    assert azblob.ok("ls", box) == b""


def test_trees_and_sync(azblob, box, tmp_path):
    source = tmp_path / "source"
    for name in ("a", "b/c", "b/d e"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    assert azblob.json("sync", source, f"{box}/p")[-1]["files"] == 3
    assert azblob.json("sync", source, f"{box}/p")[-1]["unchanged"] == 3
    (source / "a").write_text("A")
    os.utime(source / "a", (1, 1))
    assert azblob.json("sync", "--compare", "size", source, f"{box}/p")[-1]["files"] == 0
    assert azblob.json("sync", source, f"{box}/p")[-1]["files"] == 1
    assert azblob.json("sync", "--compare", "hash", source, f"{box}/h")[-1]["files"] == 3
    (source / "a").write_text("B")
    assert azblob.json("sync", "--compare", "hash", source, f"{box}/h")[-1]["files"] == 1
    (source / "b/c").unlink()
    assert azblob.json("sync", "--delete", source, f"{box}/p")[-1]["deleted"] == 1
    azblob.ok("sync", f"{box}/p", tmp_path / "back")
    assert subprocess.run(["diff", "-r", source, tmp_path / "back"], check=False).returncode == 0
    azblob.ok("get", "-r", f"{box}/h", tmp_path)
    assert (tmp_path / "h/b/d e").read_text() == "b/d e"
    azblob.ok("cp", "-r", f"{box}/p", f"{box}/q/")
    assert azblob.ok("ls", f"{box}/q/").splitlines() == [b"q/p/a", b"q/p/b/d e"]


def test_append_snapshot_tags(azblob, box):
    azblob.ok("append", "-", f"{box}/log", stdin=b"one\n")
    assert azblob.json("append", "-", f"{box}/log", stdin=b"two\n")[0]["blocks"] == 2
    assert azblob.ok("cat", f"{box}/log") == b"one\ntwo\n"
    refused = azblob.fails(6, "--block-size", "64K", "put", "-", f"{box}/log", stdin=bytes(200000))
    assert "remove it first" in refused
    azblob.ok("put", "-", f"{box}/s", stdin=b"old")
    moment = azblob.ok("snapshot", f"{box}/s").decode().strip()
    azblob.ok("put", "-", f"{box}/s", stdin=b"new")
    assert azblob.ok("cat", "--snapshot", moment, f"{box}/s") == b"old"
    azblob.ok("cp", "--snapshot", moment, f"{box}/s", f"{box}/restored")
    assert azblob.ok("cat", f"{box}/restored") == b"old"
    azblob.fails(6, "rm", f"{box}/s")
    azblob.ok("rm", "--snapshots", f"{box}/s")
    azblob.ok("tags", f"{box}/log", "color=red", "size=1")
    assert azblob.json("tags", f"{box}/log")[0]["tags"] == {"color": "red", "size": "1"}
    azblob.ok("tags", f"{box}/log", "-")
    assert azblob.json("tags", f"{box}/log")[0]["tags"] == {}


def test_lease(azblob, box):
    azblob.ok("put", "-", f"{box}/l", stdin=b"x")
    assert azblob.ok("lease", "acquire", "--id", LEASE, f"{box}/l").decode().strip() == LEASE
    azblob.fails(6, "put", "-", f"{box}/l", stdin=b"y")
    azblob.ok("put", "--lease", LEASE, "-", f"{box}/l", stdin=b"y")
    azblob.ok("lease", "renew", "--id", LEASE, f"{box}/l")
    azblob.ok("lease", "change", "--id", LEASE, f"{box}/l", OTHER)
    azblob.ok("lease", "release", "--id", OTHER, f"{box}/l")
    azblob.ok("lease", "acquire", "--seconds", "60", f"{box}/l")
    azblob.ok("lease", "break", "--seconds", "0", f"{box}/l")
    azblob.ok("rm", f"{box}/l")


def test_sas(azblob, box, certificates):
    azblob.ok("put", "-", f"{box}/x", stdin=b"shared")
    address = azblob.ok("sas", "--expiry", "1h", f"{box}/x").decode().strip()
    context = ssl.create_default_context(cafile=certificates.ca)
    with urllib.request.urlopen(address, context=context, timeout=120) as answer:
        assert answer.read() == b"shared"
    azblob.env.pop("AZURE_STORAGE_KEY")
    azblob.fails(2, "cat", f"{box}/x")
    assert azblob.ok("--sas", address.split("?", 1)[1], "cat", f"{box}/x") == b"shared"
    azblob.fails(4, "--sas", address.split("?", 1)[1], "rm", f"{box}/x")
    azblob.env["AZURE_STORAGE_KEY"] = KEY
