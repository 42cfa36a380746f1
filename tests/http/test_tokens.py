# SPDX-License-Identifier: MIT
"""Bearer tokens: claims, signatures, https alone; user delegation keys and what is signed by them."""

import time

import pytest
from blobclient import ACCOUNT, KEY, Client
from certificates import make, trusting
from daemon import Daemon, wait_for
from jwt import OID, TID, Key, b64, key_set, token
from sasclient import iso, service_sas

KEY_PATH = "/?restype=service&comp=userdelegationkey"
SECOND = "QUJDREVGR0hJSktMTU5PUA=="


class Served:
    """A daemon with TLS and the options of --oauth; its address by https and by http."""

    def __init__(self, folder, *options):
        key, certificate = make(folder, "served")
        self.daemon = Daemon(folder / "store", folder / "log",
                             ["--https", "127.0.0.1:0", "--cert", str(certificate), "--key",
                              str(key), "--account", "%s:%s:%s" % (ACCOUNT, KEY, SECOND),
                              "--log-level", "debug", *options])
        self.tls = trusting(certificate)
        self.port = int(self.daemon.addresses[1].rsplit(":", 1)[1])

    def client(self, tls=True):
        return Client(self.port, tls=self.tls) if tls else Client(self.daemon.port)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {kind: Key(folder, kind, kind) for kind in ("rsa", "ec")}


@pytest.fixture(scope="module")
def basic(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("basic"), "--oauth", "basic")
    yield served
    served.daemon.stop()


@pytest.fixture(scope="module")
def signed(tmp_path_factory, keys):
    folder = tmp_path_factory.mktemp("signed")
    key_set(folder / "keys.json", keys["rsa"].public(), keys["ec"].public(),
            {"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"})
    served = Served(folder, "--oauth", "basic", "--oauth-keys", str(folder / "keys.json"))
    yield served
    served.daemon.stop()


def ask(client, text, method="GET", path="/?comp=list", body=None, headers=None):
    return client.request(method, path, body, dict({"Authorization": "Bearer " + text,
                                                    "x-ms-date": None}, **(headers or {})))


def refused(answer, says):
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationInfo"), answer
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert says in answer.body.decode()


def test_a_token_opens_everything(basic):
    client = basic.client()
    assert ask(client, token(), "PUT", "/tokens?restype=container", b"").status == 201
    assert ask(client, token(), "PUT", "/tokens/b", b"x",
               {"x-ms-blob-type": "BlockBlob"}).status == 201
    assert ask(client, token(), path="/tokens/b").body == b"x"
    assert ask(client, token(aud="https://%s.blob.core.windows.net" % ACCOUNT)).status == 200
    assert ask(client, token(aud=["x", "https://storage.azure.com/"])).status == 200
    assert ask(client, token(oid=None, sub="me")).status == 200


@pytest.mark.parametrize("claims, says", [
    ({"exp": 1000}, "expired"), ({"exp": None}, "expiration"), ({"exp": "soon"}, "expiration"),
    ({"nbf": time.time() + 3600}, "not yet valid"), ({"iss": "https://evil.test/"}, "Issuer"),
    ({"iss": None}, "Issuer"), ({"iss": ["https://sts.windows.net/"]}, "Issuer"),
    ({"aud": "https://graph.microsoft.com"}, "Audience"), ({"aud": None}, "Audience"),
    ({"aud": "https://%sx.blob.core.windows.net" % ACCOUNT}, "Audience"), ({"aud": []}, "Audience"),
    ({"oid": None}, "nobody"), ({"oid": "x" * 65}, "nobody"), ({"oid": "a\nb"}, "nobody"),
    ({"tid": "x" * 65}, "tenant")])
def test_claims_that_are_not_right(basic, claims, says):
    refused(ask(basic.client(), token(**claims)), says)


@pytest.mark.parametrize("text", [
    "x", "a.b", "a.b.c", "..", "a.b.c.d", b64(b"{}") + "." + b64(b"[]") + ".",
    b64(b"{}") + "." + b64(b"{\"exp\":1,\"exp\":2}") + ".x", b64(b"[" * 5000) + ".e30.eA",
    "e30.e30." + "A" * 3000, "=.=.="])
def test_what_is_no_token(basic, text):
    refused(ask(basic.client(), text), "well formed")
    refused(ask(basic.client(), "a.%s.b" % ("A" * 17000)), "too long")


