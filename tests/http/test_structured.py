# SPDX-License-Identifier: MIT
"""Structured bodies (XSM/1.0 with CRC-64), both ways, by a reading of the format of its own."""

import base64
import os
import struct

import pytest
from blobclient import crc64, md5

VALUE = "XSM/1.0; properties=crc64"
SEGMENT = 4 * 1024 * 1024
TABLE = []


def fill_table():
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x9a6c9329ac4bc9b5 if value & 1 else 0)
        TABLE.append(value)


fill_table()


def checksum(data):
    value = (1 << 64) - 1
    for byte in data:
        value = TABLE[(value ^ byte) & 0xff] ^ (value >> 8)
    return (value ^ ((1 << 64) - 1)).to_bytes(8, "little")


def encode(data, size=1000, flags=1, damage=None):
    parts = [data[at:at + size] for at in range(0, len(data), size)] or [b""]
    body = b""
    for number, part in enumerate(parts):
        body += struct.pack("<HQ", number + 1, len(part)) + part
        body += checksum(part) if damage != number else bytes(8)
    body += checksum(data) if damage != "all" else bytes(8)
    return struct.pack("<BQHH", 1, len(body) + 13, flags, len(parts)) + body


def decode(message, sums=True):
    version, length, flags, count = struct.unpack_from("<BQHH", message)
    assert (version, length, flags) == (1, len(message), 1)
    at, data = 13, b""
    for number in range(count):
        found, size = struct.unpack_from("<HQ", message, at)
        assert found == number + 1
        part = message[at + 10:at + 10 + size]
        assert len(part) == size <= SEGMENT
        if sums:
            assert message[at + 10 + size:at + 18 + size] == checksum(part)
        data += part
        at += 18 + size
    assert at + 8 == len(message)
    if sums:
        assert message[at:] == checksum(data)
    return data


def framed(data, **more):
    sent = {"x-ms-structured-body": VALUE, "x-ms-structured-content-length": str(len(data))}
    sent.update(more)
    return sent


def test_the_checksum_of_these_tests_is_that_of_the_others():
    data = os.urandom(1000)
    assert base64.b64encode(checksum(data)).decode() == crc64(data)


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 20000, 300000])
def test_put_blob(client, container, length):
    path, data = "/%s/b" % container, os.urandom(length)
    answer = client.put_blob(path, encode(data), framed(data))
    assert answer.status == 201, answer
    assert answer["x-ms-structured-body"] == VALUE
    assert answer["x-ms-content-crc64"] == base64.b64encode(checksum(data)).decode()
    found = client.get(path)
    assert found.body == data
    assert found["Content-MD5"] == md5(data)


def test_the_other_operations_that_bring_data(client, container):
    data = os.urandom(2048)
    path = "/%s/b" % container
    answer = client.put_block(path, "id", encode(data), framed(data))
    assert (answer.status, answer["x-ms-structured-body"]) == (201, VALUE)
    client.put_block_list(path, ["id"])
    assert client.get(path).body == data
    path = "/%s/a" % container
    client.put(path, b"", {"x-ms-blob-type": "AppendBlob"})
    for offset in (0, 2048):
        answer = client.put(path + "?comp=appendblock", encode(data), framed(data))
        assert answer["x-ms-blob-append-offset"] == str(offset)
    assert client.get(path).body == data + data
    path = "/%s/p" % container
    client.put(path, b"", {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "4096"})
    answer = client.put(path + "?comp=page", encode(data), framed(data, **{
        "x-ms-page-write": "update", "x-ms-range": "bytes=1024-3071"}))
    assert answer.status == 201, answer
    assert client.get(path).body == bytes(1024) + data + bytes(1024)


@pytest.mark.parametrize("damage", [0, 3, 9, "all"])
def test_a_wrong_checksum_stores_nothing(client, container, damage):
    path, data = "/%s/b" % container, os.urandom(10000)
    answer = client.put_blob(path, encode(data, damage=damage), framed(data))
    assert (answer.status, answer.code) == (400, "Crc64Mismatch")
    assert client.get(path).status == 404


def shorten(message):
    return message[:-1]


def lengthen(message):
    return message + b"x"


def swap_numbers(message):
    return message[:13] + b"\x02" + message[14:]


