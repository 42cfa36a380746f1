# SPDX-License-Identifier: MIT
"""Fixtures for azblob-mount: real mounts on this machine, of a real azblob-vspd.

Tests that take `way` run twice: over HTTP, and over the payload of the driver, where
azblob-mount-over-link plays driver and emulator on the daemon's link socket.
"""

import ctypes
import http.client
import importlib.util
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from azvm import sharedkey  # noqa: E402  pylint: disable=wrong-import-position

# No test may take longer, whatever hangs: then the mounts are ended, and the test fails.
TEST_LIMIT = 300
DEADLINE = 120


def load_client():
    spec = importlib.util.spec_from_file_location("client_fixtures",
                                                  ROOT / "tests/client/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load_client()
BUILD = client.BUILD
ACCOUNT = client.ACCOUNT


def why_no_fuse(directory):
    """Tries to mount without any program of ours; None when that works."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    data = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
    try:
        if libc.mount(b"probe", str(directory).encode(), b"fuse", 0, data):
            return f"mount: {os.strerror(ctypes.get_errno())}"
        libc.umount2(str(directory).encode(), 2)
        return None
    finally:
        os.close(fd)


@pytest.fixture(scope="session", autouse=True)
def fuse(tmp_path_factory):
    reason = why_no_fuse(tmp_path_factory.mktemp("probe"))
    if reason:
        pytest.skip(f"no FUSE on this machine ({reason})")


def until(condition, what):
    """Polls until condition() is true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE} s"
        time.sleep(0.02)


def fails(number, call, *arguments, **more):
    with pytest.raises(OSError) as failure:
        call(*arguments, **more)
    assert failure.value.errno == number, failure.value


class Mount:
    """One azblob-mount in the foreground."""

    alive = set()

    def __init__(self, directory, source, program, options, env=None):
        self.path = directory
        self.log_path = directory.with_suffix(".log")
        directory.mkdir(exist_ok=True)
        # Everything else of a test begins with nothing known from before.
        options = {"attr_timeout": 0, "block_size": "256K", "cache_size": "16M", **options}
        text = ",".join(name if value is None else f"{name}={value}"
                        for name, value in options.items())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(program), "-f", "-o", text, source,
                                             str(directory)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log,
                                            env=env or client.clean_environment())
        Mount.alive.add(self)
        until(lambda: os.path.ismount(directory) or self.process.poll() is not None, "the mount")
        assert self.process.poll() is None, self.log

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def __truediv__(self, name):
        return self.path / name

    def stop(self):
        """Unmounts; whatever a sanitizer has to say fails the test."""
        # Something may still be letting go of it.
        until(lambda: subprocess.run(["fusermount3", "-u", str(self.path)], check=False,
                                     stderr=subprocess.DEVNULL).returncode == 0, "the unmount")
        code = self.process.wait(DEADLINE)
        Mount.alive.discard(self)
        assert code == 0 and "Sanitizer" not in self.log, self.log

    def end(self):
        """After a failure: by force."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["fusermount3", "-uz", str(self.path)], check=False,
                       stderr=subprocess.DEVNULL)
        Mount.alive.discard(self)


@pytest.fixture(autouse=True)
def watchdog():
    def bark():
        for mount in list(Mount.alive):
            mount.process.kill()

    timer = threading.Timer(TEST_LIMIT, bark)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    started = client.Daemon(tmp_path_factory.mktemp("vspd"))
    yield started
    started.stop()


@pytest.fixture
def azblob(daemon):
    return client.over_http(daemon.url)


_boxes = iter(range(10 ** 6))


@pytest.fixture
def box(azblob):
    """A new container's name."""
    name = f"box{next(_boxes)}"
    azblob.ok("container", "create", name)
    return name


def over_http(daemon):
    return BUILD / "client/mount/azblob-mount", {"transport": "http",
                                                 "endpoint": f"{daemon.url}/{ACCOUNT}"}


def over_link(daemon):
    return BUILD / "client/azblob-mount-over-link", {"transport": "driver",
                                                     "device": daemon.link}


@pytest.fixture(params=["http", "driver"])
def way(request, daemon):
    """A program and the options that lead it to the daemon."""
    return over_http(daemon) if request.param == "http" else over_link(daemon)


@pytest.fixture
def mounter(tmp_path):
    """mounter(source, (program, options), **more) mounts; unmounted when the test is done."""
    mounts = []

    def make(source, program_and_options, env=None, **more):
        program, options = program_and_options
        mount = Mount(tmp_path / f"m{len(mounts)}", source, program, {**options, **more}, env)
        mounts.append(mount)
        return mount

    yield make
    try:
        for mount in mounts:
            if mount.process.poll() is None:
                mount.stop()
    finally:
        for mount in mounts:
            if mount in Mount.alive:
                mount.end()


@pytest.fixture
def mount(mounter, way, box):
    """The container `box`, mounted."""
    return mounter(box, way)


class Blobs:
    """What others do to the container meanwhile: requests of our own, without any code of ours."""

    def __init__(self, daemon, box):
        self.port = daemon.port
        self.box = box

    def call(self, method, name, query="", body=None, headers=None, good=(200, 201, 202)):
        path = f"/{ACCOUNT}/{self.box}"
        if name:
            path += "/" + quote(name, safe="/~()!*'")
        target = path + ("?" + query if query else "")
        length = None if body is None else len(body)
        sent = sharedkey.headers(method, target, headers, length)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status in good, (answer.status, data)
        return answer, data

    def put(self, name, data, headers=None, kind="BlockBlob"):
        self.call("PUT", name, body=data, headers={"x-ms-blob-type": kind, **(headers or {})})

    def put_append(self, name, *pieces):
        self.put(name, b"", kind="AppendBlob")
        for piece in pieces:
            self.append(name, piece)

    def append(self, name, data):
        self.call("PUT", name, "comp=appendblock", data)

    def stage(self, name, block_id, data):
        self.call("PUT", name, f"comp=block&blockid={quote(block_id, safe='')}", data)

    def commit(self, name, ids):
        listed = "".join(f"<Latest>{block_id}</Latest>" for block_id in ids)
        self.call("PUT", name, "comp=blocklist", f"<BlockList>{listed}</BlockList>".encode())

    def get(self, name):
        return self.call("GET", name)[1]

    def head(self, name):
        return self.call("HEAD", name)[0].headers

    def there(self, name):
        return self.call("HEAD", name, good=(200, 404))[0].status == 200

    def rm(self, name):
        self.call("DELETE", name)

    def names(self):
        data = self.call("GET", "", "restype=container&comp=list")[1]
        return [entry.text for entry in ElementTree.fromstring(data).iter("Name")]

    def blocks(self, name):
        """Sizes of the committed blocks."""
        data = self.call("GET", name, "comp=blocklist&blocklisttype=committed")[1]
        return [int(size.text) for size in ElementTree.fromstring(data).iter("Size")]


@pytest.fixture
def blobs(daemon, box):
    return Blobs(daemon, box)
