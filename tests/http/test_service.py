# SPDX-License-Identifier: MIT
"""Properties of the service, its statistics, and what kind of account it is."""

import email.utils
import time

import pytest
from blobclient import ACCOUNT, Client
from daemon import Daemon
from sasclient import account_sas, service_sas

PATH = "/?restype=service&comp=properties"
RETENTION = "<Enabled>true</Enabled><Days>%s</Days>"
RULE = ("<CorsRule><AllowedOrigins>%s</AllowedOrigins><AllowedMethods>GET</AllowedMethods>"
        "<AllowedHeaders>a</AllowedHeaders><ExposedHeaders>b</ExposedHeaders>"
        "<MaxAgeInSeconds>5</MaxAgeInSeconds></CorsRule>")


def setting(client, inner):
    body = "<StorageServiceProperties>%s</StorageServiceProperties>" % inner
    return client.put(PATH, body.encode())


@pytest.fixture
def own(tmp_path):
    """A daemon of its own, that can be started again."""
    class Own:
        def __init__(self):
            self.start()

        def start(self):
            self.daemon = Daemon(tmp_path / "store", tmp_path / "log")
            self.client = Client(self.daemon.port)
    running = Own()
    yield running
    running.daemon.stop()


def test_what_a_new_account_has(own):
    answer = own.client.get(PATH)
    assert (answer.status, answer["Content-Type"]) == (200, "application/xml")
    xml = answer.xml()
    assert [child.tag for child in xml] == ["Logging", "HourMetrics", "MinuteMetrics", "Cors",
                                            "DeleteRetentionPolicy", "StaticWebsite"]
    assert xml.findtext("DeleteRetentionPolicy/Enabled") == "false"
    assert xml.findtext("StaticWebsite/Enabled") == "false"
    assert xml.find("DefaultServiceVersion") is None


def test_properties_are_kept_and_what_is_left_out_stays(own):
    assert setting(own.client, "<DeleteRetentionPolicy>%s</DeleteRetentionPolicy>"
                   % (RETENTION % 9)).status == 202
    assert setting(own.client, "<Cors>%s</Cors>" % (RULE % "http://a,  http://b")).status == 202
    assert setting(own.client, "<StaticWebsite><Enabled>true</Enabled><IndexDocument>i.html"
                   "</IndexDocument><ErrorDocument404Path>e/404.html</ErrorDocument404Path>"
                   "</StaticWebsite>").status == 202
    assert setting(own.client, "<Logging><Version>1.0</Version><Delete>true</Delete><Read>false"
                   "</Read><Write>true</Write><RetentionPolicy>%s</RetentionPolicy></Logging>"
                   "<MinuteMetrics><Version>1.0</Version><Enabled>true</Enabled><IncludeAPIs>false"
                   "</IncludeAPIs><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
                   "</MinuteMetrics>" % (RETENTION % 3)).status == 202
    before = own.client.get(PATH).body
    own.daemon.stop()
    own.start()
    answer = own.client.get(PATH)
    assert answer.body == before
    xml = answer.xml()
    assert xml.findtext("DeleteRetentionPolicy/Days") == "9"
    assert xml.findtext("Cors/CorsRule/AllowedOrigins") == "http://a,http://b"
    assert xml.findtext("Cors/CorsRule/MaxAgeInSeconds") == "5"
    assert xml.findtext("StaticWebsite/IndexDocument") == "i.html"
    assert xml.findtext("StaticWebsite/ErrorDocument404Path") == "e/404.html"
    assert xml.findtext("Logging/RetentionPolicy/Days") == "3"
    assert xml.findtext("Logging/Write") == "true"
    assert xml.findtext("MinuteMetrics/Enabled") == "true"
    assert setting(own.client, "<Cors/>").status == 202
    xml = own.client.get(PATH).xml()
    assert len(xml.find("Cors")) == 0 and xml.findtext("DeleteRetentionPolicy/Days") == "9"


def test_accounts_have_their_own(daemon, client):
    second = Client(daemon.port, "second", "QUJDREVGR0hJSktMTU5PUA==")
    assert setting(second, "<Cors>%s</Cors>" % (RULE % "*")).status == 202
    assert len(second.get(PATH).xml().find("Cors")) == 1
    assert len(client.get(PATH).xml().find("Cors")) == 0


