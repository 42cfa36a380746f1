# SPDX-License-Identifier: MIT
"""Protocol 2: registered buffers and cancelling, and a host that speaks only protocol 1."""

import errno
import signal

import pytest
from test_lifetime import DRIVER, vmbus_device
from vsp import (FEATURE_BUFFERS, FEATURE_CANCEL, FEATURE_URING, FEATURE_URING_CANCEL, MAX_PAGES,
                 PAGE, call, get, info, load_argv, load_result, pattern, pinned, pinned_at_rest,
                 probe, put, settle, uring)

MIB = 1 << 20
GONE = -errno.ENODEV
# Places in a buffer of 2 MiB: request, response, data.
PLACES = (8192, 16384, 65536)
OK = "0/0x0/200"
MEMORY = 2 * MIB


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 91))
    return target("blob")


def has_uring(guest):
    return info(guest).features & FEATURE_URING


@pytest.fixture
def needs_uring(guest):
    if not has_uring(guest):
        pytest.skip("this kernel has no io_uring commands")


def both_ways(guest, lines, error):
    """What "call=0" and, where the kernel has them, "uring=1,0" came to."""
    wanted = [f"{-error}/0x0/0"]
    assert results(lines, "call") == wanted
    assert results(lines, "uring") == (wanted if has_uring(guest) else [])


def split(text):
    return [[*line.partition(" ")[::2]] for line in text.splitlines()]


def steps(guest, *argv, head=b"x", check=True):
    """What vspbuf printed, [[step, result]]."""
    result = guest.run(["vspbuf", *argv], stdin=head, check=check)
    return split(result.text)


def layout(size, request=PLACES[0], response=PLACES[1], data=PLACES[2]):
    return f"layout={request},{response},{data},{size}"


REGISTERED = (f"map={MEMORY}", f"register=@,{MEMORY}", "id=last")


def results(lines, step):
    return [result for name, result in lines if name == step]


def plug(guest, protocol):
    """The device goes, and comes again with another protocol."""
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    guest.until(lambda: not guest.run(["ls", "/dev/azure_blob"], check=False).stdout,
                "the node is gone")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp",
                      protocol=protocol)
    guest.wait_device()


def test_host_and_driver_speak_protocol_2(guest):
    said = info(guest)
    assert said.protocol == 2
    assert said.features & FEATURE_BUFFERS and said.features & FEATURE_CANCEL
    assert (said.max_buffers, said.max_buffer_bytes, said.reserved) == (1024, 1 << 30, 0)


@pytest.mark.parametrize("where", range(8))
def test_requests_in_a_registered_buffer(guest, container, target, blob, where):
    """Data 1, request 2, response 4: every mixture with pages of the program's own."""
    lines = steps(guest, *(REGISTERED if where else (f"map={MEMORY}",)), layout(MIB), f"in={where}",
                  "call=0", "check=91", head=get(blob))
    assert results(lines, "call") == [OK]
    assert results(lines, "check") == ["-1"]
    lines = steps(guest, *(REGISTERED if where else (f"map={MEMORY}",)), layout(5001, data=70001),
                  f"in={where}", "fill=92", "call=5001", head=put(target("up"), 5001))
    assert results(lines, "call") == ["0/0x0/201"]
    assert guest.backend.get_blob(f"{container}/up") == pattern(5001, 92)


@pytest.mark.parametrize("where", [1, 7])
def test_commands_in_a_registered_buffer(needs_uring, guest, blob, where):
    lines = steps(guest, *REGISTERED, layout(MIB), f"in={where}", "uring=8,0", "check=91",
                  head=get(blob))
    assert results(lines, "uring") == [OK] * 8
    assert results(lines, "check") == ["-1"]


def test_buffer_of_many_chunks(guest, blob):
    """100 MiB are named in 25 packets; data at both ends."""
    size = 100 * MIB
    for at in (4096, size - MIB):
        lines = steps(guest, f"map={size}", f"register=@,{size}", "id=last",
                      layout(MIB, request=50 * MIB, response=51 * MIB, data=at), "in=7", "call=0",
                      "check=91", head=get(blob))
        assert (results(lines, "call"), results(lines, "check")) == ([OK], ["-1"])


