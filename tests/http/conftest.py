# SPDX-License-Identifier: MIT
"""One daemon for all tests of a file; a container of its own for each test."""

import itertools

import pytest

from blobclient import Client
from daemon import Daemon

COUNTER = itertools.count()


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
    connected = Client(daemon.port)
    yield connected
    connected.close()


@pytest.fixture
def container(client):
    name = "test-%d" % next(COUNTER)
    answer = client.create_container(name)
    assert answer.status == 201, answer
    return name
