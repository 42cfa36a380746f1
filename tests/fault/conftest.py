# SPDX-License-Identifier: MIT
"""The driver in a guest, and an emulator that goes wrong on command.

Everything of tests/e2e is here too: guests, daemon, containers.  What is only worth its time in
`make fault` is marked "long" and runs with --long.
"""

import contextlib
import importlib.util
import signal
import sys
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parents[1] / "e2e"
sys.path.insert(0, str(E2E))

_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

# Fixtures and hooks that are the same here
watchdog, machines, make_guest = e2e.watchdog, e2e.machines, e2e.make_guest
container, target = e2e.container, e2e.target
pytest_runtest_makereport = e2e.pytest_runtest_makereport
plain_guest = e2e.guest

from azvm import sharedkey  # noqa: E402
from vsp import load_argv, load_result, call, get, pattern  # noqa: E402

MIB = 1 << 20
SEED = 71
SIZE = 64 << 10
BLOCK = 4096
NEW_LEAKS = ("[ -e /sys/kernel/debug/kmemleak ] || exit 0; echo scan >/sys/kernel/debug/kmemleak; "
             "cat /sys/kernel/debug/kmemleak")


def pytest_addoption(parser):
    e2e.pytest_addoption(parser)
    parser.addoption("--long", action="store_true", help="run what takes minutes as well")


def pytest_configure(config):
    e2e.pytest_configure(config)
    config.addinivalue_line("markers", "long: takes minutes; only with --long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        items[:] = [item for item in items if not item.get_closest_marker("long")]


class Rig:
    """A guest whose host goes wrong on command."""

    def __init__(self, machine, path):
        self.machine = machine
        self.path = path

    qmp = property(lambda self: self.machine.qmp)

    def add(self, kind, name="f0", **more):
        self.qmp.command("vmbus-fault-add", id=name, kind=kind, device="vsp0", **more)

    @contextlib.contextmanager
    def fault(self, kind, **more):
        """One fault, for as long as the block; it yields a function that tells how often it hit."""
        self.add(kind, **more)

        def hits():
            return self.qmp.command("query-vmbus-faults")[0]["hit"]
        try:
            yield hits
        finally:
            self.qmp.command("vmbus-fault-remove", id="f0")

    def asked(self):
        """How many events the one fault was asked about."""
        return self.qmp.command("query-vmbus-faults")[0]["matched"]

    def start(self, head=None, limit=300, **options):
        """vspload on the blob, running."""
        if not head:
            options = {"data_len": SIZE, "expect": SEED, **options}
        load = self.machine.start(load_argv(**options), stdin=head or get(self.path), timeout=limit)
        load.wait_output("started")
        return load

    def load(self, **options):
        """Its outcomes: every answer that says 200 has brought the right bytes."""
        out = load_result(self.start(**options).wait())
        assert out["wrong"] == 0
        return out["outcomes"]

    def works(self):
        """One good request, and nothing is left of those before."""
        self.machine.wait_device()
        answer = call(self.machine, get(self.path), data=SIZE, expect=SEED)
        assert (answer.http, answer.data_wrong) == (200, -1)
        self.machine.until(lambda: not any(self.machine.counters()[n] for n in
                                           ("abandoned", "queued", "outstanding")),
                           "the end of all requests")

    def rescind(self):
        """Takes the channel away and waits for the driver to be back on the new one."""
        opens = self.channel()["opens"]
        self.qmp.command("vmbus-rescind", device="vsp0")
        self.wait_opened(opens + 1)

    def wait_opened(self, opens):
        self.machine.until(lambda: self.channel()["opens"] >= opens and
                           self.channel()["state"] == "open", "the channel is open again", 240)
        self.machine.wait_device()

    def channel(self):
        return next(c for c in self.qmp.command("query-vmbus")["channels"]
                    if c.get("device") == "vsp0")


class Appends:
    """A thread that appends blocks to a blob, whose length tells how often that really happened.

    One that is lost makes it too short for the answers, one that is repeated too long.  A blob
    takes 50000 blocks.
    """

    def __init__(self, rig, name, seed, threads=1, timeout=120000, limit=1200):
        self._backend, self._name, self._seed = rig.machine.backend, name, seed
        self._backend.create_append_blob(name)
        head = sharedkey.head("PUT", f"/{sharedkey.ACCOUNT}/{name}?comp=appendblock", None, BLOCK)
        self._load = rig.start(head, limit, threads=threads, loops=0, timeout=timeout,
                               data_len=BLOCK, data_valid=BLOCK, seed=seed)

    def end(self):
        """Stops them; each was answered with success, and happened once.  How many there were."""
        self._load.signal(signal.SIGTERM)
        outcomes = load_result(self._load.wait())["outcomes"]
        assert set(outcomes) == {(0, 0, 201)}, outcomes
        count = outcomes[0, 0, 201]
        blob = self._backend.get_blob(self._name)
        assert len(blob) == count * BLOCK
        assert blob == pattern(BLOCK, self._seed) * count
        return count


@pytest.fixture
def guest(plain_guest):
    """The machine of this file; its kernel must not have leaked anything either."""
    yield plain_guest
    if plain_guest.debug and plain_guest.lost is None:
        leaks = plain_guest.sh(NEW_LEAKS, timeout=300).text
        plain_guest.sh("[ ! -e /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak")
        ours = [leak for leak in leaks.split("unreferenced object") if "hv_azure_blob" in leak]
        assert not ours, ours


@pytest.fixture
def rig(guest, container, target):
    guest.backend.put_blob(f"{container}/blob", pattern(SIZE, SEED))
    it = Rig(guest, target("blob"))
    yield it
    if guest.lost is None:
        for fault in guest.qmp.command("query-vmbus-faults"):
            guest.qmp.command("vmbus-fault-remove", id=fault["fault"]["id"])


@pytest.fixture
def make_rig(make_guest):
    """A machine of its own with a blob to read."""
    def make(**options):
        machine = make_guest(**options)
        machine.backend.create_container("machine")
        machine.backend.put_blob("machine/blob", pattern(SIZE, SEED))
        return Rig(machine, "/devstoreaccount1/machine/blob")
    return make
