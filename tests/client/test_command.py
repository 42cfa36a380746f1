# SPDX-License-Identifier: MIT
"""Listing, exit codes, bad input, output that cannot be written."""

import re
import resource
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import BUILD, Azblob, over_http


def test_ls_with_and_without_a_delimiter(azblob, box):
    for name in ("a/1", "a/2", "a2", "b"):
        azblob.ok("put", "-", f"{box}/{name}", stdin=b"123")
    assert azblob.ok("ls", box).lines == ["a/1", "a/2", "a2", "b"]
    assert azblob.ok("ls", "--delimiter", "/", box).lines == ["a/", "a2", "b"]
    assert azblob.ok("ls", f"{box}/a").lines == ["a/1", "a/2", "a2"]
    assert azblob.ok("ls", "-l", f"{box}/b").lines[0].split()[0] == "3"
    entries = azblob.ok("ls", "--json", "--delimiter", "/", box).json
    assert {entry["name"]: entry["kind"] for entry in entries} == \
        {"a/": "prefix", "a2": "blob", "b": "blob"}
    assert box in azblob.ok("container", "ls").lines
    assert box in [entry["name"] for entry in azblob.ok("ls", "--json").json]


def test_rm_takes_blobs_or_what_is_below_a_name(azblob, box):
    for name in ("a/1", "a/2", "a2", "b"):
        azblob.ok("put", "-", f"{box}/{name}", stdin=b"")
    azblob.ok("rm", f"{box}/b")
    azblob.ok("rm", "-r", f"{box}/a")
    assert azblob.ok("ls", box).lines == ["a2"]
    assert azblob.run("rm", "-r", f"{box}/a").code == 3
    azblob.ok("container", "rm", box)
    assert azblob.run("ls", box).code == 3


def test_exit_codes_of_the_service(azblob, box):
    missing = azblob.run("stat", f"{box}/none")
    assert (missing.code, missing.out) == (3, b"")
    assert missing.err.splitlines()[-1].startswith(f"azblob: {box}/none: ")
    assert azblob.run("get", f"{box}/none", "/dev/null").code == 3
    assert azblob.run("rm", f"{box}/none").code == 3
    assert azblob.run("container", "rm", "no-such-container").code == 3
    again = azblob.run("container", "create", box)
    assert again.code == 6 and "ContainerAlreadyExists" in again.err
    denied = azblob.run("--key", "d3Jvbmc=", "ls", box)
    assert denied.code == 4 and "AuthenticationFailed" in denied.err


def test_one_failure_does_not_stop_the_others(azblob, box, tmp_path):
    azblob.ok("put", "-", f"{box}/there", stdin=b"x")
    result = azblob.run("--json", "get", f"{box}/none", f"{box}/there", f"{tmp_path}/")
    assert result.code == 3
    assert (tmp_path / "there").read_bytes() == b"x"
    bad, good, summary = result.json
    assert bad["code"] == "BlobNotFound" and bad["http_status"] == 404 and bad["exit"] == 3
    assert good["bytes"] == 1
    assert (summary["files"], summary["failed"]) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("arguments, says", [
    ([], "a command is missing"),
    (["nonsense"], "unknown command"),
    (["--nonsense", "ls"], "unrecognized option"),
    (["put", "x"], "a destination are needed"),
    (["get"], "which blob"),
    (["stat"], "which blob"),
    (["stat", "box"], "must name a blob"),
    (["rm", "box"], "must name a blob"),
    (["ls", "a", "b"], "one name"),
    (["ls", "https://x/y"], "azblob://ACCOUNT/CONTAINER"),
    (["ls", "azblob://other/box"], "the key given is for devstoreaccount1"),
    (["ls", "UPPER"], "container name"),
    (["ls", "box", "-r"], "-r is not an option of \"ls\""),
    (["container", "make", "x"], "must be create, ls or rm"),
    (["container", "create"], "which one"),
    (["container", "create", "box/x"], "not a blob"),
    (["--parallel", "0", "ls"], "1 to 64"),
    (["--parallel", "4K", "ls"], "1 to 64"),
    (["--block-size", "1", "ls"], "64K to 32M"),
    (["--block-size", "8X", "ls"], "64K to 32M"),
    (["--timeout", "-1", "ls"], "1 to 3600"),
    (["--retries", "99", "ls"], "0 to 20"),
    (["--transport", "pigeon", "ls"], "auto, driver or http"),
    (["--endpoint", "host:1", "ls"], "http[s]://HOST"),
    (["--key", "?", "ls"], "base64"),
    (["--account", "A", "ls"], "3 to 24"),
    (["--device", "relative", "ls"], "absolute path"),
    (["put", "--metadata", "x", "f", "box/f"], "NAME=VALUE"),
    (["put", "--metadata", "a-b=1", "/dev/null", "box/f"], "metadata name"),
    (["put", "-", "box/"], "needs a blob name"),
    (["put", "/", "box"], "is a directory"),
    (["get", "--length", "0", "box/x"], "1 or more"),
    (["get", "-r", "box", "-"], "to a directory"),
    (["get", "box/a", "box/b", "/dev/null"], "need a directory"),
    (["ls", "--delimiter", "", "box"], "some text"),
    (["rm", "--snapshot", "", "box/x"], "the time of a snapshot"),
    (["rm", "--if-match", "", "box/x"], "an ETag"),
    (["rm", "--lease", "", "box/x"], "must be a GUID"),
])
def test_bad_input_is_refused_in_one_clear_line(http, arguments, says):
    result = http.run(*arguments)
    assert result.code == 2
    assert says in result.err
    assert all(line.startswith("azblob: ") for line in result.err.splitlines())
    assert result.out == b""


