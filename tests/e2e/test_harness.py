# SPDX-License-Identifier: MIT
"""The tests' own means: what a sick guest looks like to a test."""

import subprocess
from pathlib import Path

import pytest
from azvm import kcsan
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


def race(title, *stacks, end=True):
    """A report as KCSAN prints it."""
    lines = ["=" * 66, f"BUG: KCSAN: data-race in {title}", ""]
    for number, stack in enumerate(stacks):
        access = "read" if number else "write (marked)"
        lines.append(f"{access} to 0xffff888003f0a9a8 of 4 bytes by task 7{number} on cpu {number}:")
        lines += [f" {frame}" for frame in stack] + [""]
    lines += ["value changed: 0x00000001 -> 0x00000002", "", "Reported by Kernel Concurrency Sanitizer on:"]
    return "\n".join(f"[   12.345678] {line}" for line in lines + ["=" * 66] * end) + "\n"


SKIPS = Path(__file__).resolve().parents[1] / "matrix" / "skips.py"
NO_URING = '<skipped type="pytest.skip" message="this kernel has no io_uring commands">where</skipped>'


@pytest.mark.parametrize("kernel, tests, status", [
    ("6.12", ["", ""], 0),
    ("5.10", ["", NO_URING], 0),
    ("6.1", ["", NO_URING], 1),
    ("5.10", ["", NO_URING.replace("io_uring commands", "time")], 1),
    ("5.10", [NO_URING], 1),
    ("6.12", [], 1),
], ids=["none", "allowed", "other_kernel", "other_reason", "nothing_else", "nothing_at_all"])
def test_matrix_counts_a_skip_as_a_failure_unless_it_is_listed(tmp_path, kernel, tests, status):
    cases = "".join(f'<testcase classname="tests.e2e.test_x" name="test_{number}">{inner}</testcase>'
                    for number, inner in enumerate(tests))
    (tmp_path / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>",
                                        encoding="utf-8")
    said = subprocess.run([SKIPS, kernel, tmp_path / "junit.xml"], stdout=subprocess.PIPE, text=True,
                          check=False)
    assert said.returncode == status
    passed, skipped = sum(not t for t in tests), sum(bool(t) for t in tests)
    wrong = skipped if status and tests != [NO_URING] else 0
    assert said.stdout.splitlines()[0] == \
        f"{passed} passed, {skipped - wrong} skipped as allowed, {wrong} skipped otherwise"
    assert said.stdout.count("\nskipped on") == wrong


OURS = "azb_queue_stop+0x10/0x80 [hv_azure_blob]"
CALLER = "azb_request_pin+0x10/0x80 [hv_azure_blob]"
OTHERS = "rmqueue+0x10/0x80"


@pytest.mark.parametrize("stacks, ours", [
    ([[OURS, OTHERS], [OTHERS]], True),
    ([[OTHERS], [OURS]], True),
    ([[OURS]], True),
    ([[OTHERS, OURS], [OTHERS, CALLER]], True),
    ([[OTHERS, CALLER], [OTHERS]], False),
    ([[OTHERS], [OTHERS]], False),
    ([[OTHERS, CALLER]], False),
], ids=["first", "second", "unknown_origin", "through_both", "through_one", "none",
        "unknown_origin_elsewhere"])
def test_data_races_of_the_driver_are_told_from_those_of_others(stacks, ours):
    (report,) = kcsan.reports("noise\n" + race("a / b", *stacks) + "noise\n")
    assert (report.title, report.complete, report.ours) == ("data-race in a / b", True, ours)
    assert [len(stack) for stack in report.stacks] == [len(stack) for stack in stacks]


def test_data_race_that_is_still_being_printed():
    first, second = kcsan.reports(race("a / b", [OURS]) + race("c / d", [OTHERS], end=False))
    assert (first.complete, second.complete) == (True, False)
    assert "azb_queue_stop" in first.text and "azb_queue_stop" not in second.text
