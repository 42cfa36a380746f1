# SPDX-License-Identifier: MIT
"""The CLI in the guest, through the driver: what goes out comes back, and HTTP shows the same."""

import json

import pytest
from azvm import sharedkey
from vsp import pattern

MIB = 1 << 20
# Around one request (8 MiB parts by default), one page, nothing; and large.
SIZES = [0, 1, 4095, 4096, 4097, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 12345]


def azblob(guest, *argv, check=True, **more):
    return guest.run(["azblob", "--transport", "driver", *argv], check=check, **more)


def json_lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("size", SIZES)
def test_file_goes_out_and_comes_back(guest, container, size):
    guest.sh(f"pattern write {size} 81 >/tmp/in")
    azblob(guest, "put", "/tmp/in", f"{container}/file")
    assert guest.backend.get_blob(f"{container}/file") == pattern(size, 81)
    azblob(guest, "get", f"{container}/file", "/tmp/out")
    assert guest.run(["same", "/tmp/in", "/tmp/out"]).text.startswith(f"same: 1 files, {size} bytes")


def test_large_file_in_parallel_parts(guest, container):
    size = 96 * MIB + 4321
    guest.sh(f"pattern write {size} 82 >/tmp/in")
    out = json_lines(azblob(guest, "--json", "--parallel", "8", "put", "/tmp/in",
                            f"{container}/large", timeout=300))
    assert out[0]["bytes"] == size
    assert out[0]["requests"] > 10
    assert out[0]["verified"] is True
    assert out[-1]["transport"] == "driver"
    out = json_lines(azblob(guest, "--json", "--parallel", "8", "get", f"{container}/large",
                            "/tmp/out", timeout=300))
    assert out[0]["verified"] is True
    assert guest.run(["pattern", "check", "/tmp/out", "82"]).text == f"ok {size}\n"
    guest.sh("rm /tmp/in /tmp/out")


def test_blob_written_by_http_is_read_in_the_guest(guest, container):
    guest.backend.put_blob(f"{container}/http", pattern(3 * MIB + 7, 83))
    azblob(guest, "get", f"{container}/http", "/tmp/out")
    assert guest.run(["pattern", "check", "/tmp/out", "83"]).text == f"ok {3 * MIB + 7}\n"


def test_tree_of_small_files(guest, container):
    guest.sh("mkdir -p /tmp/tree/a/b /tmp/tree/c; i=0; while [ $i -lt 60 ]; do "
             "pattern write $((i * 97)) $i >/tmp/tree/a/f$i; "
             "pattern write $((i * 1031)) $i >/tmp/tree/a/b/g$i; i=$((i+1)); done; "
             ": >/tmp/tree/c/empty")
    azblob(guest, "put", "-r", "/tmp/tree/", f"{container}/t/")
    names = [e["name"] for e in json_lines(azblob(guest, "--json", "ls", f"{container}/t/"))]
    assert len(names) == 121
    assert names == sorted(names)
    assert "t/a/b/g59" in names
    azblob(guest, "get", "-r", f"{container}/t/", "/tmp/back")
    assert guest.run(["same", "/tmp/tree", "/tmp/back"]).text.startswith("same: 121 files")
    azblob(guest, "rm", "-r", f"{container}/t/")
    assert azblob(guest, "ls", f"{container}/").text == ""
    guest.sh("rm -r /tmp/tree /tmp/back")


def test_containers_are_made_listed_and_deleted(guest, container):
    name = container[:50] + "-new"
    azblob(guest, "container", "create", name)
    assert name in azblob(guest, "container", "ls").text.split()
    azblob(guest, "container", "rm", name)
    assert name not in azblob(guest, "container", "ls").text.split()


def test_stat_shows_what_http_shows(guest, container):
    guest.sh("pattern write 4321 84 >/tmp/in")
    azblob(guest, "put", "--content-type", "text/x-test", "--metadata", "colour=blue", "/tmp/in",
           f"{container}/stat")
    shown = json_lines(azblob(guest, "--json", "stat", f"{container}/stat"))[0]
    _, fields, _ = guest.backend.request("HEAD", f"/{sharedkey.ACCOUNT}/{container}/stat")
    assert shown["bytes"] == int(fields["content-length"]) == 4321
    assert shown["etag"].strip('"') == fields["etag"].strip('"')
    assert shown["content_type"] == fields["content-type"] == "text/x-test"
    assert shown["metadata"] == {"colour": "blue"}
    assert fields["x-ms-meta-colour"] == "blue"


def test_listing_pages_through_more_than_fits_one_answer(guest, container):
    for number in range(250):
        # Long names: a page of the list has to fit the response buffer.
        guest.backend.put_blob(f"{container}/{number:03}-{'n' * 200}", b"")
    names = azblob(guest, "ls", f"{container}/").text.split()
    assert [n[:3] for n in names] == [f"{n:03}" for n in range(250)]


def test_awkward_names(guest, container):
    # As HTTP has them percent-encoded, and as the user types them.
    for encoded, name in [("a%20name", "a name"), ("100%25", "100%"), ("q%3Fx%23y", "q?x#y"),
                          ("%C3%A4%E2%82%AC", "ä€"), ("plus+sign", "plus+sign")]:
        guest.sh("pattern write 100 85 >/tmp/in")
        azblob(guest, "put", "/tmp/in", f"{container}/{name}")
        assert guest.backend.get_blob(f"{container}/{encoded}") == pattern(100, 85)
        assert azblob(guest, "get", f"{container}/{name}", "-").stdout == pattern(100, 85)


