# SPDX-License-Identifier: MIT
"""Accounts and their keys, read again on SIGHUP; options of Azurite's Blob service."""

import subprocess

import pytest
from blobclient import ACCOUNT, KEY, Client
from daemon import Daemon, binary, wait_for
from certificates import make, trusting

ONE, TWO, THREE = "QUJDREVGR0hJSktMTU5PUA==", "c2Vjb25kIGtleSBvZiBpdA==", "dGhlIHRoaXJkIGtleSBoZXJl"


def may(daemon, account, key):
    return Client(daemon.port, account, key).get("/?comp=list").status == 200


def test_keys_are_read_again(tmp_path):
    accounts = tmp_path / "accounts"
    accounts.write_text("ours:%s\n" % ONE)
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--accounts-file", str(accounts)])
    connected = Client(daemon.port, "ours", ONE)
    assert connected.get("/?comp=list").status == 200
    accounts.write_text("ours:%s:%s\nmore:%s\n" % (TWO, ONE, THREE))
    daemon.reload()
    wait_for(lambda: may(daemon, "ours", TWO))
    assert may(daemon, "ours", ONE) and may(daemon, "more", THREE)
    # what can't be read leaves everything as it was
    accounts.write_text("ours:%s\nbroken line\n" % THREE)
    daemon.reload()
    wait_for(lambda: "line 2" in daemon.logged())
    assert may(daemon, "ours", TWO) and not may(daemon, "ours", THREE)
    accounts.write_text("")
    daemon.reload()
    wait_for(lambda: "no account" in daemon.logged())
    assert may(daemon, "ours", TWO)
    accounts.write_text("ours:%s\n" % TWO)
    daemon.reload()
    wait_for(lambda: not may(daemon, "ours", ONE))
    assert may(daemon, "ours", TWO) and not may(daemon, "more", THREE)
    # the old key is gone for connections that are there too
    assert connected.get("/?comp=list").status == 403
    daemon.stop()


def test_azurite_accounts(tmp_path):
    daemon = Daemon(tmp_path / "store", tmp_path / "log",
                    environment={"AZURITE_ACCOUNTS": "first:%s;second:%s:%s;" % (ONE, TWO, THREE)})
    assert may(daemon, "first", ONE) and may(daemon, "second", TWO) and may(daemon, "second", THREE)
    assert not may(daemon, "first", TWO) and not may(daemon, ACCOUNT, KEY)
    daemon.stop()
    # what the command line says counts alone
    daemon = Daemon(tmp_path / "store", tmp_path / "log", ["--account", "ours:" + ONE],
                    environment={"AZURITE_ACCOUNTS": "first:" + ONE})
    assert may(daemon, "ours", ONE) and not may(daemon, "first", ONE)
    daemon.stop()


def test_azurites_options(tmp_path):
    daemon = Daemon(None, tmp_path / "log",
                    ["--location", str(tmp_path / "there"), "--blobHost", "127.0.0.2", "--blobPort",
                     "0", "--silent", "--skipApiVersionCheck", "--disableTelemetry",
                     "--blobKeepAliveTimeout", "5"], http=())
    assert daemon.addresses[0].startswith("127.0.0.2:")
    client = Client(daemon.port)
    client.connection.host = "127.0.0.2"
    assert client.get("/?comp=list").status == 200
    assert (tmp_path / "there").is_dir()
    assert "listening" not in daemon.logged()
    daemon.stop()


def test_azurites_certificate(tmp_path):
    key, certificate = make(tmp_path, "one")
    daemon = Daemon(None, tmp_path / "log",
                    ["-l", str(tmp_path / "there"), "--blobPort", "0", "--cert", str(certificate),
                     "--key", str(key), "-d", "debug.log"], http=())
    assert daemon.ready[1].startswith("https://127.0.0.1:")
    assert Client(daemon.port, tls=trusting(certificate)).get("/?comp=list").status == 200
    daemon.stop()


@pytest.mark.parametrize("options, says", [
    (["--inMemoryPersistence"], "tmpfs"), (["--extentMemoryLimit", "5"], "tmpfs"),
    (["--loose"], "refused"), (["-L"], "refused"), (["--disableProductStyleUrl"], "path style"),
    (["--blobPort", "65536"], "65535"), (["--blobPort", "x"], "65535"),
    (["--blobKeepAliveTimeout", "0"], "seconds"),
    (["--store", "local,path=a", "--location", "b"], "--store"),
    (["--oauth", "full"], "basic"), (["--oauth-issuer", "x"], "--oauth basic"),
    (["--versions", "nobody"], "nobody"), (["--link-address", "here"], "address")])
def test_what_is_refused_is_one_clear_line(options, says):
    result = subprocess.run([binary(), *options], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and says in result.stderr, result.stderr


def test_bad_azurite_accounts(tmp_path):
    for text, says in (("nonsense", "NAME:KEY"), ("name:not base64", "base64"), (";", "no account")):
        with pytest.raises(RuntimeError) as caught:
            Daemon(tmp_path / "store", tmp_path / "log", environment={"AZURITE_ACCOUNTS": text})
        assert says in str(caught.value)
        assert "not base64" not in str(caught.value)
