#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the fuzz targets: what each of them is usually given.

usage: seeds.py DIRECTORY      makes DIRECTORY/TARGET/NUMBER
"""

import struct
import sys
from pathlib import Path

POLYNOMIAL = 0x9a6c9329ac4bc9b5
MAGIC = 0x4b4e494c425a41ff  # include/azblob/vsp_link.h


def crc64(data):
    value = (1 << 64) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value ^ (1 << 64) - 1


def chosen(choice, *texts):
    """With the byte in front that says what is to be done with the rest."""
    return [bytes([choice]) + (text.encode() if isinstance(text, str) else text)
            for text in texts]


def heads():
    lines = "Host: h\r\nx-ms-date: Mon, 23 Nov 2026 09:00:00 GMT\r\n"
    texts = [
        "GET /a/c/b?x=y HTTP/1.1\r\n%sRange: bytes=0-5\r\n\r\n" % lines,
        "PUT /a/c/b HTTP/1.1\r\n%sContent-Length: 5\r\nAzblob-Body: open\r\n\r\nbytes" % lines,
        "PUT /a/c/b HTTP/1.1\r\nContent-Length: 5\r\nAzblob-Crc64: AAAAAAAAAAA=\r\n\r\n",
        "GET /.azblob HTTP/1.1\r\n\r\n",
        "GET /.azblob/0123456789abcdef0123456789abcdef?offset=1&length=5 HTTP/1.1\r\n\r\n",
        "PUT /.azblob/0123456789abcdef0123456789abcdef?offset=7 HTTP/1.1\r\nContent-Length: 5"
        "\r\n\r\n",
        "POST /.azblob/H?commit HTTP/1.1\r\n\r\n", "DELETE /.azblob/H HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: close\r\nA:\r\n\r\n", "GET /a HTTP/1.1\nA: b\n\n",
    ]
    return chosen(3, *texts)


def targets():
    return chosen(
        0,
        "/acc/cont/a%20b?sv=2026-04-06&sr=b&sp=r&se=2030-01-01&skoid=o&sktid=t&skt=2020-01-01"
        "&ske=2030-01-01&sks=b&skv=2026-04-06&srh=host,x-ms-meta-a&srq=prefix,sr&prefix=p"
        "&sduoid=u&skdutid=d&rscc=c&sig=x%2B%3D",
        "/acc/?comp=list&ss=b&srt=sco&sp=rl&se=2030-01-01T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9"
        "&spr=https&sv=2020-12-06&ses=s&sig=x",
        "/acc/cont?si=policy&sr=c&sv=2018-11-09&sig=abc&restype=container&snapshot=x",
    ) + chosen(1, "/cont/%e2%82%ac/../b//c?include=snapshots&include=tags", "/$root", "/b%00", "/")


def texts():
    return (chosen(0, "2026-11-23T07:00:00.1234567Z", "2026-11-23", "2026-11-23T07:00:00+01:00",
                   "Mon, 23 Nov 2026 09:00:00 GMT")
            + chosen(1, "10.0.0.1-10.0.0.9", "fe80::1-fe80::ffff", "::ffff:10.0.0.1")
            + chosen(2, "YWJj", "AAAAAAAAAAA=", "3f2504e0-4f89-11d3-9a0c-0305e82c3301")
            + chosen(3, "2!4!YQ--", "2!8!YWJj", "1!4!YQ--!5")
            + chosen(4, "YWJj", "QUFBQUFB") + chosen(5, "XSM/1.0; properties=crc64"))


def documents():
    policy = ("<SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Start>2020-01-01"
              "</Start><Expiry>2030-01-01T00:00:00Z</Expiry><Permission>racwdl</Permission>"
              "</AccessPolicy></SignedIdentifier></SignedIdentifiers>")
    return (chosen(0, "<a><b>c</b><Days>3</Days></a>", "<a x='&lt;'>&#65;<![CDATA[<]]></a>",
                   "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>")
            + chosen(1, "<?xml version='1.0' encoding='utf-8'?><BlockList><Latest>YWJj</Latest>"
                        "<Committed>YQ==</Committed><Uncommitted>Yg==</Uncommitted></BlockList>",
                     "<BlockList />")
            + chosen(2, "<StorageServiceProperties><Logging><Version>1.0</Version><Delete>true"
                        "</Delete><Read>false</Read><Write>true</Write><RetentionPolicy><Enabled>"
                        "true</Enabled><Days>3</Days></RetentionPolicy></Logging><Cors><CorsRule>"
                        "<AllowedOrigins>*,http://a</AllowedOrigins><AllowedMethods>GET,PUT"
                        "</AllowedMethods><AllowedHeaders>x-ms-*</AllowedHeaders><ExposedHeaders />"
                        "<MaxAgeInSeconds>5</MaxAgeInSeconds></CorsRule></Cors>"
                        "<DefaultServiceVersion>2021-08-06</DefaultServiceVersion></"
                        "StorageServiceProperties>")
            + chosen(3, policy)
            + chosen(4, "<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>"))


def expressions():
    return (chosen(0, "colour = 'red' AND size >= '5'", "NOT (\"a b\" <> 'c' OR x < 'y')")
            + chosen(1, "@container = 'c' AND \"a\" > 'b' AND a <= 'it''s'"))


def structured(data, segment, checksums=True):
    """XSM/1.0, as vsp-backend/blob/xsm.h has it."""
    parts = [data[i:i + segment] for i in range(0, len(data), segment)] or [b""]
    tail = 8 if checksums else 0
    length = 13 + sum(10 + len(part) + tail for part in parts) + tail
    message = struct.pack("<BQHH", 1, length, int(checksums), len(parts))
    for number, part in enumerate(parts, 1):
        message += struct.pack("<HQ", number, len(part)) + part
        if checksums:
            message += struct.pack("<Q", crc64(part))
    if checksums:
        message += struct.pack("<Q", crc64(data))
    return message


def bodies():
    data = bytes(range(200))
    return [bytes([step, len(data)]) + structured(data, segment)
            for step, segment in [(0, 200), (5, 64), (31, 1)]] + [
                bytes([1, len(data)]) + structured(data, 50, False), bytes([1, 0]) + structured(b"", 1)]


def envelope(method, text):
    message = struct.pack("<8sIIQQ", b"HsReq001", 1, method, 0, 0) + text.encode()
    return message[:16] + struct.pack("<Q", crc64(message)) + message[24:]


def envelopes():
    return [envelope(1, '{"schemaVersion":1,"host":"h","target":"/a/c/b?x=y","xMsVersion":'
                        '"2023-11-03","xMsClientRequestId":"id","headers":{"Authorization":'
                        '"SharedKey a:b","x-ms-range":"bytes=0-5"}}'),
            envelope(2, '{"handleKey":"0123456789abcdef0123456789abcdef","offset":5,"length":7,'
                        '"contentCrc64":true}'),
            envelope(3, '{"handleKey":"0123456789abcdef0123456789abcdef"}')]


def message(kind, body, flags=0, number=1):
    return struct.pack("<IHHQ", 16 + len(body), kind, flags, number) + body


def messages():
    head = b"GET /.azblob HTTP/1.1\r\n\r\n"
    padded = head + bytes(-len(head) % 8)
    fixed = struct.pack("<IIIIIIII16x", 0x100, 0, len(head), 16384, 4096, 0, 2, 0)
    segments = b"".join(struct.pack("<IIQQ", region, use, offset, length) for
                        region, use, offset, length in [(0, 2, 65536, 4096), (0, 3, 0, 16384)])
    inline = struct.pack("<IIIIIIII16x", 0x100, 0, len(head), 16384, 5, 5, 0, 0)
    hello = struct.pack("<QIIQ16s16s", MAGIC, 1, 1, 3, b"session session!", b"instance")
    return (chosen(0, message(1, hello))
            + chosen(1, message(7, fixed + padded + segments, 0, 5),
                     message(7, inline + padded + b"bytes", 2, 6) + message(8, b"", 0, 6),
                     message(9, b"", 0, 5) + message(11, b"", 0, 5) + message(12, b"")))


def tokens():
    return [b"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC90LyI"
            b"sImF1ZCI6Imh0dHBzOi8vc3RvcmFnZS5henVyZS5jb20iLCJleHAiOjk5OTk5OTk5OTk5LCJvaWQiOiJvIi"
            b"widGlkIjoidCJ9.AAAA", b"e30.e30."]


def batch(*requests):
    parts = "".join("--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
                    "Content-ID: %d\r\n\r\n%s\r\n" % pair for pair in enumerate(requests))
    return parts + "--b--\r\n"


def requests():
    def put(target, body="", *lines):
        head = ["PUT " + target, "Content-Length: %d" % len(body), *lines]
        return "\n".join(head) + "\n\n" + body

    def post(target, body, *lines):
        return put(target, body, *lines).replace("PUT", "POST", 1)

    blob = "x-ms-blob-type: BlockBlob"
    parts = batch("DELETE /cont/b HTTP/1.1\r\nx-ms-date: now\r\nContent-Length: 0\r\n",
                  "PUT /devstoreaccount1/cont/b?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool\r\n"
                  "Content-Length: 0\r\nAuthorization: SharedKey devstoreaccount1:AAAA\r\n")
    texts = [
        post("/?comp=batch", parts, "Content-Type: multipart/mixed; boundary=b"),
        post("/cont?restype=container&comp=batch", parts,
             "Content-Type: multipart/mixed; boundary=b"),
        put("/cont/b", "bytes", blob, "x-ms-meta-a: b", "x-ms-tags: a=b", "If-None-Match: *"),
        put("/cont/p", "", "x-ms-blob-type: PageBlob", "x-ms-blob-content-length: 1024"),
        put("/cont/p?comp=page", "x" * 512, "x-ms-page-write: update", "x-ms-range: bytes=0-511"),
        put("/cont/a", "", "x-ms-blob-type: AppendBlob"),
        put("/cont/a?comp=appendblock", "bytes", "x-ms-blob-condition-appendpos: 0"),
        put("/cont/b?comp=block&blockid=YQ==", "bytes"),
        put("/cont/b?comp=blocklist", "<BlockList><Latest>YQ==</Latest></BlockList>"),
        put("/cont/b?comp=metadata", "", "x-ms-meta-x: y"),
        put("/cont/b?comp=properties", "", "x-ms-blob-content-type: a/b"),
        put("/cont/b?comp=tags", "<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"
                                 "</Tags>"),
        put("/cont/b?comp=tier", "", "x-ms-access-tier: Cool"),
        put("/cont/b?comp=snapshot"), put("/cont/b?comp=undelete"),
        put("/cont/b?comp=lease", "", "x-ms-lease-action: acquire", "x-ms-lease-duration: 15"),
        put("/cont/c", "", "x-ms-copy-source: http://h/devstoreaccount1/cont/b"),
        put("/cont/c", "", blob, "x-ms-copy-source: http://h/devstoreaccount1/cont/b"),
        put("/cont/b", structured(b"bytes", 3).decode("latin-1"), blob,
            "x-ms-structured-body: XSM/1.0; properties=crc64", "x-ms-structured-content-length: 5"),
        put("/cont?restype=container&comp=acl", "<SignedIdentifiers />",
            "x-ms-blob-public-access: blob"),
        put("/cont/b?comp=immutabilityPolicies", "",
            "x-ms-immutability-policy-until-date: Mon, 23 Nov 2026 09:00:00 GMT"),
        put("/?restype=service&comp=properties", "<StorageServiceProperties />"),
        "GET /cont/b\nx-ms-range: bytes=1-3\nx-ms-range-get-content-md5: true\n\n",
        "GET /cont/b\nx-ms-structured-body: XSM/1.0; properties=crc64\n\n",
        "GET /cont/b?comp=blocklist&blocklisttype=all\n\n", "GET /cont/p?comp=pagelist\n\n",
        "GET /cont?restype=container&comp=list&prefix=b&delimiter=/&include=metadata,tags\n\n",
        "GET /?comp=list&maxresults=5\n\n", "GET /?comp=blobs&where=a%3D%27b%27\n\n",
        "HEAD /cont/b\nIf-Match: \"x\"\nIf-Modified-Since: Mon, 23 Nov 2026 09:00:00 GMT\n\n",
        "DELETE /cont/b\nx-ms-delete-snapshots: include\n\n", "OPTIONS /cont/b\nOrigin: http://a\n"
        "Access-Control-Request-Method: GET\n\n",
    ]
    return [text.encode("latin-1") for text in texts]


# For those of the emulator: an operation's byte, and what it takes (guest.c, backend.c).
PACKET, CONTROL, EXTENDED, MESSAGE, WORD, ANSWER = 0, 70, 95, 115, 160, 195


def guests():
    """Operations of a guest that mostly means well."""
    request = bytes([PACKET, 0, 1])
    sends, takes = bytes([PACKET, 3, 12, 2]), bytes([PACKET, 1, 12, 3])
    register = bytes([CONTROL, 1, 2, 4])
    deregister, cancel = bytes([CONTROL, 2, 5]), bytes([CONTROL, 4 | 128, 6, 1])
    in_buffer = bytes([EXTENDED, 1 | 16, 7])
    answer, die, connect = bytes([ANSWER, 4]), bytes([ANSWER, 1]), bytes([ANSWER, 3])
    offers, opens, closes, gpadl, body, teardown, released, contact, unload, modify = (
        bytes([MESSAGE, 0, number]) for number in range(10))
    rescind, fault, later = bytes([242]), bytes([235, 0, 0, 1, 1, 0, 1]), bytes([225])
    return [request + sends + takes + answer * 3, request * 3 + die + connect + answer * 3,
            register + in_buffer + cancel + answer + deregister, request + closes + answer + opens,
            gpadl + b"\x09" + teardown, gpadl + b"\x30" + body + teardown + closes,
            request + unload + answer + contact + offers, request + rescind + answer + released,
            fault + request + answer + later + request, modify + request + answer,
            request + contact + die + offers, bytes([WORD, 1, 5]) + request,
            bytes([WORD, 10, 7]) + request + answer]


def backends():
    """Whether inline, three requests, and what is said then."""
    done, cut = bytes([0, 1, 5, 0]), bytes([0, 1 | 64, 5, 0, 9, 0, 0, 0])
    older, oldest = bytes([0, 0, 5, 1]), bytes([0, 0, 5, 2])
    long = bytes([0, 4 | 8, 5, 0, 11, 12])
    welcome, status = bytes([0, 0, 0]), bytes([0, 0, 1])
    gone, refuse, goodbye = bytes([0, 0, 2, 0]), bytes([0, 0, 3, 3]) + b"why", bytes([0, 0, 4])
    request, late, die, connect = bytes([160, 3]), bytes([190]), bytes([215]), bytes([225])
    narrow, wide = bytes([245, 9]), bytes([246])
    return [bytes([2, 1, 1, 3]) + done + older + oldest, bytes([3, 1, 1, 3]) + long * 2,
            bytes([3, 3, 3, 3]) + cut * 2, bytes([2, 0, 1, 3]) + late + done + older,
            bytes([3, 0, 1, 3]) + narrow + request + done + wide + done,
            bytes([2, 0, 1, 3]) + die + connect + done, bytes([0, 0, 0, 0]) + welcome + status + done,
            bytes([2, 0, 0, 0]) + gone + connect, bytes([0, 0, 0, 0]) + refuse + connect,
            bytes([2, 0, 1, 2]) + goodbye + connect + done + older]


def flags():
    """Flags of a SynIC that is off, and on; some are set twice, and cleared between."""
    off, on, clear = b"\x00", b"\x01", b"\x10"
    first, last, beyond = b"\x20\x00", b"\x8f\x7f", b"\x8f\x80"
    return [off + first + on + first * 2 + last * 2 + beyond, on + last + clear + last + off + last]


SEEDS = {"backend": backends, "guest": guests, "synic": flags, "body": bodies, "envelope": envelopes, "head": heads, "link": messages,
         "service": requests, "tags": expressions, "target": targets, "text": texts,
         "token": tokens, "xml": documents}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, make in SEEDS.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(make()):
            (folder / str(number)).write_bytes(seed)


if __name__ == "__main__":
    main()
