# SPDX-License-Identifier: MIT
"""Copy Blob from another host, of what takes a while: its states, its end, Abort Copy Blob."""

import http.server
import random
import threading

import pytest

from blobclient import connected, md5, new_container
from daemon import Daemon, wait_for

SIZE = 20 << 20
CONTENT = random.Random(5).randbytes(SIZE)


class SlowSource:
    """Gives the first half of a file at once, and the other when it is told to."""

    def __init__(self):
        self.go = threading.Event()
        self.lose = False
        self.etag = '"one"'
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append(dict(self.headers))
                self.close_connection = True
                wanted = self.headers.get("If-Match")
                if wanted and wanted != outer.etag:
                    self.send_response(412)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                for name, value in [("Content-Length", SIZE), ("ETag", outer.etag),
                                    ("Content-Type", "text/x-slow"), ("x-ms-meta-from", "slow")]:
                    self.send_header(name, str(value))
                self.end_headers()
                try:
                    self.wfile.write(CONTENT[:SIZE // 2])
                    outer.go.wait(120)
                    if not outer.lose:
                        self.wfile.write(CONTENT[SIZE // 2:])
                except OSError:
                    pass  # it was given up

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d/file?sig=secret" % self.port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow():
    server = SlowSource()
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path, slow):
    """start() -> a daemon on the same store each time."""
    running = []

    def begin(*options):
        running.append(Daemon(tmp_path / "store", tmp_path / "log",
                              ["--copy-from", "127.0.0.1:%d" % slow.port,
                               "--unsafe-copy-from-private", *options]))
        return running[-1]

    yield begin
    slow.go.set()
    for daemon in running:
        if daemon.process.poll() is None:
            daemon.stop()


@pytest.fixture
def daemon(start):
    return start()


def begin(client, path, url, **headers):
    answer = client.put(path, headers={"x-ms-copy-source": url, **headers})
    assert (answer.status, answer["x-ms-copy-status"]) == (202, "pending"), answer
    return answer


def status(client, path):
    return client.request("HEAD", path)["x-ms-copy-status"]


def half_is_there(client, path):
    seen = client.request("HEAD", path)["x-ms-copy-progress"]
    return seen == "%d/%d" % (SIZE // 2, SIZE)


def abort(client, path, copy_id, **headers):
    return client.put("%s?comp=copy&copyid=%s" % (path, copy_id),
                      headers={"x-ms-copy-action": "abort", **headers})


def test_a_copy_goes_on_after_its_answer(client, container, slow):
    path = "/%s/target" % container
    answer = begin(client, path, slow.url)
    wait_for(lambda: half_is_there(client, path), 120)
    seen = client.get(path)
    assert (seen.status, seen.body) == (200, b"")
    assert seen["x-ms-copy-status"] == "pending"
    assert seen["x-ms-copy-id"] == answer["x-ms-copy-id"]
    assert seen["x-ms-copy-source"] == slow.url.partition("?")[0]
    assert seen["x-ms-copy-completion-time"] is None
    assert seen["x-ms-copy-status-description"] is None
    assert seen["ETag"] == answer["ETag"]
    listed = client.list_blobs(container, include="copy").xml()
    assert [item.text for item in listed.iter("CopyStatus")] == ["pending"]
    assert [item.text for item in listed.iter("CopyProgress")] == ["%d/%d" % (SIZE // 2, SIZE)]
    slow.go.set()
    wait_for(lambda: status(client, path) == "success", 120)
    done = client.get(path)
    assert done.body == CONTENT
    assert done["Content-MD5"] == md5(CONTENT)
    assert (done["Content-Type"], done["x-ms-meta-from"]) == ("text/x-slow", "slow")
    assert done["x-ms-copy-id"] == answer["x-ms-copy-id"]
    assert done["x-ms-copy-progress"] == "%d/%d" % (SIZE, SIZE)
    assert done["x-ms-copy-completion-time"].endswith("GMT")
    assert done["ETag"] != answer["ETag"]
    # what was looked at is what was copied
    assert [sent.get("If-Match") for sent in slow.requests] == [None, '"one"']
    assert abort(client, path, answer["x-ms-copy-id"]).code == "NoPendingCopyOperation"


def test_a_copy_is_aborted(client, container, slow):
    path = "/%s/target" % container
    answer = begin(client, path, slow.url, **{"x-ms-meta-own": "yes"})
    wait_for(lambda: half_is_there(client, path), 120)
    other = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    refused = abort(client, path, other)
    assert (refused.status, refused.code) == (409, "CopyIdMismatch")
    assert abort(client, path, answer["x-ms-copy-id"]).status == 204
    seen = client.get(path)
    assert (seen.body, seen["x-ms-copy-status"], seen["x-ms-meta-own"]) == (b"", "aborted", "yes")
    assert abort(client, path, answer["x-ms-copy-id"]).code == "NoPendingCopyOperation"
    slow.go.set()
    assert client.put_blob(path, b"free again").status == 201
    assert client.get(path).body == b"free again"


def test_an_abort_that_was_not_written_is_none(start, slow, tmp_path):
    broken = tmp_path / "broken"
    daemon = start("--filter", "error,change=no-space,if=%s" % broken)
    with connected(daemon.port) as client:
        path = "/%s/target" % new_container(client, "test")
        answer = begin(client, path, slow.url)
        wait_for(lambda: half_is_there(client, path), 120)
        broken.touch()
        # the first is of a copy under way; for the second nobody does it any more
        for _ in range(2):
            refused = abort(client, path, answer["x-ms-copy-id"])
            assert (refused.status, status(client, path)) == (507, "pending"), refused
        broken.unlink()
        assert abort(client, path, answer["x-ms-copy-id"]).status == 204
        assert status(client, path) == "aborted"
        assert client.put_blob(path, b"free again").status == 201


@pytest.mark.parametrize("lose", [False, True])
def test_a_copy_whose_end_was_not_written_can_be_aborted(start, slow, tmp_path, lose):
    """All bytes were there, or the source broke off, and the store took neither."""
    broken = tmp_path / "broken"
    daemon = start("--filter", "error,change=no-space,if=%s" % broken)
    with connected(daemon.port) as client:
        path = "/%s/target" % new_container(client, "test")
        answer = begin(client, path, slow.url)
        wait_for(lambda: half_is_there(client, path), 120)
        broken.touch()
        slow.lose = lose
        slow.go.set()
        wait_for(lambda: "its blob can't be told" in daemon.logged(), 120)
        refused = abort(client, path, answer["x-ms-copy-id"])
        assert (refused.status, status(client, path)) == (507, "pending"), refused
        broken.unlink()
        assert abort(client, path, answer["x-ms-copy-id"]).status == 204
        assert status(client, path) == "aborted"
        assert client.put_blob(path, b"free again").status == 201


def test_a_source_that_breaks_off(client, container, slow):
    path = "/%s/target" % container
    begin(client, path, slow.url)
    slow.lose = True
    slow.go.set()
    wait_for(lambda: status(client, path) == "failed", 120)
    seen = client.get(path)
    assert seen.body == b""
    assert "CannotVerifyCopySource" in seen["x-ms-copy-status-description"]


def test_a_source_that_changes_in_between_is_not_taken(client, container, slow):
    """Between the look at its head and the reading of its bytes."""
    path = "/%s/target" % container
    first = slow.server.RequestHandlerClass.do_GET

    def change_afterwards(handler):
        slow.server.RequestHandlerClass.do_GET = first
        # the second request comes only after this one was answered
        slow.etag = '"two"'
        handler.send_response(200)
        for name, value in [("Content-Length", SIZE), ("ETag", '"one"')]:
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(CONTENT[:65536])
        handler.close_connection = True

    slow.server.RequestHandlerClass.do_GET = change_afterwards
    begin(client, path, slow.url)
    wait_for(lambda: status(client, path) == "failed", 120)
    assert "412" in client.get(path)["x-ms-copy-status-description"]


CHANGES = [
    ("PUT", "", b"mine", {"x-ms-blob-type": "BlockBlob"}),
    ("PUT", "?comp=blocklist", b"<BlockList/>", {}),
    ("PUT", "?comp=metadata", None, {"x-ms-meta-k": "v"}),
    ("PUT", "?comp=properties", None, {"x-ms-blob-content-type": "a/b"}),
    ("PUT", "?comp=tags", b"<Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags>", {}),
    ("PUT", "?comp=tier", None, {"x-ms-access-tier": "Cool"}),
    ("PUT", "?comp=snapshot", None, {}),
    ("PUT", "?comp=legalhold", None, {"x-ms-legal-hold": "true"}),
    ("DELETE", "", None, {})]


def test_nobody_else_changes_what_a_copy_is_on_its_way_to(client, container, slow):
    path = "/%s/target" % container
    etag = begin(client, path, slow.url)["ETag"]
    wait_for(lambda: half_is_there(client, path), 120)
    for method, query, body, headers in CHANGES + [("PUT", "", None, {"x-ms-copy-source": slow.url})]:
        refused = client.request(method, path + query, body, headers)
        assert (refused.status, refused.code) == (409, "PendingCopyOperation"), (method, query, refused)
    # conditions come first
    refused = client.delete(path, headers={"If-Match": '"0x1"'})
    assert (refused.status, refused.code) == (412, "ConditionNotMet")
    assert client.get(path)["ETag"] == etag
    # a lease is not of the bytes, and the copy needs none
    lease = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"})
    assert lease.status == 201
    slow.go.set()
    wait_for(lambda: status(client, path) == "success", 120)
    assert client.get(path).body == CONTENT
    for method, query, body, headers in CHANGES[:-2]:
        answer = client.request(method, path + query, body, dict(
            headers, **{"x-ms-lease-id": lease["x-ms-lease-id"]}))
        assert answer.status < 300, (method, query, answer)


def test_a_container_that_is_deleted_takes_its_copies_along(client, container, slow):
    begin(client, "/%s/target" % container, slow.url)
    assert client.delete("/%s?restype=container" % container).status == 202
    slow.go.set()
    other = "/%s/other" % new_container(client, "other")
    begin(client, other, slow.url)
    wait_for(lambda: status(client, other) == "success", 120)


def test_conditions_and_leases_of_the_target(client, container, slow):
    path = "/%s/target" % container
    assert client.put_blob(path, b"there").status == 201
    refused = client.put(path, headers={"x-ms-copy-source": slow.url, "If-None-Match": "*"})
    assert (refused.status, refused.code) == (409, "BlobAlreadyExists")
    lease = client.put(path + "?comp=lease", headers={
        "x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"})["x-ms-lease-id"]
    refused = client.put(path, headers={"x-ms-copy-source": slow.url})
    assert (refused.status, refused.code) == (412, "LeaseIdMissing")
    slow.go.set()
    begin(client, path, slow.url, **{"x-ms-lease-id": lease})
    wait_for(lambda: status(client, path) == "success", 120)
    assert client.get(path).body == CONTENT


def test_no_more_than_some_at_once(client, container, slow):
    for number in range(16):
        begin(client, "/%s/%d" % (container, number), slow.url)
    refused = client.put("/%s/more" % container, headers={"x-ms-copy-source": slow.url})
    assert (refused.status, refused.code) == (503, "ServerBusy")
    assert client.get("/%s/more" % container).status == 404
    slow.go.set()
    wait_for(lambda: all(status(client, "/%s/%d" % (container, number)) == "success"
                         for number in range(16)), 120)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_restart_goes_on_with_it(start, slow, how):
    daemon = start("--drain", "1")
    with connected(daemon.port) as client:
        container = new_container(client, "test")
        path = "/%s/target" % container
        answer = begin(client, path, slow.url, **{"x-ms-meta-own": "yes", "x-ms-tags": "k=v",
                                                  "x-ms-access-tier": "Cool"})
        wait_for(lambda: half_is_there(client, path), 120)
    if how == "kill":
        daemon.kill()
    else:
        daemon.stop()
    daemon = start()
    with connected(daemon.port) as client:
        seen = client.get(path)
        assert (seen.body, seen["x-ms-copy-status"]) == (b"", "pending")
        assert client.put_blob(path, b"mine").code == "PendingCopyOperation"
        slow.go.set()
        wait_for(lambda: status(client, path) == "success", 120)
        done = client.get(path)
        assert (done.body, done["x-ms-copy-id"]) == (CONTENT, answer["x-ms-copy-id"])
        assert (done["Content-MD5"], done["Content-Type"]) == (md5(CONTENT), "text/x-slow")
        assert (done["x-ms-meta-own"], done["x-ms-tag-count"]) == ("yes", "1")
        assert client.request("HEAD", path)["x-ms-access-tier"] == "Cool"
        # what was looked at when it began is what was copied, with the credentials of then
        assert [sent.get("If-Match") for sent in slow.requests] == [None, '"one"', '"one"']
        # it is over: the next process has nothing to do
        assert client.put_blob(path, b"free again").status == 201
    daemon.stop()
    daemon = start()
    with connected(daemon.port) as client:
        assert client.get(path).body == b"free again"
    assert len(slow.requests) == 3


def test_after_a_restart_it_can_be_aborted(start, slow):
    daemon = start("--drain", "1")
    with connected(daemon.port) as client:
        path = "/%s/target" % new_container(client, "test")
        answer = begin(client, path, slow.url)
    daemon.kill()
    daemon = start()
    with connected(daemon.port) as client:
        assert abort(client, path, answer["x-ms-copy-id"]).status == 204
        assert status(client, path) == "aborted"
        assert client.put_blob(path, b"free again").status == 201


def test_a_host_that_is_not_allowed_any_more(start, slow, tmp_path):
    daemon = start("--drain", "1")
    with connected(daemon.port) as client:
        path = "/%s/target" % new_container(client, "test")
        begin(client, path, slow.url)
        wait_for(lambda: half_is_there(client, path), 120)
    daemon.stop()
    asked = len(slow.requests)
    daemon = Daemon(tmp_path / "store", tmp_path / "log")
    with connected(daemon.port) as client:
        wait_for(lambda: status(client, path) == "failed", 120)
        assert "not allowed any more" in client.get(path)["x-ms-copy-status-description"]
        assert client.delete(path).status == 202
    daemon.stop()
    assert len(slow.requests) == asked


def test_a_copy_whose_container_was_away_can_be_aborted(start, slow):
    daemon = start("--container-retention", "3")
    with connected(daemon.port) as client:
        container = new_container(client, "test")
        path = "/%s/target" % container
        answer = begin(client, path, slow.url)
        assert client.delete("/%s?restype=container" % container).status == 202
        version = client.get("/?comp=list&include=deleted").xml().findtext(".//Version")
        slow.go.set()
        # it ends without its blob; another one that is begun later has ended after it
        other = "/%s/other" % new_container(client, "other")
        begin(client, other, slow.url)
        wait_for(lambda: status(client, other) == "success", 120)
        assert client.put("/%s?restype=container&comp=undelete" % container, headers={
            "x-ms-deleted-container-name": container,
            "x-ms-deleted-container-version": version}).status == 201
        # whichever was first, the end of the copy or the restoration
        assert abort(client, path, answer["x-ms-copy-id"]).status in (204, 409)
        assert client.put_blob(path, b"free again").status == 201


@pytest.mark.parametrize("options", [[], ["--versions", "devstoreaccount1"]])
def test_the_empty_blob_is_no_version_that_somebody_wants_back(start, slow, options):
    """With soft delete, with versions: what the finished copy replaces was never anything."""
    daemon = start(*options)
    with connected(daemon.port) as client:
        xml = ("<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>3"
               "</Days></DeleteRetentionPolicy></StorageServiceProperties>").encode()
        assert client.put("/?restype=service&comp=properties", xml).status == 202
        container = new_container(client, "test")
        slow.go.set()
        begin(client, "/%s/target" % container, slow.url)
        wait_for(lambda: status(client, "/%s/target" % container) == "success", 120)
        listed = client.list_blobs(container, include="deleted,snapshots,versions").xml()
        assert len(list(listed.iter("Name"))) == 1
