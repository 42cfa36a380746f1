# SPDX-License-Identifier: MIT
"""Memory of every kind through every way in, and what a program does while an ioctl waits."""

import errno
import signal

import pytest
from test_protocol2 import MEMORY, PLACES, layout, plug, results, split
from vsp import (FEATURE_BUFFERS, FEATURE_URING, FEATURE_URING_CANCEL, INFO, INFO_SIZE, PAGE,
                 RESPONSE, call, get, info, pattern, probe, put)

MIB = 1 << 20
SIZE = 4 * PAGE
OK = "0/0x0/200"

# What a call has besides its buffers, for each way in.
WAYS = {
    "ioctl": {},
    "larger_ioctl": {"nr": "f4"},
    "command": {"nr": "f4", "way": "command"},
    "registered": {"nr": "f4", "way": "registered"},
}


@pytest.fixture(params=WAYS)
def way(guest, request):
    features = info(guest).features
    if request.param == "command" and not features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    if request.param == "registered" and not features & FEATURE_BUFFERS:
        # Nothing else needs the second protocol here.
        plug(guest, 2)
    return WAYS[request.param]


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(SIZE, 31))
    return target("blob")


@pytest.fixture
def huge_pages(guest):
    # The kernel makes as many as it finds room for at once.
    guest.until(lambda: guest.sh("cd /proc/sys/vm && echo 1 >compact_memory && echo 4 >nr_hugepages && "
                                 "cat nr_hugepages").text == "4\n", "huge pages")
    yield
    guest.sh("echo 0 >/proc/sys/vm/nr_hugepages")


@pytest.fixture
def file(guest):
    guest.sh(f"pattern write {SIZE} 32 >/tmp/file")
    return "/tmp/file"


def device_memory(guest):
    """A file by which a page of a PCI device can be mapped: one that no driver has claimed."""
    return guest.sh("for f in /sys/bus/pci/devices/*/resource[0-9]; do "
                    f"vspcall response={RESPONSE} data={PAGE}:device:$f </dev/null "
                    ">/dev/null 2>&1 && echo $f && break; done", check=False).text.strip()


def receive(guest, blob, kind, way, **more):
    return call(guest, get(blob), data=f"{SIZE}:{kind}", **way, **more)


def send(guest, blob, kind, way, **more):
    return call(guest, put(blob, SIZE), data=f"{SIZE}:{kind}", data_valid=SIZE, **way, **more)


@pytest.mark.parametrize("kind", ["ro", "filero:/tmp/file", "hole", "unmapped", "null", "vvar"])
def test_memory_that_cannot_receive(guest, blob, way, kind, file):
    answer = receive(guest, blob, kind, way)
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)
    assert guest.sh(f"pattern check {file} 32").text == f"ok {SIZE}\n"
    assert guest.counters()["bytes"] == 0


def is_pages(guest, kind):
    """On late kernels [vvar] is memory like other, to read; before it was page numbers alone ("pf")."""
    if kind != "vvar":
        return False
    flags = guest.sh(r"sed -n '/\[vvar\]/,/^VmFlags/p' /proc/self/smaps | grep ^VmFlags").text.split()
    return "pf" not in flags


@pytest.mark.parametrize("kind", ["hole", "unmapped", "null", "vvar"])
def test_memory_that_cannot_be_sent(guest, container, target, way, kind):
    answer = send(guest, target("never"), kind, way)
    if is_pages(guest, kind):
        assert (answer.result, answer.status) == (0, 0)
        return
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)
    assert guest.backend.request("GET", target("never"))[0] == 404


def test_memory_of_a_device(guest, way):
    """Not memory that could be pinned."""
    path = device_memory(guest)
    assert path
    for valid in (0, PAGE):
        answer = call(guest, probe(), data=f"{PAGE}:device:{path}", data_valid=valid, **way)
        assert (answer.result, answer.errno) == (-1, errno.EFAULT)


@pytest.mark.parametrize("kind", ["anon", "zero", "huge", "hugetlb", "shared:/tmp/file",
                                  "cow:/tmp/file", "samepage"])
def test_memory_that_receives(guest, blob, way, kind, file, huge_pages):
    # With one page for all of them only the last one's words are left.
    expect = {} if kind == "samepage" else {"expect": 31}
    answer = receive(guest, blob, kind, way, **expect)
    assert (answer.result, answer.status, answer.http, answer.data_wrong) == (0, 0, 200, -1)
    seed = 31 if kind.startswith("shared") else 32
    assert guest.sh(f"pattern check {file} {seed}").text == f"ok {SIZE}\n"


