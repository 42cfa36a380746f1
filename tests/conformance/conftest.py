# SPDX-License-Identifier: MIT
"""Fixtures: the daemon, and each client's run of the workload, once."""

import json
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
from blobclient import ACCOUNT, KEY  # noqa: E402

# A client that hangs fails; the slowest needs about a minute on a quiet machine.
LIMIT = 900


def connection_string(port):
    return (f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
            f"BlobSecondaryEndpoint=http://127.0.0.1:{port}/{ACCOUNT}-secondary")


@pytest.fixture(scope="session", name="service")
def start_daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("service")
    running = daemon.Daemon(directory / "store", directory / "log")
    yield running
    running.stop()


class Run:
    """What a client printed: {step: fields}, and its log."""

    def __init__(self, client, service, directory):
        command = [str(word) for word in client.prepare()]
        self.log = directory / "stderr"
        with open(self.log, "wb") as log:
            result = subprocess.run(
                [*command, connection_string(service.port), client.name + "-"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, timeout=LIMIT,
                env=clients.environment(), cwd=directory, check=False)
        self.status = result.returncode
        self.steps = {}
        for line in result.stdout.decode(errors="replace").splitlines():
            fields = json.loads(line)
            self.steps[fields.pop("step")] = fields

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:]


@pytest.fixture(scope="session", name="runs")
def run_each_once(service, tmp_path_factory):
    """A function: the run of a client; one that cannot be had skips its tests and says so."""
    done = {}

    def run(client):
        if client.name not in done:
            try:
                done[client.name] = Run(client, service, tmp_path_factory.mktemp(client.name))
            except clients.NotHad as why:
                done[client.name] = why
        if isinstance(done[client.name], clients.NotHad):
            pytest.skip(f"not run: {done[client.name]}")
        return done[client.name]

    return run
