# SPDX-License-Identifier: MIT
"""Certificates for tests, made by the openssl command."""

import ssl
import subprocess


def make(folder, name, address="127.0.0.1"):
    """A key and a certificate that is signed with it: the paths of both."""
    key, certificate = folder / (name + ".key"), folder / (name + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-addext", "subjectAltName=IP:%s,DNS:localhost" % address,
                    "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True, timeout=60)
    return key, certificate


def pkcs12(folder, key, certificate, password):
    path = folder / "both.pfx"
    subprocess.run(["openssl", "pkcs12", "-export", "-inkey", str(key), "-in", str(certificate),
                    "-out", str(path), "-passout", "pass:" + password],
                   check=True, capture_output=True, timeout=60)
    return path


def trusting(certificate):
    return ssl.create_default_context(cafile=str(certificate))
