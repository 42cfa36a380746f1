# SPDX-License-Identifier: MIT
"""Filters in front of a relay do to its requests what they do to a store's calls."""

import os
import re
import signal
import urllib.parse

import pytest
from blobclient import Client

from fake import answer
from metricsclient import metrics

BODY = os.urandom(1000)
# more than is held until all of it is there, and more than is taken whole on its way back
LONG = os.urandom(9 << 20)
FILTERED = pytest.mark.parametrize("body", [BODY, LONG], ids=["short", "long"])


@pytest.fixture
def filtered(start, fake):
    """Starts a relay behind filters; the client, and the relay."""
    clients = []

    def begin(*specs, more=()):
        options = [word for spec in specs for word in ("--filter", spec)]
        relay = start("https://127.0.0.1:%d/devstoreaccount1" % fake.port,
                      daemon_options=[*options, *more])
        clients.append(Client(relay.port, timeout=300))
        return clients[-1], relay

    yield begin
    for client in clients:
        client.close()


@FILTERED
def test_a_change_whose_outcome_is_lost_is_done(filtered, fake, body):
    client, _ = filtered("fault,change=lost,count=1")
    fake.script = [answer(201)] * 2
    assert client.put_blob("/c/b", body).status == 500
    assert client.put_blob("/c/b", body).status == 201
    assert [request.body for request in fake.take()] == [body, body]


@FILTERED
def test_a_change_that_fails_before_is_not_done(filtered, fake, body):
    client, _ = filtered("error,change=no-space,count=1")
    fake.default = answer(201)
    assert client.put_blob("/c/b", body).status == 507
    assert client.put_blob("/c/b", body).status == 201
    whole = [request for request in fake.take() if request.body == body]
    assert len(whole) == 1


def test_a_change_without_a_body_is_one_too(filtered, fake):
    client, _ = filtered("fault,change=lost,count=1")
    fake.script = [answer(202)] * 2
    assert client.delete("/c/b").status == 500
    assert client.delete("/c/b").status == 202
    assert len(fake.take()) == 2


@FILTERED
def test_killed_after_the_change(filtered, fake, body):
    client, relay = filtered("fault,change=kill-after")
    fake.script = [answer(201)]
    with pytest.raises(OSError):
        client.put_blob("/c/b", body)
    assert relay.process.wait(timeout=300) == -signal.SIGKILL
    relay.stop = lambda: None
    assert [request.body for request in fake.take()] == [body]


@FILTERED
def test_a_bit_that_turns(filtered, fake, body):
    client, _ = filtered("fault,read=flip,count=1")
    fake.script = [answer(200, {}, body)] * 2
    got = client.get("/c/b")
    assert got.status == 200
    wrong = [at for at in range(len(body)) if got.body[at] != body[at]]
    assert len(got.body) == len(body) and len(wrong) == 1
    assert client.get("/c/b").body == body
    fake.take()


def test_an_error_of_reading_is_not_one_of_looking_up(filtered, fake):
    client, _ = filtered("error,read=io")
    fake.script = [answer(200, {"Content-Length": "1000"}), answer(200, {}, BODY),
                   answer(404, {"x-ms-error-code": "BlobNotFound"}, b"<Error/>")]
    assert client.request("HEAD", "/c/b").status == 200
    assert client.get("/c/b").status == 500
    assert client.get("/c/b").status == 404
    fake.take()


@FILTERED
def test_what_is_counted(filtered, fake, tmp_path, body):
    path = tmp_path / "metrics"
    client, _ = filtered("stats", more=["--metrics", str(path)])
    fake.script = [answer(201), answer(200, {}, body), answer(200, {}, b"<list/>")]
    assert client.put_blob("/c/b", body).status == 201
    assert client.get("/c/b").body == body
    assert client.get("/?comp=blobs&where=" + urllib.parse.quote("a='b'")).status == 200
    fake.take()
    found = metrics(path)

    def count(verb):
        return found['azblob_store_seconds_count{name="store",verb="%s"}' % verb]

    assert (count("change"), count("open"), count("list")) == (1, 1, 1)
    assert count("read") >= 1
    for verb in ("read", "write"):
        assert found['azblob_store_bytes_total{name="store",verb="%s"}' % verb] == len(body)


@FILTERED
def test_a_slow_change_is_logged_with_the_time_that_it_took(filtered, fake, body):
    """What is at the end takes the time; a lookup that is quicker than an hour says nothing."""
    client, relay = filtered("log,slow=20ms,level=warning", "delay,change=30ms", "log,slow=3600s")
    fake.script = [answer(201)]
    assert client.put_blob("/c/b", body).status == 201
    fake.take()
    lines = [line for line in relay.logged().splitlines() if "store: change: PUT" in line]
    assert len(lines) == 1 and "warning" in lines[0], relay.logged()
    assert int(re.search(r"in (\d+) us", lines[0]).group(1)) >= 30000
