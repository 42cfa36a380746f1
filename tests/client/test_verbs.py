# SPDX-License-Identifier: MIT
"""cat, append, cp, snapshot, tags, lease: each over HTTP and over the driver's payload."""

import os
import random
import urllib.request

import pytest

MIB = 2 ** 20
LEASE = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"


def content(azblob, name, *options):
    return azblob.ok("cat", *options, name).out


def put(azblob, name, data, *options):
    azblob.ok("put", *options, "-", name, stdin=data)


def test_cat_puts_blobs_one_after_the_other(azblob, box):
    put(azblob, f"{box}/a", b"one ")
    put(azblob, f"{box}/b", b"two")
    assert azblob.ok("cat", f"{box}/a", f"{box}/b").out == b"one two"
    assert content(azblob, f"{box}/b", "--offset", "1", "--length", "1") == b"w"
    failed = azblob.run("cat", f"{box}/none", f"{box}/b")
    assert (failed.code, failed.out) == (3, b"two")
    # JSON would be lost among the bytes.
    assert azblob.ok("--json", "cat", f"{box}/b").out == b"two"


def test_append_makes_the_blob_and_adds_to_it(azblob, box, tmp_path):
    (tmp_path / "first").write_bytes(b"first\n")
    azblob.ok("append", "--content-type", "text/x-log", "--metadata", "k=v", tmp_path / "first", "-",
              f"{box}/log", stdin=b"second\n")
    done = azblob.ok("--json", "append", "-", f"{box}/log", stdin=b"third\n").json[0]
    assert (done["op"], done["bytes"], done["blocks"]) == ("append", 6, 3)
    assert content(azblob, f"{box}/log") == b"first\nsecond\nthird\n"
    shown = azblob.ok("stat", "--json", f"{box}/log").json[0]
    assert (shown["blob_type"], shown["content_type"]) == ("AppendBlob", "text/x-log")
    assert shown["metadata"] == {"k": "v"}


def test_append_of_more_than_one_request_holds(azblob, box, tmp_path):
    data = random.Random(1).randbytes(9 * MIB + 5)
    (tmp_path / "big").write_bytes(data)
    done = azblob.ok("--json", "append", tmp_path / "big", f"{box}/big").json[0]
    assert done["blocks"] == 3
    assert content(azblob, f"{box}/big") == data


def test_append_sends_a_line_when_it_is_written(azblob, http, box):
    read_end, write_end = os.pipe()
    process = azblob.start("append", "-", f"{box}/log", stdin=read_end)
    os.close(read_end)
    os.write(write_end, b"a line\n")
    while http.run("cat", f"{box}/log").out != b"a line\n":
        assert process.poll() is None
    os.close(write_end)
    assert process.communicate(timeout=60) and process.returncode == 0


def test_append_to_what_is_no_append_blob_and_under_a_condition(azblob, box):
    put(azblob, f"{box}/b", b"x")
    refused = azblob.run("append", "-", f"{box}/b", stdin=b"y")
    assert refused.code == 6 and "InvalidBlobType" in refused.err
    azblob.ok("append", "-", f"{box}/log", stdin=b"1")
    refused = azblob.run("append", "--if-match", '"0x1"', "-", f"{box}/log", stdin=b"2")
    assert refused.code == 6 and "ConditionNotMet" in refused.err
    etag = azblob.ok("--json", "stat", f"{box}/log").json[0]["etag"]
    azblob.ok("append", "--if-match", etag, "-", f"{box}/log", stdin=b"2" * (5 * MIB))
    assert len(content(azblob, f"{box}/log")) == 5 * MIB + 1


