# SPDX-License-Identifier: MIT
"""azblob bench measures what it says, by both ways, and leaves nothing behind."""

import signal

import pytest

from conftest import ACCOUNT, BUILD, Azblob

SMALL = ("--processes", "2", "--threads", "2", "--requests", "3", "--rounds", "3", "--size", "5000")


@pytest.fixture
def both(daemon):
    return Azblob(BUILD / "client/azblob-over-link",
                  ["--device", daemon.link, "--endpoint", f"{daemon.url}/{ACCOUNT}"])


def left(azblob):
    return [name for name in azblob.ok("container", "ls").lines if name.startswith("azblob-bench-")]


def test_both_ways_take_turns_and_are_compared(both):
    lines = both.ok("--json", "bench", *SMALL).json
    cells = [line for line in lines if "via" in line]
    assert [(line["test"], line["via"]) for line in cells] == \
        [("read", "driver"), ("read", "http"), ("write", "driver"), ("write", "http")]
    for line in cells:
        assert line["requests"] == 2 * 2 * 3 * 3
        assert 0 < line["mb_per_s_min"] <= line["mb_per_s"] <= line["mb_per_s_max"]
        assert 0 < line["p50_ms"] <= line["p90_ms"] <= line["p99_ms"] <= line["max_ms"]
        assert line["requests_per_s"] == pytest.approx(line["mb_per_s"] * 1e6 / 5000, rel=1e-3)
    ratios = [line for line in lines if "ratio" in line]
    assert [line["test"] for line in ratios] == ["read", "write"]
    assert all(0 < line["min"] <= line["median"] <= line["max"] for line in ratios)
    assert left(both) == []


def test_one_way_and_one_test_as_a_table(both):
    table = both.ok("--transport", "http", "bench", *SMALL, "--test", "read").lines
    assert table[0].startswith("4.9 KiB, 2 processes of 2 threads, 3 rounds of 3 requests")
    assert [line.split()[:2] for line in table[3:]] == [["read", "http"]]
    assert left(both) == []


def test_without_a_driver_it_is_http_alone(both):
    both.options[1] = "/no/such/device"
    done = both.ok("--json", "bench", *SMALL, "--rounds", "1")
    assert "no /no/such/device here" in done.err
    assert [line["via"] for line in done.json] == ["http", "http"]


def test_failures_and_signals_leave_nothing_behind(both):
    failed = both.run("--key", "d3Jvbmc=", "bench", *SMALL)
    assert failed.code == 4 and failed.out == b""
    process = both.start("-v", "bench", *SMALL, "--rounds", "100", "--requests", "1000")
    line = process.stderr.readline()
    while b"round" not in line:
        assert line
        line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert left(both) == []


@pytest.mark.parametrize("arguments, says", [
    (["bench", "box"], "takes no names"),
    (["bench", "--size", "0"], "1 to 1G"),
    (["bench", "--size", "1G", "--threads", "9"], "more than 8 GiB"),
    (["bench", "--threads", "0"], "1 to 256"),
    (["bench", "--rounds", "101"], "1 to 100"),
    (["bench", "--test", "think"], "read, write or both"),
    (["ls", "--size", "1"], "not an option of \"ls\""),
])
def test_bad_input_of_bench_is_refused_in_one_clear_line(http, arguments, says):
    result = http.run(*arguments)
    assert result.code == 2, result.err
    assert says in result.err and result.out == b""
