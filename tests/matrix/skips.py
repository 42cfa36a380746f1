#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Say what a kernel's tests skipped, and whether they may.

usage: tests/matrix/skips.py KERNEL JUNIT_FILE [ALLOWED]

JUNIT_FILE is what pytest --junitxml wrote.  Prints a line that counts, and one for each test that was
skipped without a line in ALLOWED (default: allowed-skips beside this file).  The exit status is 0 when
there is none of those and at least one test passed, 1 otherwise, 2 for a file that cannot be read.
"""

import fnmatch
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


class Failure(Exception):
    """str() says what is wrong."""


def allowed(file):
    """{kernel: [pattern]}"""
    table = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            kernel, _, pattern = line.partition(" ")
            if not pattern.strip():
                raise Failure(f"{file}: {kernel} has no reason")
            table.setdefault(kernel, []).append(pattern.strip())
    return table


def outcomes(file):
    """How many tests passed, and [(test, why)] of those that were skipped."""
    passed, skipped = 0, []
    for case in ElementTree.parse(file).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            skipped.append((f"{case.get('classname')}.{case.get('name')}", skip.get("message", "")))
        elif case.find("failure") is None and case.find("error") is None:
            passed += 1
    return passed, skipped


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    kernel, junit = sys.argv[1], Path(sys.argv[2])
    listed = Path(sys.argv[3]) if len(sys.argv) == 4 else Path(__file__).parent / "allowed-skips"
    try:
        patterns = allowed(listed).get(kernel, [])
        passed, skipped = outcomes(junit)
    except (OSError, ElementTree.ParseError, Failure) as error:
        print(f"skips: {error}", file=sys.stderr)
        return 2
    wrong = [(test, why) for test, why in skipped
             if not any(fnmatch.fnmatchcase(why, pattern) for pattern in patterns)]
    print(f"{passed} passed, {len(skipped) - len(wrong)} skipped as allowed, {len(wrong)} skipped otherwise")
    for test, why in wrong:
        print(f"skipped on {kernel}, and not in {listed.name}: {test} ({why})")
    return 1 if wrong or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
