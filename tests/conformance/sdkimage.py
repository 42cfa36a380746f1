# SPDX-License-Identifier: MIT
"""The clients on a disk for the Debian guest, as they are installed here, and how they are called there."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import clients
from azvm import paths
from azvm.folder import make_image

# Where the guest has the disk.
MOUNTED = "/opt/sdk"


def in_guest(command):
    """A client's command, or a part of it, with the places that the files have in the guest."""
    places = {f"{paths.cache()}/conformance/": f"{MOUNTED}/", f"{clients.HERE}/": f"{MOUNTED}/programs/"}
    words = []
    for word in map(str, command):
        for here, there in places.items():
            word = word.replace(here, there)
        words.append(word)
    return words


def _programs():
    """The workloads that are run as they are: {name in programs/: path}."""
    return {str(path.relative_to(clients.HERE)): path
            for path in (clients.HERE / "python" / "client.py", clients.HERE / "python" / "bearer.py",
                         clients.HERE / "ruby" / "client.rb")}


def _link(source, target, **_):
    """Copies within the cache take no space where they can be links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def make(commands):
    """The image with what these clients' commands need; {client's name: command} as prepare() gave them."""
    store = paths.cache() / "conformance"
    folders = {}
    for name, command in commands.items():
        for word in map(str, command):
            for part in word.split(":"):
                if part.startswith(f"{store}/"):
                    folders[part[len(str(store)) + 1:].split("/")[0]] = name
    digest = hashlib.sha256(repr(sorted(folders.items())).encode())
    loose = {**_programs(), **{f"{folder}/client.js": store / folder / "client.js" for folder, name in
                               folders.items() if name == "js"}}
    for name, path in sorted(loose.items()):
        digest.update(name.encode() + path.read_bytes())
    image = paths.cache() / "images" / f"sdk-{digest.hexdigest()[:16]}.img"
    image.parent.mkdir(parents=True, exist_ok=True)
    with paths.lock(f"{image}.lock"):
        if not image.exists():
            with tempfile.TemporaryDirectory(dir=store, prefix="image.") as work:
                tree = Path(work) / "tree"
                for folder, name in folders.items():
                    shutil.copytree(store / folder, tree / folder, symlinks=True, copy_function=_link)
                    (tree / name).symlink_to(folder)
                for name, path in _programs().items():
                    (tree / "programs" / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, tree / "programs" / name)
                make_image(tree, image)
    return image
