# SPDX-License-Identifier: MIT
"""kill -9 of the daemon at random moments under load.

Clients write by HTTP and remember what was acknowledged.  After each kill the store is checked as
it was left, a new daemon opens it, and every blob must be what was acknowledged last, or what was
on its way when the daemon died; with its metadata.  AZBLOB_KILLS and AZBLOB_SEED choose how often and
with which random numbers.
"""

import http.client
import os
import random
import subprocess
import threading
import time

from blobclient import Client
from daemon import Daemon, binary

KILLS = int(os.environ.get("AZBLOB_KILLS", "8"))
SEED = int(os.environ.get("AZBLOB_SEED", "1"))
WRITERS = 6
NAMES = 4  # of each writer
SIZES = [0, 100, 16384, 16385, 70000, 1 << 20]


def content(version):
    """The bytes of a version: its size and its bytes follow from its number."""
    size = SIZES[version % len(SIZES)]
    unit = b"%016d" % version
    return (unit * (size // 16 + 1))[:size]


class Writer(threading.Thread):
    """Changes its own names until the daemon is gone."""

    def __init__(self, number, done):
        super().__init__()
        self.number = number
        self.done = done  # name -> version; 0: no blob
        self.begun = {}  # the one name that was on its way
        self.random = random.Random(SEED * 1000 + number)
        self.version = number
        self.error = None
        self.port = None

    def path(self, name):
        return "/cont/w%d-%d" % (self.number, name)

    def change(self, client, name):
        self.version += WRITERS
        version = self.version
        kind = self.random.randrange(5)
        path = self.path(name)
        headers = {"x-ms-meta-version": str(version), "x-ms-blob-content-type": "t/%d" % version}
        if kind == 0 and self.done[name]:
            version = 0
        self.begun = {name: version}
        if not version:
            answer = client.delete(path)
        elif kind == 1 and SIZES[version % len(SIZES)] > 2:
            body = content(version)
            half = len(body) // 2
            for block, part in (("a", body[:half]), ("b", body[half:])):
                answer = client.put_block(path, block, part)
                assert answer.status == 201, answer
            answer = client.put_block_list(path, ["a", "b"], headers)
        else:
            answer = client.put_blob(path, content(version), headers)
        assert answer.status in (201, 202), answer
        self.done[name] = version
        self.begun = {}

    def run(self):
        client = Client(self.port)
        try:
            while True:
                self.change(client, self.random.randrange(NAMES))
        except (http.client.HTTPException, OSError):
            pass  # killed
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error
        client.close()

    def look(self, client):
        for name in range(NAMES):
            answer = client.get(self.path(name))
            allowed = {self.done[name], self.begun.get(name, self.done[name])}
            if answer.status == 404:
                assert 0 in allowed, (self.path(name), allowed)
                self.done[name] = 0
                continue
            assert answer.status == 200, (self.path(name), answer)
            version = int(answer["x-ms-meta-version"])
            assert version in allowed, (self.path(name), allowed)
            assert answer.body == content(version)
            assert answer["Content-Type"] == "t/%d" % version
            self.done[name] = version


def test_killed_under_load_the_daemon_keeps_what_it_acknowledged(tmp_path):
    chance = random.Random(SEED)
    state = [{name: 0 for name in range(NAMES)} for _ in range(WRITERS)]
    versions = list(range(WRITERS))
    store = tmp_path / "store"
    daemon = Daemon(store, tmp_path / "log")
    client = Client(daemon.port)
    assert client.create_container("cont").status == 201
    client.close()
    written = 0
    for _ in range(KILLS):
        writers = [Writer(i, state[i]) for i in range(WRITERS)]
        for writer, version in zip(writers, versions):
            writer.version = version
            writer.port = daemon.port
            writer.start()
        # until something has been written, and then any moment
        deadline = time.monotonic() + 60
        target = chance.randrange(1, 60)
        while sum((w.version - v) // WRITERS for w, v in zip(writers, versions)) < target:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(chance.random() / 50)
        daemon.kill()
        for writer in writers:
            writer.join()
            assert writer.error is None, writer.error
        versions = [writer.version for writer in writers]
        check = subprocess.run([binary(), "check", str(store), "--data"], capture_output=True,
                               text=True, timeout=120, check=False)
        assert check.returncode == 0, check.stdout + check.stderr
        daemon = Daemon(store, tmp_path / "log")
        client = Client(daemon.port)
        for writer in writers:
            writer.look(client)
        client.close()
        written = sum(versions) // WRITERS
    daemon.stop()
    assert written > 2 * KILLS