def test_largest_buffer(guest, blob):
    """All that the device says it can be, and the last of its data."""
    size = info(guest).max_buffer_bytes
    lines = steps(guest, f"same={size}", f"register=@,{size}", "id=last",
                  layout(MIB, data=size - MIB), "in=7", "call=0", "check=91", "deregister=last",
                  head=get(blob))
    assert int(results(lines, "register")[0]) > 0
    assert (results(lines, "call"), results(lines, "check")) == ([OK], ["-1"])
    assert results(lines, "deregister") == ["0"]


def test_largest_data_in_a_buffer(guest, container, target):
    """A request takes no more of a buffer than it could name pages."""
    size = MAX_PAGES * PAGE
    guest.backend.put_blob(f"{container}/largest", pattern(size, 94))
    command = ["uring=1,0"] if has_uring(guest) else []
    lines = steps(guest, f"map={size + MEMORY}", f"register=@,{size + MEMORY}", "id=last", "in=7",
                  layout(size), "call=0", "check=94", *command, "check=94", layout(size + 1),
                  "call=0", *command, head=get(target("largest")))
    wanted = [OK, f"{-errno.EMSGSIZE}/0x0/0"]
    assert results(lines, "call") == wanted
    assert results(lines, "uring") == (wanted if command else [])
    assert results(lines, "check") == ["-1"] * 2


def test_buffer_in_a_shared_file(guest, blob):
    """Of a file system in memory: what the host writes is in the file."""
    lines = steps(guest, f"file={MEMORY},/tmp/shared", f"register=@,{MEMORY}", "id=last",
                  layout(MIB), "in=7", "call=0", head=get(blob))
    assert results(lines, "call") == [OK]
    guest.sh(f"dd if=/tmp/shared of=/tmp/part bs={PLACES[2]} skip=1 count={MIB // PLACES[2]} 2>&1")
    assert guest.sh("pattern check /tmp/part 91").text == f"ok {MIB}\n"


def test_many_buffers_of_one_file(guest, blob):
    registers = [f"register=@,{MEMORY}"] * 50
    lines = steps(guest, f"map={MEMORY}", *registers, "id=last", layout(MIB), "in=7", "call=0",
                  "deregister=last", "call=0", head=get(blob))
    ids = results(lines, "register")
    assert len(set(ids)) == 50 and min(map(int, ids)) >= 1
    assert results(lines, "call") == [OK, f"{-errno.ENOENT}/0x0/0"]
    assert results(lines, "deregister") == ["0"]


def test_buffers_end_with_their_file(guest):
    before = pinned(guest)
    lines = steps(guest, *REGISTERED, "say=kept", "open", layout(0), "in=6", "call=0",
                  head=probe())
    # An id of another file's.
    assert results(lines, "call") == [f"{-errno.ENOENT}/0x0/0"]
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    # Also when there is no room for another while they are there.
    lines = steps(guest, f"map={PAGE}", "limit=2000", "open", "limit=10")
    assert lines[0] == ["limit", f"1024 {-errno.ENOSPC}"]


# The size, flags, id, reserved and more; what it gives.
BAD_REGISTERS = {
    "no_length": ("@,0", errno.EINVAL),
    "odd_length": ("@,4097", errno.EINVAL),
    "length_all_ones": ("@,0xffffffffffffffff", errno.EINVAL),
    "longest_plus_one": (f"@,{(1 << 30) + PAGE}", errno.EMSGSIZE),
    "length_of_2_to_63": (f"@,{1 << 63}", errno.EMSGSIZE),
    "odd_address": ("@+1,4096", errno.EINVAL),
    "null": ("0,4096", errno.EFAULT),
    "address_all_ones": ("0xfffffffffffff000,4096", errno.EFAULT),
    "wraps_around": ("0xfffffffffffff000,8192", errno.EFAULT),
    "kernel": ("0xffffffff81000000,4096", errno.EFAULT),
    "non_canonical": ("0x8000000000000000,4096", errno.EFAULT),
    "beyond_the_memory": (f"@,{64 * MIB}", errno.EFAULT),
    "flag_2": ("@,4096,2", errno.EINVAL),
    "flags_all_ones": ("@,4096,0xffffffff", errno.EINVAL),
    "size_0": ("@,4096,0,0", errno.EINVAL),
    "size_31": ("@,4096,0,31", errno.EINVAL),
    "size_of_a_page_and_one": ("@,4096,0,4097", errno.EINVAL),
    "size_all_ones": ("@,4096,0,0xffffffff", errno.EINVAL),
    "id": ("@,4096,0,32,1", errno.EINVAL),
    "reserved": ("@,4096,0,32,0,1", errno.EINVAL),
    "something_beyond": ("@,4096,0,40,0,0,1", errno.E2BIG),
}


