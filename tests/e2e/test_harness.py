# SPDX-License-Identifier: MIT
"""The tests' own means: what a sick guest looks like to a test."""

import pytest
from azvm.agent import AgentError, CommandFailed
from azvm.guest import GuestError


@pytest.mark.console_allows(".")
def test_kernel_crash_is_noticed_at_once_with_its_console(make_guest):
    guest = make_guest()
    assert guest.lost is None
    with pytest.raises((GuestError, AgentError), match="sysrq triggered crash"):
        guest.sh("echo c >/proc/sysrq-trigger", timeout=600)
    assert "Kernel panic" in guest.lost
    assert guest.new_trouble()


@pytest.mark.console_allows("WARNING: from a test")
def test_kernel_warning_is_found_on_the_console(guest):
    guest.sh("echo 'WARNING: from a test' >/dev/kmsg")
    guest.until(lambda: guest.guest.trouble(), "the line on the console")
    assert any("from a test" in line for line in guest.guest.trouble())


def test_command_reports_status_output_and_signal(guest):
    result = guest.sh("echo out; echo err >&2; exit 3", check=False)
    assert (result.status, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert guest.sh("kill -9 $$", check=False).status == -9
    with pytest.raises(CommandFailed, match="status 1"):
        guest.run(["false"])


def test_command_that_takes_too_long_is_ended(guest):
    result = guest.agent.run(["sleep", "1000"], timeout=1, check=False)
    assert result.timed_out


def test_input_and_files_arrive_whole(guest):
    data = bytes(range(256)) * 40000
    assert guest.run(["cat"], stdin=data).stdout == data
    guest.agent.put("/tmp/file", data)
    assert guest.agent.get("/tmp/file") == data
