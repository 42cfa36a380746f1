# SPDX-License-Identifier: MIT
"""The command: what it refuses and how it says so, the background, the end."""

import os
import shutil
import signal
import subprocess

import pytest

from conftest import ACCOUNT, BUILD, client, over_http, until

PROGRAM = BUILD / "client/mount/azblob-mount"


def run(*arguments, env=None):
    """A command that has to end by itself."""
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True,
                          env=env or client.clean_environment(), timeout=300, check=False,
                          stdin=subprocess.DEVNULL)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("options, line", [
    ("cache_size=lots", 'cache_size "lots": must be a size of 1M or more, such as 512M'),
    ("block_size=3M", "block_size: must be 256K, 512K, 1M, 2M, 4M, 8M or 16M"),
    ("cache_size=8M", "cache_size: must be at least 4 blocks: 16384K"),
    ("parallel=0", 'parallel "0": must be 1 to 64'),
    ("transport=carrier", 'transport "carrier": must be auto, driver or http'),
    ("checksums=some", 'checksums "some": must be auto, always or never'),
    ("file_mode=888", 'file_mode "888": must be an octal mode, such as 644'),
    ("endpoint=ftp://x", "ftp://x"),
    ("key", 'key "": must be followed by = and a value'),
    ("attr_timeout=-1", 'attr_timeout "-1": must be 0 to 86400 seconds'),
    ("credentials=/does/not/exist", 'credentials "/does/not/exist": No such file or directory'),
])
def test_bad_options_get_one_clear_line(tmp_path, options, line):
    done = run("-o", options, "box", tmp_path)
    assert done.returncode == 1
    assert line in done.stderr.splitlines()[0], done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_an_unknown_option_is_refused(tmp_path, daemon, box):
    done = run("-o", f"transport=http,endpoint={daemon.url}/{ACCOUNT},no_such_thing", box, tmp_path)
    assert done.returncode == 1
    assert "no_such_thing" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["box"], ["box", "/tmp", "more"],
                                       ["azblob://onlyaccount", "/tmp"], ["/box", "/tmp"],
                                       ["box/a//b", "/tmp"]])
def test_bad_arguments_get_one_clear_line(arguments):
    done = run(*arguments)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2


def test_a_directory_that_is_not_there(tmp_path):
    done = run("box", tmp_path / "missing")
    assert done.returncode == 32
    assert done.stderr == f"azblob-mount: {tmp_path}/missing: No such file or directory\n"


def test_a_container_that_is_not_there(tmp_path, daemon):
    done = run("-o", f"transport=http,endpoint={daemon.url}/{ACCOUNT}", "nosuchbox", tmp_path)
    assert done.returncode == 32
    assert done.stderr == ('azblob-mount: container "nosuchbox": there is none of that name\n')
    assert not os.path.ismount(tmp_path)


def test_a_wrong_key(tmp_path, daemon, box):
    env = client.clean_environment()
    del env["AZURE_STORAGE_CONNECTION_STRING"]
    done = run("-o", f"account={ACCOUNT},key=d3Jvbmc=,transport=http,"
               f"endpoint={daemon.url}/{ACCOUNT}", box, tmp_path, env=env)
    assert done.returncode == 32
    assert "Permission denied" in done.stderr


def test_no_credentials(tmp_path):
    env = client.clean_environment()
    del env["AZURE_STORAGE_CONNECTION_STRING"]
    done = run("-o", "transport=http", "box", tmp_path, env=env)
    assert done.returncode == 1
    assert "credentials=FILE" in done.stderr


def test_a_service_that_is_not_there(tmp_path):
    done = run("-o", f"transport=http,endpoint=http://127.0.0.1:9/{ACCOUNT},retries=0", "box",
               tmp_path)
    assert done.returncode == 32
    assert not os.path.ismount(tmp_path)


def test_help_and_version():
    assert run("--help").stdout.startswith("usage: azblob-mount")
    assert run("--version").stdout.startswith("azblob-mount ")


def test_it_is_mounted_when_the_command_returns(tmp_path, daemon, blobs, box):
    """And reads its credentials from a file, as systemd's units and fstab need it."""
    blobs.put("f", b"there")
    where = tmp_path / "m"
    where.mkdir()
    credentials = tmp_path / "credentials"
    credentials.write_text(f"# of the tests\nAZURE_STORAGE_CONNECTION_STRING="
                           f"\"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};"
                           f"AccountKey={client_key()};BlobEndpoint={daemon.url}/{ACCOUNT}\"\n")
    env = client.clean_environment()
    del env["AZURE_STORAGE_CONNECTION_STRING"]
    done = run("-o", f"transport=http,credentials={credentials},nofail,_netdev,x-systemd.automount",
               f"azblob://{ACCOUNT}/{box}", where, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    try:
        assert (where / "f").read_bytes() == b"there"
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            line = next(line for line in mounts if str(where) in line)
        assert line.startswith(f"azblob://{ACCOUNT}/{box} ")
        assert " fuse.azblob " in line
    finally:
        subprocess.run(["fusermount3", "-u", where], check=True)
    assert not os.path.ismount(where)


def client_key():
    from azvm import sharedkey  # pylint: disable=import-outside-toplevel
    return sharedkey.KEY


def test_the_key_is_not_left_on_the_command_line(mounter, daemon, box):
    program, options = over_http(daemon)
    mount = mounter(box, (program, {**options, "account": ACCOUNT, "key": client_key()}))
    with open(f"/proc/{mount.process.pid}/cmdline", "rb") as line:
        assert client_key().encode() not in line.read()


def test_mount_by_its_type(tmp_path, daemon, blobs, box):
    """mount -t fuse.azblob-mount, as in fstab."""
    blobs.put("f", b"there")
    where = tmp_path / "m"
    where.mkdir()
    env = {**client.clean_environment(), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    helper = shutil.which("mount.fuse3", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    subprocess.run([helper, box, where, "-t", "fuse.azblob-mount", "-o",
                    f"rw,transport=http,endpoint={daemon.url}/{ACCOUNT}"], check=True, env=env)
    try:
        assert (where / "f").read_bytes() == b"there"
    finally:
        subprocess.run(["fusermount3", "-u", where], check=True)


def test_a_mount_in_use_is_not_unmounted(mounter, daemon, blobs, box):
    blobs.put("f", b"x")
    mount = mounter(box, over_http(daemon))
    with open(mount / "f", "rb"):
        busy = subprocess.run(["fusermount3", "-u", mount.path], capture_output=True, check=False)
        assert busy.returncode != 0 and b"busy" in busy.stderr
    mount.stop()


def test_a_lazy_unmount_ends_with_the_last_file(mounter, daemon, blobs, box):
    mount = mounter(box, over_http(daemon))
    with open(mount / "f", "wb", buffering=0) as file:
        file.write(b"before")
        subprocess.run(["fusermount3", "-uz", mount.path], check=True)
        assert not os.path.ismount(mount.path)
        file.write(b" and after")
    assert mount.process.wait(120) == 0, mount.log
    assert blobs.get("f") == b"before and after"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts(mounter, daemon, box, number):
    mount = mounter(box, over_http(daemon))
    mount.process.send_signal(number)
    assert mount.process.wait(120) == 0, mount.log
    until(lambda: not os.path.ismount(mount.path), "the unmount")
