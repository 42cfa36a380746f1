# SPDX-License-Identifier: MIT
"""Spoiled bytes, lost connections, signals, certificates."""

import os
import random
import select
import signal
import ssl
import subprocess
import threading

import pytest

from conftest import over_http, until
from proxy import Proxy

MIB = 2 ** 20


@pytest.fixture
def proxied(daemon):
    """Makes a command that goes through a proxy, and the proxy."""
    made = []

    def make(spoil=None, tls=None, options=()):
        proxy = Proxy(daemon.port, spoil, tls)
        made.append(proxy)
        return over_http(proxy.url, *options), proxy
    yield make
    for proxy in made:
        proxy.close()


class FlipOnce:
    """Flips one bit in the first @times pieces of one direction that look like bulk data."""

    def __init__(self, direction, times):
        self.direction = direction
        self.times = times
        self.lock = threading.Lock()

    def __call__(self, direction, data):
        with self.lock:
            if direction != self.direction or len(data) < 4000 or not self.times:
                return data
            self.times -= 1
        spoiled = bytearray(data)
        spoiled[-1000] ^= 0x10
        return bytes(spoiled)


@pytest.fixture
def large(http, box, tmp_path):
    """A file of 3 MiB and a blob that holds the same."""
    path = tmp_path / "large"
    path.write_bytes(random.Random(4).randbytes(3 * MIB))
    http.ok("put", path, f"{box}/large")
    return path


def test_a_byte_flipped_on_the_way_down_is_fetched_again(proxied, box, large, tmp_path):
    azblob, _ = proxied(FlipOnce("down", 1))
    result = azblob.ok("--json", "--block-size", "512K", "get", f"{box}/large", tmp_path / "out")
    assert result.json[0]["retries"] == 1
    assert (tmp_path / "out").read_bytes() == large.read_bytes()


def test_bytes_flipped_again_and_again_end_in_an_error_and_no_file(proxied, box, large, tmp_path):
    azblob, _ = proxied(FlipOnce("down", 10 ** 6), options=["--retries", "1"])
    result = azblob.run("get", f"{box}/large", tmp_path / "out")
    assert result.code == 5, result.err
    assert "checksum" in result.err
    assert [path.name for path in tmp_path.iterdir()] == [large.name]


