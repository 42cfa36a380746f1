# SPDX-License-Identifier: MIT
"""Power cuts of a machine: the daemon in a guest, on a disk of which QEMU logs every write and flush.

The log (blklogwrites) is replayed up to flushes, and with random parts of what was written between
two of them.  From each such disk the guest's file system is mounted, which is what a kernel does after
a power cut, and the store must be whole and hold what was acknowledged.  As root, for the mounts.
AZBLOB_CUTS and AZBLOB_SEED choose how many cuts and which.
"""

import os
import random
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "http")]

# pylint: disable=wrong-import-position
from azvm import initramfs, paths, sharedkey  # noqa: E402
from azvm.guest import Guest  # noqa: E402
from blobclient import Client  # noqa: E402
from daemon import Daemon  # noqa: E402

CUTS = int(os.environ.get("AZBLOB_CUTS", "40"))
SEED = int(os.environ.get("AZBLOB_SEED", "1"))
OPERATIONS = 40
NAMES = 6
SIZES = [100, 16385, 70000, 1 << 20, 0]
SECTOR = 512
FLUSH, DISCARD = 1, 4
MAGIC = 0x6a736677736872


def content(version):
    size = SIZES[version % len(SIZES)]
    return (b"%016d" % version * (size // 16 + 1))[:size]


class Log:
    """What QEMU's blklogwrites writes; the format is that of the kernel's dm-log-writes."""

    def __init__(self, path):
        self.path = path

    def length(self):
        """Entries so far."""
        with open(self.path, "rb") as log:
            magic, version, entries, sector = struct.unpack("<QQQI", log.read(28))
        assert (magic, version, sector) == (MAGIC, 1, SECTOR)
        return entries

    def entries(self):
        """[(flags, offset, length, where the bytes are in the log)]"""
        found = []
        at = SECTOR
        with open(self.path, "rb") as log:
            for _ in range(self.length()):
                log.seek(at)
                sector, count, flags, _ = struct.unpack("<QQQQ", log.read(32))
                at += SECTOR
                found.append((flags, sector * SECTOR, count * SECTOR, at))
                if not flags & DISCARD:
                    at += count * SECTOR
        return found

    def apply(self, entry, disk):
        flags, offset, length, where = entry
        if not length:
            return
        disk.seek(offset)
        if flags & DISCARD:
            disk.write(bytes(length))
            return
        with open(self.path, "rb") as log:
            log.seek(where)
            disk.write(log.read(length))


def curl(guest, method, target, body=None, headers=None):
    """One request in the guest; its status."""
    length = None if method == "DELETE" else len(body or b"")
    # curl would name another type by itself
    headers = {"Content-Type": "application/octet-stream", **(headers or {})}
    sent = sharedkey.headers(method, target, headers, length)
    argv = ["curl", "-sS", "--max-time", "300", "-X", method, "-w", "%{http_code}", "-o", "/dev/null",
            "http://127.0.0.1:10000" + target]
    if length is not None:
        argv += ["--data-binary", "@-"]
    for name, value in sent.items():
        argv += ["-H", f"{name}: {value}"]
    return guest.agent.run(argv, stdin=body or b"", timeout=400).text


def path_of(name):
    return f"/{sharedkey.ACCOUNT}/box/b{name}"


def change(guest, number, rng):
    """One operation: (name, version), version 0 for a blob that is gone."""
    name = rng.randrange(NAMES)
    kind = rng.randrange(4)
    if kind == 0:
        assert curl(guest, "DELETE", path_of(name)) in ("202", "404")
        return name, 0
    body = content(number)
    if kind == 1:
        half = len(body) // 2
        for block, part in (("YQ==", body[:half]), ("Yg==", body[half:])):
            if part:
                assert curl(guest, "PUT", f"{path_of(name)}?comp=block&blockid={block}", part) == "201"
        blocks = "".join(f"<Latest>{block}</Latest>" for block, part in
                         (("YQ==", body[:half]), ("Yg==", body[half:])) if part)
        assert curl(guest, "PUT", f"{path_of(name)}?comp=blocklist",
                    f"<BlockList>{blocks}</BlockList>".encode()) == "201"
    else:
        assert curl(guest, "PUT", path_of(name), body,
                    {"x-ms-blob-type": "BlockBlob"}) == "201"
    return name, number


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A guest's work: (the disk before it, its log, [(entries logged at the answer, name, version)])."""
    if os.geteuid():
        pytest.skip("disks are mounted, which takes root")
    folder = tmp_path_factory.mktemp("powercut")
    kernel = paths.kernel(os.environ.get("KERNEL", "6.12"))
    disk, fresh, log = folder / "disk", folder / "fresh", folder / "log"
    with open(disk, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk], check=True)
    subprocess.run(["cp", "--sparse=always", disk, fresh], check=True)
    log.touch()
    initrd = initramfs.make(folder / "initrd", kernel,
                            [paths.guest_programs()["agent"], paths.daemon(), "/usr/bin/curl"])
    guest = Guest(kernel, initrd, lifetime=3000, extra=[
        "-blockdev", f"driver=file,node-name=df,filename={disk}",
        "-blockdev", f"driver=file,node-name=lf,filename={log}",
        "-blockdev", "driver=blklogwrites,node-name=logged,file=df,log=lf,log-super-update-interval=1",
        "-device", "virtio-blk-pci,drive=logged,serial=store"])
    rng = random.Random(SEED)
    acknowledged = []
    try:
        guest.start()
        guest.agent.sh("for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" != store ] || "
                       "mount -t ext4 /dev/${d##*/} /mnt; done; grep -q ' /mnt ext4' /proc/mounts; "
                       "ip link set lo up; mkfifo /tmp/ready; (azblob-vspd --store local,path=/mnt/store "
                       "--http 127.0.0.1:10000 --ready-fd 3 3>/tmp/ready </dev/null >/tmp/log 2>&1 &); "
                       "read line </tmp/ready", timeout=300)
        assert curl(guest, "PUT", f"/{sharedkey.ACCOUNT}/box?restype=container") == "201"
        acknowledged.append((Log(log).length(), None, None))
        for number in range(1, OPERATIONS + 1):
            name, version = change(guest, number, rng)
            acknowledged.append((Log(log).length(), name, version))
    finally:
        guest.stop()
        guest.cleanup()
    yield fresh, Log(log), acknowledged
    shutil.rmtree(folder)


