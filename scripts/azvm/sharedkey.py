# SPDX-License-Identifier: MIT
"""Request heads signed with SharedKey, written from the service's public description.

It shares no code with the programs under test.
"""

import base64
import hashlib
import hmac
from email.utils import formatdate
from urllib.parse import unquote

ACCOUNT = "devstoreaccount1"
# The published key of every local Blob emulator.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-08-06"

SIGNED = ["content-encoding", "content-language", "content-length", "content-md5", "content-type",
          "date", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"]


def signature(method, target, headers, account=ACCOUNT, key=KEY):
    """The Authorization header of a request in path style.

    target: as on the request line, "/ACCOUNT/CONTAINER/BLOB?QUERY", percent-encoded.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    if lower.get("content-length") == "0":
        lower["content-length"] = ""
    lines = [method] + [lower.get(name, "") for name in SIGNED]
    lines += [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("x-ms-")]
    path, _, query = target.partition("?")
    lines.append(f"/{account}{path}")
    parameters = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        parameters.setdefault(unquote(name).lower(), []).append(unquote(value))
    lines += [f"{name}:{','.join(sorted(parameters[name]))}" for name in sorted(parameters)]
    mac = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(mac).decode()}"


def headers(method, target, extra=None, body_length=None, account=ACCOUNT, key=KEY):
    """All headers of a signed request but Host."""
    result = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION}
    if body_length is not None:
        result["Content-Length"] = str(body_length)
    result.update(extra or {})
    unsigned = {n: v for n, v in result.items() if not n.lower().startswith("azblob-")}
    result["Authorization"] = signature(method, target, unsigned, account, key)
    return result


def head(method, target, extra=None, body_length=None, host="127.0.0.1:10000", **more):
    """A request head in bytes, as the request buffer holds it."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{n}: {v}" for n, v in headers(method, target, extra, body_length, **more).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
