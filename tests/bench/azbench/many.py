# SPDX-License-Identifier: MIT
"""Runs in the guest: many copies of unmodified programs, and how many bytes they write in a while.

usage: many.py COPIES SECONDS ROUNDS WAYS

WAYS is JSON, {name: {"argv": [...], "words": [...], "times": n, "env": {...}}}: what differs is the way that
the bytes come. The words come behind argv, so many times over. Standard output of the copies, and whatever
else they write, has to be /dev/null: the kernel counts what a process writes. All copies of all ways are
started, and stopped when each has written something, so that starting them is no part of what is measured;
then those of one way at a time go on for a while, in turns. Prints JSON,
{name: [{"bytes": n, "seconds": s} for each round]}.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

START = 900


def as_usual():
    """For a copy: back to the priority of everybody."""
    os.nice(20)


class Way:
    """The copies of one program."""

    def __init__(self, name, argv, env):
        self.name, self._argv, self._env = name, argv, {**os.environ, **env}
        self._errors = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        self._children = []

    def start(self, copies):
        """Returns when every copy has written something, and all are stopped."""
        for _ in range(copies):
            self._children.append(subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors,
                env=self._env, preexec_fn=as_usual))
        begin = time.monotonic()
        for child in self._children:
            while not self._written(child):
                if time.monotonic() - begin > START:
                    sys.exit(f"{self.name}: a copy wrote nothing in {START} s")
                time.sleep(0.05)
        self._tell(signal.SIGSTOP)

    def _written(self, child):
        # One that has ended would be missing in the rate.
        if child.poll() is not None:
            self._errors.seek(0)
            sys.exit(f"{self.name}: it ended with {child.returncode}: "
                     f"{self._errors.read().decode(errors='replace')[:500]}")
        with open(f"/proc/{child.pid}/io", encoding="ascii") as text:
            return int(dict(line.split(": ") for line in text.read().splitlines())["wchar"])

    def _tell(self, number):
        for child in self._children:
            child.send_signal(number)

    def _total(self):
        return sum(self._written(child) for child in self._children), time.monotonic()

    def measure(self, seconds):
        """Lets them go on; what they wrote meanwhile."""
        self._tell(signal.SIGCONT)
        # What had come while they were stopped is taken first.
        time.sleep(min(1.0, seconds / 2))
        first, begin = self._total()
        time.sleep(seconds)
        last, end = self._total()
        self._tell(signal.SIGSTOP)
        return {"bytes": last - first, "seconds": end - begin}

    def end(self):
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()


def main():
    copies, seconds, rounds = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    ways = [Way(name, way["argv"] + way["words"] * way["times"], way["env"])
            for name, way in json.loads(sys.argv[4]).items()]
    # Those that run must hold up neither the start of the others nor the looking.
    os.nice(-20)
    try:
        for way in ways:
            way.start(copies)
        found = {way.name: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                found[way.name].append(way.measure(seconds))
    finally:
        for way in ways:
            way.end()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
