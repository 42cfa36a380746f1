# SPDX-License-Identifier: MIT
"""What an administrator sees: tracepoints, sysfs, debugfs, and who may open the node."""

import errno
import re
import uuid

import pytest
from azvm import paths
from test_lifetime import DRIVER, in_flight, vmbus_device
from vsp import call, get, load_argv, load_result, pattern, probe

MIB = 1 << 20
SYSFS = "/sys/class/azure_blob/azure_blob"
TRACING = "/sys/kernel/tracing"
EVENTS = f"{TRACING}/events/hv_azure_blob"
NAMES = {"submit", "sent", "complete", "timeout", "abandon", "rescind"}


@pytest.fixture
def blob(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(MIB, 71))
    return target("blob")


@pytest.fixture
def trace(guest):
    """Turns the events on; a function that returns [(event, {field: value})] since then."""
    guest.sh(f"grep -q {TRACING} /proc/mounts || mount -t tracefs tracefs {TRACING}; "
             f"echo >{TRACING}/trace; echo 1 >{EVENTS}/enable")

    def events():
        text = guest.agent.get(f"{TRACING}/trace").decode()
        return [(name, dict(word.split("=", 1) for word in fields.split()))
                for name, fields in re.findall(r"hv_azure_blob_(\w+): (.*)", text)]

    yield events
    guest.sh(f"echo 0 >{EVENTS}/enable")


def statistics(guest):
    """The files in sysfs, {name: number}."""
    text = guest.sh(f"cd {SYSFS}/statistics && grep . *").text
    return {name: int(value) for name, value in
            (line.split(":") for line in text.splitlines())}


def named(events, name):
    return [fields for event, fields in events if event == name]


def test_request_is_traced_from_submission_to_completion(guest, blob, trace):
    answer = call(guest, get(blob), data=MIB, expect=71, timeout=12345)
    assert answer.http == 200
    events = trace()
    assert [name for name, _ in events] == ["submit", "sent", "complete"]
    submit, sent, complete = (fields for _, fields in events)
    assert submit["guid"] == sent["guid"] == complete["guid"]
    assert submit["device"] == "0"
    assert (submit["timeout_ms"], submit["data"], submit["valid"]) == ("12345", str(MIB), "0")
    assert int(submit["pages"]) >= MIB // 4096 + 2
    assert sent["id"] == complete["id"] != "0"
    assert sent["outstanding"] == "1"
    assert int(complete["status"], 0) == 0
    assert complete["response_len"] == str(answer.response_len)
    assert (complete["error"], complete["late"]) == ("0", "0")


def test_killed_request_is_traced_as_abandoned_then_as_late(guest, blob, trace):
    load = in_flight(guest, blob)
    load.kill()
    load.wait()
    guest.until(lambda: len(named(trace(), "abandon")) == 4, "4 abandoned requests in the trace")
    assert {fields["sent"] for fields in named(trace(), "abandon")} == {"1"}
    guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    late = {fields["id"] for fields in named(trace(), "complete") if fields["late"] == "1"}
    assert late == {fields["id"] for fields in named(trace(), "abandon")}


def test_request_of_a_silent_host_is_traced_as_timed_out(guest, blob, trace):
    """The host's daemon hangs: the driver's own watchdog ends the wait, 30 s after it was due."""
    before = statistics(guest)["timed_out"]
    guest.backend.pause()
    load = guest.start(load_argv(data_len=MIB, timeout=1), stdin=get(blob))
    guest.until(lambda: named(trace(), "timeout"), "the time-out in the trace")
    [fields] = named(trace(), "timeout")
    assert int(fields["ms"]) >= 30000
    assert fields["timeout_ms"] == "1"
    assert len(named(trace(), "abandon")) == 1
    guest.backend.resume()
    load.wait()
    assert statistics(guest)["timed_out"] == before + 1
    # Its answer is late, and not to be taken for one of the next test's.
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the late answer")


def test_rescind_is_traced_with_what_was_outstanding(guest, blob, trace):
    """Of four answers the host loses three: for the guest those are at the host to the end."""
    guest.qmp.command("vmbus-fault-add", id="lost", kind="completion-drop", device="vsp0", skip=1,
                      count=3)
    try:
        load = guest.start(load_argv(threads=4, data_len=MIB, timeout=0), stdin=get(blob))
        guest.until(lambda: guest.qmp.command("query-vmbus-faults")[0]["hit"] == 3, "the losses")
    finally:
        guest.qmp.command("vmbus-fault-remove", id="lost")
    guest.until(lambda: guest.counters()["outstanding"] == 3, "the one that was not lost")
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    assert load_result(load.wait())["outcomes"] == {(0, 0, 200): 1, (errno.ENODEV, 0, 0): 3}
    guest.until(lambda: named(trace(), "rescind"), "the rescind in the trace")
    [fields] = named(trace(), "rescind")
    assert (fields["device"], fields["outstanding"]) == ("0", "3")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()


