# SPDX-License-Identifier: MIT
"""azblob-vspd check and backup, as they are typed."""

import os
import subprocess

from blobclient import Client
from daemon import Daemon, binary


def run(*words):
    return subprocess.run([binary(), *map(str, words)], stdin=subprocess.DEVNULL, check=False,
                          capture_output=True, text=True, timeout=120)


def test_a_backup_of_a_served_store_is_served_and_is_well(tmp_path):
    body = os.urandom(3000000)
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    client.create_container("cont")
    assert client.put_blob("/cont/b", body, {"x-ms-meta-a": "1"}).status == 201
    busy = run("check", tmp_path / "store")
    assert busy.returncode == 2
    assert "in use" in busy.stderr and busy.stderr.count("\n") == 1
    result = run("backup", tmp_path / "store", tmp_path / "copy")
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 blobs" in result.stdout
    assert client.delete("/cont/b").status == 202
    client.close()
    daemon.stop()
    result = run("check", tmp_path / "copy", "--data")
    assert (result.returncode, result.stderr) == (0, "")
    assert "3000000 bytes read: 0 problems" in result.stdout
    daemon = Daemon(tmp_path / "copy", tmp_path / "log2")
    client = Client(daemon.port)
    answer = client.get("/cont/b")
    assert (answer.body, answer["x-ms-meta-a"]) == (body, "1")
    client.close()
    daemon.stop()


def test_problems_are_exit_status_1(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    client.create_container("cont")
    client.put_blob("/cont/b", os.urandom(3000000))
    client.close()
    daemon.stop()
    with open(tmp_path / "store" / "extents" / "00000001", "r+b") as extents:
        extents.write(b"rot")
    assert run("check", tmp_path / "store").returncode == 0
    result = run("check", tmp_path / "store", "--data")
    assert result.returncode == 1
    assert "devstoreaccount1/cont/b" in result.stdout
    assert run("backup", tmp_path / "store", tmp_path / "copy").returncode == 1


def test_bad_words_are_one_clear_line(tmp_path):
    for words in (["check"], ["check", "a", "b"], ["check", "--date", "x"], ["backup", "a"],
                  ["backup", "a", "b", "c"], ["check", tmp_path / "nothing"],
                  ["backup", tmp_path, tmp_path / "copy"]):
        result = run(*words)
        assert result.returncode == 2, words
        assert result.stderr.count("\n") == 1 and result.stderr.startswith("azblob-vspd: ")
