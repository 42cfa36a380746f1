# SPDX-License-Identifier: MIT
"""A newcomer who follows docs/sdk.md: its command is run on a terminal, and its commands are typed."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from azvm import paths
from clients import CLIENTS, NotHad

PAGE = paths.ROOT / "docs" / "sdk.md"
PROMPT = "guest:~# "
LIMIT = 900


def typed():
    """The page's [(command, lines that it shows below)]."""
    pairs = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("    " + PROMPT):
            pairs.append((line[len("    " + PROMPT):], []))
        elif pairs and line.startswith("    "):
            pairs[-1][1].append(line[4:])
        elif pairs:
            return pairs
    raise AssertionError(f"{PAGE}: no commands in it")


# What bash's line editor sends when the line is its no more.
ENTERED = "\x1b[?2004l"


def plain(text):
    """What stays on the screen: colours, modes and carriage returns are no text."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", text)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, log):
        self._screen, end = pty.openpty()
        self._log = log
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, cwd=paths.ROOT,
                                        start_new_session=True)
        os.close(end)

    def until(self, ending):
        """What comes up to a text that the output then stops at."""
        deadline = time.monotonic() + LIMIT
        text = ""
        while not plain(text[-200:]).endswith(ending):
            if not select.select([self._screen], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"no {ending!r} within {LIMIT} s ({self._log}):\n{plain(text)[-2000:]}")
            try:
                chunk = os.read(self._screen, 65536)
            except OSError:
                chunk = b""
            assert chunk, f"it ended ({self._log}):\n{plain(text)[-2000:]}"
            with open(self._log, "ab") as log:
                log.write(chunk)
            text += chunk.decode(errors="replace")
        return text

    def type(self, line):
        os.write(self._screen, line.encode() + b"\n")

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._screen)


def rows():
    """{language: (library, whether it has run)} as the page's table has them."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "language":
            found[cells[0]] = (cells[1], cells[3])
    return found


@pytest.mark.parametrize("language", rows())
def test_a_row_says_yes_when_its_library_has_run(runs, language):
    library, has_run = rows()[language]
    assert has_run in ("yes", "not run")
    if has_run == "not run":
        raise NotHad(language, "docs/sdk.md says that nobody has tried")
    client, = [it for it in CLIENTS if it.what.split()[0] == library.split()[0]]
    assert runs(client).status == 0


def test_the_page_has_the_libraries_that_run():
    assert sum(has_run == "yes" for _, has_run in rows().values()) == len(CLIENTS)


def test_the_page_shows_what_a_newcomer_gets(tmp_path):
    results = paths.ROOT / "test-results" / "conformance"
    results.mkdir(parents=True, exist_ok=True)
    log = results / "sdk-page.log"
    log.unlink(missing_ok=True)
    terminal = Terminal(["make", "vm", "IMAGE=sdk", f"VMFLAGS=--store {tmp_path}/store"], log)
    try:
        terminal.until(PROMPT)
        for command, shown in typed():
            terminal.type(command)
            answer = plain(terminal.until(PROMPT).rpartition(ENTERED)[2])
            lines = answer[:-len(PROMPT)].splitlines()
            assert lines == shown, command
        terminal.type("exit")
        assert terminal.process.wait(LIMIT) == 0
    finally:
        terminal.close()
