# SPDX-License-Identifier: MIT
"""azblob-mount in a guest, through the real driver; tests/mount has the rest."""

import re
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


TRACING = "/sys/kernel/tracing"
SUBMITS = f"{TRACING}/events/hv_azure_blob/hv_azure_blob_submit/enable"


def submits(guest):
    """[(bytes of the data buffer, pages that were pinned for the request)] in the trace."""
    return [(int(data), int(pages)) for data, pages in
            re.findall(r"_submit: .* data=(\d+) .* pages=(\d+)", guest.agent.get(f"{TRACING}/trace").decode())]


def test_blocks_are_read_ahead_into_memory_that_the_host_knows(guest, container, program):
    """Registered once; the requests then pin no pages of their data, whoever evicts what in between."""
    guest.backend.put_blob(f"{container}/file", pattern(100 * MIB, 96))
    guest.sh(f"mkdir -p {MOUNTED}; grep -q {TRACING} /proc/mounts || mount -t tracefs tracefs {TRACING}; "
             f"echo >{TRACING}/trace; echo 1 >{SUBMITS}")
    mount = guest.start(["sh", "-c", f"exec {program} -d -o {OPTIONS} {container} {MOUNTED} 2>&1"],
                        timeout=600)
    guest.until(lambda: MOUNTED in guest.sh("cat /proc/mounts").text, "the mount")
    assert guest.run(["pattern", "check", f"{MOUNTED}/file", "96"], timeout=600).text == f"ok {100 * MIB}\n"
    guest.sh(f"umount {MOUNTED}; echo 0 >{SUBMITS}")
    log = mount.wait().check().stdout.decode(errors="replace")
    # As many as the budget has blocks, and no more with what is evicted.
    assert 1 <= log.count("4194304 bytes are registered with the host") <= 16
    blocks = [pages for data, pages in submits(guest) if data == 4 * MIB]
    # A reader in order gets whole blocks but for its first steps.
    assert len(blocks) >= 20
    # Heads and answers are pinned, the 1024 pages of a block are not.
    assert max(blocks) < 64


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