@pytest.mark.parametrize("argv, status", [
    (["get", "{c}/nothing", "/tmp/x"], 3),
    (["stat", "{c}/nothing"], 3),
    (["get", "no-such-container/x", "/tmp/x"], 3),
    (["put", "/no/such/file", "{c}/x"], 7),
    (["frobnicate"], 2),
    (["put"], 2),
    (["get", "{c}"], 2),
])
def test_errors_have_one_clear_line_and_their_exit_status(guest, container, argv, status):
    result = azblob(guest, *[a.format(c=container) for a in argv], check=False)
    assert result.status == status
    assert result.stderr.startswith((b"azblob: ", b"usage: "))
    assert result.stdout == b""


def test_wrong_key_is_denied(guest, container):
    result = azblob(guest, "ls", f"{container}/", check=False,
                    env={"AZURE_STORAGE_KEY": "d3Jvbmcga2V5"})
    assert result.status == 4


def test_no_clobber_leaves_the_first(guest, container):
    guest.backend.put_blob(f"{container}/first", b"first")
    guest.sh("echo second >/tmp/in")
    result = azblob(guest, "put", "--no-clobber", "/tmp/in", f"{container}/first", check=False)
    assert result.status == 6
    assert guest.backend.get_blob(f"{container}/first") == b"first"


def test_download_over_a_daemon_restart_is_whole_or_nothing(guest, container):
    """The handle of the download is gone with the daemon; half a file must not be left."""
    size = 64 * MIB
    guest.backend.put_blob(f"{container}/restart", pattern(size, 86))
    get = guest.start(["azblob", "--transport", "driver", "get", f"{container}/restart", "/tmp/restarted"],
                      timeout=300)
    guest.until(lambda: guest.device("in-flight") or get.done, "a request")
    guest.backend.kill()
    guest.backend.start()
    result = get.wait()
    if result.status == 0:
        assert guest.run(["pattern", "check", "/tmp/restarted", "86"]).text == f"ok {size}\n"
        guest.sh("rm /tmp/restarted")
    else:
        assert result.stderr.startswith(b"azblob: ")
        assert guest.sh("ls /tmp/restarted", check=False).status != 0


def test_interrupted_upload_leaves_no_blob(guest, container):
    guest.sh(f"pattern write {64 * MIB} 87 >/tmp/in")
    guest.backend.pause()
    put = guest.start(["azblob", "--transport", "driver", "put", "/tmp/in", f"{container}/never"])
    guest.wait_in_flight(1)
    put.kill()
    put.wait()
    guest.backend.resume()
    guest.until(lambda: guest.counters()["abandoned"] == 0, "the end of abandoned requests")
    status, _, _ = guest.backend.request("GET", f"/{sharedkey.ACCOUNT}/{container}/never")
    assert status == 404
    guest.sh("rm /tmp/in")


def test_all_other_verbs_through_the_driver(guest, container):
    name = f"{container}/v"
    guest.sh(f"echo one | azblob --transport driver append - {name}; "
             f"echo two | azblob --transport driver append - {name}")
    assert azblob(guest, "cat", name).text == "one\ntwo\n"
    time = azblob(guest, "snapshot", name).text.strip()
    guest.sh(f"echo three | azblob --transport driver append - {name}")
    assert azblob(guest, "cat", "--snapshot", time, name).text == "one\ntwo\n"
    azblob(guest, "cp", "--snapshot", time, name, f"{container}/copy")
    assert guest.backend.get_blob(f"{container}/copy") == b"one\ntwo\n"
    azblob(guest, "tags", name, "color=blue")
    assert azblob(guest, "tags", name).text == "color=blue\n"
    lease = azblob(guest, "lease", "acquire", name).text.strip()
    assert azblob(guest, "rm", "--snapshots", name, check=False).status == 6
    azblob(guest, "rm", "--snapshots", "--lease", lease, name)
    # With nothing but a SAS, made in the guest.
    token = json_lines(azblob(guest, "--json", "sas", "--expiry", "7d", f"{container}/copy"))[0]
    shown = guest.sh("unset AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_KEY; "
                     "export AZURE_STORAGE_ACCOUNT=devstoreaccount1; azblob --transport driver "
                     f"--sas '{token['token']}' cat {container}/copy")
    assert shown.text == "one\ntwo\n"


def test_a_tree_is_kept_in_step_and_a_large_file_goes_on(guest, container):
    guest.sh("mkdir -p /tmp/sync/a; for i in 1 2 3; do echo $i >/tmp/sync/a/f$i; done; "
             f"pattern write {3 * MIB} 85 >/tmp/sync/large")
    first = json_lines(azblob(guest, "--json", "sync", "/tmp/sync", f"{container}/s"))[-1]
    assert (first["files"], first["failed"]) == (4, 0)
    guest.sh("rm /tmp/sync/a/f2; echo new >/tmp/sync/a/f3")
    second = json_lines(azblob(guest, "--json", "--block-size", "64K", "sync", "--delete", "/tmp/sync",
                               f"{container}/s"))[-1]
    assert (second["files"], second["deleted"], second["unchanged"]) == (1, 1, 2)
    azblob(guest, "sync", f"{container}/s/", "/tmp/back")
    assert guest.run(["same", "/tmp/sync", "/tmp/back"]).text.startswith("same: 3 files")
    # Forty-eight blocks, of which one has changed since.
    put = ("--json", "--block-size", "64K", "put", "/tmp/sync/large", f"{container}/big")
    azblob(guest, *put)
    guest.sh("printf x | dd of=/tmp/sync/large bs=1 seek=100000 conv=notrunc 2>/dev/null")
    again = json_lines(azblob(guest, *put))[0]
    assert again["resumed"] == 47 * 65536
    azblob(guest, "get", f"{container}/big", "/tmp/big")
    assert guest.run(["same", "/tmp/sync/large", "/tmp/big"]).text.startswith("same: 1 files")
    guest.sh("rm -r /tmp/sync /tmp/back /tmp/big")