def test_missing_account_and_key(daemon):
    azblob = over_http(daemon.url)
    azblob.env.pop("AZURE_STORAGE_CONNECTION_STRING")
    result = azblob.run("ls")
    assert result.code == 2 and "no account" in result.err
    azblob.env["AZURE_STORAGE_ACCOUNT"] = "devstoreaccount1"
    assert "no account key" in azblob.run("ls").err
    azblob.env["AZURE_STORAGE_KEY"] = "d3Jvbmc="
    assert azblob.run("ls").code == 4
    azblob.env["AZURE_STORAGE_CONNECTION_STRING"] = "Nonsense"
    assert "NAME=VALUE" in azblob.run("ls").err


KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def test_each_variable_of_the_environment_counts(daemon, box):
    """Alone, over the connection string, and less than the option."""
    azblob = Azblob(BUILD / "client/cli/azblob", ["--transport", "http", "--retries", "0"])
    azblob.env.pop("AZURE_STORAGE_CONNECTION_STRING")
    place = f"{daemon.url}/devstoreaccount1"
    good = {"AZURE_STORAGE_ACCOUNT": "devstoreaccount1", "AZURE_STORAGE_KEY": KEY,
            "AZURE_STORAGE_SERVICE_ENDPOINT": place}
    whole = f"AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={place}"
    azblob.env["AZURE_STORAGE_CONNECTION_STRING"] = whole
    azblob.ok("ls", box)
    for name, bad, code in (("ACCOUNT", "otheraccount", 4), ("KEY", "d3Jvbmc=", 4),
                            ("SERVICE_ENDPOINT", "http://127.0.0.1:1/devstoreaccount1", 1)):
        azblob.env[f"AZURE_STORAGE_{name}"] = bad
        assert azblob.run("ls", box).code == code, name
        # The option wins; and what is empty is not there.
        option = f"--{name.rsplit('_', maxsplit=1)[-1].lower()}"
        azblob.ok(option, good[f"AZURE_STORAGE_{name}"], "ls", box)
        azblob.env[f"AZURE_STORAGE_{name}"] = ""
        azblob.ok("ls", box)
    azblob.env.pop("AZURE_STORAGE_CONNECTION_STRING")
    azblob.env.update(good)
    token = azblob.ok("--json", "sas", "--expiry", "1h", f"{box}/").json[0]["token"]
    azblob.ok("ls", box)
    azblob.env["AZURE_STORAGE_KEY"] = ""
    assert azblob.run("ls", box).code == 2
    azblob.env["AZURE_STORAGE_SAS_TOKEN"] = token
    azblob.ok("ls", box)
    # A signature of another key: cut short it could end within a %XX, which is another error.
    azblob.env["AZURE_STORAGE_SAS_TOKEN"] = re.sub(r"\bsig=[^&]*", "sig=d3Jvbmc%3D", token)
    assert azblob.run("ls", box).code == 4
    azblob.env["AZURE_STORAGE_SERVICE_ENDPOINT"] = "host:1"
    bad = azblob.run("ls", box)
    assert bad.code == 2 and "environment: " in bad.err and "http[s]://HOST" in bad.err


def test_the_account_may_come_from_the_name(daemon, box):
    azblob = over_http(daemon.url)
    string = "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPT" \
             "Otr/KBHBeksoGMGw=="
    azblob.env["AZURE_STORAGE_CONNECTION_STRING"] = string
    azblob.ok("put", "-", f"azblob://devstoreaccount1/{box}/x", stdin=b"1")
    assert azblob.ok("ls", f"azblob://devstoreaccount1/{box}").lines == ["x"]


def test_help_and_version_need_nothing(http):
    http.env["AZURE_STORAGE_CONNECTION_STRING"] = "Nonsense"
    assert http.ok("--help").out.startswith(b"usage: azblob")
    assert http.ok("--version").out.startswith(b"azblob 0")


def test_auto_says_that_it_falls_back(daemon, box):
    azblob = Azblob(BUILD / "client/cli/azblob",
                    ["--device", "/no/such/device", "--endpoint", f"{daemon.url}/devstoreaccount1"])
    result = azblob.ok("ls", box)
    assert result.err == f"azblob: no /no/such/device here: using {daemon.url}/devstoreaccount1\n"
    assert azblob.ok("--quiet", "ls", box).err == ""
    # Something that is there and is no such device.
    result = azblob.ok("--device", "/dev/null", "ls", box)
    assert "/dev/null: " in result.err and "using http" in result.err
    refused = azblob.run("--transport", "driver", "ls", box)
    assert refused.code == 1 and "/no/such/device" in refused.err


