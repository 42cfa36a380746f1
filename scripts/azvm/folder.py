# SPDX-License-Identifier: MIT
"""A folder of the host for a guest: by virtiofs, or as an image with a copy of it."""

import os
import shlex
import subprocess
import time
from pathlib import Path

from . import paths
from .guest import die_with_parent


class Folder:
    """Serves a folder by virtiofsd; socket is for Guest(filesystem=...)."""

    def __init__(self, folder, rundir):
        self.socket = Path(rundir) / "virtiofs"
        self.log = Path(rundir) / "virtiofsd.log"
        found = subprocess.run([paths.ROOT / "scripts" / "virtiofsd"], stdout=subprocess.PIPE,
                               text=True, check=False)
        if found.returncode:
            raise paths.Missing("there is no virtiofsd")
        program = found.stdout.strip()
        # The sandbox has to become somebody: root, or root of a user namespace.
        prefix = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
        command = prefix + [program, f"--socket-path={self.socket}", f"--shared-dir={folder}",
                            "--sandbox=chroot", "--cache=auto"]
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, preexec_fn=die_with_parent)
        deadline = time.monotonic() + 30
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise paths.Missing(f"'{shlex.join(command)}' failed: "
                                    f"{self.log.read_text(errors='replace').strip()[-300:]}")
            time.sleep(0.02)

    def stop(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def make_image(folder, output, spare_mib=16):
    """An ext4 image that holds a copy of the folder; needs no root."""
    used = subprocess.run(["du", "-sk", "--apparent-size", folder], stdout=subprocess.PIPE,
                          text=True, check=True)
    files = sum(len(f) + len(d) for _, d, f in os.walk(folder))
    kib = int(used.stdout.split()[0])
    # Every file wastes half a block and has an inode of 256 bytes; then the file
    # system's own tables, and no journal: the guest only reads.
    size_mib = kib * 105 // 100 // 1024 + files * 5 // 1024 + spare_mib
    new = Path(f"{output}.new")
    new.unlink(missing_ok=True)
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    result = subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-N", str(files * 2 + 1024),
         "-E", "root_owner=0:0", "-d", folder, new, f"{size_mib}M"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment, check=False)
    if result.returncode:
        new.unlink(missing_ok=True)
        raise paths.Missing(f"mkfs.ext4 made no image of {folder}: {result.stdout.strip()}")
    new.rename(output)
    return Path(output)
