# SPDX-License-Identifier: MIT
"""In whose name requests go on: the caller's own, or the relay's after the caller's was checked."""

import base64
import hashlib
import hmac
import json
import re
import signal
import threading
import urllib.parse

import pytest

from blobclient import ACCOUNT, KEY, Client, authorization, http_date
from fake import Fake, answer, early, lost
from daemon import wait_for
from jwt import Key, key_set, token
from link import Link, plain_head
from servers import ROOT, key_file

STRANGE_KEY = "QUJDREVGR0hJSktMTU5PUA=="


def url(server, path="/" + ACCOUNT, scheme="https"):
    return "%s://127.0.0.1:%d%s" % (scheme, server.port, path)


def service_sas(resource="c", path="/ccc", permissions="racwdl", key=KEY, **more):
    """A service SAS of version 2020-12-06, by the text of the reference."""
    fields = {"sp": permissions, "st": "", "se": "2099-01-01T00:00:00Z", "spr": "", "sv":
              "2020-12-06", "sr": resource, **more}
    order = [fields["sp"], fields["st"], fields["se"], "/blob/%s%s" % (ACCOUNT, path),
             fields.get("si", ""), fields.get("sip", ""),
             fields["spr"], fields["sv"], fields["sr"], "", "", fields.get("rscc", ""),
             fields.get("rscd", ""), fields.get("rsce", ""), fields.get("rscl", ""),
             fields.get("rsct", "")]
    mac = hmac.new(base64.b64decode(key), "\n".join(order).encode(), hashlib.sha256).digest()
    fields["sig"] = base64.b64encode(mac).decode()
    return urllib.parse.urlencode({name: value for name, value in fields.items() if value})


# ------------------------------------------------------------------- passing on

def test_passed_on_byte_for_byte(fake, start):
    client = Client(start(url(fake), key=False).port)
    target = "/c/a%2fb%20c?comp=metadata&x=%7e&timeout=30"
    got = client.put(target, b"", {"x-ms-meta-A": "v  w", "Date": http_date(-5)})
    assert got.status == 200
    sent = client.head("PUT", target, b"", {"x-ms-meta-A": "v  w"})[1]
    client.close()
    (request,) = fake.take()
    assert request.target == "/" + ACCOUNT + target
    assert request.headers["x-ms-meta-a"] == "v  w"
    assert request.headers["authorization"].startswith("SharedKey %s:" % ACCOUNT)
    # what arrived fits its own signature: nothing that counts was changed
    kept = {name: value for name, value in request.headers.items() if name != "authorization"}
    assert authorization("PUT", request.target, kept) == request.headers["authorization"]
    assert sent


def test_passing_on_does_not_look_at_the_signature(fake, start):
    """Upstream decides: the relay knows no keys here."""
    client = Client(start(url(fake), key=False).port, key=STRANGE_KEY)
    fake.script = [answer(403, {"x-ms-error-code": "AuthenticationFailed"})]
    assert client.get("/c/b").status == 403
    client.close()
    assert len(fake.take()) == 1


def test_a_signature_for_another_form_of_url_is_refused_before_it_is_sent(fake, start):
    client = Client(start(url(fake, ""), key=False).port)
    got = client.get("/c/b")
    client.close()
    assert (got.status, got.code) == (400, "InvalidUri")
    assert b"host-style" in got.body
    assert not fake.take()


def test_a_host_style_signature_goes_to_a_host_style_endpoint(fake, start):
    client = Client(start(url(fake, ""), key=False).port, host_style=True)
    assert client.get("/c/b?comp=metadata").status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == "/c/b?comp=metadata"


def test_tokens_and_sas_are_passed_on_in_either_form(fake, start):
    relay = start(url(fake, ""), key=False)
    client = Client(relay.port)
    assert client.get("/c/b", {"Authorization": "Bearer abc.def"}, sign=False).status == 200
    assert client.get("/c/b?sp=r&sig=abc%2B", sign=False).status == 200
    client.close()
    token, sas = fake.take()
    assert (token.target, token.headers["authorization"]) == ("/c/b", "Bearer abc.def")
    assert sas.target == "/c/b?sp=r&sig=abc%2B"
    assert "authorization" not in sas.headers


