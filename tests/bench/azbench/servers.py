# SPDX-License-Identifier: MIT
"""The servers that are compared: azblob-vspd, nginx, Azurite. Each listens on loopback only."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from .load import ROOT, Failed

sys.path.insert(0, str(ROOT / "scripts"))

import daemon  # noqa: E402  pylint: disable=wrong-import-position
from azvm import azurite, paths  # noqa: E402  pylint: disable=wrong-import-position

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process and of its living children."""
    total = 0
    pids = [pid]
    while pids:
        one = pids.pop()
        try:
            with open(f"/proc/{one}/stat", encoding="utf-8") as text:
                fields = text.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{one}/task/{one}/children", encoding="utf-8") as text:
                pids += [int(word) for word in text.read().split()]
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def anonymous_bytes(pid):
    """RssAnon: memory that is the process's own, neither files nor a guest's."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as text:
        for line in text:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise Failed(f"process {pid} has no RssAnon")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for_port(port, process, what):
    deadline = time.monotonic() + 60
    while True:
        if process.poll() is not None:
            raise Failed(f"{what} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise Failed(f"{what} does not answer on port {port}") from None
            time.sleep(0.05)


class Vspd:
    """azblob-vspd of build/, never the one with sanitizers."""
    name = "azblob-vspd"

    def __init__(self, directory, options=()):
        program = paths.BUILD / "vsp-backend" / "azblob-vspd"
        if not os.access(program, os.X_OK):
            raise Failed(f"{program} is not there; 'make build' builds it")
        os.environ["AZBLOB_VSPD"] = str(program)
        self._daemon = daemon.Daemon(Path(directory) / "store", Path(directory) / "vspd.log", options)
        self.port, self.pid = self._daemon.port, self._daemon.process.pid

    def close(self):
        self._daemon.stop()


class Nginx:
    """Files of a folder by sendfile, no log, keep-alive: the mark for the HTTP door."""
    name = "nginx"

    def __init__(self, directory, root):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        if not os.access(program, os.X_OK):
            raise Failed("nginx is not installed: scripts/install-deps bench")
        directory = Path(directory).absolute()
        # its workers give up being root, and the temporary folder is its owner's only
        directory.chmod(0o755)
        self.port = free_port()
        config = directory / "nginx.conf"
        config.write_text(f"""
daemon off; master_process on; worker_processes auto; pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 600;
  open_file_cache max=1000; default_type application/octet-stream;
  client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{self.port}; root {Path(root).absolute()}; }}
}}
""", encoding="utf-8")
        self._process = subprocess.Popen([program, "-c", config, "-e", directory / "nginx.log"],
                                         stdin=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_for_port(self.port, self._process, "nginx")

    def close(self):
        self._process.terminate()
        self._process.wait()


class Azurite:
    """Microsoft's emulator, as it comes."""
    name = "Azurite"

    def __init__(self, directory):
        self.port = free_port()
        try:
            command = azurite.command()
        except paths.Missing as error:
            raise Failed(error) from error
        with open(Path(directory) / "azurite.log", "wb") as log:
            self._process = subprocess.Popen(
                [*command, "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
                 "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location",
                 Path(directory) / "azurite"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self._process.pid
        wait_for_port(self.port, self._process, "Azurite")

    def close(self):
        self._process.terminate()
        self._process.wait()