@pytest.mark.door
def test_tokens_are_for_https(basic):
    answer = ask(basic.client(tls=False), token())
    assert (answer.status, answer.code) == (403, "AuthenticationFailed")
    assert "https" in answer.body.decode()


def test_tokens_are_not_logged(basic):
    text = token()
    assert ask(basic.client(), text).status == 200
    assert text.split(".")[1] not in basic.daemon.logged()
    assert "anybody can make one" in basic.daemon.logged()


def test_signatures(signed, keys, tmp_path):
    client = signed.client()
    rsa, ec = keys["rsa"], keys["ec"]
    for text in (token(rsa), token(ec), token(rsa, "PS256"),
                 token(rsa, header={"kid": "rsa", "x5t": "more"})):
        assert ask(client, text).status == 200
    good = token(rsa)
    other = Key(tmp_path, "rsa")
    for text in (token(), token(other), token(rsa, header={"alg": "none"}),
                 token(rsa, header={"alg": "HS256"}), token(rsa, header={"alg": "PS256"}),
                 token(ec, header={"alg": "RS256"}), token(rsa, header={"kid": "ec"}),
                 good.rsplit(".", 1)[0] + ".", good.rsplit(".", 1)[0] + "." + "A" * 342,
                 token(rsa, oid="someone").rsplit(".", 1)[0] + "." + good.rsplit(".", 1)[1]):
        refused(ask(client, text), "Signature validation")
    refused(ask(client, token(rsa, header={"alg": None})), "how it is signed")
    # a good signature alone is not enough
    refused(ask(client, token(rsa, exp=1000)), "expired")


def test_the_key_set_is_read_again(tmp_path, keys):
    path = tmp_path / "keys.json"
    key_set(path, keys["rsa"].public(alg="RS256"))
    served = Served(tmp_path, "--oauth", "basic", "--oauth-keys", str(path), "--oauth-issuer",
                    "https://ours.test/", "--oauth-audience", "ours")
    client = served.client()
    ours = {"iss": "https://ours.test/", "aud": "ours"}
    assert ask(client, token(keys["rsa"], **ours)).status == 200
    refused(ask(client, token(keys["rsa"], "PS256", **ours)), "Signature")
    refused(ask(client, token(keys["rsa"], iss="https://ours.test/")), "Audience")
    refused(ask(client, token(keys["rsa"], aud="ours")), "Issuer")
    path.write_text("{")
    served.daemon.reload()
    wait_for(lambda: "--oauth-keys" in served.daemon.logged())
    assert ask(client, token(keys["rsa"], **ours)).status == 200
    key_set(path, keys["ec"].public())
    served.daemon.reload()
    wait_for(lambda: ask(client, token(keys["ec"], **ours)).status == 200)
    refused(ask(client, token(keys["rsa"], **ours)), "Signature")
    served.daemon.stop()


# ------------------------------------------------------------------ user delegation


def key_info(start=None, expiry=None, user_tid=None):
    names = (("Start", start), ("Expiry", expiry), ("DelegatedUserTid", user_tid))
    return ("<KeyInfo>%s</KeyInfo>" % "".join("<%s>%s</%s>" % (name, value, name)
                                              for name, value in names if value)).encode()


def get_key(client, seconds=600, user_tid=None, **claims):
    answer = ask(client, token(**claims), "POST", KEY_PATH,
                 key_info(iso(-5), iso(seconds), user_tid))
    assert answer.status == 200, answer
    xml = answer.xml()
    names = {"skoid": "SignedOid", "sktid": "SignedTid", "skt": "SignedStart",
             "ske": "SignedExpiry", "sks": "SignedService", "skv": "SignedVersion",
             "Value": "Value"}
    return {field: xml.findtext(name) for field, name in names.items()}


@pytest.fixture
def blob(basic):
    client = Client(basic.daemon.port)
    client.create_container("delegated")
    assert client.put_blob("/delegated/b", b"content").status == 201
    return "delegated/b"


