# SPDX-License-Identifier: MIT
"""A transfer that was stopped goes on where it was, and what it makes is right whatever happened."""

import random
import signal
import threading

import pytest

from conftest import ACCOUNT, over_http, until
from proxy import Proxy

BLOCK = 64 * 1024
BLOCKS = 40
SMALL = ("--block-size", "64K")


@pytest.fixture
def large(http, box, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(random.Random(5).randbytes(BLOCKS * BLOCK - 7))
    http.ok("put", path, f"{box}/large")
    return path


@pytest.fixture
def proxied(daemon):
    made = []

    def make(spoil=None):
        proxy = Proxy(daemon.port, spoil)
        made.append(proxy)
        return over_http(proxy.url, *SMALL)
    yield make
    for proxy in made:
        proxy.close()


def real(azblob, daemon):
    """The same command, whichever way it goes, for the address that the proxy hides."""
    azblob.options = [*azblob.options, *SMALL, "--endpoint", f"{daemon.url}/{ACCOUNT}"]
    return azblob


class StallAfter:
    """Lets so many bytes of one direction pass, and then nothing more."""

    def __init__(self, direction, count):
        self.direction = direction
        self.left = count
        self.stalled, self.go = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    def __call__(self, direction, data):
        if direction == self.direction:
            with self.lock:
                self.left -= len(data)
            if self.left < 0 and not self.go.is_set():
                self.stalled.set()
                self.go.wait(300)
                return None
        return data


def pieces(directory):
    states = list(directory.glob(".azblob-*.state"))
    return len(states[0].read_text().splitlines()) - 4 if states else 0


def wait_for_pieces(process, directory, at_least):
    def written():
        count = pieces(directory)
        assert process.poll() is None
        return count >= at_least
    until(written, f"{at_least} pieces written down")


def stopped_get(proxied, name, directory, number, at_least=8):
    """Ends a download in the middle; its address is then made to be the daemon's own."""
    stall = StallAfter("down", 20 * BLOCK)
    azblob = proxied(stall)
    process = azblob.start("get", name, directory / "out")
    assert stall.stalled.wait(60)
    # What has come through is written down.
    wait_for_pieces(process, directory, at_least)
    process.send_signal(number)
    process.communicate(timeout=60)
    stall.go.set()
    assert process.returncode == (128 + number if number == signal.SIGINT else -number)
    assert not (directory / "out").exists()
    return azblob


def again(azblob, name, directory, *options):
    return azblob.ok("--json", *options, "get", name, directory / "out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_download_goes_on(proxied, box, large, tmp_path, number):
    directory = tmp_path / "out"
    directory.mkdir()
    azblob = stopped_get(proxied, f"{box}/large", directory, number)
    line = again(azblob, f"{box}/large", directory).json[0]
    assert line["resumed"] >= 8 * BLOCK
    assert line["bytes"] == BLOCKS * BLOCK - 7
    assert line["verified"] is True
    # One of them is the HEAD that is not counted; nothing that was there came again.
    assert line["requests"] <= BLOCKS - 8
    assert (directory / "out").read_bytes() == large.read_bytes()
    assert [path.name for path in directory.iterdir()] == ["out"]


def test_what_was_spoiled_on_disk_is_fetched_again(proxied, box, large, tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    azblob = stopped_get(proxied, f"{box}/large", directory, signal.SIGKILL)
    part = next(directory.glob(".azblob-*.part"))
    data = bytearray(part.read_bytes())
    data[10] ^= 1
    part.write_bytes(data[:5 * BLOCK + 1])
    # And a line that a crash has cut off.
    state = next(directory.glob(".azblob-*.state"))
    state.write_bytes(state.read_bytes()[:-3])
    line = again(azblob, f"{box}/large", directory).json[0]
    assert 0 < line["resumed"] <= 4 * BLOCK
    assert (directory / "out").read_bytes() == large.read_bytes()


@pytest.mark.parametrize("spoil", ["nonsense", ""])
def test_a_state_that_makes_no_sense_is_not_used(proxied, box, large, tmp_path, spoil):
    directory = tmp_path / "out"
    directory.mkdir()
    azblob = stopped_get(proxied, f"{box}/large", directory, signal.SIGKILL)
    next(directory.glob(".azblob-*.state")).write_text(spoil)
    assert again(azblob, f"{box}/large", directory).json[0]["resumed"] == 0
    assert (directory / "out").read_bytes() == large.read_bytes()
    assert [path.name for path in directory.iterdir()] == ["out"]


def test_a_blob_that_was_replaced_meanwhile_comes_anew(proxied, http, box, large, tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    azblob = stopped_get(proxied, f"{box}/large", directory, signal.SIGINT)
    data = random.Random(6).randbytes(BLOCKS * BLOCK - 7)
    http.ok("put", "-", f"{box}/large", stdin=data)
    done = again(azblob, f"{box}/large", directory)
    assert "has changed" in done.err and done.json[0]["resumed"] == 0
    assert (directory / "out").read_bytes() == data
    assert [path.name for path in directory.iterdir()] == ["out"]


def test_no_resume_leaves_nothing_and_resume_keeps_less(proxied, box, large, tmp_path):
    for option, kept in (("--no-resume", 0), ("--resume", 2)):
        directory = tmp_path / option
        directory.mkdir()
        stall = StallAfter("down", 20 * BLOCK)
        azblob = proxied(stall)
        # Ten parts: fewer than are kept without being asked.
        process = azblob.start("--block-size", "256K", option, "get", f"{box}/large",
                               directory / "out")
        assert stall.stalled.wait(60)
        if kept:
            wait_for_pieces(process, directory, 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        stall.go.set()
        assert len(list(directory.iterdir())) == kept


def test_a_stopped_upload_goes_on(proxied, http, box, large):
    stall = StallAfter("up", 20 * BLOCK)
    azblob = proxied(stall)
    process = azblob.start("put", large, f"{box}/up")
    assert stall.stalled.wait(60)
    process.kill()
    process.communicate(timeout=60)
    stall.go.set()
    assert http.run("stat", f"{box}/up").code == 3
    line = azblob.ok("--json", "put", large, f"{box}/up").json[0]
    assert line["resumed"] >= 8 * BLOCK and line["resumed"] % BLOCK == 0
    assert line["bytes"] == BLOCKS * BLOCK - 7
    assert http.ok("cat", f"{box}/up").out == large.read_bytes()


def test_only_what_has_changed_is_sent(azblob, daemon, box, large):
    azblob = real(azblob, daemon)
    first = azblob.ok("--json", "put", large, f"{box}/b").json[0]
    assert first["resumed"] == 0
    data = bytearray(large.read_bytes())
    data[3 * BLOCK] ^= 1
    large.write_bytes(data + b"more")
    second = azblob.ok("--json", "put", large, f"{box}/b").json[0]
    assert second["resumed"] == (BLOCKS - 2) * BLOCK
    assert azblob.ok("cat", f"{box}/b").out == bytes(data) + b"more"
    # A stream is not known to be long; asked for, it works as well.
    third = azblob.ok("--json", "put", "--resume", "-", f"{box}/b", stdin=bytes(data)).json[0]
    assert third["resumed"] == (BLOCKS - 1) * BLOCK
    assert azblob.ok("cat", f"{box}/b").out == bytes(data)
    refused = azblob.run("put", "--no-clobber", large, f"{box}/b")
    assert refused.code == 6 and "BlobAlreadyExists" in refused.err


def test_two_downloads_to_one_name_do_not_meet(proxied, box, large, tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    stall = StallAfter("down", 20 * BLOCK)
    azblob = proxied(stall)
    process = azblob.start("get", f"{box}/large", directory / "out")
    assert stall.stalled.wait(60)
    wait_for_pieces(process, directory, 1)
    stall.direction = "none"
    assert again(azblob, f"{box}/large", directory).json[0]["resumed"] == 0
    assert (directory / "out").read_bytes() == large.read_bytes()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    stall.go.set()