@pytest.mark.parametrize("inner, code", [
    ("<Odd/>", "InvalidXmlDocument"), ("<Cors>", "InvalidXmlDocument"),
    ("<DeleteRetentionPolicy/>", "MissingRequiredXmlNode"),
    ("<DeleteRetentionPolicy><Enabled>true</Enabled></DeleteRetentionPolicy>",
     "MissingRequiredXmlNode"),
    ("<DeleteRetentionPolicy>%s</DeleteRetentionPolicy>" % (RETENTION % 0), "InvalidXmlNodeValue"),
    ("<DeleteRetentionPolicy>%s</DeleteRetentionPolicy>" % (RETENTION % 366),
     "InvalidXmlNodeValue"),
    ("<DeleteRetentionPolicy>%s</DeleteRetentionPolicy>" % (RETENTION % "x"),
     "InvalidXmlNodeValue"),
    ("<DefaultServiceVersion>2011-08-18</DefaultServiceVersion>", "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (RULE % ""), "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (6 * (RULE % "*")), "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (RULE % ("x" * 257)), "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (5 * (RULE % ("%s,%s" % ("x" * 250, "y" * 250)))), "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (RULE % "*").replace("GET", "FETCH"), "InvalidXmlNodeValue"),
    ("<Cors>%s</Cors>" % (RULE % "*").replace("<MaxAgeInSeconds>5</MaxAgeInSeconds>", ""),
     "MissingRequiredXmlNode"),
    ("<StaticWebsite><Enabled>true</Enabled><IndexDocument>a/b</IndexDocument></StaticWebsite>",
     "InvalidXmlNodeValue")])
def test_what_is_wrong_changes_nothing(client, inner, code):
    before = client.get(PATH).body
    answer = setting(client, inner)
    assert (answer.status, answer.code) == (400, code), answer
    assert client.get(PATH).body == before
    assert client.put(PATH, b"x" * (64 * 1024 + 1)).code == "RequestBodyTooLarge"


def test_the_default_version(own):
    bare = {"x-ms-version": None}
    assert own.client.get("/?comp=list", bare).status == 400
    assert setting(own.client, "<DefaultServiceVersion>2021-08-06</DefaultServiceVersion>"
                   ).status == 202
    answer = own.client.get("/?comp=list", bare)
    assert (answer.status, answer["x-ms-version"]) == (200, "2021-08-06")
    assert own.client.get("/?comp=list")["x-ms-version"] != "2021-08-06"
    assert own.client.create_container("open", {"x-ms-blob-public-access": "blob"}).status == 201
    assert own.client.put_blob("/open/b", b"x").status == 201
    answer = own.client.get("/open/b", dict(bare, **{"x-ms-date": None}), sign=False)
    assert (answer.status, answer["x-ms-version"]) == (200, "2021-08-06")


def test_statistics_are_the_secondary_hosts(daemon, client):
    path = "/?restype=service&comp=stats"
    assert client.get(path).code == "InvalidQueryParameterValue"
    secondary = Client(daemon.port)
    secondary.target = lambda rest: "/%s-secondary%s" % (ACCOUNT, rest)
    # whole seconds in the answer, of a clock that may be a tick (10 ms) behind
    before = int(time.time() - 0.01)
    answer = secondary.get(path)
    after = time.time()
    assert answer.xml().findtext("GeoReplication/Status") == "live"
    synced = email.utils.parsedate_to_datetime(
        answer.xml().findtext("GeoReplication/LastSyncTime")).timestamp()
    assert before <= synced <= after


def test_account_information(client, container):
    assert client.put_blob("/%s/b" % container, b"x").status == 201
    for path in ("/", "/%s" % container, "/%s/b" % container):
        for method in ("GET", "HEAD"):
            answer = client.request(method, path + "?restype=account&comp=properties")
            assert answer.status == 200, answer
            assert (answer["x-ms-sku-name"], answer["x-ms-account-kind"],
                    answer["x-ms-is-hns-enabled"]) == ("Standard_RAGRS", "StorageV2", "false")
    for sas in (account_sas(sp="d", srt="o"), service_sas("%s/b" % container, sp="w")):
        answer = client.get("/%s/b?restype=account&comp=properties&%s" % (container, sas),
                            {"x-ms-date": None}, sign=False)
        assert answer.status == 200, answer
