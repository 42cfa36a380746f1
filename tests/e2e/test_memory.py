# SPDX-License-Identifier: MIT
"""What the three buffers may be made of, and who may write where."""

import errno

import pytest
from test_protocol2 import MEMORY, OK, layout, results, steps
from vsp import PAGE, RESPONSE, call, get, pattern, pinned, probe, put, settle

SIZE = 5 * PAGE + 77


@pytest.fixture
def blob(guest, container, target):
    """A blob with the pattern of seed 11; its target."""
    guest.backend.put_blob(f"{container}/blob", pattern(SIZE, 11))
    return target("blob")


@pytest.fixture
def disk(guest):
    """A file system on /mnt whose files are written back, as the others' here, in memory, are not.

    A call mounts it again: then its files are what was written back.
    """
    # Not "mount -o loop": it has the device open, and without CONFIG_BLK_DEV_WRITE_MOUNTED
    # what is open cannot be mounted.
    loop = guest.run(["losetup", "-f"]).text.strip()
    mount = f"mount -t ext4 {loop} /mnt"
    guest.sh("truncate -s 32M /tmp/disk && mke2fs -F /tmp/disk >/dev/null && "
             f"losetup {loop} /tmp/disk && {mount}")
    yield lambda: guest.sh(f"umount /mnt && {mount}")
    guest.sh(f"umount /mnt && losetup -d {loop} && rm /tmp/disk")


@pytest.mark.parametrize("offset", [1, 7, 512, 2048, 4095])
def test_unaligned_buffers_receive_exactly_their_bytes(guest, blob, offset):
    head = get(blob)
    answer = call(guest, head, request=f"{len(head)}@{offset}", response=f"{RESPONSE}@{offset}",
                  data=f"{SIZE}@{offset}", expect=11)
    assert (answer.result, answer.status, answer.http, answer.data_wrong) == (0, 0, 200, -1)
    assert answer.guards == {"request": True, "response": True, "data": True}
    assert answer.request_intact


@pytest.mark.parametrize("offset", [1, 4095])
@pytest.mark.parametrize("size", [1, 2, 4095, 4096, 4097, SIZE])
def test_unaligned_data_is_sent_exactly(guest, container, target, offset, size):
    answer = call(guest, put(target("in"), size), data=f"{size}@{offset}", data_valid=size, seed=5)
    assert (answer.result, answer.http) == (0, 201)
    assert guest.backend.get_blob(f"{container}/in") == pattern(size, 5)


def test_read_only_request_and_data_can_be_sent(guest, container, target):
    head = put(target("ro"), SIZE)
    answer = call(guest, head, request=f"{len(head)}:ro", data=f"{SIZE}:ro", data_valid=SIZE,
                  seed=6)
    assert (answer.result, answer.http) == (0, 201)
    assert guest.backend.get_blob(f"{container}/ro") == pattern(SIZE, 6)


def test_read_only_data_cannot_receive(guest, blob):
    answer = call(guest, get(blob), data=f"{SIZE}:ro", seed=1)
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)
    assert answer.guards["data"]


def test_read_only_response_is_refused(guest):
    answer = call(guest, probe(), response=f"{RESPONSE}:ro")
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


def test_first_form_needs_writable_data(guest, target):
    """It cannot tell the direction, so it has to assume that the host writes."""
    answer = call(guest, put(target("x"), 1), nr="v1", data="4096:ro")
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


def test_read_only_file_mapping_can_be_sent_and_not_received_into(guest, container, target, blob):
    guest.sh(f"pattern write {SIZE} 21 >/tmp/file")
    answer = call(guest, put(target("file"), SIZE), data=f"{SIZE}:filero:/tmp/file",
                  data_valid=SIZE)
    assert (answer.result, answer.http) == (0, 201)
    assert guest.backend.get_blob(f"{container}/file") == pattern(SIZE, 21)
    answer = call(guest, get(blob), data=f"{SIZE}:filero:/tmp/file")
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)
    assert guest.sh("pattern check /tmp/file 21").text == f"ok {SIZE}\n"


def test_private_file_mapping_receives_a_copy_and_the_file_stays(guest, blob):
    guest.sh(f"pattern write {SIZE} 22 >/tmp/file")
    answer = call(guest, get(blob), data=f"{SIZE}:cow:/tmp/file", expect=11)
    assert (answer.result, answer.http, answer.data_wrong) == (0, 200, -1)
    assert guest.sh("pattern check /tmp/file 22").text == f"ok {SIZE}\n"


def test_shared_file_mapping_receives_into_the_file(guest, blob):
    guest.sh(f"pattern write {SIZE} 23 >/tmp/file")
    answer = call(guest, get(blob), data=f"{SIZE}:shared:/tmp/file", expect=11)
    assert (answer.result, answer.http, answer.data_wrong) == (0, 200, -1)
    assert guest.sh("pattern check /tmp/file 11").text == f"ok {SIZE}\n"


def test_file_on_a_disk_is_written_back_as_received(guest, blob, disk):
    """Though its pages were clean, and the disk had them, when the host wrote to them."""
    settle(guest)
    guest.sh(f"pattern write {SIZE} 29 >/mnt/file")
    guest.backend.pause()
    load = guest.start(["vspcall", f"response={RESPONSE}", f"data={SIZE}:shared:/mnt/file",
                        "seed=30"], stdin=get(blob))
    guest.wait_in_flight(1)
    guest.sh("sync")
    guest.backend.resume()
    load.wait().check()
    disk()
    assert guest.sh("pattern check /mnt/file 11").text == f"ok {SIZE}\n"


