# SPDX-License-Identifier: MIT
"""Makes the guest's root: a cpio archive of busybox, modules and the given programs.

It is not compressed, since an emulated CPU would have to unpack it, and it holds no
dates, so that the same input gives the same bytes.
"""

import gzip
import lzma
import os
import re
import stat
import subprocess
from pathlib import Path

from . import paths

# Loaded at boot where the kernel has them as modules; hv_vmbus first, it takes longest.
MODULES = ["hv_vmbus", "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng",
           "virtiofs", "ext4", "af_packet"]

INIT = Path(__file__).with_name("init.sh")


class Archive:
    """A cpio archive in the "newc" form."""

    def __init__(self):
        self._parts = []
        self._size = 0
        self._ino = 0
        self._names = set()

    def _add(self, name, mode, data=b"", rdev=(0, 0)):
        if name in self._names:
            return
        self._names.add(name)
        self._ino += 1
        fields = [self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1],
                  len(name.encode()) + 1, 0]
        header = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        for chunk in (header, data):
            self._parts.append(chunk + b"\0" * (-len(chunk) % 4))

    def _parents(self, name):
        for parent in reversed(Path(name).parents):
            if str(parent) != ".":
                self._add(str(parent), stat.S_IFDIR | 0o755)

    def directory(self, name):
        self._parents(name)
        self._add(name, stat.S_IFDIR | 0o755)

    def link(self, name, target):
        self._parents(name)
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._parents(name)
        self._add(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def file(self, name, data, mode=0o755):
        self._parents(name)
        self._add(name, stat.S_IFREG | mode, data)

    def write(self, path):
        self._add("TRAILER!!!", 0)
        new = Path(f"{path}.new")
        with open(new, "wb") as file:
            file.writelines(self._parts)
        new.rename(path)


def _module_name(path):
    return re.sub(r"\.ko(\..*)?$", "", os.path.basename(path)).replace("-", "_")


def modules_with_dependencies(directory, names):
    """Paths of the modules below lib/modules/RELEASE, dependencies first.

    A name that is not there is built in, or not needed by this kernel.
    """
    table = {}
    dep = directory / "modules.dep"
    if dep.exists():
        for line in dep.read_text(encoding="ascii").splitlines():
            path, _, needs = line.partition(":")
            table[_module_name(path)] = (path, needs.split())
    order = []

    def visit(path):
        _, needs = table[_module_name(path)]
        # modules.dep lists what is needed first last
        for need in reversed(needs):
            if need not in order:
                visit(need)
        if path not in order:
            order.append(path)

    for name in names:
        if name in table:
            visit(table[name][0])
    return [directory / path for path in order]


def module_bytes(path):
    """The module's bytes, unpacked: busybox insmod takes no compressed ones."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    return data


def libraries(program):
    """The shared libraries of a program, by ldd; none for a static one."""
    result = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if "not a dynamic executable" in result.stdout or "statically linked" in result.stdout:
        return []
    if "not found" in result.stdout or result.returncode:
        raise paths.Missing(f"libraries of {program}: {result.stdout.strip()}")
    return re.findall(r"(/\S+) \(0x", result.stdout)


def busybox():
    for path in (os.environ.get("AZBLOB_BUSYBOX"), "/usr/bin/busybox", "/bin/busybox"):
        if path and os.access(path, os.X_OK) and not libraries(path):
            return Path(path)
    raise paths.Missing("a static busybox is missing; it is in Debian's package busybox-static")


def make(output, kernel, programs=(), driver=None, files=None, extra_modules=()):
    """Writes the archive.

    programs: paths, put in /usr/bin with their libraries.
    driver: path of hv_azure_blob.ko, left in /lib/modules for /init to load.
    files: {path in the guest: bytes}; for a Debian guest (azvm.rootimage) below /debian.
    """
    archive = Archive()
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "host", "mnt", "etc", "var/tmp"):
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    shell = busybox()
    archive.file("bin/busybox", shell.read_bytes())
    applets = subprocess.run([shell, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    for link in ("sbin", "usr/sbin"):
        archive.link(link, "/bin")
    archive.file("init", INIT.read_bytes())
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", 0o644)
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
    archive.file("etc/hosts", b"127.0.0.1 localhost\n", 0o644)
    load = []
    for path in modules_with_dependencies(kernel.modules, list(MODULES) + list(extra_modules)):
        name = f"lib/modules/{_module_name(path)}.ko"
        archive.file(name, module_bytes(path), 0o644)
        load.append(f"/{name}\n")
    archive.file("lib/modules/order", "".join(load).encode(), 0o644)
    if driver:
        archive.file("lib/modules/hv_azure_blob.ko", Path(driver).read_bytes(), 0o644)
    needed = {}
    for program in programs:
        program = Path(program)
        archive.file(f"usr/bin/{program.name}", program.read_bytes())
        needed.update(dict.fromkeys(libraries(program)))
    for library in needed:
        archive.file(library.lstrip("/"), Path(library).read_bytes())
    archive.file("lib/libraries", "".join(f"{library}\n" for library in needed).encode(), 0o644)
    for name, data in (files or {}).items():
        archive.file(name.lstrip("/"), data)
    archive.write(output)
    return Path(output)