@pytest.mark.parametrize("which", BAD_REGISTERS)
def test_bad_register(guest, which):
    text, error = BAD_REGISTERS[which]
    lines = steps(guest, f"map={MEMORY}", f"register={text}")
    assert lines == [["register", str(-error)]]


def test_later_program_with_a_larger_structure(guest):
    lines = steps(guest, f"map={MEMORY}", "register=@,4096,0,40", "deregister=last,0,24")
    assert int(lines[0][1]) > 0
    assert lines[1] == ["deregister", "0"]


@pytest.mark.parametrize("text, error", [
    ("0", errno.ENOENT), ("99", errno.ENOENT), ("0xffffffff", errno.ENOENT),
    ("last,1", errno.EINVAL), ("last,0xffffffff", errno.EINVAL), ("last,0,15", errno.EINVAL),
    ("last,0,0xffffffff", errno.EINVAL), ("last,0,16,1", errno.EINVAL)])
def test_bad_deregister(guest, text, error):
    lines = steps(guest, *REGISTERED, f"deregister={text}")
    assert lines[1] == ["deregister", str(-error)]


@pytest.mark.parametrize("nr", ["0x52f2", "0x52f3"])
@pytest.mark.parametrize("argp", ["0", "0xffffffffffffffff", "0xffffffff81000000"])
def test_structure_at_a_bad_address(guest, nr, argp):
    said = call(guest, b"x", nr=nr, argp=argp)
    assert (said.result, said.errno) == (-1, errno.EFAULT)


# request, response and data at; what a request that has all in the buffer gives
BAD_PLACES = {
    "data_ends_beyond": (PLACES[0], PLACES[1], MEMORY - MIB + 1),
    "data_at_the_end": (PLACES[0], PLACES[1], MEMORY),
    "data_all_ones": (PLACES[0], PLACES[1], (1 << 64) - 1),
    "data_wraps": (PLACES[0], PLACES[1], (1 << 64) - MIB),
    "response_ends_beyond": (PLACES[0], MEMORY - 16383, PLACES[2]),
    "response_all_ones": (PLACES[0], (1 << 64) - 1, PLACES[2]),
    "request_at_the_end": (MEMORY, PLACES[1], PLACES[2]),
    "request_all_ones": ((1 << 64) - 1, PLACES[1], PLACES[2]),
}


@pytest.mark.parametrize("which", BAD_PLACES)
def test_places_outside_of_the_buffer(guest, blob, which):
    command = ["uring=1,0"] if has_uring(guest) else []
    lines = steps(guest, *REGISTERED, layout(MIB, *BAD_PLACES[which]), "in=7", "call=0", *command,
                  head=get(blob))
    both_ways(guest, lines, errno.EFAULT)


def test_last_byte_of_the_buffer_can_be_used(guest, blob):
    lines = steps(guest, *REGISTERED, layout(MIB, data=MEMORY - MIB), "in=7", "call=0", "check=91",
                  head=get(blob))
    assert (results(lines, "call"), results(lines, "check")) == ([OK], ["-1"])


@pytest.mark.parametrize("flags, number, error", [
    (8, "last", errno.EINVAL), (0xFFFFFFFF, "last", errno.EINVAL), (0, "last", errno.EINVAL),
    (7, "0", errno.EINVAL), (7, "77", errno.ENOENT), (7, "0xffffffff", errno.ENOENT)])
def test_bad_flags_and_ids_of_a_request(guest, blob, flags, number, error):
    command = ["uring=1,0"] if has_uring(guest) else []
    lines = steps(guest, *REGISTERED, layout(MIB), f"in={flags}", f"id={number}", "call=0",
                  *command, head=get(blob))
    both_ways(guest, lines, error)


