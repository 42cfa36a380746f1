# SPDX-License-Identifier: MIT
"""Proxies between the relay and the account: by option, by environment, and none."""

import socket
import threading

import pytest

from blobclient import Client
from servers import listener, quiet_environment


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy:
    """CONNECT and nothing else; remembers whom it was asked for."""

    def __init__(self, refuse=None):
        self.server = listener()
        self.port = self.server.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.asked = []
        self.refuse = refuse
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        self.asked.append(head)
        if self.refuse:
            client.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % self.refuse)
            client.close()
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connected\r\nX-Proxy: yes\r\n\r\n")
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        back.join()

    def stop(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture
def proxy():
    running = Proxy()
    yield running
    running.stop()


def get(relay):
    client = Client(relay.port)
    got = client.get("/c/b")
    client.close()
    return got


def url(server):
    return "https://127.0.0.1:%d/devstoreaccount1" % server.port


def test_by_option(fake, start, proxy):
    got = get(start(url(fake), proxy=proxy.url))
    assert (got.status, got["X-Proxy"]) == (200, None)
    assert proxy.asked[0].startswith(b"CONNECT 127.0.0.1:%d " % fake.port)
    # it sees where to, and nothing of the request
    assert b"devstoreaccount1" not in proxy.asked[0] and b"SharedKey" not in proxy.asked[0]
    assert len(fake.take()) == 1


def test_by_environment(fake, start, proxy):
    assert get(start(url(fake), env=quiet_environment(https_proxy=proxy.url))).status == 200
    assert len(proxy.asked) == 1


def test_the_environments_exceptions_count(fake, start, proxy):
    env = quiet_environment(https_proxy=proxy.url, no_proxy="127.0.0.1")
    assert get(start(url(fake), env=env)).status == 200
    assert not proxy.asked


def test_none_is_none(fake, start, proxy):
    env = quiet_environment(https_proxy=proxy.url)
    assert get(start(url(fake), env=env, proxy="none")).status == 200
    assert not proxy.asked


@pytest.mark.parametrize("why", [b"403 Forbidden", b"407 Proxy Authentication Required",
                                 b"502 Bad Gateway"])
def test_a_proxy_that_refuses_is_not_the_account(fake, start, why):
    """Its error must not look like one of the account's."""
    proxy = Proxy(why)
    got = get(start(url(fake), proxy=proxy.url, retries=0))
    proxy.stop()
    assert (got.status, got.code) == (502, "UpstreamUnreachable")
    assert not fake.take()


def test_a_certificate_is_checked_behind_a_proxy_too(fake, start, proxy):
    got = get(start(url(fake), proxy=proxy.url, ca=None, retries=0))
    assert got.code == "UpstreamUnreachable"
    assert not fake.take()