def test_a_signed_request_is_never_changed_to_read_on(fake, start):
    """The rest of a long blob can't be asked for in the caller's name."""
    client = Client(start(url(fake), key=False).port)
    from fake import ranged
    fake.script = [ranged(bytes(3 << 20), limit=1 << 20)]
    with pytest.raises(Exception):
        client.get("/c/b")
    client.close()
    assert len(fake.take()) == 1


@pytest.mark.parametrize("target", ["/?comp=batch", "/c?restype=container&comp=batch"])
def test_a_batch_is_passed_on_once(fake, start, target):
    client = Client(start(url(fake), key=False).port)
    body = b"--batch_1\r\nContent-Type: application/http\r\n\r\nDELETE /c/b HTTP/1.1\r\n\r\n"
    fake.script = [answer(202, {}, b"parts"), lost()]
    assert client.request("POST", target, body).body == b"parts"
    assert client.request("POST", target, body).code == "OutcomeUnknown"
    client.close()
    requests = fake.take()
    assert [request.body for request in requests] == [body, body]


# ---------------------------------------------------------------- the key's name

def test_the_callers_key_stays_here_and_the_accounts_key_signs(fake, start, tmp_path):
    other = base64.b64encode(b"the account's real key").decode()
    relay = start(url(fake), key_file=key_file(tmp_path / "other", other))
    client = Client(relay.port)
    got = client.put_blob("/c/a%20b", b"bytes", {"x-ms-meta-a": "b", "Content-Type": "text/x"})
    assert got.status == 200
    client.close()
    (request,) = fake.take()
    kept = {name: value for name, value in request.headers.items() if name != "authorization"}
    assert request.headers["authorization"] == authorization("PUT", request.target, kept,
                                                             key=other)
    assert request.headers["content-type"] == "text/x"


def test_path_style_here_host_style_there(fake, start):
    client = Client(start(url(fake, "")).port)
    assert client.get("/c/b").status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == "/c/b"
    kept = {name: value for name, value in request.headers.items() if name != "authorization"}
    assert request.headers["authorization"] == authorization("GET", "/c/b", kept)


def test_the_secondary_is_asked_by_its_own_name(fake, start):
    client = Client(start(url(fake)).port)
    target = "/%s-secondary/c/b" % ACCOUNT
    sent = {"x-ms-date": http_date(), "x-ms-version": "2023-11-03"}
    sent["Authorization"] = authorization("GET", target, sent)
    client.connection.request("GET", target, headers=sent)
    assert client.connection.getresponse().status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == target


def test_another_account_is_refused(fake, start):
    client = Client(start(url(fake)).port, account="somebodyelse")
    assert client.get("/c/b").status == 403
    client.close()
    assert not fake.take()


def test_who_says_nothing_goes_on_without_the_relays_name(fake, start):
    client = Client(start(url(fake)).port)
    fake.script = [answer(404, {"x-ms-error-code": "ResourceNotFound"})]
    assert client.get("/c/b", sign=False).status == 404
    client.close()
    (request,) = fake.take()
    assert "authorization" not in request.headers


def test_headers_of_the_hop_stay_here(fake, start):
    client = Client(start(url(fake)).port)
    assert client.get("/c/b", {"Proxy-Authorization": "Basic x", "TE": "trailers",
                               "X-Own": "1"}).status == 200
    client.close()
    (request,) = fake.take()
    assert "proxy-authorization" not in request.headers and "te" not in request.headers
    assert request.headers["x-own"] == "1"


# -------------------------------------------------------------------------- SAS

def test_a_callers_sas_is_checked_and_taken_off(fake, start):
    client = Client(start(url(fake)).port)
    got = client.get("/ccc/b?%s&timeout=5" % service_sas(rsct="text/plain"), sign=False)
    assert (got.status, got["Content-Type"]) == (200, "text/plain")
    forged = service_sas(key=STRANGE_KEY)
    assert client.get("/ccc/b?" + forged, sign=False).status == 403
    assert client.put_blob("/ccc/b?" + service_sas(permissions="r"), b"x", sign=False).status == 403
    client.close()
    (request,) = fake.take()
    assert request.target == "/%s/ccc/b?timeout=5" % ACCOUNT
    assert request.headers["authorization"].startswith("SharedKey ")


