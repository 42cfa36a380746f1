# SPDX-License-Identifier: MIT
"""Fixtures: the daemon, and each client's run of the workload, once, here or in a guest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "http"))

# pylint: disable=wrong-import-position
import clients  # noqa: E402
import daemon  # noqa: E402
from azvm.agent import AgentError  # noqa: E402
from azvm.guest import GuestError  # noqa: E402
from blobclient import ACCOUNT, KEY  # noqa: E402
from machine import Machine  # noqa: E402

# A client that hangs fails; the slowest needs about a minute on a quiet machine.
LIMIT = 900


DOORS = {"http": "the daemon's HTTP door, clients here",
         "gateway": "azblob-gateway in a guest, clients in the guest",
         "network": "the daemon's HTTP door over the guest's network, clients in the guest"}


def pytest_addoption(parser):
    parser.addoption("--door", choices=DOORS, default="http",
                     help="; ".join(f"{name}: {what}" for name, what in DOORS.items()))
    parser.addoption("--guest-kernel", default=os.environ.get("KERNEL", "6.12"),
                     help="a name for scripts/kernel, or a directory like its")


def allowed():
    """{name: why}: clients whose absence fails nothing."""
    named = [name for name in os.environ.get("CONFORMANCE_MISSING", "").split(",") if name]
    unknown = set(named) - set(clients.NAMES)
    if unknown:
        raise pytest.UsageError(f"CONFORMANCE_MISSING: no client called {', '.join(sorted(unknown))}; "
                                f"there are: {' '.join(clients.NAMES)}")
    found = dict.fromkeys(named, "CONFORMANCE_MISSING names it")
    for line in (HERE.parents[1] / "ci" / "allowed-skips").read_text(encoding="utf-8").splitlines():
        name, _, why = line.partition(" ")
        if name.startswith("conformance/"):
            found[name.removeprefix("conformance/")] = why.strip()
    return found


def pytest_configure(config):
    config.allowed_missing = allowed()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What could not be run has failed, unless a person has allowed that by its name."""
    report = (yield).get_result()
    missing = item.config.allowed_missing
    if call.excinfo and call.excinfo.errisinstance(clients.NotHad):
        name = call.excinfo.value.name
        if name in missing:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1],
                               f"not run: {call.excinfo.value} (allowed: {missing[name]})")
        else:
            report.longrepr = f"not run: {call.excinfo.value}\nCONFORMANCE_MISSING={name} allows that"
    elif report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a test skips by clients.NotHad alone: {report.longrepr[2]}"


def pytest_ignore_collect(collection_path, config):
    """Each test file is for the clients here, for those in a guest, or for both."""
    doors = {"test_tools.py": ["http"], "test_missing.py": ["http"],
             "test_in_guest.py": ["gateway"], "test_sdk_page.py": ["gateway"]}
    return config.getoption("--door") not in doors.get(collection_path.name, DOORS) or None


def connection_string(port, host="127.0.0.1"):
    return (f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://{host}:{port}/{ACCOUNT};"
            f"BlobSecondaryEndpoint=http://{host}:{port}/{ACCOUNT}-secondary")


@pytest.fixture(scope="session", name="service")
def start_daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("service")
    running = daemon.Daemon(directory / "store", directory / "log")
    yield running
    running.stop()


class Run:
    """What a client printed: {step: fields}, how it ended, and the end of what it said besides.

    requests: how many the guest's driver was given meanwhile.
    """

    def __init__(self, status, stdout, stderr, requests=0):
        self.status = status
        self.requests = requests
        self.steps = {}
        self._said = stderr.decode(errors="replace")[-3000:]
        for line in stdout.decode(errors="replace").splitlines():
            fields = json.loads(line)
            self.steps[fields.pop("step")] = fields

    def tail(self):
        return self._said


def run_here(client, service, directory):
    command = [str(word) for word in client.prepare()]
    result = subprocess.run([*command, connection_string(service.port), client.name + "-"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            timeout=LIMIT, env=clients.environment(), cwd=directory, check=False)
    return Run(result.returncode, result.stdout, result.stderr)


def run_in_guest(client, machine):
    """A guest that is lost, or a client that does not end, fails its tests with the console kept."""
    try:
        before = machine.counters()["submitted"]
        result = machine.run(client, connection_string(machine.port, machine.host), client.name + "-")
        said = result.stderr
        if result.timed_out:
            raise AgentError(f"{client.name} ran longer than its limit: {said.decode(errors='replace')[-2000:]}")
        requests = machine.counters()["submitted"] - before
    except (AgentError, GuestError) as error:
        raise AgentError(f"{error}\nconsole and logs: {machine.keep(client.name)}") from error
    return Run(result.status, result.stdout, said, requests)


@pytest.fixture(scope="session", name="machine")
def boot(request):
    """The guest, with all clients that can be had."""
    machine = Machine(clients.CLIENTS, request.config.getoption("--guest-kernel"),
                      request.config.getoption("--door"))
    yield machine
    if request.session.testsfailed:
        machine.keep("guest")
    machine.stop()


@pytest.fixture(scope="session", name="runs")
def run_each_once(request, tmp_path_factory):
    """A function: the run of a client, or what kept it from running."""
    done = {}

    def perform(client):
        try:
            if request.config.getoption("--door") == "http":
                return run_here(client, request.getfixturevalue("service"),
                                tmp_path_factory.mktemp(client.name))
            return run_in_guest(client, request.getfixturevalue("machine"))
        except (clients.NotHad, clients.NotBuilt, AgentError, subprocess.TimeoutExpired) as why:
            return why

    def run(client):
        if client.name not in done:
            done[client.name] = perform(client)
        found = done[client.name]
        if isinstance(found, Exception):
            raise found
        return found

    return run
