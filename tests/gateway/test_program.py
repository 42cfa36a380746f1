# SPDX-License-Identifier: MIT
"""The program: its command line, its signals, its certificate, its unit."""

import os
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess

import pytest
import unitfile

from blobclient import ACCOUNT, Client
from daemon import ROOT
from gateways import program, wait_for
from test_bodies import LARGE, content, head_of, numbers, raw, read_head

UNIT = os.path.join(ROOT, "client", "gateway", "azblob-gateway.service")
CONFIG = os.path.join(ROOT, "client", "gateway", "gateway.conf")


def run(*words, name="azblob-gateway"):
    return subprocess.run([program(name), *map(str, words)], capture_output=True, text=True,
                          timeout=120, check=False, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("words, said", [
    (["extra"], "'extra': only options are accepted, see --help"),
    (["--nonsense"], "unrecognized option '--nonsense'"),
    (["--https", "127.0.0.1:0"], "--cert is missing"),
    (["--cert", "x"], "--cert and --key belong together"),
    (["--cert", "x", "--key", "y"], "there is no --https"),
    (["--memory", "much"], "0 to 65536 MiB are accepted"),
    (["--timeout", "0"], "1 to 86400 seconds are accepted"),
    (["--max-connections", "0"], "1 to 1000000 are accepted"),
    (["--log-level", "loud"], "error, warning, info and debug are accepted"),
    (["--ready-fd", "999"], "the number of an open descriptor"),
    (["--config", "/nowhere"], "No such file"),
    (["cert", "extra"], "only options are accepted"),
    (["cert", "--name", "a,b"], "a host name or an address is accepted"),
    (["cert", "--days", "0"], "1 to 3650 are accepted"),
])
def test_a_bad_command_line_gets_one_line(words, said):
    result = run(*words)
    assert result.returncode == 2
    assert result.stderr.startswith("azblob-gateway: ") and result.stderr.count("\n") == 1
    assert said in result.stderr


@pytest.mark.parametrize("words, said", [
    (["--http", "nonsense"], "ADDR:PORT is accepted"),
    (["--http", "/nowhere/socket"], "No such file or directory"),
    (["--https", "127.0.0.1:0", "--cert", "/nowhere", "--key", "/nowhere"], "/nowhere"),
    (["--fallback", "account=x"], "account=x"),
    (["--fallback", "account=abc,identity=managed"], "in its callers' names"),
    (["--fallback", "account=abc", "--fallback", "account=abc"], "two for the account abc"),
])
def test_what_can_not_be_served_is_said(words, said):
    result = run("--device", "/nowhere/device", *words)
    assert result.returncode == 1
    assert said in result.stderr.splitlines()[-1]


def test_help_and_version():
    for words in (["--help"], ["cert", "--help"]):
        result = run(*words)
        assert result.returncode == 0 and result.stdout.startswith("usage: azblob-gateway")
    assert re.fullmatch(r"azblob-gateway \d+\.\d+\.\d+\n", run("--version").stdout)


def test_the_end_waits_for_what_has_begun(start, own):
    metrics = os.path.join(own.sockets, "metrics")
    gateway = start(own.link, ["--metrics", metrics, "--drain", "3600"])
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    data = content(2 * LARGE)
    with raw(gateway.port) as connection:
        connection.sendall(head_of(direct, "PUT", "/box/b", {
            "x-ms-blob-type": "BlockBlob", "Content-Length": len(data)}))
        connection.sendall(data[:LARGE])
        wait_for(lambda: numbers(metrics)["azblob_gateway_handles"] == 1)
        gateway.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "finishing what has begun" in gateway.logged())
        connection.sendall(data[LARGE:])
        head = read_head(connection)
    assert head.startswith(b"HTTP/1.1 201 ") and b"Connection: close" in head
    assert direct.get("/box/b").body == data
    assert gateway.process.wait(300) == 0


def test_a_unix_socket(start, own):
    path = os.path.join(own.sockets, "http")
    gateway = start(own.link, http=[path])
    assert gateway.urls == ["unix:" + path]
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/b", b"by a path")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(head_of(direct, "GET", "/box/b", {}))
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(9, socket.MSG_WAITALL) == b"by a path"
    gateway.stop()
    assert not os.path.exists(path)


