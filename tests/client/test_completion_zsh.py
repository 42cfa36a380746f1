# SPDX-License-Identifier: MIT
"""Completion for zsh, by zsh itself: an interactive one on a terminal, in which Tab is pressed."""

import os
import subprocess

import pytest

from conftest import BUILD, ROOT, clean_environment, until

FUNCTIONS = ROOT / "client/cli/completion"

# Ctrl-X, which is pressed behind Tab, says what has become of the line and what matched.
SETUP = r"""
fpath=({functions} $fpath)
autoload -Uz compinit
compinit -u -D
setopt no_auto_list no_auto_menu no_beep
typeset -ga offered
compadd() {{
    local -a matched
    builtin compadd -O matched "$@"
    offered+=("${{matched[@]}}")
    builtin compadd "$@"
}}
tell() {{
    print -rl -- "$BUFFER" "${{offered[@]}}" >{answer}.new
    mv {answer}.new {answer}
}}
zle -N tell
bindkey '^X' tell
bindkey '^I' complete-word
precmd() {{ : >{ready} }}
"""


@pytest.fixture
def press(tmp_path):
    """press(line) -> the line after Tab, and what was offered."""
    started = []

    def complete(line):
        home = tmp_path / f"home{len(started)}"
        home.mkdir()
        answer, ready = home / "answer", home / "ready"
        (home / ".zshrc").write_text(SETUP.format(functions=FUNCTIONS, answer=answer, ready=ready))
        ours, theirs = os.openpty()
        env = {**clean_environment(), "ZDOTDIR": str(home), "HOME": str(home), "TERM": "dumb",
               "PATH": f"{BUILD}/client/cli:{os.environ['PATH']}"}
        process = subprocess.Popen(["zsh", "-d", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
                                   start_new_session=True, env=env, cwd=tmp_path)
        os.close(theirs)
        started.append((process, ours))
        until(lambda: ready.exists() or process.poll() is not None, "zsh's prompt")
        os.write(ours, line.encode() + b"\t\x18")
        until(lambda: answer.exists() or process.poll() is not None, "what Tab makes")
        text, *offered = answer.read_text().splitlines()
        return text, [word for word in offered if word]

    yield complete
    for process, ours in started:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("line, becomes, offers", [
    ("azblob sna", "azblob snapshot ", ["snapshot"]),
    ("azblob --json sn", "azblob --json snapshot ", ["snapshot"]),
    ("azblob ls --del", "azblob ls --delimiter ", ["--delimiter"]),
    ("azblob sync --de", "azblob sync --de", ["--device", "--delete"]),
    ("azblob --transport ", "azblob --transport ", ["auto", "driver", "http"]),
    ("azblob sync --compare h", "azblob sync --compare hash ", ["hash"]),
    ("azblob lease re", "azblob lease re", ["renew", "release"]),
    ("azblob container ", "azblob container ", ["create", "rm", "ls"]),
])
def test_what_is_offered(press, line, becomes, offers):
    assert press(line) == (becomes, offers)


def test_all_commands_and_options_are_offered(press):
    def words(command):
        return subprocess.run([BUILD / "client/cli/azblob", "--complete", command], check=True,
                              capture_output=True, text=True).stdout.split()
    assert press("azblob ")[1] == words("")
    assert press("azblob put --")[1] == words("put")


def test_arguments_are_files(press, tmp_path):
    (tmp_path / "some file").touch()
    assert press("azblob put so")[0] == "azblob put some\\ file "
