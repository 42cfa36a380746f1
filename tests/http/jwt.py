# SPDX-License-Identifier: MIT
"""Bearer tokens and key sets for tests; signatures are the openssl command's."""

import base64
import json
import subprocess
import time

OID, TID = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60,
                          input=data).stdout


def rs_of_der(der, size):
    """The two integers of an ECDSA signature, side by side."""
    at, numbers = 2, []
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + length], "big").to_bytes(size, "big"))
        at += 2 + length
    return b"".join(numbers)


class Key:
    """A key pair in a file; kind "rsa" or "ec"."""

    def __init__(self, folder, name, kind="rsa"):
        self.id, self.kind, self.path = name, kind, str(folder / (name + ".jwk.pem"))
        options = (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else
                   ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("genpkey", *options, "-out", self.path)

    def public(self, **more):
        if self.kind == "rsa":
            modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
            number = bytes.fromhex(modulus.strip().partition("=")[2])
            key = {"kty": "RSA", "n": b64(number), "e": "AQAB"}
        else:
            point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            key = {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}
        return dict(key, kid=self.id, use="sig", **more)

    def sign(self, algorithm, data):
        options = ["-sha256", "-sign", self.path]
        if algorithm == "PS256":
            options += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        made = openssl("dgst", *options, data=data)
        return rs_of_der(made, 32) if algorithm == "ES256" else made


def token(key=None, algorithm=None, header=None, **claims):
    """Good for storage unless @claims say otherwise; None leaves one out."""
    now = int(time.time())
    body = {"iss": "https://sts.windows.net/%s/" % TID, "aud": "https://storage.azure.com",
            "iat": now - 10, "nbf": now - 10, "exp": now + 600, "oid": OID, "tid": TID}
    body.update(claims)
    body = {name: value for name, value in body.items() if value is not None}
    algorithm = algorithm or ("ES256" if key and key.kind == "ec" else "RS256")
    head = {"alg": algorithm, "typ": "JWT"}
    if key:
        head["kid"] = key.id
    head.update(header or {})
    text = "%s.%s" % (b64(json.dumps(head).encode()), b64(json.dumps(body).encode()))
    signature = key.sign(algorithm, text.encode()) if key else b"x"
    return "%s.%s" % (text, b64(signature))


def key_set(path, *keys):
    path.write_text(json.dumps({"keys": list(keys)}))