ACL = b"""\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers>
<SignedIdentifier><Id>mine</Id><AccessPolicy><Start>2020-01-01T00:00:00.0000000Z</Start>
<Expiry>%s-01-01T00:00:00.0000000Z</Expiry><Permission>%s</Permission></AccessPolicy>
</SignedIdentifier></SignedIdentifiers>"""


def policy_sas(identifier):
    return service_sas(permissions="", si=identifier, se="")


@pytest.mark.parametrize("identifier,expiry,permissions,status", [
    ("mine", b"2099", b"r", 200), ("mine", b"2021", b"r", 403), ("mine", b"2099", b"w", 403),
    ("other", b"2099", b"r", 403)])
def test_a_stored_policy_is_asked_for_where_it_is(fake, start, identifier, expiry, permissions,
                                                  status):
    client = Client(start(url(fake)).port)
    fake.script = [answer(200, {"Content-Type": "application/xml"}, ACL % (expiry, permissions))]
    assert client.get("/ccc/b?" + policy_sas(identifier), sign=False).status == status
    client.close()
    requests = fake.take()
    assert requests[0].target == "/%s/ccc?restype=container&comp=acl" % ACCOUNT
    assert len(requests) == (2 if status == 200 else 1)


def test_a_filter_lets_questions_of_the_service_and_reloads_through(fake, start):
    relay = start(url(fake), daemon_options=["--filter", "stats", "--filter", "log"])
    client = Client(relay.port)
    fake.script = [answer(200, {"Content-Type": "application/xml"}, ACL % (b"2099", b"r"))]
    assert client.get("/ccc/b?" + policy_sas("mine"), sign=False).status == 200
    assert "comp=acl" in fake.take()[0].target
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "were read again" in relay.logged())
    assert client.get("/ccc/b").status == 200
    client.close()


def test_a_policy_that_cannot_be_asked_for_opens_nothing(fake, start):
    client = Client(start(url(fake)).port)
    fake.script = [answer(404, {"x-ms-error-code": "ContainerNotFound"})]
    got = client.get("/ccc/b?" + policy_sas("mine"), sign=False)
    assert (got.status, got.code) == (403, "AuthenticationFailed")
    client.close()
    assert len(fake.take()) == 1


def test_a_user_delegation_sas_is_for_the_account_to_check(fake, start):
    """It is signed with a key that only the account knows; nothing is vouched for here."""
    client = Client(start(url(fake)).port)
    target = "/c/b?skoid=1&sktid=2&sv=2020-12-06&sr=b&sp=r&sig=abc"
    assert client.get(target, sign=False).status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == "/" + ACCOUNT + target
    assert "authorization" not in request.headers


def batch_of(client, paths):
    parts = []
    for number, path in enumerate(paths):
        target = "/%s%s" % (ACCOUNT, path)
        sent = {"x-ms-date": http_date(), "Content-Length": "0"}
        sent["Authorization"] = authorization("DELETE", target, sent, key=client.key)
        parts.append("--b1\r\nContent-Type: application/http\r\nContent-ID: %d\r\n\r\n"
                     "DELETE %s HTTP/1.1\r\n%s\r\n" % (number, target, "".join(
                         "%s: %s\r\n" % pair for pair in sent.items())))
    return ("".join(parts) + "--b1--\r\n").encode()


def test_a_batch_in_the_relays_name_is_its_parts(fake, start):
    """Each with credentials of its own, which are checked, and a result of its own."""
    client = Client(start(url(fake)).port)
    stranger = Client(client.port, key=STRANGE_KEY)
    body = batch_of(client, ["/c/one", "/c/two"])[:-len(b"--b1--\r\n")]
    body += batch_of(stranger, ["/c/three"])
    fake.script = [answer(202), answer(404, {"x-ms-error-code": "BlobNotFound"})]
    got = client.request("POST", "/?comp=batch", body, {
        "Content-Type": "multipart/mixed; boundary=b1"})
    client.close()
    stranger.close()
    assert got.status == 202, got
    statuses = [line.split()[1] for line in got.body.split(b"\r\n") if line[:5] == b"HTTP/"]
    assert statuses == [b"202", b"404", b"403"]
    assert [(r.method, r.target) for r in fake.take()] == [
        ("DELETE", "/%s/c/one" % ACCOUNT), ("DELETE", "/%s/c/two" % ACCOUNT)]


