# SPDX-License-Identifier: MIT
"""Reading: what programs that only know files find in a container."""

import ctypes
import errno
import mmap
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading

import pytest

from conftest import client, fails, over_http, until
from proxy import Proxy


def random_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


def test_random_reads_are_the_blobs_bytes(mount, blobs):
    """As fsx does it: reads anywhere, of any length, by read and by mapping, against a model."""
    data = random_bytes(5 * 1000 * 1000 + 123)
    blobs.put("big", data)
    rng = random.Random(7)
    with open(mount / "big", "rb", buffering=0) as file, \
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        for _ in range(400):
            offset = rng.randrange(len(data) + 1000)
            length = rng.choice([1, 100, 4096, 70000, 300000, 1500000])
            assert os.pread(file.fileno(), length, offset) == data[offset:offset + length]
            assert mapped[offset:offset + 50] == data[offset:offset + 50]
        assert os.pread(file.fileno(), 10, len(data)) == b""


def test_many_read_one_file_at_the_same_time(mount, blobs):
    data = random_bytes(3 << 20)
    blobs.put("big", data)
    wrong = []

    def read(seed):
        rng = random.Random(seed)
        with open(mount / "big", "rb", buffering=0) as file:
            if seed % 2 and file.read() != data:
                wrong.append(seed)
            for _ in range(50):
                offset = rng.randrange(len(data))
                if os.pread(file.fileno(), 10000, offset) != data[offset:offset + 10000]:
                    wrong.append(seed)

    threads = [threading.Thread(target=read, args=[seed]) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_budget_is_kept(mounter, daemon, blobs, box):
    """Peak memory stays by the budget while much more is read, in order and at random."""
    blobs.put("big", random_bytes(1 << 20) * 96)
    program, options = over_http(daemon)
    # Sanitizers have a memory of their own.
    program = client.ROOT / "build/client/mount/azblob-mount"
    mount = mounter(box, (program, options), cache_size="16M", block_size="1M", read_ahead="64M")
    readers = [subprocess.Popen(["cat", mount / "big"], stdout=subprocess.DEVNULL)
               for _ in range(4)]
    with open(mount / "big", "rb", buffering=0) as file:
        for number in range(300):
            os.pread(file.fileno(), 4096, number * 7919 * 4096 % (96 << 20))
    assert [reader.wait() for reader in readers] == [0] * 4
    status = (client.Path("/proc") / str(mount.process.pid) / "status").read_text()
    peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    # Besides the budget: the program, its libraries, a stack and a buffer for each thread.
    assert peak * 1024 < (16 << 20) + (48 << 20), status


def make_tree(directory):
    rng = random.Random(3)
    for number in range(60):
        folder = directory / f"d{number % 5}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(rng.choice("abc xyz\n") for _ in range(rng.randrange(3000)))
        (folder / f"f{number}.txt").write_text(text + ("needle\n" if number % 7 == 0 else ""))
    (directory / "large").write_bytes(rng.randbytes(700 * 1000))


def test_rsync_brings_a_tree_back(mount, azblob, box, tmp_path):
    make_tree(tmp_path / "tree")
    azblob.ok("put", "-r", tmp_path / "tree", f"{box}/")
    subprocess.run(["rsync", "-r", "--checksum", f"{mount / 'tree'}/", str(tmp_path / "back")],
                   check=True)
    subprocess.run(["diff", "-r", tmp_path / "tree", tmp_path / "back"], check=True)


def test_tar_packs_a_tree(mount, azblob, box, tmp_path):
    make_tree(tmp_path / "tree")
    azblob.ok("put", "-r", tmp_path / "tree", f"{box}/")
    subprocess.run(["tar", "-C", mount / "tree", "-cf", tmp_path / "tree.tar", "."], check=True)
    with tarfile.open(tmp_path / "tree.tar") as packed:
        packed.extractall(tmp_path / "back")
    subprocess.run(["diff", "-r", tmp_path / "tree", tmp_path / "back"], check=True)


def test_grep_finds_what_is_there(mount, azblob, box, tmp_path):
    make_tree(tmp_path / "tree")
    azblob.ok("put", "-r", tmp_path / "tree", f"{box}/")
    found = subprocess.run(["grep", "-rl", "needle", "."], cwd=mount / "tree", check=True,
                           capture_output=True).stdout
    there = subprocess.run(["grep", "-rl", "needle", "."], cwd=tmp_path / "tree", check=True,
                           capture_output=True).stdout
    assert sorted(found.splitlines()) == sorted(there.splitlines())
    assert len(found.splitlines()) == 9


def test_sqlite_reads_a_database(mount, blobs, tmp_path):
    with sqlite3.connect(tmp_path / "db") as made:
        made.execute("create table t (n integer primary key, s text)")
        made.executemany("insert into t values (?, ?)",
                         ((n, f"row {n} " * 20) for n in range(5000)))
    made.close()
    blobs.put("db", (tmp_path / "db").read_bytes())
    found = sqlite3.connect(f"file:{mount / 'db'}?mode=ro", uri=True)
    assert found.execute("select count(*), sum(n) from t").fetchone() == (5000, 12497500)
    assert found.execute("select s from t where n = 4321").fetchone() == ("row 4321 " * 20,)
    assert found.execute("pragma integrity_check").fetchone() == ("ok",)
    with pytest.raises(sqlite3.OperationalError):
        found.execute("insert into t values (9999, 'x')")
    found.close()


def test_odd_names_are_files(mount, blobs):
    names = ["plain", "with blank", "per%20cent", "100%", "ünïcödé", "日本語", "a+b&c=d?e#f",
             "\U0001f600", "tab\there", "back\\slash", "quote'\"", "-dash", "x" * 255]
    for number, name in enumerate(names):
        blobs.put(f"odd/{name}", f"{number}".encode())
    assert sorted(os.listdir(mount / "odd")) == sorted(names)
    for number, name in enumerate(names):
        assert (mount / "odd" / name).read_bytes() == f"{number}".encode()


def test_names_that_are_no_file_names_are_left_out(mount, blobs):
    for name in ["d/good", "d//twice", "d/" + "y" * 256]:
        blobs.put(name, b"x")
    assert os.listdir(mount / "d") == ["good"]
    until(lambda: "2 blobs cannot be shown as files" in mount.log, "a line in the log")


def test_a_blob_and_a_prefix_of_one_name_are_one_file(mount, blobs):
    blobs.put("both", b"the blob")
    blobs.put("both/below", b"hidden")
    assert os.listdir(mount.path) == ["both"]
    assert (mount / "both").read_bytes() == b"the blob"


def test_a_blob_that_ends_in_a_slash_is_its_directory(mount, blobs):
    blobs.put("folder/", b"")
    assert os.listdir(mount.path) == ["folder"]
    assert (mount / "folder").is_dir()
    assert os.listdir(mount / "folder") == []


def test_folders_of_other_programs_are_directories(mount, blobs):
    blobs.put("made", b"", {"x-ms-meta-hdi_isfolder": "true"})
    blobs.put("made/file", b"x")
    assert os.listdir(mount.path) == ["made"]
    assert os.listdir(mount / "made") == ["file"]


def test_five_thousand_entries_are_all_listed(mounter, daemon, azblob, box, tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(5003):
        (tmp_path / "many" / f"file{number:05}").write_text(str(number))
    azblob.ok("put", "-r", "--parallel", "16", tmp_path / "many", f"{box}/")
    mount = mounter(box, over_http(daemon), attr_timeout=60)
    listed = list(os.scandir(mount / "many"))
    assert sorted(entry.name for entry in listed) == [f"file{n:05}" for n in range(5003)]
    assert sum(entry.stat().st_size for entry in listed) == sum(len(str(n)) for n in range(5003))
    # Going back in a directory finds what was there.
    names = subprocess.run(["ls", "-f", mount / "many"], check=True,
                           capture_output=True).stdout.split()
    assert len(names) == 5005


def test_a_prefix_is_mounted_as_the_root(mounter, way, blobs, box):
    blobs.put("a/b/c", b"deep")
    blobs.put("a/bc", b"other")
    mount = mounter(f"azblob://devstoreaccount1/{box}/a/b", way)
    assert os.listdir(mount.path) == ["c"]
    (mount / "new").write_text("x")
    assert "a/b/new" in blobs.names()


def test_stat_shows_size_time_and_owner(mounter, daemon, blobs, box):
    blobs.put("f", b"x" * 1000)
    mount = mounter(box, over_http(daemon), uid=1234, gid=4321, file_mode="640", dir_mode="710")
    found = os.stat(mount / "f")
    assert (found.st_size, found.st_uid, found.st_gid, found.st_mode & 0o7777) == \
        (1000, 1234, 4321, 0o640)
    assert os.stat(mount.path).st_mode & 0o7777 == 0o710
    modified = blobs.head("f")["Last-Modified"]
    assert subprocess.run(["date", "-u", "-d", f"@{int(found.st_mtime)}",
                           "+%a, %d %b %Y %H:%M:%S GMT"], check=True, capture_output=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout.decode().strip() == modified
    assert os.statvfs(mount.path).f_namemax == 255


def test_extended_attributes_tell_of_the_blob(mount, blobs):
    blobs.put("f", b"x", {"x-ms-blob-content-type": "text/x-test", "x-ms-meta-color": "red"})
    path = mount / "f"
    assert os.getxattr(path, "user.azblob.content_type") == b"text/x-test"
    assert os.getxattr(path, "user.azblob.metadata.color") == b"red"
    assert os.getxattr(path, "user.azblob.etag").decode() == blobs.head("f")["ETag"]
    assert {"user.azblob.etag", "user.azblob.metadata.color"} <= set(os.listxattr(path))


# ---- change ----

def test_an_open_file_is_one_version(mounter, way, blobs, box):
    """What is replaced elsewhere ends the reading of those that have it open: ESTALE."""
    # Far more than anybody reads ahead.
    mount = mounter(box, way, read_ahead="256K")
    first = random_bytes(12 << 20, 1)
    second = random_bytes(12 << 20, 2)
    blobs.put("f", first)
    with open(mount / "f", "rb", buffering=0) as file:
        assert file.read(1000) == first[:1000]
        blobs.put("f", second)
        with pytest.raises(OSError) as failure:
            for offset in range(0, 12 << 20, 65536):
                data = os.pread(file.fileno(), 65536, offset)
                # Never of another version, whatever was in memory still; short before the end.
                assert data and data == first[offset:offset + len(data)]
        assert failure.value.errno == errno.ESTALE
    assert (mount / "f").read_bytes() == second


def test_a_deleted_blob_is_stale_under_an_open_file(mounter, way, blobs, box):
    mount = mounter(box, way, read_ahead="256K")
    blobs.put("f", random_bytes(12 << 20))
    with open(mount / "f", "rb", buffering=0) as file:
        file.read(1000)
        blobs.rm("f")
        with pytest.raises(OSError) as failure:
            for offset in range(0, 12 << 20, 65536):
                os.pread(file.fileno(), 65536, offset)
        assert failure.value.errno == errno.ESTALE
    assert not os.path.exists(mount / "f")


def test_the_attributes_of_a_deleted_blob_are_stale(mount, blobs):
    blobs.put("f", b"x")
    blobs.put("g", b"x")
    with open(mount / "f", "rb") as file, open(mount / "g", "ab", buffering=0) as written:
        written.write(b"yz")
        blobs.rm("f")
        blobs.rm("g")
        fails(errno.ESTALE, os.fstat, file.fileno())
        # Its end is told by the close.
        assert os.fstat(written.fileno()).st_size == 3
        fails(errno.ENOENT, os.stat, mount / "f")
        fails(errno.ESTALE, os.fsync, written.fileno())
        fails(errno.ESTALE, written.close)


def test_every_open_sees_what_is_there_then(mount, blobs):
    """Of the same size and within the same second, so that only the ETag tells."""
    for number in range(20):
        blobs.put("f", b"version %03d" % number)
        assert (mount / "f").read_bytes() == b"version %03d" % number


def test_names_that_come_and_go_elsewhere(mount, blobs):
    assert not os.path.exists(mount / "f")
    blobs.put("f", b"1")
    assert os.listdir(mount.path) == ["f"]
    blobs.rm("f")
    assert os.listdir(mount.path) == []
    assert not os.path.exists(mount / "f")


class Directory:
    """Reads a directory in small pieces, as programs do when there is much in it."""

    def __init__(self, path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        # Smaller than the C library's own, which would take in all at once.
        self.buffer = ctypes.create_string_buffer(4096)
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def read(self):
        """Bytes of the next entries, 0 at the end."""
        got = self.libc.getdents64(self.fd, self.buffer, 4096)
        assert got >= 0
        return got

    def close(self):
        os.close(self.fd)


def test_a_listing_brings_no_name_back(mounter, way, box, blobs):
    """What was removed here while the listing was under way is gone, however old its pages are."""
    names = [f"{'n' * 200}{number}" for number in range(100, 160)]
    for name in names:
        blobs.put(name, b"x")
    mount = mounter(box, way, attr_timeout=3600)
    directory = Directory(mount.path)
    try:
        assert directory.read()
        for name in names:
            os.unlink(mount / name)
        # Kernels take attributes with a listing only after a lookup.
        while directory.read():
            os.path.exists(mount / "none")
    finally:
        directory.close()
    assert [name for name in names if os.path.exists(mount / name)] == []
    assert os.listdir(mount.path) == []


def test_a_listing_undoes_nothing(mounter, way, box, blobs):
    """Pages that were fetched before a change are read after it."""
    names = [f"{'n' * 200}{number}" for number in range(100, 160)]
    for name in names:
        blobs.put(name, b"old")
    mount = mounter(box, way, attr_timeout=3600)
    directory = Directory(mount.path)
    try:
        assert directory.read()
        for name in names:
            with open(mount / name, "ab") as file:
                file.write(b" and new")
        while directory.read():
            os.path.exists(mount / "none")
    finally:
        directory.close()
    for name in names:
        assert os.stat(mount / name).st_size == 11
        assert (mount / name).read_bytes() == b"old and new"


def test_the_backend_may_be_killed_and_come_back(mounter, tmp_path):
    """Mid-read: the reader notices a delay and nothing else.

    The mount's way to it leads through a proxy, since nobody can have the old port for sure: even
    an attempt to connect to it may take it.
    """
    (tmp_path / "daemon").mkdir()
    daemon = client.Daemon(tmp_path / "daemon")
    proxy = Proxy(daemon.port)
    data = random_bytes(4 << 20)
    (tmp_path / "f").write_bytes(data)
    http = client.over_http(daemon.url)
    http.ok("container", "create", "killed")
    http.ok("put", tmp_path / "f", "killed/f")
    mount = mounter("killed", over_http(proxy), retries=20, read_ahead=0)
    got = []
    with open(mount / "f", "rb", buffering=0) as file:
        got.append(file.read(100000))
        proxy.target = 0
        daemon.kill()
        reader = threading.Thread(target=lambda: got.append(os.pread(file.fileno(), 1 << 20,
                                                                     2 << 20)))
        connections = proxy.connections
        reader.start()
        daemon.start()
        proxy.target = daemon.port
        reader.join()
    assert got == [data[:100000], data[2 << 20:3 << 20]]
    assert proxy.connections > connections
    assert (mount / "f").read_bytes() == data
    mount.stop()
    proxy.close()
    daemon.stop()


class FlipOnce:
    """Flips a bit of the first bulk of bytes that comes down."""

    def __init__(self):
        self.left = 1
        self.lock = threading.Lock()

    def __call__(self, direction, data):
        with self.lock:
            if direction != "down" or len(data) < 4000 or not self.left:
                return data
            self.left -= 1
        spoiled = bytearray(data)
        spoiled[-1000] ^= 0x10
        return bytes(spoiled)


@pytest.mark.parametrize("checksums, right", [("auto", True), ("always", True), ("never", False)])
def test_what_comes_by_a_network_is_checked_unless_told_otherwise(mounter, daemon, blobs, box, checksums,
                                                                  right):
    data = random_bytes(200000)
    blobs.put("f", data)
    spoil = FlipOnce()
    proxy = Proxy(daemon.port, spoil)
    mount = mounter(box, over_http(proxy), checksums=checksums)
    assert ((mount / "f").read_bytes() == data) is right
    assert not spoil.left
    mount.stop()
    proxy.close()


INTERRUPTED = """
import os, signal, sys
def handler(number, frame):
    raise InterruptedError
signal.signal(signal.SIGUSR1, handler)
# Past the page cache, where the kernel's own waiting would be all there is.
file = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True)
sys.stdin.readline()
try:
    os.read(file, 4096)
    print("read")
except InterruptedError:
    print("interrupted")
sys.stdout.flush()
os._exit(0)
"""


def test_a_waiting_read_can_be_interrupted(mounter, blobs, box, daemon):
    """A signal ends it, though the service says nothing; SIGKILL ends a program so, too."""
    blobs.put("f", random_bytes(1 << 20))
    mount = mounter(box, over_http(daemon), read_ahead=0, timeout=3600)
    readers = [subprocess.Popen([sys.executable, "-c", INTERRUPTED, mount / "f"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for reader in readers:
        assert reader.stdout.readline() == b"open\n"
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        for reader in readers:
            reader.stdin.write(b"\n")
            reader.stdin.flush()
            until(lambda: in_a_request(reader.pid), "a read that waits")
        readers[0].send_signal(signal.SIGUSR1)
        assert readers[0].stdout.readline() == b"interrupted\n"
        readers[1].kill()
        assert readers[1].wait(120) == -signal.SIGKILL
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    for reader in readers:
        reader.communicate()


def in_a_request(pid):
    """The process waits for an answer of FUSE."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        state = stat.read().rsplit(")", 1)[1].split()[0]
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as wchan:
            where = wchan.read()
    except OSError:
        where = ""
    return state in "SD" and ("fuse" in where or "request_wait" in where)


def test_copies_are_made_by_cp(mount, blobs, tmp_path):
    data = random_bytes(2 << 20)
    blobs.put("f", data)
    shutil.copy(mount / "f", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
