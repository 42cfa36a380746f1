# SPDX-License-Identifier: MIT
"""The systemd unit: accepted by systemd, a sandbox by its own measure, and its options are ours."""

import os

import pytest
import unitfile
from daemon import ROOT, Daemon, binary

UNIT = os.path.join(ROOT, "vsp-backend", "azblob-vspd.service")
CONFIG = os.path.join(ROOT, "vsp-backend", "vspd.conf")


@pytest.fixture
def unit(tmp_path):
    return unitfile.fill(UNIT, binary(), tmp_path)


def test_systemd_accepts_the_unit(unit):
    unitfile.check_accepted(unit)


def test_systemd_finds_the_sandbox_tight(unit):
    unitfile.check_sandbox(unit)


def test_the_example_configuration_works(tmp_path):
    with open(CONFIG, encoding="utf-8") as text:
        lines = text.read()
    # its own places are the system's
    lines = lines.replace("local,path=/var/lib/azblob/store", "local,path=%s/store" % tmp_path)
    lines = lines.replace("/run/azblob", str(tmp_path)).replace("http 127.0.0.1:10000\n", "")
    assert "/var" not in lines and "/run" not in lines
    path = tmp_path / "vspd.conf"
    path.write_text(lines.replace("store local", "#store local"))
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--config", str(path)])
    assert (tmp_path / "metrics").is_socket() and (tmp_path / "vsp.sock").is_socket()
    daemon.stop()
