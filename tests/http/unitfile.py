# SPDX-License-Identifier: MIT
"""systemd's own opinion of a unit file of ours."""

import os
import re
import shutil
import subprocess

import pytest


def fill(template, program, folder):
    """As it is installed, but with this tree's program; returns where it is, in folder."""
    name = os.path.basename(template)
    with open(template, encoding="utf-8") as text:
        filled = text.read().replace("@sbindir@/" + name.removesuffix(".service"), program)
    path = folder / name
    path.write_text(filled.replace("@docdir@", str(folder)))
    return path


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True,
                          timeout=120, check=False)


def check_accepted(unit):
    result = analyze("verify", "--man=no", unit)
    complaints = [line for line in result.stderr.splitlines() if unit.name in line]
    assert result.returncode == 0 and not complaints, result.stderr


def check_sandbox(unit):
    """At most 2.0 of 10 by its measure of exposure."""
    result = analyze("security", "--offline=true", "--threshold=20", unit)
    assert result.returncode == 0, result.stdout + result.stderr
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", result.stdout).group(1))
    assert exposure <= 2.0
