# SPDX-License-Identifier: MIT
"""Static websites: the blobs of $web at an address that is for nothing else."""

import http.client
import subprocess

import pytest
from blobclient import ACCOUNT, KEY, Answer, Client
from certificates import make, trusting
from daemon import Daemon, binary

ON = ("<StaticWebsite><Enabled>true</Enabled><IndexDocument>index.html</IndexDocument>"
      "<ErrorDocument404Path>errors/404.html</ErrorDocument404Path></StaticWebsite>")
PAGES = {"index.html": b"home", "a/index.html": b"folder", "a/page.html": b"page",
         "errors/404.html": b"lost", "a%20b/%C3%A9.txt": b"odd"}
TWO = ["--account", "%s:%s" % (ACCOUNT, KEY), "--account", "second:QUJDREVGR0hJSktMTU5PUA=="]


def setting(client, inner):
    body = "<StorageServiceProperties>%s</StorageServiceProperties>" % inner
    answer = client.put("/?restype=service&comp=properties", body.encode())
    assert answer.status == 202, answer


class Site:
    def __init__(self, folder, options=()):
        key, certificate = make(folder, "site")
        self.daemon = Daemon(folder / "store", folder / "log",
                             ["--website", "127.0.0.1:0", "--website-https", "127.0.0.1:0", "--cert",
                              str(certificate), "--key", str(key), *options])
        self.port, self.secure_port = (int(a.rsplit(":", 1)[1]) for a in self.daemon.addresses[1:])
        self.tls = trusting(certificate)
        self.client = Client(self.daemon.port)
        assert self.client.create_container("$web").status == 201
        for name, body in PAGES.items():
            kind = {"x-ms-blob-content-type": "text/html", "x-ms-blob-cache-control": "max-age=5"}
            assert self.client.put_blob("/$web/" + name, body, kind).status == 201
        setting(self.client, ON)

    def ask(self, path, method="GET", headers=None, body=None, secure=False):
        if secure:
            connection = http.client.HTTPSConnection("127.0.0.1", self.secure_port, timeout=30,
                                                     context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("site"))
    yield running
    running.daemon.stop()


@pytest.mark.parametrize("path, body", [
    ("/", b"home"), ("/index.html", b"home"), ("/?a=b&restype=service", b"home"), ("/a/", b"folder"),
    ("/a/page.html", b"page"), ("/a%20b/%C3%A9.txt", b"odd"), ("/a%2Fpage.html", b"page")])
def test_pages(site, path, body):
    answer = site.ask(path)
    assert (answer.status, answer.body) == (200, body)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("text/html", "max-age=5")
    head = site.ask(path, "HEAD")
    assert (head.status, head["Content-Length"], head.body) == (200, str(len(body)), b"")
    assert site.ask(path, secure=True).body == body


def test_conditions_and_ranges(site):
    etag = site.ask("/")["ETag"]
    assert site.ask("/", headers={"If-None-Match": etag}).status == 304
    answer = site.ask("/", headers={"Range": "bytes=1-2"})
    assert (answer.status, answer.body) == (206, b"om")


@pytest.mark.parametrize("path", ["/none", "/a/none/", "/a", "/$web/index.html",
                                  "/../../etc/passwd", "/a/../index.html", "//index.html",
                                  "/" + ACCOUNT + "/$web/index.html"])
def test_what_is_not_there(site, path):
    for headers in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": "*"}):
        answer = site.ask(path, headers=headers)
        assert (answer.status, answer.body) == (404, b"lost")
        assert answer["Content-Type"] == "text/html"


def test_only_reads_of_that_container(site):
    for method in ("PUT", "POST", "DELETE", "OPTIONS"):
        answer = site.ask("/index.html", method, body=b"x")
        assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")
    # no operation of the service is reached, with or without credentials
    _, headers = site.client.head("GET", "/?comp=list")
    assert site.ask("/%s/?comp=list" % ACCOUNT, headers=headers).body == b"lost"
    assert site.ask("/%ff").status == 400
    assert site.client.get("/$web/index.html").body == b"home"
    # the container itself is not public
    bare = {"x-ms-date": None, "x-ms-version": None}
    assert site.client.get("/$web/index.html", bare, sign=False).status == 401


def test_other_settings(tmp_path):
    site = Site(tmp_path)
    setting(site.client, "<StaticWebsite><Enabled>true</Enabled><DefaultIndexDocumentPath>"
                         "/a/page.html</DefaultIndexDocumentPath></StaticWebsite>")
    assert site.ask("/").body == b"page"
    assert site.ask("/a/").body == b"page"
    answer = site.ask("/none")
    assert (answer.status, answer.code) == (404, "WebContentNotFound")
    setting(site.client, "<StaticWebsite><Enabled>false</Enabled></StaticWebsite>")
    answer = site.ask("/index.html")
    assert (answer.status, answer.code) == (404, "WebsiteDisabled")
    site.daemon.stop()


def test_the_host_names_the_account(tmp_path):
    site = Site(tmp_path, TWO)
    second = Client(site.daemon.port, "second", "QUJDREVGR0hJSktMTU5PUA==")
    assert second.create_container("$web").status == 201
    assert second.put_blob("/$web/index.html", b"the other").status == 201
    setting(second, ON)
    for host, body in (("%s.web.localhost" % ACCOUNT, b"home"), ("SECOND.z6.web.any", b"the other"),
                       ("second-secondary.web.any:80", b"the other")):
        assert site.ask("/", headers={"Host": host}).body == body
    for host in ("localhost", "third.web.any", "second.blob.any", ".web.any"):
        assert site.ask("/", headers={"Host": host}).code == "ResourceNotFound"
    site.daemon.stop()


@pytest.mark.parametrize("options, says", [
    (["--website", "x"], "--website"), (["--website-https", "127.0.0.1:0"], "--cert")])
def test_bad_options(tmp_path, options, says):
    result = subprocess.run([binary(), "--store", "local,path=%s" % (tmp_path / "s"), "--http",
                             "127.0.0.1:0", *options],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                            check=False)
    assert result.returncode in (1, 2)
    assert says in result.stderr.splitlines()[-1]