@pytest.mark.parametrize("held", [8, 0])
def test_a_sas_that_may_only_create_does_not_replace(fake, start, held):
    client = Client(start(url(fake), hold_max=held).port)
    fake.script = [answer(409, {"x-ms-error-code": "BlobAlreadyExists"})]
    got = client.put_blob("/ccc/b?" + service_sas(permissions="c"), b"x", sign=False)
    assert got.status == 403
    client.close()
    (request,) = fake.take()
    assert request.headers["if-none-match"] == "*"


def test_no_condition_of_the_caller_is_left_beside_that(fake, start):
    client = Client(start(url(fake)).port)
    own = {"If-None-Match": '"one"', "if-none-match": '"two"'}
    client.put_blob("/ccc/b?" + service_sas(permissions="c"), b"x", own, sign=False)
    client.close()
    (request,) = fake.take()
    assert [value for name, value in request.fields if name.lower() == "if-none-match"] == ["*"]


# -------------------------------------------------------- paths and parameters of a SAS

DOTS = ["/ccc/../secret/x", "/ccc/a/../../secret/x", "/ccc/%2e%2E/secret/x", "/ccc/.%2e/x",
        "/ccc/a%2F..%2f..%2Fsecret", "/ccc/..%5Csecret", "/ccc/..", "/ccc/./b", "/ccc/b/."]
NO_DOTS = ["/ccc/a..", "/ccc/..a/b", "/ccc/.../b", "/ccc/.hidden", "/ccc/a.b/c."]


@pytest.mark.parametrize("path", DOTS)
def test_a_sas_leaves_no_path_to_be_resolved_upstream(fake, start, path):
    """The way there might make another container of it, and the relay may read that one too."""
    relay = start(url(fake))
    client = Client(relay.port)
    got = client.get("%s?%s" % (path, service_sas()), sign=False)
    assert (got.status, got.code) == (400, "InvalidUri")
    assert not fake.take()
    # whoever holds the account's key could name that container just as well
    assert client.get(path).status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == "/" + ACCOUNT + path


def test_dots_that_mean_nothing_pass_with_a_sas(fake, start):
    client = Client(start(url(fake)).port)
    for path in NO_DOTS:
        assert client.get("%s?%s" % (path, service_sas()), sign=False).status == 200, path
    client.close()
    assert [r.target for r in fake.take()] == ["/%s%s" % (ACCOUNT, path) for path in NO_DOTS]


def test_a_callers_own_sas_goes_on_with_any_path(fake, start):
    client = Client(start(url(fake), key=False).port)
    assert client.get("/ccc/a/../b?sig=abc", sign=False).status == 200
    client.close()
    assert fake.take()[0].target == "/%s/ccc/a/../b?sig=abc" % ACCOUNT


SAS_PARAMETERS = """sv ss srt sp st se spr sip sr si sig skoid sktid skt ske sks skv saoid suoid scid sdd
    ses rscc rscd rsce rscl rsct skdutid sduoid srh srq""".split()


def test_the_list_of_a_sas_parameters_is_that_of_the_service():
    """What sas.c reads has to come off here; sdd is checked elsewhere."""
    source = (ROOT / "vsp-backend/blob/sas.c").read_text()
    read = set(re.findall(r'param\(t, "(\w+)"\)', source)) - {"snapshot", "versionid"}
    assert read <= set(SAS_PARAMETERS)


@pytest.mark.parametrize("written", ["%s", "%%%02x"])
def test_nothing_of_a_callers_sas_goes_on_beside_the_relays(fake, start, tmp_path, written):
    path = tmp_path / "sas"
    path.write_text("?sv=2020-12-06&sp=rl&sig=own\n")
    path.chmod(0o600)
    relay = start(url(fake), key=False, sas_file=path, trust_link="on")
    link = Link(relay.link)
    first = lambda name: name[0] if written == "%s" else written % ord(name[0])
    query = "&".join("%s%s=theirs" % (first(name), name[1:]) for name in SAS_PARAMETERS
                     if name != "skoid")  # with it the account is to check
    got = link.call(plain_head("GET", "/%s/c/b?comp=metadata&%s" % (ACCOUNT, query)), room=100)
    assert got.status == 200
    link.close()
    (request,) = fake.take()
    assert request.target == "/%s/c/b?comp=metadata&sv=2020-12-06&sp=rl&sig=own" % ACCOUNT


