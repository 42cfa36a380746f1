# SPDX-License-Identifier: MIT
"""Fixtures for the tests of the azblob command against a real azblob-vspd.

Tests that take `azblob` run twice: over HTTP, and over the payload of the driver, where
azblob-over-link plays driver and emulator on the daemon's link socket.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))
# With sanitizers where that was built.
BUILD = Path(os.environ.get("AZBLOB_BUILD") or next(
    (ROOT / name for name in ("build-asan", "build") if (ROOT / name / "build.ninja").exists()),
    ROOT / "build"))
ACCOUNT = "devstoreaccount1"

# A shell that starts this in the background has it ignore SIGINT, and azblob would rightly inherit
# that.  With a handler here, programs start with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)


def clean_environment():
    """Without what the caller's shell knows of storage accounts and proxies."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("AZURE_STORAGE") and not name.lower().endswith("_proxy")}
    env["AZURE_STORAGE_CONNECTION_STRING"] = "UseDevelopmentStorage=true"
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:exitcode=99")
    return env


def until(condition, what, timeout=120):
    """Polls until condition() gives something true, which it returns."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        time.sleep(0.05)
    return value


class Daemon:
    """One azblob-vspd with both doors and a directory of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.link = str(directory / "link.sock")
        self.log = directory / "vspd.log"
        self.start()

    def start(self):
        """Again on the same store and link, after a kill(); the HTTP door gets another port."""
        directory = self.directory
        read_end, write_end = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(BUILD / "vsp-backend/azblob-vspd"), "--store",
                 f"local,path={directory / 'store'}", "--http", "127.0.0.1:0", "--link", self.link,
                 "--drain", "1", "--container-retention", "1", "--ready-fd", str(write_end)],
                pass_fds=[write_end], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=clean_environment())
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            line = ready.readline()
        assert line.startswith("ready"), self.log.read_text()
        self.url = next(word for word in line.split() if word.startswith("http://")).rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait(60)

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert code == 0, f"exit {code}: {self.log.read_text()}"


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode(errors="replace")
        # A sanitizer's report is never what a test expects.
        assert self.code != 99 and "Sanitizer" not in self.err, self.err

    @property
    def lines(self):
        return self.out.decode().splitlines()

    @property
    def json(self):
        return [json.loads(line) for line in self.lines]


class Azblob:
    """The command with the options that lead it to the daemon."""

    def __init__(self, program, options):
        self.program = str(program)
        self.options = options
        self.env = clean_environment()

    def start(self, *arguments, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([self.program, *self.options, *map(str, arguments)],
                                env=self.env, **options)

    def run(self, *arguments, stdin=b"", **options):
        return Result(subprocess.run([self.program, *self.options, *map(str, arguments)],
                                     input=stdin, capture_output=True, env=self.env, timeout=300,
                                     check=False, **options))

    def ok(self, *arguments, **options):
        result = self.run(*arguments, **options)
        assert result.code == 0, result.err
        return result


def over_http(url, *more):
    return Azblob(BUILD / "client/cli/azblob",
                  ["--transport", "http", "--endpoint", f"{url}/{ACCOUNT}", *more])


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    started = Daemon(tmp_path_factory.mktemp("vspd"))
    yield started
    started.stop()


@pytest.fixture(params=["http", "driver"])
def azblob(request, daemon):
    if request.param == "http":
        return over_http(daemon.url)
    return Azblob(BUILD / "client/azblob-over-link",
                  ["--transport", "driver", "--device", daemon.link])


@pytest.fixture
def http(daemon):
    return over_http(daemon.url)


_containers = iter(range(10 ** 6))


@pytest.fixture
def box(http):
    """A new container's name."""
    name = f"box{next(_containers)}"
    http.ok("container", "create", name)
    return name
