# SPDX-License-Identifier: MIT
"""Fixtures for the tests of azblob-gateway; gateways.py has what they start."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(ROOT / "tests/http"))

from blobclient import Client  # noqa: E402  pylint: disable=wrong-import-position
from gateways import Backend, Gateway  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="session")
def backend(tmp_path_factory):
    """One for the tests that leave it as it is."""
    running = Backend(tmp_path_factory.mktemp("vspd"))
    yield running
    running.end()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory, backend):
    running = Gateway(tmp_path_factory.mktemp("gateway"), backend.link)
    yield running
    running.stop()


@pytest.fixture
def own(tmp_path):
    """A backend of the test's own."""
    running = Backend(tmp_path)
    yield running
    running.end()


@pytest.fixture
def start(tmp_path):
    """Starts gateways, and ends them after the test."""
    started = []

    def make(*arguments, **options):
        started.append(Gateway(tmp_path, *arguments, **options))
        return started[-1]
    yield make
    for one in started:
        one.stop()


@pytest.fixture
def client(gateway):
    connected = Client(gateway.port, timeout=300)
    yield connected
    connected.close()


@pytest.fixture
def direct(backend):
    """The daemon's own HTTP door."""
    connected = Client(backend.port, timeout=300)
    yield connected
    connected.close()


_containers = iter(range(10 ** 6))


@pytest.fixture
def box(direct):
    """A new container."""
    name = f"box{next(_containers)}"
    assert direct.create_container(name).status == 201
    return name