def test_the_relays_own_sas(fake, start, tmp_path):
    path = tmp_path / "sas"
    path.write_text("?sv=2020-12-06&sp=rl&sig=a%2Fb%3D\n")
    path.chmod(0o600)
    client = Client(start(url(fake), key=False, sas_file=path).port)
    assert client.get("/c/b?comp=metadata").status == 200
    client.close()
    (request,) = fake.take()
    assert request.target == "/%s/c/b?comp=metadata&sv=2020-12-06&sp=rl&sig=a%%2Fb%%3D" % ACCOUNT
    assert "authorization" not in request.headers


def test_a_new_key_is_read_on_sighup(fake, start, tmp_path):
    path = key_file(tmp_path / "rotated")
    relay = start(url(fake), key_file=path)
    client = Client(relay.port)
    other = base64.b64encode(b"the next key").decode()

    def signed_with():
        assert client.get("/c/b").status == 200
        (request,) = fake.take()
        kept = {name: value for name, value in request.headers.items() if name != "authorization"}
        return [key for key in (KEY, other) if request.headers["authorization"] == authorization(
            "GET", request.target, kept, key=key)]

    assert signed_with() == [KEY]
    path.write_text("no key at all")
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "stays as it was" in relay.logged())
    assert signed_with() == [KEY]
    path.write_text(other + "\n")
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "were read again" in relay.logged())
    assert signed_with() == [other]
    client.close()


# ----------------------------------------------------------------- copy sources

@pytest.mark.parametrize("host,path", [("127.0.0.1:{client}", "/" + ACCOUNT),
                                       ("127.0.0.1:{fake}", "/" + ACCOUNT)])
def test_a_source_of_the_account_gets_the_endpoints_name(fake, start, host, path):
    client = Client(start(url(fake)).port)
    host = host.format(client=client.port, fake=fake.port)
    got = client.put("/c/b", headers={"x-ms-copy-source": "http://%s%s/c/s?snapshot=x" %
                                      (host, path)})
    assert got.status == 200
    client.close()
    (request,) = fake.take()
    assert request.headers["x-ms-copy-source"] == url(fake) + "/c/s?snapshot=x"


def test_a_sas_cannot_reach_other_blobs_by_copying_them(fake, start):
    """Upstream would read them for the relay."""
    client = Client(start(url(fake)).port)
    source = "http://127.0.0.1:%d/%s/secret/s" % (client.port, ACCOUNT)
    got = client.put("/ccc/b?" + service_sas(), headers={"x-ms-copy-source": source}, sign=False)
    assert (got.status, got.code) == (403, "CannotVerifyCopySource")
    client.close()
    assert not fake.take()


def test_other_hosts_are_sources_only_when_listed(fake, start):
    listed = Client(start(url(fake), copy_from="one.example;two.example:444").port)
    for source, status in (("https://two.example:444/c/s", 200), ("https://one.example/x", 200),
                           ("https://two.example/c/s", 403), ("https://one.example.evil/x", 403),
                           ("https://one.example@evil/x", 400), ("file:///etc/passwd", 400)):
        got = listed.put("/c/b", headers={"x-ms-copy-source": source})
        assert got.status == status, source
    listed.close()
    assert len(fake.take()) == 2


# ------------------------------------------------------------- managed identity

class Imds:
    """The instance metadata service: hands out numbered tokens."""

    def __init__(self, fake, lives=86400):
        self.fake = fake
        self.count = 0
        self.lives = lives
        fake.default = self.token

    def token(self, exchange):
        self.count += 1
        body = json.dumps({"access_token": "token%d" % self.count, "token_type": "Bearer",
                           "expires_in": str(self.lives)}).encode()
        answer(200, {"Content-Type": "application/json"}, body)(exchange)


@pytest.fixture
def imds():
    server = Fake()
    yield Imds(server)
    server.stop()


