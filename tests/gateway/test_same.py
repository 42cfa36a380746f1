# SPDX-License-Identifier: MIT
"""What comes back is what the daemon's own door gives, byte for byte."""

import re
import socket

import pytest

from blobclient import KEY

KEY_OF = {"right": KEY, "wrong": "bm9uZSBvZiBpdHMga2V5cw=="}


def exchange(port, method, target, headers, body=b""):
    """Sends bytes, and everything that comes until the other side closes."""
    lines = [f"{method} {target} HTTP/1.1"] + [f"{n}: {v}" for n, v in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
        connection.sendall("\r\n".join(lines + ["Connection: close", "", ""]).encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def without_chance(answer):
    """Without what is made anew for each request, and the scheme, which the link has as https."""
    head, _, body = answer.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\n(Date|x-ms-request-id|Content-Length): [^\r]*", rb"\r\n\1: *", head)
    body = re.sub(rb"RequestId:[0-9a-f-]+|Time:[0-9T:.-]+Z|https?://[^<]*", b"*", body)
    return head, body


REQUESTS = {
    "get": ("GET", "/{box}/a%20blob", {}, b""),
    "get-range": ("GET", "/{box}/a%20blob", {"x-ms-range": "bytes=3-7"}, b""),
    "get-beyond": ("GET", "/{box}/a%20blob", {"x-ms-range": "bytes=300-700"}, b""),
    "get-not-modified": ("GET", "/{box}/a%20blob", {"If-None-Match": "*"}, b""),
    "get-nothing": ("GET", "/{box}/none", {}, b""),
    "head": ("HEAD", "/{box}/a%20blob", {}, b""),
    "head-nothing": ("HEAD", "/{box}/none", {}, b""),
    "list": ("GET", "/{box}?restype=container&comp=list&include=metadata", {}, b""),
    "list-nothing": ("GET", "/nobox?restype=container&comp=list", {}, b""),
    "container-exists": ("PUT", "/{box}?restype=container", {"Content-Length": "0"}, b""),
    "no-length": ("PUT", "/{box}/b", {"x-ms-blob-type": "BlockBlob"}, b""),
    "put-exists": ("PUT", "/{box}/a%20blob",
                   {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*", "Content-Length": "4"},
                   b"more"),
    "put-wrong-md5": ("PUT", "/{box}/b",
                      {"x-ms-blob-type": "BlockBlob", "Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA==",
                       "Content-Length": "4"}, b"more"),
    "put-nonsense": ("PUT", "/{box}/b?comp=blocklist", {"Content-Length": "4"}, b"<xm>"),
    "chunked": ("PUT", "/{box}/b",
                {"x-ms-blob-type": "BlockBlob", "Transfer-Encoding": "chunked"},
                b"4\r\nmore\r\n0\r\n\r\n"),
    "unknown-header": ("GET", "/{box}/a%20blob", {"x-ms-nobody-knows": "1"}, b""),
    "own-header": ("GET", "/{box}/a%20blob", {"Azblob-Body": "open"}, b""),
    "hop-headers": ("GET", "/{box}/a%20blob", {"TE": "trailers", "Keep-Alive": "5"}, b""),
    "unknown-operation": ("POST", "/{box}?restype=container&comp=what", {"Content-Length": "0"},
                          b""),
    "unknown-method": ("PATCH", "/{box}/a%20blob", {}, b""),
    "bad-target": ("GET", "/{box}/%zz", {}, b""),
    "delete-nothing": ("DELETE", "/{box}/none", {}, b""),
    "preflight": ("OPTIONS", "/{box}/a%20blob",
                  {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"}, b""),
}


@pytest.mark.parametrize("key", KEY_OF)
@pytest.mark.parametrize("what", REQUESTS)
def test_the_answer_is_the_same(gateway, backend, direct, box, what, key):
    direct.put_blob(f"/{box}/a%20blob", b"some content", {"x-ms-meta-colour": "blue"})
    method, path, headers, body = REQUESTS[what]
    direct.key = KEY_OF[key]
    target, sent = direct.head(method, path.format(box=box), None,
                               {**headers, "Host": "localhost"})
    if "Content-Length" not in headers:
        sent.pop("Content-Length", None)
    answers = [exchange(port, method, target, sent, body) for port in (gateway.port, backend.port)]
    assert answers[0].startswith(b"HTTP/1.1 ")
    assert without_chance(answers[0]) == without_chance(answers[1])


@pytest.mark.parametrize("target", ["/.azblob", "/.azblob/" + "0" * 32 + "?offset=0&length=1",
                                    "/.azblob/" + "0" * 32])
def test_what_is_of_the_link_alone_does_not_get_there(gateway, target):
    for method in ("GET", "PUT", "POST", "DELETE"):
        answer = exchange(gateway.port, method, target,
                          {"Host": "localhost", "Content-Length": "0"})
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"Azblob-" not in answer


def test_host_style_names(gateway, box, direct):
    direct.put_blob(f"/{box}/b", b"by its host")
    direct.host_style = True
    direct.port = gateway.port
    target, sent = direct.head("GET", f"/{box}/b")
    answer = exchange(gateway.port, "GET", target, sent)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nby its host")
