# SPDX-License-Identifier: MIT
"""Shared access signatures of accounts, containers and blobs, and what each restriction refuses."""

import pytest
from blobclient import ACCOUNT, VERSION, Client
from daemon import Daemon
from sasclient import account_sas, iso, service_sas

MISMATCH = "AuthorizationPermissionMismatch"


def ask(client, method, path, sas, body=None, headers=None):
    """With no other credentials, and no x-ms-version unless it is in @headers."""
    sent = {"x-ms-date": None, "x-ms-version": VERSION}
    sent.update(headers or {})
    separator = "&" if "?" in path else "?"
    return client.request(method, path + separator + sas, body, sent, sign=False)


def put(client, path, sas, body=b"x", **headers):
    sent = {"x-ms-blob-type": "BlockBlob"}
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    return ask(client, "PUT", path, sas, body, sent)


def refused(answer, code="AuthenticationFailed", status=403):
    assert (answer.status, answer.code) == (status, code), answer
    return answer.body.decode()


@pytest.fixture
def blob(client, container):
    path = "/%s/a name/b+c" % container
    assert client.put_blob(path.replace(" ", "%20"), b"content",
                           {"x-ms-blob-content-type": "a/b"}).status == 201
    return path


def url(path):
    return path.replace(" ", "%20")


@pytest.mark.parametrize("version", ["2015-04-05", "2018-03-28", "2018-11-09", "2020-02-10",
                                     "2020-10-02", "2020-12-06", "2025-07-05", "2026-10-06",
                                     "2030-01-01"])
def test_each_version_signs_its_own_string(client, container, blob, version):
    for sas in (account_sas(sv=version), service_sas(blob[1:], sp="r", sv=version),
                service_sas(container, sp="r", sv=version)):
        assert ask(client, "GET", url(blob), sas).body == b"content", (version, sas)