def identity(start, fake, imds, **more):
    relay = start(url(fake), key=False, identity="managed",
                  imds="http://127.0.0.1:%d" % imds.fake.port, **more)
    return Client(relay.port, timeout=60)


def test_a_token_is_fetched_once_and_used(fake, start, imds):
    client = identity(start, fake, imds, client_id="0000-1111")
    for _ in range(5):
        assert client.get("/c/b").status == 200
    client.close()
    (asked,) = imds.fake.take()
    assert asked.headers["metadata"] == "true"
    assert asked.target == ("/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
                            "https%3A%2F%2Fstorage.azure.com%2F&client_id=0000-1111")
    assert {r.headers["authorization"] for r in fake.take()} == {"Bearer token1"}


def test_many_at_once_fetch_one_token(fake, start, imds):
    client = identity(start, fake, imds)
    clients = [Client(client.port, timeout=60) for _ in range(16)]
    results = []
    release = threading.Event()
    token = imds.token

    def slow(exchange):
        release.wait(60)
        token(exchange)
    imds.fake.default = slow
    threads = [threading.Thread(target=lambda c=c: results.append(c.get("/c/b").status))
               for c in clients]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(60)
    assert results == [200] * 16
    assert len(imds.fake.take()) == 1
    for each in clients + [client]:
        each.close()
    fake.take()


def test_a_refused_token_is_replaced(fake, start, imds):
    client = identity(start, fake, imds)
    assert client.get("/c/b").status == 200
    fake.script = [answer(401, {"x-ms-error-code": "InvalidAuthenticationInfo"})]
    assert client.get("/c/b").status == 200
    assert [r.headers["authorization"] for r in fake.take()] == ["Bearer token1"] * 2 + [
        "Bearer token2"]
    # what is never repeated is not; nothing was done, and the caller may send it again
    fake.script = [answer(401)]
    got = client.put("/c/b?comp=appendblock", b"x")
    assert (got.status, got.code) == (503, "ServerBusy")
    assert client.put("/c/b?comp=appendblock", b"x").status == 200
    assert [r.headers["authorization"] for r in fake.take()] == ["Bearer token2", "Bearer token3"]
    client.close()


def test_a_token_that_is_refused_in_the_middle_of_a_body(fake, start, imds):
    client = identity(start, fake, imds, hold_max=0)
    fake.script = [early(401)]
    got = client.put_blob("/c/b", bytes(6 << 20))
    assert (got.status, got.code) == (503, "ServerBusy")
    client.connection.close()  # the rest of the body was in the way
    fake.script = [answer(401)]
    got = client.put_blob("/c/b", bytes(100000))
    assert (got.status, got.code) == (503, "ServerBusy")
    assert client.put_blob("/c/b", bytes(100000)).status == 200
    client.close()
    assert [r.headers["authorization"] for r in fake.take()] == [
        "Bearer token1", "Bearer token2", "Bearer token3"]


def test_no_token_is_an_error_that_says_why(fake, start, imds):
    imds.fake.default = answer(400, {}, b'{"error":"invalid_request"}')
    client = identity(start, fake, imds)
    got = client.get("/c/b")
    assert (got.status, got.code) == (503, "ServerBusy")
    assert b"answered 400" in got.body
    assert not fake.take()
    # it is asked for again with the next request
    imds.fake.default = imds.token
    assert client.get("/c/b").status == 200
    client.close()
    fake.take()


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"access_token": ""}',
                                  b'{"access_token": "a b\\r\\nx", "expires_in": 9}',
                                  b'{"access_token": 7}', b'{"access_token": "a"'])
def test_a_token_that_is_none(fake, start, imds, body):
    imds.fake.default = answer(200, {}, body)
    client = identity(start, fake, imds)
    assert client.get("/c/b").status == 503
    client.close()
    assert not fake.take()


def test_imds_in_trouble_is_asked_again(fake, start, imds):
    imds.fake.script = [answer(500), answer(429)]
    client = identity(start, fake, imds)
    assert client.get("/c/b").status == 200
    client.close()
    assert len(imds.fake.take()) == 3
    fake.take()


# ------------------------------------------------------------------ bearer tokens

