# SPDX-License-Identifier: MIT
"""Fixtures of the relay's tests.

`storage` is a relay in front of a real server (Azurite, and this project's own daemon), both over
TLS with a certificate made here.  `fake` is a server that misbehaves as told.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "http"))

from blobclient import connected, new_container  # noqa: E402
from fake import Fake  # noqa: E402
from servers import Azurite, Certificates, OwnUpstream, Vspd, key_file, relay_store  # noqa: E402

# `make check` leaves Azurite to `make relay-test`, which sets this: it has to be fetched.
UPSTREAMS = {"vspd": OwnUpstream, "azurite": Azurite}
CHOSEN = os.environ.get("RELAY_UPSTREAMS", "vspd").split(",")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session", params=CHOSEN)
def upstream(request, tmp_path_factory, certificates):
    server = UPSTREAMS[request.param](tmp_path_factory.mktemp(request.param) / "server",
                                      certificates)
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path, certificates):
    """start(url, **options) -> a relay; ended with the test, and it must end well."""
    running = []

    def start_relay(url, daemon_options=(), env=None, key=True, **options):
        folder = tmp_path / ("relay%d" % len(running))
        if key:
            options.setdefault("key_file", key_file(folder))
        relay = Vspd(folder, relay_store(url, certificates, **options), daemon_options, env)
        running.append(relay)
        return relay

    yield start_relay
    for relay in running:
        relay.stop()


@pytest.fixture(scope="session")
def storage(upstream, tmp_path_factory, certificates):
    """A relay to a real server, with the account's key."""
    folder = tmp_path_factory.mktemp("relay")
    relay = Vspd(folder, relay_store(upstream.url, certificates, key_file=key_file(folder)))
    yield relay
    relay.stop()


@pytest.fixture
def client(storage):
    with connected(storage.port) as made:
        yield made


@pytest.fixture
def container(client):
    return new_container(client, "relay")


@pytest.fixture
def fake(certificates):
    server = Fake(certificates)
    yield server
    server.stop()


@pytest.fixture
def relay(start, fake):
    """A relay to the server that misbehaves."""
    return start("https://127.0.0.1:%d/devstoreaccount1" % fake.port)


@pytest.fixture
def through(relay):
    with connected(relay.port) as made:
        yield made
