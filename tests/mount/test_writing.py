# SPDX-License-Identifier: MIT
"""Writing: what becomes of it, when others see it, and what is refused with which errno."""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from base64 import b64encode

import pytest

from conftest import client, fails, over_http, until
from proxy import Proxy

BLOCK = 256 << 10
# renameat2(2)
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def random_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


# ---- files ----

@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77])
def test_what_is_written_is_the_blob(mount, blobs, size):
    data = random_bytes(size)
    (mount / "f").write_bytes(data)
    assert blobs.get("f") == data
    assert (mount / "f").read_bytes() == data
    assert os.stat(mount / "f").st_size == size


def test_small_writes_add_up(mount, blobs):
    data = random_bytes(3 * BLOCK)
    rng = random.Random(5)
    with open(mount / "f", "wb", buffering=0) as file:
        at = 0
        while at < len(data):
            at += file.write(data[at:at + rng.randrange(1, 30000)])
            assert os.fstat(file.fileno()).st_size == at
    assert blobs.get("f") == data


def test_data_is_visible_at_fsync_and_close(mount, blobs):
    blobs.put("f", b"before")
    with open(mount / "f", "wb", buffering=0) as file:
        file.write(b"first")
        assert blobs.get("f") == b"before"
        os.fsync(file.fileno())
        assert blobs.get("f") == b"first"
        file.write(b" second")
        assert blobs.get("f") == b"first"
        file.write(b"x" * (2 * BLOCK))
        os.fsync(file.fileno())
        file.write(b"end")
    assert blobs.get("f") == b"first second" + b"x" * (2 * BLOCK) + b"end"


def test_a_created_file_is_there_at_once(mount, blobs):
    with open(mount / "f", "xb"):
        assert blobs.names() == ["f"]


