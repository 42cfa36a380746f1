# SPDX-License-Identifier: MIT
"""The Debian guest: a disk with Debian 12, for what a busybox guest is too small for.

The image holds nothing of this project, so it is made once and kept in the cache; the modules, the
driver and our programs come with the initramfs as for the other guests, and init.sh puts them over it.
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from . import paths
from .folder import make_image
from .initramfs import busybox

# What its initramfs loads besides.
MODULES = ["overlay"]

# Programs of its own that this project has in it.
PLACE = "/usr/local/lib/azblob"

PACKAGES = paths.ROOT / "scripts" / "images" / "debian.packages"
MAKE = paths.ROOT / "scripts" / "lib" / "debian-tree"


def packages():
    lines = PACKAGES.read_text(encoding="ascii").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def files():
    """What its initramfs has besides, for initramfs.make(files=): process 1 for a person, start-gateway."""
    here, there = Path(__file__).parent, f"/debian{PLACE}"
    return {f"{there}/console": (here / "console.sh").read_bytes(),
            f"{there}/start-gateway": (here / "gateway.sh").read_bytes(),
            # The one program of busybox that Debian has nothing for without an init.
            f"{there}/busybox": busybox().read_bytes()}


def place():
    """Where the image of these packages is, or would be."""
    digest = hashlib.sha256("\n".join(packages()).encode() + MAKE.read_bytes())
    return paths.cache() / "images" / f"debian-{digest.hexdigest()[:16]}.img"


def get(say=lambda text: None):
    """The image's path; makes it when it is not there, which takes minutes."""
    image = place()
    image.parent.mkdir(parents=True, exist_ok=True)
    with paths.lock(f"{image}.lock"):
        if not image.exists():
            say("making a Debian for the guest (once: some minutes, 600 MB in the cache)")
            _make(image)
    return image


def _make(image):
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="debian.") as work:
        tree, log = Path(work) / "tree", Path(f"{image}.log")
        with open(log, "wb") as out:
            status = subprocess.run([MAKE, tree, *packages()], stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT, check=False).returncode
        if status:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise paths.Missing(f"no Debian for the guest ({log}):\n{tail}")
        make_image(tree, image)