def test_snapshots_can_be_read_copied_listed_and_removed(azblob, box, tmp_path):
    put(azblob, f"{box}/s", b"old")
    time = azblob.ok("snapshot", f"{box}/s").lines[0]
    again = azblob.ok("--json", "snapshot", "--metadata", "k=v", f"{box}/s").json[0]["snapshot"]
    put(azblob, f"{box}/s", b"new")
    assert content(azblob, f"{box}/s", "--snapshot", time) == b"old"
    azblob.ok("get", "--snapshot", time, f"{box}/s", tmp_path / "s")
    assert (tmp_path / "s").read_bytes() == b"old"
    shown = azblob.ok("stat", "--json", "--snapshot", again, f"{box}/s").json[0]
    assert shown["metadata"] == {"k": "v"}
    azblob.ok("cp", "--snapshot", time, f"{box}/s", f"{box}/restored")
    assert content(azblob, f"{box}/restored") == b"old"
    entries = azblob.ok("ls", "--snapshots", "--json", f"{box}/s").json
    assert [entry.get("snapshot", "") for entry in entries] == [time, again, ""]
    refused = azblob.run("rm", f"{box}/s")
    assert refused.code == 6 and "SnapshotsPresent" in refused.err
    azblob.ok("rm", "--snapshot", time, f"{box}/s")
    assert azblob.run("stat", "--snapshot", time, f"{box}/s").code == 3
    azblob.ok("rm", "--snapshots-only", f"{box}/s")
    assert content(azblob, f"{box}/s") == b"new"
    azblob.ok("snapshot", f"{box}/s")
    azblob.ok("rm", "--snapshots", f"{box}/s")
    assert azblob.ok("ls", "--snapshots", f"{box}/s").lines == []


def test_cp_between_blobs_is_done_by_the_service(azblob, box):
    put(azblob, f"{box}/a b", b"hello", "--metadata", "k=v")
    done = azblob.ok("--json", "cp", f"{box}/a b", f"{box}/copy").json
    assert done[0]["op"] == "cp" and done[0]["path"] == f"{box}/a b"
    assert content(azblob, f"{box}/copy") == b"hello"
    assert azblob.ok("--json", "stat", f"{box}/copy").json[0]["metadata"] == {"k": "v"}
    azblob.ok("cp", "--metadata", "n=1", f"{box}/a b", f"azblob://devstoreaccount1/{box}/copy")
    assert azblob.ok("--json", "stat", f"{box}/copy").json[0]["metadata"] == {"n": "1"}
    refused = azblob.run("cp", "--no-clobber", f"{box}/a b", f"{box}/copy")
    assert refused.code == 6 and "BlobAlreadyExists" in refused.err
    assert azblob.run("cp", f"{box}/none", f"{box}/x").code == 3
    # A directory's worth, by name.
    azblob.ok("cp", f"{box}/a b", f"{box}/copy", f"{box}/dir/")
    assert azblob.ok("ls", f"{box}/dir/").lines == ["dir/a b", "dir/copy"]