def test_read_only_buffer_is_only_read(guest, container, target, blob):
    """The host is told so too; a body can be sent from memory that nobody may write to."""
    lines = steps(guest, f"map={MEMORY}", layout(MIB), "fill=93", f"register=@,{MEMORY},1",
                  "id=last", "in=3", f"call={MIB}", "in=7", "call=0", "in=1", "call=0",
                  head=put(target("ro"), MIB))
    assert results(lines, "call") == ["0/0x0/201"] + [f"{-errno.EFAULT}/0x0/0"] * 2
    assert guest.backend.get_blob(f"{container}/ro") == pattern(MIB, 93)
    lines = steps(guest, f"ro={MEMORY}", f"register=@,{MEMORY}", f"register=@,{MEMORY},1")
    assert lines[0] == ["register", str(-errno.EFAULT)]
    assert int(lines[1][1]) > 0


def test_memory_with_a_hole_is_refused_and_let_go(guest):
    before = pinned(guest)
    assert steps(guest, f"map={MEMORY}", "hole", f"register=@,{MEMORY}") == \
        [["register", str(-errno.EFAULT)]]
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


def test_memlock_limit_of_an_ordinary_user(guest):
    guest.sh("chmod 666 /dev/azure_blob")
    lines = steps(guest, f"map={MEMORY}", f"uid=1000,{MIB}", f"register=@,{MIB}",
                  "register=@,4096", "deregister=last", "register=@,4096", "open",
                  f"register=@,{MIB + PAGE}")
    results_of = results(lines, "register")
    assert int(results_of[0]) > 0
    assert results_of[1] == str(-errno.ENOMEM)
    assert results(lines, "deregister") == ["0"]
    assert int(results_of[2]) > 0
    assert results_of[3] == str(-errno.ENOMEM)
    # Given back with the file, also to the next process of this user.
    guest.until(lambda: int(results(steps(guest, f"map={MEMORY}", f"uid=1000,{MIB}",
                                          f"register=@,{MIB}"), "register")[0]) > 0,
                "the charge is given back")


def test_program_unmaps_its_buffer(guest, blob):
    """The pages are the buffer's, whatever is mapped where they were."""
    lines = steps(guest, *REGISTERED, layout(MIB), "in=7", "call=0", "munmap", f"map={MEMORY}",
                  "deregister=last", head=get(blob))
    assert results(lines, "call") == [OK]
    assert results(lines, "deregister") == ["0"]


def in_buffer(guest, blob, *more):
    """Four commands in a buffer that the paused daemon does not answer."""
    guest.backend.pause()
    load = guest.start(["vspbuf", *REGISTERED, layout(MIB), "in=7", "uring=4,0", *more],
                       stdin=get(blob))
    load.wait_output("submitted")
    guest.wait_in_flight(4)
    return load


def test_buffer_of_killed_commands_stays_pinned(needs_uring, guest, blob):
    """The file is closed by the kill, the pages stay until the host is done."""
    before = pinned_at_rest(guest)
    load = in_buffer(guest, blob)
    # Before 6.7 io_uring itself goes on waiting for them, as it can't cancel them.
    left = "abandoned" if info(guest).features & FEATURE_URING_CANCEL else "outstanding"
    load.kill()
    load.wait()
    guest.until(lambda: guest.counters()[left] == 4, f"4 {left} requests")
    assert pinned(guest) >= before + MEMORY // PAGE
    guest.backend.resume()
    guest.until(lambda: guest.counters()[left] == 0, f"the end of {left} requests")
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


def test_buffer_of_a_killed_program_stays_charged(guest, blob):
    """As long as a request is in it, though the program and its memory map are gone."""
    settle(guest)
    before = pinned_at_rest(guest)
    user = f"uid=1000,{MEMORY}"

    def another():
        """What the same user's next program gets for one page."""
        lines = steps(guest, f"map={PAGE}", user, f"register=@,{PAGE}")
        return int(results(lines, "register")[0])

    guest.backend.pause()
    load = guest.start(["vspbuf", f"map={MEMORY}", user, f"register=@,{MEMORY}", "id=last",
                        layout(MIB), "in=7", "call=0"], stdin=get(blob))
    guest.wait_in_flight(1)
    load.kill()
    assert load.wait().status == -signal.SIGKILL
    guest.until(lambda: guest.counters()["abandoned"] == 1, "an abandoned request")
    assert pinned(guest) >= before + MEMORY // PAGE
    assert another() == -errno.ENOMEM
    guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of the abandoned request")
    guest.until(lambda: another() > 0, "the charge is given back")
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")