@pytest.mark.parametrize("kind", ["anon", "ro", "huge", "hugetlb", "shared:/tmp/file",
                                  "filero:/tmp/file", "cow:/tmp/file"])
def test_memory_that_is_sent(guest, container, target, way, kind, file, huge_pages):
    answer = send(guest, target("in"), kind, way, seed=32)
    assert (answer.result, answer.status, answer.http) == (0, 0, 201)
    assert guest.backend.get_blob(f"{container}/in") == pattern(SIZE, 32)


@pytest.mark.parametrize("which, kind", [
    ("request", "hole"), ("request", "unmapped"), ("request", "vvar"), ("request", "null"),
    ("response", "ro"), ("response", "hole"), ("response", "unmapped"), ("response", "vvar"),
    ("response", "null"), ("response", "filero:/tmp/file")])
def test_request_and_response_in_bad_memory(guest, way, which, kind, file):
    """All of it: the last page is what a hole lacks."""
    more = {which: f"{RESPONSE}:{kind}", f"{which}_len": RESPONSE}
    answer = call(guest, probe(), data=PAGE, **more, **way)
    if which == "request" and is_pages(guest, kind):
        # It is no head of a request, and the host says so.
        assert (answer.result, answer.http) == (0, 0)
        assert answer.status
        return
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)
    assert guest.sh(f"pattern check {file} 32").text == f"ok {SIZE}\n"


@pytest.mark.parametrize("kind", ["ro", "shared:/tmp/file", "huge", "hugetlb"])
def test_request_in_any_memory(guest, way, kind, file, huge_pages):
    answer = call(guest, probe(), request=f"{PAGE}:{kind}", data=PAGE, **way)
    assert (answer.result, answer.http) == (0, 200)


# --- a program that does something else while a thread of its waits in an ioctl

@pytest.fixture
def large(guest, container, target):
    guest.backend.put_blob(f"{container}/large", pattern(MIB, 33))
    return target("large")


def in_flight(guest, blob, *then):
    """Four threads whose requests the paused daemon has; what is done next, and "done"."""
    guest.backend.pause()
    program = guest.start(["vspcancel", *(f"thread={n},{MIB}" for n in range(4)), "say=ready", "wait",
                           *then, "say=done", "wait", "join"], stdin=get(blob))
    program.wait_output("ready")
    guest.wait_in_flight(4)
    program.signal(signal.SIGUSR1)
    return program


def idle(guest):
    guest.until(lambda: not any(guest.counters()[n] for n in
                                ("queued", "outstanding", "abandoned", "bytes")),
                "the end of all requests")


@pytest.mark.parametrize("then", ["close", "munmap", "fork"])
def test_ioctl_goes_on_whatever_the_program_does(guest, large, then):
    """The thread in the ioctl keeps the file and the pages."""
    program = in_flight(guest, large, then)
    program.wait_output("done")
    assert guest.counters()["outstanding"] == 4
    guest.backend.resume()
    program.signal(signal.SIGUSR1)
    lines = split(program.wait().check().text)
    assert [end for name, end in lines if name in "0123"] == [OK] * 4
    idle(guest)


def test_ioctl_receives_into_the_parents_memory_after_a_fork(guest, large):
    guest.backend.pause()
    program = guest.start(["vspcancel", f"thread=1,{MIB}", "say=ready", "wait", "fork", "say=done",
                           "wait", "join", "check=33"], stdin=get(large))
    program.wait_output("ready")
    guest.wait_in_flight(1)
    program.signal(signal.SIGUSR1)
    program.wait_output("done")
    guest.backend.resume()
    program.signal(signal.SIGUSR1)
    lines = split(program.wait().check().text)
    assert (results(lines, "1"), results(lines, "check")) == ([OK], ["0"])
    idle(guest)


def test_exec_ends_threads_in_an_ioctl(guest, large):
    """Like a kill: the pages stay the host's until it is done."""
    program = in_flight(guest, large, "exec")
    try:
        program.wait_output("executed")
        program.wait().check()
        guest.until(lambda: guest.counters()["abandoned"] == 4, "4 abandoned requests")
        assert guest.counters()["bytes"] >= 4 * MIB
    finally:
        guest.backend.resume()
    idle(guest)


# --- the same with commands in a buffer that the driver has registered