def test_the_metrics(start, own):
    path = os.path.join(own.sockets, "metrics")
    gateway = start(own.link, ["--metrics", path])
    before = numbers(path)
    assert before["azblob_gateway_device"] == 1
    assert Client(gateway.port, timeout=300).get("/?comp=list").status == 200
    assert numbers(path)['azblob_gateway_requests_total{way="device"}'] == \
        before['azblob_gateway_requests_total{way="device"}'] + 1


def test_many_connections_that_wait(start, own):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(3000, hard - 200 if hard != resource.RLIM_INFINITY else 3000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    path = os.path.join(own.sockets, "metrics")
    gateway = start(own.link, ["--metrics", path])
    waiting = []
    try:
        for _ in range(count):
            waiting.append(raw(gateway.port))
        wait_for(lambda: numbers(path)["azblob_http_connections"] == count)
        client = Client(gateway.port, timeout=300)
        assert client.create_container("box").status == 201
        data = content(LARGE + 1)
        assert client.put_blob("/box/b", data).status == 201
        assert client.get("/box/b").body == data
        # they cost neither threads nor buffers
        with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as status:
            threads = int(re.search(r"Threads:\s+(\d+)", status.read()).group(1))
        assert threads < 64
        # and each is as good as another one
        direct = Client(own.port, timeout=300)
        waiting[-1].sendall(head_of(direct, "HEAD", "/box/b", {}))
        assert read_head(waiting[-1]).startswith(b"HTTP/1.1 200 ")
    finally:
        for one in waiting:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --------------------------------------------------------------- certificates

def make_certificate(folder, *words):
    result = run("cert", "--out", folder, *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_https_with_a_certificate_of_its_own(start, own, tmp_path):
    folder = tmp_path / "tls"
    said = make_certificate(folder)
    assert str(folder / "ca.pem") in said and "update-ca-certificates" in said
    for name, mode in (("ca.key", 0o600), ("gateway.key", 0o600), ("ca.pem", 0o644),
                       ("gateway.pem", 0o644)):
        assert stat.S_IMODE((folder / name).stat().st_mode) == mode
    gateway = start(own.link, ["--https", "127.0.0.1:0", "--cert", folder / "gateway.pem", "--key",
                               folder / "gateway.key"], http=[])
    assert gateway.urls[0].startswith("https://")
    trusting = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    client = Client(gateway.port, tls=trusting, timeout=300)
    assert client.create_container("box").status == 201
    data = content(3 * LARGE + 5)
    assert client.put_blob("/box/b", data).status == 201
    assert client.get("/box/b").body == data

    def serial(name):
        """Of the certificate that is shown to who asks for this name."""
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as plain:
            with trusting.wrap_socket(plain, server_hostname=name) as secure:
                return secure.getpeercert()["serialNumber"]

    for name in ("localhost", "127.0.0.1", ACCOUNT + ".blob.localhost",
                 ACCOUNT + "-secondary.blob.localhost"):
        serial(name)
    for name in ("example.org", "blob.localhost", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError):
            serial(name)
    # a new one of the same authority, and what is there is not disturbed
    before = serial("localhost")
    assert "The authority is that in" in make_certificate(folder)
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: serial("localhost") != before)
    assert client.get("/box/b").body == data
    # half a renewal: the pair that is there stays
    before = serial("localhost")
    old = (folder / "gateway.pem").read_bytes()
    make_certificate(folder)
    (folder / "gateway.pem").write_bytes(old)
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "--cert: " in gateway.logged())
    assert serial("localhost") == before


