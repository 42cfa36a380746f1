# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests.

A guest is booted once for each file that uses `guest`, with a daemon of its own; it is
thrown away, and the next test gets a new one, when a test has lost it.  `make_guest`
boots one for a single test.  Whatever a kernel must never print fails the test that
was running (see azvm.guest.TROUBLE).
"""

import os
import re
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

# pylint: disable=wrong-import-position
from azvm import initramfs, kcsan, paths, sharedkey  # noqa: E402
from azvm.agent import AgentError  # noqa: E402
from azvm.backend import Backend  # noqa: E402
from azvm.guest import Guest, GuestError  # noqa: E402

RESULTS = ROOT / "test-results"
LIMITS = "/sys/class/azure_blob/azure_blob/limits"
# No test may take longer, whatever hangs: then the process is ended with all its children.
TEST_LIMIT = int(os.environ.get("AZBLOB_TEST_LIMIT", "900"))
# So many times longer all waits may take in kernels that watch over themselves.
SLOW = 5
CONCURRENCY = (r"random_moments|under_load|in_flight|abandoned|ring_full|many_from_one|at_the_same_time"
               r"|more_commands|budget_wait|waiting_everywhere|killed_program|number_of_cpus")
# What KCSAN finds in other parts of the kernel; listed at the end.
OTHERS_RACES = []
# Kernels that watch over themselves say so by these files.
KMEMLEAK = "/sys/kernel/debug/kmemleak"
KCSAN = "/sys/kernel/debug/kcsan"
# Accesses that it has watched, a number for each guest.
WATCHED = []


def pytest_addoption(parser):
    parser.addoption("--guest-kernel", default=os.environ.get("KERNEL", "6.12"),
                     help="a name for scripts/kernel, a directory like its, 'debug' or 'kcsan'")
    parser.addoption("--guest-accel", default="tcg", choices=["auto", "tcg", "kvm"])
    parser.addoption("--keep-logs", action="store_true",
                     help="leave consoles in test-results/ also when tests pass")


def pytest_configure(config):
    config.addinivalue_line("markers", "big: needs a guest with 6 GiB")
    config.addinivalue_line("markers", "concurrency: threads, programs and the device's end meet")
    config.addinivalue_line("markers", "fault_injection: only the debug kernel can")
    config.addinivalue_line("markers", "console_allows(pattern): kernel complaints it provokes")


def pytest_collection_modifyitems(config, items):
    """Marks what a kernel that looks for data races is for; leaves out what a kernel cannot."""
    if config.getoption("--guest-kernel") != "debug":
        items[:] = [item for item in items if not item.get_closest_marker("fault_injection")]
    for item in items:
        # The kernel that looks for data races has no tracepoints.
        if re.search(CONCURRENCY, item.name) and "trace" not in item.fixturenames:
            item.add_marker("concurrency")


def pytest_terminal_summary(terminalreporter):
    """Other parts of the kernel have data races of their own, which fail no test here."""
    if WATCHED:
        terminalreporter.line(f"KCSAN: {sum(WATCHED)} accesses watched in {len(WATCHED)} guests")
    if not OTHERS_RACES:
        return
    RESULTS.mkdir(exist_ok=True)
    where = RESULTS / "kcsan-others.txt"
    where.write_text("\n\n".join(race.text for race in OTHERS_RACES) + "\n", encoding="utf-8")
    titles = sorted({race.title for race in OTHERS_RACES})
    terminalreporter.section("data races outside of the driver")
    for title in titles:
        terminalreporter.line(title)
    terminalreporter.line(f"{len(titles)} different ones; stacks: {where}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    """The guest of a file is looked at once more after the file's last test."""
    item.last_of_file = nextitem is None or nextitem.path != item.path


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(autouse=True)
def watchdog(request):
    """The last resort: every wait has its own, shorter limit."""
    limit = TEST_LIMIT * (SLOW if request.config.getoption("--guest-kernel") in paths.BUILT else 1)

    def bark():
        sys.stderr.write(f"\n{request.node.nodeid}: not done after {limit} s, giving up\n")
        sys.stderr.flush()
        os._exit(3)

    timer = threading.Timer(limit, bark)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


