# SPDX-License-Identifier: MIT
"""The guest's test programs, called from Python."""

import functools
import json
import struct
import subprocess
from dataclasses import dataclass

from azvm import paths, sharedkey

# include/uapi and include/azblob, as published
STATUS_TIMEOUT = 0x80070102
STATUS_TOO_SMALL = 0x8007007A
STATUS_NOT_UNDERSTOOD = 0x8007000D
STATUS_CANCELLED = 0x800703E3
MAX_PAGES = 8192
PAGE = 4096
RESPONSE = 16384


@dataclass
class Call:
    """What one ioctl did."""
    opened: bool
    result: int
    errno: int
    status: int
    response_len: int
    guards: dict
    request_intact: bool
    parent_intact: bool
    data_wrong: int
    struct: bytes
    response: bytes

    @property
    def http(self):
        """Status of the service's answer, 0 when there is none."""
        line = self.response.split(b"\r\n", 1)[0].split()
        return int(line[1]) if len(line) > 1 and line[0] == b"HTTP/1.1" else 0

    @property
    def header(self):
        head = self.response.partition(b"\r\n\r\n")[0].decode()
        return {n.strip().lower(): v.strip() for n, _, v in
                (line.partition(":") for line in head.split("\r\n")[1:])}

    @property
    def body(self):
        """What follows the head in the response buffer."""
        return self.response.partition(b"\r\n\r\n")[2]


def call(machine, head, **options):
    """Runs vspcall in the guest; the options are its own."""
    options.setdefault("response", RESPONSE)
    argv = ["vspcall"] + [f"{n}={v}" for n, v in options.items()]
    out = json.loads(machine.run(argv, stdin=head).stdout)
    return Call(opened=out["opened"], result=out["result"], errno=out["errno"],
                status=out["status"], response_len=out["response_len"],
                guards={n: out[f"{n}_guards"] for n in ("request", "response", "data")},
                request_intact=out["request_intact"], parent_intact=out["parent_intact"],
                data_wrong=out["data_wrong"], struct=bytes.fromhex(out["struct"]),
                response=bytes.fromhex(out["response"]))


def probe():
    """A request that needs no credentials and changes nothing."""
    return b"GET /.azblob HTTP/1.1\r\nHost: 127.0.0.1:10000\r\n\r\n"


def settle(machine):
    """The daemon or the device has just come: returns when they know each other.

    A daemon that is stopped before that gets no request, however long a test waits for it."""
    assert call(machine, probe()).status == 0


def pinned(machine):
    """Pages that anybody has pinned right now, as the kernel counts pins of this kind."""
    # Processors add to the counts now and then; this makes them do it.
    machine.sh("cat /proc/sys/vm/stat_refresh", check=False)
    text = machine.agent.get("/proc/vmstat").decode()
    counts = dict(line.split() for line in text.splitlines())
    return int(counts["nr_foll_pin_acquired"]) - int(counts["nr_foll_pin_released"])


def pinned_at_rest(machine):
    """The same once nobody has any: a buffer ends some time after the program that had it."""
    machine.until(lambda: pinned(machine) <= 0, "the end of what earlier programs have pinned")
    return pinned(machine)


def get(target, first=None, last=None):
    extra = {"x-ms-range": f"bytes={first}-{last}"} if first is not None else None
    return sharedkey.head("GET", target, extra)


def put(target, length):
    return sharedkey.head("PUT", target, {"x-ms-blob-type": "BlockBlob"}, length)


def load_argv(**options):
    return ["vspload"] + [f"{n}={v}" for n, v in options.items()]


def load_result(result):
    """The counts of a vspload that has ended: outcomes as {(errno, status, http): n}."""
    out = json.loads(result.check().stdout.splitlines()[-1])
    out["outcomes"] = {tuple(int(x, 0) for x in key.split("/")): n
                       for key, n in out["outcomes"].items()}
    return out


def uring_argv(**options):
    return ["vspuring"] + [f"{n.replace('__', '.')}={v}" for n, v in options.items()]


def uring(machine, head, **options):
    """Runs vspuring in the guest; outcomes as {(result, status, http): n}."""
    return load_result(machine.run(uring_argv(**options), stdin=head))


# include/uapi: struct az_blob_info
INFO = 0x52F1
INFO_SIZE = 64
FEATURE_URING = 1
FEATURE_URING_FIXED = 2
FEATURE_URING_CANCEL = 4
FEATURE_BUFFERS = 8
FEATURE_CANCEL = 16
FEATURE_CANCEL_CALL = 32


@dataclass
class Info:
    size: int
    flags: int
    features: int
    protocol: int
    page_size: int
    max_pages: int
    max_outstanding: int
    inflight_bytes: int
    user_inflight_bytes: int
    max_buffer_bytes: int
    max_buffers: int
    reserved: int


def info(machine):
    """What the device says about itself."""
    answer = call(machine, b"x", nr=hex(INFO), guid=struct.pack("<IIQ", INFO_SIZE, 0, 0).hex())
    assert (answer.result, answer.errno) == (0, 0)
    return Info(*struct.unpack_from("<IIQIIIIQQQII", answer.struct))


def word(seed, index):
    """tests/guest/pattern.h in Python, one word."""
    mask = (1 << 64) - 1
    return (((index + 1) * 0x9E3779B97F4A7C15) ^ (seed * 0xD6E8FEB86659FD93)) & mask


@functools.lru_cache(maxsize=4)
def _long_pattern(size, seed):
    program = paths.guest_programs()["pattern"]
    return subprocess.run([program, "write", str(size), str(seed)], stdout=subprocess.PIPE,
                          check=True).stdout


def pattern(size, seed):
    """The filling of tests/guest/pattern.h."""
    if size > 1 << 20:
        return _long_pattern(size, seed)
    return b"".join(word(seed, i).to_bytes(8, "little") for i in range((size + 7) // 8))[:size]
