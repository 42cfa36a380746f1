# SPDX-License-Identifier: MIT
"""The systemd unit: accepted by systemd, and the mount comes back after a crash."""

import errno
import os
import shlex
import signal
import subprocess
import sys

import pytest

from conftest import ACCOUNT, BUILD, ROOT, client, fails, until

sys.path.append(str(ROOT / "tests/http"))

import unitfile  # noqa: E402  pylint: disable=wrong-import-position

UNIT = ROOT / "client/mount/azblob-mount@.service"
PROGRAM = BUILD / "client/mount/azblob-mount"


def test_systemd_accepts_the_unit(tmp_path):
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("ExecStart=azblob-mount", f"ExecStart={PROGRAM}"))
    unitfile.check_accepted(path)


class Unit:
    """Does what the unit says, as systemd would, with a directory and an account of the test."""

    def __init__(self, box, where, credentials, daemon):
        text = UNIT.read_text().replace("/mnt/azblob/%i", str(where)).replace("%i", box)
        text = text.replace("/etc/azblob/credentials",
                            f"{credentials},transport=http,endpoint={daemon.url}/{ACCOUNT}")
        self.lines = [line.split("=", 1) for line in text.splitlines()
                      if line.startswith("Exec")]
        self.where = where
        self.process = None

    def commands(self, key):
        return [shlex.split(value) for name, value in self.lines if name == key]

    def start(self):
        for command in self.commands("ExecStartPre"):
            optional = command[0].startswith("-")
            command[0] = command[0].removeprefix("-")
            subprocess.run(command, check=not optional, stderr=subprocess.DEVNULL)
        command, = self.commands("ExecStart")
        assert command[0] == "azblob-mount"
        self.process = subprocess.Popen([str(PROGRAM), *command[1:]], stdin=subprocess.DEVNULL,
                                        env=client.clean_environment())
        until(lambda: os.path.ismount(self.where) or self.process.poll() is not None, "the mount")
        assert self.process.poll() is None

    def stop(self):
        command, = self.commands("ExecStop")
        until(lambda: subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0,
              "the unmount")
        assert self.process.wait(120) == 0

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["fusermount3", "-uz", str(self.where)], check=False,
                       stderr=subprocess.DEVNULL)


@pytest.fixture
def unit(box, tmp_path, daemon):
    credentials = tmp_path / "credentials"
    credentials.write_text("# the environment has them\n")
    made = Unit(box, tmp_path / "m", credentials, daemon)
    yield made
    made.end()


def test_it_comes_back_after_a_crash(unit, blobs):
    blobs.put("f", b"there")
    unit.start()
    assert (unit.where / "f").read_bytes() == b"there"
    file = os.open(unit.where / "f", os.O_RDONLY)
    unit.process.send_signal(signal.SIGKILL)
    unit.process.wait()
    # Nobody writes to what is below it by mistake.
    fails(errno.ENOTCONN, open, unit.where / "new", "xb")
    unit.start()
    assert (unit.where / "f").read_bytes() == b"there"
    fails(errno.ENOTCONN, os.close, file)
    unit.stop()
    assert not os.path.ismount(unit.where)
