# SPDX-License-Identifier: MIT
"""A client of the public connector library's kind reads blobs through the driver."""

import json
from dataclasses import dataclass

import pytest
from azvm import sharedkey
from vsp import pattern

SIZE = 3 * (1 << 20) + 4321


@dataclass
class Run:
    """What the client printed: the calls of each method, and how it ended."""
    status: int
    calls: list

    def of(self, method):
        return [call["answer"] for call in self.calls if call["method"] == method]


def signed_open(target):
    """The JSON of an open: our fields, from a head that is signed as any other."""
    lines = sharedkey.head("GET", target).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    headers = {name.lower(): value for name, value in headers.items()}
    host = headers.pop("host")
    version = headers.pop("x-ms-version")
    return {"schemaVersion": 1, "host": host, "target": target, "xMsVersion": version,
            "headers": headers}


def fastpath(guest, request, **options):
    # The node has this name where the udev rule is installed.
    guest.sh("[ -e /dev/azure_xs_fastpath ] || ln -s azure_blob /dev/azure_xs_fastpath")
    argv = ["fastpath"] + [f"{name}={value}" for name, value in options.items()]
    result = guest.run(argv, stdin=json.dumps(request).encode(), check=False)
    return Run(result.status, [json.loads(line) for line in result.stdout.splitlines()])


@pytest.fixture
def blob(guest, target, container):
    """A blob of more than one piece; its path."""
    path = target("blob")
    guest.sh(f"pattern write {SIZE} 5 >/tmp/in && azblob put -q /tmp/in {container}/blob")
    return path


def test_library_call_by_call_reads_a_blob(guest, blob):
    run = fastpath(guest, signed_open(blob), out="/tmp/out")
    assert run.status == 0
    [opened] = run.of("open")
    assert (opened["responseType"], opened["status"], opened["httpStatus"]) == ("open", 1001, 200)
    assert opened["contentLength"] == SIZE
    assert opened["xMsVersion"] == sharedkey.VERSION
    assert opened["xMsRequestId"]
    reads = run.of("read")
    assert [read["bytesRead"] for read in reads] == [1 << 20] * 3 + [4321]
    assert [read["xMsClientRequestId"] for read in reads] == [
        f"read at {n << 20}" for n in range(4)]
    assert len(run.of("close")) == 1
    assert guest.run(["cat", "/tmp/out"]).stdout == pattern(SIZE, 5)


def test_number_of_the_driver_here_does_as_well(guest, blob):
    run = fastpath(guest, signed_open(blob), nr="f0", out="/tmp/out", piece=4 << 20)
    assert run.status == 0
    assert [read["bytesRead"] for read in run.of("read")] == [SIZE]
    assert guest.run(["cat", "/tmp/out"]).stdout == pattern(SIZE, 5)


def test_open_without_the_right_signature_is_refused(guest, blob):
    request = signed_open(blob)
    request["headers"]["authorization"] = f"SharedKey {sharedkey.ACCOUNT}:" + "A" * 43 + "="
    run = fastpath(guest, request)
    assert run.status == 1
    [opened] = run.of("open")
    assert (opened["status"], opened["httpStatus"]) == (1003, 403)
    assert opened["errorDescription"] == "AuthenticationFailed"
    assert "handleKey" not in opened


def test_wrong_checksum_is_refused_before_anything_is_done(guest, blob):
    run = fastpath(guest, signed_open(blob), spoil="crc")
    assert run.status == 1
    [opened] = run.of("open")
    assert (opened["status"], opened["httpStatus"]) == (1002, 400)
    assert "checksum" in opened["errorDescription"]


def test_foreign_handle_reads_nothing(guest, blob):
    run = fastpath(guest, signed_open(blob), spoil="handle")
    assert run.status == 1
    [read] = run.of("read")
    assert (read["status"], read["httpStatus"]) == (1003, 404)
    [closed] = run.of("close")
    assert closed["status"] == 1001


def test_oldest_ioctl_has_no_way_to_read(guest, blob):
    """It sends one valid byte, so the host must not write to the buffer; the answer says why."""
    run = fastpath(guest, signed_open(blob), nr="v1")
    assert run.status == 1
    [opened] = run.of("open")
    assert opened["status"] == 1001
    [read] = run.of("read")
    assert (read["status"], read["httpStatus"]) == (1003, 400)
    assert "data_valid" in read["errorDescription"]
