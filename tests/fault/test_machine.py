# SPDX-License-Identifier: MIT
"""VMBus as a whole under a stock kernel: versions, processors, kernels that follow each other."""

import contextlib
import signal
import threading
import time

import pytest
from azvm import initramfs, paths
from azvm.guest import CPU_TCG, GuestError

VERSIONS = ["4.0", "4.1", "5.0", "5.1", "5.2", "5.3"]


def capped(version):
    return ["-global", f"vmbus-bridge.max-version={version}"]


@pytest.mark.parametrize("version", [pytest.param(v, marks=[] if v == "4.0" else pytest.mark.long)
                                     for v in VERSIONS])
def test_version(make_rig, version):
    """The kernel takes the newest there is, and everything works with it."""
    rig = make_rig(extra=capped(version))
    assert rig.qmp.command("query-vmbus")["version"] == version
    rig.works()
    rig.rescind()
    rig.works()
    device = rig.channel()["instance-id"]
    driver = "/sys/bus/vmbus/drivers/hv_azure_blob"
    rig.machine.sh(f"echo {device} >{driver}/unbind; echo {device} >{driver}/bind")
    rig.works()


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 2, 4, 8])
def test_processors(make_rig, cpus):
    rig = make_rig(cpus=cpus)
    assert rig.machine.sh("nproc").text.strip() == str(cpus)
    assert rig.load(threads=2 * cpus, loops=10) == {(0, 0, 200): 20 * cpus}
    rig.works()


@pytest.mark.long
def test_time_by_the_reference_page(make_rig):
    """The kernel computes the time by itself, on both processors, and it goes on as the host's does."""
    rig = make_rig(cpus=2, extra=["-cpu", CPU_TCG + ",x-hv-tsc-page"])
    now = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    assert rig.machine.sh(f"cat {now}").text.strip() == "hyperv_clocksource_tsc_page"
    first, before = rig.machine.sh("cut -d' ' -f1 /proc/uptime").text, time.monotonic()
    assert rig.load(threads=4, loops=20) == {(0, 0, 200): 80}
    after, last = time.monotonic(), rig.machine.sh("cut -d' ' -f1 /proc/uptime").text
    # Read before and after what was timed, so it can't be less; hundredths are cut off, and the host's
    # clock may be made to run faster for a while.
    assert float(last) - float(first) >= (after - before) * 0.98 - 0.02
    rig.works()


@pytest.mark.long
def test_interrupts_are_moved_to_another_processor(make_rig):
    """MODIFYCHANNEL, by the kernel's own file; processors are taken away in tests/e2e/test_lifecycle.py."""
    rig = make_rig(cpus=2)
    device, number = rig.channel()["instance-id"], rig.channel()["channel"]
    for cpu in (1, 0, 1):
        rig.machine.sh(f"echo {cpu} >/sys/bus/vmbus/devices/{device}/channels/{number}/cpu")
        rig.machine.until(lambda wanted=cpu: rig.channel()["target-vp"] == wanted, "the other one")
        rig.works()


@pytest.mark.long
def test_balloon_works_beside_it(make_rig, pytestconfig):
    """Another device of the bus, with a protocol of its own, and its driver."""
    kernel = paths.kernel(pytestconfig.getoption("--guest-kernel"))
    found = initramfs.modules_with_dependencies(kernel.modules, ["hv_balloon"])
    files = {f"lib/modules/{path.name.partition('.')[0]}.ko": initramfs.module_bytes(path)
             for path in found}
    # Linux takes no balloon on a machine that could hibernate.
    rig = make_rig(files=files, extra=["-device", "hv-balloon,id=balloon",
                                       "-global", "ICH9-LPC.disable_s4=1"])
    for path in found:
        rig.machine.sh(f"insmod /lib/modules/{path.name.partition('.')[0]}.ko 2>/dev/null || true")

    def balloon():
        return next(c for c in rig.qmp.command("query-vmbus")["channels"]
                    if c["type"] == "hv-balloon")
    rig.machine.until(lambda: balloon()["state"] == "open" and balloon()["packets-in"] > 2,
                      "the balloon's driver")
    rig.qmp.command("balloon", value=800 << 20)
    rig.machine.until(lambda: rig.qmp.command("query-balloon")["actual"] <= 801 << 20,
                      "a smaller guest", 240)
    rig.works()
    rig.qmp.command("balloon", value=1 << 30)
    rig.machine.until(lambda: rig.qmp.command("query-balloon")["actual"] == 1 << 30,
                      "a guest of full size", 240)
    rig.works()


@pytest.fixture
def loads_kernels(pytestconfig):
    """For those that kexec: it takes kexec_file_load(), and for a dump /proc/vmcore."""
    name = pytestconfig.getoption("--guest-kernel")
    if name in paths.BUILT:
        pytest.skip(f"the kernel '{name}' has no CONFIG_KEXEC_FILE and no CONFIG_PROC_VMCORE")