@pytest.mark.parametrize("then", ["close", "munmap", "fork"])
def test_commands_in_a_registered_buffer_go_on(guest, large, then):
    if not info(guest).features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    guest.backend.pause()
    check = [] if then == "munmap" else ["check=33"]
    program = guest.start(["vspbuf", f"map={MEMORY}", f"register=@,{MEMORY}", "id=last",
                           layout(MIB, *PLACES), "in=7", f"then={then}", "uring=4,0", *check],
                          stdin=get(large))
    program.wait_output("done")
    guest.wait_in_flight(4)
    guest.backend.resume()
    lines = split(program.wait().check().text)
    # What is in memory that is not there any more nobody can tell.
    wanted = "0/0x0/0" if then == "munmap" else OK
    assert results(lines, "uring") == [wanted] * 4
    assert results(lines, "check") == ["-1"] * len(check)
    idle(guest)


def test_exec_with_commands_in_a_registered_buffer(guest, large):
    features = info(guest).features
    if not features & FEATURE_URING:
        pytest.skip("this kernel has no io_uring commands")
    guest.backend.pause()
    program = guest.start(["vspbuf", f"map={MEMORY}", f"register=@,{MEMORY}", "id=last",
                           layout(MIB, *PLACES), "in=7", "then=exec", "uring=4,0"], stdin=get(large))
    try:
        program.wait_output("submitted")
        guest.wait_in_flight(4)
        program.signal(signal.SIGUSR1)
        if features & FEATURE_URING_CANCEL:
            # Although the host has not answered.
            program.wait_output("executed")
    finally:
        guest.backend.resume()
    program.wait_output("executed")
    program.wait().check()
    idle(guest)
    # And the buffer has gone with the file: there is room for as many as ever.
    lines = split(guest.run(["vspbuf", f"map={PAGE}", "limit=2000"], stdin=b"x").text)
    assert lines[0] == ["limit", f"{info(guest).max_buffers} {-errno.ENOSPC}"]


# --- every field of the structures that say their own size

STRUCTURES = {
    # name of the step, size, and for each field of the text after the first ones its index
    "register": ("register=@,4096", 32, {"flags": 0, "size": 1, "id": 2, "reserved": 3, "beyond": 4}),
    "deregister": ("deregister=last", 16, {"flags": 0, "size": 1, "reserved": 2}),
}


def structure(name, **fields):
    start, size, places = STRUCTURES[name]
    values = ["0"] * len(places)
    values[places["size"]] = str(size)
    for field, value in fields.items():
        values[places[field]] = str(value)
    return ",".join([start, *values])


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("field, value, error", [
    ("size", 0, errno.EINVAL), ("size", 1, errno.EINVAL), ("size", -1, errno.EINVAL),
    ("size", PAGE, 0), ("size", PAGE + 1, errno.EINVAL), ("size", 0xFFFFFFFF, errno.EINVAL),
    ("flags", 0x80000000, errno.EINVAL), ("flags", 0xFFFFFFFF, errno.EINVAL),
    ("reserved", 1, errno.EINVAL), ("reserved", 0xFFFFFFFF, errno.EINVAL),
    ("id", 1, errno.EINVAL), ("id", 0xFFFFFFFF, errno.EINVAL)])
def test_field_of_a_structure(guest, name, field, value, error):
    _, size, places = STRUCTURES[name]
    if field not in places:
        # The id of one to deregister is looked for.
        field, value, error = "flags", 1, errno.EINVAL
    if (field, value) == ("size", -1):
        value = size - 1
    text = structure(name, **{field: value})
    lines = split(guest.run(["vspbuf", f"map={MEMORY}", f"register=@,{MEMORY}", text],
                            stdin=b"x").text)
    result = int(results(lines, name)[-1])
    assert result == -error if error or name == "deregister" else result > 0


def test_info_of_a_whole_page(guest):
    """The largest: all that the driver does not know is zeroed, and nothing beyond."""
    said = call(guest, b"x", nr=hex(INFO), guid=PAGE.to_bytes(4, "little").hex(), show=PAGE + 16)
    assert said.result == 0
    assert said.struct[:4] == INFO_SIZE.to_bytes(4, "little")
    assert said.struct[INFO_SIZE:] == bytes(PAGE - INFO_SIZE) + b"\xee" * 16


@pytest.mark.parametrize("length, error", [
    (0, errno.EINVAL), (1, errno.EINVAL), (PAGE - 1, errno.EINVAL), (PAGE, 0), (PAGE + 1, errno.EINVAL),
    ((1 << 64) - PAGE, errno.EMSGSIZE), ((1 << 64) - 1, errno.EINVAL)])
def test_length_to_register(guest, length, error):
    lines = split(guest.run(["vspbuf", f"map={MEMORY}", f"register=@,{length}"], stdin=b"x").text)
    result = int(results(lines, "register")[0])
    assert result == -error if error else result > 0