def test_o_excl_asks_the_service(mount, blobs):
    with open(mount / "f", "xb"):
        pass
    fails(errno.EEXIST, open, mount / "f", "xb")
    assert not os.path.exists(mount / "g")
    blobs.put("g", b"of another machine")
    fails(errno.EEXIST, os.open, mount / "g", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    assert blobs.get("g") == b"of another machine"


@pytest.mark.parametrize("size", [10, BLOCK, 3 * BLOCK + 5])
def test_appending_to_what_came_in_one_piece(mount, blobs, size):
    """A blob of Put Blob has no blocks that a new list could name."""
    data = random_bytes(size)
    blobs.put("f", data)
    with open(mount / "f", "ab") as file:
        file.write(b"more")
    assert blobs.get("f") == data + b"more"


def test_appending_to_blocks_sends_only_what_is_new(mount, blobs):
    data = random_bytes(4 * BLOCK)
    (mount / "f").write_bytes(data)
    before = blobs.blocks("f")
    for number in range(3):
        with open(mount / "f", "ab") as file:
            file.write(b"line %d\n" % number)
    assert blobs.get("f") == data + b"line 0\nline 1\nline 2\n"
    assert blobs.blocks("f") == before + [7] * 3


def test_blocks_that_others_have_under_way_stay_theirs(mount, blobs):
    """If-Match says nothing of them: a block that is not committed changes no ETag."""
    ids = [b64encode(b"%08d" % number).decode() for number in range(3)]
    for block_id, letter in zip(ids, "lmo"):
        blobs.stage("f", block_id, letter.encode() * BLOCK)
    blobs.commit("f", ids)
    blobs.stage("f", ids[0], b"N" * BLOCK)
    with open(mount / "f", "ab", buffering=0) as file:
        file.write(b"more")
        os.fsync(file.fileno())
        blobs.stage("f", ids[1], b"N" * BLOCK)
        file.write(b"x" * BLOCK)
    assert blobs.get("f") == b"l" * BLOCK + b"m" * BLOCK + b"o" * BLOCK + b"more" + b"x" * BLOCK


def test_appending_to_an_append_blob(mount, blobs):
    blobs.put_append("log", b"one\n", b"two\n")
    with open(mount / "log", "ab") as file:
        file.write(b"three\n")
    with open(mount / "log", "ab") as file:
        file.write(b"x" * (BLOCK + 10))
    assert blobs.get("log") == b"one\ntwo\nthree\n" + b"x" * (BLOCK + 10)
    assert blobs.head("log")["x-ms-blob-type"] == "AppendBlob"
    os.truncate(mount / "log", 0)
    assert blobs.get("log") == b""
    assert blobs.head("log")["x-ms-blob-type"] == "AppendBlob"


def test_properties_and_metadata_outlive_a_change(mount, blobs):
    headers = {"x-ms-blob-content-type": "text/x-test", "x-ms-blob-cache-control": "no-cache",
               "x-ms-meta-color": "red"}
    for name, data in [("small", b"x"), ("large", random_bytes(3 * BLOCK))]:
        blobs.put(name, data, headers)
        with open(mount / name, "ab") as file:
            file.write(b"more")
        found = blobs.head(name)
        assert (found["Content-Type"], found["Cache-Control"], found["x-ms-meta-color"]) == \
            ("text/x-test", "no-cache", "red")


def test_truncate(mount, blobs):
    data = random_bytes(3 * BLOCK)
    blobs.put("f", data)
    os.truncate(mount / "f", len(data))
    assert blobs.get("f") == data
    os.truncate(mount / "f", 0)
    assert blobs.get("f") == b""
    blobs.put("f", data)
    with open(mount / "f", "wb") as file:
        file.write(b"new")
        # The old content stays until the new one is complete.
        assert blobs.get("f") == data
    assert blobs.get("f") == b"new"


def test_a_file_of_one_block_can_be_changed_anywhere(mount, blobs):
    blobs.put("f", b"0123456789")
    with open(mount / "f", "r+b", buffering=0) as file:
        file.seek(3)
        file.write(b"abc")
        assert os.pread(file.fileno(), 100, 0) == b"012abc6789"
        file.truncate(8)
        file.seek(10)
        file.write(b"!")
    assert blobs.get("f") == b"012abc67\0\0!"


def test_what_is_written_can_be_read_back(mount, blobs):
    data = random_bytes(3 * BLOCK + 100)
    with open(mount / "f", "w+b", buffering=0) as file:
        file.write(data)
        for offset in [len(data) - 50, 0, BLOCK - 10, 2 * BLOCK]:
            assert os.pread(file.fileno(), 1000, offset) == data[offset:offset + 1000]
        file.write(b"end")
    assert blobs.get("f") == data + b"end"


def test_an_open_reader_sees_what_this_mount_writes(mount, blobs):
    blobs.put("log", b"one\n")
    with open(mount / "log", "rb", buffering=0) as reader:
        assert reader.read() == b"one\n"
        with open(mount / "log", "ab") as file:
            file.write(b"two\n")
        until(lambda: os.fstat(reader.fileno()).st_size == 8, "the new size")
        assert reader.read() == b"two\n"


def test_a_reader_sees_what_is_being_written_here(mount, blobs):
    """As on any file system; the reading commits what was written so far."""
    blobs.put("log", b"one\n")
    with open(mount / "log", "rb", buffering=0) as reader, \
            open(mount / "log", "ab", buffering=0) as file:
        assert reader.read() == b"one\n"
        for number in range(20):
            file.write(b"line %02d\n" % number)
            assert reader.read() == b"line %02d\n" % number
    assert (mount / "log").read_bytes() == b"one\n" + b"".join(b"line %02d\n" % n for n in range(20))


def test_appending_can_be_switched(mount, blobs):
    with open(mount / "f", "ab", buffering=0) as file:
        file.write(b"0123456789")
        assert os.pwrite(file.fileno(), b"a", 0) == 1
        flags = fcntl.fcntl(file.fileno(), fcntl.F_GETFL)
        fcntl.fcntl(file.fileno(), fcntl.F_SETFL, flags & ~os.O_APPEND)
        assert os.pwrite(file.fileno(), b"b", 0) == 1
    assert blobs.get("f") == b"b123456789a"


def test_truncation_without_writing(mount, blobs):
    blobs.put("f", b"before")
    os.close(os.open(mount / "f", os.O_RDONLY | os.O_TRUNC))
    assert blobs.get("f") == b""


def test_the_time_of_a_file_that_is_written_stays(mount, blobs):
    """What compares it before and after, as tar does, is not misled."""
    blobs.put("f", b"before")
    with open(mount / "f", "ab", buffering=0) as file:
        file.write(b"more")
        first = os.fstat(file.fileno()).st_mtime
        until(lambda: time.time() >= first + 2, "the next second")
        assert os.fstat(file.fileno()).st_mtime == first


def test_two_writers_of_one_file_share_it(mount, blobs):
    with open(mount / "log", "ab", buffering=0) as first, \
            open(mount / "log", "ab", buffering=0) as second:
        for number in range(50):
            (first if number % 2 else second).write(b"%02d\n" % number)
    assert blobs.get("log") == b"".join(b"%02d\n" % n for n in range(50))


# ---- others change it ----

def test_a_change_elsewhere_fails_the_close(mount, blobs):
    """Nobody's bytes are overwritten unseen: close() says ESTALE, and the blob is the other's."""
    blobs.put("f", b"mine")
    file = os.open(mount / "f", os.O_WRONLY | os.O_APPEND)
    os.write(file, b" and more")
    blobs.put("f", b"theirs")
    fails(errno.ESTALE, os.close, file)
    assert blobs.get("f") == b"theirs"


def test_a_deleted_file_does_not_come_back(mount, blobs):
    """Nor is it said to have been written: a part of it went with its blob."""
    with open(mount / "f", "w+b", buffering=0) as file:
        file.write(b"x" * (2 * BLOCK))
        os.unlink(mount / "f")
        fails(errno.ESTALE, file.write, b"more")
        fails(errno.ESTALE, os.pread, file.fileno(), 10, 0)
        assert os.fstat(file.fileno()).st_nlink == 0
    assert blobs.names() == []


def remove(mount, blobs):
    os.unlink(mount / "f")
    assert blobs.names() == []


def replace(mount, blobs):
    (mount / "other").write_bytes(b"other")
    os.rename(mount / "other", mount / "f")
    assert blobs.names() == ["f"]


@pytest.mark.parametrize("gone", [remove, replace])
def test_a_temporary_file_is_used_without_its_name(mount, blobs, gone):
    """mkstemp(), unlink(), and then it is written, read, cut and grown."""
    with open(mount / "f", "x+b", buffering=0) as file:
        fd = file.fileno()
        file.write(b"abc")
        gone(mount, blobs)
        assert os.pread(fd, 2, 1) == b"bc"
        assert os.pread(fd, 100, 0) == b"abc"
        assert os.pread(fd, 100, 3) == b""
        file.write(b"def")
        os.fsync(fd)
        assert os.pread(fd, 100, 0) == b"abcdef"
        os.ftruncate(fd, 100)
        assert os.fstat(fd).st_size == 100
        assert os.pwrite(fd, b"x", 0) == 1
        assert os.pread(fd, 200, 0) == b"xbcdef" + bytes(94)
        os.ftruncate(fd, 2)
        assert os.pread(fd, 200, 0) == b"xb"
        # Others that have it open share it, and a new file of its name is not meant.
        with open(f"/proc/self/fd/{fd}", "rb", buffering=0) as reader:
            assert reader.read() == b"xb"
            os.pwrite(fd, b"y", 2)
            assert os.pread(reader.fileno(), 10, 0) == b"xby"
        with open(f"/proc/self/fd/{fd}", "ab", buffering=0) as writer:
            writer.write(b"z")
        os.truncate(f"/proc/self/fd/{fd}", 3)
        assert os.pread(fd, 10, 0) == b"xby"
        # It has no blob to be sent to.
        fails(errno.EFBIG, os.pwrite, fd, bytes(BLOCK), 1)
        assert os.pread(fd, 10, 0) == b"xby"
    assert blobs.names() == ([] if gone is remove else ["f"])
    if gone is replace:
        assert blobs.get("f") == b"other"


def test_a_removed_file_is_not_the_next_one_of_its_name(mount, blobs):
    blobs.put("f", b"first")
    with open(mount / "f", "rb", buffering=0) as file:
        os.unlink(mount / "f")
        blobs.put("f", b"another")
        again = f"/proc/self/fd/{file.fileno()}"
        fails(errno.ESTALE, open, again, "ab")
        fails(errno.ESTALE, os.truncate, again, 0)
        fails(errno.ESTALE, file.read)
    assert blobs.get("f") == b"another"


def test_temporary_files_of_the_library(mount, blobs):
    with tempfile.TemporaryFile(dir=mount.path) as file:
        file.write(b"0123456789" * 1000)
        file.seek(5000)
        assert file.read(10) == b"0123456789"
    assert blobs.names() == []


class LoseAnswer:
    """Ends the connection in place of the answer to the next request that has these bytes."""

    def __init__(self):
        self.request = None
        self.armed = False
        self.lost = 0
        self.lock = threading.Lock()

    def __call__(self, direction, data):
        with self.lock:
            if direction == "up":
                self.armed |= self.request is not None and self.request in data
                return data
            if not self.armed:
                return data
            self.armed = False
            self.request = None
            self.lost += 1
            return None


@pytest.mark.parametrize("retries", [0, 4])
@pytest.mark.parametrize("size, request_line", [(10, b"/f HTTP/1.1"),
                                                (2 * BLOCK + 10, b"/f?comp=blocklist")])
def test_an_answer_that_is_lost_fails_no_close(mounter, daemon, blobs, box, retries, size,
                                               request_line):
    """What was written is the blob, and the mount finds that out."""
    lose = LoseAnswer()
    proxy = Proxy(daemon.port, lose)
    mount = mounter(box, over_http(proxy), retries=retries)
    data = random_bytes(size)
    file = os.open(mount / "f", os.O_WRONLY | os.O_CREAT)
    os.write(file, data)
    with lose.lock:
        lose.request = request_line
    os.fsync(file)
    assert lose.lost == 1
    assert blobs.get("f") == data
    os.write(file, b"more")
    os.close(file)
    assert blobs.get("f") == data + b"more"
    assert "lost" not in mount.log
    mount.stop()
    proxy.close()


class Hold:
    """Keeps the next request that has these bytes until it is let go."""

    def __init__(self):
        self.request = None
        self.seen = threading.Event()
        self.go = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, direction, data):
        with self.lock:
            mine = direction == "up" and self.request is not None and self.request in data
            if mine:
                self.request = None
        if mine:
            self.seen.set()
            self.go.wait()
        return data


