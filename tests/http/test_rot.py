# SPDX-License-Identifier: MIT
"""Damage on the disk: whoever reads it is told, and never gets the wrong bytes."""

import http.client

import pytest
from blobclient import Client
from daemon import Daemon

SIZE = 6 << 20


def damage(store, data):
    """Turns a bit of the one place where @data is."""
    for path in sorted((store / "extents").iterdir()):
        with open(path, "r+b") as extents:
            at = extents.read(64 << 20).find(data)
            if at >= 0:
                extents.seek(at)
                extents.write(bytes([data[0] ^ 1]))
                return
    raise AssertionError("not in any extent file")


@pytest.fixture(params=["first", "always"])
def rotten(request, tmp_path):
    """A blob whose byte 5 MiB is damaged."""
    body = bytes(range(256)) * (SIZE // 256)
    mark = b"here it is that a bit will turn."
    body = body[:5 << 20] + mark + body[(5 << 20) + len(mark):]
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    store_options="verify=" + request.param)
    client = Client(daemon.port)
    client.create_container("cont")
    assert client.put_blob("/cont/b", body).status == 201
    damage(tmp_path / "store", mark)
    yield daemon, client, body
    client.close()
    daemon.stop()


def test_a_range_that_is_damaged_is_an_error_and_logged(rotten):
    daemon, client, body = rotten
    answer = client.get("/cont/b", {"x-ms-range": "bytes=5242880-5242890"})
    assert (answer.status, answer.code) == (500, "InternalError")
    assert "damaged" in daemon.logged()
    answer = client.get("/cont/b", {"x-ms-range": "bytes=5242880-5242890",
                                "x-ms-range-get-content-md5": "true"})
    assert answer.status == 500
    answer = client.get("/cont/b", {"x-ms-range": "bytes=0-999999"})
    assert (answer.status, answer.body) == (206, body[:1000000])
    assert client.get("/cont/b", {"x-ms-range": "bytes=6000000-"}).body == body[6000000:]


@pytest.mark.door
def test_a_body_with_damage_ends_before_it(rotten):
    _, client, body = rotten
    with pytest.raises(http.client.IncompleteRead) as cut:
        client.get("/cont/b")
    assert 4 << 20 <= len(cut.value.partial) <= 5 << 20
    assert body.startswith(cut.value.partial)


def test_a_damaged_blob_can_be_replaced(rotten):
    _, client, body = rotten
    assert client.put_blob("/cont/b", body).status == 201
    assert client.get("/cont/b").body == body
