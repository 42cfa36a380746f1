# SPDX-License-Identifier: MIT
"""Bearer tokens: https to the gateway, as client libraries want it, and the host that checks them."""

import ssl
import time

import pytest

from blobclient import Client
from gateways import Backend, Gateway
from jwt import token
from test_bodies import LARGE, content
from test_program import make_certificate


@pytest.fixture(scope="module", name="secure")
def _secure(tmp_path_factory):
    """A gateway with https and http before a daemon that takes tokens; (it, its backend, who trusts it)."""
    folder = tmp_path_factory.mktemp("tokens")
    backend = Backend(folder, ["--oauth", "basic"])
    make_certificate(folder / "tls")
    running = Gateway(folder, backend.link, ["--https", "127.0.0.1:0", "--cert", folder / "tls/gateway.pem",
                                             "--key", folder / "tls/gateway.key"])
    yield running, backend, ssl.create_default_context(cafile=str(folder / "tls/ca.pem"))
    running.stop()
    backend.end()


@pytest.fixture(name="https")
def _https(secure):
    gateway, _, trusting = secure
    url, = (url for url in gateway.urls if url.startswith("https:"))
    client = Client(int(url.rpartition(":")[2]), tls=trusting, timeout=300)
    yield client
    client.close()


def bearer(text, headers=None):
    """For a request that nobody signs."""
    return {"Authorization": f"Bearer {text}", "x-ms-date": None, **(headers or {})}


def put(client, path, body, text):
    return client.request("PUT", path, body, bearer(text, {"x-ms-blob-type": "BlockBlob"}))


# one request, and a handle with parts
@pytest.mark.parametrize("size", [5, 2 * LARGE + 5])
def test_a_token_opens_what_a_signature_does(secure, https, size):
    data = content(size)
    box = f"box{size}"
    assert https.request("PUT", f"/{box}?restype=container", b"", bearer(token())).status == 201
    assert put(https, f"/{box}/b", data, token()).status == 201
    assert Client(secure[1].port, timeout=300).get(f"/{box}/b").body == data
    assert https.get(f"/{box}/b", bearer(token())).body == data


@pytest.mark.parametrize("size", [5, 2 * LARGE + 5])
def test_one_that_is_not_right_opens_nothing(secure, https, size):
    box = f"closed{size}"
    direct = Client(secure[1].port, timeout=300)
    assert direct.create_container(box).status == 201
    answers = [https.get(f"/{box}?restype=container", bearer(token(exp=time.time() - 3600))),
               put(https, f"/{box}/b", content(size), token(aud="https://graph.microsoft.com"))]
    for answer, says in zip(answers, ["expired", "Audience"]):
        assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo"), answer
        # by which client libraries find out whom to ask for another one
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        assert says in answer.body.decode()
    assert direct.get(f"/{box}/b").status == 404


def test_the_way_to_the_host_is_safe_for_one_that_came_by_http(secure):
    # no client library sends it like this, but a program on this machine may
    client = Client(secure[0].port, timeout=300)
    assert client.get("/?comp=list", bearer(token())).status == 200


def test_tokens_are_not_logged(secure, https):
    gateway, backend, _ = secure
    text = token()
    assert https.get("/?comp=list", bearer(text)).status == 200
    for log in (gateway.logged(), backend.running.logged()):
        assert log and text.split(".")[1] not in log
