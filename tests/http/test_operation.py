# SPDX-License-Identifier: MIT
"""How the daemon is run: configuration file, time-outs, filters, metrics."""

import http.client
import os
import re
import socket
import subprocess

import pytest
from blobclient import KEY, Client
from daemon import Daemon, binary, wait_for
from metricsclient import metrics

STORE = ["--store", "local,path=/nonexistent/store"]


def run(*options):
    return subprocess.run([binary(), *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)


def configure(tmp_path, text, *more):
    path = tmp_path / "vspd.conf"
    path.write_text(text)
    return ["--config", str(path), *more]


def test_options_come_from_a_file(tmp_path):
    link = tmp_path / "link.sock"
    options = configure(tmp_path, "# a comment\n\n  link   %s  \r\naccount devstoreaccount1:%s\n"
                                  "log-level debug\nsilent\n" % (link, KEY))
    daemon = Daemon(tmp_path / "store", tmp_path / "log", options)
    assert link.is_socket()
    client = Client(daemon.port)
    assert client.create_container("cont").status == 201
    client.close()
    daemon.stop()
    assert KEY not in daemon.logged()


@pytest.mark.parametrize("text, says", [
    ("drain never\n", "--drain: 'never'"),
    ("head-timeout 0\n", "--head-timeout: '0': 1 to"),
    ("log-level debug\nhttp=127.0.0.1:1\n", "vspd.conf:2: 'http=127.0.0.1:1': a line is NAME VALUE"),
    ("--drain 5\n", "vspd.conf:1: '--drain'"),
    ("config other\n", "vspd.conf:1: a file can't name another"),
    ("colour red\n", "colour"),
    ("a\0b\n", "vspd.conf:1: this is no text of options")])
def test_a_bad_file_is_one_clear_line(tmp_path, text, says):
    result = run(*STORE, *configure(tmp_path, text))
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr.count("\n") == 1
    assert says in result.stderr


def test_a_file_that_is_not_there_is_one_clear_line():
    for words in (["--config", "/nonexistent/file"], ["--config=/nonexistent/file"], ["--config"],
                  ["--config", "/dev/zero"]):
        result = run(*STORE, *words)
        assert result.returncode == 2
        assert result.stderr.startswith("azblob-vspd: --config: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.door
@pytest.mark.parametrize("name", ["head", "idle", "body"])
def test_slow_clients_are_cut_off_after_the_time_that_was_chosen(tmp_path, name):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--%s-timeout" % name, "1"])
    client = Client(daemon.port)
    client.create_container("cont")
    slow = socket.create_connection(("127.0.0.1", daemon.port), timeout=25)
    target, headers = client.head("PUT", "/cont/b", b"12345678", {"x-ms-blob-type": "BlockBlob"})
    lines = "PUT %s HTTP/1.1\r\nHost: h\r\n" % target
    lines += "".join("%s: %s\r\n" % line for line in headers.items())
    if name == "head":
        slow.sendall(lines.encode())
    elif name == "idle":
        slow.sendall((lines + "\r\n12345678").encode())
    else:
        slow.sendall((lines + "\r\n1234").encode())
    received = b""
    # the others last longer than the socket's time
    while chunk := slow.recv(4096):
        received += chunk
    assert received.startswith(b"HTTP/1.1 201") == (name == "idle")
    slow.close()
    client.close()
    daemon.stop()


@pytest.mark.door
def test_metrics_by_a_socket(tmp_path):
    path = tmp_path / "metrics"
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--metrics", str(path), "--filter", "stats", "--link", str(tmp_path / "link")])
    client = Client(daemon.port)
    client.create_container("cont")
    before = metrics(path)
    body = os.urandom(300000)
    assert client.put_blob("/cont/b", body).status == 201
    assert client.get("/cont/b").body == body
    assert client.get("/cont/none").status == 404
    after = metrics(path)
    assert after['azblob_http_answers_total{status="2xx"}'] == 3
    assert after['azblob_http_answers_total{status="4xx"}'] == 1
    assert after["azblob_http_connections"] == 1
    assert after["azblob_http_received_bytes_total"] > 300000
    assert after["azblob_http_sent_bytes_total"] > 300000
    assert after["azblob_local_checked_bytes_total"] == 300000
    assert after["azblob_local_damaged_total"] == 0
    assert after["azblob_local_commits_total"] > before["azblob_local_commits_total"]
    assert after["azblob_local_disk_free_bytes"] > 0
    assert after['azblob_store_bytes_total{name="store",verb="write"}'] == 300000
    assert after['azblob_store_seconds_count{name="store",verb="change"}'] == 2
    assert after["azblob_link_accepted_total{socket=\"%s\"}" % (tmp_path / "link")] == 0
    assert any(name.startswith("azblob_build_info") for name in after)
    client.close()
    daemon.stop()
    assert not path.exists()


def test_metrics_by_a_port_of_this_machine(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--metrics", "127.0.0.1:0"])
    port = re.search(r"metrics on port (\d+)", daemon.logged()).group(1)
    assert metrics("127.0.0.1:" + port)
    # one who says nothing does not keep others out for long
    with socket.create_connection(("127.0.0.1", int(port))):
        assert metrics("127.0.0.1:" + port)
    other = http.client.HTTPConnection("127.0.0.1", int(port))
    other.request("GET", "/other")
    assert other.getresponse().status == 404
    other.close()
    daemon.stop()


@pytest.mark.parametrize("options, says", [
    (["--metrics", "0.0.0.0:9000"], "127.0.0.1:PORT"),
    (["--metrics", "nowhere"], "127.0.0.1:PORT"),
    (["--metrics", "/nonexistent/dir/socket"], "No such file"),
    (["--filter", "speed"], "unknown filter 'speed'"),
    (["--filter", "stats", "--filter", "stats"], "another one of the name 'store'"),
    (["--filter", "delay,read=fast"], "filter delay: read=fast: a time is accepted")])
def test_what_can_not_be_opened_is_one_clear_line(tmp_path, options, says):
    result = run("--store", "local,path=%s" % (tmp_path / "store"), "--http", "127.0.0.1:0", *options)
    assert result.returncode == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_filters_stand_in_the_order_given(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--filter", "stats,name=outer", "--filter", "error,change=no-space,skip=1",
                     "--filter", "stats,name=inner", "--filter", "log,slow=1us",
                     "--metrics", str(tmp_path / "metrics")])
    client = Client(daemon.port)
    assert client.create_container("cont").status == 201
    answer = client.put_blob("/cont/b", b"x" * 100)
    assert (answer.status, answer.body.count(b"<Error>")) == (507, 1)
    assert client.get("/cont/b").status == 404
    values = metrics(tmp_path / "metrics")
    assert values['azblob_store_seconds_count{name="outer",verb="change"}'] == 2
    assert values['azblob_store_seconds_count{name="inner",verb="change"}'] == 1
    assert values['azblob_store_errors_total{name="outer",verb="change"}'] == 1
    assert values['azblob_store_errors_total{name="inner",verb="change"}'] == 0
    wait_for(lambda: "create container devstoreaccount1/cont: ok in" in daemon.logged())
    client.close()
    daemon.stop()


def test_filter_help_lists_all():
    result = run("--filter", "help")
    assert result.returncode == 0
    for name in ("delay", "error", "fault", "log", "stats"):
        assert "\n" + name in "\n" + result.stdout


def test_a_lost_answer_is_500_and_the_write_is_there(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--filter", "fault,change=lost,skip=1,count=1"])
    client = Client(daemon.port)
    client.create_container("cont")
    assert client.put_blob("/cont/b", b"x" * 20000).status == 500
    assert client.get("/cont/b").body == b"x" * 20000
    client.close()
    daemon.stop()
