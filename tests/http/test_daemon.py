# SPDX-License-Identifier: MIT
"""The daemon itself: its command line, its start and end, what is there after a crash."""

import contextlib
import os
import resource
import socket
import stat
import subprocess
import tempfile
import time

import pytest
from blobclient import KEY, Client
from daemon import Daemon, binary, wait_for


def run(*options):
    return subprocess.run([binary(), *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)


def test_help_and_version():
    result = run("--help")
    assert result.returncode == 0
    for option in ("--store", "--http", "--link", "--account", "--ready-fd", "--log-level"):
        assert option in result.stdout
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("azblob-vspd ")


@pytest.mark.parametrize("options, says", [
    ([], "--store"),
    (["--store", "local,path=x", "more"], "more"),
    (["--nonsense"], "nonsense"),
    (["--store", "a", "--store", "b"], "--store"),
    (["--log-level", "loud"], "loud"),
    (["--ready-fd", "999"], "999"),
    (["--ready-fd", "x"], "x"),
    (["--drain", "-1"], "-1"),
    (["--max-connections", "0"], "'0'"),
    (["--account", "name"], "NAME:KEY"),
    (["--account", "Name:QUJD"], "lower-case"),
    (["--account", "name:secret!"], "base64"),
    (["--accounts-file", "/nonexistent/file"], "/nonexistent/file")])
def test_a_bad_command_line_is_one_clear_line(options, says):
    result = run(*options)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert "secret!" not in result.stderr


@pytest.mark.parametrize("options, says", [
    (["--http", "nonsense"], "ADDR:PORT"),
    (["--http", "127.0.0.1:99999"], "ADDR:PORT"),
    (["--http", "192.0.2.1:0"], "192.0.2.1:0")])
def test_a_bad_address_is_one_clear_line(tmp_path, options, says):
    result = run("--store", "local,path=%s" % (tmp_path / "store"), *options)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


@pytest.mark.parametrize("spec", ["nonsense", "local", "local,path=", "local,size=1"])
def test_a_bad_store_is_one_clear_line(spec):
    result = run("--store", spec, "--http", "127.0.0.1:0")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "--store" in result.stderr


def test_an_address_in_use(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    result = run("--store", "local,path=%s" % (tmp_path / "other"), "--http",
                 "127.0.0.1:%d" % daemon.port)
    assert result.returncode == 1
    assert "in use" in result.stderr
    daemon.stop()


def test_a_store_in_use(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    result = run("--store", "local,path=%s" % (tmp_path / "store"), "--http", "127.0.0.1:0")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    daemon.stop()


@pytest.mark.door
def test_a_path_for_an_address(tmp_path):
    folder = tempfile.mkdtemp(prefix="azblob")  # a socket's name has to be short
    path = os.path.join(folder, "http")
    # what a daemon that was killed has left
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    daemon = Daemon(tmp_path / "store", tmp_path / "log", http=["127.0.0.1:0", path])
    assert daemon.addresses[1] == path
    assert "reachable from other machines" not in daemon.logged()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(b"GET /devstoreaccount1/none/b HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 401"
    daemon.stop()
    os.rmdir(folder)


def test_several_addresses(tmp_path):
    http = ["127.0.0.1:0", "127.0.0.2:0"]
    if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
        http.append("[::1]:0")
    daemon = Daemon(tmp_path / "store", tmp_path / "log", http=http)
    assert len(daemon.addresses) == len(http)
    for address in daemon.addresses:
        assert "listening on http://" + address in daemon.logged()
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=30).close()
    daemon.stop()


def test_the_development_account_is_the_default(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    assert Client(daemon.port).get("/?comp=list").status == 200
    daemon.stop()


def test_the_development_account_is_not_there_beside_others(tmp_path):
    accounts = tmp_path / "accounts"
    accounts.write_text("# ours\n\nours:QUJDREVGR0hJSktMTU5PUA==\n")
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--accounts-file", str(accounts)])
    assert Client(daemon.port).get("/?comp=list").status == 403
    ours = Client(daemon.port, "ours", "QUJDREVGR0hJSktMTU5PUA==")
    assert ours.get("/?comp=list").status == 200
    daemon.stop()


def test_a_bad_accounts_file_names_the_line(tmp_path):
    accounts = tmp_path / "accounts"
    accounts.write_text("ours:QUJD\nbroken\n")
    result = run("--accounts-file", str(accounts))
    assert result.returncode == 2
    assert "line 2" in result.stderr


def test_blobs_outlive_the_daemon(tmp_path):
    data = {"small": os.urandom(1000), "large": os.urandom(3000000)}
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    client.create_container("kept")
    etags = {name: client.put_blob("/kept/" + name, body, {"x-ms-meta-a": name})["ETag"]
             for name, body in data.items()}
    client.put_block("/kept/blocks", "one", b"1")
    daemon.stop()
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    for name, body in data.items():
        found = client.get("/kept/" + name)
        assert found.body == body
        assert (found["ETag"], found["x-ms-meta-a"]) == (etags[name], name)
    assert client.put_block_list("/kept/blocks", ["one"]).status == 201
    daemon.stop()


def test_what_was_acknowledged_outlives_a_kill(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    client.create_container("kept")
    bodies = [os.urandom(size) for size in (0, 100, 5000, 200000, 2000000)]
    for i, body in enumerate(bodies):
        assert client.put_blob("/kept/%d" % i, body).status == 201
    daemon.kill()
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client = Client(daemon.port)
    for i, body in enumerate(bodies):
        assert client.get("/kept/%d" % i).body == body
    daemon.stop()


@pytest.mark.door
def test_the_end_waits_for_requests_that_have_begun(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    client, idle = Client(daemon.port), Client(daemon.port)
    client.create_container("kept")
    assert idle.get("/?comp=list").status == 200
    target, headers = client.head("PUT", "/kept/b", b"12345678", {"x-ms-blob-type": "BlockBlob",
                                                                  "Expect": "100-continue"})
    client.connection.putrequest("PUT", target)
    for header in headers.items():
        client.connection.putheader(*header)
    client.connection.endheaders()
    # "100 Continue": the request has begun
    assert client.connection.sock.recv(1000).startswith(b"HTTP/1.1 100")
    daemon.terminate()
    # the idle connection ends: the daemon is on its way
    assert idle.connection.sock.recv(1) == b""
    assert daemon.process.poll() is None
    client.connection.send(b"12345678")
    response = client.connection.getresponse()
    assert response.status == 201
    assert response.headers["Connection"] == "close"
    response.read()
    daemon.stop()
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    assert Client(daemon.port).get("/kept/b").body == b"12345678"
    daemon.stop()


def test_the_end_does_not_wait_for_ever(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--drain", "0"])
    stuck = socket.create_connection(("127.0.0.1", daemon.port))
    stuck.sendall(b"GET / HTTP/1.1\r\nHost")
    daemon.stop()
    stuck.close()


def test_link_sockets(tmp_path):
    path = tmp_path / "link.sock"
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--link", str(path)])
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
    # in use: refused
    result = run("--store", "local,path=%s" % (tmp_path / "other"), "--link", str(path))
    assert result.returncode == 1
    assert str(path) in result.stderr
    # left behind by a crash: replaced
    daemon.kill()
    assert path.exists()
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--link", str(path)])
    with socket.socket(socket.AF_UNIX) as emulator:
        emulator.connect(str(path))
    daemon.stop()


@pytest.mark.door
def test_systemd_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            daemon = Daemon(tmp_path / "store", tmp_path / "log")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert manager.recv(100) == b"READY=1"
        daemon.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        daemon.stop()


@pytest.mark.door
def test_no_secret_is_logged(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--log-level", "debug"])
    client = Client(daemon.port)
    client.get("/?comp=list&sig=secretsignature")
    target, headers = client.head("GET", "/?comp=list")
    client.get("/?comp=list")
    wait_for(lambda: daemon.logged().count("GET") >= 2)
    daemon.stop()
    assert "secretsignature" not in daemon.logged()
    assert KEY not in daemon.logged()
    assert headers["Authorization"].split(":")[1] not in daemon.logged()


def test_links_wait_while_there_is_no_descriptor_left(tmp_path):
    path = tmp_path / "link.sock"
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--link", str(path)])
    pid = daemon.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # lowest numbers first, so this many and no more
    used = max(int(name) for name in os.listdir("/proc/%d/fd" % pid)) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(used)]
        for link in links:
            link.settimeout(60)
            link.connect(str(path))
            # no beginning of a conversation: whoever is let in is thrown out
            link.sendall(b"\xff" * 64)
        wait_for(lambda: daemon.logged().count("link: accept") >= 3)
        # between two attempts it rests for half a second, so there can't be more than these
        attempts = daemon.logged().count("link: accept")
        assert attempts <= 1 + (time.monotonic() - start) / 0.4
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        for link in links:
            try:
                while link.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    daemon.stop()


@pytest.mark.door
def test_the_doors_have_their_time_together(tmp_path):
    path = tmp_path / "link.sock"
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--link", str(path), "--drain", "3600", "--log-level", "debug"])
    client = Client(daemon.port)
    client.create_container("kept")
    # a body that does not come keeps HTTP busy
    target, headers = client.head("PUT", "/kept/b", b"12345678", {"x-ms-blob-type": "BlockBlob"})
    client.connection.putrequest("PUT", target)
    for name, value in headers.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(str(path))
        daemon.terminate()
        # and the link ends all the same, before HTTP does
        try:
            while link.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert daemon.process.poll() is None
    client.connection.send(b"12345678")
    assert client.connection.getresponse().status == 201
    daemon.stop()