def no_flags(message):
    return message[:9] + b"\0\0" + message[11:]


def other_version(message):
    return b"\x02" + message[1:]


def fewer_segments(message):
    return message[:11] + struct.pack("<H", 1) + message[13:]


def huge_segment(message):
    return message[:15] + struct.pack("<Q", 1 << 60) + message[23:]


@pytest.mark.parametrize("change", [shorten, lengthen, swap_numbers, no_flags, other_version,
                                    fewer_segments, huge_segment, bytes])
def test_what_is_no_message_is_refused(client, container, change):
    path, data = "/%s/b" % container, os.urandom(5000)
    body = change(encode(data)) if change is not bytes else os.urandom(5113)
    answer = client.put_blob(path, body, framed(data))
    assert (answer.status, answer.code) == (400, "InvalidInput"), answer
    assert client.get(path).status == 404


@pytest.mark.parametrize("headers", [
    {"x-ms-structured-body": "XSM/2.0; properties=crc64"}, {"x-ms-structured-body": "XSM/1.0"},
    {"x-ms-structured-body": "XSM/1.0; properties=md5"}, {"x-ms-structured-content-length": "x"},
    {"x-ms-structured-content-length": "6000"}, {"x-ms-structured-body": ""},
    {"Content-MD5": md5(b"x")}, {"x-ms-content-crc64": crc64(b"x")}])
def test_bad_headers(client, container, headers):
    data = os.urandom(5000)
    answer = client.put_blob("/%s/b" % container, encode(data), framed(data, **headers))
    assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), answer


def test_both_headers_are_needed(client, container):
    data, path = os.urandom(5000), "/%s/b" % container
    for name in ("x-ms-structured-body", "x-ms-structured-content-length"):
        answer = client.put_blob(path, encode(data), framed(data, **{name: None}))
        assert (answer.status, answer.code) == (400, "MissingRequiredHeader")
    # another length than the message has
    answer = client.put_blob(path, encode(data),
                             framed(data, **{"x-ms-structured-content-length": "4999"}))
    assert (answer.status, answer.code) == (400, "InvalidInput")


@pytest.mark.parametrize("length", [0, 1, 1000, 100000, SEGMENT, SEGMENT + 1])
def test_get_blob(client, container, length):
    path = "/%s/b" % container
    data = os.urandom(length) if length < SEGMENT else bytes(length)
    client.put_blob(path, data)
    answer = client.get(path, {"x-ms-structured-body": VALUE})
    assert answer.status == 200, answer
    assert answer["x-ms-structured-body"] == VALUE
    assert answer["x-ms-structured-content-length"] == str(length)
    assert answer["Content-Length"] == str(len(answer.body))
    # the sums of what is long take a while in Python
    assert decode(answer.body, length < SEGMENT) == data


def test_a_range_of_it(client, container):
    path, data = "/%s/b" % container, os.urandom(300000)
    client.put_block(path, "one", data[:100000])
    client.put_block(path, "two", data[100000:])
    client.put_block_list(path, ["one", "two"])
    answer = client.get(path, {"x-ms-structured-body": VALUE, "x-ms-range": "bytes=99000-250000"})
    assert (answer.status, answer["Content-Range"]) == (206, "bytes 99000-250000/300000")
    assert answer["x-ms-structured-content-length"] == "151001"
    assert decode(answer.body) == data[99000:250001]
    refused = client.get(path, {"x-ms-structured-body": VALUE, "x-ms-range": "bytes=0-10",
                                "x-ms-range-get-content-md5": "true"})
    assert (refused.status, refused.code) == (400, "InvalidHeaderValue")
    assert client.get(path, {"x-ms-structured-body": "x"}).code == "InvalidHeaderValue"
    assert client.put(path + "?comp=metadata",
                      headers={"x-ms-structured-body": VALUE}).code == "UnsupportedHeader"


def test_limits_count_the_data(client, container):
    path = "/%s/p" % container
    client.put(path, b"", {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(SEGMENT)})
    data = bytes(SEGMENT)
    body = encode(data, SEGMENT)
    write = {"x-ms-page-write": "update", "x-ms-range": "bytes=0-%d" % (SEGMENT - 1)}
    assert client.put(path + "?comp=page", body, framed(data, **write)).status == 201
    assert client.get(path).body == data
