# SPDX-License-Identifier: MIT
"""Large bodies whose daemon is killed and comes back: their handles are gone with it.

azblob-over-link then does as the emulator: it connects again and sends what was unanswered once more.
"""

import random

import pytest

from conftest import BUILD, Azblob, Daemon, over_http

MIB = 2 ** 20
SIZE = 24 * MIB
READ = 6 * MIB


class Machine:
    """A daemon that may be killed, and the command over its link."""

    def __init__(self, directory):
        self.daemon = Daemon(directory)
        self.over_link = Azblob(BUILD / "client/azblob-over-link",
                                ["--transport", "driver", "--device", self.daemon.link,
                                 "--block-size", "256K"])
        self.over_link.env["AZBLOB_LINK_RETURNS"] = "1"
        self.http.ok("container", "create", "box")

    @property
    def http(self):
        return over_http(self.daemon.url)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.daemon.stop()


@pytest.fixture
def data():
    return random.Random(7).randbytes(SIZE)


def half_read(machine, *options):
    """A download into a pipe that is full: some of it is read, and the rest needs the handle."""
    get = machine.over_link.start(*options, "get", "box/large", "-")
    return get, get.stdout.read(READ)


def rest(get):
    out, err = get.communicate(timeout=300)
    assert get.returncode != 99 and "Sanitizer" not in err.decode(), err
    return out, err.decode()


def test_a_download_goes_on_after_the_daemon_was_killed(machine, data, tmp_path):
    (tmp_path / "large").write_bytes(data)
    machine.http.ok("put", tmp_path / "large", "box/large")
    get, first = half_read(machine)
    for _ in range(2):
        machine.daemon.kill()
        machine.daemon.start()
        first += get.stdout.read(READ)
    out, err = rest(get)
    assert get.returncode == 0, err
    assert first + out == data


def test_a_download_does_not_go_on_with_another_version(machine, data, tmp_path):
    (tmp_path / "large").write_bytes(data)
    machine.http.ok("put", tmp_path / "large", "box/large")
    get, first = half_read(machine)
    machine.daemon.kill()
    machine.daemon.start()
    # The requests that the daemon had are sent again, and find no handle; what they ask for then is
    # refused when this is done, and answered when it is not yet: the test is about the bytes.
    machine.http.ok("put", "-", "box/large", stdin=bytes(SIZE))
    out, err = rest(get)
    if get.returncode == 0:
        assert first + out == data
    else:
        assert "ConditionNotMet" in err
        assert data.startswith(first + out)


def test_without_repetitions_a_lost_handle_is_an_error(machine, data, tmp_path):
    (tmp_path / "large").write_bytes(data)
    machine.http.ok("put", tmp_path / "large", "box/large")
    get, first = half_read(machine, "--retries", "0")
    machine.daemon.kill()
    machine.daemon.start()
    out, err = rest(get)
    assert get.returncode != 0 and "HandleNotFound" in err
    assert data.startswith(first + out)
