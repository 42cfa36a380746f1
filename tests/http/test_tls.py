# SPDX-License-Identifier: MIT
"""TLS at the HTTP door: the same service, nothing older than 1.2, certificates read again."""

import os
import socket
import ssl
import subprocess

import pytest
from blobclient import Client
from certificates import make, pkcs12, trusting
from daemon import Daemon, binary, wait_for
from sasclient import account_sas


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make(tmp_path_factory.mktemp("certificates"), "one")


@pytest.fixture(scope="module")
def secure(tmp_path_factory, files):
    """A daemon that has plain HTTP as well: its second address is the encrypted one."""
    folder = tmp_path_factory.mktemp("secure")
    running = Daemon(folder / "store", folder / "log",
                     ["--https", "127.0.0.1:0", "--cert", str(files[1]), "--key", str(files[0]),
                      "--log-level", "debug"])
    running.secure_port = int(running.addresses[1].rsplit(":", 1)[1])
    yield running
    running.stop()


@pytest.fixture
def client(secure, files):
    connected = Client(secure.secure_port, tls=trusting(files[1]))
    yield connected
    connected.close()


def test_blobs_of_every_size_go_both_ways(secure, client):
    assert secure.ready[2].startswith("https://")
    client.create_container("sizes")
    plain = Client(secure.port)
    for size in (0, 1, 4000, 16384, 16385, 200000, 9000000):
        body = os.urandom(size)
        assert client.put_blob("/sizes/b", body).status == 201
        assert client.get("/sizes/b").body == body
        assert plain.get("/sizes/b").body == body
        if size > 100:
            part = client.get("/sizes/b", {"x-ms-range": "bytes=50-%d" % (size - 20)})
            assert part.body == body[50:size - 19]
    assert client.request("HEAD", "/sizes/b")["Content-Length"] == "9000000"
    assert client.get("/sizes/none").code == "BlobNotFound"


def test_a_slow_reader_gets_all_of_it(secure, client, files):
    body = os.urandom(8000000)
    client.create_container("slow")
    assert client.put_blob("/slow/b", body).status == 201
    target, headers = client.head("GET", "/slow/b")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.connect(("127.0.0.1", secure.secure_port))
    stream = trusting(files[1]).wrap_socket(raw, server_hostname="127.0.0.1")
    lines = "".join("%s: %s\r\n" % item for item in headers.items())
    stream.sendall(("GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n"
                    % (target, lines)).encode())
    got = bytearray()
    while True:
        part = stream.recv(3000)
        if not part:
            break
        got += part
    assert got.partition(b"\r\n\r\n")[2] == body
    stream.close()


def test_continue_is_sent(client):
    client.create_container("cont")
    target, headers = client.head("PUT", "/cont/b", b"12345678",
                                  {"x-ms-blob-type": "BlockBlob", "Expect": "100-continue"})
    client.connection.putrequest("PUT", target)
    for header in headers.items():
        client.connection.putheader(*header)
    client.connection.endheaders()
    assert client.connection.sock.recv(1000).startswith(b"HTTP/1.1 100")
    client.connection.send(b"12345678")
    response = client.connection.getresponse()
    assert response.status == 201
    response.read()


def test_many_requests_in_one_write(client):
    client.connection.connect()
    target, headers = client.head("GET", "/?comp=list")
    lines = "".join("%s: %s\r\n" % item for item in headers.items())
    one = "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n" % (target, lines)
    client.connection.sock.sendall(one.encode() * 5)
    got = b""
    while got.count(b"HTTP/1.1 200 ") < 5 or got.count(b"</EnumerationResults>") < 5:
        part = client.connection.sock.recv(10000)
        assert part, got
        got += part


@pytest.mark.parametrize("version, good", [
    (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
def test_versions(secure, version, good):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = version, version
    with socket.create_connection(("127.0.0.1", secure.secure_port), timeout=30) as raw:
        if good:
            with context.wrap_socket(raw) as stream:
                assert stream.version() == version.name.replace("_", ".")
        else:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(raw)


def test_what_is_no_tls_is_cut_off(secure):
    for text in (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\0" * 50):
        with socket.create_connection(("127.0.0.1", secure.secure_port), timeout=30) as raw:
            raw.sendall(text)
            while raw.recv(1000):
                pass


@pytest.mark.door
def test_a_sas_for_https_alone(secure, client):
    sas = account_sas(spr="https")
    bare = {"x-ms-date": None}
    assert client.get("/?comp=list&" + sas, bare, sign=False).status == 200
    answer = Client(secure.port).get("/?comp=list&" + sas, bare, sign=False)
    assert answer.code == "AuthorizationProtocolMismatch"


def test_the_certificate_is_read_again(tmp_path):
    key, certificate = make(tmp_path, "shown")
    _, other = make(tmp_path, "other")
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--https", "127.0.0.1:0", "--cert", str(certificate), "--key", str(key)],
                    http=())
    first = Client(daemon.port, tls=trusting(certificate))
    assert first.get("/?comp=list").status == 200
    old = trusting(certificate)
    # one that doesn't fit changes nothing
    saved = certificate.read_bytes()
    certificate.write_bytes(other.read_bytes())
    daemon.reload()
    wait_for(lambda: "--cert" in daemon.logged())
    assert Client(daemon.port, tls=old).get("/?comp=list").status == 200
    assert saved != certificate.read_bytes()
    make(tmp_path, "shown")
    daemon.reload()
    wait_for(lambda: "were read again" in daemon.logged())
    assert Client(daemon.port, tls=trusting(certificate)).get("/?comp=list").status == 200
    with pytest.raises(ssl.SSLError):
        Client(daemon.port, tls=old).get("/?comp=list")
    # a connection that is there goes on
    assert first.get("/?comp=list").status == 200
    daemon.stop()


def test_a_pkcs12_file(tmp_path, files):
    both = pkcs12(tmp_path, *files, "secret word")
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    ["--https", "127.0.0.1:0", "--cert", str(both), "--pwd", "secret word"],
                    http=())
    assert Client(daemon.port, tls=trusting(files[1])).get("/?comp=list").status == 200
    daemon.stop()


@pytest.mark.parametrize("options, says, status", [
    (["--https", "127.0.0.1:0"], "--cert", 2),
    (["--http", "127.0.0.1:0", "--cert", "x", "--key", "y"], "--https", 2),
    (["--https", "127.0.0.1:0", "--cert", "/none", "--key", "/none"], "/none", 1),
    (["--https", "127.0.0.1:0", "--cert", "/etc/hostname", "--key", "/etc/hostname"],
     "/etc/hostname", 1),
    (["--https", "127.0.0.1:0", "--cert", "/etc/hostname", "--pwd", "hidden"], "PKCS", 1)])
def test_what_is_wrong_with_it_is_one_clear_line(tmp_path, options, says, status):
    result = subprocess.run([binary(), "--store", "local,path=%s" % (tmp_path / "s"), *options],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                            check=False)
    assert result.returncode == status
    assert result.stderr.count("\n") == 1 and says in result.stderr, result.stderr
    assert "hidden" not in result.stderr