def next_kernel(rig, how, words):
    """Loads the same kernel again; requests of the old one are with a daemon that stands still."""
    machine = rig.machine
    machine.agent.put("/tmp/kernel", machine.kernel.image.read_bytes())
    machine.agent.put("/tmp/initrd", (machine.backend.directory / "initrd").read_bytes())
    line = machine.sh("cat /proc/cmdline").text.strip() + " " + words
    if how == "crash":
        machine.run(["kexec", "crash", "/tmp/kernel", "/tmp/initrd", line])
    machine.backend.pause()
    load = rig.start(threads=4, timeout=0)
    machine.wait_in_flight(4)
    assert load
    return line


def resume_when_asked_to_end(rig):
    """The daemon goes on once the emulator has told it to stop what the old kernel wanted."""
    cancelled = rig.machine.device("stat-cancelled")
    failed = []

    def run():
        try:
            rig.machine.until(lambda: rig.machine.device("stat-cancelled") >= cancelled + 4,
                              "the end of the old kernel's requests", 240)
            # The fence: with the pages at the daemon the new kernel has no VMBus yet.
            assert rig.machine.device("in-flight") == 4
            assert rig.channel()["state"] != "open"
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)
        finally:
            rig.machine.backend.resume()
    thread = threading.Thread(target=run)
    thread.start()
    return thread, failed


def start_kexec(machine, line):
    """By a signal, to which there is no answer: the agent's port may be gone before it could."""
    wait = ("trap 'go=yes' USR1; echo ready; while [ -z \"$go\" ]; do usleep 10000; done;"
            "exec kexec /tmp/kernel /tmp/initrd \"$1\"")
    waiting = machine.start(["sh", "-c", wait, "kexec", line])
    waiting.wait_output("ready")
    machine.agent.expect_reboot()
    waiting.signal(signal.SIGUSR1)


@pytest.mark.long
def test_kexec(loads_kernels, make_rig):
    """The driver has lost its patience with the host, and the fence of the bus remains.

    The old kernel unloads VMBus, which waits for the daemon; the new one has it anew.
    """
    rig = make_rig()
    machine, old = rig.machine, rig.machine.agent.boot_id
    line = next_kernel(rig, "kexec", "")
    thread, failed = resume_when_asked_to_end(rig)
    start_kexec(machine, line)
    machine.agent.wait_hello(300)
    thread.join()
    assert not failed, failed
    assert machine.agent.boot_id != old
    rig.works()


@pytest.mark.long
def test_kexec_is_after_the_answers(loads_kernels, make_rig):
    """What the host has is answered before the bus goes, and nobody can add to it."""
    rig = make_rig()
    machine, old = rig.machine, rig.machine.agent.boot_id
    line = next_kernel(rig, "kexec", "")
    cancelled = machine.device("stat-cancelled")
    machine.start(["sh", "-c", "while true <>/dev/azure_blob; do usleep 20000; done 2>/dev/null;"
                               "echo azblob-test: refused >/dev/console"])
    start_kexec(machine, line)
    machine.until(lambda: "azblob-test: refused" in machine.guest.console(),
                  "the driver takes no more requests")
    machine.backend.resume()
    machine.agent.wait_hello(300)
    assert machine.agent.boot_id != old
    # The fence had nothing to do.
    assert machine.device("stat-cancelled") == cancelled
    rig.works()


@pytest.mark.long
@pytest.mark.console_allows(".")
def test_kdump(loads_kernels, make_rig):
    """A crashed kernel can tidy up nothing: the bus and the fence do."""
    rig = make_rig(memory="2G", append="crashkernel=512M")
    machine, old = rig.machine, rig.machine.agent.boot_id
    next_kernel(rig, "crash", "nr_cpus=1 reset_devices irqpoll azblob.dump=yes")
    thread, failed = resume_when_asked_to_end(rig)
    # What the old kernel says as it dies is what was asked for.
    machine.agent._alive = lambda: None  # pylint: disable=protected-access
    machine.agent.expect_reboot()
    with contextlib.suppress(GuestError):
        machine.start(["sh", "-c", "echo c >/proc/sysrq-trigger"])
    machine.agent.wait_hello(400)
    thread.join()
    assert not failed, failed
    assert machine.agent.boot_id != old
    assert "azblob.dump=yes" in machine.sh("cat /proc/cmdline").text
    # The memory of the old one is still there, and its device serves the new one.
    assert int(machine.sh("stat -c %s /proc/vmcore").text) > 1 << 29
    machine.guest.check_alive = lambda: None
    rig.works()


@pytest.mark.console_allows(".")
def test_panic_is_reported(make_rig):
    """Linux writes Hyper-V's crash registers; whoever runs QEMU is told."""
    rig = make_rig(extra=["-cpu", CPU_TCG + ",hv-crash", "-action", "panic=none"])
    # The crash may come before the word that the command runs.
    with contextlib.suppress(GuestError):
        rig.machine.start(["sh", "-c", "echo c >/proc/sysrq-trigger"])
    info = rig.qmp.wait_event("GUEST_PANICKED", 240)["data"]["info"]
    assert info["type"] == "hyper-v"
    # arg1 is what die() was called with, the second one who: Linux's id, with its version
    assert info["arg2"] >> 56 & 0x80
