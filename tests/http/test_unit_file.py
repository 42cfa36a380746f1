# SPDX-License-Identifier: MIT
"""The systemd unit: accepted by systemd, a sandbox by its own measure, and its options are ours."""

import os
import re
import shutil
import subprocess

import pytest
from daemon import ROOT, Daemon, binary

UNIT = os.path.join(ROOT, "vsp-backend", "azblob-vspd.service")
CONFIG = os.path.join(ROOT, "vsp-backend", "vspd.conf")


@pytest.fixture
def unit(tmp_path):
    """As it is installed, with this tree's daemon."""
    with open(UNIT, encoding="utf-8") as text:
        filled = text.read().replace("@sbindir@/azblob-vspd", binary())
    path = tmp_path / "azblob-vspd.service"
    path.write_text(filled.replace("@docdir@", str(tmp_path)))
    return path


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True,
                          timeout=120, check=False)


def test_systemd_accepts_the_unit(unit):
    result = analyze("verify", "--man=no", unit)
    complaints = [line for line in result.stderr.splitlines() if unit.name in line]
    assert result.returncode == 0 and not complaints, result.stderr


def test_systemd_finds_the_sandbox_tight(unit):
    result = analyze("security", "--offline=true", "--threshold=20", unit)
    assert result.returncode == 0, result.stdout + result.stderr
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", result.stdout).group(1))
    assert exposure <= 2.0


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