def commit_more(mount, _):
    with open(mount / "f", "ab") as file:
        file.write(b"more")


def rename_it(mount, _):
    os.rename(mount / "f", mount / "g")


@pytest.mark.parametrize("change", [commit_more, rename_it])
def test_a_read_goes_on_when_this_mount_makes_a_new_version(mounter, daemon, blobs, box, change):
    """It was on its way to the old one, under the old name, when the change was made."""
    data = random_bytes(3 * BLOCK)
    blobs.put("f", data)
    hold = Hold()
    proxy = Proxy(daemon.port, hold)
    mount = mounter(box, over_http(proxy), read_ahead=0)
    # Past the page cache, where the kernel would let neither begin before the other has ended.
    file = os.open(mount / "f", os.O_RDWR)
    got = []
    reader = threading.Thread(target=lambda: got.append(os.pread(file, 1000, BLOCK)))
    with hold.lock:
        hold.request = b"GET /"
    reader.start()
    try:
        assert hold.seen.wait(120)
        change(mount, blobs)
    finally:
        hold.go.set()
        reader.join()
    assert got == [data[BLOCK:BLOCK + 1000]]
    os.close(file)
    mount.stop()
    proxy.close()


def test_the_end_of_the_mount_keeps_what_was_written(mounter, daemon, blobs, box):
    """SIGTERM while a file is open: its data is committed, as by any file system."""
    mount = mounter(box, over_http(daemon))
    file = os.open(mount / "log", os.O_WRONLY | os.O_CREAT)
    os.write(file, b"kept\n")
    assert blobs.get("log") == b""
    mount.process.send_signal(signal.SIGTERM)
    assert mount.process.wait(120) == 0, mount.log
    assert blobs.get("log") == b"kept\n"
    fails(errno.ENOTCONN, os.close, file)