@contextmanager
def mounted(image, where):
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def state(acknowledged, count):
    """Name -> version after so many operations."""
    return {name: version for _, name, version in acknowledged[1:count + 1]}


def look(folder, store, acknowledged, length):
    """The store as it is on a disk with the first @length entries, and perhaps some more."""
    done = sum(entries <= length for entries, _, _ in acknowledged) - 1
    if done < 0:
        return 0  # there was no store that anybody had been told of
    checked = subprocess.run([paths.daemon(), "check", "--data", store], capture_output=True, text=True,
                             check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    before, after = state(acknowledged, done), state(acknowledged, done + 1)
    daemon = Daemon(store, folder / "vspd.log")
    client = Client(daemon.port)
    try:
        for name in range(NAMES):
            allowed = {versions.get(name, 0) for versions in (before, after)}
            got = client.get(f"/box/b{name}")
            found = got.body if got.status == 200 else None
            assert got.status in (200, 404), got
            assert found in [content(version) if version else None for version in allowed], (
                f"b{name} is none of {allowed} after {length} entries")
    finally:
        client.close()
        daemon.stop()
    return 1


def cuts(entries, rng):
    """[(entries before a flush and with it, those of the rest that are on the disk too)], in order."""
    flushes = [number for number, entry in enumerate(entries) if entry[0] & FLUSH]
    chosen = sorted(rng.sample(flushes, min(CUTS // 2, len(flushes))))
    result = []
    for number in chosen:
        following = next((later for later in flushes if later > number), len(entries))
        between = range(number + 1, following)
        result.append((number + 1, []))
        result.append((number + 1, [entry for entry in between if rng.random() < 0.5]))
    return result


def test_a_store_on_a_disk_that_lost_power_holds_what_was_acknowledged(recorded, tmp_path):
    fresh, log, acknowledged = recorded
    entries = log.entries()
    assert sum(bool(entry[0] & FLUSH) for entry in entries) > OPERATIONS
    replayed, image = tmp_path / "replayed", tmp_path / "image"
    subprocess.run(["cp", "--sparse=always", fresh, replayed], check=True)
    position = looked = 0
    for length, more in cuts(entries, random.Random(SEED)):
        with open(replayed, "r+b") as disk:
            for entry in entries[position:length]:
                log.apply(entry, disk)
        position = max(position, length)
        subprocess.run(["cp", "--sparse=always", replayed, image], check=True)
        with open(image, "r+b") as disk:
            for number in more:
                log.apply(entries[number], disk)
        with mounted(image, tmp_path / "mnt") as place:
            looked += look(tmp_path, place / "store", acknowledged, length)
    # Most cuts were in the time of the work, not in that of making the file system's first files.
    assert looked > CUTS // 2
