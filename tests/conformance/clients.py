# SPDX-License-Identifier: MIT
"""The clients: what is installed for each, how it is run, and what its library cannot do."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

from azvm import paths  # noqa: E402  pylint: disable=wrong-import-position


class NotHad(Exception):
    """The client of this name cannot be had here, and why. It was not run.

    That fails its tests (conftest.py) unless ci/allowed-skips or CONFORMANCE_MISSING names it.
    """

    def __init__(self, name, why):
        super().__init__(f"{name}: {why}")
        self.name = name


class NotBuilt(Exception):
    """A workload of ours does not compile, which nobody can allow."""


def _run(name, command, failure=None, **more):
    """failure: what it is when the command does not end well; by itself NotHad of that name."""
    try:
        result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    except FileNotFoundError as error:
        raise NotHad(name, f"{error}; scripts/install-deps conformance installs it") from error
    if result.returncode:
        why = f"{' '.join(map(str, command))} failed:\n{result.stdout[-2000:]}"
        raise failure(f"{name}: {why}") if failure else NotHad(name, why)


def home(name, *inputs):
    """A folder in the cache for what a client needs, and whether it still has to be filled.

    Its name changes with the files that say what is needed.
    """
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(Path(path).read_bytes())
    folder = paths.cache() / "conformance" / f"{name}-{digest.hexdigest()[:16]}"
    return folder, not (folder / "done").exists()


def fill(folder):
    """An empty folder to install into; call finished() after."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def finished(folder):
    (folder / "done").touch()


@dataclass
class Client:
    """One library or program.

    prepare() returns the command that runs the workload, the connection string and a prefix for
    containers to be added to it.  lacks: {step: why}, for steps its library has no call for; quiet:
    {step: fields that it does not tell}.
    """
    name: str
    what: str
    prepare: object
    lacks: dict = field(default_factory=dict)
    quiet: dict = field(default_factory=dict)


def python():
    folder, empty = home("python", HERE / "python" / "requirements.txt")
    interpreter = folder / "bin" / "python"
    if empty:
        fill(folder)
        _run("python", ["/usr/bin/python3", "-m", "venv", folder])
        _run("python", [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "-r", HERE / "python" / "requirements.txt"])
        finished(folder)
    return [interpreter, HERE / "python" / "client.py"]


def javascript():
    """With a Node.js of its own, also from npm: the SDK wants a newer one than Debian 12 has."""
    package = HERE / "js" / "package.json"
    folder, empty = home("js", package)
    if empty:
        fill(folder)
        shutil.copy(package, folder)
        _run("js", ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder], cwd=folder)
        finished(folder)
    # Modules are looked for beside the program.
    shutil.copy(HERE / "js" / "client.js", folder)
    return [folder / "node_modules" / "node" / "bin" / "node", folder / "client.js"]


# The oldest that the SDK takes, and what is fetched as a module where Go here is older.
GO = (1, 25, 0)


def _go(folder):
    """A Go that is new enough: the machine's, or one that its module system brings."""
    found = shutil.which("go")
    if not found:
        raise NotHad("go", "no 'go' here; scripts/install-deps conformance installs it")
    text = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    if version >= GO:
        return found
    name = f"golang.org/toolchain@v0.0.1-go{'.'.join(map(str, GO))}.linux-amd64"
    (folder / "toolchain").mkdir()
    _run("go", [found, "mod", "init", "toolchain"], cwd=folder / "toolchain", env=_go_environment(folder))
    _run("go", [found, "mod", "download", name], cwd=folder / "toolchain", env=_go_environment(folder))
    root = folder / "modules" / name
    for program in [*(root / "bin").iterdir(), *(root / "pkg" / "tool").glob("*/*")]:
        program.chmod(0o755)  # a module has no executable files
    return root / "bin" / "go"