def child_in(guest, load, function):
    """The number of the child of a vspbuf, once it waits in that function of the driver's."""
    load.wait_output("ready", 60 * guest.slow)
    pid, = results(split(load.stdout.decode()), "child")
    guest.until(lambda: function in guest.sh(f"cat /proc/{pid}/stack").text, f"{pid} in {function}")
    return pid


def test_thread_killed_in_register(guest, blob):
    """It ends at once; and what it had registered, although its file stays open."""
    before = pinned_at_rest(guest)
    # The host's answer to the register, until it has sent another one.
    guest.qmp.command("vmbus-fault-add", id="held", kind="completion-reorder", device="vsp0",
                      operation=0x101, delay=600000)
    try:
        load = guest.start(["vspbuf", f"map={MEMORY}", "child", f"register=@,{MEMORY}", "parent",
                            "say=ready", "reap", "say=reaped", "wait", f"register=@,{MEMORY}",
                            "id=last", layout(MIB), "in=7", "call=0", "check=91"], stdin=get(blob))
        pid = child_in(guest, load, "azb_buffer_register")
        # It is there while it pins as well.
        guest.until(lambda: guest.qmp.command("query-vmbus-faults")[0]["hit"] == 1, "the answer")
        assert pinned(guest) >= before + MEMORY // PAGE
        guest.sh(f"kill -9 {pid}")
        load.wait_output("reaped", 60 * guest.slow)
    finally:
        guest.qmp.command("vmbus-fault-remove", id="held")
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    guest.until(lambda: not any(guest.counters()[n] for n in ("abandoned", "outstanding")),
                "the end of all packets")
    load.signal(signal.SIGUSR1)
    lines = split(load.wait().check().text)
    assert results(lines, "reap") == [str(-signal.SIGKILL)]
    assert (results(lines, "call"), results(lines, "check")) == ([OK], ["-1"])
    assert guest.counters()["bad_packet"] == guest.counters()["bad_id_unknown"] == 0


def test_thread_killed_in_deregister(guest, blob):
    """It ends at once; the buffer when its requests have, although its file stays open."""
    settle(guest)
    before = pinned_at_rest(guest)
    guest.backend.pause()
    load = guest.start(["vspbuf", *REGISTERED, layout(MIB), "in=7", "thread=0", "say=started",
                        "wait", "child", "deregister=last", "parent", "say=ready", "reap", "call=0",
                        "say=reaped", "wait", "join", "say=joined", "wait"], stdin=get(blob))
    load.wait_output("started", 60 * guest.slow)
    guest.wait_in_flight(1)
    load.signal(signal.SIGUSR1)
    pid = child_in(guest, load, "azb_buffer_deregister")
    guest.sh(f"kill -9 {pid}")
    load.wait_output("reaped", 60 * guest.slow)
    assert guest.counters()["outstanding"] == 1
    assert pinned(guest) >= before + MEMORY // PAGE
    guest.backend.resume()
    load.signal(signal.SIGUSR1)
    load.wait_output("joined", 60 * guest.slow)
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    load.signal(signal.SIGUSR1)
    lines = split(load.wait().check().text)
    assert results(lines, "reap") == [str(-signal.SIGKILL)]
    # No further request has found it.
    assert results(lines, "call") == [f"{-errno.ENOENT}/0x0/0"]
    assert results(lines, "thread") == [OK]


