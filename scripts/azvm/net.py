# SPDX-License-Identifier: MIT
"""Networks between guest and daemon: a tap in a network namespace, or QEMU's user network.

The namespace belongs to the process that makes it and to its children, has no name, and is
gone with the last of them, so nothing of it can be left behind.
"""

import os
import subprocess

TAP = "tap0"
TAP_HOST, TAP_GUEST = "10.87.0.1", "10.87.0.2/24"
USER_HOST, USER_GUEST = "10.0.2.2", "10.0.2.15/24"

SET_UP = [
    ["ip", "link", "set", "lo", "up"],
    ["ip", "tuntap", "add", TAP, "mode", "tap"],
    ["ip", "addr", "add", f"{TAP_HOST}/24", "dev", TAP],
    ["ip", "link", "set", TAP, "up"],
]


def _environment():
    return {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def set_up_tap():
    """Makes the tap; for a process that is in a namespace of its own."""
    for command in SET_UP:
        subprocess.run(command, check=True, env=_environment())


def enter_namespace(argv):
    """Replaces this process by argv in a new network namespace; returns why it cannot."""
    # An ordinary user may be root of a namespace of his own where the system allows it.
    unshare = ["unshare", "--net"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
    script = " && ".join(" ".join(c) for c in SET_UP)
    try:
        trial = subprocess.run([*unshare, "sh", "-c", script], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=_environment(), check=False)
    except FileNotFoundError as error:
        return str(error)
    if trial.returncode:
        return trial.stdout.strip().splitlines()[-1] if trial.stdout.strip() else "unshare failed"
    os.execvpe(unshare[0], [*unshare, *argv], _environment())
    return "not reached"