def _go_environment(folder):
    return {**os.environ, "GOPATH": str(folder / "path"), "GOMODCACHE": str(folder / "modules"),
            "GOCACHE": str(folder / "built"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}


def go():
    inputs = [HERE / "go" / "go.mod", HERE / "go" / "go.sum", *sorted((HERE / "go").glob("*.go"))]
    folder, empty = home("go", *inputs)
    if empty:
        fill(folder)
        source = folder / "source"
        source.mkdir()
        for path in inputs:
            shutil.copy(path, source)
        tool, settings = _go(folder), _go_environment(folder)
        _run("go", [tool, "mod", "download"], cwd=source, env=settings)
        # With all modules there, what goes wrong now is our program's.
        _run("go", [tool, "build", "-o", folder / "client", "."], NotBuilt, cwd=source,
             env={**settings, "GOPROXY": "off"})
        for what in ("modules", "built", "path"):  # only the program is needed from now on
            shutil.rmtree(folder / what, ignore_errors=True)
        finished(folder)
    return [folder / "client"]


def ruby():
    """Debian's package; its newest release is of 2020, and nobody goes on with it."""
    for library in ("azure/storage/blob", "json"):
        _run("ruby", ["ruby", "-e", f"require '{library}'"])
    return ["ruby", HERE / "ruby" / "client.rb"]


def java():
    inputs = [HERE / "java" / name for name in ("pom.xml", "Client.java")]
    folder, empty = home("java", *inputs)
    if empty:
        fill(folder)
        shutil.copy(inputs[0], folder)
        _run("java", ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies",
                      f"-DoutputDirectory={folder}/lib"], cwd=folder)
        _run("java", ["javac", "-nowarn", "-cp", f"{folder}/lib/*", "-d", folder / "classes", inputs[1]],
             NotBuilt)
        finished(folder)
    return ["java", "-cp", f"{folder}/classes:{folder}/lib/*", "Client"]


AZCOPY = "10.32.2"


def azcopy():
    """AzCopy's program, as npm has it."""
    folder = paths.cache() / "conformance" / f"azcopy-{AZCOPY}"
    program = folder / "node_modules/@azure-tools/azcopy-linux/dist/bin/azcopy_linux_amd64"
    if not (folder / "done").exists():
        fill(folder)
        _run("azcopy", ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder,
                        f"@azure-tools/azcopy-linux@{AZCOPY}"], cwd=folder)
        program.chmod(0o755)
        finished(folder)
    return program


# Operations that came after the library for Ruby, or that it never had a call for.
NOT_IN_RUBY = dict.fromkeys(
    ["account-info", "service-stats", "put-large", "names", "list-include", "tags", "tiers", "copy-sync",
     "copy-no-right", "put-from-url", "block-from-url", "append-from-url", "append-seal", "pages-diff",
     "pages-from-url", "batch", "sas-blob", "sas-policy", "anonymous", "undelete"],
    "no such call, or one that cannot be told what the step needs")

CLIENTS = [
    Client("go", "azure-sdk-for-go/sdk/storage/azblob (Go modules)", go,
           quiet={"conditions": {"not_modified"}}),  # its download takes 304 for an answer
    Client("java", "com.azure:azure-storage-blob (Maven)", java,
           quiet={"pages": {"unaligned"}}),  # it refuses that by itself
    Client("js", "@azure/storage-blob (npm)", javascript),
    Client("ruby", "ruby-azure-storage-blob (Debian)", ruby, lacks=NOT_IN_RUBY,
           quiet={"service-properties": {"retention"}, "properties": {"created"},
                  "conditions": {"not_modified"}, "snapshots": {"write"},
                  # It sends the sequence number in a header of another name.
                  "pages": {"sequence"}, "pages-properties": {"sequence"}}),
    Client("python", "azure-storage-blob (PyPI)", python,
           lacks={"service-stats": "its secondary host is for host-style URLs only"},
           quiet={"pages": {"unaligned"}}),  # it refuses that by itself
]

WHAT = {client.name: client.what for client in CLIENTS}

# What NotHad may be of: these, command-line clients, and what a test of one needs of this machine.
NAMES = [*WHAT, "azcopy", "rclone", "azure-cli", "curl", "namespaces"]


def environment():
    """Nothing of the caller's that a client could take for its settings."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("AZURE_", "AZCOPY_", "RCLONE_", "HTTP_PROXY", "http_proxy"))}
