# SPDX-License-Identifier: MIT
"""What goes in comes out: sizes, trees, streams, ranges."""

import os
import random
import stat
import subprocess
import sys
from http.client import HTTPConnection

import pytest

from conftest import ACCOUNT, ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from azvm import sharedkey  # noqa: E402  pylint: disable=wrong-import-position

BLOCK = 64 * 1024


def make_file(path, size, seed=1):
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


@pytest.mark.parametrize("size", [0, 1, 4097, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 13])
def test_a_file_of_any_size_comes_back_as_it_was(azblob, box, tmp_path, size):
    source = make_file(tmp_path / "in", size)
    azblob.ok("--block-size", "64K", "put", source, f"{box}/name")
    assert int(azblob.ok("stat", "--json", f"{box}/name").json[0]["bytes"]) == size
    azblob.ok("--block-size", "64K", "get", f"{box}/name", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == source.read_bytes()


def test_64_mib_with_default_blocks_and_one_byte_more(azblob, box, tmp_path):
    source = make_file(tmp_path / "in", 64 * 2 ** 20 + 1)
    put = azblob.ok("--json", "put", source, f"{box}/big").json
    assert [line["op"] for line in put] == ["put", "summary"]
    assert put[0]["bytes"] == put[1]["bytes"] == 64 * 2 ** 20 + 1
    assert put[1]["seconds"] > 0 and put[1]["failed"] == 0
    got = azblob.ok("--json", "get", f"{box}/big", tmp_path / "out").json
    assert got[0]["verified"] is True
    assert subprocess.run(["cmp", source, tmp_path / "out"], check=False).returncode == 0


def test_what_one_transport_stores_the_other_reads(daemon, box, tmp_path, http):
    from conftest import BUILD, Azblob
    link = Azblob(BUILD / "client/azblob-over-link",
                  ["--transport", "driver", "--device", daemon.link])
    source = make_file(tmp_path / "in", 3 * BLOCK + 5)
    for first, second in ((http, link), (link, http)):
        first.ok("--block-size", "64K", "put", source, f"{box}/x")
        second.ok("--block-size", "64K", "get", f"{box}/x", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("size", [0, 5, BLOCK, 3 * BLOCK, 3 * BLOCK + 1])
def test_a_stream_of_unknown_length(azblob, box, size):
    data = random.Random(2).randbytes(size)
    azblob.ok("--block-size", "64K", "put", "-", f"{box}/stream", stdin=data)
    assert azblob.ok("--block-size", "64K", "get", f"{box}/stream", "-").out == data


def test_a_tree_keeps_names_and_bytes(azblob, box, tmp_path):
    tree = tmp_path / "tree"
    for number in range(60):
        path = tree / f"d{number % 7}" / f"f {number} %41 #?&+é\N{GRINNING FACE}"
        path.parent.mkdir(parents=True, exist_ok=True)
        make_file(path, number * 37, number)
    make_file(tree / "large", 5 * BLOCK + 1)
    (tree / "link").symlink_to("large")
    result = azblob.ok("--block-size", "64K", "put", "-r", tree, f"{box}/up/")
    assert "link: not a regular file, skipped" in result.err
    azblob.ok("--block-size", "64K", "get", "-r", f"{box}/up/tree", tmp_path / "back")
    (tree / "link").unlink()
    assert subprocess.run(["diff", "-r", tree, tmp_path / "back/tree"],
                          check=False).returncode == 0


def test_the_contents_of_a_directory_go_without_its_name(azblob, box, tmp_path):
    make_file(tmp_path / "tree" / "a", 1) if (tmp_path / "tree").mkdir() is None else None
    azblob.ok("put", "-r", f"{tmp_path}/tree/", box)
    assert azblob.ok("ls", box).lines == ["a"]
    azblob.ok("get", "-r", f"{box}/", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["a"]


def test_a_range(azblob, box):
    data = random.Random(3).randbytes(5 * BLOCK)
    azblob.ok("put", "-", f"{box}/r", stdin=data)
    for first, length in ((0, 1), (1, 3 * BLOCK), (5 * BLOCK - 1, 1), (4 * BLOCK, 9 * BLOCK)):
        got = azblob.ok("--block-size", "64K", "--offset", first, "--length", length, "get",
                        f"{box}/r", "-")
        assert got.out == data[first:first + length]
    assert azblob.run("--offset", "5M", "get", f"{box}/r", "-").code == 1


def test_metadata_and_content_type(azblob, box):
    azblob.ok("put", "--content-type", "text/x; y=1", "--metadata", "Key=a value", "--metadata",
              "n=1=2", "-", f"{box}/m", stdin=b"x")
    shown = azblob.ok("stat", "--json", f"{box}/m").json[0]
    assert shown["content_type"] == "text/x; y=1"
    assert {name.lower(): value for name, value in shown["metadata"].items()} == \
        {"key": "a value", "n": "1=2"}
    assert "content type:" in azblob.ok("stat", f"{box}/m").out.decode()


def test_no_clobber_keeps_what_is_there(azblob, box, tmp_path):
    for size in (10, 3 * BLOCK):
        azblob.ok("put", "-", f"{box}/kept", stdin=b"old")
        source = make_file(tmp_path / "new", size)
        refused = azblob.run("--block-size", "64K", "put", "--no-clobber", source, f"{box}/kept")
        assert refused.code == 6, refused.err
        assert azblob.ok("get", f"{box}/kept", "-").out == b"old"
        azblob.ok("--block-size", "64K", "put", "--no-clobber", source, f"{box}/fresh{size}")


def test_a_download_replaces_the_file_behind_a_link_and_keeps_the_umask(azblob, box, tmp_path):
    azblob.ok("put", "-", f"{box}/x", stdin=b"new")
    (tmp_path / "real").write_bytes(b"old and longer")
    (tmp_path / "link").symlink_to("real")
    azblob.ok("get", f"{box}/x", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    azblob.ok("get", f"{box}/x", tmp_path / "fresh", preexec_fn=lambda: os.umask(0o027))
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def test_names_that_would_leave_the_directory_are_skipped(azblob, box, tmp_path):
    for name in ("t/../../evil", "t//evil", "t/ok"):
        azblob.ok("put", "-", f"{box}/{name}", stdin=b"x")
    result = azblob.run("get", "-r", f"{box}/t", tmp_path / "in")
    assert result.code == 7
    assert result.err.count("skipped") == 2
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["ok"]


def test_a_large_list_is_read_page_by_page(azblob, box, tmp_path):
    tree = tmp_path / "many"
    tree.mkdir()
    for number in range(250):
        (tree / f"{number:04d}").write_bytes(b"")
    azblob.ok("put", "-r", f"{tree}/", f"{box}/p/")
    assert azblob.ok("ls", box).lines == [f"p/{number:04d}" for number in range(250)]
    assert len(azblob.ok("--json", "rm", "-r", box).json) == 250
    assert azblob.ok("ls", box).lines == []


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_what_goes_to_a_file_as_standard_output_follows_what_is_there(azblob, box, tmp_path, mode):
    small, large = b"of the small one\n", os.urandom(3 * BLOCK + 5)
    azblob.ok("put", "-", f"{box}/small", stdin=small)
    azblob.ok("put", "-", f"{box}/large", stdin=large)
    path = tmp_path / "out"
    with open(path, mode) as out:
        for arguments in (["cat", f"{box}/small", f"{box}/large"],
                          ["--offset", "3", "--length", "5", "get", f"{box}/large", "-"],
                          ["get", f"{box}/large", f"{box}/small", "-"]):
            # As "{ echo first; azblob ...; echo last; } > out" does.
            os.write(out.fileno(), b"first\n")
            process = azblob.start("--block-size", "64K", *arguments, stdout=out)
            error = process.communicate(timeout=120)[1]
            assert process.returncode == 0, error
            os.write(out.fileno(), b"last\n")
    parts = [small + large, large[3:8], large + small]
    assert path.read_bytes() == b"".join(b"first\n" + part + b"last\n" for part in parts)


@pytest.mark.parametrize("kind", ["append", "page"])
def test_a_blob_of_another_type_is_replaced_in_one_request_or_not_at_all(http, daemon, box, tmp_path, kind):
    """As Azure has it: Put Blob replaces any blob, blocks belong to block blobs only."""
    if kind == "append":
        http.ok("append", "-", f"{box}/x", stdin=b"there")
    else:
        make_page_blob(daemon, box, "x")
    before = http.ok("cat", f"{box}/x").out
    source = make_file(tmp_path / "in", 5 * BLOCK)
    refused = http.run("--block-size", "64K", "put", source, f"{box}/x")
    assert refused.code == 6
    assert refused.err.count("\n") == 1 and "remove it first (azblob rm)" in refused.err
    refused = http.run("--block-size", "64K", "put", "-", f"{box}/x", stdin=source.read_bytes())
    assert refused.code == 6 and "remove it first" in refused.err
    assert http.ok("cat", f"{box}/x").out == before
    http.ok("--block-size", "1M", "put", source, f"{box}/x")
    assert http.ok("cat", f"{box}/x").out == source.read_bytes()
    assert http.ok("--json", "stat", f"{box}/x").json[0]["blob_type"] == "BlockBlob"


def make_page_blob(daemon, box, name):
    """By a request of its own: the command makes none."""
    path = f"/{ACCOUNT}/{box}/{name}"
    headers = sharedkey.headers("PUT", path, {"x-ms-blob-type": "PageBlob",
                                              "x-ms-blob-content-length": "512"}, 0)
    connection = HTTPConnection("127.0.0.1", daemon.port, timeout=120)
    connection.request("PUT", path, b"", headers)
    assert connection.getresponse().status == 201
    connection.close()


def test_without_checksums_the_bytes_are_the_same_and_nothing_is_said(azblob, box, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(300_000))
    for options, verified in ((["--no-checksums"], False), ([], True)):
        lines = azblob.ok(*options, "--json", "--block-size", "64K", "put", source, f"{box}/x").json
        assert [line["verified"] for line in lines] == [verified, verified]
    result = azblob.ok("--no-checksums", "--block-size", "64K", "cat", f"{box}/x")
    assert result.out == source.read_bytes()
    # Only a service that sends none where they are wanted is worth a word.
    assert "checksum" not in result.err