def test_killed_requests_are_cancelled_at_the_host(guest, blob):
    before = guest.device("stat-cancelled")
    guest.backend.pause()
    load = guest.start(load_argv(threads=4, data_len=MIB, timeout=0), stdin=get(blob))
    load.wait_output("started")
    guest.wait_in_flight(4)
    load.kill()
    assert load.wait().status == -signal.SIGKILL
    guest.until(lambda: guest.device("stat-cancelled") >= before + 4, "4 cancelled requests")
    guest.backend.resume()
    guest.until(lambda: not any(guest.counters()[n] for n in ("abandoned", "outstanding")),
                "the end of all requests")
    assert guest.counters()["bad_packet"] == guest.counters()["bad_id_unknown"] == 0


@pytest.mark.parametrize("how", ["unbind", "rescind"])
def test_buffers_are_gone_with_the_device(guest, blob, how):
    before = pinned_at_rest(guest)
    device = vmbus_device(guest)
    load = guest.start(["vspbuf", *REGISTERED, layout(MIB), "in=7", "say=ready", "wait", "call=0",
                        f"register=@,{MEMORY}", "deregister=last"], stdin=get(blob))
    load.wait_output("ready")
    assert pinned(guest) >= before + MEMORY // PAGE
    if how == "unbind":
        guest.sh(f"echo {device} >{DRIVER}/unbind")
    else:
        plug(guest, 2)
    # Although the file is still open.
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    load.signal(signal.SIGUSR1)
    lines = split(load.wait().check().text)
    assert results(lines, "call")[0].startswith(f"{GONE}/") or \
        results(lines, "call")[0].startswith(f"{-errno.ENOENT}/")
    assert results(lines, "register")[1] == str(GONE)
    if how == "unbind":
        guest.sh(f"echo {device} >{DRIVER}/bind")
        guest.wait_device()
    lines = steps(guest, *REGISTERED, layout(MIB), "in=7", "call=0", "check=91", head=get(blob))
    assert (results(lines, "call"), results(lines, "check")) == ([OK], ["-1"])


def test_device_goes_with_requests_in_a_buffer(needs_uring, guest, blob):
    before = pinned(guest)
    load = in_buffer(guest, blob)
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.backend.resume()
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    lines = split(load.wait().check().text)
    assert len(results(lines, "uring")) == 4
    guest.until(lambda: pinned(guest) <= before, "all pages unpinned")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()
    assert info(guest).protocol == 2


def test_switching_between_protocols(guest, blob):
    """The same driver, without being loaded again; what version 1 lacks is refused."""
    for protocol in (1, 2, 1, 2):
        plug(guest, protocol)
        said = info(guest)
        assert said.protocol == protocol
        assert bool(said.features & FEATURE_BUFFERS) == (protocol == 2)
        assert bool(said.features & FEATURE_CANCEL) == (protocol == 2)
        lines = steps(guest, f"map={MEMORY}", f"register=@,{MEMORY}", layout(MIB), "call=0",
                      "check=91", "in=7", "id=1", "call=0", head=get(blob))
        if protocol == 1:
            assert results(lines, "register") == [str(-errno.EOPNOTSUPP)]
            assert results(lines, "call") == [OK, f"{-errno.ENOENT}/0x0/0"]
            assert said.max_buffers == said.max_buffer_bytes == 0
        else:
            assert results(lines, "call") == [OK, OK]
        assert results(lines, "check") == ["-1"]
        if has_uring(guest):
            out = uring(guest, get(blob), count=20, depth=8, data_len=MIB, expect=91)
            assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 20}, 0)
    assert guest.device("stat-bad-packets") == 0


def test_version_1_host_is_told_of_no_cancel(guest, blob):
    plug(guest, 1)
    # The new device has its link to the daemon.
    assert call(guest, get(blob), data=MIB, expect=91).http == 200
    guest.backend.pause()
    load = guest.start(load_argv(threads=4, data_len=MIB, timeout=0), stdin=get(blob))
    load.wait_output("started")
    guest.wait_in_flight(4)
    load.kill()
    load.wait()
    guest.until(lambda: guest.counters()["abandoned"] == 4, "4 abandoned requests")
    assert guest.device("stat-cancelled") == 0
    guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    assert guest.device("stat-bad-packets") == 0
    out = load_result(guest.run(load_argv(threads=8, loops=5, data_len=MIB, expect=91),
                                stdin=get(blob)))
    assert out["outcomes"] == {(0, 0, 200): 40}
    plug(guest, 2)
