# SPDX-License-Identifier: MIT
"""Shared access signatures by the text of Azure's reference; shares no code with the project."""

import base64
import datetime
import hashlib
import hmac
import urllib.parse

from blobclient import ACCOUNT, KEY, VERSION


def iso(seconds_from_now=0):
    now = datetime.datetime.now(datetime.timezone.utc)
    then = now + datetime.timedelta(seconds=seconds_from_now)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def sign(key, text):
    mac = hmac.new(base64.b64decode(key), text.encode("utf-8"), hashlib.sha256).digest()
    return base64.b64encode(mac).decode()


def fields_with_defaults(fields):
    merged = {"sv": VERSION}
    if "si" not in fields:
        merged.update(se=iso(600))
    merged.update(fields)
    return {name: value for name, value in merged.items() if value is not None}


def query(fields, signature):
    return urllib.parse.urlencode(dict(fields, sig=signature), quote_via=urllib.parse.quote)


def account_sas(account=ACCOUNT, key=KEY, **fields):
    """ss, srt, sp and so on; the query, signed."""
    f = fields_with_defaults({"ss": "b", "srt": "sco", "sp": "rwdxylacuptfi", **fields})
    get = lambda name: f.get(name, "")
    lines = [account] + [get(n) for n in ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv")]
    if f["sv"] >= "2020-12-06":
        lines.append(get("ses"))
    return query(f, sign(key, "\n".join(lines) + "\n"))


def service_sas(resource, account=ACCOUNT, key=KEY, moment="", delegation=None, headers=None,
                parameters=None, **fields):
    """@resource: "container" or "container/blob", not encoded; @moment: snapshot or version.

    @delegation: a dictionary of a user delegation key's fields and its Value.
    """
    f = fields_with_defaults({"sr": "b" if "/" in resource else "c", **fields})
    if delegation:
        f.update({n: delegation[n] for n in ("skoid", "sktid", "skt", "ske", "sks", "skv")})
        key = delegation["Value"]
        if headers:
            f["srh"] = ",".join(headers)
        if parameters:
            f["srq"] = ",".join(parameters)
    get = lambda name: f.get(name, "")
    lines = [get("sp"), get("st"), get("se"), "/blob/%s/%s" % (account, resource)]
    if delegation:
        lines += [get(n) for n in ("skoid", "sktid", "skt", "ske", "sks", "skv")]
        if f["sv"] >= "2020-02-10":
            lines += [get("saoid"), get("suoid"), get("scid")]
        if f["sv"] >= "2025-07-05":
            lines += [get("skdutid"), get("sduoid")]
    else:
        lines.append(get("si"))
    lines += [get("sip"), get("spr"), get("sv")]
    if f["sv"] >= "2018-11-09":
        lines += [get("sr"), moment]
    if f["sv"] >= "2020-12-06":
        lines.append(get("ses"))
    if delegation and f["sv"] >= "2026-04-06":
        lines.append("".join("%s:%s\n" % item for item in (headers or {}).items()))
        lines.append("".join("\n%s:%s" % item for item in (parameters or {}).items()))
    lines += [get(n) for n in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    return query(f, sign(key, "\n".join(lines)))