# ---- names ----

def test_rename_moves_a_file(mount, blobs):
    data = random_bytes(2 * BLOCK)
    blobs.put("a", data, {"x-ms-meta-color": "red"})
    blobs.put("b", b"replaced")
    os.rename(mount / "a", mount / "b")
    assert blobs.names() == ["b"]
    assert blobs.get("b") == data
    assert blobs.head("b")["x-ms-meta-color"] == "red"
    assert (mount / "b").read_bytes() == data


def test_a_renamed_file_is_not_the_next_one_of_its_name(mount, blobs):
    """tail -F and cp tell files apart by their numbers."""
    blobs.put("log", b"old")
    with open(mount / "log", "rb") as file:
        os.rename(mount / "log", mount / "log.1")
        (mount / "log").write_bytes(b"new")
        numbers = [os.stat(mount / name).st_ino for name in ("log", "log.1")]
        assert numbers[0] != numbers[1] == os.fstat(file.fileno()).st_ino
        assert not os.path.samefile(mount / "log", mount / "log.1")
        assert file.read() == b"old"


def test_rename_of_a_file_that_is_being_written(mount, blobs):
    """What editors and rsync do."""
    with open(mount / ".tmp", "wb", buffering=0) as file:
        file.write(b"x" * BLOCK)
        os.rename(mount / ".tmp", mount / "final")
        file.write(b"tail")
    assert blobs.names() == ["final"]
    assert blobs.get("final") == b"x" * BLOCK + b"tail"


