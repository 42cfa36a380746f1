# SPDX-License-Identifier: MIT
"""A Blob client for tests that shares no code with the project: signs, sends, and keeps what came."""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import itertools
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

ACCOUNT = "devstoreaccount1"
# The public key of the development account.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2023-11-03"

SIGNED = ["content-encoding", "content-language", "content-length", "content-md5", "content-type",
          "date", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"]


def http_date(seconds_from_now=0):
    return email.utils.formatdate(time.time() + seconds_from_now, usegmt=True)


def string_to_sign(method, target, headers, account, lite=False):
    """By the text of Azure's reference."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    if "x-ms-date" in lower:
        lower.pop("date", None)
    if lower.get("content-length") == "0":
        lower["content-length"] = ""
    path, _, query = target.partition("?")
    parameters = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = urllib.parse.unquote(name).lower()
        parameters.setdefault(name, []).append(urllib.parse.unquote(value))
    resource = "/" + account + path
    if lite:
        names = ["content-md5", "content-type", "date"]
        if "comp" in parameters:
            resource += "?comp=" + parameters["comp"][0]
    else:
        names = SIGNED
        for name in sorted(parameters):
            resource += "\n%s:%s" % (name, ",".join(sorted(parameters[name])))
    lines = [method] + [lower.get(name, "") for name in names]
    lines += ["%s:%s" % (name, lower[name]) for name in sorted(lower) if name.startswith("x-ms-")]
    return "\n".join(lines + [resource])


def authorization(method, target, headers, account=ACCOUNT, key=KEY, lite=False):
    text = string_to_sign(method, target, headers, account, lite)
    mac = hmac.new(base64.b64decode(key), text.encode("utf-8"), hashlib.sha256).digest()
    scheme = "SharedKeyLite" if lite else "SharedKey"
    return "%s %s:%s" % (scheme, account, base64.b64encode(mac).decode())


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers  # any case
        self.body = body
        self.closed = response.will_close

    def __getitem__(self, name):
        return self.headers.get(name)

    @property
    def code(self):
        return self.headers.get("x-ms-error-code")

    def xml(self):
        return ElementTree.fromstring(self.body)

    def __repr__(self):
        return "<%d %s %r>" % (self.status, dict(self.headers), self.body[:400])


class Client:
    """One connection; path style unless host_style is set."""

    def __init__(self, port, account=ACCOUNT, key=KEY, host_style=False, timeout=120, tls=None):
        """@tls: an ssl.SSLContext."""
        self.port = port
        self.account = account
        self.key = key
        self.host_style = host_style
        if tls:
            self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout,
                                                          context=tls)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def close(self):
        self.connection.close()

    def target(self, path):
        return path if self.host_style else "/" + self.account + path

    def head(self, method, path, body=None, headers=None, lite=False, sign=True):
        """The target and all headers, signed."""
        target = self.target(path)
        sent = {"x-ms-date": http_date(), "x-ms-version": VERSION}
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        names = {name.lower() for name in sent}
        if self.host_style:
            sent["Host"] = "%s.blob.localhost:%d" % (self.account, self.port)
        if (body is not None or method == "PUT") and "content-length" not in names:
            sent["Content-Length"] = str(len(body or b""))
        if sign and "authorization" not in names:
            sent["Authorization"] = authorization(method, target, sent, self.account, self.key,
                                                  lite)
        return target, sent

    def request(self, method, path, body=None, headers=None, lite=False, sign=True):
        target, sent = self.head(method, path, body, headers, lite, sign)
        self.connection.request(method, target, body=body, headers=sent)
        response = self.connection.getresponse()
        return Answer(response, response.read())

    def get(self, path, headers=None, **more):
        return self.request("GET", path, headers=headers, **more)

    def put(self, path, body=None, headers=None, **more):
        return self.request("PUT", path, body=body, headers=headers, **more)

    def delete(self, path, headers=None, **more):
        return self.request("DELETE", path, headers=headers, **more)

    def create_container(self, name, headers=None):
        return self.put("/%s?restype=container" % name, headers=headers)

    def put_blob(self, path, body, headers=None, **more):
        sent = {"x-ms-blob-type": "BlockBlob"}
        sent.update(headers or {})
        return self.put(path, body, sent, **more)

    def put_block(self, path, block, body, headers=None):
        query = urllib.parse.urlencode({"comp": "block", "blockid": block_id(block)})
        return self.put("%s?%s" % (path, query), body, headers)

    def put_block_list(self, path, blocks, headers=None, where="Latest"):
        return self.put(path + "?comp=blocklist", block_list(blocks, where), headers)

    def list_blobs(self, container, **query):
        query = dict(restype="container", comp="list", **query)
        return self.get("/%s?%s" % (container, urllib.parse.urlencode(
            query, quote_via=urllib.parse.quote)))


@contextlib.contextmanager
def connected(port, **more):
    """A client that is closed at the end."""
    client = Client(port, **more)
    yield client
    client.close()


CONTAINERS = itertools.count()


def new_container(client, word):
    """The name of a container that nobody else has."""
    name = "%s-%d" % (word, next(CONTAINERS))
    answer = client.create_container(name)
    assert answer.status == 201, answer
    return name


def block_id(text):
    return base64.b64encode(text.encode()).decode()


def block_list(blocks, where="Latest"):
    entries = "".join("<%s>%s</%s>" % (where, block_id(block), where) for block in blocks)
    return ("<?xml version='1.0' encoding='utf-8'?><BlockList>%s</BlockList>" % entries).encode()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def crc64(data):
    """CRC-64/NVME as Azure writes it, from the definition."""
    value = (1 << 64) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x9a6c9329ac4bc9b5 if value & 1 else 0)
    return base64.b64encode((value ^ ((1 << 64) - 1)).to_bytes(8, "little")).decode()