def test_a_byte_flipped_on_the_way_up_is_refused_and_sent_again(proxied, box, large, tmp_path):
    azblob, _ = proxied(FlipOnce("up", 1))
    result = azblob.ok("--json", "--block-size", "512K", "put", large, f"{box}/copy")
    assert result.json[0]["retries"] == 1
    azblob.ok("get", f"{box}/copy", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == large.read_bytes()


def test_bytes_flipped_up_again_and_again_store_nothing(proxied, box, large, http):
    azblob, _ = proxied(FlipOnce("up", 10 ** 6), options=["--retries", "1"])
    for block in ("512K", "8M"):
        result = azblob.run("--block-size", block, "put", large, f"{box}/copy")
        assert result.code == 5, result.err
    assert http.run("stat", f"{box}/copy").code == 3


def test_a_blob_replaced_during_a_download_is_never_mixed(proxied, http, box, large, tmp_path):
    replaced = threading.Event()

    def replace(direction, data):
        # After the first part has come through.
        if direction == "down" and len(data) > 4000 and not replaced.is_set():
            replaced.set()
            http.ok("put", "-", f"{box}/large", stdin=bytes(3 * MIB))
        return data
    azblob, _ = proxied(replace)
    result = azblob.run("--block-size", "512K", "--parallel", "1", "get", f"{box}/large",
                        tmp_path / "out")
    assert result.code == 6 and "ConditionNotMet" in result.err
    assert not (tmp_path / "out").exists()


def drop_answers(method, times):
    """Lets a request through and cuts the connection instead of answering."""
    left = [times]
    doomed = threading.Event()

    def spoil(direction, data):
        if direction == "up" and data.startswith(method) and left[0]:
            left[0] -= 1
            doomed.set()
        elif direction == "down" and doomed.is_set():
            doomed.clear()
            return None
        return data
    return spoil


def test_a_lost_answer_to_a_read_is_asked_for_again(proxied, box, large, tmp_path):
    azblob, _ = proxied(drop_answers(b"GET", 1))
    result = azblob.ok("--json", "--parallel", "1", "get", f"{box}/large", tmp_path / "out")
    assert result.json[0]["retries"] == 1
    assert (tmp_path / "out").read_bytes() == large.read_bytes()


def test_a_lost_answer_to_a_write_is_reported_as_unknown(proxied, http, box):
    azblob, _ = proxied(drop_answers(b"PUT", 1))
    result = azblob.run("--json", "put", "/etc/hostname", f"{box}/w")
    assert result.code == 1
    assert "whether it took effect is unknown" in result.err
    assert result.json[0]["outcome_unknown"] is True
    # It did, in this case.
    http.ok("stat", f"{box}/w")
    azblob, _ = proxied(drop_answers(b"DELETE", 1))
    assert "unknown" in azblob.run("rm", f"{box}/w").err
    assert http.run("stat", f"{box}/w").code == 3


def test_an_answer_that_never_comes_ends_with_the_time_out(proxied, box, large):
    hang = threading.Event()

    def swallow(direction, data):
        if direction == "down":
            hang.wait(60)
            return None
        return data
    azblob, _ = proxied(swallow, options=["--timeout", "1", "--retries", "0"])
    result = azblob.run("stat", f"{box}/large")
    hang.set()
    assert result.code == 1 and "no progress for 1000 ms" in result.err


@pytest.mark.parametrize("command", ["put", "get"])
def test_sigint_leaves_nothing_behind(proxied, http, box, large, tmp_path, command):
    moving, hang = threading.Event(), threading.Event()

    def stall(direction, data):
        # The first bulk piece gets through, then all stands still.
        if len(data) > 4000:
            if moving.is_set():
                hang.wait(60)
            moving.set()
        return data
    azblob, _ = proxied(stall)
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["get", f"{box}/large", out / "x"] if command == "get" else \
        ["put", large, f"{box}/x"]
    process = azblob.start("--block-size", "512K", *arguments)
    assert moving.wait(60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    hang.set()
    assert process.returncode == 130
    assert not list(out.iterdir())
    assert http.run("stat", f"{box}/x").code == 3


def test_a_signal_ends_a_request_whose_answer_does_not_come(proxied, box, large):
    sent, hang = threading.Event(), threading.Event()

    def swallow(direction, data):
        if direction == "down":
            sent.set()
            hang.wait(300)
            return None
        return data
    azblob, _ = proxied(swallow, options=["--timeout", "3600"])
    process = azblob.start("rm", f"{box}/large")
    assert sent.wait(300)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    hang.set()
    # A program that was ended would say nothing.
    assert process.returncode == 130
    assert b"large: cancelled; whether it took effect is unknown" in err


def test_a_signal_ends_the_requests_of_a_measurement(proxied, http):
    asked, hang = threading.Event(), threading.Event()

    def swallow(direction, data):
        if direction == "up" and data.startswith(b"GET") and b"/bench-" in data:
            asked.set()
            hang.wait(300)
            return None
        return data
    azblob, _ = proxied(swallow, options=["--timeout", "3600"])
    process = azblob.start("bench", "--test", "read", "--size", "4K", "--processes", "2",
                           "--threads", "2", "--requests", "5", "--rounds", "1")
    assert asked.wait(300)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    hang.set()
    assert process.returncode == 130
    # It has come to an end by itself, and so has cleaned up.
    assert not [name for name in http.ok("container", "ls").lines if "azblob-bench" in name]


def test_sigterm_before_anything_is_read(azblob, box):
    read_end, write_end = os.pipe()
    process = azblob.start("put", "-", f"{box}/x", stdin=read_end)
    os.close(read_end)
    # Taken once everything that follows is ready for signals: the pipe is being read.
    os.write(write_end, bytes(65536))
    os.write(write_end, b"x")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    os.close(write_end)
    assert process.returncode == 143


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)
    return directory


def test_https_only_with_a_certificate_that_is_trusted(proxied, box, large, certificate, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    azblob, _ = proxied(tls=context)
    refused = azblob.run("ls", box)
    assert refused.code == 1 and "certificate" in refused.err
    assert "unknown" not in refused.err
    azblob.ok("--ca-file", certificate / "cert.pem", "get", f"{box}/large", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == large.read_bytes()
    missing = azblob.run("--ca-file", certificate / "none.pem", "ls", box)
    assert missing.code == 1


def test_connections_are_kept(proxied, box, tmp_path):
    azblob, proxy = proxied()
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(40):
        (tree / str(number)).write_bytes(b"x")
    azblob.ok("--parallel", "2", "put", "-r", tree, box)
    assert proxy.connections <= 3


def test_a_terminal_shows_a_bar_and_a_pipe_does_not(proxied, box, large, tmp_path):
    go = threading.Event()
    passed = 0

    def slow(direction, data):
        nonlocal passed
        if direction == "down":
            passed += len(data)
            # Two of six parts are through, in whatever pieces they came.
            if passed > 5 * MIB // 4:
                go.wait(300)
        return data
    azblob, _ = proxied(slow, options=["--block-size", "512K", "--parallel", "1"])
    terminal, side = os.openpty()
    process = azblob.start("get", f"{box}/large", tmp_path / "out", stdout=side, stderr=side)
    os.close(side)
    shown = bytearray()
    ended = threading.Event()

    def read():
        """What is there by now; a terminal without its other side is at its end."""
        while not ended.is_set() and select.select([terminal], [], [], 0)[0]:
            try:
                more = os.read(terminal, 4096)
            except OSError:
                more = b""
            shown.extend(more)
            if not more:
                ended.set()
        return shown
    until(lambda: b"left" in read() or ended.is_set(), "the bar")
    assert not ended.is_set(), shown
    go.set()
    until(lambda: read() and ended.is_set(), "the end")
    os.close(terminal)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "get [" in text and "% " in text and "of 3.0 MiB" in text and "/s" in text
    # The bar is gone at the end; the summary stays.
    assert text.rstrip().splitlines()[-1].lstrip("\r\x1b[K").startswith("azblob: get: 1 file, 3.0 MiB")
    assert azblob.ok("get", f"{box}/large", tmp_path / "out").err == ""