def test_file_on_a_disk_cannot_be_a_buffer_that_receives(guest, container, target, disk):
    """It would be written to behind the file system's back for as long as the program likes."""
    if tuple(map(int, guest.kernel.release.split("-")[0].split(".")[:2])) < (6, 5):
        pytest.skip("this kernel lets files of a disk be pinned for ever")
    before = pinned(guest)
    lines = steps(guest, f"file={MEMORY},/mnt/file", layout(SIZE), "fill=30",
                  f"register=@,{MEMORY}", f"register=@,{MEMORY},1", "id=last", "in=3",
                  f"call={SIZE}", head=put(target("in"), SIZE))
    assert results(lines, "register")[0] == str(-errno.EFAULT)
    # Whoever only reads harms nobody.
    assert results(lines, "call") == [OK.replace("200", "201")]
    assert guest.backend.get_blob(f"{container}/in") == pattern(SIZE, 30)
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


def test_data_received_after_fork_is_not_the_parents(guest, blob):
    """The pages are shared until written: the host must write into the child's copy."""
    answer = call(guest, get(blob), data=f"{SIZE}:forked", response=f"{RESPONSE}:forked", seed=24,
                  expect=11)
    assert (answer.result, answer.http, answer.data_wrong) == (0, 200, -1)
    assert answer.parent_intact


def test_data_sent_after_fork_needs_no_copy(guest, container, target):
    answer = call(guest, put(target("fork"), SIZE), data=f"{SIZE}:forked", data_valid=SIZE, seed=25)
    assert (answer.result, answer.http, answer.parent_intact) == (0, 201, True)
    assert guest.backend.get_blob(f"{container}/fork") == pattern(SIZE, 25)


def test_zero_pages_are_replaced_before_the_host_writes(guest, blob):
    """Memory never touched is the one zero page of the whole system."""
    answer = call(guest, get(blob), data=f"{SIZE}:zero", expect=11)
    assert (answer.result, answer.http, answer.data_wrong) == (0, 200, -1)
    # Somebody else's untouched memory is still zero.
    answer = call(guest, put(blob + "2", PAGE), data=f"{PAGE}:zero", data_valid=PAGE)
    assert answer.http == 201
    assert guest.backend.get_blob(blob.split("/", 2)[2] + "2") == bytes(PAGE)


def test_zero_page_can_be_sent(guest, container, target):
    answer = call(guest, put(target("zero"), SIZE), data=f"{SIZE}:zero", data_valid=SIZE)
    assert (answer.result, answer.http) == (0, 201)
    assert guest.backend.get_blob(f"{container}/zero") == bytes(SIZE)


def test_same_page_many_times_can_be_sent(guest, container, target):
    pages = 64
    answer = call(guest, put(target("same"), pages * PAGE), data=f"{pages * PAGE}:samepage",
                  data_valid=pages * PAGE, seed=26)
    assert (answer.result, answer.http) == (0, 201)
    stored = guest.backend.get_blob(f"{container}/same")
    # Each of the fillings overwrote the one before.
    last = pattern(pages * PAGE, 26)[-PAGE:]
    assert stored == last * pages


def test_same_page_many_times_can_receive(guest, container, target):
    pages = 64
    content = pattern(PAGE, 27) * pages
    guest.backend.put_blob(f"{container}/same", content)
    answer = call(guest, get(target("same")), data=f"{pages * PAGE}:samepage", save="/tmp/same")
    assert (answer.result, answer.http) == (0, 200)
    assert guest.agent.get("/tmp/same") == content


def test_request_and_data_in_the_same_page(guest, target):
    """Reading twice from one page harms nobody."""
    head = put(target("alias"), PAGE)
    answer = call(guest, head, request=f"{len(head)}", data=f"{PAGE}:alias:request",
                  data_valid=PAGE)
    assert (answer.result, answer.http) == (0, 201)


def test_response_and_data_in_the_same_memory_harm_only_the_caller(guest, blob):
    answer = call(guest, get(blob), response=2 * RESPONSE, data=f"{2 * RESPONSE}:alias:response")
    # The contents are undefined; the call ends and the bytes around are untouched.
    assert answer.result == 0
    assert answer.request_intact
    assert answer.guards == {"request": True, "response": True, "data": True}


def test_huge_pages(guest, container, target):
    size = (4 << 20) + 12345
    answer = call(guest, put(target("huge"), size), data=f"{size}@100:huge", data_valid=size, seed=28)
    assert (answer.result, answer.http) == (0, 201)
    answer = call(guest, get(target("huge")), data=f"{size}@77:huge", expect=28)
    assert (answer.result, answer.http, answer.data_wrong, answer.guards["data"]) == \
        (0, 200, -1, True)


def test_machine_code_that_was_just_received_is_what_runs(guest, container, target):
    """Over code that has just run in the same page, which an emulator has translated by then."""
    code = bytes.fromhex("b8ed5e0000c3")  # mov $0x5eed, %eax; ret
    guest.backend.put_blob(f"{container}/code", code.ljust(PAGE, b"\xcc"))
    assert guest.run(["freshcode", "200"], stdin=get(target("code"))).text == "200\n"