def test_directories_come_and_go(mount, blobs):
    os.mkdir(mount / "d")
    assert blobs.head("d")["x-ms-meta-hdi_isfolder"] == "true"
    assert os.listdir(mount / "d") == []
    fails(errno.EEXIST, os.mkdir, mount / "d")
    (mount / "d" / "f").write_text("x")
    fails(errno.ENOTEMPTY, os.rmdir, mount / "d")
    os.unlink(mount / "d" / "f")
    os.rmdir(mount / "d")
    assert blobs.names() == []
    assert os.listdir(mount.path) == []


def test_a_directory_of_a_prefix_can_be_removed_when_empty(mount, blobs):
    blobs.put("p/q/f", b"x")
    fails(errno.ENOTEMPTY, os.rmdir, mount / "p")
    shutil.rmtree(mount / "p")
    assert blobs.names() == []


def test_a_directory_is_not_removed_with_what_is_hidden_in_it(mount, blobs):
    """A blob "d/" with content is shown nowhere; so nobody wants it to be removed."""
    blobs.put("d/", b"hidden")
    fails(errno.ENOTEMPTY, os.rmdir, mount / "d")
    assert blobs.get("d/") == b"hidden"
    blobs.put("d/", b"")
    os.rmdir(mount / "d")
    assert blobs.names() == []


def test_mv_moves_a_directory(mount, blobs):
    """rename() says EXDEV, and mv copies."""
    for name in ["d/a", "d/e/b"]:
        blobs.put(name, name.encode())
    fails(errno.EXDEV, os.rename, mount / "d", mount / "n")
    subprocess.run(["mv", mount / "d", mount / "n"], check=True)
    assert {name for name in blobs.names() if name in ("n/a", "n/e/b")} == {"n/a", "n/e/b"}
    assert not [name for name in blobs.names() if name.startswith("d")]
    assert blobs.get("n/e/b") == b"d/e/b"


def test_rsync_brings_a_tree_in(mount, blobs, tmp_path):
    for name in ["a", "d/b", "d/e/c"]:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(random_bytes(50000, len(name)))
    subprocess.run(["rsync", "-r", f"{tmp_path / 'tree'}/", f"{mount.path}/"], check=True)
    subprocess.run(["diff", "-r", tmp_path / "tree", mount.path], check=True)
    assert blobs.get("d/e/c") == (tmp_path / "tree/d/e/c").read_bytes()


# ---- what cannot be ----

def test_writing_inside_a_long_file_is_refused(mount, blobs):
    data = random_bytes(3 * BLOCK)
    blobs.put("f", data)
    with open(mount / "f", "r+b", buffering=0) as file:
        fails(errno.EOPNOTSUPP, os.pwrite, file.fileno(), b"x", 5)
        fails(errno.EOPNOTSUPP, os.pwrite, file.fileno(), b"x", 100 * BLOCK)
        fails(errno.EOPNOTSUPP, os.ftruncate, file.fileno(), 5)
        fails(errno.EPERM, os.ftruncate, file.fileno(), 100 * BLOCK)
    assert blobs.get("f") == data


