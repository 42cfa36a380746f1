# SPDX-License-Identifier: MIT
"""What the relay's tests start: certificates, a relay, and servers for its other side."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "tests" / "http"))

from azvm import azurite  # noqa: E402
from blobclient import ACCOUNT, KEY  # noqa: E402
from daemon import binary  # noqa: E402


def build_folder():
    """Of the daemon that the tests use."""
    return Path(binary()).parents[1]


def quiet_environment(**more):
    """Without proxies of the machine, and with sanitizers that fail loudly."""
    env = {name: value for name, value in os.environ.items()
           if not name.lower().endswith("_proxy")}
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:exitcode=99")
    env.update(more)
    return env


class Certificates:
    """An authority of our own, and a certificate of it for 127.0.0.1 and localhost."""

    def __init__(self, folder):
        self.ca = folder / "ca.pem"
        self.cert = folder / "cert.pem"
        self.key = folder / "key.pem"
        run = lambda *command: subprocess.run(command, check=True, capture_output=True)
        ca_key, request = folder / "ca.key", folder / "request"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=tests", "-keyout", ca_key, "-out", self.ca,
            "-addext", "keyUsage=critical,keyCertSign")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=localhost", "-keyout", self.key, "-out", request)
        extensions = folder / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
            "-days", "2", "-extfile", extensions, "-out", self.cert)

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


def listener(port=0):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(64)
    return server


class Vspd:
    """A running azblob-vspd with both doors."""

    def __init__(self, folder, store, options=(), env=None, certificates=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.link = str(folder / "link.sock")
        doors = ["--http", "127.0.0.1:0"]
        if certificates:
            doors += ["--https", "127.0.0.1:0", "--cert", str(certificates.cert),
                      "--key", str(certificates.key)]
        ready, ready_end = os.pipe()
        with open(self.log, "ab") as stderr:
            self.process = subprocess.Popen(
                [binary(), "--store", store, *doors, "--link", self.link,
                 "--log-level", "debug", "--drain", "1", "--ready-fd", str(ready_end), *options],
                stderr=stderr, stdin=subprocess.DEVNULL, pass_fds=[ready_end],
                env=env or quiet_environment())
        os.close(ready_end)
        with os.fdopen(ready) as pipe:
            words = pipe.readline().split()
        if not words:
            self.process.wait()
            raise RuntimeError("azblob-vspd did not start:\n" + self.logged())
        self.port = self.port_of(words, "http://")
        self.tls_port = self.port_of(words, "https://")

    @staticmethod
    def port_of(words, scheme):
        return next((int(word.rstrip("/").rsplit(":", 1)[1]) for word in words
                     if word.startswith(scheme)), None)

    def logged(self):
        return self.log.read_text(errors="replace")

    def memory(self):
        """Resident bytes, as the kernel counts them."""
        for line in Path("/proc/%d/status" % self.process.pid).read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=120)
        assert status == 0, "exit status %d:\n%s" % (status, self.logged())


class OwnUpstream:
    """This project's own daemon with its local store, by its own TLS."""

    name = "vspd"

    def __init__(self, folder, certificates):
        self.vspd = Vspd(folder, "local,path=%s" % (folder / "store"), certificates=certificates)
        self.url = "https://127.0.0.1:%d/%s" % (self.vspd.tls_port, ACCOUNT)

    def stop(self):
        self.vspd.stop()


class Azurite:
    name = "azurite"

    def __init__(self, folder, certificates):
        program = azurite.command()
        folder.mkdir(parents=True)
        taken = listener()
        self.port = taken.getsockname()[1]
        taken.close()
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*program, "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
                 "--location", str(folder), "--silent", "--skipApiVersionCheck", "--disableTelemetry",
                 "--cert", str(certificates.cert), "--key", str(certificates.key),
                 "--oauth", "basic"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=quiet_environment())
        self.url = "https://127.0.0.1:%d/%s" % (self.port, ACCOUNT)
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                assert self.process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "Azurite does not listen"
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def relay_store(url, certificates, **options):
    """The text for --store; values of None are left out."""
    options = {"account": ACCOUNT, "endpoint": url, "ca": certificates.ca, "retry-delay": 1,
               **{name.replace("_", "-"): value for name, value in options.items()}}
    return "azure," + ",".join("%s=%s" % pair for pair in options.items() if pair[1] is not None)


def key_file(folder, key=KEY):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "account.key"
    path.write_text(key + "\n")
    path.chmod(0o600)
    return path
