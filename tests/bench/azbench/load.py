# SPDX-License-Identifier: MIT
"""Load on an HTTP server by wrk, with requests that were signed before the clock runs."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "http"))

import blobclient  # noqa: E402, F401  pylint: disable=wrong-import-position, unused-import

# The generator is one thread: on two cores it must not take the server's.
SCRIPT = """
local requests = {}
local file = assert(io.open("%(file)s", "rb"))
while true do
  local head = file:read("*n", "*l")
  if not head then break end
  requests[#requests + 1] = file:read(head)
end
file:close()
local at = 0
local bad = 0
function request()
  at = at %% #requests + 1
  return requests[at]
end
-- wrk counts 4xx and 5xx itself; what a summary lacks is written out here.
function done(summary, latency, _)
  local out = assert(io.open("%(result)s", "w"))
  local e = summary.errors
  out:write(string.format('{"requests": %%d, "bytes": %%d, "seconds": %%f, "errors": %%d, ' ..
    '"median_us": %%f, "p99_us": %%f}', summary.requests, summary.bytes, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50),
    latency:percentile(99)))
  out:close()
end
"""


class Failed(Exception):
    """A measurement that would mean nothing, and why."""


@dataclass
class Load:
    """What the generator saw; latencies in microseconds."""
    requests: int
    bytes: int
    seconds: float
    errors: int
    median_us: float
    p99_us: float


def raw(client, method, path, body=b"", headers=None):
    """The bytes of one signed request. A header that is None is left out."""
    target, sent = client.head(method, path, body if method == "PUT" else None, headers)
    sent.setdefault("Host", f"127.0.0.1:{client.port}")
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join(lines + ["", ""]).encode() + body


def run(port, requests, connections, seconds, unfinished=False):
    """Sends the requests over and over; raises Failed unless all were answered well.

    Of one pass over more requests than there is time for, the rest is left out.  unfinished
    allows that no answer came to its end in that time.
    """
    with tempfile.TemporaryDirectory() as directory:
        names = {name: os.path.join(directory, name) for name in ("file", "result", "script")}
        with open(names["file"], "wb") as file:
            for request in requests:
                file.write(b"%d\n" % len(request) + request)
        with open(names["script"], "w", encoding="utf-8") as script:
            script.write(SCRIPT % names)
        # without -H wrk would know no Host; the requests carry their own
        result = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-s",
             names["script"], f"http://127.0.0.1:{port}/"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode or not os.path.exists(names["result"]):
            raise Failed(f"wrk: {result.stderr.strip() or result.stdout.strip()}")
        with open(names["result"], encoding="utf-8") as text:
            load = Load(**json.load(text))
    if load.errors:
        raise Failed(f"{load.errors} of {load.requests} requests failed:\n{result.stdout}")
    if not load.requests and not unfinished:
        raise Failed("no request was answered")
    return load
