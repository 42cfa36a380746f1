# SPDX-License-Identifier: MIT
"""azblob-mount in a guest, through the real driver; tests/mount has the rest."""

import signal
import subprocess

import pytest
from azvm import initramfs, paths
from vsp import pattern

MIB = 1 << 20
PROGRAM = paths.BUILD / "client/mount/azblob-mount"
MOUNTED = "/tmp/mounted"
# Nothing of the defaults but a budget that the guest has room for.
OPTIONS = "transport=driver,cache_size=64M"


@pytest.fixture
def program(guest):
    """The program and its libraries, which the guest does not have from the start."""
    if guest.sh("ls /usr/bin/azblob-mount", check=False).status:
        # The last one is what glibc loads by itself to end a thread, as libfuse does.
        libgcc = subprocess.run(["gcc", "-print-file-name=libgcc_s.so.1"], check=True,
                                capture_output=True, text=True).stdout.strip()
        guest.agent.put("/lib/x86_64-linux-gnu/libgcc_s.so.1", paths.Path(libgcc).read_bytes())
        for library in initramfs.libraries(PROGRAM):
            if guest.sh(f"ls {library}", check=False).status:
                guest.agent.put(library, paths.Path(library).read_bytes())
        guest.agent.put("/usr/bin/azblob-mount", PROGRAM.read_bytes())
    return "azblob-mount"


@pytest.fixture
def mounted(guest, container, program):
    """The test's container in the guest, mounted in the background."""
    guest.sh(f"mkdir -p {MOUNTED}")
    guest.run([program, "-o", OPTIONS, container, MOUNTED])
    yield MOUNTED
    guest.sh(f"umount {MOUNTED}")
    guest.until(lambda: guest.sh("pidof azblob-mount", check=False).status != 0,
                "the program's end")


def submitted(guest):
    return guest.counters()["submitted"]


def test_blobs_are_files_through_the_driver(guest, container, mounted):
    size = 20 * MIB + 12345
    guest.backend.put_blob(f"{container}/dir/file", pattern(size, 91))
    before = submitted(guest)
    assert guest.run(["ls", f"{mounted}/dir"]).text == "file\n"
    assert guest.run(["pattern", "check", f"{mounted}/dir/file", "91"]).text == f"ok {size}\n"
    # A name, a list, some blocks: all of it went by the driver.
    assert submitted(guest) >= before + 7
    guest.sh(f"cp {mounted}/dir/file {mounted}/dir/copy")
    assert guest.backend.get_blob(f"{container}/dir/copy") == pattern(size, 91)


def test_files_are_written_renamed_and_removed(guest, container, mounted):
    guest.sh(f"set -e; cd {mounted}; mkdir d; pattern write 9000000 92 >d/a; mv d/a d/b; "
             "echo more >>d/b; rm -r d; pattern write 5000 93 >c")
    assert guest.run(["ls", mounted]).text == "c\n"
    assert guest.backend.get_blob(f"{container}/c") == pattern(5000, 93)


def test_a_reader_does_not_notice_that_the_backend_was_killed(guest, container, mounted):
    size = 40 * MIB
    guest.backend.put_blob(f"{container}/file", pattern(size, 94))
    # The size is known before the daemon stands still, the bytes are not.
    guest.sh(f"ls -l {mounted}")
    guest.backend.pause()
    reader = guest.start(["pattern", "check", f"{mounted}/file", "94"], timeout=300)
    guest.wait_in_flight(1)
    assert guest.backend.kill() == -signal.SIGKILL
    guest.backend.start()
    assert reader.wait().check().text == f"ok {size}\n"


def test_blocks_of_the_cache_are_registered_with_the_host(guest, container, program):
    guest.backend.put_blob(f"{container}/file", pattern(12 * MIB, 96))
    guest.sh(f"mkdir -p {MOUNTED}")
    mount = guest.start(["sh", "-c", f"exec {program} -d -o {OPTIONS} {container} {MOUNTED} 2>&1"],
                        timeout=600)
    guest.until(lambda: MOUNTED in guest.sh("cat /proc/mounts").text, "the mount")
    assert guest.run(["pattern", "check", f"{MOUNTED}/file", "96"]).text == f"ok {12 * MIB}\n"
    guest.sh(f"umount {MOUNTED}")
    log = mount.wait().check().stdout.decode(errors="replace")
    assert "4194304 bytes are registered with the host" in log


def test_a_killed_mount_leaves_nothing_behind(guest, container, program):
    guest.backend.put_blob(f"{container}/file", pattern(40 * MIB, 95))
    guest.sh(f"mkdir -p {MOUNTED}")
    mount = guest.start([program, "-f", "-o", OPTIONS, container, MOUNTED], timeout=600)
    guest.until(lambda: MOUNTED in guest.sh("cat /proc/mounts").text, "the mount")
    guest.backend.pause()
    reader = guest.start(["cat", f"{MOUNTED}/file"], timeout=300)
    guest.wait_in_flight(1)
    mount.kill()
    assert reader.wait().status != 0
    guest.backend.resume()
    guest.until(lambda: guest.device("in-flight") == 0, "the end of the requests")
    guest.until(lambda: guest.counters()["outstanding"] == 0, "the end of the requests")
    guest.sh(f"umount {MOUNTED}")