def test_tokens_of_anybody_do_not_get_the_relays_name(fake, start, tmp_path):
    """Without a key set their signatures are not looked at."""
    basic = ["--oauth", "basic"]
    sas = tmp_path / "sas"
    sas.write_text("?sv=2020-12-06&sp=rl&sig=abc\n")
    sas.chmod(0o600)
    for own in ({}, {"key": False, "sas_file": sas}, {"key": False, "identity": "managed"},
                {"trust_link": "on"}):
        with pytest.raises(RuntimeError, match="add --oauth-keys"):
            start(url(fake), daemon_options=basic, **own)
    with pytest.raises(RuntimeError, match="add --oauth-keys"):
        start(url(fake), daemon_options=basic + ["--filter", "log"])
    # those of its callers go on as they are, for the account to check
    client = Client(start(url(fake), daemon_options=basic, key=False).port)
    assert client.get("/c/b", {"Authorization": "Bearer a.b.c"}, sign=False).status == 200
    client.close()
    assert fake.take()[0].headers["authorization"] == "Bearer a.b.c"


def test_a_signed_token_is_taken_off_and_its_caller_gets_the_relays_name(fake, start, tmp_path):
    known, other = Key(tmp_path, "rsa", "rsa"), Key(tmp_path, "other", "rsa")
    key_set(tmp_path / "keys.json", known.public())
    relay = start(url(fake), daemon_options=["--oauth", "basic", "--oauth-keys",
                                             str(tmp_path / "keys.json")])
    link = Link(relay.link)

    def ask(text):
        return link.call(plain_head("GET", "/%s/c/b" % ACCOUNT, {
            "Authorization": "Bearer " + text, "x-ms-version": "2023-11-03"}), room=1000)
    assert ask(token(other)).status == 401
    assert not fake.take()
    assert ask(token(known)).status == 200
    link.close()
    (request,) = fake.take()
    assert request.headers["authorization"].startswith("SharedKey ")


# ------------------------------------------------------------------ what is said

def test_no_secret_is_logged(fake, start, imds, tmp_path):
    relay = start(url(fake))
    client = Client(relay.port)
    sas = service_sas()
    client.get("/ccc/b?" + sas, sign=False)
    fake.script = [lost(), lost(), lost(), lost()]
    client.get("/c/b")
    client.close()
    other = identity(start, fake, imds)
    other.get("/c/b")
    other.close()
    said = relay.logged()
    secret = urllib.parse.parse_qs(sas)["sig"][0]
    assert KEY not in said and secret not in said and urllib.parse.quote(secret) not in said
    assert "token1" not in said and "SharedKey " not in said
    fake.take()


@pytest.mark.parametrize("options,word", [
    ({"account": "No"}, "account=No"), ({"endpoint": "ftp://x"}, "endpoint=ftp"),
    ({"endpoint": "http://x"}, "unsafe-plain-http"), ({"endpoint": "https://x/other"}, "/other"),
    ({"endpoint": "https://u@x"}, "HOST"), ({"key_file": "/does/not/exist"}, "key-file"),
    ({"retries": "many"}, "retries=many"), ({"connections": 0}, "connections=0"),
    ({"ca": "/does/not/exist"}, "ca="), ({"novel": 1}, "unknown option 'novel'"),
    ({"spool": "/does/not/exist"}, "spool="), ({"trust_link": "on"}, "trust-link"),
    ({"identity": "somebody"}, "identity=somebody"), ({"client_id": "x y"}, "client-id"),
    ({"imds": "http://127.0.0.1:1"}, "identity=managed")])
def test_a_bad_option_is_named(start, options, word):
    with pytest.raises(RuntimeError) as failed:
        start("https://127.0.0.1:1", key=False, **{"retry_delay": None, **options})
    assert word in str(failed.value)


def test_a_key_that_others_may_read_is_refused(start, tmp_path):
    path = key_file(tmp_path / "open")
    path.chmod(0o644)
    with pytest.raises(RuntimeError) as failed:
        start("https://127.0.0.1:1", key_file=path)
    assert "chmod 600" in str(failed.value) and KEY not in str(failed.value)


def test_two_credentials_are_one_too_many(start, tmp_path):
    with pytest.raises(RuntimeError) as failed:
        start("https://127.0.0.1:1", identity="managed")
    assert "not two" in str(failed.value)