def test_nobody_listens():
    azblob = over_http("http://127.0.0.1:1", "--retries", "1")
    result = azblob.run("ls", "box")
    assert result.code == 1 and "127.0.0.1" in result.err


def test_output_that_cannot_be_written_is_a_failure(azblob, box, tmp_path):
    azblob.ok("put", "-", f"{box}/x", stdin=bytes(300000))
    with open("/dev/full", "wb") as full:
        process = azblob.start("ls", box, stdout=full)
        assert process.communicate()[1] and process.returncode == 7
        process = azblob.start("get", f"{box}/x", "-", stdout=full)
        assert b"No space left" in process.communicate()[1] and process.returncode == 7
    assert azblob.run("get", f"{box}/x", "/dev/full").code == 7

    def small_files_only():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
    result = azblob.run("get", f"{box}/x", tmp_path / "x", preexec_fn=small_files_only)
    assert result.code == 7 and "File too large" in result.err
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough_is_no_failure(azblob, box, tmp_path):
    for name in range(120):
        (tmp_path / f"{name}-{'x' * 200}").touch()
    azblob.ok("put", "-r", f"{tmp_path}/", box)
    # More than a pipe's reader takes at once and more than one buffer; and almost nothing.
    for arguments in (["ls", box], ["ls", "--json", box], ["container", "ls"]):
        process = azblob.start(*arguments)
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        assert process.wait() == 0, error


def test_a_long_list_onto_a_full_disk_is_a_failure(azblob, box, tmp_path):
    for name in range(120):
        (tmp_path / f"{name}-{'x' * 200}").touch()
    azblob.ok("put", "-r", f"{tmp_path}/", box)
    with open("/dev/full", "wb") as full:
        process = azblob.start("ls", box, stdout=full)
        assert b"No space left" in process.communicate()[1] and process.returncode == 7


def test_local_files_that_cannot_be_read_or_made(azblob, box, tmp_path):
    assert azblob.run("put", tmp_path / "none", f"{box}/x").code == 7
    azblob.ok("put", "-", f"{box}/x", stdin=b"1")
    assert azblob.run("get", f"{box}/x", tmp_path / "no/such/directory").code == 7
    assert azblob.ok("ls", box).lines == ["x"]


def redirected(azblob, redirection, *arguments):
    return subprocess.run(["sh", "-c", f'exec "$@" {redirection}', "sh", azblob.program, *azblob.options,
                           *map(str, arguments)], env=azblob.env, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=300, check=False)


def test_no_file_takes_the_place_of_a_closed_stream(azblob, box, tmp_path):
    azblob.ok("put", "-", f"{box}/x", stdin=b"content")
    out = tmp_path / "out"
    done = redirected(azblob, "2>&-", "-v", "get", f"{box}/x", out)
    assert (done.returncode, out.read_bytes()) == (0, b"content")
    out.unlink()
    done = redirected(azblob, ">&-", "--json", "get", f"{box}/x", out)
    assert (done.returncode, out.read_bytes()) == (7, b"content")
    assert b"writing the output failed" in done.stderr
    # Nothing to read is not the same as nothing in it.
    done = redirected(azblob, "<&-", "put", "-", f"{box}/empty")
    assert done.returncode == 7, done.stderr
    assert azblob.run("stat", f"{box}/empty").code == 3


class Liar(BaseHTTPRequestHandler):
    """A service that knows no prefix."""
    protocol_version = "HTTP/1.1"
    page = b"""<?xml version="1.0"?><EnumerationResults ContainerName="box"><Blobs><Blob><Name>a</Name>
        <Properties><Content-Length>1</Content-Length><Etag>0x1</Etag><BlobType>BlockBlob</BlobType>
        </Properties></Blob></Blobs><NextMarker/></EnumerationResults>"""

    def answer(self):
        self.server.seen.append(self.command)
        self.send_response(200 if self.command == "GET" else 202)
        self.send_header("Content-Length", str(len(self.page) if self.command == "GET" else 0))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.page)

    do_GET = do_DELETE = do_PUT = do_HEAD = answer

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


@pytest.mark.parametrize("arguments", [["rm", "-r", "box/docs"], ["get", "-r", "box/docs", "OUT"],
                                       ["sync", "--delete", "box/docs", "OUT"],
                                       ["cp", "-r", "box/docs", "box/copy"], ["ls", "box/docs"]])
def test_what_a_list_has_beside_its_prefix_is_left_alone(tmp_path, arguments):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        azblob = over_http(f"http://127.0.0.1:{server.server_port}")
        out = tmp_path / "out"
        done = azblob.run(*[out if word == "OUT" else word for word in arguments])
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 1 and 'lists "a", which does not start with "docs' in done.err
    assert set(server.seen) == {"GET"}
    assert done.out == b"" and not [path for path in tmp_path.rglob("*") if path.is_file()]
