# SPDX-License-Identifier: MIT
"""Where the parts of the project are, and building the ones that are quick to build."""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AZBLOB_BUILD", ROOT / "build"))


class Missing(Exception):
    """A part that is not there; str() says which, and what would make it."""


def cache():
    base = os.environ.get("AZBLOB_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "azblob-vmbus"


def _one_line(command, what):
    """Runs command, which prints a path on its last line; its errors go to the terminal."""
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = result.stdout.strip().splitlines()
    if result.returncode or not lines:
        raise Missing(f"{what}: '{shlex.join(map(str, command))}' failed")
    return Path(lines[-1])


def qemu():
    """The emulator: $QEMU, or what emulator/build has made."""
    given = os.environ.get("QEMU")
    if given:
        found = shutil.which(given)
        if not found:
            raise Missing(f"QEMU={given}: no such program")
        return Path(found)
    build = ROOT / "emulator" / "build"
    if build.exists():
        path = _one_line([build, "--print-path"], "the emulator")
        if path.is_file():
            return path
    raise Missing("the emulator is not built; 'make emulator' builds it")


def _program(variable, path, what):
    given = os.environ.get(variable)
    path = Path(given) if given else BUILD / path
    if not os.access(path, os.X_OK):
        raise Missing(f"{what} is not built ({path}); 'make build' builds it")
    return path


def daemon():
    return _program("AZBLOB_VSPD", "vsp-backend/azblob-vspd", "azblob-vspd")


def cli():
    return _program("AZBLOB_CLI", "client/cli/azblob", "the CLI azblob")


def gateway():
    return _program("AZBLOB_GATEWAY", "client/gateway/azblob-gateway", "azblob-gateway")


def lock(path):
    """An open file that is locked until it is closed; waits for whoever has it."""
    file = open(path, "w", encoding="ascii")  # pylint: disable=consider-using-with
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def guest_programs():
    """Builds tests/guest if needed; returns {name: path}."""
    out = BUILD / "guest"
    out.mkdir(parents=True, exist_ok=True)
    with lock(out / ".lock"):
        result = subprocess.run(
            ["make", "-s", "-C", ROOT / "tests" / "guest", f"O={out}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        raise Missing(f"the guest's test programs do not build:\n{result.stdout}")
    return {p.name: p for p in out.iterdir() if os.access(p, os.X_OK) and "." not in p.name}


# Kernels that are built here, by scripts/debug-kernel.
BUILT = ("debug", "kcsan")


@dataclass
class Kernel:
    """A guest kernel, see scripts/kernel."""
    name: str
    directory: Path
    release: str

    @property
    def image(self):
        return self.directory / "vmlinuz"

    @property
    def modules(self):
        return self.directory / "modules"


def kernel(name, fetch=True):
    """A stock kernel by its name for scripts/kernel, a directory like its, "debug" or "kcsan"."""
    if name in BUILT:
        directory = _one_line([ROOT / "scripts" / "debug-kernel", "--flavour", name] +
                              ([] if fetch else ["--print-path"]), f"the {name} kernel")
        release = directory / "release"
        if not release.exists():
            raise Missing(f"the {name} kernel is not built; "
                          f"scripts/debug-kernel --flavour {name} builds it")
        return Kernel(name, directory, release.read_text(encoding="ascii").strip())
    if not fetch:
        directory = _one_line([ROOT / "scripts" / "kernel", "path", name], f"kernel {name}")
    else:
        directory = _one_line([ROOT / "scripts" / "kernel", "get", name], f"kernel {name}")
    for line in (directory / "env").read_text(encoding="ascii").splitlines():
        if line.startswith("KREL="):
            return Kernel(name, directory, line[5:].strip("'"))
    raise Missing(f"{directory}/env does not name a release")


def _stamp(*trees):
    """Changes when a source in the trees does."""
    digest = hashlib.sha256()
    for tree in trees:
        for path in sorted(tree.rglob("*")):
            # What a build leaves in the tree is no source; compat/config.h is generated.
            if path.is_file() and (path.suffix in (".c", ".h") and not path.name.endswith(".mod.c")
                                   or path.name in ("Makefile", "Kbuild", "probe")) \
                    and path.name != "config.h" and "work" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def driver(kern):
    """Builds hv_azure_blob.ko for a kernel if its sources changed; returns its path."""
    out = BUILD / "driver" / kern.release
    out.mkdir(parents=True, exist_ok=True)
    with lock(out / ".lock"):
        stamp = f"{_stamp(ROOT / 'driver', ROOT / 'include')} {kern.directory}"
        module = out / "hv_azure_blob.ko"
        stamp_file = out / ".stamp"
        if module.exists() and stamp_file.exists() and stamp_file.read_text() == stamp:
            return module
        stamp_file.unlink(missing_ok=True)
        if kern.name in BUILT:
            command = ["make", f"KDIR={kern.directory}/build"]
        else:
            command = [ROOT / "scripts" / "kernel", "make", kern.directory]
        log = out / "build.log"
        with open(log, "w", encoding="utf-8") as file:
            result = subprocess.run(command + ["-C", ROOT / "driver", f"OUT={out}"], stdout=file,
                                    stderr=subprocess.STDOUT, check=False)
        if result.returncode or not module.exists():
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
            raise Missing(f"the driver does not build for {kern.release} ({log}):\n{tail}")
        stamp_file.write_text(stamp)
        return module