def test_append_blobs_and_page_blobs_cannot_be_changed(mount, blobs):
    blobs.put_append("log", b"one\n")
    with open(mount / "log", "r+b", buffering=0) as file:
        fails(errno.EOPNOTSUPP, os.pwrite, file.fileno(), b"x", 0)
        fails(errno.EOPNOTSUPP, os.ftruncate, file.fileno(), 2)
    blobs.put("page", b"", {"x-ms-blob-content-length": "512"}, kind="PageBlob")
    assert (mount / "page").read_bytes() == bytes(512)
    fails(errno.EOPNOTSUPP, open, mount / "page", "ab")


def test_a_shared_mapping_cannot_be_written(mount, blobs):
    blobs.put("f", b"x" * 5000)
    with open(mount / "f", "r+b") as file:
        fails(errno.ENODEV, mmap.mmap, file.fileno(), 0)
        assert mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE)[:3] == b"xxx"


def test_modes_owners_and_times_are_not_kept(mount, blobs):
    blobs.put("f", b"x")
    path = mount / "f"
    fails(errno.EPERM, os.chmod, path, 0o600)
    fails(errno.EPERM, os.chown, path, 1, 1)
    fails(errno.EPERM, os.utime, path, (1, 1))
    # What would change nothing is no failure.
    os.chmod(path, 0o644)
    os.chown(path, os.getuid(), os.getgid())


def test_touch_is_a_change_of_time(mount, blobs):
    blobs.put("f", b"x", {"x-ms-meta-color": "red"})
    before = blobs.head("f")["ETag"]
    subprocess.run(["touch", mount / "f", mount / "new"], check=True)
    after = blobs.head("f")
    assert after["ETag"] != before and after["x-ms-meta-color"] == "red"
    assert blobs.get("f") == b"x" and blobs.get("new") == b""


def test_quiet_pretends(mounter, daemon, blobs, box, tmp_path):
    mount = mounter(box, over_http(daemon), quiet=None)
    (tmp_path / "f").write_text("x")
    os.utime(tmp_path / "f", (1, 1))
    subprocess.run(["rsync", "-a", tmp_path / "f", mount / "f"], check=True)
    subprocess.run(["cp", "-p", tmp_path / "f", mount / "g"], check=True)
    assert blobs.get("f") == blobs.get("g") == b"x"


def test_links_and_devices_are_refused(mount, blobs):
    blobs.put("f", b"x")
    fails(errno.EPERM, os.symlink, "f", mount / "s")
    fails(errno.EPERM, os.link, mount / "f", mount / "l")
    fails(errno.EPERM, os.mkfifo, mount / "p")
    fails(errno.EOPNOTSUPP, os.setxattr, mount / "f", "user.azblob.etag", b"x")
    fails(errno.ENODATA, os.getxattr, mount / "f", "user.other")
    with open(mount / "f", "r+b") as file:
        fails(errno.EOPNOTSUPP, os.posix_fallocate, file.fileno(), 0, 100 * BLOCK)


def test_names_are_not_exchanged_and_not_replaced_unasked(mount, blobs):
    blobs.put("a", b"1")
    blobs.put("b", b"2")
    libc = ctypes.CDLL(None, use_errno=True)

    def rename(flags):
        ctypes.set_errno(0)
        libc.renameat2(-100, os.fsencode(mount / "a"), -100, os.fsencode(mount / "b"), flags)
        return ctypes.get_errno()
    assert rename(RENAME_EXCHANGE) == errno.EINVAL
    assert rename(RENAME_NOREPLACE) == errno.EEXIST
    assert (blobs.get("a"), blobs.get("b")) == (b"1", b"2")


def test_extended_attributes_cannot_be_changed(mount, blobs):
    blobs.put("f", b"x", {"x-ms-meta-color": "red"})
    fails(errno.EOPNOTSUPP, os.removexattr, mount / "f", "user.azblob.metadata.color")
    fails(errno.EOPNOTSUPP, os.setxattr, mount / "f", "user.azblob.metadata.color", b"blue")
    assert blobs.head("f")["x-ms-meta-color"] == "red"


