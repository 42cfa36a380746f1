# SPDX-License-Identifier: MIT
"""Other machines: more or fewer CPUs, memory that is not shared, a second device."""

import re

import pytest
from azvm.backend import Backend
from vsp import MAX_PAGES, PAGE, RESPONSE, call, get, load_argv, load_result, pattern, probe, put

MIB = 1 << 20
LARGEST = (MAX_PAGES - 1 - RESPONSE // PAGE) * PAGE
BLOB = "/devstoreaccount1/machines/blob"


def round_trips(guest):
    """A bit of everything: large both ways, many at once, the CLI."""
    guest.backend.create_container("machines")
    assert call(guest, put(BLOB, LARGEST), data=LARGEST, data_valid=LARGEST, seed=91).http == 201
    answer = call(guest, get(BLOB), data=f"{LARGEST}", expect=91)
    assert (answer.status, answer.http, answer.data_wrong) == (0, 200, -1)
    guest.backend.put_blob("machines/mib", pattern(MIB, 92))
    out = load_result(guest.run(load_argv(threads=64, loops=4, data_len=MIB, expect=92, offset=8),
                                stdin=get("/devstoreaccount1/machines/mib")))
    assert (out["outcomes"], out["wrong"]) == ({(0, 0, 200): 256}, 0)
    size = 20 * MIB + 5
    guest.sh(f"pattern write {size} 93 >/tmp/in")
    guest.run(["azblob", "--transport", "driver", "put", "/tmp/in", "machines/cli"])
    guest.run(["azblob", "--transport", "driver", "get", "machines/cli", "/tmp/out"])
    assert guest.run(["pattern", "check", "/tmp/out", "93"]).text == f"ok {size}\n"


@pytest.mark.parametrize("cpus", [1, 4])
def test_number_of_cpus(make_guest, cpus):
    round_trips(make_guest(cpus=cpus))


def test_bytes_in_messages_where_memory_is_not_shared(make_guest):
    """The slower way through the socket must give the same answers."""
    guest = make_guest(vsp_options=",x-inline=on")
    round_trips(guest)
    assert guest.device("stat-inlined") > 0


def test_second_device_has_a_node_and_a_daemon_of_its_own(guest, container):
    second = Backend()
    try:
        second.start()
        second.create_container(container)
        second.put_blob(f"{container}/which", b"second")
        guest.backend.put_blob(f"{container}/which", b"first")
        guest.qmp.command("chardev-add", id="vsp-second", backend={
            "type": "socket", "data": {
                "addr": {"type": "unix", "data": {"path": str(second.link)}},
                "server": False, "reconnect-ms": 100}})
        guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp1", chardev="vsp-second")
        guest.until(lambda: guest.run(["ls", "/dev/azure_blob1"], check=False).status == 0,
                    "/dev/azure_blob1")
        head = get(f"/devstoreaccount1/{container}/which")
        for node, content in [("/dev/azure_blob", b"first"), ("/dev/azure_blob1", b"second")]:
            answer = call(guest, head, dev=node, data=PAGE, save="/tmp/which")
            assert answer.http == 200
            assert guest.agent.get("/tmp/which").startswith(content)
        # Each has a folder of its own, with no address of the kernel's in it.
        folders = guest.sh("cd /sys/kernel/debug/hv_azure_blob && echo *").text.split()
        assert folders == ["azure_blob", "azure_blob1"]
        counters = guest.sh("cat /sys/kernel/debug/hv_azure_blob/*/counters").text
        assert all(re.fullmatch(r"\w+ \d{1,12}", line) for line in counters.splitlines())
        guest.qmp.forget()
        guest.qmp.command("device_del", id="vsp1")
        guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
        guest.until(lambda: guest.run(["ls", "/dev/azure_blob1"], check=False).status != 0,
                    "the second node is gone")
        guest.qmp.command("chardev-remove", id="vsp-second")
        assert call(guest, probe()).http == 200
    finally:
        second.cleanup()