def test_a_user_delegation_sas(basic, blob):
    key = get_key(basic.client())
    assert (key["skoid"], key["sktid"], key["sks"]) == (OID, TID, "b")
    client = Client(basic.daemon.port)
    bare = {"x-ms-date": None}
    for version in ("2018-11-09", "2020-02-10", "2020-12-06", "2025-07-05", "2026-04-06"):
        for resource in (blob, "delegated"):
            sas = service_sas(resource, delegation=key, sp="r", sv=version, saoid="a", scid="b")
            assert client.get("/delegated/b?" + sas, bare, sign=False).body == b"content"
    sas = service_sas(blob, delegation=key, sp="r", rsct="x/y")
    assert client.get("/delegated/b?" + sas, bare, sign=False)["Content-Type"] == "x/y"
    answer = client.delete("/delegated/b?" + sas, bare, sign=False)
    assert answer.code == "AuthorizationPermissionMismatch"
    for changed in (dict(key, skoid="other"), dict(key, ske=iso(6000)), dict(key, Value=KEY)):
        answer = client.get("/delegated/b?" + service_sas(blob, delegation=changed, sp="r"), bare,
                            sign=False)
        assert answer.code == "AuthenticationFailed"
    # no policies for these
    answer = client.get("/delegated/b?" + service_sas(blob, delegation=key, sp="r", si="p"), bare,
                        sign=False)
    assert answer.code == "AuthenticationFailed"


def test_the_time_of_the_key_bounds_the_sas(basic, blob):
    client = Client(basic.daemon.port)
    answer = ask(basic.client(), token(), "POST", KEY_PATH, key_info(iso(60), iso(600)))
    xml = answer.xml()
    key = {"skoid": OID, "sktid": TID, "skt": xml.findtext("SignedStart"),
           "ske": xml.findtext("SignedExpiry"), "sks": "b", "skv": xml.findtext("SignedVersion"),
           "Value": xml.findtext("Value")}
    answer = client.get("/delegated/b?" + service_sas(blob, delegation=key, sp="r"),
                        {"x-ms-date": None}, sign=False)
    assert answer.code == "AuthenticationFailed" and b"Key not valid" in answer.body


def test_signed_headers_and_parameters(basic, blob):
    key = get_key(basic.client())
    client = Client(basic.daemon.port)
    sas = service_sas(blob, delegation=key, sp="r", sv="2026-04-06",
                      headers={"x-ms-range": "bytes=0-2"}, parameters={"timeout": "30"})
    path = "/delegated/b?timeout=30&" + sas
    for headers, query, status in (({"x-ms-range": "bytes=0-2"}, path, 206),
                                   ({"x-ms-range": "bytes=0-3"}, path, 403), ({}, path, 403),
                                   ({"x-ms-range": "bytes=0-2"}, path.replace("=30", "=31"), 403)):
        answer = client.get(query, dict(headers, **{"x-ms-date": None}), sign=False)
        assert answer.status == status, answer


def test_a_sas_for_one_user_needs_that_users_token(basic, blob):
    key = get_key(basic.client())
    sas = service_sas(blob, delegation=key, sp="r", sv="2025-07-05", sduoid=OID)
    client = basic.client()
    assert ask(client, token(), path="/delegated/b?" + sas).status == 200
    assert ask(client, token(oid="another"), path="/delegated/b?" + sas).status == 403
    assert client.get("/delegated/b?" + sas, {"x-ms-date": None}, sign=False).status == 403
    # the token opens more than the SAS, which still counts
    assert ask(client, token(), "DELETE", "/delegated/b?" + sas).code == \
        "AuthorizationPermissionMismatch"


def test_only_a_token_gets_a_key(basic):
    body = key_info(None, iso(600))
    answer = basic.client().request("POST", KEY_PATH, body)
    assert (answer.status, answer.code) == (403, "AuthenticationFailed")
    assert b"Bearer" in answer.body
    assert ask(basic.client(), token(tid=None), "POST", KEY_PATH, body).status == 403


@pytest.mark.parametrize("body, code", [
    (b"x", "InvalidXmlDocument"), (b"<Odd/>", "InvalidXmlDocument"),
    (b"<KeyInfo/>", "MissingRequiredXmlNode"), (key_info(None, "soon"), "InvalidXmlNodeValue"),
    (key_info(None, iso(-5)), "InvalidXmlNodeValue"),
    (key_info(None, iso(8 * 86400)), "InvalidXmlNodeValue"),
    (key_info(iso(700), iso(600)), "InvalidXmlNodeValue"),
    (key_info(iso(-2 * 86400), iso(6 * 86400)), "InvalidXmlNodeValue"),
    (key_info("x", iso(600)), "InvalidXmlNodeValue"),
    (key_info(None, iso(600), "x" * 65), "InvalidXmlNodeValue")])
def test_bad_key_requests(basic, body, code):
    answer = ask(basic.client(), token(), "POST", KEY_PATH, body)
    assert (answer.status, answer.code) == (400, code), answer
