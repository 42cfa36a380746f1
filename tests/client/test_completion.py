# SPDX-License-Identifier: MIT
"""Completion for bash: what it offers, and that it offers all that there is."""

import os
import re
import shlex
import subprocess

import pytest

from conftest import BUILD, ROOT

SCRIPT = ROOT / "client/cli/completion/azblob.bash"


def complete(*words, cwd=None):
    program = (f"source {SCRIPT}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); "
               f"COMP_CWORD={len(words) - 1}; _azblob; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    env = {**os.environ, "PATH": f"{BUILD}/client/cli:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", program], env=env, check=True, capture_output=True, text=True,
                          cwd=cwd, timeout=300)
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("words, wanted", [
    (["azblob", "sna"], ["snapshot"]),
    (["azblob", "--json", "sn"], ["snapshot"]),
    (["azblob", "ls", "--del"], ["--delimiter"]),
    (["azblob", "sync", "--de"], ["--device", "--delete"]),
    (["azblob", "--transport", ""], ["auto", "driver", "http"]),
    (["azblob", "sync", "--compare", "h"], ["hash"]),
    (["azblob", "lease", "re"], ["renew", "release"]),
    (["azblob", "container", ""], ["create", "rm", "ls"]),
])
def test_what_is_offered(words, wanted):
    assert complete(*words) == wanted


def test_arguments_are_files(tmp_path):
    (tmp_path / "some file").touch()
    assert complete("azblob", "put", "so", cwd=tmp_path) == ["some file"]


def test_help_page_and_completion_know_the_same():
    azblob = BUILD / "client/cli/azblob"

    def words(*arguments):
        return subprocess.run([azblob, *arguments], check=True, capture_output=True,
                              text=True).stdout
    page = (ROOT / "client/cli/azblob.1").read_text().replace("\\-", "-")
    usage = words("--help")
    commands = words("--complete", "").split()
    options = {option for command in commands for option in words("--complete", command).split()}
    assert len(commands) >= 15 and len(options) >= 40
    for command in commands:
        assert re.search(rf"^  (.*, )?{command}\b", usage, re.M), command
        assert f"\\fB{command}" in page, command
    for option in options:
        # Which letter they have, if any, the page says in its own way.
        assert f"{option}" in page, option
        assert option in usage, option


def test_the_file_is_a_shells():
    subprocess.run(["bash", "-n", SCRIPT], check=True)
