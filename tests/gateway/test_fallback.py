# SPDX-License-Identifier: MIT
"""While the device is not there, requests go by HTTPS; when it is back, through it again."""

import base64
import hashlib
import hmac
import urllib.parse

import pytest

from blobclient import ACCOUNT, KEY, Client, http_date
from gateways import Backend, wait_for
from test_bodies import LARGE, content

PATH_STYLE = "http://127.0.0.1:%d/" + ACCOUNT
# curl takes every name below localhost for this machine
HOST_STYLE = "http://" + ACCOUNT + ".blob.localhost:%d"


@pytest.fixture(name="upstream")
def _upstream(tmp_path):
    """The storage account by the network: another daemon, so that it shows who was asked."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    running = Backend(folder)
    Client(running.port).create_container("box")
    yield running
    running.end()


def spec(upstream, endpoint, more=""):
    return ["--fallback", "account=%s,endpoint=%s,unsafe-plain-http=on,retries=0%s" % (
        ACCOUNT, endpoint % upstream.port, more)]


@pytest.fixture(name="key_file")
def _key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def account_sas():
    """By the text of Azure's reference."""
    values = {"sv": "2021-12-02", "ss": "b", "srt": "sco", "sp": "rwdlac", "se": "2999-01-01T00:00:00Z"}
    text = "\n".join([ACCOUNT, values["sp"], values["ss"], values["srt"], "", values["se"], "", "",
                      values["sv"], "", ""])
    mac = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    return urllib.parse.urlencode({**values, "sig": base64.b64encode(mac).decode()})


@pytest.mark.parametrize("size", [0, 5, LARGE + 5, 3 * LARGE])
def test_without_a_device_the_account_is_asked(start, own, upstream, size):
    own.stop()
    gateway = start(own.link, spec(upstream, PATH_STYLE))
    client = Client(gateway.port, timeout=300)
    data = content(size)
    assert client.put_blob("/box/b", data).status == 201
    assert Client(upstream.port, timeout=300).get("/box/b").body == data
    assert client.get("/box/b").body == data
    assert client.get("/box/none").code == "BlobNotFound"


def test_the_device_is_used_again_when_it_is_back(start, own, upstream):
    gateway = start(own.link, spec(upstream, PATH_STYLE))
    client = Client(gateway.port, timeout=300)
    direct = Client(own.port, timeout=300)
    direct.create_container("box")
    direct.put_blob("/box/b", b"by the device")
    Client(upstream.port, timeout=300).put_blob("/box/b", b"by the network")
    assert client.get("/box/b").body == b"by the device"
    own.kill()
    # the very request that finds it gone is safe to repeat, so nobody notices
    assert client.get("/box/b").body == b"by the network"
    own.start()
    wait_for(lambda: client.get("/box/b").body == b"by the device")


def test_what_may_have_happened_is_not_done_by_another_way(start, own, upstream):
    gateway = start(own.link, spec(upstream, PATH_STYLE))
    client = Client(gateway.port, timeout=300)
    Client(own.port, timeout=300).create_container("box")
    own.kill()
    answer = client.put_blob("/box/b", b"once")
    assert (answer.status, answer.code) == (424, "OutcomeUnknown")
    assert Client(upstream.port, timeout=300).get("/box/b").status == 404
    # now it is known that there is no device
    assert client.put_blob("/box/b", b"once").status == 201
    assert Client(upstream.port, timeout=300).get("/box/b").body == b"once"


def test_a_body_that_is_safe_to_repeat_goes_on(start, own, upstream):
    gateway = start(own.link, spec(upstream, PATH_STYLE))
    client = Client(gateway.port, timeout=300)
    Client(own.port, timeout=300).create_container("box")
    own.kill()
    assert client.put_block("/box/b", "0001", b"a block").status == 201
    assert client.put_block_list("/box/b", ["0001"]).status == 201
    assert Client(upstream.port, timeout=300).get("/box/b").body == b"a block"


def test_a_signature_that_can_not_stay_is_refused_and_said(start, own, upstream):
    own.stop()
    gateway = start(own.link, spec(upstream, HOST_STYLE))
    client = Client(gateway.port, timeout=300)
    answer = client.get("/box/b")
    assert (answer.status, answer.code) == (403, "FallbackNeedsKey")
    assert "host-style" in answer.body.decode() and "key-file" in answer.body.decode()
    # a SAS is over no form of URL
    sas = account_sas()
    bare = {"x-ms-date": None, "x-ms-blob-type": "BlockBlob"}
    assert client.put("/box/b?" + sas, b"by a SAS", bare, sign=False).status == 201
    assert Client(upstream.port, timeout=300).get("/box/b").body == b"by a SAS"


def test_with_the_key_it_is_signed_anew_for_who_knows_it(start, own, upstream, key_file):
    own.stop()
    gateway = start(own.link, spec(upstream, HOST_STYLE, f",key-file={key_file}"))
    client = Client(gateway.port, timeout=300)
    data = content(LARGE + 77)
    assert client.put_blob("/box/b", data).status == 201
    assert client.get("/box/b").body == data
    client.key = "bm9uZSBvZiBpdHMga2V5cw=="
    for answer in (client.get("/box/b"), client.put_blob("/box/c", b"stolen")):
        assert (answer.status, answer.code) == (403, "AuthenticationFailed")
    old = client.get("/box/b", {"x-ms-date": http_date(-3600)})
    assert old.status == 403
    # and nobody gets in by saying nothing
    assert client.get("/box/b", sign=False).status in (401, 404, 409)
    assert Client(upstream.port, timeout=300).get("/box/c").status == 404


def test_a_host_style_signature_passes_as_it_is(start, own, upstream):
    own.stop()
    gateway = start(own.link, spec(upstream, HOST_STYLE))
    client = Client(gateway.port, host_style=True, timeout=300)
    assert client.put_blob("/box/b", b"as it was").status == 201
    assert Client(upstream.port, timeout=300).get("/box/b").body == b"as it was"


def test_other_accounts_have_no_fallback(start, own, upstream):
    own.stop()
    gateway = start(own.link, spec(upstream, PATH_STYLE))
    answer = Client(gateway.port, "another", "a2V5").get("/?comp=list")
    assert (answer.status, answer.code) == (503, "ServerBusy")
