# SPDX-License-Identifier: MIT
"""Nothing that was not run passes: what a client's absence, or its failure to compile, comes to."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LIMIT = 300


@pytest.fixture(name="java")
def run_java_with_these_tools(tmp_path):
    """A function: the tests' run of the client for Java, with tools that only exit; (status, what it said)."""
    def run(allowed="", **tools):
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        for name, script in tools.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", HERE / "test_clients.py",
             "-k", "ran_to_its_end and java"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False, cwd=HERE.parents[1],
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CONFORMANCE_MISSING": allowed,
                 "AZBLOB_CACHE": str(tmp_path / "cache")})
        return result.returncode, result.stdout
    return run


NO_NETWORK = "echo no route to host; exit 1"
NO_JAVA = "echo 'Client.java:1: not a statement'; exit 1"


def test_a_client_that_can_not_be_had_is_a_failure(java):
    status, said = java(mvn=NO_NETWORK)
    assert status == 1, said
    assert "no route to host" in said and "CONFORMANCE_MISSING=java allows that" in said


def test_a_person_may_allow_it_by_its_name(java):
    status, said = java(mvn=NO_NETWORK, allowed="curl,java")
    assert status == 0 and re.search(r"^1 skipped", said, re.MULTILINE), said
    assert "no route to host" in said and "CONFORMANCE_MISSING names it" in said
    status, said = java(mvn=NO_NETWORK, allowed="curl")
    assert status == 1, said


def test_no_name_of_a_client_is_said(java):
    status, said = java(mvn=NO_NETWORK, allowed="jva")
    assert status == pytest.ExitCode.USAGE_ERROR, said
    assert "no client called jva" in said


@pytest.mark.parametrize("allowed", ["", "java"])
def test_a_workload_that_does_not_compile_is_a_failure_whatever_is_allowed(java, allowed):
    status, said = java(mvn="exit 0", javac=NO_JAVA, allowed=allowed)
    assert status == 1, said
    assert "Client.java:1: not a statement" in said