def test_all_events_exist_with_fields_that_perf_can_read(guest):
    guest.sh(f"grep -q {TRACING} /proc/mounts || mount -t tracefs tracefs {TRACING}")
    found = guest.sh(f"cd {EVENTS} && ls -d hv_azure_blob_*").text.split()
    assert {name.removeprefix("hv_azure_blob_") for name in found} == NAMES
    for name in found:
        assert "field:int number;" in guest.agent.get(f"{EVENTS}/{name}/format").decode()


def test_sysfs_statistics_count(guest, blob):
    before = statistics(guest)
    assert call(guest, get(blob), data=MIB, expect=71).http == 200
    after = statistics(guest)
    assert after["submitted"] == before["submitted"] + 1
    assert after["completed"] == before["completed"] + 1
    assert after["max_outstanding"] >= 1
    assert after["host_errors"] == 0
    load = in_flight(guest, blob)
    try:
        now = statistics(guest)
        assert (now["outstanding"], now["queued"], now["abandoned"]) == (4, 0, 0)
    finally:
        guest.backend.resume()
    load.wait()
    assert statistics(guest)["outstanding"] == 0


def test_sysfs_limits_are_those_of_the_interface(guest):
    limits = dict(line.split(":") for line in
                  guest.sh(f"cd {SYSFS}/limits && grep . *").text.splitlines())
    assert (limits["max_pages"], limits["page_size"], limits["host_requests"]) == \
        ("8192", "4096", "1008")


def documented(name):
    text = (paths.ROOT / "docs" / "ABI" / name).read_text(encoding="utf-8")
    return re.findall(r"^What:\s+(\S+)$", text, re.M)


def test_every_sysfs_file_is_documented_and_no_other(guest):
    there = guest.sh(f"cd {SYSFS} && find statistics limits -type f").text.split()
    prefix = "/sys/class/azure_blob/<device>/"
    assert {prefix + name for name in there} == set(documented("sysfs-class-azure-blob"))


def test_debugfs_has_each_counter_and_the_parts_of_host_errors(guest):
    assert documented("debugfs-hv-azure-blob") == \
        ["/sys/kernel/debug/hv_azure_blob/<device>/counters"]
    counters = guest.counters()
    names = set(statistics(guest)) - {"host_errors"}
    assert {name for name in counters if not name.startswith("bad_")} == names
    text = (paths.ROOT / "docs" / "ABI" / "debugfs-hv-azure-blob").read_text(encoding="utf-8")
    assert {name for name in counters if name.startswith("bad_")} == \
        set(re.findall(r"^\t\t(bad_\w+)  ", text, re.M))


def test_driver_says_nothing_when_all_is_well(guest, blob):
    """No parameters to set, and no line in the kernel's log from probe to remove."""
    device = vmbus_device(guest)

    def console_is_up_to_date():
        """The console is behind the log, and in its order."""
        marker = f"azvm-test: {uuid.uuid4()}"
        guest.sh(f"echo '{marker}' >/dev/kmsg")
        guest.until(lambda: marker in guest.guest.console(), "the last line on the console")

    def said():
        return [line for line in guest.guest.console().splitlines()
                if device in line or re.search("hv_azure_blob|azure_blob|azb_", line)]

    console_is_up_to_date()
    before = said()
    assert guest.sh("[ -e /sys/module/hv_azure_blob/parameters ]", check=False).status
    for _ in range(2):
        guest.sh(f"echo {device} >{DRIVER}/unbind; echo {device} >{DRIVER}/bind")
        guest.wait_device()
        assert call(guest, get(blob), data=MIB, expect=71).http == 200
    console_is_up_to_date()
    assert said() == before


def test_sysfs_and_debugfs_go_with_the_device(guest):
    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    guest.until(lambda: guest.sh(f"[ ! -e {SYSFS} ] && "
                                 "[ ! -e /sys/kernel/debug/hv_azure_blob/azure_blob ]",
                                 check=False).status == 0, "the end of both")
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()
    assert call(guest, probe()).http == 200
    assert statistics(guest)["submitted"] == 1