def test_cp_of_trees_from_and_to_files(azblob, box, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for number in range(12):
        (tree / "sub" / str(number)).write_bytes(bytes([number]) * number)
    azblob.ok("cp", "-r", tree, f"{box}/up")
    azblob.ok("cp", "-r", f"{box}/up/tree", f"{box}/other/")
    azblob.ok("cp", "-r", f"{box}/up/tree/", f"{box}/flat")
    assert len(azblob.ok("ls", f"{box}/other/tree/sub/").lines) == 12
    assert len(azblob.ok("ls", f"{box}/flat/sub/").lines) == 12
    azblob.ok("cp", "-r", f"{box}/other/tree", tmp_path / "back")
    for number in range(12):
        assert (tmp_path / "back/tree/sub" / str(number)).read_bytes() == bytes([number]) * number
    azblob.ok("cp", f"{box}/other/tree/sub/3", f"{tmp_path}/")
    assert (tmp_path / "3").read_bytes() == b"\3\3\3"
    assert azblob.run("cp", "-r", f"{box}/none", f"{box}/x").code == 3


def test_cp_asks_when_a_name_could_be_both(azblob, box, tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    both = azblob.run("cp", "f", f"{box}/f", cwd=tmp_path)
    assert both.code == 2 and "write ./f" in both.err
    azblob.ok("cp", "./f", f"{box}/f", cwd=tmp_path)
    assert content(azblob, f"{box}/f") == b"x"


def test_tags_are_shown_replaced_and_removed(azblob, box):
    put(azblob, f"{box}/t", b"x", "--tag", "color=dark blue", "--tag", "n=1")
    assert azblob.ok("tags", f"{box}/t").lines == ["color=dark blue", "n=1"]
    azblob.ok("tags", f"{box}/t", "a=1", "b=")
    assert azblob.ok("--json", "tags", f"{box}/t").json[0]["tags"] == {"a": "1", "b": ""}
    azblob.ok("tags", f"{box}/t", "-")
    assert azblob.ok("tags", f"{box}/t").out == b""
    assert azblob.run("tags", f"{box}/none").code == 3
    assert azblob.run("tags", f"{box}/t", "a<b=1").code == 2


def test_a_lease_from_its_taking_to_its_end(azblob, box):
    name = f"{box}/l"
    put(azblob, name, b"x")
    assert azblob.ok("lease", "acquire", "--seconds", "60", "--id", LEASE, name).lines == [LEASE]
    refused = azblob.run("put", "-", name, stdin=b"y")
    assert refused.code == 6 and "LeaseIdMissing" in refused.err
    put(azblob, name, b"y", "--lease", LEASE)
    # More than one request holds, too.
    azblob.ok("--block-size", "64K", "put", "--lease", LEASE, "-", name, stdin=bytes(200000))
    azblob.ok("lease", "renew", "--id", LEASE, name)
    azblob.ok("lease", "change", "--id", LEASE, name, OTHER)
    assert azblob.run("rm", "--lease", LEASE, name).code == 6
    azblob.ok("lease", "release", "--id", OTHER, name)
    made = azblob.ok("--json", "lease", "acquire", name).json[0]["lease"]
    assert len(made) == 36
    assert azblob.ok("lease", "break", "--seconds", "0", name).lines == ["0"]
    azblob.ok("rm", name)
    azblob.ok("lease", "acquire", box)
    assert azblob.run("container", "rm", box).code == 6
    azblob.ok("lease", "break", "--seconds", "0", box)


def test_tier_and_conditions_of_put_and_rm(azblob, box):
    put(azblob, f"{box}/x", b"1", "--tier", "Cool")
    shown = azblob.ok("--json", "stat", f"{box}/x").json[0]
    assert shown["access_tier"] == "Cool"
    assert azblob.run("rm", "--if-match", '"0x1"', f"{box}/x").code == 6
    assert azblob.run("put", "--if-match", '"0x1"', "-", f"{box}/x", stdin=b"2").code == 6
    assert azblob.run("cat", "--if-match", '"0x1"', f"{box}/x").code == 6
    put(azblob, f"{box}/x", b"2", "--if-match", shown["etag"])


def test_a_sas_is_all_that_its_user_needs(azblob, box):
    put(azblob, f"{box}/a b", b"hello")
    made = azblob.ok("--json", "sas", "--expiry", "1h", f"{box}/a b").json[0]
    assert made["url"].endswith(f"/{box}/a%20b?{made['token']}") and "sp=r&" in made["token"]
    by_name = azblob.ok("sas", "--expiry", "1h", "--permissions", "wr", box).lines[0].partition("?")[2]
    env = azblob.env.pop("AZURE_STORAGE_CONNECTION_STRING")
    azblob.env["AZURE_STORAGE_ACCOUNT"] = "devstoreaccount1"
    assert "no account key or SAS" in azblob.run("cat", f"{box}/a b").err
    azblob.env["AZURE_STORAGE_SAS_TOKEN"] = made["token"]
    assert content(azblob, f"{box}/a b") == b"hello"
    denied = azblob.run("put", "-", f"{box}/a b", stdin=b"x")
    assert denied.code == 4 and made["token"] not in denied.err
    put(azblob, f"{box}/other", b"x", "--sas", by_name)
    assert "made with the account's key" in azblob.run("sas", "--expiry", "1h", box).err
    # In a connection string, which needs no name of an account.
    azblob.env.pop("AZURE_STORAGE_ACCOUNT")
    azblob.env.pop("AZURE_STORAGE_SAS_TOKEN")
    endpoint = made["url"].partition(f"/{box}")[0]
    azblob.env["AZURE_STORAGE_CONNECTION_STRING"] = \
        f"BlobEndpoint={endpoint};SharedAccessSignature={made['token']}"
    assert content(azblob, f"{box}/a b") == b"hello"
    azblob.env["AZURE_STORAGE_CONNECTION_STRING"] = env


def test_an_address_with_a_sas_is_enough_for_anybody(http, box):
    put(http, f"{box}/x", b"hello")
    url = http.ok("sas", "--expiry", "5m", "--content-type", "text/x", f"{box}/x").lines[0]
    with urllib.request.urlopen(url) as answer:
        assert (answer.read(), answer.headers["Content-Type"]) == (b"hello", "text/x")
    # The service can read it as well.
    http.ok("cp", url, f"{box}/y")
    assert content(http, f"{box}/y") == b"hello"


@pytest.mark.parametrize("arguments, says", [
    (["cat"], "which blob"),
    (["cat", "box"], "must name a blob"),
    (["append", "f"], "files (or -) and a blob"),
    (["append", "f", "box"], "must name a blob"),
    (["snapshot"], "which blob"),
    (["snapshot", "box"], "must name a blob"),
    (["snapshot", "--metadata", "a-b=1", "box/x"], "metadata name"),
    (["tags"], "of which blob"),
    (["tags", "box/x", "y"], "TAG=VALUE"),
    (["lease"], "must be acquire, renew"),
    (["lease", "steal", "box/x"], "must be acquire, renew"),
    (["lease", "acquire"], "one name"),
    (["lease", "acquire", "--seconds", "5", "box/x"], "must be 15 to 60"),
    (["lease", "acquire", "--seconds", "99", "box/x"], "0 to 60"),
    (["lease", "renew", "box/x"], "--id says which"),
    (["lease", "renew", "--id", "x", "box/x"], "must be a GUID"),
    (["lease", "change", "--id", LEASE, "box/x"], "the new id"),
    (["put", "--lease", "x", "-", "box/x"], "must be a GUID"),
    (["put", "--tier", "Warm", "-", "box/x"], "must be Hot, Cool"),
    (["put", "--tag", "a<=b", "-", "box/x"], "tag \"a<\""),
    (["put", "--snapshot", "x", "-", "box/x"], "not an option of \"put\""),
    (["cp", "box/x"], "a source and a destination"),
    (["cp", "/a", "/b"], "neither is a blob"),
    (["cp", "/a", "box/b", "box/"], "all sources must be"),
    (["cp", "box/a", "box/b", "box/c"], "ends in \"/\""),
    (["cp", "box/", "box/c"], "must name a blob"),
    (["cp", "box", "box/c"], "must name a blob"),
    (["cp", "--tier", "Hot", "box/a", "/tmp/b"], "for making blobs"),
    (["cp", "--content-type", "x/y", "box/a", "box/b"], "content type of its source"),
    (["cp", "https://x/y?sig=z", "box/"], "full name"),
    (["sas", "box"], "--expiry says how long"),
    (["sas", "--expiry", "soon", "box"], "must be like 30m"),
    (["sas", "--expiry", "9x", "box"], "must be like 30m"),
    (["sas", "--expiry", "2026-99-99", "box"], "must look like"),
    (["sas", "--expiry", "1h"], "needs permissions"),
    (["sas", "--expiry", "1h", "--permissions", "q", "box"], "permissions \"q\""),
    (["sas", "--expiry", "1h", "--types", "s", "box"], "for an account SAS"),
    (["sas", "--expiry", "1h", "a", "b"], "one name"),
    (["--sas", "sv=1", "ls"], "percent-encoded and have"),
])
def test_bad_input_of_the_verbs_is_refused_in_one_clear_line(http, arguments, says):
    result = http.run(*arguments)
    assert result.code == 2, result.err
    assert says in result.err
    assert all(line.startswith("azblob: ") for line in result.err.splitlines())
    assert result.out == b""