class Machine:
    """A guest and its daemon, as the tests use them."""

    def __init__(self, config, **options):
        kern = config.getoption("--guest-kernel")
        self.kernel = paths.kernel(kern)
        self.debug = kern in paths.BUILT
        self.backend = Backend()
        # KASAN wants twice the memory, and everything takes longer.
        memory = options.pop("memory", "2G" if self.debug else "1G")
        self.slow = SLOW if self.debug else 1
        # More of them, and files of the guest by their path there; "no driver" leaves it unloaded.
        programs = list(paths.guest_programs().values()) + [paths.cli()]
        programs += options.pop("programs", [])
        files = options.pop("files", {})
        loads = options.pop("driver", True)
        if not loads:
            options["append"] = options.get("append", "") + " azblob.driver=no"
        initrd = initramfs.make(self.backend.directory / "initrd", self.kernel, programs,
                                paths.driver(self.kernel), files, ["loop"])
        self._allowed = []
        options.setdefault("lifetime", max(3600, 4 * TEST_LIMIT))
        self._seen = 0
        self._races = 0
        try:
            self.backend.start()
            self.guest = Guest(self.kernel, initrd, memory=memory, link=self.backend.link,
                               accel=config.getoption("--guest-accel"), **options)
            self.guest.start()
            if loads:
                self.wait_device()
            if self.debug:
                # What was before the tests is no business of theirs.
                self.agent.sh(f"[ ! -e {KMEMLEAK} ] || echo clear >{KMEMLEAK}")
        except BaseException:
            self.close()
            raise

    agent = property(lambda self: self.guest.agent)
    qmp = property(lambda self: self.guest.qmp)

    def wait_device(self, timeout=120):
        self.agent.sh(f"n=0; until [ -c /dev/azure_blob ]; do n=$((n+1)); "
                      f"[ $n -lt {timeout * 20} ] || exit 1; usleep 50000; done",
                      timeout=timeout * 2)

    def run(self, argv, timeout=120, **more):
        """Runs a command in the guest; the CLI finds its account in the environment."""
        env = {**self.backend.environment, **more.pop("env", {})}
        return self.agent.run(argv, timeout=timeout * self.slow, env=env, **more)

    def start(self, argv, timeout=120, **more):
        env = {**self.backend.environment, **more.pop("env", {})}
        return self.agent.start(argv, timeout=timeout * self.slow, env=env, **more)

    def sh(self, script, **more):
        return self.run(["sh", "-c", script], **more)

    def counters(self):
        """The driver's, of the first device."""
        text = self.agent.get("/sys/kernel/debug/hv_azure_blob/azure_blob/counters").decode()
        return {name: int(value) for name, value in map(str.split, text.splitlines())}

    def device(self, name):
        """A property of the emulator's device, such as in-flight or stat-bad-packets."""
        return self.qmp.command("qom-get", path="/machine/peripheral/vsp0", property=name)

    def until(self, condition, what, timeout=120):
        """Polls until condition() is true; fails the test when that takes too long."""
        deadline = time.monotonic() + timeout * self.slow
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {timeout * self.slow} s"
            self.guest.check_alive()
            time.sleep(0.05)

    def wait_in_flight(self, count):
        """Waits until so many requests are with the daemon, or would be if it ran."""
        self.until(lambda: self.device("in-flight") >= count, f"{count} requests in flight")

    def migrate(self):
        """Moves the guest to another QEMU; returns the device's counters in the one that it left."""
        old = self.guest
        new = old.migrate(timeout=300 * self.slow)
        trouble = self.new_trouble()
        info, = old.qmp.command("query-azure-blob-vsp")
        self.guest, self._seen = new, 0
        old.stop()
        self.agent.wait_followed()
        old.cleanup()
        assert not trouble, trouble
        return {counter["name"]: counter["value"] for counter in info["counters"]}

    @property
    def lost(self):
        """Why the next test needs another machine, or None."""
        try:
            self.guest.check_alive()
            if self.backend.process.poll() is not None:
                return "the daemon has ended"
            self.agent.ping()
            return None
        except (GuestError, AgentError) as error:
            return str(error)

    def new_trouble(self, allowed=None):
        """Complaints of the kernel since the last call."""
        lines = self.guest.trouble(allowed)
        fresh = lines[self._seen:] if not allowed else lines
        self._seen = len(self.guest.trouble())
        return [line for line in fresh if "BUG: KCSAN" not in line] + self.new_races()

    def new_races(self):
        """Data races of the driver's since the last call, in full; those of others are put aside."""
        found = kcsan.reports(self.guest.console())
        if found and not found[-1].complete:
            # It is being printed right now, by a kernel that does nothing else meanwhile.
            self.until(lambda: kcsan.reports(self.guest.console())[-1].complete, "a report's end")
            found = kcsan.reports(self.guest.console())
        fresh = found[self._races:]
        self._races = len(found)
        OTHERS_RACES.extend(race for race in fresh if not race.ours)
        return [race.text for race in fresh if race.ours]

    def note_watched(self):
        """How many accesses KCSAN has watched; fails the test when it was turned off."""
        if not self.debug:
            return
        text = self.sh(f"[ ! -e {KCSAN} ] || cat {KCSAN}").text
        if text:
            WATCHED.append(int(re.search(r"^setup_watchpoints: (\d+)$", text, re.M)[1]))
            assert "enabled: 1" in text, text

    def leaks(self):
        """What kmemleak has found; nothing on a kernel without it.  Takes some seconds.

        It reports no object younger than five seconds, and what one scan finds may be in a
        register: a second one has to find it again.
        """
        if not self.debug:
            return ""
        return self.sh(f"[ -e {KMEMLEAK} ] || exit 0; set -e; sleep 6; echo scan >{KMEMLEAK}; "
                       f"echo scan >{KMEMLEAK}; cat {KMEMLEAK}", timeout=300).text

    def close(self):
        if hasattr(self, "guest"):
            self.guest.stop()
        self.backend.stop()

    def keep(self, name):
        where = RESULTS / "e2e" / re.sub(r"[^\w.-]+", "_", name)
        if hasattr(self, "guest"):
            self.guest.keep(where)
        if self.backend.log.exists():
            where.mkdir(parents=True, exist_ok=True)
            (where / "vspd.log").write_bytes(self.backend.log.read_bytes())
        return where

    def cleanup(self):
        self.close()
        if hasattr(self, "guest"):
            self.guest.cleanup()
        self.backend.cleanup()


