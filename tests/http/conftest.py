# SPDX-License-Identifier: MIT
"""One daemon for all tests of a file; a container of its own for each test."""

import pytest

from blobclient import Client, connected, new_container
from daemon import Daemon


def pytest_configure(config):
    config.addinivalue_line("markers", "door: about the daemon's own door, not for a gateway's "
                            "(AZBLOB_THROUGH, see daemon.py)")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("daemon")
    running = Daemon(folder / "store", folder / "log",
                     ["--account", "second:QUJDREVGR0hJSktMTU5PUA==:c2Vjb25kIGtleSBvZiBpdA==",
                      "--account", "devstoreaccount1:" + Client(0).key, "--log-level", "debug"])
    yield running
    running.stop()


@pytest.fixture
def client(daemon):
    with connected(daemon.port) as made:
        yield made


@pytest.fixture
def container(client):
    return new_container(client, "test")