def test_snapshots_are_in_the_way_of_a_delete(mount, blobs):
    blobs.put("f", b"x")
    blobs.call("PUT", "f", "comp=snapshot")
    fails(errno.EBUSY, os.unlink, mount / "f")
    # A rename is a copy and a delete: both are there then.
    fails(errno.EBUSY, os.rename, mount / "f", mount / "g")
    assert sorted(blobs.names()) == ["f", "g"]


def test_what_a_sas_does_not_allow_is_eacces(mounter, azblob, daemon, blobs, box):
    blobs.put("f", b"there")
    token = azblob.ok("--json", "sas", "--permissions", "rl", "--expiry", "1h", f"{box}/").json[0]["token"]
    env = client.clean_environment()
    del env["AZURE_STORAGE_CONNECTION_STRING"]
    env.update({"AZURE_STORAGE_ACCOUNT": "devstoreaccount1", "AZURE_STORAGE_SAS_TOKEN": token})
    mount = mounter(box, over_http(daemon), env=env)
    assert (mount / "f").read_bytes() == b"there"
    fails(errno.EACCES, os.unlink, mount / "f")
    fails(errno.EACCES, open, mount / "new", "xb")
    file = os.open(mount / "f", os.O_WRONLY | os.O_APPEND)
    os.write(file, b" and more")
    fails(errno.EACCES, os.close, file)
    assert blobs.get("f") == b"there"


def test_no_answer_is_etimedout(mounter, daemon, blobs, box):
    blobs.put("f", b"x")
    # Long enough for a busy machine to answer the mount's own first request; longer than that
    # only makes the test wait.
    mount = mounter(box, over_http(daemon), timeout=30, retries=0)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        fails(errno.ETIMEDOUT, os.stat, mount / "f")
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)


def test_a_way_that_breaks_is_eio(mounter, daemon, blobs, box):
    blobs.put("f", b"x")
    broken = threading.Event()
    proxy = Proxy(daemon.port, lambda direction, data: None if broken.is_set() else data)
    mount = mounter(box, over_http(proxy), retries=0)
    broken.set()
    fails(errno.EIO, os.stat, mount / "f")
    broken.clear()
    # Nothing is remembered of that.
    assert (mount / "f").read_bytes() == b"x"
    mount.stop()
    proxy.close()


def test_names_that_are_too_long_are_refused(mount, blobs):
    fails(errno.ENAMETOOLONG, os.stat, mount / ("x" * 256))
    deep = mount.path
    for _ in range(4):
        deep = deep / ("d" * 250)
        os.mkdir(deep)
    # All of a blob's name: 1024 characters, whatever bytes they have.
    (deep / ("é" * 20)).write_text("x")
    fails(errno.ENAMETOOLONG, open, deep / ("é" * 21), "wb")


def test_a_read_only_mount_changes_nothing(mounter, daemon, blobs, box):
    blobs.put("f", b"x")
    mount = mounter(box, over_http(daemon), ro=None)
    assert os.stat(mount / "f").st_mode & 0o777 == 0o444
    fails(errno.EROFS, open, mount / "f", "ab")
    fails(errno.EROFS, os.mkdir, mount / "d")
    fails(errno.EROFS, os.unlink, mount / "f")
    assert (mount / "f").read_bytes() == b"x"


def test_a_lease_is_in_the_way(mount, blobs):
    blobs.put("f", b"x")
    blobs.call("PUT", "f", "comp=lease", headers={"x-ms-lease-action": "acquire",
                                                  "x-ms-lease-duration": "-1"})
    fails(errno.EBUSY, os.unlink, mount / "f")
    file = os.open(mount / "f", os.O_WRONLY | os.O_APPEND)
    os.write(file, b"more")
    fails(errno.EBUSY, os.close, file)
    assert blobs.get("f") == b"x"


def test_more_writers_than_the_budget_has_buffers(mounter, daemon, blobs, box):
    mount = mounter(box, over_http(daemon), block_size="1M", cache_size="4M")
    files = [open(mount / f"f{n}", "wb", buffering=0) for n in range(10)]
    pieces = [random_bytes(300000, n) for n in range(10)]
    for _ in range(5):
        for file, piece in zip(files, pieces):
            file.write(piece)
    for file in files:
        file.close()
    for number, piece in enumerate(pieces):
        assert blobs.get(f"f{number}") == piece * 5