@pytest.mark.parametrize("version", ["2014-02-14", "2018-11-9", "x", ""])
def test_other_versions_are_refused(client, blob, version):
    refused(ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", sv=version)))


def test_the_version_of_a_request_is_that_of_its_sas(client, blob):
    bare = {"x-ms-version": None}
    sas = service_sas(blob[1:], sp="r", sv="2019-12-12")
    answer = ask(client, "GET", url(blob), sas, headers=bare)
    assert (answer.status, answer["x-ms-version"]) == (200, "2019-12-12")
    answer = ask(client, "GET", url(blob), sas + "&api-version=2021-08-06", headers=bare)
    assert (answer.status, answer["x-ms-version"]) == (200, "2021-08-06")
    for bad in ("2010-01-01", "x"):
        answer = ask(client, "GET", url(blob), sas + "&api-version=" + bad, headers=bare)
        assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")


def test_a_changed_field_does_not_fit(client, container, blob):
    good = service_sas(blob[1:], sp="r")
    for before, after in (("sp=r", "sp=rw"), ("sr=b", "sr=c"), ("sv=2023-11-03", "sv=2023-08-03"),
                          ("se=20", "se=21")):
        assert before in good
        text = refused(ask(client, "GET", url(blob), good.replace(before, after)))
        assert "Signature did not match" in text
    refused(ask(client, "GET", "/%s/other" % container, good))
    refused(ask(client, "GET", url(blob), good + "&rscc=x"))
    refused(ask(client, "GET", url(blob), good.replace("sig=", "sig=A")))
    refused(ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", key="AAAA")))
    refused(ask(client, "GET", url(blob), account_sas().replace("srt=sco", "srt=o")))


def test_both_keys_sign(daemon):
    for key in ("QUJDREVGR0hJSktMTU5PUA==", "c2Vjb25kIGtleSBvZiBpdA=="):
        client = Client(daemon.port, "second")
        sas = account_sas("second", key)
        assert ask(client, "GET", "/?comp=list", sas).status == 200
    refused(ask(Client(daemon.port, "nobody"), "GET", "/?comp=list", account_sas("nobody")))


@pytest.mark.parametrize("start, expiry, good", [
    (None, 60, True), (-60, 60, True), (60, 120, False), (None, -60, False), (-120, -60, False)])
def test_time(client, blob, start, expiry, good):
    st = None if start is None else iso(start)
    for sas in (service_sas(blob[1:], sp="r", st=st, se=iso(expiry)),
                account_sas(st=st, se=iso(expiry))):
        answer = ask(client, "GET", url(blob), sas)
        if good:
            assert answer.status == 200
        else:
            assert "not valid in the specified time frame" in refused(answer)


@pytest.mark.parametrize("expiry, good", [
    ("2999-01-01", True), ("2999-01-01T00:00Z", True), ("2999-01-01T00:00:00.1234567Z", True),
    ("2999-02-29T00:00:00Z", False), ("2999-01-01 00:00:00Z", False), ("tomorrow", False),
    ("9999-12-31T23:59:59Z", True), ("", False)])
def test_forms_of_a_time(client, blob, expiry, good):
    answer = ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", se=expiry))
    assert answer.status == (200 if good else 403)


@pytest.mark.parametrize("address, good", [
    ("127.0.0.1", True), ("127.0.0.0-127.0.0.255", True), ("127.0.0.2", False),
    ("10.0.0.0-10.255.255.255", False), ("::1", False), ("x", False), ("127.0.0.1-", False)])
def test_source_address(client, blob, address, good):
    for sas in (service_sas(blob[1:], sp="r", sip=address), account_sas(sip=address)):
        answer = ask(client, "GET", url(blob), sas)
        if good:
            assert answer.status == 200
        else:
            refused(answer, "AuthorizationSourceIPMismatch")


@pytest.mark.door
def test_protocol(client, blob):
    for make in (lambda spr: service_sas(blob[1:], sp="r", spr=spr),
                 lambda spr: account_sas(spr=spr)):
        assert ask(client, "GET", url(blob), make("https,http")).status == 200
        refused(ask(client, "GET", url(blob), make("https")), "AuthorizationProtocolMismatch")
        refused(ask(client, "GET", url(blob), make("http")))


def test_account_resource_types_and_services(client, container, blob):
    for types, path in (("co", "/?comp=list"), ("so", "/%s?restype=container" % container),
                        ("sc", url(blob))):
        assert ask(client, "GET", path, account_sas()).status == 200
        refused(ask(client, "GET", path, account_sas(srt=types)),
                "AuthorizationResourceTypeMismatch")
    refused(ask(client, "GET", url(blob), account_sas(ss="qft")), "AuthorizationServiceMismatch")
    assert ask(client, "GET", url(blob), account_sas(ss="qbft")).status == 200
    refused(ask(client, "GET", url(blob), account_sas(ss="bx")))
    refused(ask(client, "GET", url(blob), account_sas(srt="ox")))


@pytest.mark.parametrize("permission, does", [
    ("r", {"GET"}), ("w", {"PUT", "META"}), ("c", {"PUT"}), ("d", {"DELETE"}), ("l", {"LIST"}),
    ("a", set()), ("rwdl", {"GET", "PUT", "META", "DELETE", "LIST"})])
def test_each_permission_opens_its_operations(client, container, permission, does):
    for sas in (account_sas(sp=permission), service_sas(container, sp=permission)):
        client.delete("/%s/new" % container)
        answers = {"PUT": put(client, "/%s/new" % container, sas)}
        client.put_blob("/%s/b" % container, b"1")
        answers["GET"] = ask(client, "GET", "/%s/b" % container, sas)
        answers["META"] = ask(client, "PUT", "/%s/b?comp=metadata" % container, sas, b"")
        answers["LIST"] = ask(client, "GET", "/%s?restype=container&comp=list" % container, sas)
        answers["DELETE"] = ask(client, "DELETE", "/%s/b" % container, sas)
        for name, answer in answers.items():
            if name in does:
                assert answer.status < 300, (name, answer)
            else:
                refused(answer, MISMATCH)


def test_create_does_not_replace(client, container):
    path = "/%s/once" % container
    for sas in (service_sas(container, sp="c"), account_sas(sp="c")):
        client.delete(path)
        assert put(client, path, sas, b"1").status == 201
        refused(put(client, path, sas, b"2"), "UnauthorizedBlobOverwrite")
        refused(put(client, path, sas, b"2" * 100000), "UnauthorizedBlobOverwrite")
        assert client.get(path).body == b"1"
        assert put(client, path, sas.replace("sp=c", "sp=c"), b"3",
                   If_None_Match="*").status == 403


def test_a_service_sas_does_not_manage_containers(client, container, blob):
    sas = service_sas(container, sp="racwdxyltfmei")
    for method, query in (("GET", "restype=container"), ("DELETE", "restype=container"),
                          ("GET", "restype=container&comp=acl"),
                          ("PUT", "restype=container&comp=metadata")):
        refused(ask(client, method, "/%s?%s" % (container, query), sas), "AuthorizationFailure")
    refused(ask(client, "GET", "/?comp=list", sas), "AuthorizationFailure")
    # an account SAS does, except for its stored policies
    assert ask(client, "GET", "/%s?restype=container" % container, account_sas()).status == 200
    for method in ("GET", "PUT"):
        refused(ask(client, method, "/%s?restype=container&comp=acl" % container, account_sas()),
                "AuthorizationFailure")


def test_a_blob_sas_is_for_that_blob(client, container, blob):
    sas = service_sas(blob[1:], sp="racwdl")
    assert ask(client, "GET", url(blob), sas).status == 200
    refused(ask(client, "GET", "/%s/b" % container, sas))
    refused(ask(client, "GET", "/%s?restype=container&comp=list" % container, sas),
            "AuthorizationFailure")
    refused(ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", sr="d")))
    refused(ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", sr="x")))
    # these need the moment they are for
    for kind in ("bs", "bv"):
        refused(ask(client, "GET", url(blob), service_sas(blob[1:], sp="r", sr=kind)),
                "AuthorizationResourceTypeMismatch")


def test_response_headers_are_replaced(client, container, blob):
    wanted = {"rscc": "no-store", "rscd": 'attachment; filename="x"', "rsce": "identity",
              "rscl": "de", "rsct": "text/x"}
    names = {"rscc": "Cache-Control", "rscd": "Content-Disposition", "rsce": "Content-Encoding",
             "rscl": "Content-Language", "rsct": "Content-Type"}
    for resource in (container, blob[1:]):
        for method in ("GET", "HEAD"):
            answer = ask(client, method, url(blob), service_sas(resource, sp="r", **wanted))
            assert answer.status == 200
            for field, name in names.items():
                assert answer.headers.get_all(name) == [wanted[field]]
    assert client.get(url(blob))["Content-Type"] == "a/b"
    text = refused(ask(client, "GET", url(blob),
                       service_sas(blob[1:], sp="r", rsct="a/b\r\nSet-Cookie: x=y")))
    assert "control character" in text


def test_an_encryption_scope_is_signed_and_not_written_with(client, container, blob):
    sas = service_sas(container, sp="rw", ses="scope")
    assert ask(client, "GET", url(blob), sas).status == 200
    answer = put(client, "/%s/new" % container, sas)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    refused(ask(client, "GET", url(blob), sas.replace("ses=scope", "ses=other")))


def test_missing_fields(client, blob):
    for sas in (account_sas(sp=None), account_sas(se=None), service_sas(blob[1:], sp=None),
                service_sas(blob[1:], sp="r", se=None), service_sas(blob[1:], sp="r", sr=None),
                "sig=x", "sv=2021-08-06&sig="):
        refused(ask(client, "GET", url(blob), sas))


def test_host_style(daemon, container, blob):
    client = Client(daemon.port, host_style=True)
    for sas in (account_sas(), service_sas(blob[1:], sp="r")):
        assert ask(client, "GET", url(blob), sas).body == b"content"


@pytest.mark.door
def test_signatures_are_not_logged(client, daemon, blob):
    sas = service_sas(blob[1:], sp="r")
    assert ask(client, "GET", url(blob), sas).status == 200
    assert "a%20name" in daemon.logged()
    assert "sig=" not in daemon.logged()
    assert ACCOUNT in daemon.logged()


def set_policies(client, container, *policies):
    """(id, start, expiry, permissions) each; None for what is left out."""
    names = ("Start", "Expiry", "Permission")
    xml = "".join(
        "<SignedIdentifier><Id>%s</Id><AccessPolicy>%s</AccessPolicy></SignedIdentifier>" % (
            policy[0], "".join("<%s>%s</%s>" % (n, v, n) for n, v in zip(names, policy[1:]) if v))
        for policy in policies)
    answer = client.put("/%s?restype=container&comp=acl" % container,
                        ("<SignedIdentifiers>%s</SignedIdentifiers>" % xml).encode())
    assert answer.status == 200, answer


def test_a_stored_policy_gives_what_the_token_leaves_out(client, container, blob):
    set_policies(client, container, ("all", iso(-60), iso(600), "rw"), ("half", None, None, "r"),
                 ("old", None, iso(-60), "r"), ("later", iso(60), iso(600), "r"))
    assert ask(client, "GET", url(blob), service_sas(container, si="all")).status == 200
    assert ask(client, "GET", url(blob), service_sas(blob[1:], si="all")).status == 200
    refused(ask(client, "DELETE", url(blob), service_sas(container, si="all")), MISMATCH)
    refused(ask(client, "GET", url(blob), service_sas(container, si="half")))
    assert ask(client, "GET", url(blob),
               service_sas(container, si="half", se=iso(60))).status == 200
    for policy in ("old", "later"):
        refused(ask(client, "GET", url(blob), service_sas(container, si=policy)))
    for field in ({"sp": "r"}, {"se": iso(60)}, {"st": iso(-60)}):
        assert "not both" in refused(ask(client, "GET", url(blob),
                                         service_sas(container, si="all", **field)))
    refused(ask(client, "GET", url(blob), service_sas(container, si="none")))


def test_a_policy_that_is_taken_away_revokes_its_tokens(client, container, blob):
    set_policies(client, container, ("p", None, iso(600), "r"))
    sas = service_sas(container, si="p")
    assert ask(client, "GET", url(blob), sas).status == 200
    set_policies(client, container, ("q", None, iso(600), "r"))
    refused(ask(client, "GET", url(blob), sas))
    set_policies(client, container, ("p", None, iso(600), "w"))
    refused(ask(client, "GET", url(blob), sas), MISMATCH)


def test_a_policy_of_one_container_is_none_of_another(client, container, blob):
    set_policies(client, container, ("p", None, iso(600), "r"))
    assert client.create_container(container + "-2").status == 201
    assert client.put_blob("/%s-2/b" % container, b"x").status == 201
    refused(ask(client, "GET", "/%s-2/b" % container, service_sas(container + "-2", si="p")))
    refused(ask(client, "GET", "/gone-%s/b" % container,
                service_sas("gone-" + container, si="p")))


def test_a_snapshot_sas_is_for_that_snapshot(client, container, blob):
    moments = [client.put(url(blob) + "?comp=snapshot")["x-ms-snapshot"] for _ in range(2)]
    assert client.put_blob(url(blob), b"changed").status == 201
    sas = service_sas(blob[1:], sp="rd", sr="bs", moment=moments[0])
    assert ask(client, "GET", url(blob) + "?snapshot=" + moments[0], sas).body == b"content"
    refused(ask(client, "GET", url(blob) + "?snapshot=" + moments[1], sas))
    refused(ask(client, "GET", url(blob), sas), "AuthorizationResourceTypeMismatch")
    refused(ask(client, "DELETE", url(blob) + "?snapshot=" + moments[1], sas))
    # those of the blob and of the container are for its snapshots too
    for wide in (service_sas(blob[1:], sp="r"), service_sas(container, sp="r")):
        assert ask(client, "GET", url(blob) + "?snapshot=" + moments[1], wide).body == b"content"
    assert ask(client, "DELETE", url(blob) + "?snapshot=" + moments[0], sas).status == 202
    assert client.get(url(blob)).body == b"changed"


def test_a_version_sas_is_for_that_version(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--versions", "*"])
    client = Client(daemon.port)
    assert client.create_container("kept").status == 201
    first, second = (client.put_blob("/kept/b", body)["x-ms-version-id"] for body in (b"1", b"2"))
    path = "/kept/b?versionid="
    sas = service_sas("kept/b", sp="rd", sr="bv", moment=first)
    assert ask(client, "GET", path + first, sas).body == b"1"
    refused(ask(client, "GET", path + second, sas))
    refused(ask(client, "GET", "/kept/b", sas), "AuthorizationResourceTypeMismatch")
    # a version is deleted by a permission of its own
    refused(ask(client, "DELETE", path + first, sas), MISMATCH)
    refused(ask(client, "DELETE", path + first, service_sas("kept", sp="d")), MISMATCH)
    assert ask(client, "DELETE", path + first, service_sas("kept", sp="x")).status == 202
    assert client.get(path + first).status == 404
    daemon.stop()


def test_a_batch_by_sas_checks_each_request(client, container):
    for name in ("a", "b"):
        assert client.put_blob("/%s/%s" % (container, name), b"x").status == 201

    def batch(outer, inner):
        part = ("--x\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n"
                "DELETE /%s/%s/a?%s HTTP/1.1\r\nContent-Length: 0\r\n\r\n\r\n--x--\r\n"
                % (ACCOUNT, container, inner)).encode()
        return ask(client, "POST", "/%s?restype=container&comp=batch" % container, outer, part,
                   {"Content-Type": "multipart/mixed; boundary=x"})
    good, poor = service_sas(container, sp="d"), service_sas(container, sp="r")
    assert b"403" in batch(poor, poor).body
    assert b"AuthorizationPermissionMismatch" in batch(good, poor).body
    assert client.get("/%s/a" % container).status == 200
    refused(batch(good.replace("sig=", "sig=A"), good))
    assert b"202" in batch(poor, good).body
    assert client.get("/%s/a" % container).status == 404


def test_tags_need_a_permission_of_their_own(client, container, blob):
    tags = {"x-ms-blob-type": "BlockBlob", "x-ms-tags": "a=b"}
    refused(ask(client, "PUT", url(blob), service_sas(container, sp="w"), b"x", tags), MISMATCH)
    assert ask(client, "PUT", url(blob), service_sas(container, sp="wt"), b"x", tags).status == 201
    refused(ask(client, "GET", url(blob), service_sas(container, sp="r"), headers={
        "x-ms-if-tags": "a='b'"}), MISMATCH)
    refused(ask(client, "GET", url(blob) + "?comp=tags", service_sas(container, sp="r")), MISMATCH)
    assert ask(client, "GET", url(blob) + "?comp=tags",
               service_sas(container, sp="t")).status == 200
    listing = "/%s?restype=container&comp=list&include=metadata,tags" % container
    refused(ask(client, "GET", listing, service_sas(container, sp="l")), MISMATCH)
    assert ask(client, "GET", listing, service_sas(container, sp="lt")).status == 200
    find = "/%s?restype=container&comp=blobs&where=%%22a%%22%%3D%%27b%%27" % container
    refused(ask(client, "GET", find, service_sas(container, sp="lt")), MISMATCH)
    assert ask(client, "GET", find, service_sas(container, sp="f")).status == 200


def test_a_copy_needs_rights_to_its_source(client, container, blob):
    assert client.create_container(container + "-to").status == 201
    source = "http://127.0.0.1:%d/%s%s" % (client.port, ACCOUNT, url(blob))
    write = service_sas(container + "-to", sp="cw")

    def copy(with_source):
        return ask(client, "PUT", "/%s-to/b" % container, write, b"",
                   {"x-ms-copy-source": with_source, "x-ms-requires-sync": "true"})
    assert copy(source).status in (403, 404)
    assert copy(source + "?" + service_sas(container, sp="w")).status in (403, 404)
    assert client.get("/%s-to/b" % container).status == 404
    assert copy(source + "?" + service_sas(container, sp="r")).status == 202
    assert client.get("/%s-to/b" % container).body == b"content"