def test_the_authority_is_good_for_this_machine_alone(tmp_path):
    make_certificate(tmp_path)
    key, request, stray = (tmp_path / name for name in ("stray.key", "stray.csr", "stray.pem"))
    extensions = tmp_path / "stray.ext"

    def openssl(*words):
        return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True,
                              check=False, timeout=60)

    for name, purpose, good in (("DNS:a.blob.localhost", "sslserver", True),
                                ("DNS:a.blob.localhost", "sslclient", False),
                                ("DNS:a.blob.localhost", "smimesign", False),
                                ("DNS:storage.example.org", "any", False),
                                ("IP:10.0.0.1", "any", False),
                                ("email:someone@example.org", "any", False),
                                ("email:someone@example.org", "smimesign", False),
                                ("URI:https://example.org/x", "any", False)):
        extensions.write_text(f"subjectAltName={name}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=stray", "-keyout", key, "-out", request)
        assert openssl("x509", "-req", "-in", request, "-CA", tmp_path / "ca.pem", "-CAkey",
                       tmp_path / "ca.key", "-extfile", extensions, "-out", stray).returncode == 0
        checked = openssl("verify", "-purpose", purpose, "-CAfile", tmp_path / "ca.pem", stray)
        assert (checked.returncode == 0) == good, checked.stdout + checked.stderr


def test_further_names_and_an_authority_that_has_not_got_them(tmp_path):
    make_certificate(tmp_path, "--name", "vm.example.org", "--name", "10.1.2.3", "--name", "fd00::1")
    text = subprocess.run(["openssl", "x509", "-in", tmp_path / "gateway.pem", "-noout", "-text"],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    for name in ("DNS:vm.example.org", "IP Address:10.1.2.3", "IP Address:FD00:0:0:0:0:0:0:1"):
        assert name in text
    before = (tmp_path / "gateway.pem").read_bytes()
    result = run("cert", "--out", tmp_path, "--name", "other.example.org")
    assert result.returncode == 1 and "does not allow it" in result.stderr
    assert (tmp_path / "gateway.pem").read_bytes() == before
    (tmp_path / "ca.key").unlink()
    result = run("cert", "--out", tmp_path)
    assert result.returncode == 1 and "only one of ca.pem and ca.key" in result.stderr


def test_an_authority_that_can_not_be_read_is_not_replaced(tmp_path):
    make_certificate(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in ("ca.pem", "gateway.pem")}
    # root may read any file; a link to itself nobody can
    for name in ("ca.pem", "ca.key"):
        (tmp_path / name).rename(tmp_path / (name + ".kept"))
        (tmp_path / name).symlink_to(name)
    result = run("cert", "--out", tmp_path)
    assert result.returncode == 1
    assert "ca.key: " in result.stderr and result.stderr.count("\n") == 1
    assert (tmp_path / "ca.key").is_symlink() and (tmp_path / "ca.pem").is_symlink()
    assert (tmp_path / "ca.pem.kept").read_bytes() == before["ca.pem"]
    assert (tmp_path / "gateway.pem").read_bytes() == before["gateway.pem"]


# ----------------------------------------------------------------------- unit

@pytest.fixture(name="unit")
def _unit(tmp_path):
    return unitfile.fill(UNIT, program("azblob-gateway"), tmp_path)


def test_systemd_accepts_the_unit(unit):
    unitfile.check_accepted(unit)


def test_systemd_finds_the_sandbox_tight(unit):
    unitfile.check_sandbox(unit)


def test_the_example_configuration_works(start, own):
    with open(CONFIG, encoding="utf-8") as text:
        lines = text.read()
    # its own places are the system's
    lines = lines.replace("/run/azblob-gateway", own.sockets).replace(":10000", ":0")
    path = os.path.join(own.sockets, "conf")
    with open(path, "w", encoding="utf-8") as out:
        out.write(lines)
    gateway = start(own.link, ["--config", path], http=[])
    assert len(gateway.urls) == 2
    assert Client(gateway.port, timeout=300).get("/?comp=list").status == 200
    assert numbers(os.path.join(own.sockets, "metrics"))["azblob_gateway_device"] == 1
    os.unlink(path)


def test_systemd_is_told(start, own):
    path = os.path.join(own.sockets, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(60)
        gateway = start(own.link, environment={"NOTIFY_SOCKET": path})
        assert told.recv(100) == b"READY=1"
        gateway.stop()
        assert told.recv(100) == b"STOPPING=1"
    os.unlink(path)