class Machines:
    """Hands out the machine of a test file."""

    def __init__(self, config):
        self._config = config
        self.current = None
        self._for = None

    def get(self, module):
        if self.current and (self._for != module or self.current.lost):
            self.drop()
        if not self.current:
            self.current = Machine(self._config)
            self._for = module
        return self.current

    def drop(self):
        if self.current:
            self.current.cleanup()
        self.current = None


@pytest.fixture(scope="session")
def machines(pytestconfig):
    pool = Machines(pytestconfig)
    yield pool
    pool.drop()


def finish(request, machine, last=True):
    """After a test: the console's complaints, leaks after the last, and the logs of a failure."""
    leaks = ""
    if last:
        try:
            leaks = machine.leaks()
            machine.note_watched()
        except (GuestError, AgentError) as error:
            # A test that crashes its guest has said so.
            leaks = "" if request.node.get_closest_marker("console_allows") else str(error)
    marker = request.node.get_closest_marker("console_allows")
    trouble = machine.new_trouble(marker.args[0] if marker else None)
    report = getattr(request.node, "report_call", None)
    failed = trouble or leaks or report is None or report.failed
    if failed or request.config.getoption("--keep-logs"):
        where = machine.keep(request.node.nodeid.partition("tests/e2e/")[2] or request.node.name)
        print(f"console and logs: {where}")
    if trouble:
        pytest.fail("the guest's kernel complained:\n" + "\n".join(trouble), pytrace=False)
    if leaks:
        pytest.fail(f"the guest's kernel has lost memory:\n{leaks}", pytrace=False)


@pytest.fixture
def guest(request, machines):
    """The machine of this file."""
    machine = machines.get(request.node.path)
    yield machine
    # A test that failed may have left it stopped.
    machine.backend.resume()
    lost = machine.lost
    try:
        finish(request, machine, not lost and getattr(request.node, "last_of_file", False))
    finally:
        if lost:
            machines.drop()
    report = getattr(request.node, "report_call", None)
    if lost and report and report.passed:
        pytest.fail(f"after the test: {lost}", pytrace=False)


@pytest.fixture
def make_guest(request, machines, pytestconfig):
    """Boots a machine of its own: make_guest(memory="6G", ...)."""
    made = []
    # Two at once would share two CPUs.
    machines.drop()

    def make(**options):
        machine = Machine(pytestconfig, **options)
        made.append(machine)
        return machine

    yield make
    try:
        for machine in made:
            finish(request, machine)
    finally:
        for machine in made:
            machine.cleanup()


@pytest.fixture
def container(guest, request):
    """A new container; its name, which tells the test and is unique."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    name = f"{words}-{zlib.crc32(request.node.nodeid.encode()):08x}"
    guest.backend.create_container(name)
    return name


@pytest.fixture
def target(container):
    """Path of a blob name in the test's container, for request lines."""
    return lambda blob: f"/{sharedkey.ACCOUNT}/{container}/{blob}"


@pytest.fixture
def limits(guest):
    """Sets the limits of the device; they are put back."""
    names = ("inflight_bytes", "user_inflight_bytes")
    before = {name: guest.run(["cat", f"{LIMITS}/{name}"]).text.strip() for name in names}

    def change(**values):
        for name, value in values.items():
            guest.sh(f"echo {value} >{LIMITS}/{name}")

    yield change
    change(**before)
