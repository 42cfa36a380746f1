# SPDX-License-Identifier: MIT
"""The daemon's HTTP door with TLS, on a kernel that does TLS itself: run in a guest, as few hosts have it."""

import hashlib
import subprocess

import pytest
from azvm import initramfs, paths, sharedkey
from vsp import pattern

SIZE = 3 * (1 << 20) + 4321
URL = "https://127.0.0.1:10000"


def curl(guest, method, target, *more, headers=None, length=None):
    sent = sharedkey.headers(method, target, headers, length)
    argv = ["curl", "-sS", "-k", "--max-time", "300", "-X", method, "-w", "%{http_code}",
            *more, URL + target]
    for name, value in sent.items():
        argv += ["-H", f"{name}: {value}"]
    return guest.run(argv, timeout=400).text


def counters(guest):
    """What the kernel's TLS has done."""
    lines = guest.run(["cat", "/proc/net/tls_stat"]).text.splitlines()
    return {name: int(value) for name, value in map(str.split, lines)}


@pytest.fixture
def secure(make_guest, tmp_path, pytestconfig):
    """A guest with the kernel's TLS, in which a daemon serves https."""
    kernel = paths.kernel(pytestconfig.getoption("--guest-kernel"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", tmp_path / "key",
                    "-out", tmp_path / "cert"], check=True, capture_output=True)
    files = {"/etc/key": (tmp_path / "key").read_bytes(), "/etc/cert": (tmp_path / "cert").read_bytes()}
    names = []
    # The ciphers are loaded by name elsewhere; a guest without modprobe needs them beforehand.
    for path in initramfs.modules_with_dependencies(kernel.modules, ["ghash_generic", "ctr", "gcm", "tls"]):
        names.append(f"/lib/modules/for-tls-{len(names)}.ko")
        files[names[-1]] = initramfs.module_bytes(path)
    guest = make_guest(driver=False, programs=[paths.daemon(), "/usr/bin/curl"], files=files)
    for name in names:
        guest.sh(f"insmod {name} || true")
    if guest.run(["test", "-e", "/proc/net/tls_stat"], check=False).status:
        pytest.skip("this kernel has no TLS of its own")
    guest.sh("ip link set lo up")
    guest.sh("mkfifo /tmp/ready; (azblob-vspd --store local,path=/tmp/store --https 127.0.0.1:10000 "
             "--cert /etc/cert --key /etc/key --ready-fd 3 3>/tmp/ready </dev/null >/tmp/vspd.log 2>&1 &); "
             "read line </tmp/ready")
    return guest


def test_extents_go_out_by_the_kernels_tls_and_are_what_was_stored(secure):
    secure.sh(f"pattern write {SIZE} 9 >/tmp/in")
    container, blob = (f"/{sharedkey.ACCOUNT}/{name}" for name in ("box?restype=container", "box/blob"))
    assert curl(secure, "PUT", container, length=0) == "201"
    assert curl(secure, "PUT", blob, "--data-binary", "@/tmp/in", length=SIZE,
                headers={"x-ms-blob-type": "BlockBlob",
                         "Content-Type": "application/octet-stream"}) == "201"
    before = counters(secure)
    assert curl(secure, "GET", blob, "-o", "/tmp/out") == "200"
    after = counters(secure)
    # Without a device that does it, in software; a failure of it would show as a decryption error at curl.
    assert after["TlsTxSw"] > before["TlsTxSw"]
    digest = secure.run(["sha256sum", "/tmp/out"]).text.split()[0]
    assert digest == hashlib.sha256(pattern(SIZE, 9)).hexdigest()
    # A part of it, from the middle of an extent.
    assert curl(secure, "GET", blob, "-o", "/tmp/part",
                headers={"x-ms-range": "bytes=1000001-2000000"}) == "206"
    digest = secure.run(["sha256sum", "/tmp/part"]).text.split()[0]
    assert digest == hashlib.sha256(pattern(SIZE, 9)[1000001:2000001]).hexdigest()
